"""Creating endpoints on the simulated AWS, through lost answers, refusals and conflicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.endpoints import EndpointSpec, Scaling
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CapacityError,
    ConflictError,
    CredentialsError,
    RefusedError,
    UnavailableError,
)
from orchestrator.providers.sagemaker.bodies import plan_of
from orchestrator.providers.sagemaker.creating import create
from orchestrator.providers.sagemaker.naming import resource_name
from orchestrator.sandbox.faults import Fault, aws_error, drop_after, drop_before, truncate
from tests.providers.sm_cloud import (
    ACCOUNT,
    REGION,
    SCALING,
    SECRET,
    SmCloud,
    a_component,
    a_spec,
)

STEPS = ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
OURS = "endpoint-orchestrator:endpoint"


@pytest.fixture
def cloud() -> SmCloud:
    return SmCloud()


class TestNames:
    """The same content has the same name."""

    def test_they_are_short_enough_and_of_the_form(self) -> None:
        name = resource_name("a-" * 31 + "b", {"x": 1})
        assert len(name) <= 63
        assert "--" not in name

    def test_content_and_key_change_them(self) -> None:
        names = {
            resource_name("demo", {"x": 1}),
            resource_name("demo", {"x": 2}),
            resource_name("demo", {"x": 1}, b"key"),
            resource_name("other", {"x": 1}),
        }
        assert len(names) == 4


class TestClassic:
    """Model, configuration, endpoint."""

    def test_it_comes_up_as_asked(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_spec())
        assert cloud.status() == "Creating"
        cloud.wait()
        assert cloud.status() == "InService"
        assert cloud.operations() == STEPS
        environment = cloud.model()["PrimaryContainer"]["Environment"]
        assert environment["HF_MODEL_ID"] == "org/model-1b"
        assert environment["API_KEY"] == SECRET
        assert environment["HF_BATCH_SIZE"] == "4"

    def test_everything_carries_our_mark_and_the_tags(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_spec())
        arns = [
            cloud.endpoint()["EndpointArn"],
            cloud.config()["EndpointConfigArn"],
            cloud.model()["ModelArn"],
        ]
        for arn in arns:
            assert cloud.tags(arn).items() >= {OURS: "demo", "team": "search"}.items()
        assert cloud.tags(arns[2])["endpoint-orchestrator:secrets"] == "API_KEY"

    def test_a_repeated_create_finds_the_first(self, cloud: SmCloud) -> None:
        for _ in range(3):
            create(cloud.desk, a_spec())
            cloud.wait()
        assert cloud.operations() == STEPS
        assert cloud.made() == (1, 1, 1)

    @pytest.mark.parametrize("step", STEPS)
    @pytest.mark.parametrize("fault", [drop_after(), truncate(), aws_error("InternalFailure")])
    def test_after_a_doubt_it_goes_on(self, cloud: SmCloud, step: str, fault: Fault) -> None:
        with cloud.fault(fault, step), pytest.raises(AmbiguousError):
            create(cloud.desk, a_spec())
        create(cloud.desk, a_spec())
        assert cloud.made() == (1, 1, 1)
        assert cloud.operations() == STEPS

    @pytest.mark.parametrize("step", STEPS)
    def test_what_never_arrived_is_made_again(self, cloud: SmCloud, step: str) -> None:
        with cloud.fault(drop_before(), step), pytest.raises(AmbiguousError):
            create(cloud.desk, a_spec())
        create(cloud.desk, a_spec())
        assert cloud.made() == (1, 1, 1)

    def test_a_range_of_instances_is_registered_once_it_serves(self, cloud: SmCloud) -> None:
        spec = a_spec(scaling=Scaling(1, 3, None, "concurrentRequests", "7"))
        create(cloud.desk, spec)
        create(cloud.desk, spec)
        assert unfinished(cloud) == "autoscaling"
        cloud.wait()
        create(cloud.desk, spec)
        assert unfinished(cloud) == ""
        (target,) = cloud.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
        assert target["ResourceId"] == "endpoint/demo/variant/AllTraffic"
        (policy,) = cloud.call("DescribeScalingPolicies", SCALING, ServiceNamespace="sagemaker")[
            "ScalingPolicies"
        ]
        assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 7

    @pytest.mark.parametrize("step", ["RegisterScalableTarget", "PutScalingPolicy", "DeleteTags"])
    def test_a_doubt_in_the_last_steps(self, cloud: SmCloud, step: str) -> None:
        spec = a_spec(scaling=Scaling(1, 3))
        create(cloud.desk, spec)
        cloud.wait()
        with cloud.fault(drop_after(), step), pytest.raises(AmbiguousError):
            create(cloud.desk, spec)
        create(cloud.desk, spec)
        assert unfinished(cloud) == ""
        place = cloud.aws.place(ACCOUNT, REGION)
        assert (len(place.targets), len(place.policies)) == (1, 1)


class TestDeleting:
    """The name is not free yet."""

    def test_one_of_ours_that_is_being_deleted_is_waited_for(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        cloud.call("DeleteEndpoint", EndpointName="demo")
        with pytest.raises(BusyError):
            create(cloud.desk, a_spec())
        cloud.wait()
        create(cloud.desk, a_spec())
        assert cloud.status() == "Creating"


class TestRefused:
    """What was made is taken back, unless it is wanted later."""

    def test_somebody_elses_endpoint_is_left_alone(self, cloud: SmCloud) -> None:
        cloud.aws.add_endpoint(ACCOUNT, REGION, "demo")
        before = cloud.endpoint()
        with pytest.raises(ConflictError, match="demo"):
            create(cloud.desk, a_spec())
        assert cloud.endpoint() == before
        assert cloud.operations() == []

    def test_a_name_that_differs_in_case_is_taken_too(self, cloud: SmCloud) -> None:
        cloud.aws.add_endpoint(ACCOUNT, REGION, "Demo")
        before = cloud.made()
        with pytest.raises(ConflictError):
            create(cloud.desk, a_spec())
        assert cloud.made() == before

    def test_one_of_ours_with_another_content_is_a_conflict(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_spec())
        cloud.wait()
        with pytest.raises(ConflictError):
            create(cloud.desk, a_spec(repository="org/model-2b"))
        assert cloud.made() == (1, 1, 1)

    def test_a_name_with_another_content_is_not_taken_over(self, cloud: SmCloud) -> None:
        plan = plan_of(cloud.desk.place, a_spec(), cloud.desk.redactor.key)
        other = {"Image": "other/image:1"}
        cloud.call(
            "CreateModel",
            ModelName=plan.model["ModelName"],
            PrimaryContainer=other,
            ExecutionRoleArn=plan.model["ExecutionRoleArn"],
        )
        with pytest.raises(ConflictError, match="another content"):
            create(cloud.desk, a_spec())
        assert cloud.made() == (1, 0, 0)

    @pytest.mark.parametrize("step", STEPS[1:])
    def test_a_refusal_leaves_nothing_behind(self, cloud: SmCloud, step: str) -> None:
        with (
            cloud.fault(aws_error("ValidationException", "No."), step),
            pytest.raises(RefusedError),
        ):
            create(cloud.desk, a_spec())
        assert cloud.made() == (0, 0, 0)

    def test_a_right_that_is_missing_leaves_nothing_behind(self, cloud: SmCloud) -> None:
        cloud.aws.deny(ACCOUNT, "sagemaker:CreateEndpoint")
        with pytest.raises(CredentialsError):
            create(cloud.desk, a_spec())
        assert cloud.made() == (0, 0, 0)

    def test_what_cannot_be_taken_back_does_not_hide_the_reason(
        self, cloud: SmCloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        cloud.aws.deny(ACCOUNT, "sagemaker:CreateEndpoint", "sagemaker:DeleteModel")
        with pytest.raises(CredentialsError, match="CreateEndpoint"):
            create(cloud.desk, a_spec())
        assert cloud.made() == (1, 0, 0)
        assert "left over" in caplog.text

    def test_what_was_there_before_is_not_taken_back(self, cloud: SmCloud) -> None:
        with cloud.fault(drop_after(), "CreateModel"), pytest.raises(AmbiguousError):
            create(cloud.desk, a_spec())
        cloud.aws.deny(ACCOUNT, "sagemaker:CreateEndpoint")
        with pytest.raises(CredentialsError):
            create(cloud.desk, a_spec())
        assert cloud.made() == (1, 0, 0)

    def test_without_quota_it_waits_and_goes_on(self, cloud: SmCloud) -> None:
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 0)
        with pytest.raises(CapacityError, match="service limit"):
            create(cloud.desk, a_spec())
        assert cloud.made() == (1, 1, 0)
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 1)
        create(cloud.desk, a_spec())
        assert cloud.operations() == STEPS

    def test_a_configuration_that_aws_does_not_see_yet(self, cloud: SmCloud) -> None:
        words = 'Could not find endpoint configuration "arn".'
        with (
            cloud.fault(aws_error("ValidationException", words), "CreateEndpoint"),
            pytest.raises(UnavailableError),
        ):
            create(cloud.desk, a_spec())
        create(cloud.desk, a_spec())
        assert cloud.operations() == STEPS

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": "not_possible"}, "name: "),
            ({"scaling": Scaling(0, 1)}, "scaling.min_replicas: "),
            ({"environment": {"HF_NUM_CORES": "3"}}, "environment.HF_NUM_CORES: "),
        ],
    )
    def test_nothing_is_sent_that_would_be_refused(
        self, cloud: SmCloud, changes: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(RefusedError, match=field):
            create(cloud.desk, a_spec(**changes))
        assert cloud.operations(changes=False) == []


def test_secrets_are_in_no_error(cloud: SmCloud) -> None:
    with (
        cloud.fault(aws_error("ValidationException", f"bad {SECRET}"), "CreateModel"),
        pytest.raises(RefusedError) as caught,
    ):
        create(cloud.desk, a_spec())
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {cloud.desk!r}"


class TestComponents:
    """Endpoint first, then model, component, targets, policies and the alarm that wakes it."""

    def test_it_comes_up_step_by_step(self, cloud: SmCloud) -> None:
        seen: list[str] = []
        for _ in range(4):
            create(cloud.desk, a_component())
            seen.append(unfinished(cloud))
            cloud.wait()
        words = "inference component and autoscaling"
        assert seen == [words, words, "", ""]
        assert cloud.operations() == [
            "CreateEndpointConfig",
            "CreateEndpoint",
            "CreateModel",
            "CreateInferenceComponent",
            "RegisterScalableTarget",
            "PutScalingPolicy",
            "PutScalingPolicy",
            "PutMetricAlarm",
            "DeleteTags",
        ]

    def test_the_alarm_wakes_at_the_first_failed_request(self, cloud: SmCloud) -> None:
        cloud.create(a_component())
        (alarm,) = [
            row
            for row in cloud.call("DescribeAlarms", "cloudwatch")["MetricAlarms"]
            if row["AlarmName"].endswith("-wake")
        ]
        assert alarm["MetricName"] == "NoCapacityInvocationFailures"
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["Threshold"] == 1
        (component,) = cloud.desk.components("demo")
        assert dimensions(alarm) == {"InferenceComponentName": component["InferenceComponentName"]}
        policies = cloud.call("DescribeScalingPolicies", SCALING, ServiceNamespace="sagemaker")
        step = [row for row in policies["ScalingPolicies"] if row["PolicyType"] == "StepScaling"]
        assert alarm["AlarmActions"] == [step[0]["PolicyARN"]]

    def test_one_that_never_goes_to_zero_has_no_alarm(self, cloud: SmCloud) -> None:
        cloud.create(a_component(scaling=Scaling(1, 2)))
        assert unfinished(cloud) == ""
        assert "PutMetricAlarm" not in cloud.operations()

    @pytest.mark.parametrize(
        "step",
        [
            "CreateEndpointConfig",
            "CreateEndpoint",
            "CreateModel",
            "CreateInferenceComponent",
            "RegisterScalableTarget",
            "PutScalingPolicy",
            "PutMetricAlarm",
            "DeleteTags",
        ],
    )
    def test_after_a_doubt_it_goes_on(self, cloud: SmCloud, step: str) -> None:
        with cloud.fault(drop_after(), step, count=1):
            doubted = tries(cloud, a_component(), create)
        assert doubted == 1
        assert unfinished(cloud) == ""
        place = cloud.aws.place(ACCOUNT, REGION)
        assert cloud.made() == (1, 1, 1)
        assert (len(place.components), len(place.targets), len(place.policies)) == (1, 1, 2)

    def test_without_capacity_the_component_is_made_again(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_component())
        cloud.wait()
        plan = plan_of(cloud.desk.place, a_component(), cloud.desk.redactor.key)
        assert plan.component is not None
        name = plan.component["InferenceComponentName"]
        cloud.aws.break_starts(ACCOUNT, REGION, name, "capacity")
        create(cloud.desk, a_component())
        cloud.wait(120)
        with pytest.raises(CapacityError, match=name):
            create(cloud.desk, a_component())
        for _ in range(3):
            cloud.wait(6)
            create(cloud.desk, a_component())
        assert unfinished(cloud) == ""

    def test_one_that_failed_tells_why(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_component())
        cloud.wait()
        plan = plan_of(cloud.desk.place, a_component(), cloud.desk.redactor.key)
        assert plan.component is not None
        name = plan.component["InferenceComponentName"]
        cloud.aws.break_starts(ACCOUNT, REGION, name, "fail")
        create(cloud.desk, a_component())
        cloud.wait(120)
        with pytest.raises(RefusedError, match=name):
            create(cloud.desk, a_component())


def tries(cloud: SmCloud, spec: EndpointSpec, make: Callable[[Any, EndpointSpec], None]) -> int:
    """Create until it is whole; return how often that was in doubt."""
    doubts = 0
    for _ in range(6):
        try:
            make(cloud.desk, spec)
        except AmbiguousError:
            doubts += 1
        cloud.wait()
    return doubts


def unfinished(cloud: SmCloud) -> str:
    tags = cloud.tags(cloud.endpoint()["EndpointArn"])
    return tags.get("endpoint-orchestrator:unfinished", "")


def dimensions(alarm: dict[str, Any]) -> dict[str, str]:
    return {row["Name"]: row["Value"] for row in alarm["Dimensions"]}
