"""What SageMaker itself refuses: names, environments, tags, scaling, places (its API's limits)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.domain.endpoints import Hardware, Scaling
from orchestrator.providers.base import SpecError
from orchestrator.providers.redaction import is_redacted
from orchestrator.providers.sagemaker.instances import (
    is_of_the_form,
    known_types,
    similar_types,
)
from orchestrator.providers.sagemaker.naming import asked_tags, is_ours, is_reserved

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAG = re.compile(r"[\w\s.:/=+\-@]*")
_MOST_ENTRIES = 100
_LONGEST_ENTRY = 1024
_LONGEST_ENVIRONMENT = 32 * 1024
# Of the 50 that a resource may have, a few are ours.
_MOST_TAGS = 44
# Application Auto Scaling: the period of its own alarm is not for us to choose.
IDLE_MINUTES = 15
CLASSIC_METRICS = {
    "concurrentRequests": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    "invocationsPerInstance": "SageMakerVariantInvocationsPerInstance",
}
COMPONENT_METRICS = {
    "concurrentRequests": "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
    "invocationsPerCopy": "SageMakerInferenceComponentInvocationsPerCopy",
}


def check_name(name: str) -> None:
    """Refuse a name that no endpoint can have."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            "name",
            f"{name!r} is not possible",
            remedy="use 1 to 63 letters, digits and hyphens, with no hyphen at an end",
        )


def check_hardware(hardware: Hardware, region: str) -> None:
    """Refuse hardware of another cloud or region, and types that are not known."""
    wanted = {"vendor": "sagemaker", "region": region, "instance_size": "x1"}
    for part, value in wanted.items():
        given = getattr(hardware, part)
        if given != value:
            raise SpecError(
                f"hardware.{part}",
                f"{given!r} is not what this account has",
                remedy=f"use {value!r}; another region is another account",
            )
    instance_type = hardware.instance_type
    if not is_of_the_form(instance_type):
        raise SpecError(
            "hardware.instance_type",
            f"{instance_type!r} has not the form of an instance type",
            remedy="write it like ml.inf2.xlarge, with ml. in front",
        )
    if instance_type not in known_types():
        near = similar_types(instance_type)
        raise SpecError(
            "hardware.instance_type",
            f"{instance_type} is not a type for endpoints that is known",
            remedy=f"use {' or '.join(near)}" if near else "see the list of hardware",
        )


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse an environment over the limits of CreateModel, and markers in place of secrets."""
    if len(environment) > _MOST_ENTRIES:
        raise SpecError(
            "environment",
            f"{len(environment)} entries are too many",
            remedy=f"use at most {_MOST_ENTRIES}, those that are set by themselves included",
        )
    for key, value in environment.items():
        _check_entry(key, value)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())
    if size > _LONGEST_ENVIRONMENT:
        raise SpecError(
            "environment",
            f"its {size} bytes are too many",
            remedy=f"keep names and values together under {_LONGEST_ENVIRONMENT} bytes",
        )


def _check_entry(key: str, value: str) -> None:
    at = f"environment.{key}"
    if not _KEY.fullmatch(key):
        raise SpecError(
            at, "the name is not possible", remedy="use letters, digits and _, no digit first"
        )
    if is_redacted(value):
        raise SpecError(
            at, "it is a marker of a secret that is not kept", remedy="give its value again"
        )
    if max(len(key.encode()), len(value.encode())) > _LONGEST_ENTRY:
        raise SpecError(
            at, "name or value is too long", remedy=f"keep each within {_LONGEST_ENTRY} bytes"
        )


def check_tags(tags: Iterable[str]) -> None:
    """Refuse tags that AWS refuses, and those that this driver keeps for itself."""
    asked = asked_tags(tags)
    if len(asked) > _MOST_TAGS:
        raise SpecError("tags", f"{len(asked)} are too many", remedy=f"use at most {_MOST_TAGS}")
    for key, value in asked.items():
        if not key or len(key) > 128 or len(value) > 256 or not _TAG.fullmatch(key + value):
            raise SpecError(
                f"tags.{key}",
                "the tag is not possible",
                remedy="write key=value with letters, digits, spaces and _.:/=+-@, "
                "a key of up to 128 and a value of up to 256 characters",
            )
        if is_ours(key) or is_reserved(key):
            raise SpecError(f"tags.{key}", "its prefix is reserved", remedy="use another key")


def check_scaling(scaling: Scaling, *, components: bool) -> None:
    """Refuse bounds that this kind of endpoint cannot have."""
    low, high, timer = scaling.min_replicas, scaling.max_replicas, scaling.scale_to_zero_minutes
    if low < 1 and not components:
        raise SpecError(
            "scaling.min_replicas",
            "an endpoint without inference components cannot have zero instances",
            remedy="use 1 or more, or options.inference_components: true",
        )
    if not 0 <= low <= high or high < 1:
        raise SpecError(
            "scaling.max_replicas",
            f"{high} is not possible with min_replicas {low}",
            remedy="use 0 <= min_replicas <= max_replicas and at least one as the maximum",
        )
    if timer is not None:
        _check_timer(timer, low, components=components)
    _check_metric(scaling, COMPONENT_METRICS if components else CLASSIC_METRICS)


def _check_timer(timer: int, low: int, *, components: bool) -> None:
    if not components or low:
        raise SpecError(
            "scaling.scale_to_zero_minutes",
            "only inference components with min_replicas 0 go to zero by themselves",
            remedy="leave it out, or set options.inference_components and min_replicas 0",
        )
    if timer != IDLE_MINUTES:
        raise SpecError(
            "scaling.scale_to_zero_minutes",
            f"{timer} minutes cannot be chosen here: Application Auto Scaling waits {IDLE_MINUTES}",
            remedy=f"use {IDLE_MINUTES}, or none together with an idle policy of your own",
        )


def _check_metric(scaling: Scaling, metrics: Mapping[str, str]) -> None:
    if scaling.metric is not None and scaling.metric not in metrics:
        raise SpecError(
            "scaling.metric",
            f"{scaling.metric!r} is not a metric that this kind of endpoint scales by",
            remedy=f"use {' or '.join(metrics)}",
        )
    if scaling.threshold is not None and target_value(scaling.threshold) is None:
        raise SpecError(
            "scaling.threshold",
            f"{scaling.threshold!r} is not a number above zero",
            remedy="give the load that one replica shall have, like 5",
        )


def target_value(threshold: str) -> float | None:
    """Return a threshold as the number that Application Auto Scaling takes, None for none."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", threshold):
        return None
    return float(threshold) or None
