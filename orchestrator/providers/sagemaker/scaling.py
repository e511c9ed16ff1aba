"""Application Auto Scaling: targets, policies and scheduled actions of variants and components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.endpoints import Scaling
from orchestrator.providers.base import NotFoundError
from orchestrator.providers.sagemaker.limits import (
    CLASSIC_METRICS,
    COMPONENT_METRICS,
    target_value,
)
from orchestrator.providers.sagemaker.naming import LONGEST_NAME
from orchestrator.providers.sagemaker.session import AwsSession

SERVICE = "application-autoscaling"
VARIANT_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
COMPONENT_DIMENSION = "sagemaker:inference-component:DesiredCopyCount"
NAMESPACE = "AWS/SageMaker"
_WHERE = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_TARGET = (*_WHERE, "MinCapacity", "MaxCapacity", "SuspendedState")
_POLICY = (
    *_WHERE,
    "PolicyName",
    "PolicyType",
    "StepScalingPolicyConfiguration",
    "TargetTrackingScalingPolicyConfiguration",
    "PredictiveScalingPolicyConfiguration",
)
_ACTION = (
    *_WHERE,
    "ScheduledActionName",
    "Schedule",
    "Timezone",
    "StartTime",
    "EndTime",
    "ScalableTargetAction",
)
_DEFAULT_LOAD = 5.0
_MOST_IDS = 50
SUSPENDED = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")

Document = dict[str, Any]


def where(resource: str) -> dict[str, str]:
    """Return what names a resource to Application Auto Scaling."""
    classic = resource.startswith("endpoint/")
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": resource,
        "ScalableDimension": VARIANT_DIMENSION if classic else COMPONENT_DIMENSION,
    }


def variant_resource(endpoint: str, variant: str) -> str:
    """Return the resource id of a variant."""
    return f"endpoint/{endpoint}/variant/{variant}"


def component_resource(component: str) -> str:
    """Return the resource id of an inference component."""
    return f"inference-component/{component}"


def read_targets(session: AwsSession, resources: Sequence[str]) -> list[Document]:
    """Return the scalable targets of some resources, with what registers them again."""
    found: list[Document] = []
    for start in range(0, len(resources), _MOST_IDS):
        rows = session.pages(
            SERVICE,
            "DescribeScalableTargets",
            "ScalableTargets",
            ServiceNamespace="sagemaker",
            ResourceIds=list(resources[start : start + _MOST_IDS]),
        )
        found += [_picked(row, _TARGET) for row in rows]
    return sorted(found, key=_place)


def read_policies(session: AwsSession, resource: str) -> list[Document]:
    """Return the scaling policies of a resource as AWS describes them."""
    named = {"ServiceNamespace": "sagemaker", "ResourceId": resource}
    rows = session.pages(SERVICE, "DescribeScalingPolicies", "ScalingPolicies", **named)
    return sorted((dict(row) for row in rows), key=lambda row: str(row.get("PolicyName")))


def read_actions(session: AwsSession, resource: str) -> list[Document]:
    """Return the scheduled actions of a resource, with what puts them again."""
    named = {"ServiceNamespace": "sagemaker", "ResourceId": resource}
    rows = session.pages(SERVICE, "DescribeScheduledActions", "ScheduledActions", **named)
    found = [_picked(row, _ACTION) for row in rows]
    return sorted(found, key=lambda row: str(row.get("ScheduledActionName")))


def kept_policy(policy: Mapping[str, Any]) -> Document:
    """Return what puts a policy again: its ARN and its alarms get new names then."""
    return _picked(policy, _POLICY)


def managed_alarms(policies: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the alarms that policies of the target tracking type own, and take with them."""
    tracking = (item for item in policies if item.get("PolicyType") == "TargetTrackingScaling")
    return {
        str(alarm.get("AlarmName")) for policy in tracking for alarm in policy.get("Alarms") or ()
    }


def register(
    session: AwsSession,
    resource: str,
    bounds: Scaling | None = None,
    suspended: Mapping[str, bool] | None = None,
) -> None:
    """Register a target, or change its bounds or what is suspended and nothing else."""
    params: Document = dict(where(resource))
    if bounds is not None:
        params |= {"MinCapacity": bounds.min_replicas, "MaxCapacity": bounds.max_replicas}
    if suspended is not None:
        params["SuspendedState"] = dict(suspended)
    session.change(SERVICE, "RegisterScalableTarget", **params)


def deregister(session: AwsSession, resource: str) -> None:
    """Remove a target with its policies and scheduled actions; gone already is success."""
    try:
        session.change(SERVICE, "DeregisterScalableTarget", **where(resource))
    except NotFoundError:
        return


def put_load_policy(
    session: AwsSession,
    resource: str,
    scaling: Scaling,
    name: str,
    old: Mapping[str, Any] | None = None,
) -> None:
    """Put the policy that holds the load of each replica at a value; `old` is what it has now."""
    session.change(
        SERVICE,
        "PutScalingPolicy",
        **where(resource),
        PolicyName=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=_load(resource, scaling, old or {}),
    )


def keep_load_policy(session: AwsSession, resource: str, scaling: Scaling, name: str) -> None:
    """Put a load policy where there is no policy, or change the one there is where it differs."""
    policies = read_policies(session, resource)
    tracking = [item for item in policies if item.get("PolicyType") == "TargetTrackingScaling"]
    if not policies:
        put_load_policy(session, resource, scaling, name)
    if not tracking:
        return
    old = dict(tracking[0].get("TargetTrackingScalingPolicyConfiguration") or {})
    if _load(resource, scaling, old) != old:
        put_load_policy(session, resource, scaling, str(tracking[0]["PolicyName"]), old)


def _load(resource: str, scaling: Scaling, old: Mapping[str, Any]) -> Document:
    """Return the configuration of a load policy: what is not asked for stays as it was."""
    classic = resource.startswith("endpoint/")
    metrics = CLASSIC_METRICS if classic else COMPONENT_METRICS
    load = target_value(scaling.threshold) if scaling.threshold else None
    new: Document = dict(old) or {"TargetValue": _DEFAULT_LOAD}
    if load is not None:
        new["TargetValue"] = load
    if scaling.metric in metrics or not old:
        metric = metrics.get(scaling.metric or "", metrics["concurrentRequests"])
        new["PredefinedMetricSpecification"] = {
            **new.get("PredefinedMetricSpecification", {}),
            "PredefinedMetricType": metric,
        }
        new.pop("CustomizedMetricSpecification", None)
    stays = scaling.min_replicas == 0 and scaling.scale_to_zero_minutes is None
    if not classic and stays != bool(new.get("DisableScaleIn")):
        new["DisableScaleIn"] = stays
    return new


def put_wake_policy(session: AwsSession, component: str) -> str:
    """Put the step policy that brings a component from zero copies to one; return its ARN."""
    answer = session.change(
        SERVICE,
        "PutScalingPolicy",
        **where(component_resource(component)),
        PolicyName=wake_name(component),
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Maximum",
            "Cooldown": 60,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    return str(answer["PolicyARN"])


def put_wake_alarm(session: AwsSession, component: str, policy_arn: str) -> None:
    """Put the alarm that calls the wake policy at the first request that found no copy.

    AWS's own sample compares with "greater than" 1, which takes two failed requests in a minute.
    """
    session.change(
        "cloudwatch",
        "PutMetricAlarm",
        AlarmName=wake_name(component),
        AlarmDescription=f"Wakes inference component {component} from zero copies.",
        AlarmActions=[policy_arn],
        Namespace=NAMESPACE,
        MetricName="NoCapacityInvocationFailures",
        Statistic="Maximum",
        Dimensions=[{"Name": "InferenceComponentName", "Value": component}],
        Period=60,
        EvaluationPeriods=1,
        DatapointsToAlarm=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
    )


def load_name(resource: str) -> str:
    """Return the name of our load policy of an endpoint or component."""
    return f"{resource[:LONGEST_NAME]}-load"


def wake_name(component: str) -> str:
    """Return the name of our wake policy and alarm of a component."""
    return f"{component}-wake"


def _picked(row: Mapping[str, Any], names: Sequence[str]) -> Document:
    return {name: row[name] for name in names if row.get(name) is not None}


def _place(row: Mapping[str, Any]) -> str:
    return str(row.get("ResourceId"))
