"""The options of an endpoint that only this cloud has, read from JSON and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.base import SpecError

NEURON_AMI = "al2-ami-sagemaker-inference-neuron-2"
LONGEST_HEALTH_CHECK_S = 3600
LARGEST_VOLUME_GB = 512
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\S*)?")
_NETWORK = {"subnets": re.compile(r"subnet-[0-9a-z]+"), "security_groups": re.compile(r"sg-\w+")}
# Smallest and largest value of the options that are whole numbers.
_BOUNDS = {
    "volume_gb": (1, LARGEST_VOLUME_GB),
    "health_check_timeout_s": (60, LONGEST_HEALTH_CHECK_S),
    "download_timeout_s": (60, 3600),
    "min_memory_mb": (128, 4_000_000),
    "accelerators": (1, 64),
    "copies": (1, 100),
}


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of an endpoint; None and "" stand for what was not said.

    `model_data` is an S3 prefix or archive that is mounted instead of a download from the Hub.
    `min_memory_mb`, `accelerators` and `copies` are of an inference component.
    """

    execution_role: str = ""
    volume_gb: int | None = None
    health_check_timeout_s: int | None = None
    download_timeout_s: int | None = None
    ami_version: str = ""
    model_data: str = ""
    network_isolation: bool = False
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    inference_components: bool = False
    min_memory_mb: int | None = None
    accelerators: int | None = None
    copies: int | None = None

    @classmethod
    def read(cls, options: JsonObject) -> Choices:
        """Return checked options. Raises SpecError, which names the option."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise SpecError(
                    f"options.{name}",
                    f"{name} is not an option of SageMaker endpoints",
                    remedy=f"use one of {', '.join(known)}",
                )
        given = {name: value for name, value in options.items() if value is not None}
        return cls(**{name: _READERS[name](name, value) for name, value in given.items()})


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    return value


def _role(name: str, value: object) -> str:
    text = _text(name, value)
    if text and not _ROLE.fullmatch(text):
        raise _wrong(name, value, "arn:aws:iam::<account>:role/<name>")
    return text


def _s3(name: str, value: object) -> str:
    text = _text(name, value)
    if text and not _S3.fullmatch(text):
        raise _wrong(name, value, "s3://bucket/prefix/ or s3://bucket/model.tar.gz")
    return text


def _whole(name: str, value: object) -> int:
    low, high = _BOUNDS[name]
    number = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise _wrong(name, value, f"a whole number from {low} to {high}")
    return number


def _truth(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise _wrong(name, value, "true or false")


def _ids(name: str, value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise _wrong(name, value, "a list")
    found = tuple(str(part).strip() for part in parts)
    if any(not _NETWORK[name].fullmatch(part) for part in found):
        raise _wrong(name, value, f"a list of the form {_NETWORK[name].pattern}")
    return found


def _wrong(name: str, value: object, form: str) -> SpecError:
    return SpecError(
        f"options.{name}", f"{value!r} is not possible", remedy=f"give {name} as {form}"
    )


_READERS: Mapping[str, Any] = {
    "execution_role": _role,
    "ami_version": _text,
    "model_data": _s3,
    "network_isolation": _truth,
    "inference_components": _truth,
    "subnets": _ids,
    "security_groups": _ids,
    **dict.fromkeys(_BOUNDS, _whole),
}
