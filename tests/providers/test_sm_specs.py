"""What is refused or warned of before any call to AWS is made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling
from orchestrator.providers.base import SpecError
from orchestrator.providers.sagemaker.bodies import plan_of
from orchestrator.providers.sagemaker.specs import Place, check

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TGI_CASE = "llama-3-70b-inf2"
VLLM_CASE = "llama-3-70b-inf2-vllm"
ROLE = "arn:aws:iam::123456789012:role/sagemaker-execution"
PLACE = Place("123456789012", "us-east-1")
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TGI_NEURONX = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.22-neuronx-py310"
VLLM_NEURONX = f"{REGISTRY}/huggingface-vllm-inference-neuronx:0.11.0-optimum0.4.4-neuronx-py310"
TGI = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"


def hardware(instance_type: str, region: str = "us-east-1") -> Hardware:
    return Hardware("sagemaker", region, instance_type, "x1")


def example(name: str) -> EndpointSpec:
    """Read a body of POST /v1/endpoints as the API does."""
    body: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    assert set(body) <= {
        *("account", "name", "repository", "hardware", "scaling", "image", "environment"),
        *("secrets", "options", "labels", "reason"),
    }
    assert all(value.startswith(("env:", "file:")) for value in body["secrets"].values())
    return EndpointSpec(
        name=body["name"],
        repository=body["repository"],
        hardware=Hardware(**body["hardware"]),
        scaling=Scaling(**body["scaling"]),
        image=body["image"],
        environment=body["environment"],
        secrets=dict.fromkeys(body["secrets"], "resolved-by-the-server"),
        options=body["options"],
    )


def spec(base: str = TGI_CASE, **changes: Any) -> EndpointSpec:
    """An example with other values: `env_X` and `opt_x` change one entry, None removes it."""
    found = example(base)
    image = TGI_NEURONX if base == TGI_CASE else VLLM_NEURONX
    environment, options = dict(found.environment), dict(found.options)
    others: dict[str, Any] = {"secrets": {}, "image": {"uri": image}}
    for name, value in changes.items():
        kind, _, key = name.partition("_")
        store = {"env": environment, "opt": options}.get(kind)
        if store is None:
            others[name] = value
        elif value is None:
            store.pop(key, None)
        else:
            store[key] = value
    return replace(found, **({"environment": environment, "options": options} | others))


def refusal(given: EndpointSpec, place: Place = PLACE) -> SpecError:
    with pytest.raises(SpecError) as caught:
        check(place, given, {})
    assert caught.value.remedy
    return caught.value


def warnings(given: EndpointSpec) -> str:
    return "\n".join(check(PLACE, given, {}))


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


class TestComponents:
    """Endpoints that may go to zero."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "opt_inference_components": True,
        "opt_min_memory_mb": 1024,
    }

    @pytest.mark.parametrize("scaling", [Scaling(0, 2, 15), Scaling(0, 1), Scaling(1, 3)])
    def test_bounds_that_are_possible(self, scaling: Scaling) -> None:
        assert check(PLACE, spec(scaling=scaling, **self.OPTIONS), {}) == ()

    @pytest.mark.parametrize("scaling", [Scaling(1, 2, 15), Scaling(0, 2, 20), Scaling(0, 0)])
    def test_bounds_that_are_not(self, scaling: Scaling) -> None:
        assert refusal(spec(scaling=scaling, **self.OPTIONS)).field.startswith("scaling.")

    def test_metrics_are_those_of_components(self) -> None:
        given = Scaling(0, 2, None, "invocationsPerInstance")
        assert "invocationsPerCopy" in refusal(spec(scaling=given, **self.OPTIONS)).remedy

    def test_the_requests(self) -> None:
        plan = plan_of(PLACE, spec(scaling=Scaling(0, 2, 15), **self.OPTIONS), None)
        (variant,) = plan.config["ProductionVariants"]
        assert "ModelName" not in variant
        assert variant["ManagedInstanceScaling"] == {
            "Status": "ENABLED",
            "MinInstanceCount": 0,
            "MaxInstanceCount": 2,
        }
        assert plan.config["ExecutionRoleArn"] == ROLE
        assert plan.component is not None
        assert plan.component["RuntimeConfig"] == {"CopyCount": 1}
        assert plan.component["Specification"] == {
            "ModelName": plan.model["ModelName"],
            "ComputeResourceRequirements": {
                "MinMemoryRequiredInMb": 1024,
                "NumberOfAcceleratorDevicesRequired": 12,
            },
            "StartupParameters": {"ContainerStartupHealthCheckTimeoutInSeconds": 3600},
        }


class TestWeightsInS3:
    """The way around a token in the environment."""

    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            (
                "s3://bucket/llama/",
                {
                    "ModelDataSource": {
                        "S3DataSource": {
                            "S3Uri": "s3://bucket/llama/",
                            "S3DataType": "S3Prefix",
                            "CompressionType": "None",
                        }
                    }
                },
            ),
            ("s3://bucket/model.tar.gz", {"ModelDataUrl": "s3://bucket/model.tar.gz"}),
        ],
    )
    def test_they_are_mounted(self, uri: str, expected: dict[str, Any]) -> None:
        plan = plan_of(PLACE, spec(opt_model_data=uri), None)
        container = plan.model["PrimaryContainer"]
        assert container.items() >= expected.items()
        assert container["Environment"]["HF_MODEL_ID"] == "/opt/ml/model"

    def test_the_name_on_the_hub_is_kept_in_a_tag(self) -> None:
        plan = plan_of(PLACE, spec(opt_model_data="s3://bucket/llama/"), None)
        tags = {tag["Key"]: tag["Value"] for tag in plan.endpoint["Tags"]}
        assert tags["endpoint-orchestrator:repository"] == "meta-llama/Meta-Llama-3-70B-Instruct"

    def test_a_repository_may_be_in_s3_itself(self) -> None:
        plan = plan_of(PLACE, spec(repository="s3://bucket/llama"), None)
        source = plan.model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
        assert source["S3Uri"] == "s3://bucket/llama/"


class TestChanges:
    """A change is held against what the endpoint has."""

    CURRENT: ClassVar[dict[str, Any]] = {
        "kind": "classic",
        "instance_type": "ml.inf2.48xlarge",
        "image": TGI_NEURONX,
        "repository": "meta-llama/Meta-Llama-3-70B-Instruct",
        "environment": {
            "HF_MODEL_ID": "meta-llama/Meta-Llama-3-70B-Instruct",
            "HF_NUM_CORES": "24",
            "HF_TOKEN": "redacted:0123",
            "HF_AUTO_CAST_TYPE": "fp16",
            "MAX_BATCH_SIZE": "4",
            "MAX_TOTAL_TOKENS": "4096",
        },
        "volume_gb": 512,
        "health_check_timeout_s": 3600,
    }

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            (EndpointChange(hardware=hardware("ml.inf2.24xlarge")), "environment.HF_NUM_CORES"),
            (EndpointChange(hardware=hardware("ml.g5.48xlarge")), "hardware.instance_type"),
            (EndpointChange(hardware=hardware("nonsense")), "hardware.instance_type"),
            (EndpointChange(image={"uri": TGI}), "hardware.instance_type"),
            (EndpointChange(environment={"HF_NUM_CORES": "48"}), "environment.HF_NUM_CORES"),
            (EndpointChange(secrets={"HF_TOKEN": "redacted:0123"}), "environment.HF_TOKEN"),
            (EndpointChange(scaling=Scaling(0, 1)), "scaling.min_replicas"),
            (EndpointChange(options={"volume_gb": 20}), "options.volume_gb"),
            (EndpointChange(options={"inference_components": True}), "options.inference_comp"),
            (EndpointChange(tags=("aws:a=b",)), "tags.aws:a"),
            (EndpointChange(access="public"), "access"),
            (EndpointChange(command=("sh",)), "command"),
        ],
    )
    def test_refused(self, change: EndpointChange, field: str) -> None:
        with pytest.raises(SpecError) as caught:
            check(PLACE, change, self.CURRENT)
        assert caught.value.field.startswith(field)
        assert caught.value.remedy

    @pytest.mark.parametrize(
        "change",
        [
            EndpointChange(),
            EndpointChange(tags=("a=b",)),
            EndpointChange(scaling=Scaling(1, 4)),
            EndpointChange(options={"volume_gb": 400}),
            EndpointChange(repository="meta-llama/Llama-3.3-70B-Instruct"),
        ],
    )
    def test_fine(self, change: EndpointChange) -> None:
        assert check(PLACE, change, self.CURRENT) == ()

    def test_what_was_odd_before_does_not_stop_another_change(self) -> None:
        odd = self.CURRENT | {"image": "not an image", "instance_type": "ml.none.none"}
        assert check(PLACE, EndpointChange(tags=("a=b",), scaling=Scaling(1, 2)), odd) == ()

    def test_a_component_may_go_to_zero(self) -> None:
        current = self.CURRENT | {"kind": "components"}
        assert check(PLACE, EndpointChange(scaling=Scaling(0, 2, 15)), current) == ()

    def test_new_secrets_are_warned_of(self) -> None:
        (warning,) = check(PLACE, EndpointChange(secrets={"HF_TOKEN": "x1y2z3w4"}), self.CURRENT)
        assert "DescribeModel" in warning
