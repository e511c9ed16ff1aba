"""An endpoint of a scripted AWS, whose answers can be changed part by part."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.endpoints import Snapshot
from orchestrator.providers.sagemaker.factory import make_sagemaker
from tests.providers.aws_wire import ACCOUNT, AwsWire

CREATED, CHANGED = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 8, 2, tzinfo=UTC)
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-vllm-inference-neuronx:0.11.0"
PASSWORD = "open-sesame-now"
VARIANT = {
    "VariantName": "AllTraffic",
    "ModelName": "llama-m",
    "InstanceType": "ml.inf2.48xlarge",
    "InitialInstanceCount": 1,
    "VolumeSizeInGB": 512,
    "ContainerStartupHealthCheckTimeoutInSeconds": 3600,
    "InferenceAmiVersion": "al2-ami-sagemaker-inference-neuron-2",
}
HOST = {
    "VariantName": "AllTraffic",
    "InstanceType": "ml.g5.xlarge",
    "InitialInstanceCount": 1,
    "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3},
}
COMPONENT = {
    "InferenceComponentName": "part",
    "InferenceComponentArn": "arn:part",
    "EndpointName": "llama",
    "EndpointArn": "arn:llama",
    "InferenceComponentStatus": "InService",
    "CreationTime": CREATED.timestamp(),
    "LastModifiedTime": CHANGED.timestamp(),
    "Specification": {
        "ModelName": "llama-m",
        "ComputeResourceRequirements": {
            "MinMemoryRequiredInMb": 1024,
            "NumberOfAcceleratorDevicesRequired": 1.0,
        },
    },
    "RuntimeConfig": {"DesiredCopyCount": 2, "CurrentCopyCount": 2},
}
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/part",
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    "MinCapacity": 0,
    "MaxCapacity": 4,
    "SuspendedState": {"DynamicScalingOutSuspended": False},
}
WAKE = {
    "ResourceId": "inference-component/part",
    "PolicyName": "wake",
    "PolicyType": "StepScaling",
    "Alarms": [{"AlarmName": "wake", "AlarmARN": "arn:wake"}],
}


class Scene(AwsWire):
    """The endpoint `llama` on one instance of inf2; `host` makes it one for components."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoint: dict[str, Any] = {
            "EndpointName": "llama",
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/llama",
            "EndpointConfigName": "llama-c",
            "EndpointStatus": "InService",
            "CreationTime": CREATED.timestamp(),
            "LastModifiedTime": CHANGED.timestamp(),
            "ProductionVariants": [
                {
                    "VariantName": "AllTraffic",
                    "CurrentInstanceCount": 1,
                    "DesiredInstanceCount": 1,
                }
            ],
        }
        self.config: dict[str, Any] = {
            "EndpointConfigName": "llama-c",
            "CreationTime": CREATED.timestamp(),
            "ProductionVariants": [VARIANT],
        }
        self.model: dict[str, Any] = {
            "ModelName": "llama-m",
            "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
            "PrimaryContainer": {
                "Image": IMAGE,
                "Environment": {
                    "SM_ON_MODEL": "meta/llama-70b",
                    "SM_ON_BATCH_SIZE": "4",
                    "DB_PASSWORD": PASSWORD,
                },
            },
        }
        self.tags: Mapping[str, str] = {"team": "search", "empty": ""}
        self.targets: list[dict[str, Any]] = []
        self.policies: list[dict[str, Any]] = []
        self.components: list[dict[str, Any]] = []
        self._serve()

    def _serve(self) -> None:
        scaling = "application-autoscaling"
        self.on("DescribeEndpoint", lambda _: self.endpoint)
        self.on("DescribeEndpointConfig", lambda _: self.config)
        self.on("DescribeModel", lambda _: self.model)
        self.on(
            "ListTags",
            lambda _: {"Tags": [{"Key": key, "Value": item} for key, item in self.tags.items()]},
        )
        self.on(f"{scaling}:DescribeScalableTargets", lambda _: {"ScalableTargets": self.targets})
        self.on(f"{scaling}:DescribeScalingPolicies", lambda _: {"ScalingPolicies": self.policies})
        self.on("ListInferenceComponents", lambda _: {"InferenceComponents": self.components})
        self.on("DescribeInferenceComponent", self._component)

    def _component(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["InferenceComponentName"]
        return next(item for item in self.components if item["InferenceComponentName"] == name)

    def counts(self, current: int, desired: int) -> None:
        (variant,) = self.endpoint["ProductionVariants"]
        variant |= {"CurrentInstanceCount": current, "DesiredInstanceCount": desired}

    def host(self, desired: int = 2, current: int = 2, instances: int = 1) -> None:
        """Make it an endpoint for inference components that may go to zero and wake."""
        self.config["ProductionVariants"] = [HOST]
        runtime = {"DesiredCopyCount": desired, "CurrentCopyCount": current}
        self.components = [{**COMPONENT, "RuntimeConfig": runtime}]
        self.targets, self.policies = [TARGET], [WAKE]
        self.counts(instances, instances)

    def seen(self, **options: str) -> Snapshot:
        driver = make_sagemaker(self.account(**options), self.hooks())
        snapshot = driver.get_endpoint("llama")
        assert snapshot is not None
        return snapshot
