"""The AWS side of the demo's fleet: one account, a region with a dozen endpoints, a forgotten one.

Who made what is told as in many companies: some endpoints bear tags of a team, some none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from orchestrator.sandbox.aws.scene import (
    NEURON_AMI,
    TGI_GPU,
    TGI_NEURON,
    VLLM_NEURON,
    image_uri,
)
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.world import World

AWS_ACCOUNT = "111122223333"
AWS_REGIONS = ("us-east-1", "eu-west-1")
"""Where it has endpoints; eu-central-1, where prices are asked for too, is enabled and empty."""
AWS_KEY = "AKIAEXAMPLEDEMO"
"""The access key id that opens the simulated AWS account, and nothing else."""
AWS_SECRET = "sandbox-owner"  # noqa: S105 - opens nothing but the sandbox
AWS_CREDENTIALS = f"{AWS_KEY}:{AWS_SECRET}"
"""What a reference to the credentials of the simulated account resolves to."""

QUOTAS: Mapping[str, int] = {"ml.inf2.48xlarge": 1, "ml.p5.48xlarge": 1, "ml.g5.12xlarge": 2}
"""Instances for endpoint usage that each region allows; of all other types 20."""
LLAMA_70B = "llama-3-70b"
COMPONENTS = "summarize-components"
WITHOUT_CAPACITY = "qwen-72b-trial"

_HOME, _AWAY = AWS_REGIONS
_VLLM_GPU = "huggingface-vllm:0.29.0-transformers5.15.0-gpu-py312-cu130-ubuntu24.04-v1.0"
_LATE_HEALTH = {"ContainerStartupHealthCheckTimeoutInSeconds": 3600}
_NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity."
)
_LLAMA_70B_ENVIRONMENT = {
    "HF_MODEL_ID": "meta-llama/Meta-Llama-3-70B-Instruct",
    "HF_NUM_CORES": "24",
    "HF_AUTO_CAST_TYPE": "fp16",
    "MAX_BATCH_SIZE": "4",
    "MAX_INPUT_TOKENS": "4000",
    "MAX_TOTAL_TOKENS": "4096",
}
_COMPLETE = {
    "SM_ON_MODEL": "Qwen/Qwen2.5-Coder-7B-Instruct",
    "SM_ON_TENSOR_PARALLEL_SIZE": "2",
    "SM_ON_BATCH_SIZE": "4",
    "SM_ON_SEQUENCE_LENGTH": "4096",
}


def add_aws_fleet(world: World) -> None:
    """Add the account and its endpoints, which have been there for days to months."""
    world.aws.add_account(
        AWS_ACCOUNT,
        name="acme",
        access_keys={AWS_KEY: AWS_SECRET},
        regions=(*AWS_REGIONS, "eu-central-1"),
        quotas={region: dict(QUOTAS) for region in AWS_REGIONS},
    )
    for number, row in enumerate(_CLASSIC):
        _add(world, number, **row)
    _add_two_variants(world)
    _add_serverless(world)
    _add_components(world)
    _autoscale(world, "support-chat-8b", 3)
    stack = {"aws:cloudformation:stack-name": "legal-assistant"}
    world.aws.stamp(AWS_ACCOUNT, _HOME, "contracts-14b", stack)
    world.aws.exhaust_capacity(_HOME, "ml.p5.48xlarge")
    world.aws.force_status(AWS_ACCOUNT, _HOME, WITHOUT_CAPACITY, "Failed", reason=_NO_CAPACITY)


def _tags(team: str = "", owner: str = "") -> dict[str, str]:
    return {key: value for key, value in (("team", team), ("owner", owner)) if value}


_CLASSIC: tuple[dict[str, Any], ...] = (
    {
        "name": LLAMA_70B,
        "instance_type": "ml.inf2.48xlarge",
        "image": TGI_NEURON,
        "environment": _LLAMA_70B_ENVIRONMENT,
        "volume_gb": 512,
        "startup_s": 32 * 60.0,
        "variant": _LATE_HEALTH,
        "tags": _tags("assistants", "jonas"),
        "client": "m-mid-020",
        "age_days": 58,
    },
    {
        "name": "code-complete-7b",
        "instance_type": "ml.inf2.8xlarge",
        "image": VLLM_NEURON,
        "environment": _COMPLETE,
        "volume_gb": 128,
        "variant": {**_LATE_HEALTH, "InferenceAmiVersion": NEURON_AMI},
        "tags": _tags("developer-tools", "ben"),
        "client": "m-large-076",
        "age_days": 40,
    },
    {
        "name": "support-chat-8b",
        "instance_type": "ml.g5.2xlarge",
        "image": TGI_GPU,
        "environment": {"HF_MODEL_ID": "meta-llama/Llama-3.1-8B-Instruct", "SM_NUM_GPUS": "1"},
        "tags": _tags("support", "maria"),
        "client": "m-mid-046",
        "age_days": 122,
    },
    {
        "name": "guard-8b",
        "instance_type": "ml.g6.2xlarge",
        "image": TGI_GPU,
        "environment": {"HF_MODEL_ID": "meta-llama/Llama-Guard-3-8B", "SM_NUM_GPUS": "1"},
        "tags": _tags("trust", "lin"),
        "client": "m-large-048",
        "age_days": 90,
    },
    {
        "name": "rag-answers-32b",
        "instance_type": "ml.g6.12xlarge",
        "image": _VLLM_GPU,
        "environment": {
            "SM_VLLM_MODEL": "Qwen/Qwen3-32B",
            "SM_VLLM_TENSOR_PARALLEL_SIZE": "4",
        },
        "tags": _tags("assistants", "priya"),
        "client": "m-mid-064",
        "age_days": 33,
    },
    {
        "name": "contracts-14b",
        "instance_type": "ml.g6e.2xlarge",
        "image": _VLLM_GPU,
        "environment": {"SM_VLLM_MODEL": "Qwen/Qwen3-14B"},
        "tags": _tags("legal"),
        "client": "m-large-084",
        "age_days": 75,
    },
    {
        "name": "translate-trainium",
        "instance_type": "ml.trn1.2xlarge",
        "image": TGI_NEURON,
        "environment": {
            "HF_MODEL_ID": "utter-project/EuroLLM-1.7B-Instruct",
            "HF_NUM_CORES": "2",
            "HF_AUTO_CAST_TYPE": "bf16",
            "MAX_BATCH_SIZE": "4",
            "MAX_INPUT_TOKENS": "2048",
            "MAX_TOTAL_TOKENS": "4096",
        },
        "volume_gb": 64,
        "client": "m-large-094",
        "age_days": 27,
    },
    {
        "name": "ticket-classifier",
        "instance_type": "ml.m5.xlarge",
        "environment": {"HF_MODEL_ID": "acme/ticket-classifier", "HF_TASK": "text-classification"},
        "volume_gb": 30,
        "tags": _tags("support", "omar"),
        "client": "m-large-066",
        "age_days": 210,
    },
    {
        "name": WITHOUT_CAPACITY,
        "instance_type": "ml.p5.48xlarge",
        "image": _VLLM_GPU,
        "environment": {"SM_VLLM_MODEL": "Qwen/Qwen2.5-72B-Instruct"},
        "tags": _tags("assistants", "jonas"),
        "state": "Failed",
        "age_days": 3,
    },
    {
        "name": "workshop-gpu-34b",
        "instance_type": "ml.g5.12xlarge",
        "image": TGI_GPU,
        "environment": {"HF_MODEL_ID": "01-ai/Yi-1.5-34B-Chat", "SM_NUM_GPUS": "4"},
        "age_days": 64,
    },
    {
        "name": "hackathon-8b",
        "region": _AWAY,
        "instance_type": "ml.g5.2xlarge",
        "image": TGI_GPU,
        "environment": {"HF_MODEL_ID": "meta-llama/Llama-3.1-8B-Instruct", "SM_NUM_GPUS": "1"},
        "age_days": 101,
    },
)


def _add(
    world: World,
    number: int,
    *,
    age_days: int,
    region: str = _HOME,
    image: str | None = None,
    client: str = "",
    **rest: Any,
) -> None:
    world.aws.add_endpoint(
        AWS_ACCOUNT,
        region,
        image=image_uri(region, image) if image else None,
        traffic=_traffic(world, client, number) if client else None,
        created_at=world.start - timedelta(days=age_days, minutes=37 * (number + 1)),
        **rest,
    )


def _traffic(world: World, client: str, number: int) -> Traffic:
    return Traffic.recorded(client, seed=world.seed * 1000 + 500 + number)


def _add_two_variants(world: World) -> None:
    """Add an endpoint that compares two models, which is only observed."""
    name = "rerank-compare"
    shares = (("current", 9.0), ("candidate", 1.0))
    variants = [
        {
            "VariantName": variant,
            "ModelName": name,
            "InstanceType": "ml.g4dn.xlarge",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for variant, weight in shares
    ]
    world.aws.add_endpoint(
        AWS_ACCOUNT,
        _HOME,
        name,
        instance_type="ml.g4dn.xlarge",
        environment={"HF_MODEL_ID": "BAAI/bge-reranker-v2-m3"},
        tags=_tags("search", "jonas"),
        config={"ProductionVariants": variants},
        created_at=world.start - timedelta(days=18, hours=3),
    )


def _add_serverless(world: World) -> None:
    """Add an endpoint without instances, which is only observed."""
    name = "intake-forms"
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "ServerlessConfig": {"MemorySizeInMB": 4096, "MaxConcurrency": 5},
    }
    world.aws.add_endpoint(
        AWS_ACCOUNT,
        _HOME,
        name,
        instance_type="ml.m5.large",
        environment={"HF_MODEL_ID": "acme/form-fields", "HF_TASK": "token-classification"},
        tags=_tags("documents", "sara"),
        config={"ProductionVariants": [variant]},
        created_at=world.start - timedelta(days=49),
    )


def _add_components(world: World) -> None:
    """Add an endpoint whose inference component goes to zero and wakes by traffic."""
    world.aws.add_component_endpoint(
        AWS_ACCOUNT,
        _HOME,
        COMPONENTS,
        instance_type="ml.g5.xlarge",
        image=image_uri(_HOME, TGI_GPU),
        environment={"HF_MODEL_ID": "Qwen/Qwen3-0.6B", "SM_NUM_GPUS": "1"},
        tags=_tags("data", "wei"),
        most_instances=1,
        most_copies=1,
        state="zero",
        traffic=_traffic(world, "m-large-080", 40),
        created_at=world.start - timedelta(days=21),
    )


def _autoscale(world: World, name: str, most: int) -> None:
    where = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    call = world.aws.apply
    target = {**where, "MinCapacity": 1, "MaxCapacity": most}
    call(AWS_ACCOUNT, _HOME, "application-autoscaling", "RegisterScalableTarget", target)
    call(AWS_ACCOUNT, _HOME, "application-autoscaling", "PutScalingPolicy", {**where, **_TRACKING})


_TRACKING = {
    "PolicyName": "invocations",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    },
}
