"""Image URIs by framework, with the real tables of the SageMaker SDK, and the traps on the way."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from orchestrator.providers.base import SpecError
from orchestrator.providers.sagemaker import images
from orchestrator.providers.sagemaker.dialects import (
    NAMES,
    Dialect,
    built_environment,
    dialect_of,
    image_accelerator,
    repository_of,
    with_twins,
)
from orchestrator.providers.sagemaker.images import image_region, image_uri

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TGI_NEURONX = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.7.0-optimum3.3.6-neuronx-py310"
VLLM_NEURONX = f"{REGISTRY}/huggingface-vllm-inference-neuronx:0.11.0-optimum0.4.4-neuronx-py310"


def of(framework: str, version: str | None = None, region: str = "us-east-1") -> str:
    image: dict[str, Any] = {"framework": framework}
    if version:
        image["version"] = version
    return image_uri(image, region)


@pytest.mark.parametrize(
    ("framework", "version", "expected"),
    [
        (
            "huggingface-llm-neuronx",
            "0.0.22",
            "huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.22-neuronx-py310-ubuntu22.04",
        ),
        (
            "huggingface-llm-neuronx",
            "0.3.0",
            "huggingface-pytorch-tgi-inference:2.7.0-optimum3.3.6-neuronx-py310-ubuntu22.04",
        ),
        (
            "huggingface-vllm-neuronx",
            "0.4.1",
            "huggingface-vllm-inference-neuronx:0.10.2-neuronx-py310-sdk2.26.0-ubuntu22.04",
        ),
        (
            "huggingface-vllm-neuronx",
            "0.4.4",
            VLLM_NEURONX.rpartition("/")[2] + "-sdk2.26.1-ubuntu22.04",
        ),
        (
            "huggingface-llm",
            "3.3.6",
            "huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04",
        ),
        (
            "huggingface-vllm",
            "0.29.0",
            "huggingface-vllm:0.29.0-transformers5.15.0-gpu-py312-cu130-ubuntu24.04-v1.0",
        ),
    ],
)
def test_a_version_gives_the_published_image(framework: str, version: str, expected: str) -> None:
    assert of(framework, version) == f"{REGISTRY}/{expected}"


@pytest.mark.parametrize("framework", images.FRAMEWORKS)
def test_without_a_version_the_newest_of_the_right_kind(framework: str) -> None:
    built_for = "neuron" if "neuronx" in framework else "gpu"
    assert image_accelerator(of(framework)) == built_for
    assert "-inf2-" not in of(framework)


def test_the_trap_that_is_avoided_is_still_there() -> None:
    """Without its inference tool the SDK names an image that nobody has published."""
    sdk = images._worker().submit(images._sdk).result()
    trap = sdk.retrieve("huggingface-llm-neuronx", region="us-east-1", image_scope="inference")
    assert "-inf2-" in trap
    with pytest.raises(SpecError, match="-inf2-") as caught:
        image_uri({"uri": trap}, "us-east-1")
    assert caught.value.field == "image.uri"
    assert "-neuronx-" in caught.value.remedy


def test_china_has_a_registry_and_a_domain_of_its_own() -> None:
    assert of("huggingface-llm", region="cn-north-1").startswith(
        "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/"
    )


@pytest.mark.parametrize(
    ("framework", "version", "region", "field", "words"),
    [
        ("huggingface-vllm-neuronx", None, "eu-west-2", "image.framework", "eu-west-2"),
        ("huggingface-llm", None, "xx-nowhere-1", "image.framework", "xx-nowhere-1"),
        ("huggingface-vllm-neuronx", "9.9", "us-east-1", "image.version", "9.9"),
        ("lmi", None, "us-east-1", "image", "lmi"),
        ("../../../etc/passwd", None, "us-east-1", "image", "not a framework"),
    ],
)
def test_what_is_not_in_the_tables_is_refused_with_a_remedy(
    framework: str, version: str | None, region: str, field: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        of(framework, version, region)
    assert caught.value.field == field
    assert "uri" in caught.value.remedy


def test_a_part_that_is_unknown_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        image_uri({"framework": "huggingface-llm", "verison": "3.3.6"}, "us-east-1")
    assert caught.value.field == "image.verison"


def test_no_image_at_all_says_what_to_give() -> None:
    with pytest.raises(SpecError) as caught:
        image_uri({"huggingface": {}}, "us-east-1")
    assert "huggingface-vllm-neuronx" in caught.value.remedy


@pytest.mark.parametrize("uri", ["", " a", "a b", "x" * 256])
def test_an_image_that_cannot_be_one(uri: str) -> None:
    with pytest.raises(SpecError) as caught:
        image_uri({"uri": uri}, "us-east-1")
    assert caught.value.field == "image.uri"


class TestWithoutTheSdk:
    """The extra is not installed."""

    @pytest.fixture(autouse=True)
    def _blocked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "sagemaker"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "sagemaker", None)
        images._retrieved.cache_clear()

    def test_an_explicit_image_works(self) -> None:
        assert image_uri({"uri": TGI_NEURONX}, "us-east-1") == TGI_NEURONX

    def test_a_framework_names_the_remedy(self) -> None:
        with pytest.raises(SpecError, match="SageMaker SDK") as caught:
            of("huggingface-llm-neuronx")
        assert caught.value.field == "image.framework"
        assert "endpoint-orchestrator[sagemaker]" in caught.value.remedy
        assert "uri" in caught.value.remedy


def test_it_is_imported_at_the_first_question_quietly_and_without_the_network() -> None:
    """In a process of its own: nothing at import, nothing printed, no socket, one worker."""
    script = f"""
import socket, sys
from orchestrator.providers.sagemaker import images, specs
assert not any(name.split(".")[0] == "sagemaker" for name in sys.modules)

def refuse(*args, **kwargs):
    raise AssertionError("the network was used")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
uri = images.image_uri({{"framework": "huggingface-llm-neuronx"}}, "us-east-1")
assert uri.startswith("{REGISTRY}/huggingface-pytorch-tgi-inference:"), uri
assert "sagemaker.core.image_uris" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_callers_share_one_worker_and_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    images._retrieved.cache_clear()
    asked: list[str] = []
    real = images._sdk

    def counted() -> Any:
        asked.append(threading.current_thread().name)
        return real()

    monkeypatch.setattr(images, "_sdk", counted)
    threads = [threading.Thread(target=of, args=("huggingface-llm",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert asked[0].startswith("sagemaker-images")


def test_no_answer_needs_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    images._retrieved.cache_clear()

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert of("huggingface-vllm")


@pytest.mark.parametrize(
    ("uri", "accelerator", "dialect"),
    [
        (TGI_NEURONX, "", Dialect.TGI_NEURONX),
        (f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311", "", "tgi"),
        (f"{REGISTRY}/huggingface-pytorch-tgi-inference@sha256:00", "neuron", "tgi-neuronx"),
        (f"{REGISTRY}/huggingface-pytorch-tgi-inference@sha256:00", "gpu", "tgi"),
        (VLLM_NEURONX, "", Dialect.VLLM_NEURONX),
        (f"{REGISTRY}/huggingface-vllm:0.29.0-transformers5.15.0-gpu-py312", "", "vllm"),
        (f"{REGISTRY}/vllm:server-sagemaker-cuda-v1", "", Dialect.VLLM),
        (f"{REGISTRY}/huggingface-pytorch-inference-neuronx:2.8.0-neuronx", "neuron", "other"),
        (f"{REGISTRY}/tei:2.0.1-tei1.8.2-gpu-py310-cu122", "gpu", Dialect.OTHER),
        ("registry.example:5000/own/server:1", "", Dialect.OTHER),
    ],
)
def test_the_dialect_is_derived_from_the_image(uri: str, accelerator: str, dialect: str) -> None:
    assert dialect_of(uri, accelerator) == dialect


@pytest.mark.parametrize(
    ("uri", "region"),
    [
        (TGI_NEURONX, "us-east-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a:1", "cn-north-1"),
        ("docker.io/library/a:1", ""),
    ],
)
def test_the_region_of_an_image(uri: str, region: str) -> None:
    assert image_region(uri) == region


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ({"MAX_BATCH_SIZE": "4"}, {"MAX_BATCH_SIZE": "4", "HF_BATCH_SIZE": "4"}),
        (
            {"HF_SEQUENCE_LENGTH": "4096"},
            {"HF_SEQUENCE_LENGTH": "4096", "MAX_TOTAL_TOKENS": "4096"},
        ),
        (
            {"MAX_INPUT_LENGTH": "4000"},
            {"MAX_INPUT_LENGTH": "4000", "MAX_INPUT_TOKENS": "4000"},
        ),
        (
            {"MAX_BATCH_SIZE": "4", "HF_BATCH_SIZE": "8"},
            {"MAX_BATCH_SIZE": "4", "HF_BATCH_SIZE": "8"},
        ),
    ],
)
def test_old_and_new_images_read_their_own_name(
    given: dict[str, str], whole: dict[str, str]
) -> None:
    assert with_twins(given, Dialect.TGI_NEURONX) == whole


def test_an_environment_is_all_text_and_names_the_model() -> None:
    number: Any = 4
    built = built_environment(
        Dialect.VLLM_NEURONX, "org/model", "main", {"SM_ON_BATCH_SIZE": number}
    )
    assert built == {
        "SM_ON_MODEL": "org/model",
        "SM_ON_REVISION": "main",
        "SM_ON_BATCH_SIZE": "4",
    }


@pytest.mark.parametrize("dialect", [item for item in Dialect if item is not Dialect.OTHER])
def test_what_is_written_is_read_again(dialect: Dialect) -> None:
    assert repository_of("x", built_environment(dialect, "org/model", None, {})) == "org/model"
    local = built_environment(dialect, "s3://bucket/m/", "main", {}, local=True)
    assert local[NAMES[dialect].model] == "/opt/ml/model"
    assert repository_of("x", local, "s3://bucket/m/") == "s3://bucket/m/"


def test_without_a_model_the_image_is_what_is_served() -> None:
    assert repository_of("registry.example/own/server:1", {}) == "server:1"
