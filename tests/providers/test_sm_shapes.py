"""Checks of inference components, of weights in S3, of tasks, and of changes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from orchestrator.domain.endpoints import EndpointChange, Scaling
from orchestrator.providers.base import SpecError
from orchestrator.providers.sagemaker.bodies import plan_of
from orchestrator.providers.sagemaker.specs import check
from tests.providers.sm_examples import (
    PLACE,
    REGISTRY,
    ROLE,
    TGI,
    TGI_NEURONX,
    VLLM_CASE,
    hardware,
    refusal,
    spec,
)


class TestTasks:
    """What a server is for."""

    @pytest.mark.parametrize("task", ["text-generation", None])
    def test_text_generation_needs_no_word(self, task: str | None) -> None:
        plan = plan_of(PLACE, spec(VLLM_CASE, task=task), None)
        assert "SM_ON_TASK" not in plan.model["PrimaryContainer"]["Environment"]

    def test_vllm_for_neuron_embeds(self) -> None:
        plan = plan_of(PLACE, spec(VLLM_CASE, task="feature-extraction"), None)
        assert plan.model["PrimaryContainer"]["Environment"]["SM_ON_TASK"] == "embed"

    def test_other_servers_are_told_as_they_expect(self) -> None:
        image = {"uri": f"{REGISTRY}/huggingface-pytorch-inference-neuronx:2.8.0-neuronx-py310"}
        plan = plan_of(PLACE, spec(task="fill-mask", image=image), None)
        assert plan.model["PrimaryContainer"]["Environment"]["HF_TASK"] == "fill-mask"

    def test_what_a_server_cannot_do(self) -> None:
        assert refusal(spec(task="image-to-text")).field == "task"


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
        (warning,) = check(PLACE, EndpointChange(scaling=Scaling(0, 2, 15)), current)
        assert "bills both" in warning

    def test_new_secrets_are_warned_of(self) -> None:
        (warning,) = check(PLACE, EndpointChange(secrets={"HF_TOKEN": "x1y2z3w4"}), self.CURRENT)
        assert "DescribeModel" in warning
