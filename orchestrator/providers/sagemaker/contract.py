"""What a pause of one endpoint means: the document that makes it again, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.endpoints import Contract
from orchestrator.providers.base import NotFoundError
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.components import copies_of, name_of, suspended_state
from orchestrator.providers.sagemaker.desk import (
    MOVING,
    Answer,
    Desk,
    has_components,
    model_names,
    variants,
)
from orchestrator.providers.sagemaker.instances import accelerator_of
from orchestrator.providers.sagemaker.kept import (
    CONFIG_FIELDS,
    VERSION,
    creatable,
    kept_model,
    plain,
    sealed,
)
from orchestrator.providers.sagemaker.naming import KEPT_TAG, PAUSED_TAG, is_reserved
from orchestrator.providers.sagemaker.unknown import unknown_fields

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
_TOOLS = ("terraform", "pulumi", "cdk", "crossplane")
_MINUTES = {"neuron": 30, "gpu": 15, "cpu": 8}
_MINUTES_OF_THE_LARGEST = 40


@dataclass(slots=True)
class Findings:
    """All that was read of one endpoint; models are in clear here."""

    endpoint: Answer
    config: Answer | None = None
    models: dict[str, Answer | None] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    config_tags: dict[str, str] = field(default_factory=dict)
    model_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    components: list[Answer] = field(default_factory=list)
    targets: list[Answer] = field(default_factory=list)
    policies: list[Answer] = field(default_factory=list)
    actions: list[Answer] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Findings(endpoint={self.endpoint.get('EndpointName')!r})"


def read_contract(desk: Desk, name: str) -> Contract:
    """Return the contract of an endpoint, read twice. Raises NotFoundError; changes nothing."""
    first, second = read_findings(desk, name), read_findings(desk, name)
    document = document_of(desk, first)
    found = [*obstacles(first), *_missing_rights(desk, name, document)]
    if document["digest"] != document_of(desk, second)["digest"]:
        found.append("it changed while it was read: try again")
    return _contract(document, first, tuple(found))


def read_findings(desk: Desk, name: str) -> Findings:
    """Read an endpoint and all that belongs to it. Raises NotFoundError without an endpoint."""
    endpoint, raw = desk.session.read_raw("sagemaker", "DescribeEndpoint", EndpointName=name)
    found = Findings(endpoint, tags=desk.tags("endpoint", name))
    found.unknown += unknown_fields("DescribeEndpoint", raw)
    _read_config(desk, found)
    found.components = desk.components(name)
    _read_scaling(desk, found, name)
    found.alarms = _alarms(desk, name, found)
    return found


def document_of(desk: Desk, found: Findings) -> dict[str, Any]:
    """Return the document to store; its digest tells whether anything in it has changed."""
    endpoint = found.endpoint
    components = found.config is not None and has_components(found.config)
    return sealed(
        {
            "version": VERSION,
            "kind": "components" if components else "classic",
            "endpoint": {
                "EndpointName": endpoint["EndpointName"],
                "EndpointConfigName": endpoint["EndpointConfigName"],
            },
            "config": plain(creatable(found.config or {}, CONFIG_FIELDS)),
            "config_tags": _kept_tags(found.config_tags),
            "models": [
                kept_model(model, found.model_tags[name], desk.redactor)
                for name, model in found.models.items()
                if model is not None
            ],
            "model_tags": {name: _kept_tags(tags) for name, tags in found.model_tags.items()},
            "tags": _kept_tags(found.tags),
            "variants": [_variant(item) for item in variants(endpoint)],
            "targets": [
                plain(target) | {"SuspendedState": suspended_state(target)}
                for target in found.targets
            ],
            "policies": [plain(scaling.kept_policy(policy)) for policy in found.policies],
            "scheduled_actions": plain(found.actions),
            "alarms": found.alarms,
            "components": [
                {"name": name_of(item), "copies": copies_of(item)} for item in found.components
            ],
        }
    )


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
    for name, model in found.models.items():
        if model is None:
            yield f"its model {name} is gone: it could not be made again"
    if found.components and not has_components(found.config):
        names = ", ".join(name_of(item) for item in found.components)
        yield f"inference components would be left behind: {names}"
    if found.unknown:
        yield f"AWS answered with fields that are not known here: {', '.join(found.unknown)}"


def _read_config(desk: Desk, found: Findings) -> None:
    name = str(found.endpoint.get("EndpointConfigName", ""))
    config = _raw(desk, found, "DescribeEndpointConfig", EndpointConfigName=name)
    if config is None:
        return
    found.config = config
    found.config_tags = desk.tags("endpoint-config", name)
    for model in model_names(config):
        found.models[model] = _raw(desk, found, "DescribeModel", ModelName=model)
        if found.models[model] is not None:
            found.model_tags[model] = desk.tags("model", model)


def _raw(desk: Desk, found: Findings, operation: str, **params: str) -> Answer | None:
    try:
        answer, raw = desk.session.read_raw("sagemaker", operation, **params)
    except NotFoundError:
        return None
    found.unknown += unknown_fields(operation, raw)
    return answer


def _read_scaling(desk: Desk, found: Findings, name: str) -> None:
    resources = [
        scaling.variant_resource(name, str(item["VariantName"]))
        for item in variants(found.endpoint)
    ]
    resources += [scaling.component_resource(name_of(item)) for item in found.components]
    found.targets = scaling.read_targets(desk.session, resources)
    for resource in resources:
        found.policies += scaling.read_policies(desk.session, resource)
        found.actions += scaling.read_actions(desk.session, resource)


def _alarms(desk: Desk, name: str, found: Findings) -> list[str]:
    """Return alarms of people on this endpoint's metrics, and those that call its policies."""
    managed = scaling.managed_alarms(found.policies)
    called = {
        str(alarm.get("AlarmName"))
        for policy in found.policies
        for alarm in policy.get("Alarms") or ()
    }
    rows = desk.session.pages("cloudwatch", "DescribeAlarms", "MetricAlarms")
    watching = {str(row.get("AlarmName")) for row in rows if _watches(row, name)}
    return sorted((called | watching) - managed)


def _watches(alarm: Mapping[str, Any], name: str) -> bool:
    metrics = [
        alarm,
        *(
            (item.get("MetricStat") or {}).get("Metric") or {}
            for item in alarm.get("Metrics") or ()
        ),
    ]
    wanted = {"Name": "EndpointName", "Value": name}
    return any(wanted in (metric.get("Dimensions") or ()) for metric in metrics)


def _kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags without AWS's own, and without the marks of a pause that is under way."""
    marks = (PAUSED_TAG, KEPT_TAG)
    return {
        key: value
        for key, value in sorted(tags.items())
        if not is_reserved(key) and key not in marks
    }


def _variant(described: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": described.get("VariantName"),
        "weight": described.get("DesiredWeight", described.get("CurrentWeight")),
        "count": described.get("DesiredInstanceCount", described.get("CurrentInstanceCount")),
    }


def _contract(document: dict[str, Any], found: Findings, forbidding: tuple[str, ...]) -> Contract:
    classic = document["kind"] == "classic"
    return Contract(
        document=document,
        kept=tuple(_kept(document, classic=classic)),
        lost=tuple(_lost(found)) if classic else (),
        risks=tuple(_risks(document, found, classic=classic)),
        alarms=tuple(found.alarms),
        quota=_quota(document),
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
        ("tags", "tags"),
        ("variants", "variants' weights and instance counts"),
        ("targets", "autoscaling targets"),
        ("policies", "scaling policies"),
        ("scheduled_actions", "scheduled actions"),
    ):
        if document[name]:
            yield f"{len(document[name])} {words}, put back after it serves again"


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


def _risks(document: Mapping[str, Any], found: Findings, *, classic: bool) -> Iterator[str]:
    types = ", ".join(_types(document))
    yield f"{types or 'instances'} may be short when it is resumed"
    if not classic:
        return
    yield "a resource policy on the endpoint cannot be read here and is not put back"
    if found.endpoint.get("EndpointStatus") == "Failed":
        yield "it has failed: made again from the same configuration it may fail again"


def _foreign(tags: Mapping[str, str]) -> Iterator[str]:
    for key, value in tags.items():
        if key in _FOREIGN:
            yield f"it belongs to the {_FOREIGN[key]} {value}, which would find it missing"
        elif any(tool in f"{key} {value}".lower() for tool in _TOOLS):
            yield f"its tag {key}={value} says that another tool manages it"


def _quota(document: Mapping[str, Any]) -> str:
    counts = {item["name"]: item["count"] for item in document["variants"]}
    parts = [
        f"{counts.get(item['VariantName']) or item.get('InitialInstanceCount', 1)} x "
        f"{item['InstanceType']}"
        for item in variants(document["config"])
        if "InstanceType" in item
    ]
    needed = " and ".join(parts)
    return f"needs {needed} of the quota for endpoint usage again" if needed else ""


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
