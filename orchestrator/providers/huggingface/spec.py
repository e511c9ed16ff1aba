"""The allow-list of an answer that may be kept: enough to compare and to create again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.providers.redaction import Redactor, redact

_KNOWN: Mapping[str, frozenset[str]] = {
    "": frozenset({"name", "type", "healthRoute", "cacheHttpResponses"}),
    "provider": frozenset({"vendor", "region"}),
    "compute": frozenset({"accelerator", "instanceType", "instanceSize"}),
    "compute.scaling": frozenset(
        {"minReplica", "maxReplica", "scaleToZeroTimeout", "metric", "threshold"}
    ),
    "compute.scaling.measure": frozenset({"hardwareUsage", "pendingRequests"}),
    "model": frozenset({"repository", "revision", "task", "framework", "fromCatalog"}),
    "route": frozenset({"domain", "path"}),
    "privateService": frozenset({"accountId", "region", "shared"}),
    "experimentalFeatures": frozenset({"cacheHttpResponses", "loadBalancer"}),
    "experimentalFeatures.kvRouter": frozenset({"tag"}),
    "customRouter": frozenset({"tag", "port"}),
}
# Texts of the image variants; texts of other names are kept as markers.
_IMAGE_TEXTS = frozenset(
    {
        "url",
        "healthRoute",
        "health_route",
        "quantize",
        "hfAutoCastType",
        "pooling",
        "kvCacheDtype",
        "modelPath",
        "mode",
        "variant",
        "mmprojModelPath",
        "specModelPath",
        "neuronCache",
    }
)
_HANDLED = frozenset(
    {
        "status",
        "tags",
        "accountId",
        "compute.id",
        "model.image",
        "model.env",
        "model.secrets",
        "model.args",
        "model.command",
        "customRouter.env",
    }
)


def kept_spec(raw: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return the configuration of an endpoint without secret values.

    Secrets are names only, registry credentials are left out, and other values that may be secret
    are markers. `omitted` names what the answer had besides, so that nobody creates it again
    believing that it is whole.
    """
    omitted: list[str] = []
    spec = _picked(raw, "", omitted)
    model = spec.setdefault("model", {})
    model |= _model(_mapping(raw.get("model")), redactor, omitted)
    tags = raw.get("tags")
    if isinstance(tags, list):
        spec["tags"] = sorted(tag for tag in tags if isinstance(tag, str))
    router = _mapping(raw.get("customRouter")).get("env")
    if isinstance(router, Mapping):
        spec["customRouter"]["env"] = _environment(router, redactor)
    return spec | {"omitted": sorted(omitted)} if omitted else spec


def contains(whole: object, part: object) -> bool:
    """Tell whether a kept configuration has all of a part of one; lists are compared whole."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            contains(whole.get(key), value) for key, value in part.items()
        )
    return bool(whole == part)


def _picked(raw: Mapping[str, Any], at: str, omitted: list[str]) -> dict[str, Any]:
    """Return the known scalars at a path and, below it, the known objects."""
    kept: dict[str, Any] = {}
    for key, value in raw.items():
        path = f"{at}.{key}" if at else key
        if key in _KNOWN[at] and _is_scalar(value):
            kept[key] = value
        elif path in _KNOWN and isinstance(value, Mapping):
            kept[key] = _picked(value, path, omitted)
        elif path not in _HANDLED and value is not None:
            omitted.append(path)
    return kept


def _model(raw: Mapping[str, Any], redactor: Redactor, omitted: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if isinstance(raw.get("image"), Mapping):
        kept["image"] = {
            str(variant): _image(str(variant), _mapping(settings), redactor, omitted)
            for variant, settings in raw["image"].items()
        }
    if isinstance(raw.get("env"), Mapping):
        kept["env"] = _environment(raw["env"], redactor)
    if isinstance(raw.get("secrets"), Mapping | list):
        kept["secrets"] = sorted(str(name) for name in raw["secrets"] if isinstance(name, str))
    for key in ("command", "args"):
        if isinstance(raw.get(key), list):
            kept[key] = redactor.arguments(
                [
                    str(word) if _is_scalar(word) else redactor.marker(key, str(word))
                    for word in raw[key]
                ]
            )
    return kept


def _image(
    variant: str, settings: Mapping[str, Any], redactor: Redactor, omitted: list[str]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if not _is_scalar(value):
            if value is not None:
                omitted.append(f"model.image.{variant}.{key}")
        elif isinstance(value, str):
            kept[key] = redact(value) if key in _IMAGE_TEXTS else redactor.marker(key, value)
        else:
            kept[key] = value
    return kept


def _environment(raw: Mapping[str, Any], redactor: Redactor) -> dict[str, str]:
    return {
        str(name): (redactor.setting if _is_scalar(value) else redactor.marker)(
            str(name), str(value)
        )
        for name, value in sorted(raw.items())
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
