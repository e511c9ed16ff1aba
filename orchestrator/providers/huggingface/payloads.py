"""The bodies of create and update, and what is refused before sending."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import InferenceEndpointType

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling
from orchestrator.providers.base import RefusedError
from orchestrator.providers.redaction import is_redacted

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_ACCESS = tuple(kind.value for kind in InferenceEndpointType)


def create_payload(spec: EndpointSpec) -> dict[str, Any]:
    """Return the body that creates an endpoint. Raises RefusedError for what cannot work."""
    if not _NAME.fullmatch(spec.name):
        raise RefusedError(
            f"name: {spec.name!r} is not possible; use 1 to 32 of the characters a-z, 0-9 and -"
        )
    _check_access(spec.access)
    hardware = _known(spec.hardware)
    payload: dict[str, Any] = {
        "compute": _compute(hardware) | {"scaling": scaling_payload(spec.scaling)},
        "model": _model(spec),
        "name": spec.name,
        "provider": {"region": hardware.region, "vendor": hardware.vendor},
        "type": spec.access,
    }
    if spec.tags:
        payload["tags"] = list(spec.tags)
    return payload


def update_payload(change: EndpointChange) -> dict[str, Any]:
    """Return the body with the fields that are set, to be merged by the cloud; {} for none."""
    compute: dict[str, Any] = {}
    if change.hardware is not None:
        compute |= _compute(change.hardware)
    if change.scaling is not None:
        compute["scaling"] = scaling_payload(change.scaling)
    payload: dict[str, Any] = {"compute": compute} if compute else {}
    model = _model_change(change)
    if model:
        payload["model"] = model
    if change.access is not None:
        _check_access(change.access)
        payload["type"] = change.access
    if change.tags is not None:
        payload["tags"] = list(change.tags)
    return payload


def scaling_payload(scaling: Scaling) -> dict[str, Any]:
    """Return the bounds with an explicit idle timer in minutes, null included.

    The three documented defaults of the timer contradict each other, so it is never left out.
    """
    low, high, timer = scaling.min_replicas, scaling.max_replicas, scaling.scale_to_zero_minutes
    if not 0 <= low <= high or high < 1:
        raise RefusedError(
            f"scaling: min_replicas {low} and max_replicas {high} are not possible; "
            "use 0 <= min_replicas <= max_replicas and at least one as the maximum"
        )
    if timer is not None and low >= 1:
        raise RefusedError(
            f"scaling.scale_to_zero_minutes: {timer} needs min_replicas 0, but it is {low}; "
            "set min_replicas to 0, or scale_to_zero_minutes to none"
        )
    if timer is not None and timer < 1:
        raise RefusedError(
            f"scaling.scale_to_zero_minutes: {timer} is not possible; use 1 or more, or none"
        )
    payload: dict[str, Any] = {
        "maxReplica": high,
        "minReplica": low,
        "scaleToZeroTimeout": timer,
    }
    if scaling.metric:
        payload["measure"] = {scaling.metric: _threshold(scaling.threshold)}
    return payload


USUAL_IMAGE: Mapping[str, Any] = {"huggingface": {}}


def image_payload(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return `model.image`, whole; a container with a `url` of its own is the `custom` variant."""
    return {"custom": dict(image)} if "url" in image else dict(image)


def _compute(hardware: Hardware) -> dict[str, Any]:
    compute = {
        "instanceSize": hardware.instance_size,
        "instanceType": hardware.instance_type,
    }
    if "?" in compute.values():
        raise RefusedError(f"hardware: {hardware.key} is not known in all its parts")
    return compute | ({"accelerator": hardware.accelerator} if hardware.accelerator else {})


def _known(hardware: Hardware) -> Hardware:
    if "?" in (hardware.vendor, hardware.region) or not hardware.accelerator:
        raise RefusedError(
            f"hardware: {hardware.key} needs vendor, region and accelerator; "
            "take them from the list of hardware"
        )
    return hardware


def _model(spec: EndpointSpec) -> dict[str, Any]:
    model: dict[str, Any] = {
        "framework": spec.framework,
        "repository": spec.repository,
        "revision": spec.revision,
        "image": image_payload(spec.image or USUAL_IMAGE),
    }
    # Unlike `revision`, `task` must not be null.
    if spec.task is not None:
        model["task"] = spec.task
    given: dict[str, Any] = {
        "command": list(spec.command),
        "args": list(spec.arguments),
        "env": dict(spec.environment),
        "secrets": dict(spec.secrets),
    }
    model |= {key: value for key, value in given.items() if value}
    _check_no_markers(model)
    return model


def _model_change(change: EndpointChange) -> dict[str, Any]:
    given: dict[str, Any] = {
        "repository": change.repository,
        "revision": change.revision,
        "task": change.task,
        "image": None if change.image is None else image_payload(change.image),
        "command": None if change.command is None else list(change.command),
        "args": None if change.arguments is None else list(change.arguments),
        "env": None if change.environment is None else dict(change.environment),
        "secrets": None if change.secrets is None else dict(change.secrets),
    }
    model = {key: value for key, value in given.items() if value is not None}
    _check_no_markers(model)
    return model


def _threshold(text: str | None) -> int | float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        raise RefusedError(f"scaling.threshold: {text!r} is not a number") from None
    return int(value) if value.is_integer() else value


def _check_access(access: str) -> None:
    """The cloud makes `private` of a word it does not know, silently."""
    if access not in _ACCESS:
        hint = "; use authenticated instead" if access == "protected" else ""
        raise RefusedError(f"access: {access!r} is not one of {', '.join(_ACCESS)}{hint}")


def _check_no_markers(value: object, at: str = "model") -> None:
    """Refuse to send a marker, which stands for a secret, in place of that secret."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_no_markers(item, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _check_no_markers(item, f"{at}.{place}")
    elif is_redacted(value) or (isinstance(value, str) and "=redacted:" in value):
        raise RefusedError(f"{at} is a marker of a secret that is not kept; give its value")
