"""Whether a container can start as it is asked to: cores, shapes, memory, disk and time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.providers.base import SpecError
from orchestrator.providers.redaction import is_redacted
from orchestrator.providers.sagemaker.choices import (
    LARGEST_VOLUME_GB,
    LONGEST_HEALTH_CHECK_S,
    NEURON_AMI,
    Choices,
)
from orchestrator.providers.sagemaker.dialects import (
    NAMES,
    Dialect,
    image_accelerator,
    split_image,
)
from orchestrator.providers.sagemaker.instances import Instance

_SIZE = re.compile(r"(?i)(?<![\w.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d+)?)b(?![a-z0-9])")
_QUANTISED = re.compile(r"(?i)awq|gptq|gguf|fp8|int[48]|[48]-?bit|bnb|w4a16|w8a8|mxfp4|nvfp4")
_DTYPES = {
    Dialect.TGI_NEURONX: ("fp16", "bf16"),
    Dialect.VLLM_NEURONX: ("auto", "float16", "half", "bfloat16"),
}
_SHARDING = ("SM_NUM_GPUS", "NUM_SHARD")
_USUAL_CORES = (2, 4, 8, 12, 16, 24, 32, 64)
_TGI_ONLY = ("HF_NUM_CORES", "HF_AUTO_CAST_TYPE", "MAX_BATCH_SIZE", "MAX_TOTAL_TOKENS")
# Seconds that a start has taken by billions of parameters: 30 to 40 minutes for 70.
_STARTS = ((60.0, 3000), (25.0, 1800), (6.0, 900))


@dataclass(frozen=True, slots=True)
class Container:
    """One container on one instance type, as it would be; `size` counts billions of parameters."""

    image: str
    dialect: Dialect
    environment: Mapping[str, str]
    instance_type: str
    instance: Instance
    choices: Choices
    model: str

    @property
    def size(self) -> float | None:
        """Return billions of parameters as far as the model's name tells."""
        found = _SIZE.search(self.model.replace("_", "-"))
        return float(found[1] or 1) * float(found[2]) if found else None

    @property
    def weights_gb(self) -> float | None:
        """Return the size of weights with 16 bits, None where the name does not tell."""
        quantised = _QUANTISED.search(self.model) and self.instance.accelerator != "neuron"
        return None if self.size is None or quantised else 2 * self.size

    def number(self, name: str) -> int | None:
        """Return an entry of the environment as a whole number, None where it is not set."""
        text = self.environment.get(name, "") if name else ""
        if not text or is_redacted(text):
            return None
        if not re.fullmatch(r"[1-9]\d{0,8}", text):
            raise SpecError(
                f"environment.{name}",
                f"{text!r} is not a whole number above zero",
                remedy='give it as a text of digits, like "4"',
            )
        return int(text)


def check_container(container: Container) -> Iterator[str]:
    """Yield warnings. Raises SpecError for what could not start."""
    _check_fit(container)
    if container.instance.accelerator == "neuron":
        yield from _check_neuron(container)
    yield from _check_tokens(container)
    yield from _check_memory(container)
    yield from _check_time(container)
    yield from _check_disk(container)


def _check_fit(container: Container) -> None:
    built_for = image_accelerator(container.image)
    has = container.instance.accelerator
    if built_for in ("neuron", "gpu") and built_for != has:
        raise SpecError(
            "hardware.instance_type",
            f"the image is built for {built_for}, but {container.instance_type} has {has}",
            remedy="choose an image or an instance type so that they fit",
        )
    if has == "neuron" and container.instance_type.startswith("ml.inf1."):
        raise SpecError(
            "hardware.instance_type",
            "neuronx images need Inferentia2 or Trainium",
            remedy="use an ml.inf2 or ml.trn1 type",
        )
    ami = container.choices.ami_version
    if ami and ("neuron" in ami) != (has == "neuron"):
        raise SpecError(
            "options.ami_version",
            f"{ami} is not for {has} instances",
            remedy=f"use {NEURON_AMI}" if has == "neuron" else "use one for this hardware",
        )


def _check_neuron(container: Container) -> Iterator[str]:
    environment, names = container.environment, NAMES[container.dialect]
    _refuse(environment, names.quantize, "Neuron has no quantisation here", "leave it out")
    _refuse(environment, _SHARDING, "sharding is not supported on Neuron", f"use {names.cores}")
    if container.dialect is Dialect.VLLM_NEURONX:
        yield from _check_vllm_neuronx(container)
    if container.dialect is Dialect.OTHER:
        yield from _check_suspect(container)
        return
    yield from _check_cores(container)
    yield from _check_dtype(container)
    chosen = [names.cores, names.batch, names.sequence, names.dtype]
    if container.dialect is Dialect.VLLM_NEURONX:
        chosen.remove(names.dtype)
    missing = [name for name in chosen if name not in environment]
    if missing:
        yield (
            f"without {', '.join(missing)} the container picks a compiled configuration by "
            "itself, and fails if none is published for this image"
        )


def _refuse(environment: Mapping[str, str], names: tuple[str, ...], why: str, how: str) -> None:
    for name in names:
        if environment.get(name):
            raise SpecError(f"environment.{name}", why, remedy=how)


def _check_vllm_neuronx(container: Container) -> Iterator[str]:
    environment = container.environment
    if "SM_ON_PORT" in environment:
        raise SpecError("environment.SM_ON_PORT", "SageMaker fixes the port", remedy="leave it out")
    for name in ("SM_ON_DATA_PARALLEL_SIZE", "SM_ON_DATA_PARALLEL"):
        if name in environment:
            raise SpecError(
                f"environment.{name}",
                "the server does not know its own flag under this name",
                remedy="leave it out, and use more instances",
            )
    if not container.choices.ami_version:
        raise SpecError(
            "options.ami_version",
            "vLLM on Neuron needs a newer driver than the default machine image has",
            remedy=f"set it to {NEURON_AMI}",
        )
    if container.instance_type.startswith("ml.trn2."):
        yield "vLLM for Neuron does not support Trainium2 yet"


def _check_suspect(container: Container) -> Iterator[str]:
    repository, _ = split_image(container.image)
    found = [name for name in _TGI_ONLY if name in container.environment]
    if found and repository == "huggingface-pytorch-inference-neuronx":
        yield f"{repository} is not a text generation server and ignores {', '.join(found)}"


def _check_cores(container: Container) -> Iterator[str]:
    name = NAMES[container.dialect].cores
    cores, has = container.number(name), container.instance.cores
    if cores is None:
        return
    if cores % 2:
        raise SpecError(
            f"environment.{name}", f"{cores} cores are an odd number", remedy="use 2, 8, 12 or 24"
        )
    if has and cores > has:
        raise SpecError(
            f"environment.{name}",
            f"{container.instance_type} has {has} NeuronCores, not {cores}",
            remedy=f"use at most {has}, or a larger instance type",
        )
    if cores not in _USUAL_CORES:
        yield f"{name} {cores} is unusual: compiled models are published for 2, 8, 12 and 24 cores"


def _check_dtype(container: Container) -> Iterator[str]:
    name = NAMES[container.dialect].dtype
    value, possible = container.environment.get(name), _DTYPES[container.dialect]
    if value and not is_redacted(value) and value not in possible:
        raise SpecError(
            f"environment.{name}",
            f"{value!r} is not a type that models are compiled for",
            remedy=f"use {' or '.join(possible)}",
        )
    if container.dialect is Dialect.TGI_NEURONX and not value:
        yield f"without {name} the type of the published compilation decides"


def _check_tokens(container: Container) -> Iterator[str]:
    names = NAMES[container.dialect]
    for new, old in names.twins:
        first, second = container.number(new), container.number(old)
        if first is not None and second is not None and first != second:
            raise SpecError(
                f"environment.{old}",
                f"{old} {second} and {new} {first} are the same setting of older and newer images",
                remedy=f"give both the same value, or only {new}",
            )
    total, most = container.number(names.sequence), container.number(names.input)
    if total is not None and most is not None and most >= total:
        raise SpecError(
            f"environment.{names.sequence}",
            f"{names.input} {most} must be below {names.sequence} {total}",
            remedy="leave room for the tokens that are generated",
        )
    batch = container.number(names.batch)
    prefill = container.number("MAX_BATCH_PREFILL_TOKENS") if names.input else None
    if prefill is not None and most is not None and prefill < most:
        raise SpecError(
            "environment.MAX_BATCH_PREFILL_TOKENS",
            f"{prefill} is less than {names.input} {most}",
            remedy=f"use {most * (batch or 1)}, the input of a whole batch",
        )
    if container.dialect is Dialect.TGI_NEURONX and batch and batch > 64:
        yield f"MAX_BATCH_SIZE {batch} is larger than any published compilation"


def _check_memory(container: Container) -> Iterator[str]:
    weights, instance = container.weights_gb, container.instance
    if weights is None:
        return
    if instance.device_memory and weights > instance.device_memory:
        message = (
            f"weights of about {weights:.0f} GB do not fit into the "
            f"{instance.device_memory} GB of {container.instance_type}"
        )
        if instance.accelerator == "neuron":
            raise SpecError("hardware.instance_type", message, remedy="use a larger type")
        yield f"{message} unless they are quantised"
    if instance.accelerator == "neuron" and instance.host_memory < 1.25 * weights:
        yield (
            f"{container.instance_type} has {instance.host_memory} GiB of memory beside its "
            f"chips: loading about {weights:.0f} GB has been seen to be killed there; "
            "ml.inf2.8xlarge has the same chip and more memory"
        )


def _check_time(container: Container) -> Iterator[str]:
    size, given = container.size, container.choices.health_check_timeout_s
    if size is None:
        return
    needed = next((seconds for least, seconds in _STARTS if size >= least), 0)
    if needed and (given is None or given < needed):
        yield (
            f"options.health_check_timeout_s {given or 'is not set and'} may be too short for a "
            f"model of {size:g} billion parameters: it has to load within that time; "
            f"{LONGEST_HEALTH_CHECK_S} is the longest"
        )


def _check_disk(container: Container) -> Iterator[str]:
    weights, volume = container.weights_gb, container.choices.volume_gb
    if weights is None or container.instance.accelerator != "neuron":
        return
    if volume is not None and volume < weights:
        raise SpecError(
            "options.volume_gb",
            f"weights of about {weights:.0f} GB do not fit on {volume} GB",
            remedy=f"use up to {LARGEST_VOLUME_GB}",
        )
    on_disk_alone = container.instance_type.startswith("ml.inf2.")
    if volume is None and on_disk_alone and weights >= 100:
        raise SpecError(
            "options.volume_gb",
            f"weights of about {weights:.0f} GB do not fit on the default volume",
            remedy=f"set it to {LARGEST_VOLUME_GB}",
        )
    if volume is None and on_disk_alone and weights >= 25:
        yield "options.volume_gb is not set: the default volume may be too small for the weights"
