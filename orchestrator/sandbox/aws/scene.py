"""Whole endpoints at once, for tests and for the demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from orchestrator.sandbox.aws.alarms import put_alarm
from orchestrator.sandbox.aws.autoscaling import put_policy, register_target
from orchestrator.sandbox.aws.calls import AwsCall, Params
from orchestrator.sandbox.aws.component import Component, Placement
from orchestrator.sandbox.aws.components import create_component
from orchestrator.sandbox.aws.configs import create_config
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.endpoints import create_endpoint
from orchestrator.sandbox.aws.hardware import instance
from orchestrator.sandbox.aws.lifecycle import EndpointLife, emptied, in_service
from orchestrator.sandbox.aws.models import create_model
from orchestrator.sandbox.aws.scalable import COMPONENT
from orchestrator.sandbox.aws.tags import to_list
from orchestrator.sandbox.instants import SECOND

ComponentState = Literal["running", "zero"]
Settled = Literal["InService", "OutOfService", "Failed", "UpdateRollbackFailed", "paused-by-delete"]
_REGISTRY = "763104351884.dkr.ecr.{0}.amazonaws.com/"
TGI_NEURON = "huggingface-pytorch-tgi-inference:2.7.0-optimum3.3.6-neuronx-py310-ubuntu22.04"
VLLM_NEURON = (
    "huggingface-vllm-inference-neuronx:0.11.0-optimum0.4.5-neuronx-py310-sdk2.26.1-ubuntu22.04"
)
TGI_GPU = "huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"
_CPU = "huggingface-pytorch-inference:2.6.0-transformers4.51.3-cpu-py312-ubuntu22.04"
NEURON_AMI = "al2-ami-sagemaker-inference-neuron-2"
VARIANT = "AllTraffic"


def image_uri(region: str, name: str) -> str:
    """The address of a Hugging Face image in a region."""
    return _REGISTRY.format(region) + name


def default_image(region: str, instance_type: str) -> str:
    """A TGI image that runs on an instance type, or one for encoders on a CPU."""
    images = {"neuron": TGI_NEURON, "gpu": TGI_GPU, "cpu": _CPU}
    return image_uri(region, images[instance(instance_type).kind])


def role_arn(account_id: str) -> str:
    """The execution role of everything that is made here."""
    return f"arn:aws:iam::{account_id}:role/sagemaker-execution"


def build_model(
    call: AwsCall,
    name: str,
    *,
    instance_type: str,
    image: str | None,
    environment: Mapping[str, str] | None,
    tags: Mapping[str, str],
) -> None:
    """Create a model as `call`'s account."""
    container = {
        "Image": image or default_image(call.region, instance_type),
        "Environment": {"HF_MODEL_ID": "acme/chat-1b"} if environment is None else {**environment},
    }
    create_model(
        _with(
            call,
            {
                "ModelName": name,
                "PrimaryContainer": container,
                "ExecutionRoleArn": role_arn(call.account.id),
                "Tags": to_list(tags),
            },
        )
    )


def build_config(
    call: AwsCall,
    name: str,
    *,
    instance_type: str,
    count: int,
    image: str | None,
    environment: Mapping[str, str] | None,
    volume_gb: int | None,
    tags: Mapping[str, str],
    config: Mapping[str, Any],
    variant: Mapping[str, Any],
    hosted: str | None = None,
) -> None:
    """Model and configuration of one name; raises AwsError.

    The model is called `hosted` where inference components are to host it.
    """
    build_model(
        call,
        hosted or name,
        instance_type=instance_type,
        image=image,
        environment=environment,
        tags=tags,
    )
    row = {
        "VariantName": VARIANT,
        **({"ModelName": name} if hosted is None else {}),
        "InstanceType": instance_type,
        "InitialInstanceCount": count,
        "InitialVariantWeight": 1.0,
        **({} if volume_gb is None else {"VolumeSizeInGB": volume_gb}),
        **variant,
    }
    document = {"EndpointConfigName": name, "ProductionVariants": [row], "Tags": to_list(tags)}
    create_config(_with(call, {**document, **config}))
    call.place.configs[name].created_at -= round(call.cloud.switches.config_lag_s * SECOND)


def build_endpoint(call: AwsCall, name: str, tags: Mapping[str, str]) -> AwsEndpoint:
    """An endpoint of the configuration of its name, Creating; raises AwsError."""
    named = {"EndpointName": name, "EndpointConfigName": name, "Tags": to_list(tags)}
    create_endpoint(_with(call, named))
    return call.place.endpoints[name]


def build_component(
    call: AwsCall,
    endpoint: AwsEndpoint,
    name: str,
    requirements: Mapping[str, int],
    most: int,
) -> Component:
    """A component on an endpoint, with what lets it go to zero and wake; raises AwsError."""
    specification = {"ModelName": name, "ComputeResourceRequirements": {**requirements}}
    create_component(
        _with(
            call,
            {
                "InferenceComponentName": name,
                "EndpointName": endpoint.name,
                "VariantName": VARIANT,
                "Specification": specification,
                "RuntimeConfig": {"CopyCount": 1},
            },
        )
    )
    if most:
        _scale_to_zero(call, f"inference-component/{name}", most)
    return call.place.components[name]


def _scale_to_zero(call: AwsCall, resource_id: str, most: int) -> None:
    where = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": resource_id,
        "ScalableDimension": COMPONENT,
    }
    register_target(_with(call, {**where, "MinCapacity": 0, "MaxCapacity": most}))
    put_policy(_with(call, {**where, **_TRACKING}))
    policy = put_policy(_with(call, {**where, **_STEP}))["PolicyARN"]
    name = resource_id.partition("/")[2]
    dimension = {"Name": "InferenceComponentName", "Value": name}
    about = {"AlarmName": f"{name}-wake", "Dimensions": [dimension], "AlarmActions": [policy]}
    put_alarm(_with(call, {**_ALARM, **about}))


_METRIC = "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
_TRACKING = {
    "PolicyName": "concurrency",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 5.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
    },
}
_STEP = {
    "PolicyName": "wake",
    "PolicyType": "StepScaling",
    "StepScalingPolicyConfiguration": {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Maximum",
        "Cooldown": 60,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    },
}
_ALARM = {
    "Namespace": "AWS/SageMaker",
    "MetricName": "NoCapacityInvocationFailures",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "missing",
}


def settle_component(
    endpoint: AwsEndpoint, component: Component, state: ComponentState, at: int
) -> None:
    """Let a component and its endpoint have been so since an instant."""
    copies = 0 if state == "zero" else 1
    component.timers.clear()
    component.created_at = at
    component.placements[:] = [Placement(at, "InService", copies, copies, at)]
    fleet = tuple(
        replace(one, current=copies, desired=copies, instances=copies) for one in endpoint.variants
    )
    endpoint.stretches[-1] = replace(endpoint.stretch, variants=fleet)
    endpoint.timers.clear()


def settle_endpoint(
    life: EndpointLife, endpoint: AwsEndpoint, state: Settled | None, at: int
) -> None:
    """Let the endpoint have been in a status since an instant; None lets it start."""
    if state is None:
        return
    life.core.timeline.clear(endpoint)
    endpoint.created_at = at
    fleet = tuple(in_service(one) for one in endpoint.variants)
    endpoint.stretches[:] = [
        replace(
            endpoint.stretch,
            at=at,
            modified_at=at,
            status=state,
            variants=emptied(fleet) if state == "Failed" else fleet,
            failure="The endpoint failed." if state == "Failed" else "",
        )
    ]
    _backdate(life, endpoint, at)


def _backdate(life: EndpointLife, endpoint: AwsEndpoint, at: int) -> None:
    place = life.core.home(endpoint)
    place.configs[endpoint.stretch.config].created_at = at
    for one in endpoint.variants:
        if one.model in place.models:
            place.models[one.model].created_at = at


def _with(call: AwsCall, params: Params) -> AwsCall:
    return replace(call, params=params)
