"""Makes a paused endpoint again, and puts back what its deletion has taken along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain.endpoints import JsonObject, Restored
from orchestrator.providers.base import (
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
)
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.components import resume_components, suspended_state
from orchestrator.providers.sagemaker.creating import create_endpoint
from orchestrator.providers.sagemaker.desk import (
    Answer,
    Desk,
    has_components,
    require_still,
    variants,
)
from orchestrator.providers.sagemaker.findings import document_of, read_findings
from orchestrator.providers.sagemaker.kept import (
    CONFIG_FIELDS,
    config_name,
    creatable,
    differences,
    models_of,
    plain,
    redacted_names,
    require_whole,
)
from orchestrator.providers.sagemaker.naming import tag_list
from orchestrator.providers.sagemaker.pausing import delete_endpoint, unmark
from orchestrator.providers.sagemaker.states import USELESS


def resume(desk: Desk, name: str, kept: JsonObject) -> bool:
    """Start an endpoint; False says that a failed one was removed and this has to be called again.

    Raises RefusedError, with a remedy, when its model or configuration cannot be made again.
    """
    found = desk.endpoint(name)
    if found is None:
        if not kept:
            raise NotFoundError(f"endpoint {name} does not exist in {desk.session.region}")
        _recreate(desk, name, kept)
        return True
    if found.get("EndpointStatus") == "Deleting":
        raise BusyError(f"endpoint {name} is being deleted: its name is free after that")
    useless = USELESS.get(str(found.get("EndpointStatus")))
    if useless:
        raise RefusedError(f"endpoint {name} is {found['EndpointStatus']}: {useless}")
    config = desk.config(str(found["EndpointConfigName"]))
    if config is not None and has_components(config):
        require_still(found)
        resume_components(desk, name, kept)
        return True
    if found.get("EndpointStatus") != "Failed":
        return True
    if not kept:
        raise ConflictError(f"endpoint {name} has failed: it has to be deleted and made again")
    delete_endpoint(desk, name)
    return False


def restore(desk: Desk, name: str, kept: JsonObject) -> Restored:
    """Put back weights, counts, targets, policies and actions where they differ from `kept`.

    Raises BusyError while the endpoint does not serve yet.
    """
    if not kept or kept.get("kind") == "components":
        return Restored()
    require_whole(kept)
    found = desk.existing(name)
    require_still(found)
    used = found.get("EndpointConfigName")
    if used != config_name(kept):
        # Somebody made another of this name: what was kept is about an endpoint that is no more.
        unmark(desk, name, config_name(kept))
        difference = (
            f"it was made with another configuration, {used} in place of {config_name(kept)}: "
            "its scaling was not put back"
        )
        return Restored(differences=(difference,))
    # Counts first: a target moves a count that is outside of its bounds.
    done = [*_variants_back(desk, found, kept)]
    try:
        done += [*_targets_back(desk, kept), *_policies_back(desk, kept)]
        done += [*_actions_back(desk, kept), *_unmarked(desk, name, kept)]
    except RefusedError:
        # Autoscaling may refuse an endpoint whose count is being changed just now.
        require_still(desk.existing(name))
        raise
    return Restored(tuple(done), tuple(_differences(desk, name, kept)))


def _recreate(desk: Desk, name: str, kept: JsonObject) -> None:
    require_whole(kept)
    for model in models_of(kept):
        _model_back(desk, model, (kept.get("model_tags") or {}).get(model.get("ModelName"), {}))
    _config_back(desk, kept)
    request = {
        "EndpointName": name,
        "EndpointConfigName": config_name(kept),
        "Tags": tag_list(kept.get("tags") or {}),
    }
    create_endpoint(desk, request)


def _model_back(desk: Desk, model: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Check that a model is as it was, or make it again when nothing of it is missing."""
    name = str(model["ModelName"])
    found = desk.model(name)
    if found is not None:
        return  # where somebody has replaced it, that is told once the endpoint serves
    missing = redacted_names(model)
    if missing:
        raise RefusedError(
            f"model {name} was deleted, and the values of {', '.join(missing)} are not kept: "
            "create a model of this name with the same image and environment, then resume"
        )
    desk.session.change("sagemaker", "CreateModel", **model, Tags=tag_list(tags))


def _config_back(desk: Desk, kept: JsonObject) -> None:
    config = dict(kept.get("config") or {})
    name = config_name(kept)
    found = desk.config(name)
    if found is None:
        tags = tag_list(kept.get("config_tags") or {})
        desk.session.change("sagemaker", "CreateEndpointConfig", **config, Tags=tags)
        return
    if plain(creatable(found, CONFIG_FIELDS)) != config:
        raise RefusedError(
            f"configuration {name} is not the one that was kept, somebody replaced it: put it "
            "back, or delete that one, and it is made again"
        )


def _variants_back(desk: Desk, found: Answer, kept: JsonObject) -> Iterator[str]:
    """Put weights and counts back in one call, only those that differ."""
    now = {str(item.get("VariantName")): item for item in variants(found)}
    wanted: list[dict[str, Any]] = []
    for item in kept.get("variants") or ():
        change = _variant_change(now.get(str(item.get("name"))), item)
        if change:
            wanted.append({"VariantName": item["name"], **change})
    if wanted:
        desk.session.change(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=found["EndpointName"],
            DesiredWeightsAndCapacities=wanted,
        )
        yield f"weights and instance counts of {', '.join(item['VariantName'] for item in wanted)}"


def _variant_change(now: Answer | None, before: Mapping[str, Any]) -> dict[str, Any]:
    pairs = (("DesiredWeight", "weight"), ("DesiredInstanceCount", "count"))
    return {
        field: before[name]
        for field, name in pairs
        if now is not None and before.get(name) is not None and now.get(field) != before[name]
    }


def _targets_back(desk: Desk, kept: JsonObject) -> Iterator[str]:
    before = [dict(target) for target in kept.get("targets") or ()]
    resources = [str(target["ResourceId"]) for target in before]
    now = {
        row["ResourceId"]: plain(row) | {"SuspendedState": suspended_state(row)}
        for row in scaling.read_targets(desk.session, resources)
    }
    for target in before:
        if now.get(target["ResourceId"]) != target:
            desk.session.change(scaling.SERVICE, "RegisterScalableTarget", **target)
            yield f"autoscaling target {target['ResourceId']}"


def _policies_back(desk: Desk, kept: JsonObject) -> Iterator[str]:
    before = [dict(policy) for policy in kept.get("policies") or ()]
    now = {
        (resource, policy["PolicyName"]): plain(scaling.kept_policy(policy))
        for resource in dict.fromkeys(str(item["ResourceId"]) for item in before)
        for policy in scaling.read_policies(desk.session, resource)
    }
    for policy in before:
        if now.get((policy["ResourceId"], policy["PolicyName"])) != policy:
            desk.session.change(scaling.SERVICE, "PutScalingPolicy", **policy)
            yield f"scaling policy {policy['PolicyName']}"


def _actions_back(desk: Desk, kept: JsonObject) -> Iterator[str]:
    before = [dict(action) for action in kept.get("scheduled_actions") or ()]
    now = {
        (resource, action["ScheduledActionName"]): plain(action)
        for resource in dict.fromkeys(str(item["ResourceId"]) for item in before)
        for action in scaling.read_actions(desk.session, resource)
    }
    for action in before:
        if now.get((action["ResourceId"], action["ScheduledActionName"])) == action:
            continue
        try:
            desk.session.change(scaling.SERVICE, "PutScheduledAction", **action)
        except RefusedError:
            # One whose time has passed while the endpoint was away: told as a difference below.
            if not is_over(action, desk):
                raise
            continue
        yield f"scheduled action {action['ScheduledActionName']}"


def is_over(action: Mapping[str, Any], desk: Desk) -> bool:
    """Return whether a scheduled action has no time left to act, by the cloud's clock."""
    now = desk.session.cloud_time
    end = str(action.get("EndTime") or "")
    once = str(action.get("Schedule", "")).startswith("at(")
    return once or bool(now is not None and end and end <= now.isoformat())


def _unmarked(desk: Desk, name: str, kept: JsonObject) -> Iterator[str]:
    config = config_name(kept)
    if unmark(desk, name, config):
        yield f"the mark of the pause on configuration {config} removed"


def _differences(desk: Desk, name: str, kept: JsonObject) -> list[str]:
    """Return in words how the endpoint differs from what was kept."""
    findings = read_findings(desk, name)
    now = document_of(desk, findings)
    # One that had failed told neither weights nor counts.
    ignored = ("digest", "alarms", *(() if kept.get("variants") else ("variants",)))
    before = {key: value for key, value in kept.items() if key not in ignored}
    found = differences(before, {key: now[key] for key in now if key not in ignored})
    return [*found, *_about_alarms(desk, kept, findings.policies)]


def _about_alarms(desk: Desk, kept: JsonObject, policies: list[Answer]) -> Iterator[str]:
    names = [str(name) for name in kept.get("alarms") or ()]
    arns = {str(policy.get("PolicyARN")) for policy in policies}
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for start in range(0, len(names), 100):
            some = names[start : start + 100]
            rows = desk.session.pages(
                "cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNames=some
            )
            found |= {str(row.get("AlarmName")): row for row in rows}
    except RefusedError as error:
        yield f"alarms could not be read: {error}"
        return
    for name in names:
        if name not in found:
            yield f"alarm {name} is gone"
            continue
        for action in found[name].get("AlarmActions") or ():
            if ":scalingPolicy:" in action and action not in arns:
                policy = str(action).rpartition("policyName/")[2]
                yield (
                    f"alarm {name} calls scaling policy {policy} by an ARN of before the pause: "
                    "put the new one into the alarm's actions"
                )
