"""What is refused or warned of before any call to AWS is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.endpoints import Hardware, Scaling
from orchestrator.providers.sagemaker.bodies import plan_of
from orchestrator.providers.sagemaker.specs import check
from tests.providers.sm_examples import (
    PLACE,
    REGISTRY,
    ROLE,
    TGI,
    TGI_CASE,
    TGI_NEURONX,
    VLLM_CASE,
    example,
    hardware,
    refusal,
    spec,
    warnings,
)


class TestExamples:
    """The documented cases can be run as they are."""

    @pytest.mark.parametrize("name", [TGI_CASE, VLLM_CASE])
    def test_only_the_token_is_warned_of(self, name: str) -> None:
        (warning,) = check(PLACE, example(name), {})
        assert warning.startswith("HF_TOKEN: ")
        assert "DescribeModel" in warning
        assert "options.model_data" in warning
        assert "resolved-by-the-server" not in warning

    def test_the_requests_of_tgi(self) -> None:
        plan = plan_of(PLACE, example(TGI_CASE), None)
        (variant,) = plan.config["ProductionVariants"]
        container = plan.model["PrimaryContainer"]
        assert container["Image"].endswith("2.1.2-optimum0.0.22-neuronx-py310-ubuntu22.04")
        assert container["Environment"] == {
            "HF_MODEL_ID": "meta-llama/Meta-Llama-3-70B-Instruct",
            "HF_NUM_CORES": "24",
            "HF_BATCH_SIZE": "4",
            "HF_SEQUENCE_LENGTH": "4096",
            "HF_AUTO_CAST_TYPE": "fp16",
            "MAX_BATCH_SIZE": "4",
            "MAX_INPUT_LENGTH": "4000",
            "MAX_INPUT_TOKENS": "4000",
            "MAX_TOTAL_TOKENS": "4096",
            "MESSAGES_API_ENABLED": "true",
            "HF_TOKEN": "resolved-by-the-server",
        }
        assert variant == {
            "VariantName": "AllTraffic",
            "ModelName": plan.model["ModelName"],
            "InstanceType": "ml.inf2.48xlarge",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
            "VolumeSizeInGB": 512,
            "ContainerStartupHealthCheckTimeoutInSeconds": 3600,
        }
        assert "resolved-by-the-server" not in repr(plan)

    def test_the_requests_of_vllm(self) -> None:
        plan = plan_of(PLACE, example(VLLM_CASE), None)
        (variant,) = plan.config["ProductionVariants"]
        environment = plan.model["PrimaryContainer"]["Environment"]
        assert environment["SM_ON_MODEL"] == "meta-llama/Llama-3.3-70B-Instruct"
        assert variant["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-neuron-2"


@pytest.mark.parametrize(
    ("base", "changes", "field", "words"),
    [
        (TGI_CASE, {"name": "has_underscore"}, "name", "not possible"),
        (TGI_CASE, {"name": "ends-"}, "name", "not possible"),
        (TGI_CASE, {"name": "x" * 64}, "name", "not possible"),
        (TGI_CASE, {"hardware": hardware("inf2.48xlarge")}, "hardware.instance_type", "form"),
        (TGI_CASE, {"hardware": hardware("ml.inf2.49xlarge")}, "hardware.instance_type", "known"),
        (TGI_CASE, {"hardware": hardware("ml.inf2.48xlarge", "eu-west-1")}, "hardware.region", ""),
        (
            TGI_CASE,
            {"hardware": Hardware("aws", "us-east-1", "ml.g5.xlarge", "x1")},
            "hardware.vendor",
            "aws",
        ),
        (
            TGI_CASE,
            {"hardware": Hardware("sagemaker", "us-east-1", "ml.g5.xlarge", "x2")},
            "hardware.instance_size",
            "x2",
        ),
        (TGI_CASE, {"hardware": hardware("ml.g5.48xlarge")}, "hardware.instance_type", "neuron"),
        (TGI_CASE, {"hardware": hardware("ml.m5.xlarge")}, "hardware.instance_type", "cpu"),
        (TGI_CASE, {"image": {"uri": TGI}}, "hardware.instance_type", "gpu"),
        (TGI_CASE, {"hardware": hardware("ml.inf1.24xlarge")}, "hardware.instance_type", "Inf"),
        (TGI_CASE, {"hardware": hardware("ml.inf2.8xlarge")}, "environment.HF_NUM_CORES", "2 Neu"),
        (
            TGI_CASE,
            {"hardware": hardware("ml.inf2.8xlarge"), "env_HF_NUM_CORES": "2"},
            "hardware.instance_type",
            "140 GB",
        ),
        (TGI_CASE, {"env_HF_NUM_CORES": "25"}, "environment.HF_NUM_CORES", "odd"),
        (TGI_CASE, {"env_HF_NUM_CORES": "26"}, "environment.HF_NUM_CORES", "24 NeuronCores"),
        (TGI_CASE, {"env_HF_NUM_CORES": "many"}, "environment.HF_NUM_CORES", "whole number"),
        (TGI_CASE, {"env_MAX_BATCH_SIZE": "0"}, "environment.MAX_BATCH_SIZE", "whole number"),
        (TGI_CASE, {"env_MAX_BATCH_SIZE": "8"}, "environment.HF_BATCH_SIZE", "same setting"),
        (TGI_CASE, {"env_MAX_TOTAL_TOKENS": "2048"}, "environment.HF_SEQUENCE_LENGTH", "same"),
        (TGI_CASE, {"env_MAX_INPUT_TOKENS": "3000"}, "environment.MAX_INPUT_LENGTH", "same"),
        (TGI_CASE, {"env_MAX_INPUT_LENGTH": "4096"}, "environment.MAX_TOTAL_TOKENS", "below"),
        (
            TGI_CASE,
            {"env_MAX_BATCH_PREFILL_TOKENS": "100"},
            "environment.MAX_BATCH_PREFILL_TOKENS",
            "less than",
        ),
        (TGI_CASE, {"env_HF_AUTO_CAST_TYPE": "fp8"}, "environment.HF_AUTO_CAST_TYPE", "fp8"),
        (TGI_CASE, {"env_HF_MODEL_QUANTIZE": "awq"}, "environment.HF_MODEL_QUANTIZE", "quant"),
        (TGI_CASE, {"env_SM_NUM_GPUS": "2"}, "environment.SM_NUM_GPUS", "shard"),
        (TGI_CASE, {"env_NUM_SHARD": "2"}, "environment.NUM_SHARD", "shard"),
        (TGI_CASE, {"opt_health_check_timeout_s": 3601}, "options.health_check_timeout_s", "3601"),
        (TGI_CASE, {"opt_health_check_timeout_s": 59}, "options.health_check_timeout_s", "59"),
        (TGI_CASE, {"opt_volume_gb": 513}, "options.volume_gb", "513"),
        (TGI_CASE, {"opt_volume_gb": 100}, "options.volume_gb", "140 GB"),
        (TGI_CASE, {"opt_volume_gb": None}, "options.volume_gb", "default volume"),
        (TGI_CASE, {"opt_volume_gb": True}, "options.volume_gb", "True"),
        (TGI_CASE, {"opt_execution_role": None}, "options.execution_role", "role"),
        (TGI_CASE, {"opt_execution_role": "me"}, "options.execution_role", "me"),
        (TGI_CASE, {"opt_model_data": "/local"}, "options.model_data", "local"),
        (TGI_CASE, {"opt_subnets": ["subnet-1"]}, "options.security_groups", "security"),
        (TGI_CASE, {"opt_subnets": "no"}, "options.subnets", "no"),
        (TGI_CASE, {"opt_network_isolation": "maybe"}, "options.network_isolation", "maybe"),
        (TGI_CASE, {"opt_colour": "red"}, "options.colour", "colour"),
        (TGI_CASE, {"opt_ami_version": "al2-gpu"}, "options.ami_version", "neuron"),
        (TGI_CASE, {"opt_inference_components": True}, "options.min_memory_mb", "memory"),
        (TGI_CASE, {"scaling": Scaling(0, 1)}, "scaling.min_replicas", "zero"),
        (TGI_CASE, {"scaling": Scaling(2, 1)}, "scaling.max_replicas", "2"),
        (TGI_CASE, {"scaling": Scaling(1, 1, 15)}, "scaling.scale_to_zero_minutes", "components"),
        (TGI_CASE, {"scaling": Scaling(1, 2, None, "cpu")}, "scaling.metric", "cpu"),
        (
            TGI_CASE,
            {"scaling": Scaling(1, 2, None, "concurrentRequests", "much")},
            "scaling.threshold",
            "much",
        ),
        (TGI_CASE, {"access": "public"}, "access", "IAM"),
        (TGI_CASE, {"command": ("sh",)}, "command", "own command"),
        (TGI_CASE, {"arguments": ("-x",)}, "arguments", "own command"),
        (TGI_CASE, {"env_1ST": "x"}, "environment.1ST", "name"),
        (TGI_CASE, {"env_LONG": "x" * 1025}, "environment.LONG", "long"),
        (TGI_CASE, {"env_KEPT": "redacted:abc"}, "environment.KEPT", "marker"),
        (TGI_CASE, {"tags": ("aws:x=1",)}, "tags.aws:x", "reserved"),
        (TGI_CASE, {"tags": ("endpoint-orchestrator:paused=1",)}, "tags.", "reserved"),
        (TGI_CASE, {"tags": ("a=%",)}, "tags.a", "not possible"),
        (TGI_CASE, {"tags": tuple(f"k{n}=v" for n in range(45))}, "tags", "45"),
        (TGI_CASE, {"repository": "s3://b"}, "options.model_data", "s3://b"),
        (VLLM_CASE, {"opt_ami_version": None}, "options.ami_version", "driver"),
        (VLLM_CASE, {"env_SM_ON_PORT": "9000"}, "environment.SM_ON_PORT", "port"),
        (
            VLLM_CASE,
            {"env_SM_ON_DATA_PARALLEL_SIZE": "2"},
            "environment.SM_ON_DATA_PARALLEL_SIZE",
            "flag",
        ),
        (
            VLLM_CASE,
            {"env_SM_ON_TENSOR_PARALLEL_SIZE": "32"},
            "environment.SM_ON_TENSOR_PARALLEL_SIZE",
            "24 NeuronCores",
        ),
        (VLLM_CASE, {"env_SM_ON_QUANTIZATION": "fp8"}, "environment.SM_ON_QUANTIZATION", "quant"),
        (VLLM_CASE, {"env_SM_ON_DTYPE": "float32"}, "environment.SM_ON_DTYPE", "float32"),
    ],
)
def test_what_would_be_refused_or_could_not_start(
    base: str, changes: dict[str, Any], field: str, words: str
) -> None:
    error = refusal(spec(base, **changes))
    assert error.field.startswith(field)
    assert words in str(error)


def test_the_limits_of_an_environment() -> None:
    many = {f"N{number}": "x" for number in range(99)}
    assert refusal(replace(spec(), environment=many | {"TWO": "x"})).field == "environment"
    large = {f"N{number}": "x" * 1000 for number in range(33)}
    assert "bytes" in str(refusal(replace(spec(), environment=large)))


def test_a_type_that_is_misspelt_is_answered_with_the_right_one() -> None:
    assert "ml.inf2.48xlarge" in refusal(spec(hardware=hardware("ml.inf2.48xlage"))).remedy


def test_the_account_may_have_the_role() -> None:
    given = spec(opt_execution_role=None)
    assert check(replace(PLACE, role=ROLE), given, {}) == ()


@pytest.mark.parametrize(
    ("base", "changes", "words"),
    [
        (TGI_CASE, {"env_HF_NUM_CORES": None}, "without HF_NUM_CORES"),
        (TGI_CASE, {"env_HF_AUTO_CAST_TYPE": None}, "without HF_AUTO_CAST_TYPE"),
        (TGI_CASE, {"env_HF_NUM_CORES": "20"}, "unusual"),
        (TGI_CASE, {"opt_health_check_timeout_s": 2400}, "too short"),
        (TGI_CASE, {"opt_health_check_timeout_s": None}, "too short"),
        (TGI_CASE, {"env_API_KEY": "k3yk3y"}, "API_KEY"),
        (TGI_CASE, {"secrets": {"PLAIN": "words"}}, "PLAIN"),
        (TGI_CASE, {"image": {"uri": "docker.io/me/tgi-neuronx:1"}}, "private registry"),
        (
            TGI_CASE,
            {"image": {"uri": TGI_NEURONX.replace("us-east-1", "eu-west-1")}},
            "eu-west-1",
        ),
        (
            TGI_CASE,
            {
                "repository": "mistralai/Mistral-7B-v0.1",
                "hardware": hardware("ml.inf2.xlarge"),
                "env_HF_NUM_CORES": "2",
            },
            "16 GiB of memory",
        ),
        (
            TGI_CASE,
            {
                "repository": "org/m-13b",
                "hardware": hardware("ml.inf2.24xlarge"),
                "env_HF_NUM_CORES": "12",
                "opt_volume_gb": None,
            },
            "default volume",
        ),
        (
            TGI_CASE,
            {
                "image": {
                    "uri": f"{REGISTRY}/huggingface-pytorch-inference-neuronx:2.8.0-neuronx-py310"
                }
            },
            "is not a text generation server",
        ),
        (VLLM_CASE, {"hardware": hardware("ml.trn2.48xlarge")}, "Trainium2"),
        (VLLM_CASE, {"env_SM_ON_BATCH_SIZE": None}, "without SM_ON_BATCH_SIZE"),
    ],
)
def test_what_is_warned_of(base: str, changes: dict[str, Any], words: str) -> None:
    assert words in warnings(spec(base, **changes))


def test_eight_billion_on_the_larger_machine_is_not_warned_of() -> None:
    given = spec(
        repository="mistralai/Mistral-7B-v0.1",
        hardware=hardware("ml.inf2.8xlarge"),
        env_HF_NUM_CORES="2",
    )
    assert check(PLACE, given, {}) == ()


def test_a_quantised_model_on_gpus_may_be_larger_than_their_memory() -> None:
    gpu: dict[str, Any] = {
        "image": {"uri": TGI},
        "hardware": hardware("ml.g5.12xlarge"),
        "environment": {"SM_NUM_GPUS": "4"},
    }
    assert "unless they are quantised" in warnings(spec(**gpu))
    assert "quantised" not in warnings(spec(**gpu, repository="org/Llama-70B-AWQ"))
