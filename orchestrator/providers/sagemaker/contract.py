"""What a pause of one endpoint means: the document that makes it again, and what forbids it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain.endpoints import Contract
from orchestrator.providers.base import BusyError, ProviderError
from orchestrator.providers.sagemaker.components import name_of
from orchestrator.providers.sagemaker.desk import (
    MOVING,
    Desk,
    has_components,
    keeps_instances,
    variants,
)
from orchestrator.providers.sagemaker.findings import Findings, document_of, read_findings
from orchestrator.providers.sagemaker.instances import accelerator_of

_log = logging.getLogger(__name__)

_FOREIGN = {
    "aws:cloudformation:stack-name": "CloudFormation stack",
    "aws:servicecatalog:provisionedProductArn": "Service Catalog product",
}
_RIGHTS = (
    "sagemaker:AddTags",
    "sagemaker:DeleteEndpoint",
    "sagemaker:CreateEndpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
    "sagemaker:DeleteTags",
)
_SCALING_RIGHTS = (
    "application-autoscaling:RegisterScalableTarget",
    "application-autoscaling:PutScalingPolicy",
    "application-autoscaling:PutScheduledAction",
)
_COMPONENT_RIGHTS = (
    "sagemaker:UpdateInferenceComponentRuntimeConfig",
    "application-autoscaling:RegisterScalableTarget",
)
_TOOLS = re.compile(r"(?i)\b(terraform|opentofu|pulumi|aws-cdk|cdk|crossplane)\b")
_MINUTES = {"neuron": 30, "gpu": 15, "cpu": 8}
_MINUTES_OF_THE_LARGEST = 40


def read_contract(desk: Desk, name: str) -> Contract:
    """Return the contract of an endpoint, read twice; changes nothing.

    Raises NotFoundError, and BusyError when it changed between the two readings.
    """
    first, second = read_findings(desk, name), read_findings(desk, name)
    document = document_of(desk, first)
    limits = _limits(desk, document)
    if document["digest"] != document_of(desk, second)["digest"]:
        raise BusyError(f"endpoint {name} changed while it was read: try again")
    found = (
        *obstacles(first),
        *_missing_rights(desk, name, document),
        *_short(document, limits),
    )
    return _contract(document, first, found, limits)


def _short(document: Mapping[str, Any], limits: Mapping[str, int] | None) -> Iterator[str]:
    """Yield the quotas that are known to have no room for what it has now."""
    if document["kind"] == "components" or limits is None:
        return
    for name, count in _needed(document).items():
        if limits.get(name, count) < count:
            yield f"the quota of {limits[name]} x {name} is less than the {count} that it has now"


def _missing_rights(desk: Desk, name: str, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rights that the way down and back needs and that are not given."""
    if document["kind"] == "components":
        needed = [*_COMPONENT_RIGHTS]
    else:
        needed = [*_RIGHTS, *(_SCALING_RIGHTS if document["targets"] else ())]
    for right in desk.rights(needed, name):
        if right.allowed is False:
            yield f"the right {right.name} is missing, needed for {right.needed_for}"


def observe_only(endpoint: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return why an endpoint is only observed, "" when it can be managed."""
    found = variants(config)
    if config.get("ShadowProductionVariants") or endpoint.get("ShadowProductionVariants"):
        return "it has a shadow variant"
    if any("ServerlessConfig" in variant for variant in found):
        return "it is serverless"
    if config.get("AsyncInferenceConfig"):
        return "it is asynchronous"
    if len(found) != 1:
        return f"it has {len(found)} variants"
    return ""


def obstacles(found: Findings) -> Iterator[str]:
    """Yield what forbids a pause, in words."""
    status = found.endpoint.get("EndpointStatus")
    if status in MOVING:
        yield f"it is {status}: AWS accepts no change until that is over"
    elif status not in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed"):
        yield f"its state {status} is not known"
    if found.endpoint.get("PendingDeploymentSummary"):
        yield "a deployment is under way"
    if found.config is None:
        yield f"its configuration {found.endpoint.get('EndpointConfigName')} is gone"
        return
    reason = observe_only(found.endpoint, found.config)
    if reason:
        yield f"{reason}: such endpoints are only observed"
    stays = keeps_instances(found.config) if has_components(found.config) else ""
    if stays:
        yield f"{stays}, so that a pause would save nothing"
    for name, model in found.models.items():
        if model is None:
            yield f"its model {name} is gone: it could not be made again"
    if found.components and not has_components(found.config):
        names = ", ".join(name_of(item) for item in found.components)
        yield f"inference components would be left behind: {names}"
    if found.unknown:
        yield f"AWS answered with fields that are not known here: {', '.join(found.unknown)}"


def _limits(desk: Desk, document: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Return the quotas by instance type, None where they may not be read."""
    try:
        return desk.limits(_needed(document))
    except ProviderError as error:
        _log.warning("quotas for a contract: %s", error)
        return None


def _contract(
    document: dict[str, Any],
    found: Findings,
    forbidding: tuple[str, ...],
    limits: Mapping[str, int] | None,
) -> Contract:
    classic = document["kind"] == "classic"
    return Contract(
        document=document,
        kept=tuple(_kept(document, classic=classic)),
        lost=tuple(_lost(found)) if classic else (),
        risks=tuple(_risks(document, found, limits, classic=classic)),
        alarms=tuple(found.alarms),
        quota=_quota(document, limits),
        minutes_to_return=_minutes(document),
        obstacles=forbidding,
        foreign=tuple(_foreign(found.tags)),
    )


def _kept(document: Mapping[str, Any], *, classic: bool) -> Iterator[str]:
    if not classic:
        yield "endpoint, components and their settings: only copies and instances go"
        return
    yield f"configuration {document['endpoint']['EndpointConfigName']} and its models"
    yield "name, address, metrics and logs"
    for name, words in (
        ("tags", "tag"),
        ("variants", "variant with its weight and instance count"),
        ("targets", "autoscaling target"),
        ("policies", "scaling policy"),
        ("scheduled_actions", "scheduled action"),
    ):
        if document[name]:
            yield f"{words} (x{len(document[name])}), put back after it serves again"


def _lost(found: Findings) -> Iterator[str]:
    yield "requests in flight, and the place in the queue for capacity"
    if found.endpoint.get("LastDeploymentConfig"):
        yield "the last deployment's settings"
    capture = (found.endpoint.get("DataCaptureConfig") or {}).get("CaptureStatus")
    if capture == "Stopped":
        yield "that data capture was stopped: it starts again as the configuration says"
    if found.policies:
        yield "the ARNs of scaling policies: alarms that call them point to nothing"
    if found.targets:
        yield "tags of autoscaling targets"


def _risks(
    document: Mapping[str, Any],
    found: Findings,
    limits: Mapping[str, int] | None,
    *,
    classic: bool,
) -> Iterator[str]:
    types = ", ".join(_types(document))
    yield f"{types or 'instances'} may be short when it is resumed"
    if not classic:
        return
    for what in found.untold:
        yield f"{what} could not be read: if there are any, they are not put back"
    if limits is None:
        yield "the quotas of its instances could not be read"
    if not found.alarms_told:
        yield "alarms may watch it: they could not be read"
    yield "a resource policy on the endpoint cannot be read here and is not put back"
    if found.endpoint.get("EndpointStatus") == "Failed":
        yield "it has failed: made again from the same configuration it may fail again"


def _foreign(tags: Mapping[str, str]) -> Iterator[str]:
    for key, value in tags.items():
        if key in _FOREIGN:
            yield f"it belongs to the {_FOREIGN[key]} {value}, which would find it missing"
        elif _TOOLS.search(f"{key} {value}"):
            yield f"its tag {key}={value} says that another tool manages it"


def _needed(document: Mapping[str, Any]) -> dict[str, int]:
    """Return how many instances of each type a resume takes."""
    counts = {item["name"]: item["count"] for item in document["variants"]}
    found: Counter[str] = Counter()
    for item in variants(document["config"]):
        wanted = counts.get(item["VariantName"]) or item.get("InitialInstanceCount") or 1
        if "InstanceType" in item:
            found[item["InstanceType"]] += wanted
    return dict(found)


def _quota(document: Mapping[str, Any], limits: Mapping[str, int] | None) -> str:
    parts = []
    for name, count in _needed(document).items():
        told = f" (it is {limits[name]}, as of the last hour)" if limits and name in limits else ""
        parts.append(f"{count} x {name}{told}")
    return f"needs {' and '.join(parts)} of the quota for endpoint usage again" if parts else ""


def _types(document: Mapping[str, Any]) -> list[str]:
    found = (str(item.get("InstanceType", "")) for item in variants(document["config"]))
    return [item for item in dict.fromkeys(found) if item]


def _minutes(document: Mapping[str, Any]) -> int | None:
    types = _types(document)
    if any(
        item.endswith(("48xlarge", "32xlarge")) and accelerator_of(item) == "neuron"
        for item in types
    ):
        return _MINUTES_OF_THE_LARGEST
    return max((_MINUTES[accelerator_of(item)] for item in types), default=None)
