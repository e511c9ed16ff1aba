"""Inference components: copies, instances, sleep and wake, and the order of deletion."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.sandbox.traffic import Traffic, Window
from tests.sandbox.aws_scene import ACCOUNT, REGION, AwsScene

COPIES = "sagemaker:inference-component:DesiredCopyCount"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/lab-model",
    "ScalableDimension": COPIES,
}


@pytest.fixture
def aws() -> AwsScene:
    return AwsScene()


def _component(aws: AwsScene) -> dict[str, Any]:
    return aws.call("DescribeInferenceComponent", InferenceComponentName="lab-model")


def _copies(aws: AwsScene) -> tuple[int, int]:
    runtime = _component(aws)["RuntimeConfig"]
    return runtime["CurrentCopyCount"], runtime["DesiredCopyCount"]


def _instances(aws: AwsScene) -> int:
    return int(aws.describe("lab")["ProductionVariants"][0]["CurrentInstanceCount"])


def _set_copies(aws: AwsScene, copies: int) -> None:
    aws.call(
        "UpdateInferenceComponentRuntimeConfig",
        InferenceComponentName="lab-model",
        DesiredRuntimeConfig={"CopyCount": copies},
    )


def _invoke(aws: AwsScene) -> dict[str, Any]:
    return aws.call(
        "InvokeEndpoint",
        "sagemaker-runtime",
        EndpointName="lab",
        InferenceComponentName="lab-model",
        Body=b"{}",
    )


def _suspend(aws: AwsScene, *, out: bool) -> None:
    state = {"DynamicScalingOutSuspended": out}
    aws.scaling("RegisterScalableTarget", **TARGET, SuspendedState=state)


class TestSleep:
    def test_when_idle_copies_go_first_and_instances_later(self, aws: AwsScene) -> None:
        aws.add_component()
        assert 15 <= aws.until(lambda: _copies(aws) == (0, 0)) <= 17
        assert _instances(aws) == 1
        assert 9 <= aws.until(lambda: _instances(aws) == 0) <= 12
        assert aws.status("lab") == "InService"
        before = aws.world.now
        aws.pass_time(hours=2)
        assert aws.aws.bill(ACCOUNT, start=before) == []
        done = aws.scaling("DescribeScalingActivities", ServiceNamespace="sagemaker")
        assert done["ScalingActivities"][0]["Description"] == "Setting desired capacity to 0."

    def test_not_while_requests_come(self, aws: AwsScene) -> None:
        aws.add_component(traffic=Traffic.steady(12))
        aws.pass_time(hours=3)
        assert _copies(aws)[0] == 1

    def test_not_while_scaling_in_is_suspended(self, aws: AwsScene) -> None:
        aws.add_component()
        held = {"DynamicScalingInSuspended": True}
        aws.scaling("RegisterScalableTarget", **TARGET, SuspendedState=held)
        aws.pass_time(hours=3)
        assert _copies(aws) == (1, 1)
        freed = {"DynamicScalingInSuspended": False}
        aws.scaling("RegisterScalableTarget", **TARGET, SuspendedState=freed)
        aws.pass_time(minutes=5)
        assert _copies(aws) == (0, 0)

    def test_not_without_its_policy(self, aws: AwsScene) -> None:
        aws.add_component(most_copies=0)
        aws.pass_time(hours=3)
        assert _copies(aws) == (1, 1)


class TestWake:
    def test_by_a_request(self, aws: AwsScene) -> None:
        aws.add_component(state="zero")
        aws.pass_time(hours=1)
        refusal = aws.refused(
            "InvokeEndpoint",
            "sagemaker-runtime",
            EndpointName="lab",
            InferenceComponentName="lab-model",
            Body=b"{}",
        )
        assert (refusal.code, refusal.status) == ("ValidationError", 400)
        assert refusal.message.startswith("Inference Component has no capacity to process this")
        assert 1.4 <= aws.until(lambda: _copies(aws)[1] == 1) <= 2.1
        assert 2.5 <= aws.until(lambda: _copies(aws)[0] == 1) <= 8
        assert _invoke(aws)["InvokedProductionVariant"] == "AllTraffic"
        assert _instances(aws) == 1

    def test_by_traffic(self, aws: AwsScene) -> None:
        noon = [Window(72, 30, 1.0)]  # Monday 12:00
        aws.add_component(state="zero", traffic=Traffic(noon))
        aws.pass_time(hours=12)
        assert _copies(aws) == (0, 0)
        aws.pass_time(minutes=12)
        assert _copies(aws)[0] == 1
        aws.pass_time(minutes=45)
        assert _instances(aws) == 0

    def test_never_without_an_alarm(self, aws: AwsScene) -> None:
        aws.add_component(state="zero")
        aws.call("DeleteAlarms", "cloudwatch", AlarmNames=["lab-model-wake"])
        for _ in range(20):
            aws.refused(
                "InvokeEndpoint",
                "sagemaker-runtime",
                EndpointName="lab",
                InferenceComponentName="lab-model",
                Body=b"{}",
            )
            aws.pass_time(minutes=1)
        assert _copies(aws) == (0, 0)

    def test_greater_than_one_needs_two_requests(self, aws: AwsScene) -> None:
        aws.add_component(state="zero", traffic=Traffic([Window(6, 1, 1.0)]))
        alarm = aws.call("DescribeAlarms", "cloudwatch", AlarmNames=["lab-model-wake"])
        row = alarm["MetricAlarms"][0]
        kept = ("AlarmName", "Namespace", "MetricName", "Dimensions", "AlarmActions", "Statistic")
        aws.call(
            "PutMetricAlarm",
            "cloudwatch",
            **{key: row[key] for key in kept},
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
        )
        aws.pass_time(hours=2)
        assert _copies(aws) == (0, 0)

    def test_waits_for_capacity(self, aws: AwsScene) -> None:
        aws.add_component(state="zero")
        aws.aws.exhaust_capacity(REGION, "ml.g5.xlarge", until=aws.world.now + timedelta(hours=1))
        _set_copies(aws, 1)
        aws.pass_time(minutes=50)
        shown = _component(aws)
        assert shown["InferenceComponentStatus"] == "Updating"
        assert "InsufficientInstanceCapacity" in shown["FailureReason"]
        aws.pass_time(minutes=25)
        assert _copies(aws) == (1, 1)


class TestUpdate:
    def test_of_the_endpoint_keeps_room_for_components(self, aws: AwsScene) -> None:
        aws.add_component(traffic=Traffic.steady(12))
        _set_copies(aws, 2)
        aws.until(lambda: _copies(aws) == (2, 2))
        shown = aws.call("DescribeEndpointConfig", EndpointConfigName="lab")
        kept = {key: shown[key] for key in ("ProductionVariants", "ExecutionRoleArn")}
        aws.call("CreateEndpointConfig", EndpointConfigName="new", **kept)
        aws.call("UpdateEndpoint", EndpointName="lab", EndpointConfigName="new")
        aws.settle("lab")
        assert _instances(aws) == 2

    def test_of_the_specification(self, aws: AwsScene) -> None:
        aws.add_component()
        requirements = {"MinMemoryRequiredInMb": 512, "NumberOfAcceleratorDevicesRequired": 1}
        aws.call(
            "UpdateInferenceComponent",
            InferenceComponentName="lab-model",
            Specification={
                "ModelName": "lab-model",
                "ComputeResourceRequirements": requirements,
            },
        )
        assert _component(aws)["InferenceComponentStatus"] == "Updating"
        aws.pass_time(minutes=6)
        shown = _component(aws)
        assert shown["InferenceComponentStatus"] == "InService"
        assert shown["Specification"]["ComputeResourceRequirements"] == requirements

    def test_beyond_the_quota_waits(self, aws: AwsScene) -> None:
        aws.aws.set_quota(ACCOUNT, REGION, "ml.g5.xlarge", 1)
        aws.add_component()
        _set_copies(aws, 2)
        aws.pass_time(minutes=4)
        assert "for endpoint usage' is 1 Instances" in _component(aws)["FailureReason"]
        aws.aws.set_quota(ACCOUNT, REGION, "ml.g5.xlarge", 2)
        aws.pass_time(minutes=9)
        assert _copies(aws)[0] == 2


class TestPause:
    def _alarmed(self, aws: AwsScene) -> None:
        """Asleep, then asked twice: awake, and the alarm still rings."""
        aws.add_component(state="zero", startup_s=60)
        for _ in range(3):
            aws.refused(
                "InvokeEndpoint",
                "sagemaker-runtime",
                EndpointName="lab",
                InferenceComponentName="lab-model",
                Body=b"{}",
            )
            aws.pass_time(seconds=20)
        aws.until(lambda: _copies(aws)[0] == 1)

    def test_by_hand_is_undone_by_an_alarm(self, aws: AwsScene) -> None:
        self._alarmed(aws)
        _set_copies(aws, 0)
        assert aws.until(lambda: _copies(aws)[1] == 1) <= 3

    def test_lasts_when_scaling_out_is_suspended(self, aws: AwsScene) -> None:
        self._alarmed(aws)
        _suspend(aws, out=True)
        _set_copies(aws, 0)
        aws.pass_time(hours=1)
        assert _copies(aws) == (0, 0)
        assert _instances(aws) == 0

    def test_alarm_ends(self, aws: AwsScene) -> None:
        self._alarmed(aws)
        shown = aws.call("DescribeAlarms", "cloudwatch", StateValue="ALARM")
        assert [row["AlarmName"] for row in shown["MetricAlarms"]] == ["lab-model-wake"]
        aws.pass_time(minutes=10)
        assert aws.call("DescribeAlarms", "cloudwatch", StateValue="ALARM")["MetricAlarms"] == []


class TestCopies:
    def test_more_need_more_instances(self, aws: AwsScene) -> None:
        aws.add_component()
        _set_copies(aws, 2)
        aws.until(lambda: _copies(aws) == (2, 2))
        assert _instances(aws) == 2

    def test_more_than_fit(self, aws: AwsScene) -> None:
        aws.add_component()
        _set_copies(aws, 3)
        aws.pass_time(minutes=3)
        assert "not enough hardware" in _component(aws)["FailureReason"]
        assert _copies(aws)[0] == 1

    def test_zero_is_refused_at_creation(self, aws: AwsScene) -> None:
        aws.add_component()
        refusal = aws.refused("CreateInferenceComponent", **_second(CopyCount=0))
        assert refusal.message == "Inference components copy count an integer larger than 0"

    def test_too_large_a_model_fails(self, aws: AwsScene) -> None:
        aws.add_component()
        aws.call("CreateInferenceComponent", **_second(memory=4096))
        aws.pass_time(minutes=10)
        shown = aws.call("DescribeInferenceComponent", InferenceComponentName="second")
        assert shown["InferenceComponentStatus"] == "Failed"
        assert shown["FailureReason"].startswith("There is not enough hardware resources")

    def test_two_components_share_instances(self, aws: AwsScene) -> None:
        aws.add_component(instance_type="ml.g5.12xlarge")
        aws.call("CreateInferenceComponent", **_second())
        aws.pass_time(minutes=9)
        listed = aws.call("ListInferenceComponents", EndpointNameEquals="lab")
        states = {row["InferenceComponentStatus"] for row in listed["InferenceComponents"]}
        assert (len(listed["InferenceComponents"]), states) == (2, {"InService"})
        assert _instances(aws) == 1
        _set_copies(aws, 0)
        aws.pass_time(minutes=20)
        assert _instances(aws) == 1  # the second one still needs it

    def test_a_classic_endpoint_takes_none(self, aws: AwsScene) -> None:
        aws.add_component()
        aws.add("chat")
        refusal = aws.refused("CreateInferenceComponent", **{**_second(), "EndpointName": "chat"})
        assert "does not support inference components" in refusal.message


def _second(*, memory: int = 1024, **runtime: int) -> dict[str, Any]:
    requirements = {"MinMemoryRequiredInMb": memory, "NumberOfAcceleratorDevicesRequired": 1}
    return {
        "InferenceComponentName": "second",
        "EndpointName": "lab",
        "VariantName": "AllTraffic",
        "Specification": {"ModelName": "lab-model", "ComputeResourceRequirements": requirements},
        "RuntimeConfig": {"CopyCount": 1, **runtime},
    }


class TestDelete:
    def test_components_survive_their_endpoint(self, aws: AwsScene) -> None:
        aws.add_component()
        aws.call("DeleteEndpoint", EndpointName="lab")
        aws.pass_time(minutes=10)
        aws.refused("DescribeEndpoint", EndpointName="lab")
        assert _component(aws)["InferenceComponentStatus"] == "InService"
        aws.call("CreateEndpoint", EndpointName="lab", EndpointConfigName="lab")
        aws.pass_time(minutes=10)
        again = {**_second(), "InferenceComponentName": "lab-model"}
        refusal = aws.refused("CreateInferenceComponent", **again)
        assert refusal.message.startswith("Cannot create already existing inference component")
        aws.call("DeleteInferenceComponent", InferenceComponentName="lab-model")
        aws.pass_time(minutes=2)
        aws.call("CreateInferenceComponent", **again)

    def test_in_transit_is_refused(self, aws: AwsScene) -> None:
        aws.add_component()
        aws.call("CreateInferenceComponent", **_second())
        refusal = aws.refused("DeleteInferenceComponent", InferenceComponentName="second")
        assert refusal.message.startswith("Cannot update in-progress inference component")

    def test_takes_target_and_policies_but_no_alarm(self, aws: AwsScene) -> None:
        aws.add_component()
        aws.call("DeleteInferenceComponent", InferenceComponentName="lab-model")
        for operation, key in (
            ("DescribeScalableTargets", "ScalableTargets"),
            ("DescribeScalingPolicies", "ScalingPolicies"),
        ):
            assert aws.scaling(operation, ServiceNamespace="sagemaker")[key] == []
        alarms = aws.call("DescribeAlarms", "cloudwatch")["MetricAlarms"]
        assert [row["AlarmName"] for row in alarms] == ["lab-model-wake"]
