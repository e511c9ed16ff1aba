"""Inference components: creation, native pause, scale to zero and wake, and their copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain.endpoints import JsonObject, Scaling
from orchestrator.providers.base import BusyError, CapacityError, NotFoundError, RefusedError
from orchestrator.providers.permit import ask_again
from orchestrator.providers.redaction import redact
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.bodies import Request
from orchestrator.providers.sagemaker.desk import (
    Answer,
    Desk,
    has_components,
    keeps_instances,
    require_still,
)
from orchestrator.providers.sagemaker.states import lacks_capacity

# What would bring copies back while an endpoint is paused.
_WAKING = ("DynamicScalingOutSuspended", "ScheduledScalingSuspended")


def finish_component(desk: Desk, request: Request, bounds: Scaling) -> bool:
    """Make the component of a new endpoint and what scales it; return whether all is done.

    Raises RefusedError when it has failed, with AWS's reason, and CapacityError when that was for
    want of capacity: it is removed then, so that the next call makes it again.
    """
    name = str(request["InferenceComponentName"])
    found = _described(desk, name)
    if found is None:
        ask_again()
        desk.session.change("sagemaker", "CreateInferenceComponent", **request)
        return False
    if found.get("InferenceComponentStatus") == "Failed":
        reason = redact(str(found.get("FailureReason", "")))
        if lacks_capacity(reason):
            _remove(desk, name)
            raise CapacityError(f"inference component {name} found no capacity: {reason}")
        raise RefusedError(f"inference component {name} has failed: {reason}")
    if found.get("InferenceComponentStatus") != "InService":
        return False
    scale_component(desk, name, bounds)
    return True


def _remove(desk: Desk, name: str) -> None:
    try:
        desk.session.change("sagemaker", "DeleteInferenceComponent", InferenceComponentName=name)
    except NotFoundError:
        return


def scale_component(desk: Desk, name: str, bounds: Scaling) -> None:
    """Register the bounds of a component's copies, and the policies that move them.

    A component that may go to zero needs a policy and an alarm that wake it again.
    """
    resource = scaling.component_resource(name)
    scaling.register(desk.session, resource, bounds)
    scaling.keep_load_policy(desk.session, resource, bounds, scaling.load_name(name))
    if bounds.min_replicas == 0:
        policy = scaling.put_wake_policy(desk.session, name)
        scaling.put_wake_alarm(desk.session, name, policy)


def pause_components(desk: Desk, endpoint: str, config: Mapping[str, Any]) -> None:
    """Take all copies away, with nothing left that would bring them back.

    Raises RefusedError where the instances would stay without them.
    """
    _refuse_lasting(endpoint, config)
    found = _still(desk.components(endpoint))
    for resource, suspended in _suspensions(desk, found).items():
        wanted = suspended | dict.fromkeys(_WAKING, True)
        if wanted != suspended:
            scaling.register(desk.session, resource, suspended=wanted)
    set_copies(desk, {name_of(item): 0 for item in found if copies_of(item)})


def components_to_zero(desk: Desk, endpoint: str) -> None:
    """Take all copies away; the alarm on failed requests brings the first one back.

    Raises NotFoundError, or RefusedError where nothing would wake it.
    """
    described = desk.existing(endpoint)
    config = desk.config(str(described["EndpointConfigName"]))
    if config is None or not has_components(config):
        raise RefusedError(
            f"endpoint {endpoint} hosts no inference components: SageMaker takes only these to zero"
        )
    require_still(described)
    _refuse_lasting(endpoint, config)
    found = _still(desk.components(endpoint))
    for component in found:
        if not is_wakeable(desk, name_of(component)):
            raise RefusedError(
                f"inference component {name_of(component)} has no policy with an alarm that would "
                "wake it: pause the endpoint, or add them"
            )
    _release(desk, found, {})
    set_copies(desk, {name_of(item): 0 for item in found if copies_of(item)})


def resume_components(desk: Desk, endpoint: str, kept: JsonObject) -> None:
    """Let scaling out again, and give components without copies those that they had."""
    found = _still(desk.components(endpoint))
    _release(desk, found, _kept_suspensions(kept))
    before = {str(item.get("name")): int(item.get("copies", 0)) for item in _rows(kept)}
    bounds = {row["ResourceId"]: int(row.get("MinCapacity", 0)) for row in _targets_of(desk, found)}
    asleep = [name_of(item) for item in found if not copies_of(item)]
    set_copies(
        desk,
        {
            name: max(1, before.get(name, 0), bounds.get(scaling.component_resource(name), 0))
            for name in asleep
        },
    )


def is_wakeable(desk: Desk, component: str) -> bool:
    """Return whether a step policy of a component is called by an alarm."""
    policies = scaling.read_policies(desk.session, scaling.component_resource(component))
    steps = [item for item in policies if item.get("PolicyType") == "StepScaling"]
    return any(policy.get("Alarms") or _alarms_of(desk, policy) for policy in steps)


def _alarms_of(desk: Desk, policy: Mapping[str, Any]) -> bool:
    arn = str(policy.get("PolicyARN"))
    rows = desk.session.pages("cloudwatch", "DescribeAlarms", "MetricAlarms", ActionPrefix=arn)
    return any(arn in (row.get("AlarmActions") or ()) for row in rows)


def name_of(component: Mapping[str, Any]) -> str:
    """Return the name of a component."""
    return str(component["InferenceComponentName"])


def copies_of(component: Mapping[str, Any]) -> int:
    """Return how many copies of a component are wanted now."""
    return int((component.get("RuntimeConfig") or {}).get("DesiredCopyCount") or 0)


def _refuse_lasting(endpoint: str, config: Mapping[str, Any]) -> None:
    reason = keeps_instances(config)
    if reason:
        raise RefusedError(f"endpoint {endpoint} would still cost as much: {reason}")


def _described(desk: Desk, name: str) -> Answer | None:
    return desk.find("sagemaker", "DescribeInferenceComponent", InferenceComponentName=name)


def _still(found: list[Answer]) -> list[Answer]:
    for component in found:
        status = component.get("InferenceComponentStatus")
        if status in ("Creating", "Updating", "Deleting"):
            raise BusyError(f"inference component {name_of(component)} is {status}")
    return found


def _targets_of(desk: Desk, found: list[Answer]) -> list[scaling.Document]:
    resources = [scaling.component_resource(name_of(item)) for item in found]
    return scaling.read_targets(desk.session, resources)


def _suspensions(desk: Desk, found: list[Answer]) -> dict[str, dict[str, bool]]:
    return {str(row["ResourceId"]): suspended_state(row) for row in _targets_of(desk, found)}


def suspended_state(target: Mapping[str, Any]) -> dict[str, bool]:
    """Return what is suspended of a target, in full."""
    state = target.get("SuspendedState") or {}
    return {name: bool(state.get(name)) for name in scaling.SUSPENDED}


def _kept_suspensions(kept: JsonObject) -> dict[str, dict[str, bool]]:
    return {str(row["ResourceId"]): suspended_state(row) for row in kept.get("targets") or ()}


def _release(desk: Desk, found: list[Answer], before: Mapping[str, dict[str, bool]]) -> None:
    """Undo the suspensions of a pause; those that were there before it stay."""
    for resource, suspended in _suspensions(desk, found).items():
        free = suspended | dict.fromkeys(_WAKING, False)
        wanted = before.get(resource, free)
        if wanted != suspended:
            scaling.register(desk.session, resource, suspended=wanted)


def set_copies(desk: Desk, wanted: Mapping[str, int]) -> None:
    """Ask for so many copies of each component."""
    for name, count in wanted.items():
        desk.session.change(
            "sagemaker",
            "UpdateInferenceComponentRuntimeConfig",
            InferenceComponentName=name,
            DesiredRuntimeConfig={"CopyCount": count},
        )


def _rows(kept: JsonObject) -> Iterable[Mapping[str, Any]]:
    return kept.get("components") or ()
