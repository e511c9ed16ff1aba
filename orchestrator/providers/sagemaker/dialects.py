"""Which server a container image runs, and the names of the settings that it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.providers.base import SpecError

LOCAL_MODEL = "/opt/ml/model"


class Dialect(StrEnum):
    """The servers whose settings are known."""

    TGI_NEURONX = "tgi-neuronx"
    VLLM_NEURONX = "vllm-neuronx"
    TGI = "tgi"
    VLLM = "vllm"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of environment entries; "" where a server has no such setting.

    `cores` is the tensor parallel degree. `twins` are pairs that older and newer images of one
    server read under different names.
    """

    model: str = ""
    revision: str = ""
    cores: str = ""
    dtype: str = ""
    batch: str = ""
    sequence: str = ""
    input: str = ""
    quantize: tuple[str, ...] = ()
    twins: tuple[tuple[str, str], ...] = ()


# Old TGI neuronx images read HF_BATCH_SIZE and HF_SEQUENCE_LENGTH, 3.x images only MAX_*;
# MAX_INPUT_TOKENS was MAX_INPUT_LENGTH.
_TGI_TWINS = (
    ("MAX_BATCH_SIZE", "HF_BATCH_SIZE"),
    ("MAX_TOTAL_TOKENS", "HF_SEQUENCE_LENGTH"),
    ("MAX_INPUT_TOKENS", "MAX_INPUT_LENGTH"),
)
NAMES = {
    Dialect.TGI_NEURONX: Names(
        model="HF_MODEL_ID",
        revision="HF_MODEL_REVISION",
        cores="HF_NUM_CORES",
        dtype="HF_AUTO_CAST_TYPE",
        batch="MAX_BATCH_SIZE",
        sequence="MAX_TOTAL_TOKENS",
        input="MAX_INPUT_TOKENS",
        quantize=("HF_MODEL_QUANTIZE", "QUANTIZE"),
        twins=_TGI_TWINS,
    ),
    Dialect.VLLM_NEURONX: Names(
        model="SM_ON_MODEL",
        revision="SM_ON_REVISION",
        cores="SM_ON_TENSOR_PARALLEL_SIZE",
        dtype="SM_ON_DTYPE",
        batch="SM_ON_BATCH_SIZE",
        sequence="SM_ON_SEQUENCE_LENGTH",
        quantize=("SM_ON_QUANTIZATION",),
    ),
    Dialect.TGI: Names(
        model="HF_MODEL_ID",
        revision="HF_MODEL_REVISION",
        cores="SM_NUM_GPUS",
        dtype="DTYPE",
        sequence="MAX_TOTAL_TOKENS",
        input="MAX_INPUT_TOKENS",
        quantize=("HF_MODEL_QUANTIZE",),
        twins=_TGI_TWINS[2:],
    ),
    # SM_VLLM_FOO_BAR becomes --foo-bar of `vllm serve`.
    Dialect.VLLM: Names(
        model="SM_VLLM_MODEL",
        revision="SM_VLLM_REVISION",
        cores="SM_VLLM_TENSOR_PARALLEL_SIZE",
        dtype="SM_VLLM_DTYPE",
        sequence="SM_VLLM_MAX_MODEL_LEN",
        quantize=("SM_VLLM_QUANTIZATION",),
    ),
    Dialect.OTHER: Names(model="HF_MODEL_ID", revision="HF_MODEL_REVISION"),
}
_GENERATING = ("text-generation", "generate")
_EMBEDDING = ("feature-extraction", "sentence-similarity", "embed")
_FOR_GPU = re.compile(r"(?i)(^|[-_.])(gpu|cuda|cu\d{2,3})([-_.]|$)")
_FOR_NEURON = re.compile(r"(?i)neuron|(^|[-_.])inf[12]([-_.]|$)")
_FOR_CPU = re.compile(r"(?i)(^|[-_.])cpu([-_.]|$)")


def split_image(uri: str) -> tuple[str, str]:
    """Return the last part of the repository name, and the tag ("" for a digest)."""
    name = uri.partition("@")[0].rsplit("/", 1)[-1]
    repository, _, tag = name.partition(":")
    return repository, tag


def image_accelerator(uri: str) -> str:
    """Return what an image is built for: `neuron`, `gpu`, `cpu`, or "" where its name is mute."""
    repository, tag = split_image(uri)
    for accelerator, pattern in (("neuron", _FOR_NEURON), ("gpu", _FOR_GPU), ("cpu", _FOR_CPU)):
        if pattern.search(tag) or pattern.search(repository):
            return accelerator
    return ""


def dialect_of(uri: str, accelerator: str = "") -> Dialect:
    """Return the dialect of an image; the instance's accelerator helps where the name is mute.

    `huggingface-pytorch-inference-neuronx` is none of the servers: it is for encoders.
    """
    repository, _ = split_image(uri)
    on_neuron = (image_accelerator(uri) or accelerator) == "neuron"
    if "vllm" in repository:
        return Dialect.VLLM_NEURONX if on_neuron else Dialect.VLLM
    if re.search(r"(^|[-_])tgi([-_]|$)", repository) or "text-generation-inference" in repository:
        return Dialect.TGI_NEURONX if on_neuron else Dialect.TGI
    return Dialect.OTHER


def with_twins(environment: Mapping[str, str], dialect: Dialect) -> dict[str, str]:
    """Return an environment in which both names of a setting have its value."""
    whole = dict(environment)
    for new, old in NAMES[dialect].twins:
        value = environment.get(new, environment.get(old))
        if value is not None:
            whole.setdefault(new, value)
            whole.setdefault(old, value)
    return whole


def built_environment(
    dialect: Dialect,
    repository: str,
    revision: str | None,
    given: Mapping[str, str],
    *,
    local: bool = False,
    task: str | None = None,
) -> dict[str, str]:
    """Return the environment of a container: the model, its revision, task, and what was given.

    `local` says that the weights are mounted from S3.
    """
    names = NAMES[dialect]
    own: dict[str, str] = {}
    if local:
        own[names.model] = LOCAL_MODEL
    elif dialect is not Dialect.OTHER or "/" in repository:
        own[names.model] = repository
    if revision and not local:
        own[names.revision] = revision
    own |= task_entry(dialect, task)
    texts = {name: str(value) for name, value in given.items()}
    return with_twins(own | texts, dialect)


def task_entry(dialect: Dialect, task: str | None) -> dict[str, str]:
    """Return the entry that names a task, none where a server has only the one. Raises SpecError.

    vLLM for Neuron generates unless it is told to embed.
    """
    if task is None:
        return {}
    if dialect is Dialect.OTHER:
        return {"HF_TASK": task}
    if task in _EMBEDDING and dialect is Dialect.VLLM_NEURONX:
        return {"SM_ON_TASK": "embed"}
    if task not in _GENERATING:
        raise SpecError(
            "task",
            f"the server of this image does not do {task}",
            remedy=f"use {' or '.join(_GENERATING)}, or an image for this task",
        )
    return {}


def repository_of(image: str, environment: Mapping[str, str], model_data: str = "") -> str:
    """Return what an endpoint serves: the model's name, else where its weights are, else the image.

    See `naming.REPOSITORY_TAG` for weights in S3 that have a name on the Hub as well.
    """
    names = ("SM_ON_MODEL", "SM_VLLM_MODEL", "HF_MODEL_ID")
    found = next((environment[name] for name in names if environment.get(name)), "")
    if found and not found.startswith("/"):
        return found
    return model_data or image.rsplit("/", 1)[-1]
