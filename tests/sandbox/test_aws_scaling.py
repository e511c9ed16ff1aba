"""Application Auto Scaling of the simulated AWS: targets, policies, scheduled actions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.sandbox.aws.schedule import next_fire
from orchestrator.sandbox.instants import to_datetime, to_instant
from orchestrator.sandbox.traffic import Traffic
from tests.sandbox.aws_scene import REGION, AwsScene

VARIANT = "sagemaker:variant:DesiredInstanceCount"
WHERE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/chat/variant/AllTraffic",
    "ScalableDimension": VARIANT,
}
COPIES = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/lab-model",
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
}
TRACKING = {
    "PolicyName": "load",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    },
}


@pytest.fixture
def aws() -> AwsScene:
    return AwsScene()


def _register(aws: AwsScene, low: int = 1, high: int = 3) -> None:
    aws.scaling("RegisterScalableTarget", **WHERE, MinCapacity=low, MaxCapacity=high)


def _count(aws: AwsScene) -> int:
    return int(aws.describe()["ProductionVariants"][0]["CurrentInstanceCount"])


class TestTargets:
    def test_keep_a_resource_within_their_bounds(self, aws: AwsScene) -> None:
        aws.add(startup_s=60)
        _register(aws, 2, 3)
        aws.settle()
        assert _count(aws) == 2
        shown = aws.scaling("DescribeScalableTargets", ServiceNamespace="sagemaker")
        target = shown["ScalableTargets"][0]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 3)
        assert target["SuspendedState"]["DynamicScalingOutSuspended"] is False

    def test_of_nothing_are_refused(self, aws: AwsScene) -> None:
        refusal = aws.refused(
            "RegisterScalableTarget",
            "application-autoscaling",
            **WHERE,
            MinCapacity=1,
            MaxCapacity=2,
        )
        assert refusal.code == "ValidationException"

    def test_let_only_asynchronous_endpoints_go_to_zero(self, aws: AwsScene) -> None:
        aws.add()
        bounds = {"MinCapacity": 0, "MaxCapacity": 2}
        refusal = aws.refused(
            "RegisterScalableTarget", "application-autoscaling", **WHERE, **bounds
        )
        assert refusal.code == "ValidationException"
        output = {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}}
        aws.add("queue", config={"AsyncInferenceConfig": output})
        where = {**WHERE, "ResourceId": "endpoint/queue/variant/AllTraffic"}
        aws.scaling("RegisterScalableTarget", **where, **bounds)

    def test_are_needed_for_policies(self, aws: AwsScene) -> None:
        aws.add()
        refusal = aws.refused("PutScalingPolicy", "application-autoscaling", **WHERE, **TRACKING)
        assert refusal.code == "ObjectNotFoundException"

    def test_go_with_their_endpoint_without_a_word(self, aws: AwsScene) -> None:
        aws.add()
        _register(aws)
        alarms = aws.scaling("PutScalingPolicy", **WHERE, **TRACKING)["Alarms"]
        assert len(alarms) == 2
        aws.scaling(
            "PutScheduledAction",
            **WHERE,
            ScheduledActionName="night",
            Schedule="cron(0 19 ? * MON-FRI *)",
            ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
        )
        aws.call(
            "PutMetricAlarm",
            "cloudwatch",
            AlarmName="mine",
            MetricName="Invocations",
            Namespace="AWS/SageMaker",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
        )
        aws.call("DeleteEndpoint", EndpointName="chat")
        for operation, key in (
            ("DescribeScalableTargets", "ScalableTargets"),
            ("DescribeScalingPolicies", "ScalingPolicies"),
            ("DescribeScheduledActions", "ScheduledActions"),
        ):
            assert aws.scaling(operation, ServiceNamespace="sagemaker")[key] == []
        left = aws.call("DescribeAlarms", "cloudwatch")["MetricAlarms"]
        assert [row["AlarmName"] for row in left] == ["mine"]
        aws.pass_time(days=2)

    def test_deregistered_by_hand(self, aws: AwsScene) -> None:
        aws.add()
        _register(aws)
        aws.scaling("DeregisterScalableTarget", **WHERE)
        again = aws.refused("DeregisterScalableTarget", "application-autoscaling", **WHERE)
        assert again.code == "ObjectNotFoundException"

    def test_follow_the_load(self, aws: AwsScene) -> None:
        aws.add(traffic=Traffic.steady(2000), startup_s=60)
        _register(aws)
        aws.scaling("PutScalingPolicy", **WHERE, **TRACKING)
        aws.pass_time(minutes=25)
        assert _count(aws) == 2


class TestScheduledActions:
    def _put(self, aws: AwsScene, **values: Any) -> None:
        aws.scaling("PutScheduledAction", **COPIES, ScheduledActionName="plan", **values)

    def test_pause_and_resume_a_component(self, aws: AwsScene) -> None:
        aws.add_component(traffic=Traffic.steady(60), startup_s=60)
        self._put(
            aws,
            Schedule="cron(0 19 ? * MON-FRI *)",
            Timezone="Europe/Berlin",
            ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 0},
        )
        aws.scaling(
            "PutScheduledAction",
            **COPIES,
            ScheduledActionName="morning",
            Schedule="cron(0 8 ? * TUE *)",
            ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 2},
        )
        component = aws.aws.place("123456789012", REGION).components["lab-model"]
        aws.pass_time(hours=17, minutes=59)
        assert component.current == 1
        aws.pass_time(minutes=5)
        assert component.current == 0
        aws.pass_time(hours=14)
        assert component.current == 1

    def test_without_a_new_end_forget_the_old_one(self, aws: AwsScene) -> None:
        aws.add_component()
        self._put(aws, Schedule="rate(1 hour)", EndTime=datetime(2026, 3, 3, tzinfo=UTC))
        self._put(aws, Schedule="rate(2 hours)")
        shown = aws.scaling("DescribeScheduledActions", ServiceNamespace="sagemaker")
        action = shown["ScheduledActions"][0]
        assert (action["Schedule"], "EndTime" in action) == ("rate(2 hours)", False)

    @pytest.mark.parametrize("text", ["cron(0 19 * * 1-5)", "every day", "cron(0 25 ? * MON *)"])
    def test_in_another_language_are_refused(self, aws: AwsScene, text: str) -> None:
        aws.add_component()
        refusal = aws.refused(
            "PutScheduledAction",
            "application-autoscaling",
            **COPIES,
            ScheduledActionName="plan",
            Schedule=text,
        )
        assert refusal.code == "ValidationException"


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("at(2026-03-02T09:30:00)", "UTC", "2026-03-02T09:30:00+00:00"),
        ("cron(30 9 ? * 2 *)", "UTC", "2026-03-02T09:30:00+00:00"),
        ("cron(0 8 ? * SAT,SUN *)", "UTC", "2026-03-07T08:00:00+00:00"),
        ("cron(0/15 9 * * ? *)", "America/New_York", "2026-03-02T14:00:00+00:00"),
        ("cron(0 8 1 APR ? 2026)", "Europe/Berlin", "2026-04-01T06:00:00+00:00"),
        ("at(2026-01-01T00:00:00)", "UTC", None),
    ],
)
def test_next_fire(text: str, zone: str, expected: str | None) -> None:
    action = {"Schedule": text, "Timezone": zone}
    found = next_fire(action, to_instant(datetime(2026, 3, 2, tzinfo=UTC)))
    assert (None if found is None else to_datetime(found).isoformat()) == expected
