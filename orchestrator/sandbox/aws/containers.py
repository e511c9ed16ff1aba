"""What a container makes of its environment: whether it can start, and why not.

The rules are those of the Hugging Face containers: TGI on Neuron (HF_ and MAX_ variables) and vLLM
on Neuron (SM_ON_ variables, each of which becomes an option of its command).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.sandbox.aws.hardware import Instance
from orchestrator.sandbox.aws.timing import model_gb

UNHEALTHY = (
    "The primary container for production variant {0} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Container:
    """An image on an instance type with its environment."""

    image: str
    environment: Environment
    machine: Instance
    ami_version: str = ""
    has_model_data: bool = False

    @property
    def repository(self) -> str:
        """The name of the image without registry and tag."""
        return self.image.rpartition("/")[2].partition(":")[0]

    @property
    def tag(self) -> str:
        """The tag of the image."""
        return self.image.rpartition("/")[2].partition(":")[2]

    @property
    def neuron(self) -> bool:
        """Whether the image is made for Inferentia and Trainium."""
        return "neuron" in self.image or "-inf2-" in self.tag

    @property
    def dialect(self) -> str:
        """Which rules hold: tgi-neuronx, vllm-neuronx, tgi, vllm or other."""
        suffix = "-neuronx" if self.neuron else ""
        if "tgi" in self.repository:
            return f"tgi{suffix}"
        if "vllm" in self.repository:
            return f"vllm{suffix}"
        return "other"


def container_of(
    model: Mapping[str, Any] | None, machine: Instance, ami_version: str = ""
) -> Container:
    """The first container of a model, given the parameters of its creation."""
    found = model or {}
    primary: Mapping[str, Any] = found.get("PrimaryContainer") or next(
        iter(found.get("Containers", ())), {}
    )
    return Container(
        image=primary.get("Image", ""),
        environment=primary.get("Environment", {}),
        machine=machine,
        ami_version=ami_version,
        has_model_data=bool(primary.get("ModelDataUrl") or primary.get("ModelDataSource")),
    )


def fault(container: Container) -> str | None:
    """Why the container will never serve, None if it will."""
    checks = (_platform, _memory, _RULES.get(container.dialect, _nothing))
    return next((text for check in checks for text in check(container)), None)


def _nothing(_: Container) -> Iterator[str]:
    yield from ()


def _platform(container: Container) -> Iterator[str]:
    if not container.image:
        yield "no container is defined"
    if container.dialect == "tgi-neuronx" and "-neuronx-" not in container.tag:
        yield f"the image {container.image} does not exist"
    if container.neuron and container.machine.kind != "neuron":
        yield "no Neuron device was found on the instance"
    if container.dialect in {"tgi", "vllm"} and container.machine.kind != "gpu":
        yield "no CUDA device was found on the instance"


def _memory(container: Container) -> Iterator[str]:
    weights, room = model_gb(container.environment), container.machine.device_gb
    if room and weights > room:
        yield f"out of memory: {weights:g} GB of weights, {room} GB of memory"


def _tgi_neuron(container: Container) -> Iterator[str]:
    env = container.environment
    if not env.get("HF_MODEL_ID"):
        yield "HF_MODEL_ID must be set"
    if "HF_MODEL_QUANTIZE" in env:
        yield "error: unexpected argument '--quantize'"
    if "SM_NUM_GPUS" in env:
        yield "Sharding is not supported"
    yield from _cores(container, "HF_NUM_CORES")
    longest = _number(env, "MAX_TOTAL_TOKENS")
    inputs = _number(env, "MAX_INPUT_TOKENS") or _number(env, "MAX_INPUT_LENGTH")
    if longest is not None and inputs is not None and inputs >= longest:
        yield "`max_input_tokens` must be < `max_total_tokens`"
    if env.get("HF_AUTO_CAST_TYPE", "bf16") not in {"fp16", "bf16"}:
        yield f"HF_AUTO_CAST_TYPE: {env['HF_AUTO_CAST_TYPE']} is not one of fp16, bf16"
    yield from _same(env, "HF_BATCH_SIZE", "MAX_BATCH_SIZE")
    yield from _same(env, "HF_SEQUENCE_LENGTH", "MAX_TOTAL_TOKENS")


def _same(env: Environment, first: str, second: str) -> Iterator[str]:
    if first in env and second in env and env[first] != env[second]:
        yield f"{second} {env[second]} differs from the compiled {env[first]}"


def _vllm_neuron(container: Container) -> Iterator[str]:
    env = container.environment
    if not env.get("SM_ON_MODEL"):
        yield "the following arguments are required: --model"
    if not container.ami_version.startswith("al2-ami-sagemaker-inference-neuron"):
        yield "the Neuron driver of the host is too old for this container"
    if "SM_ON_PORT" in env:
        yield "the option --port was given twice"
    if "SM_ON_QUANTIZATION" in env:
        yield "quantization is not supported on the neuron platform"
    if "SM_ON_DATA_PARALLEL_SIZE" in env:
        yield "data parallelism is not supported on the neuron platform"
    if container.machine.name.startswith("ml.trn2"):
        yield "trn2 is not supported by the optimum-neuron platform yet"
    yield from _cores(container, "SM_ON_TENSOR_PARALLEL_SIZE")


def _cores(container: Container, key: str) -> Iterator[str]:
    text = container.environment.get(key)
    if text is None:
        return
    cores, there = _number(container.environment, key), container.machine.devices
    if cores is None or cores < 1:
        yield f"{key}: invalid digit found in {text!r}"
    elif cores > there:
        yield f"{cores} NeuronCores are needed and the instance has {there}"
    elif cores % 2:
        yield f"{cores} NeuronCores are no valid tensor parallel degree"


def _tgi(container: Container) -> Iterator[str]:
    if not container.environment.get("HF_MODEL_ID") and not container.has_model_data:
        yield "HF_MODEL_ID must be set"
    shards = _number(container.environment, "SM_NUM_GPUS")
    if shards is not None and shards > container.machine.devices:
        yield f"`num_shard` is {shards} and the instance has {container.machine.devices} GPUs"


def _vllm(container: Container) -> Iterator[str]:
    env = container.environment
    if not (env.get("SM_VLLM_MODEL") or env.get("HF_MODEL_ID") or container.has_model_data):
        yield "the following arguments are required: --model"


def _number(env: Environment, key: str) -> int | None:
    text = env.get(key, "")
    return int(text) if text.isdecimal() else None


_RULES: Mapping[str, Callable[[Container], Iterator[str]]] = {
    "tgi-neuronx": _tgi_neuron,
    "vllm-neuronx": _vllm_neuron,
    "tgi": _tgi,
    "vllm": _vllm,
}
