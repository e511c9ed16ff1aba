"""Deletes endpoints with what hangs on them, and the models and configurations that we made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.base import BusyError, NotFoundError, ProviderError
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.components import name_of
from orchestrator.providers.sagemaker.creating import remove
from orchestrator.providers.sagemaker.desk import Answer, Desk, model_names, require_still
from orchestrator.providers.sagemaker.failures import is_unknown_operation
from orchestrator.providers.sagemaker.kept import config_name
from orchestrator.providers.sagemaker.naming import ENDPOINT_TAG
from orchestrator.providers.sagemaker.pausing import delete_endpoint, unmark
from orchestrator.providers.sagemaker.reading import utc

_CONFIG = "EndpointConfigName"
_EVER = datetime.min.replace(tzinfo=UTC)
# With more endpoints than this, what could be shared with one of them stays.
_MOST_LOOKED_AT = 300


def delete(desk: Desk, name: str, kept: JsonObject) -> None:
    """Delete an endpoint; models and configurations only with our mark and used by no other.

    Order: alarms, policies and targets, components, endpoint, configurations, models. Raises
    BusyError while the endpoint moves or a component is not gone yet.
    """
    found = desk.endpoint(name)
    if found is not None and found.get("EndpointStatus") != "Deleting":
        require_still(found, failed_too=True)
    _delete_components(desk, name)
    if found is not None and found.get("EndpointStatus") != "Deleting":
        delete_endpoint(desk, name)
    every = list(_configs_of(desk, name, found, kept))
    configs = _ours(desk, "endpoint-config", name, every)
    models = _ours(desk, "model", name, _models_of(desk, name, configs, kept))
    used = _used_by_others(desk, name, _oldest(desk, configs, models))
    gone = {item for item in configs if used is not None and (_CONFIG, item) not in used}
    for config in dict.fromkeys(filter(None, every)):
        if config in gone:
            remove(desk, _CONFIG, config)
        else:
            # One that stays must not tell for ever that its endpoint is paused.
            unmark(desk, name, config)
    if used is None:
        return
    for model in models:
        if ("ModelName", model) not in used:
            remove(desk, "ModelName", model)


def _delete_components(desk: Desk, name: str) -> None:
    try:
        found = desk.components(name)
    except ProviderError as error:
        if not is_unknown_operation(error):
            raise
        return
    for component in found:
        _delete_component(desk, component)
    left = [name_of(item) for item in desk.components(name)] if found else []
    if left:
        raise BusyError(f"inference components are being deleted first: {', '.join(left)}")


def _delete_component(desk: Desk, component: Answer) -> None:
    if component.get("InferenceComponentStatus") == "Deleting":
        return
    name = name_of(component)
    if component.get("InferenceComponentStatus") in ("Creating", "Updating"):
        raise BusyError(f"inference component {name} is {component['InferenceComponentStatus']}")
    _delete_wake_alarm(desk, name)
    resource = scaling.component_resource(name)
    if scaling.read_targets(desk.session, [resource]):
        for policy in scaling.read_policies(desk.session, resource):
            _delete_policy(desk, resource, str(policy["PolicyName"]))
        scaling.deregister(desk.session, resource)
    try:
        desk.session.change("sagemaker", "DeleteInferenceComponent", InferenceComponentName=name)
    except NotFoundError:
        return


def _delete_wake_alarm(desk: Desk, component: str) -> None:
    """Delete the alarm that we put; one of a person is left to that person."""
    name = scaling.wake_name(component)
    if list(desk.session.pages("cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNames=[name])):
        desk.session.change("cloudwatch", "DeleteAlarms", AlarmNames=[name])


def _delete_policy(desk: Desk, resource: str, policy: str) -> None:
    try:
        desk.session.change(
            scaling.SERVICE, "DeleteScalingPolicy", **scaling.where(resource), PolicyName=policy
        )
    except NotFoundError:
        return


def _configs_of(desk: Desk, name: str, found: Answer | None, kept: JsonObject) -> Iterator[str]:
    if found is not None:
        yield str(found.get("EndpointConfigName"))
    yield config_name(kept)
    rows = desk.session.pages(
        "sagemaker", "ListEndpointConfigs", "EndpointConfigs", NameContains=f"{name[:54]}-"
    )
    yield from (str(row["EndpointConfigName"]) for row in rows)


def _models_of(desk: Desk, name: str, configs: Iterable[str], kept: JsonObject) -> Iterator[str]:
    for config in configs:
        yield from model_names(desk.config(config) or {})
    yield from (str(model.get("ModelName")) for model in kept.get("models") or ())
    rows = desk.session.pages("sagemaker", "ListModels", "Models", NameContains=f"{name[:54]}-")
    yield from (str(row["ModelName"]) for row in rows)


def _ours(desk: Desk, kind: str, name: str, found: Iterable[str]) -> list[str]:
    """Return those that exist and carry our mark with this endpoint's name."""
    named = [item for item in dict.fromkeys(found) if item]
    return [item for item in named if _tags(desk, kind, item).get(ENDPOINT_TAG) == name]


def _tags(desk: Desk, kind: str, name: str) -> dict[str, str]:
    described = desk.config(name) if kind == "endpoint-config" else desk.model(name)
    try:
        return desk.tags(kind, name, described) if described else {}
    except NotFoundError:
        return {}


def _oldest(desk: Desk, configs: list[str], models: list[str]) -> datetime | None:
    """Return when the first of what we made was made: what is older cannot use it.

    None without anything of ours; before all times where AWS does not tell.
    """
    described = [*map(desk.config, configs), *map(desk.model, models)]
    made = [utc(item.get("CreationTime")) or _EVER for item in described if item]
    return min(made, default=None)


def _is_since(value: object, since: datetime) -> bool:
    """Return whether an instant is not before another; one that is not told may be any."""
    at = utc(value)
    return at is None or at >= since


def _used_by_others(desk: Desk, name: str, since: datetime | None) -> set[tuple[str, str]] | None:
    """Return the configurations and models of all other endpoints; None for too many to look at.

    `since` is when what we made began to exist; None: there is nothing of ours.
    """
    if since is None:
        return set()
    rows = desk.session.pages("sagemaker", "ListEndpoints", "Endpoints", MaxResults=100)
    others = [
        str(row.get("EndpointName", ""))
        for row in rows
        if row.get("EndpointName") != name and _is_since(row.get("LastModifiedTime"), since)
    ]
    if "" in others:
        return None
    if len(others) > _MOST_LOOKED_AT:
        return None
    used: set[tuple[str, str]] = set()
    for other in others:
        config = str((desk.endpoint(other) or {}).get("EndpointConfigName", ""))
        if ("EndpointConfigName", config) in used or not config:
            continue
        used.add(("EndpointConfigName", config))
        used |= {("ModelName", model) for model in model_names(desk.config(config) or {})}
    return used
