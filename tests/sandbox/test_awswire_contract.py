"""A story in which boto3 uses every operation that the simulated AWS handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.sandbox.aws.operations import HANDLERS
from orchestrator.sandbox.aws.scene import TGI_GPU, TGI_NEURON, image_uri, role_arn
from tests.sandbox.aws_clients import (
    ACCOUNT,
    REGION,
    WireScene,
    in_process,
    over_http,
    refused,
)
from tests.sandbox.scene import START

Open = Callable[[], AbstractContextManager[WireScene]]
ROLE = role_arn(ACCOUNT)
TAGS = [{"Key": "team", "Value": "search"}]
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"


@pytest.fixture(params=[in_process, over_http], ids=["in-process", "http"])
def wire(request: pytest.FixtureRequest) -> Iterator[WireScene]:
    with request.param() as scene:
        yield scene


def test_every_operation_that_is_handled_is_served(wire: WireScene) -> None:
    _look_around(wire)
    _live_and_die_as_a_classic_endpoint(wire)
    _live_and_die_as_a_component(wire)
    paths = [call.path.split("/") for call in wire.world.calls if call.status == 200]
    assert {(parts[4], parts[5]) for parts in paths} == set(HANDLERS)


def test_the_log_knows_what_was_a_change(wire: WireScene) -> None:
    _live_and_die_as_a_classic_endpoint(wire)
    done = {call.path.rpartition("/")[2] for call in wire.world.calls.mutating(committed=True)}
    words = ("Add", "Create", "Delete", "Update")
    assert all(name.startswith(words) for name in done)
    assert {"CreateModel", "CreateEndpoint", "DeleteEndpoint"} <= done
    read = {call.path.rpartition("/")[2] for call in wire.world.calls if not call.mutating}
    assert not any(name.startswith(words) for name in read)


def _look_around(wire: WireScene) -> None:
    sts = wire.client("sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/observer", RoleSessionName="story")
    wire.client("account").list_regions()
    wire.client("pricing").get_products(ServiceCode="AmazonSageMaker")
    quotas = wire.client("service-quotas")
    code = quotas.list_service_quotas(ServiceCode="sagemaker")["Quotas"][0]["QuotaCode"]
    quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=code)


def _model(sagemaker: Any, name: str, image: str) -> None:
    container = {"Image": image_uri(REGION, image), "Environment": {"HF_MODEL_ID": "acme/chat-1b"}}
    sagemaker.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=TAGS
    )


def _config(sagemaker: Any, name: str, variant: dict[str, Any], **options: Any) -> None:
    row = {"VariantName": "AllTraffic", "InitialInstanceCount": 1, **variant}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[row], **options)


def _state(sagemaker: Any, name: str) -> str:
    return str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])


def _live_and_die_as_a_classic_endpoint(wire: WireScene) -> None:
    sagemaker = wire.client("sagemaker")
    _model(sagemaker, "chat", TGI_NEURON)
    for name in ("chat", "chat-2"):
        _config(sagemaker, name, {"ModelName": "chat", "InstanceType": "ml.inf2.xlarge"})
    assert sagemaker.describe_model(ModelName="chat")["ExecutionRoleArn"] == ROLE
    shown = sagemaker.describe_endpoint_config(EndpointConfigName="chat")["ProductionVariants"]
    assert shown[0]["InstanceType"] == "ml.inf2.xlarge"
    arn = sagemaker.create_endpoint(EndpointName="chat", EndpointConfigName="chat")["EndpointArn"]
    assert _state(sagemaker, "chat") == "Creating"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.delete_endpoint(EndpointName="chat")
    wire.pass_time(hours=1)
    assert _state(sagemaker, "chat") == "InService"
    _tags(wire, sagemaker, arn)
    sagemaker.update_endpoint(EndpointName="chat", EndpointConfigName="chat-2")
    wire.pass_time(hours=1)
    wanted = [{"VariantName": "AllTraffic", "DesiredWeight": 1.0, "DesiredInstanceCount": 2}]
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="chat", DesiredWeightsAndCapacities=wanted
    )
    wire.pass_time(hours=1)
    _invoke(wire, "chat")
    for kind, key in (("endpoints", "Endpoints"), ("models", "Models")):
        pages = sagemaker.get_paginator(f"list_{kind}").paginate()
        assert pages.build_full_result()[key]
    assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 2
    _gone(wire, sagemaker, "chat", configs=("chat", "chat-2"))


def _tags(wire: WireScene, sagemaker: Any, arn: str) -> None:
    sagemaker.add_tags(ResourceArn=arn, Tags=[*TAGS, {"Key": "stage", "Value": "test"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["stage"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == TAGS
    tagging = wire.client("resourcegroupstaggingapi")
    rows = tagging.get_resources(ResourceTypeFilters=["sagemaker:endpoint"])
    assert [row["ResourceARN"] for row in rows["ResourceTagMappingList"]] == [arn]


def _invoke(wire: WireScene, name: str, **options: str) -> None:
    runtime = wire.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName=name, Body=b'{"inputs": "Hello"}', ContentType="application/json", **options
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert b"generated_text" in answer["Body"].read()
    with pytest.raises(ClientError) as error:
        runtime.invoke_endpoint(EndpointName="nothing", Body=b"{}")
    assert refused(error.value)[::2] == ("ValidationError", 400)


def _gone(wire: WireScene, sagemaker: Any, name: str, *, configs: tuple[str, ...]) -> None:
    sagemaker.delete_endpoint(EndpointName=name)
    wire.pass_time(hours=1)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName=name)
    for config in configs:
        sagemaker.delete_endpoint_config(EndpointConfigName=config)
    sagemaker.delete_model(ModelName=name)


def _live_and_die_as_a_component(wire: WireScene) -> None:
    sagemaker = wire.client("sagemaker")
    _model(sagemaker, "sleepy", TGI_GPU)
    scaled = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    variant = {"InstanceType": "ml.g5.2xlarge", "ManagedInstanceScaling": scaled}
    _config(sagemaker, "sleepy", variant, ExecutionRoleArn=ROLE)
    sagemaker.create_endpoint(EndpointName="sleepy", EndpointConfigName="sleepy")
    wire.pass_time(hours=1)
    specification = {
        "ModelName": "sleepy",
        "ComputeResourceRequirements": {
            "MinMemoryRequiredInMb": 1024,
            "NumberOfAcceleratorDevicesRequired": 1,
        },
    }
    sagemaker.create_inference_component(
        InferenceComponentName="model",
        EndpointName="sleepy",
        VariantName="AllTraffic",
        Specification=specification,
        RuntimeConfig={"CopyCount": 1},
    )
    wire.pass_time(hours=1)
    found = sagemaker.describe_inference_component(InferenceComponentName="model")
    assert found["InferenceComponentStatus"] == "InService"
    assert sagemaker.list_inference_components(EndpointNameEquals="sleepy")["InferenceComponents"]
    _invoke(wire, "sleepy", InferenceComponentName="model")
    _scaling(wire)
    _watching(wire)
    sagemaker.update_inference_component(
        InferenceComponentName="model", Specification=specification
    )
    wire.pass_time(hours=1)
    sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="model", DesiredRuntimeConfig={"CopyCount": 0}
    )
    wire.pass_time(hours=1)
    sagemaker.delete_inference_component(InferenceComponentName="model")
    wire.pass_time(hours=1)
    _gone(wire, sagemaker, "sleepy", configs=("sleepy",))


def _scaling(wire: WireScene) -> None:
    scaling = wire.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/model",
        "ScalableDimension": COMPONENT,
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    step = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 60,
            "StepAdjustments": [step],
        },
    )
    scaling.put_scheduled_action(
        **target,
        ScheduledActionName="evening",
        Schedule="cron(0 19 ? * MON-FRI *)",
        Timezone="Europe/Paris",
        EndTime=datetime(2030, 1, 1, tzinfo=UTC),
        ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 0},
    )
    for method, key in (
        ("describe_scalable_targets", "ScalableTargets"),
        ("describe_scaling_policies", "ScalingPolicies"),
        ("describe_scheduled_actions", "ScheduledActions"),
    ):
        pages = scaling.get_paginator(method).paginate(ServiceNamespace="sagemaker")
        assert len(pages.build_full_result()[key]) == 1
    scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
    scaling.delete_scheduled_action(**target, ScheduledActionName="evening")
    scaling.delete_scaling_policy(**target, PolicyName="wake")
    scaling.deregister_scalable_target(**target)
    with pytest.raises(ClientError) as error:
        scaling.deregister_scalable_target(**target)
    assert refused(error.value)[0] == "ObjectNotFoundException"


def _watching(wire: WireScene) -> None:
    cloudwatch = wire.client("cloudwatch")
    metric = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "NoCapacityInvocationFailures",
        "Dimensions": [{"Name": "InferenceComponentName", "Value": "model"}],
    }
    cloudwatch.put_metric_alarm(
        AlarmName="wake",
        **metric,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    alarms = cloudwatch.get_paginator("describe_alarms").paginate().build_full_result()
    assert [row["AlarmName"] for row in alarms["MetricAlarms"]] == ["wake"]
    cloudwatch.delete_alarms(AlarmNames=["wake"])
    span = {"StartTime": START, "EndTime": wire.world.now}
    stat = {"Metric": metric, "Period": 3600, "Stat": "Sum"}
    queries = [{"Id": "q", "MetricStat": stat}]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, **span)
    assert found["MetricDataResults"][0]["Values"] == []
    old = cloudwatch.get_metric_statistics(**metric, **span, Period=3600, Statistics=["Sum"])
    assert old["Datapoints"] == []
    assert cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"]
