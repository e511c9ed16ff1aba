"""Which rights the credentials have, found out by calls that change nothing.

Reads are tried by reading, of something that is not there where a name is needed. Changes are
tried on things whose names are random, so that they cannot exist: IAM refuses what is not allowed
before the service looks for them, and the service refuses what is allowed because it finds nothing.
Making an endpoint is tried with the name of one that exists and a configuration that does not;
without any endpoint it is unknown, as are the other calls that make something by a name. A probe
that a lenient cloud takes all the same is undone at once.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestrator.clock import Clock
from orchestrator.providers.base import (
    CredentialsError,
    NotFoundError,
    ProviderError,
    RefusedError,
    Right,
)
from orchestrator.providers.permit import unasked
from orchestrator.providers.sagemaker.failures import DeniedError
from orchestrator.providers.sagemaker.session import AwsSession

_log = logging.getLogger(__name__)

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
    `undo` is the operation of the same service that takes back what it has made nevertheless.
    """

    action: str
    needed_for: str
    params: Callable[[_Nobody], Mapping[str, Any] | None] | None = None
    service: str = ""
    change: bool = False
    undo: str = ""

    @property
    def call(self) -> tuple[str, str]:
        """Return service and operation, as botocore calls them."""
        prefix, operation = self.action.split(":")
        return self.service or prefix, operation


@dataclass(frozen=True, slots=True)
class _Nobody:
    """Names and ARNs of something that does not exist; `asked` is what was asked about, or ""."""

    name: str
    session: AwsSession
    clock: Clock
    asked: str = ""

    def arn(self, kind: str) -> str:
        return self.session.arn(kind, self.name)

    def endpoint(self) -> str | None:
        """Return an endpoint that exists: that of the name asked about, or one that begins so.

        Raises ProviderError.
        """
        named = {"NameContains": self.asked} if self.asked else {}
        found = self.session.read("sagemaker", "ListEndpoints", **named, MaxResults=100)
        names = [
            str(row.get("EndpointName"))
            for row in found.get("Endpoints") or ()
            if row.get("EndpointName") and row.get("EndpointStatus") != "Deleting"
        ]
        if self.asked in names:
            return self.asked
        return next((name for name in names if name.startswith(self.asked)), None)

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
    action: str,
    needed_for: str,
    params: Callable[[_Nobody], Mapping[str, Any] | None] | None,
    undo: str = "",
) -> Probe:
    return Probe(action, needed_for, params, change=True, undo=undo)


def _second(nobody: _Nobody) -> Mapping[str, Any] | None:
    """An endpoint that is there, asked for once more with a configuration that is not there."""
    name = nobody.endpoint()
    return {"EndpointName": name, "EndpointConfigName": nobody.name} if name else None


CHANGES: tuple[Probe, ...] = (
    _change("sagemaker:DeleteEndpoint", _PAUSE, lambda n: {"EndpointName": n.name}),
    _change("sagemaker:CreateEndpoint", _RESUME, _second, undo="DeleteEndpoint"),
    _change(
        "sagemaker:AddTags",
        _PAUSE,
        lambda n: {"ResourceArn": n.arn("endpoint-config"), "Tags": [{"Key": "a", "Value": "b"}]},
        undo="DeleteTags",
    ),
    _change(
        "sagemaker:DeleteTags",
        _RESUME,
        lambda n: {"ResourceArn": n.arn("endpoint-config"), "TagKeys": ["a"]},
    ),
    # A target that is not there yet needs its bounds, which are not given.
    _change(
        f"{_SCALING}:RegisterScalableTarget",
        _RESUME,
        lambda n: n.variant,
        undo="DeregisterScalableTarget",
    ),
    _change(
        f"{_SCALING}:PutScalingPolicy",
        _RESUME,
        lambda n: {**n.variant, "PolicyName": n.name, "PolicyType": "TargetTrackingScaling"},
        undo="DeleteScalingPolicy",
    ),
    _change(
        f"{_SCALING}:PutScheduledAction",
        _RESUME,
        lambda n: {**n.variant, "ScheduledActionName": n.name},
        undo="DeleteScheduledAction",
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
    _change("sagemaker:CreateInferenceComponent", _CREATE, None),
    _change("sagemaker:CreateEndpointConfig", _CREATE, None),
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
    nobody = _Nobody(_random_name(name), session, clock, name)
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
    params = _params(probe, nobody)
    if params is None:
        return None
    call = nobody.session.change if probe.change else nobody.session.read
    try:
        with unasked():
            call(*probe.call, **params)
    except DeniedError as error:
        return None if _is_of_another(str(error), probe) else False
    except CredentialsError:
        return None
    except RefusedError as error:
        return True if error.status == 400 or isinstance(error, NotFoundError) else None
    except ProviderError:
        return None
    # Reads succeed; so do deletions of what is not there. Nothing else should.
    if probe.undo:
        _take_back(probe, nobody, params)
    return True


def _params(probe: Probe, nobody: _Nobody) -> Mapping[str, Any] | None:
    """Return what a probe asks for, None where it cannot be told."""
    try:
        return probe.params(nobody) if probe.params else None
    except ProviderError:
        return None


def _take_back(probe: Probe, nobody: _Nobody, params: Mapping[str, Any]) -> None:
    """Undo a probe that a lenient cloud has taken; what fails of that is only logged."""
    _log.warning("the cloud took a probe of %s, which is undone", probe.action)
    service, _ = probe.call
    try:
        if not _is_another(probe, nobody, params):
            nobody.session.change(service, probe.undo, **_undoing(params))
    except NotFoundError:
        return
    except ProviderError as error:
        _log.warning("a probe of %s may be left over: %s", probe.action, error)


def _is_another(probe: Probe, nobody: _Nobody, params: Mapping[str, Any]) -> bool:
    """Return whether the endpoint of this name is the one from before: the probe made nothing."""
    if probe.undo != "DeleteEndpoint":
        return False
    named = {"EndpointName": params["EndpointName"]}
    found = nobody.session.read("sagemaker", "DescribeEndpoint", **named)
    return found.get("EndpointConfigName") != nobody.name


def _undoing(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the call that takes back one with these."""
    not_taken = ("EndpointConfigName", "PolicyType", "Tags")
    kept = {key: value for key, value in params.items() if key not in not_taken}
    return kept | ({"TagKeys": [tag["Key"] for tag in params["Tags"]]} if "Tags" in params else {})


def _is_of_another(words: str, probe: Probe) -> bool:
    """Return whether a refusal names another action, such as the passing of a role."""
    named = _NAMED.search(words)
    return named is not None and named[1].lower() != probe.action.lower()
