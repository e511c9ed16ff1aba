"""Applies a change to an endpoint: by a new model and configuration, or by cheaper calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.domain.endpoints import EndpointChange, Goal, Scaling
from orchestrator.providers.base import ConflictError, RefusedError, SpecError
from orchestrator.providers.permit import ask_again
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.bodies import times
from orchestrator.providers.sagemaker.choices import Choices
from orchestrator.providers.sagemaker.components import scale_component, set_copies
from orchestrator.providers.sagemaker.desk import (
    Answer,
    Desk,
    has_components,
    require_still,
    variants,
)
from orchestrator.providers.sagemaker.naming import (
    VARIANT,
    asked_tags,
    is_ours,
    is_reserved,
    tag_list,
)
from orchestrator.providers.sagemaker.remodelling import Present, changed_config, new_model
from orchestrator.providers.sagemaker.specification import specified

_OF_THE_MODEL = ("image", "repository", "revision", "environment", "secrets", "task")
_OPTIONS_OF_THE_MODEL = frozenset(
    {"execution_role", "model_data", "network_isolation", "subnets", "security_groups"}
)
_NEEDS = frozenset({"min_memory_mb", "accelerators", "copies"})
_OPTIONS_OF_THE_COMPONENT = _NEEDS | {"health_check_timeout_s", "download_timeout_s"}


def update(desk: Desk, name: str, change: EndpointChange) -> Goal | None:
    """Apply what is set in a change, and nothing else; return what AWS is to show of it then.

    Raises NotFoundError, or BusyError while the endpoint is in a transition.
    """
    found = desk.existing(name)
    if change == EndpointChange():
        return None
    if change.tags is not None:
        _update_tags(desk, found, change.tags)
        change = replace(change, tags=None)
    if change == EndpointChange():
        return None
    require_still(found)
    config = _config_of(desk, found)
    present = Present(name, found, config, desk.components(name) if has_components(config) else [])
    try:
        return _apply(desk, present, change)
    except SpecError as error:
        raise RefusedError(f"{error.field}: {error}; {error.remedy}") from None


def _config_of(desk: Desk, found: Answer) -> Answer:
    config = desk.config(str(found["EndpointConfigName"]))
    if config is None:
        raise ConflictError(
            f"configuration {found['EndpointConfigName']} is gone: nothing can be built on it"
        )
    if len(variants(config)) != 1:
        raise RefusedError(f"endpoint {found['EndpointName']} has several variants")
    return config


def _apply(desk: Desk, present: Present, change: EndpointChange) -> Goal:
    options = Choices.read(change.options or {})
    named = {name for name, value in (change.options or {}).items() if value is not None}
    _refuse_unfit(present, named)
    if change.hardware is not None and present.is_classic:
        _refuse_autoscaled(desk, present, change.hardware.instance_type)
    remodel = any(getattr(change, field) is not None for field in _OF_THE_MODEL)
    model = None
    if remodel or named & _OPTIONS_OF_THE_MODEL:
        model = new_model(desk, present, change)
        ask_again()
    config = changed_config(desk, present, change, model if present.is_classic else None)
    ask_again()
    if config is not None:
        _update_endpoint(desk, present, config, change)
    of_the_component = remodel or named & (_OPTIONS_OF_THE_MODEL | _OPTIONS_OF_THE_COMPONENT)
    goal = _goal(present, config, change)
    if not present.is_classic and of_the_component:
        goal = _update_component(desk, present, model, options, goal)
    if change.scaling is not None:
        if present.is_classic:
            _scale_classic(desk, present, change.scaling, counted=config is not None)
        else:
            scale_component(desk, present.component, change.scaling)
    return goal


def _goal(present: Present, config: str | None, change: EndpointChange) -> Goal:
    """Return what AWS shows of an update of the endpoint itself, also of one sent before."""
    bounds, replicas = change.scaling, None
    if present.is_classic and bounds is not None and bounds.max_replicas <= bounds.min_replicas:
        replicas = bounds.min_replicas
    if config is None and change == EndpointChange(scaling=bounds):
        return Goal(replicas=replicas)
    used = config or str(present.endpoint["EndpointConfigName"])
    return Goal({"config": used}, replicas)


def _refuse_unfit(present: Present, named: set[str]) -> None:
    unfit = named & _NEEDS if present.is_classic else set()
    if unfit:
        raise RefusedError(
            f"options.{min(unfit)}: endpoint {present.name} has no inference components"
        )


def _update_tags(desk: Desk, found: Answer, tags: tuple[str, ...]) -> None:
    """Make the tags those that were asked for, but for AWS's own and ours."""
    name = str(found["EndpointName"])
    arn = desk.arn("endpoint", name, found)
    now = {
        key: value
        for key, value in desk.tags("endpoint", name, found).items()
        if not is_ours(key) and not is_reserved(key)
    }
    wanted = asked_tags(tags)
    gone = [key for key in now if key not in wanted]
    new = {key: value for key, value in wanted.items() if now.get(key) != value}
    if new:
        desk.session.change("sagemaker", "AddTags", ResourceArn=arn, Tags=tag_list(new))
    if gone:
        desk.session.change("sagemaker", "DeleteTags", ResourceArn=arn, TagKeys=gone)


def _update_endpoint(desk: Desk, present: Present, config: str, change: EndpointChange) -> None:
    """Deploy a configuration; counts and weights stay as they are unless the change has a count.

    Without `RetainAllVariantProperties` an autoscaled count would fall back to the initial one.
    """
    params: dict[str, Any] = {
        "EndpointName": present.name,
        "EndpointConfigName": config,
        "RetainAllVariantProperties": True,
    }
    if change.scaling is not None and present.is_classic:
        params["ExcludeRetainedVariantProperties"] = [
            {"VariantPropertyType": "DesiredInstanceCount"}
        ]
    desk.session.change("sagemaker", "UpdateEndpoint", **params)


def _refuse_autoscaled(desk: Desk, present: Present, instance_type: str) -> None:
    """AWS fails an update to another instance type while the variant is an autoscaling target."""
    resource = _resource(present)
    if instance_type == variants(present.config)[0].get("InstanceType"):
        return
    if not scaling.read_targets(desk.session, [resource]):
        return
    remedy = "set max_replicas to min_replicas first, and raise it again afterwards"
    if _is_shared(desk, present, resource):
        remedy = (
            f"{resource} has policies or scheduled actions that others made: deregister that "
            "scalable target at AWS first, and register it again afterwards"
        )
    raise RefusedError(
        f"endpoint {present.name} is scaled automatically, and AWS changes no instance type "
        f"then: {remedy}"
    )


def _update_component(
    desk: Desk, present: Present, model: str | None, options: Choices, goal: Goal
) -> Goal:
    """Give the one component another model, other needs or other times, where they differ."""
    name = present.component
    (component,) = present.components
    old = {key: value for key, value in component["Specification"].items() if key != "Container"}
    new = dict(old)
    if model is not None:
        new["ModelName"] = model
    needs = {
        "MinMemoryRequiredInMb": options.min_memory_mb,
        "NumberOfAcceleratorDevicesRequired": options.accelerators,
    }
    new["ComputeResourceRequirements"] = {
        **old.get("ComputeResourceRequirements", {}),
        **{key: value for key, value in needs.items() if value is not None},
    }
    if times(options):
        new["StartupParameters"] = {**old.get("StartupParameters", {}), **times(options)}
    if new != old:
        desk.session.change(
            "sagemaker",
            "UpdateInferenceComponent",
            InferenceComponentName=name,
            Specification=new,
        )
    elif options.copies is not None:
        set_copies(desk, {name: options.copies})
    return replace(goal, spec={**goal.spec, **specified(new)}, parts=True)


def _resource(present: Present) -> str:
    variant = str(variants(present.config)[0].get("VariantName", VARIANT))
    return scaling.variant_resource(present.name, variant)


def _scale_classic(desk: Desk, present: Present, bounds: Scaling, *, counted: bool) -> None:
    """Change the bounds of a target, make one, or set the count alone where there is no range."""
    resource = _resource(present)
    target = scaling.read_targets(desk.session, [resource])
    if bounds.max_replicas > bounds.min_replicas:
        scaling.register(desk.session, resource, bounds)
        scaling.keep_load_policy(desk.session, resource, bounds, scaling.load_name(present.name))
        return
    if target:
        _end_autoscaling(desk, present, resource, bounds)
    if not counted and _count(present) != bounds.min_replicas:
        desk.session.change(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=present.name,
            DesiredWeightsAndCapacities=[
                {
                    "VariantName": variants(present.config)[0]["VariantName"],
                    "DesiredInstanceCount": bounds.min_replicas,
                }
            ],
        )


def _end_autoscaling(desk: Desk, present: Present, resource: str, bounds: Scaling) -> None:
    """Remove a target that has only our policy; of others only the bounds change."""
    if _is_shared(desk, present, resource):
        scaling.register(desk.session, resource, bounds)
        return
    scaling.deregister(desk.session, resource)


def _is_shared(desk: Desk, present: Present, resource: str) -> bool:
    """Tell whether a target has policies or scheduled actions that are not ours."""
    policies = scaling.read_policies(desk.session, resource)
    actions = scaling.read_actions(desk.session, resource)
    own = {scaling.load_name(present.name)}
    return bool(actions or {str(policy["PolicyName"]) for policy in policies} - own)


def _count(present: Present) -> int | None:
    described = variants(present.endpoint)
    return described[0].get("DesiredInstanceCount") if described else None
