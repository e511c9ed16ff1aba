"""Which rights the credentials have, found out by calls that change nothing.

Reads are tried by reading, of something that is not there where a name is needed. Changes are
tried on things whose names are random, so that they cannot exist: IAM refuses what is not allowed
before the service looks for them, and the service refuses what is allowed because it finds nothing.
Calls that make something lack what they would need besides, so that none could succeed even if
the name were there. What cannot be told in this way without a call that might succeed is unknown:
making a model (and passing a role to it) and putting an alarm.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestrator.clock import Clock
from orchestrator.providers.base import (
    AmbiguousError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    RefusedError,
    Right,
    UnavailableError,
)
from orchestrator.providers.sagemaker.failures import DeniedError
from orchestrator.providers.sagemaker.session import AwsSession

_STEM = 40
_NAMED = re.compile(r"not authorized to perform: ([\w:-]+)")
_SCALING = "application-autoscaling"
_LOOK, _COUNT, _PRICE = "seeing endpoints", "counting requests", "knowing prices"
_PAUSE, _RESUME = "pausing by deletion", "resuming what was deleted"
_COMPONENTS = "pausing and resuming inference components"
_CREATE, _UPDATE, _DELETE = "creating endpoints", "changing endpoints", "deleting endpoints"
_ESSENTIAL = (_LOOK, _PAUSE, _RESUME)


@dataclass(frozen=True, slots=True)
class Probe:
    """One right: how IAM calls it, what fails without it, and the call that finds it out.

    `params` makes the call's parameters of a name that does not exist; None: it cannot be told.
    """

    action: str
    needed_for: str
    params: Callable[[_Nobody], Mapping[str, Any]] | None = None
    service: str = ""
    change: bool = False

    @property
    def call(self) -> tuple[str, str]:
        """Return service and operation, as botocore calls them."""
        prefix, operation = self.action.split(":")
        return self.service or prefix, operation


@dataclass(frozen=True, slots=True)
class _Nobody:
    """Names and ARNs of something that does not exist."""

    name: str
    session: AwsSession
    clock: Clock

    def arn(self, kind: str) -> str:
        return self.session.arn(kind, self.name)

    @property
    def variant(self) -> dict[str, str]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.name}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }


def _metric(nobody: _Nobody) -> dict[str, Any]:
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations"}
    end = nobody.clock.now()
    query = {"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    return {
        "MetricDataQueries": [query],
        "StartTime": end - timedelta(minutes=5),
        "EndTime": end,
    }


def _look(operation: str, params: Callable[[_Nobody], Mapping[str, Any]]) -> Probe:
    return Probe(f"sagemaker:{operation}", _LOOK, params)


READS: tuple[Probe, ...] = (
    _look("ListEndpoints", lambda _: {"MaxResults": 1}),
    _look("DescribeEndpoint", lambda n: {"EndpointName": n.name}),
    _look("DescribeEndpointConfig", lambda n: {"EndpointConfigName": n.name}),
    _look("DescribeModel", lambda n: {"ModelName": n.name}),
    _look("ListTags", lambda n: {"ResourceArn": n.arn("endpoint")}),
    _look("ListInferenceComponents", lambda _: {"MaxResults": 1}),
    _look("DescribeInferenceComponent", lambda n: {"InferenceComponentName": n.name}),
    Probe(
        "tag:GetResources",
        "seeing the tags of many endpoints at once",
        lambda _: {"ResourceTypeFilters": ["sagemaker:endpoint"], "ResourcesPerPage": 1},
        service="resourcegroupstaggingapi",
    ),
    Probe(
        f"{_SCALING}:DescribeScalableTargets",
        _LOOK,
        lambda _: {"ServiceNamespace": "sagemaker", "MaxResults": 1},
    ),
    Probe(
        f"{_SCALING}:DescribeScalingPolicies",
        _LOOK,
        lambda _: {"ServiceNamespace": "sagemaker", "MaxResults": 1},
    ),
    Probe(
        f"{_SCALING}:DescribeScheduledActions",
        _PAUSE,
        lambda _: {"ServiceNamespace": "sagemaker", "MaxResults": 1},
    ),
    Probe("cloudwatch:GetMetricData", _COUNT, _metric),
    Probe("cloudwatch:DescribeAlarms", _PAUSE, lambda _: {"MaxRecords": 1}),
    Probe(
        "pricing:GetProducts",
        _PRICE,
        lambda _: {"ServiceCode": "AmazonSageMaker", "MaxResults": 1},
    ),
    Probe(
        "servicequotas:ListServiceQuotas",
        "knowing quotas",
        lambda _: {"ServiceCode": "sagemaker", "MaxResults": 1},
        service="service-quotas",
    ),
    Probe("account:ListRegions", "finding the enabled regions", lambda _: {"MaxResults": 1}),
    Probe("sagemaker:ListEndpointConfigs", _DELETE, lambda _: {"MaxResults": 1}),
    Probe("sagemaker:ListModels", _DELETE, lambda _: {"MaxResults": 1}),
)


def _change(
    action: str, needed_for: str, params: Callable[[_Nobody], Mapping[str, Any]] | None
) -> Probe:
    return Probe(action, needed_for, params, change=True)


CHANGES: tuple[Probe, ...] = (
    _change("sagemaker:DeleteEndpoint", _PAUSE, lambda n: {"EndpointName": n.name}),
    _change(
        "sagemaker:CreateEndpoint",
        _RESUME,
        lambda n: {"EndpointName": n.name, "EndpointConfigName": n.name},
    ),
    _change(
        "sagemaker:AddTags",
        _PAUSE,
        lambda n: {"ResourceArn": n.arn("endpoint-config"), "Tags": [{"Key": "a", "Value": "b"}]},
    ),
    _change(
        "sagemaker:DeleteTags",
        _RESUME,
        lambda n: {"ResourceArn": n.arn("endpoint-config"), "TagKeys": ["a"]},
    ),
    # A target that is not there yet needs its bounds, which are not given.
    _change(f"{_SCALING}:RegisterScalableTarget", _RESUME, lambda n: n.variant),
    _change(
        f"{_SCALING}:PutScalingPolicy",
        _RESUME,
        lambda n: {**n.variant, "PolicyName": n.name, "PolicyType": "TargetTrackingScaling"},
    ),
    _change(
        f"{_SCALING}:PutScheduledAction",
        _RESUME,
        lambda n: {**n.variant, "ScheduledActionName": n.name},
    ),
    _change(
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        _RESUME,
        lambda n: {
            "EndpointName": n.name,
            "DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic", "DesiredWeight": 1.0}],
        },
    ),
    _change(
        "sagemaker:UpdateInferenceComponentRuntimeConfig",
        _COMPONENTS,
        lambda n: {"InferenceComponentName": n.name, "DesiredRuntimeConfig": {"CopyCount": 1}},
    ),
    _change(
        "sagemaker:UpdateEndpoint",
        _UPDATE,
        lambda n: {"EndpointName": n.name, "EndpointConfigName": n.name},
    ),
    _change(
        "sagemaker:UpdateInferenceComponent",
        _UPDATE,
        lambda n: {"InferenceComponentName": n.name, "Specification": {"ModelName": n.name}},
    ),
    _change(f"{_SCALING}:DeregisterScalableTarget", _UPDATE, lambda n: n.variant),
    _change(
        f"{_SCALING}:DeleteScalingPolicy", _DELETE, lambda n: {**n.variant, "PolicyName": n.name}
    ),
    # Policies may allow the alarms of this driver alone, which end so.
    _change("cloudwatch:DeleteAlarms", _DELETE, lambda n: {"AlarmNames": [f"{n.name}-wake"]}),
    _change(
        "sagemaker:DeleteInferenceComponent", _DELETE, lambda n: {"InferenceComponentName": n.name}
    ),
    _change("sagemaker:DeleteEndpointConfig", _DELETE, lambda n: {"EndpointConfigName": n.name}),
    _change("sagemaker:DeleteModel", _DELETE, lambda n: {"ModelName": n.name}),
    _change(
        "sagemaker:CreateInferenceComponent",
        _CREATE,
        lambda n: {
            "InferenceComponentName": n.name,
            "EndpointName": n.name,
            "VariantName": "AllTraffic",
        },
    ),
    _change(
        "sagemaker:CreateEndpointConfig",
        _CREATE,
        lambda n: {
            "EndpointConfigName": n.name,
            "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": n.name}],
        },
    ),
    _change("sagemaker:CreateModel", _CREATE, None),
    _change("iam:PassRole", _CREATE, None),
    _change("cloudwatch:PutMetricAlarm", _CREATE, None),
)


def read_rights(
    session: AwsSession, clock: Clock, probes: Iterable[Probe] = (*READS, *CHANGES), name: str = ""
) -> list[Right]:
    """Return each right: allowed, not allowed, or None where that cannot be told.

    `name` is what the names that are tried begin with, for policies that allow names by pattern.
    """
    nobody = _Nobody(_random_name(name), session, clock)
    return [
        Right(
            probe.action,
            _tried(probe, nobody),
            probe.needed_for,
            essential=probe.needed_for in _ESSENTIAL,
        )
        for probe in probes
    ]


def rights_for(
    session: AwsSession, clock: Clock, actions: Sequence[str], name: str = ""
) -> list[Right]:
    """Return the rights to some actions, in the order asked for, on names that begin with `name`.

    Raises KeyError for an action that the driver does not need.
    """
    known = {probe.action: probe for probe in (*READS, *CHANGES)}
    return read_rights(session, clock, [known[action] for action in actions], name)


def _random_name(name: str) -> str:
    stem = name[:_STEM].rstrip("-")
    tail = "" if stem else "-orchestrator-probe"
    return "-".join(filter(None, (stem, secrets.token_hex(6)))) + tail


def _tried(probe: Probe, nobody: _Nobody) -> bool | None:
    """A refusal for another reason than a missing right comes after IAM has allowed the call."""
    if probe.params is None:
        return None
    call = nobody.session.change if probe.change else nobody.session.read
    try:
        call(*probe.call, **probe.params(nobody))
    except DeniedError as error:
        return None if _is_of_another(str(error), probe) else False
    except (CredentialsError, UnavailableError, AmbiguousError):
        return None
    except RefusedError as error:
        return True if error.status == 400 or isinstance(error, NotFoundError) else None
    except ProviderError:
        return None
    # Reads succeed; so do deletions of what is not there. Nothing else can.
    return True


def _is_of_another(words: str, probe: Probe) -> bool:
    """Return whether a refusal names another action, such as the passing of a role."""
    named = _NAMED.search(words)
    return named is not None and named[1].lower() != probe.action.lower()
