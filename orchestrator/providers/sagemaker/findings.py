"""Reads an endpoint and all that belongs to it, and makes the document that is kept of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.providers.base import NotFoundError, ProviderError, RefusedError
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.components import copies_of, name_of, suspended_state
from orchestrator.providers.sagemaker.desk import (
    Answer,
    Desk,
    has_components,
    model_names,
    variants,
)
from orchestrator.providers.sagemaker.failures import is_unknown_operation
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

_log = logging.getLogger(__name__)


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
    alarms_told: bool = True
    unknown: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    @property
    def is_classic(self) -> bool:
        """Return whether the configuration itself names a model, so that it hosts no components."""
        return any(item.get("ModelName") for item in variants(self.config or {}))

    def without(self, error: ProviderError, what: str, *, dispensable: bool = False) -> None:
        """Note what a classic endpoint is judged without; raises `error` where it must be known."""
        if not self.is_classic or not (dispensable or is_unknown_operation(error)):
            raise error
        if what not in self.untold:
            _log.warning("%s of endpoint %s: %s", what, self.endpoint.get("EndpointName"), error)
            self.untold.append(what)

    def __repr__(self) -> str:
        return f"Findings(endpoint={self.endpoint.get('EndpointName')!r})"


def read_findings(desk: Desk, name: str) -> Findings:
    """Read an endpoint and all that belongs to it. Raises NotFoundError without an endpoint.

    Calls that a cloud does not have leave a gap in `untold` for an endpoint without components.
    """
    endpoint, raw = desk.session.read_raw("sagemaker", "DescribeEndpoint", EndpointName=name)
    found = Findings(endpoint, tags=desk.tags("endpoint", name, endpoint))
    found.unknown += unknown_fields("DescribeEndpoint", raw)
    _read_config(desk, found)
    try:
        found.components = desk.components(name)
    except ProviderError as error:
        found.without(error, "inference components", dispensable=True)
    _read_scaling(desk, found, name)
    _read_alarms(desk, found, name)
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


def _read_config(desk: Desk, found: Findings) -> None:
    name = str(found.endpoint.get("EndpointConfigName", ""))
    config = _raw(desk, found, "DescribeEndpointConfig", EndpointConfigName=name)
    if config is None:
        return
    found.config = config
    found.config_tags = desk.tags("endpoint-config", name, config)
    for model in model_names(config):
        described = _raw(desk, found, "DescribeModel", ModelName=model)
        found.models[model] = described
        if described is not None:
            found.model_tags[model] = desk.tags("model", model, described)


def _raw(desk: Desk, found: Findings, operation: str, **params: str) -> Answer | None:
    try:
        answer, raw = desk.session.read_raw("sagemaker", operation, **params)
    except NotFoundError:
        return None
    found.unknown += unknown_fields(operation, raw)
    return answer


def _read_scaling(desk: Desk, found: Findings, name: str) -> None:
    # One that has failed tells no variants of its own.
    every = [*variants(found.endpoint), *variants(found.config or {})]
    names = dict.fromkeys(str(item["VariantName"]) for item in every)
    resources = [scaling.variant_resource(name, variant) for variant in names]
    resources += [scaling.component_resource(name_of(item)) for item in found.components]
    try:
        found.targets = scaling.read_targets(desk.session, resources)
    except ProviderError as error:
        found.without(error, "autoscaling targets")
    for resource in resources:
        try:
            found.policies += scaling.read_policies(desk.session, resource)
        except ProviderError as error:
            found.without(error, "scaling policies")
        try:
            found.actions += scaling.read_actions(desk.session, resource)
        except ProviderError as error:
            found.without(error, "scheduled actions")


def _read_alarms(desk: Desk, found: Findings, name: str) -> None:
    """Read alarms of people on this endpoint's metrics, and those that call its policies.

    They are only told of, so that a missing right to read them forbids nothing.
    """
    managed = scaling.managed_alarms(found.policies)
    called = {
        str(alarm.get("AlarmName"))
        for policy in found.policies
        for alarm in policy.get("Alarms") or ()
    }
    watching: set[str] = set()
    try:
        rows = desk.session.pages("cloudwatch", "DescribeAlarms", "MetricAlarms")
        watching = {str(row.get("AlarmName")) for row in rows if _watches(row, name)}
    except ProviderError as error:
        if not isinstance(error, RefusedError) and not is_unknown_operation(error):
            raise
        found.alarms_told = False
        _log.warning("alarms of endpoint %s: %s", name, error)
    found.alarms = sorted((called | watching) - managed)


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
