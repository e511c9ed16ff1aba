"""Application Auto Scaling: scalable targets, policies, scheduled actions, activities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.sandbox.aws import schedule
from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Params, Result
from orchestrator.sandbox.aws.errors import AwsError, invalid
from orchestrator.sandbox.aws.listing import cut
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.aws.resources import resource
from orchestrator.sandbox.aws.scalable import (
    COMPONENT,
    DIMENSIONS,
    VARIANT,
    drop_alarms,
    forget,
    key,
)
from orchestrator.sandbox.instants import hex_id, to_datetime

Document = dict[str, Any]
SERVICE = "application-autoscaling"
_ROLE = (
    "arn:aws:iam::{0}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_SUSPENDED = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)
_NO_TARGET = (
    "No scalable target registered for service namespace: {0}, resource ID: {1}, "
    "scalable dimension: {2}"
)


def register_target(call: AwsCall) -> Result:
    """Register or change a target, and bring its resource within the bounds."""
    params, place = call.params, call.place
    mine = _key(params)
    old = place.targets.get(mine)
    if old is None:
        _require_resource(call)
    target = {**(old or _fresh(call)), **_bounds(params)}
    state = {**target["SuspendedState"], **params.get("SuspendedState", {})}
    target["SuspendedState"] = state
    if "MinCapacity" not in target or "MaxCapacity" not in target:
        raise invalid("MinCapacity and MaxCapacity must be provided for a new scalable target.")
    if target["MinCapacity"] > target["MaxCapacity"]:
        raise invalid("Maximum capacity cannot be less than minimum capacity")
    _require_floor(place, target)
    place.targets[mine] = target
    call.cloud.scaler.fit(place, target, "the bounds of the scalable target changed")
    return {"ScalableTargetARN": target["ScalableTargetARN"]}


def _key(params: Params, name: str = "") -> str:
    if params["ServiceNamespace"] != "sagemaker" or params["ScalableDimension"] not in DIMENSIONS:
        raise invalid("Unsupported service namespace, resource type or scalable dimension")
    return key(params["ResourceId"], params["ScalableDimension"], name)


def _require_resource(call: AwsCall) -> None:
    found = resource(call.place, {**call.params})
    kind = call.params["ScalableDimension"]
    if found is None or (found.component is None) is (kind == COMPONENT):
        raise invalid(f"Resource not found: {call.params['ResourceId']}")


def _require_floor(place: Place, target: Document) -> None:
    """A variant goes to zero only where requests are asynchronous."""
    found = resource(place, target)
    if target["MinCapacity"] or target["ScalableDimension"] != VARIANT:
        return
    if found is not None and found.endpoint is not None and not found.endpoint.is_async:
        raise invalid("Minimum capacity must be greater than 0 for this resource.")


def _fresh(call: AwsCall) -> Document:
    params, place = call.params, call.place
    identity = hex_id(call.cloud.core.seed, "target", _key(params), digits=32)
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": params["ResourceId"],
        "ScalableDimension": params["ScalableDimension"],
        "RoleARN": params.get("RoleARN") or _ROLE.format(place.account_id),
        "CreationTime": to_datetime(call.now),
        "SuspendedState": dict.fromkeys(_SUSPENDED, False),
        "ScalableTargetARN": place.arn("scalable-target", identity, SERVICE),
    }


def _bounds(params: Params) -> Document:
    return {name: params[name] for name in ("MinCapacity", "MaxCapacity") if name in params}


def deregister_target(call: AwsCall) -> Result:
    """Forget a target with its policies and scheduled actions."""
    _require_target(call.place, call.params)
    params = call.params
    forget(call.cloud.core, call.place, params["ResourceId"], params["ScalableDimension"])
    return {}


def _require_target(place: Place, params: Params) -> None:
    if _key(params) not in place.targets:
        names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        raise AwsError(
            "ObjectNotFoundException", _NO_TARGET.format(*(params[one] for one in names))
        )


def put_policy(call: AwsCall) -> Result:
    """Add or change a policy; target tracking makes alarms for itself."""
    place, params = call.place, call.params
    _require_target(place, params)
    name = params["PolicyName"]
    mine = _key(params, name)
    old = place.policies.get(mine, {})
    _check_policy({**old, **params})
    identity = hex_id(call.cloud.core.seed, "policy", mine, digits=32)
    arn = f"{place.arn('scalingPolicy', identity, 'autoscaling')}:resource/sagemaker/"
    policy = {
        "CreationTime": to_datetime(call.now),
        "PolicyARN": f"{arn}{params['ResourceId']}:policyName/{name}",
        "PolicyType": "StepScaling",
        **old,
        **params,
    }
    drop_alarms(place, policy)
    policy["Alarms"] = [*_own_alarms(call, policy)]
    place.policies[mine] = policy
    return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}


def _check_policy(policy: Params) -> None:
    kinds = {
        "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
        "StepScaling": "StepScalingPolicyConfiguration",
    }
    needed = kinds.get(policy.get("PolicyType", "StepScaling"))
    if needed is None or needed not in policy:
        raise invalid(f"{needed or 'A scaling policy configuration'} must be provided.")


def _own_alarms(call: AwsCall, policy: Document) -> Iterable[Document]:
    if policy["PolicyType"] != "TargetTrackingScaling":
        return
    settings = policy["TargetTrackingScalingPolicyConfiguration"]
    seed, metric = call.cloud.core.seed, settings.get("PredefinedMetricSpecification", {})
    for side in ("High", "Low"):
        identity = hex_id(seed, "alarm", policy["PolicyARN"], side, digits=32)
        name = f"TargetTracking-{policy['ResourceId']}-Alarm{side}-{identity}"
        arn = call.place.alarm_arn(name)
        call.place.alarms[name] = {
            "AlarmName": name,
            "AlarmArn": arn,
            "AlarmDescription": "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "
            f"{policy['PolicyARN']}.",
            "ActionsEnabled": True,
            "AlarmActions": [policy["PolicyARN"]],
            "Namespace": "AWS/SageMaker",
            "MetricName": metric.get("PredefinedMetricType", "custom"),
            "Period": 10 if "HighResolution" in metric.get("PredefinedMetricType", "") else 60,
            "EvaluationPeriods": 90 if side == "Low" else 3,
            "Threshold": float(settings["TargetValue"]) * (0.9 if side == "Low" else 1.0),
            "ComparisonOperator": "LessThanThreshold" if side == "Low" else "GreaterThanThreshold",
            "StateValue": "OK",
        }
        yield {"AlarmName": name, "AlarmARN": arn}


def delete_policy(call: AwsCall) -> Result:
    """Remove a policy and the alarms that it made."""
    mine = _key(call.params, call.params["PolicyName"])
    policy = _pop(call.place.policies, mine, "scaling policy", call.params["PolicyName"])
    drop_alarms(call.place, policy)
    return {}


def _pop(documents: dict[str, Document], mine: str, kind: str, name: str) -> Document:
    if mine not in documents:
        raise AwsError("ObjectNotFoundException", f"No {kind} found with name: {name}")
    return documents.pop(mine)


def put_action(call: AwsCall) -> Result:
    """Add or change a scheduled action; a change without start or end drops the old ones."""
    place, params = call.place, call.params
    _require_target(place, params)
    name = params["ScheduledActionName"]
    mine = _key(params, name)
    old = place.scheduled_actions.get(mine, {})
    kept = {one: value for one, value in old.items() if one not in {"StartTime", "EndTime"}}
    identity = hex_id(call.cloud.core.seed, "action", mine, digits=32)
    arn = f"{place.arn('scheduledAction', identity, 'autoscaling')}:resource/sagemaker/"
    action = {
        "CreationTime": to_datetime(call.now),
        "ScheduledActionARN": f"{arn}{params['ResourceId']}:scheduledActionName/{name}",
        **kept,
        **params,
    }
    if "Schedule" not in action:
        raise invalid("Schedule must be provided.")
    schedule.check(action)
    place.scheduled_actions[mine] = action
    call.cloud.core.timeline.clear(place, [mine])
    return {}


def delete_action(call: AwsCall) -> Result:
    """Remove a scheduled action."""
    name = call.params["ScheduledActionName"]
    mine = _key(call.params, name)
    _pop(call.place.scheduled_actions, mine, "scheduled action", name)
    call.cloud.core.timeline.clear(call.place, [mine])
    return {}


def _wanted(params: Params, row: Document, names: tuple[str, str]) -> bool:
    """`names` are the filter and the field of the row that it means."""
    many, field = names
    one = {row["ResourceId"], row.get("PolicyName"), row.get("ScheduledActionName")}
    return (
        params.get("ScalableDimension") in {None, row["ScalableDimension"]}
        and (many == "ResourceIds" or params.get("ResourceId") in {None, *one})
        and (not params.get(many) or row[field] in params[many])
    )


def _describe(
    found: Callable[[Place], Iterable[Document]], key_name: str, names: tuple[str, str]
) -> Callable[[AwsCall], Result]:
    def describe(call: AwsCall) -> Result:
        rows = [row for row in found(call.place) if _wanted(call.params, row, names)]
        size = call.params.get("MaxResults", 50)
        return cut(rows, key_name, call.params.get("NextToken"), size, call.shift)

    return describe


HANDLERS: Handlers = {
    (SERVICE, "RegisterScalableTarget"): (register_target, True),
    (SERVICE, "DeregisterScalableTarget"): (deregister_target, True),
    (SERVICE, "DescribeScalableTargets"): (
        _describe(lambda p: p.targets.values(), "ScalableTargets", ("ResourceIds", "ResourceId")),
        False,
    ),
    (SERVICE, "PutScalingPolicy"): (put_policy, True),
    (SERVICE, "DeleteScalingPolicy"): (delete_policy, True),
    (SERVICE, "DescribeScalingPolicies"): (
        _describe(lambda p: p.policies.values(), "ScalingPolicies", ("PolicyNames", "PolicyName")),
        False,
    ),
    (SERVICE, "PutScheduledAction"): (put_action, True),
    (SERVICE, "DeleteScheduledAction"): (delete_action, True),
    (SERVICE, "DescribeScheduledActions"): (
        _describe(
            lambda p: p.scheduled_actions.values(),
            "ScheduledActions",
            ("ScheduledActionNames", "ScheduledActionName"),
        ),
        False,
    ),
    (SERVICE, "DescribeScalingActivities"): (
        _describe(lambda p: p.activities[::-1], "ScalingActivities", ("", "")),
        False,
    ),
}
