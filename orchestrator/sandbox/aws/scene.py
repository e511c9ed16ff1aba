"""Whole endpoints at once, for tests and for the demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from orchestrator.sandbox.aws.calls import AwsCall, Params
from orchestrator.sandbox.aws.configs import create_config
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.endpoints import create_endpoint
from orchestrator.sandbox.aws.hardware import instance
from orchestrator.sandbox.aws.lifecycle import EndpointLife, emptied, in_service
from orchestrator.sandbox.aws.models import create_model
from orchestrator.sandbox.aws.tags import to_list
from orchestrator.sandbox.instants import SECOND

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


def build_endpoint(
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
    exists: bool,
) -> AwsEndpoint | None:
    """Model, configuration and, if it `exists`, endpoint of one name; raises AwsError."""
    build_model(
        call, name, instance_type=instance_type, image=image, environment=environment, tags=tags
    )
    volume = {} if volume_gb is None else {"VolumeSizeInGB": volume_gb}
    row = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InstanceType": instance_type,
        "InitialInstanceCount": count,
        "InitialVariantWeight": 1.0,
        **volume,
        **variant,
    }
    labels = to_list(tags)
    document = {"EndpointConfigName": name, "ProductionVariants": [row], "Tags": labels, **config}
    create_config(_with(call, document))
    call.place.configs[name].created_at -= round(call.cloud.switches.config_lag_s * SECOND)
    if not exists:
        return None
    named = {"EndpointName": name, "EndpointConfigName": name, "Tags": labels}
    create_endpoint(_with(call, named))
    return call.place.endpoints[name]


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
