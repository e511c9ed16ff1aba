"""An endpoint with everything that a pause by deletion has to bring back."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.base import BusyError, RefusedError
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.pausing import pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from tests.providers.sm_cloud import IMAGE, ROLE, SCALING, SECRET, SmCloud

RESOURCE = "endpoint/demo/variant/AllTraffic"
WHERE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
VPC = {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]}


def make_rich(cloud: SmCloud, *, secret: bool = False) -> None:
    """Make `demo` by hand: tags, counts, autoscaling, capture, disk, time-outs, network."""
    environment = {"HF_MODEL_ID": "org/model-1b", "HF_NUM_CORES": "2"}
    cloud.call(
        "CreateModel",
        ModelName="demo-model",
        PrimaryContainer={
            "Image": IMAGE,
            "Environment": environment | ({"API_KEY": SECRET} if secret else {}),
        },
        ExecutionRoleArn=ROLE,
        VpcConfig=VPC,
        EnableNetworkIsolation=False,
        Tags=[{"Key": "made-by", "Value": "hand"}],
    )
    cloud.call(
        "CreateEndpointConfig",
        EndpointConfigName="demo-config",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": "demo-model",
                "InstanceType": "ml.inf2.8xlarge",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1.0,
                "VolumeSizeInGB": 256,
                "ModelDataDownloadTimeoutInSeconds": 600,
                "ContainerStartupHealthCheckTimeoutInSeconds": 1800,
                "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
                "InferenceAmiVersion": "al2-ami-sagemaker-inference-neuron-2",
            }
        ],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 20,
            "DestinationS3Uri": "s3://bucket/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
        KmsKeyId="alias/endpoints",
        Tags=[{"Key": "cost", "Value": "42"}],
    )
    cloud.call(
        "CreateEndpoint",
        EndpointName="demo",
        EndpointConfigName="demo-config",
        Tags=[{"Key": "team", "Value": "search"}, {"Key": "stage", "Value": "prod"}],
    )
    cloud.wait()
    cloud.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="demo",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 2}
        ],
    )
    cloud.wait()
    _autoscaling(cloud)


def _autoscaling(cloud: SmCloud) -> None:
    cloud.call(
        "RegisterScalableTarget",
        SCALING,
        **WHERE,
        MinCapacity=2,
        MaxCapacity=4,
        SuspendedState={"DynamicScalingInSuspended": True},
    )
    cloud.call(
        "PutScalingPolicy",
        SCALING,
        **WHERE,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 70.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleInCooldown": 300,
        },
    )
    step = cloud.call(
        "PutScalingPolicy",
        SCALING,
        **WHERE,
        PolicyName="step",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    )
    put_alarm(cloud, "demo-slow", AlarmActions=[step["PolicyARN"]])
    cloud.call(
        "PutScheduledAction",
        SCALING,
        **WHERE,
        ScheduledActionName="morning",
        Schedule="cron(0 7 ? * MON-FRI *)",
        Timezone="Europe/Berlin",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 4},
    )


def put_alarm(cloud: SmCloud, name: str, **options: Any) -> None:
    """An alarm of a person on the latency of `demo`."""
    cloud.call(
        "PutMetricAlarm",
        "cloudwatch",
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": "demo"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        **options,
    )


def truth(cloud: SmCloud) -> dict[str, Any]:
    """All that `demo` is, in the cloud itself, but for times and the names that AWS chooses."""
    endpoint, config, model = cloud.endpoint(), cloud.config(), cloud.model()
    named = {"ServiceNamespace": "sagemaker"}
    (variant,) = endpoint["ProductionVariants"]
    return {
        "status": endpoint["EndpointStatus"],
        "counts": [variant["DesiredWeight"], variant["DesiredInstanceCount"]],
        "config": _timeless(config),
        "model": _timeless(model),
        "tags": [
            cloud.tags(arn)
            for arn in (endpoint["EndpointArn"], config["EndpointConfigArn"], model["ModelArn"])
        ],
        "targets": [
            _timeless(row)
            for row in cloud.call("DescribeScalableTargets", SCALING, **named)["ScalableTargets"]
        ],
        "policies": [
            _timeless(row)
            for row in cloud.call("DescribeScalingPolicies", SCALING, **named)["ScalingPolicies"]
        ],
        "actions": [
            _timeless(row)
            for row in cloud.call("DescribeScheduledActions", SCALING, **named)["ScheduledActions"]
        ],
    }


def _timeless(document: dict[str, Any]) -> dict[str, Any]:
    chosen = ("CreationTime", "PolicyARN", "Alarms", "ScheduledActionARN", "ScalableTargetARN")
    return {key: value for key, value in document.items() if key not in chosen}


def paused(cloud: SmCloud) -> JsonObject:
    """Pause `demo` and return what was kept."""
    kept = read_contract(cloud.desk, "demo").document
    pause(cloud.desk, "demo", kept)
    cloud.wait()
    assert cloud.status() == "gone"
    return kept


def stored(document: JsonObject) -> dict[str, Any]:
    """A document as the store gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


def return_trip(cloud: SmCloud, kept: JsonObject) -> tuple[Any, ...]:
    """Resume and restore with a document; what came of it, in the cloud and in words."""
    try:
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        differences = restored(cloud, kept)
    except RefusedError as error:
        return ("refused", str(error))
    cloud.wait()
    return truth(cloud), differences


def restored(cloud: SmCloud, kept: JsonObject) -> tuple[str, ...]:
    """Restore as the engine does, again while it is busy; return the differences."""
    for _ in range(3):
        try:
            return restore(cloud.desk, "demo", kept).differences
        except BusyError:
            cloud.wait()
    raise AssertionError("it stays busy")
