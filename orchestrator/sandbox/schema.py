"""Endpoint payloads: types (422), rules (400), defaults, and the deep merge of an update."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from orchestrator.sandbox.catalog import Catalog, Hardware
from orchestrator.sandbox.endpoint import Spec
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.switches import Switches

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_SHA = re.compile(r"[0-9a-f]{40}")
_TYPES = {"public", "authenticated", "private"}
_BARE_IMAGES = {"huggingface", "huggingfaceNeuron"}
_CONTAINER_IMAGES = {
    "tgi", "tgiNeuron", "tei", "llamacpp", "vLLM", "vLLMOmni", "vLLMNeuron", "sGLang", "hfServe",
    "custom",
}  # fmt: skip
_SHARDED_IMAGES = {
    "vLLM": ("tensorParallelSize", "dataParallelSize"),
    "sGLang": ("tensorParallelSize",),
}
_REPLACED = {"image", "command", "args", "env", "secrets", "measure"}
_READ_ONLY = {"name", "provider", "status", "healthRoute", "privateService", "accountId"}

# A leaf is the expected type's name; `!` marks a required field, `?` one that may be null.
_SCALING = {
    "minReplica": "u32!",
    "maxReplica": "u32!",
    "scaleToZeroTimeout": "u32?",
    "measure": "map?",
}
_FIELDS: dict[str, Any] = {
    "name": "string!",
    "type": "string!",
    "provider": {"vendor": "string!", "region": "string!"},
    "compute": {
        "accelerator": "string!",
        "instanceType": "string!",
        "instanceSize": "string!",
        "scaling": _SCALING,
    },
    "model": {
        "repository": "string!",
        "revision": "string?",
        "task": "string",
        "framework": "string!",
        "image": "map!",
        "env": "map",
        "secrets": "map",
        "args": "sequence?",
        "command": "sequence?",
    },
    "tags": "sequence",
    "cacheHttpResponses": "bool",
    "experimentalFeatures": "map",
    "customRouter": "map?",
    "route": {"domain": "string?", "path": "string?"},
    "privateService": "map?",
}
_OPTIONAL_GROUPS = {"route"}
_PYTHON = {"string": str, "u32": int, "map": dict, "sequence": list, "bool": bool}


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request body; raises ApiError 400 or 422."""
    try:
        value = json.loads(body or b"null")
    except ValueError as error:
        text = f"Failed to parse the request body as JSON: {error}"
        raise ApiError(400, text, plain=True) from error
    if not isinstance(value, dict):
        raise _untyped("", value, "struct Endpoint", body)
    return value


def check_types(payload: Mapping[str, Any], *, partial: bool = False) -> None:
    """Raises ApiError 422 with the text of a deserialiser, as the service does."""
    _check_group(payload, _FIELDS, "", partial=partial)


def _check_group(
    group: Mapping[str, Any], fields: Mapping[str, Any], path: str, *, partial: bool
) -> None:
    for key, kind in fields.items():
        where = f"{path}{key}"
        if isinstance(kind, dict):
            inner = group.get(key)
            if inner is None and (partial or key in _OPTIONAL_GROUPS):
                continue
            if key not in group:
                raise _missing(key)
            if not isinstance(inner, dict):
                raise _untyped(where, inner, f"struct {key.capitalize()}", b"")
            _check_group(inner, kind, f"{where}.", partial=partial)
        elif key in group:
            _check_leaf(where, group[key], kind)
        elif kind.endswith("!") and not partial:
            raise _missing(key)


def _check_leaf(where: str, value: object, kind: str) -> None:
    name = kind.rstrip("!?")
    if value is None and kind.endswith("?"):
        return
    fits = isinstance(value, _PYTHON[name]) and not (name == "u32" and isinstance(value, bool))
    if not fits or (isinstance(value, int) and not isinstance(value, bool) and value < 0):
        raise _untyped(where, value, name, b"")


def _missing(key: str) -> ApiError:
    return _serde(f"missing field `{key}`")


def _untyped(where: str, value: object, expected: str, body: bytes) -> ApiError:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "floating point"}
    shown = "null" if value is None else f"{kinds.get(type(value), type(value).__name__)}"
    prefix = f"{where}: " if where else ""
    return _serde(f"{prefix}invalid type: {shown}, expected {expected}", len(body))


def _serde(text: str, column: int = 0) -> ApiError:
    lead = "Failed to deserialize the JSON body into the target type: "
    return ApiError(422, f"{lead}{text} at line 1 column {column or 1}", plain=True)


def new_spec(payload: Mapping[str, Any], switches: Switches) -> Spec:
    """The settings of a new endpoint with every default filled; unknown fields are dropped."""
    check_types(payload)
    known = _known(payload, _FIELDS)
    model, scaling = known["model"], known["compute"]["scaling"]
    if scaling["minReplica"] == 0:
        scaling.setdefault("scaleToZeroTimeout", switches.omitted_timeout_minutes)
    caches = known.get("cacheHttpResponses", False)
    spec: Spec = {
        "tags": [],
        "cacheHttpResponses": caches,
        "experimentalFeatures": {"cacheHttpResponses": caches},
        **known,
    }
    spec["model"] = {"env": {}, "secrets": {}, "task": "text-generation", "revision": None, **model}
    scaling.setdefault("scaleToZeroTimeout", None)
    return _settle(spec)


def merged(spec: Spec, payload: Mapping[str, Any]) -> Spec:
    """The settings after an update: objects merge, null clears, some fields replace."""
    check_types(payload, partial=True)
    patch = {key: value for key, value in payload.items() if key not in _READ_ONLY}
    result = _merge(deepcopy(spec), _known(patch, _FIELDS))
    moved = "repository" in patch.get("model", {}) and "revision" not in patch["model"]
    if moved:
        result["model"]["revision"] = None
    return _settle(result)


def _known(payload: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _known(payload[key], kind)
        if isinstance(kind, dict) and payload[key] is not None
        else deepcopy(payload[key])
        for key, kind in fields.items()
        if key in payload
    }


def _merge(base: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict) and key not in _REPLACED:
            _merge(base[key], value)
        else:
            base[key] = value
    return base


def _settle(spec: Spec) -> Spec:
    """Fill what the service always shows: type, health route, revision, measure, compute id."""
    if spec["type"] not in _TYPES:
        spec["type"] = "private"
    model, compute, place = spec["model"], spec["compute"], spec["provider"]
    spec["healthRoute"] = _health_route(model["image"])
    if not _SHA.fullmatch(model["revision"] or ""):
        model["revision"] = _commit(model["repository"], model["revision"] or "main")
    if not compute["scaling"].get("measure"):
        compute["scaling"]["measure"] = {"hardwareUsage": None}
    size = compute["instanceSize"]
    compute["id"] = f"{place['vendor']}-{place['region']}-{compute['instanceType']}-{size}"
    return spec


def _health_route(image: Mapping[str, Any]) -> str:
    for container in image.values():
        if isinstance(container, dict) and container.get("healthRoute"):
            return str(container["healthRoute"])
    return "/health"


def _commit(repository: str, revision: str) -> str:
    return hashlib.sha1(f"{repository}@{revision}".encode(), usedforsecurity=False).hexdigest()


def check_rules(spec: Spec, catalog: Catalog, switches: Switches) -> Hardware:
    """The hardware that the settings name; raises ApiError 400 where they contradict a rule."""
    if len(spec["name"]) > 32 or not _NAME.fullmatch(spec["name"]):
        raise _bad("name must be at most 32 characters of a-z, 0-9 and '-'")
    hardware = _hardware(spec, catalog)
    _check_scaling(spec["compute"]["scaling"], switches)
    _check_image(spec["model"]["image"], hardware)
    return hardware


def _hardware(spec: Spec, catalog: Catalog) -> Hardware:
    place, compute = spec["provider"], spec["compute"]
    found = catalog.find(
        place["vendor"], place["region"], compute["instanceType"], compute["instanceSize"]
    )
    if found is None or found.accelerator != compute["accelerator"]:
        raise _bad(f"Compute instance not available: {compute['id']}")
    return found


def _check_scaling(scaling: Mapping[str, Any], switches: Switches) -> None:
    low, high = scaling["minReplica"], scaling["maxReplica"]
    if high < 1 or low > high:
        raise _bad("minReplica must not be greater than maxReplica, and maxReplica at least 1")
    refused = switches.timeout_with_min == "refuse"
    if refused and low > 0 and scaling["scaleToZeroTimeout"] is not None:
        raise _bad("scaleToZeroTimeout is incompatible with minReplica greater than 0")


def _check_image(image: Mapping[str, Any], hardware: Hardware) -> None:
    if len(image) != 1:
        raise _serde("model.image: expected a map with a single key")
    ((variant, settings),) = image.items()
    if variant not in _BARE_IMAGES | _CONTAINER_IMAGES:
        raise _serde(f"model.image: unknown variant `{variant}`")
    if not isinstance(settings, dict):
        raise _untyped(f"model.image.{variant}", settings, "struct Container", b"")
    if variant in _CONTAINER_IMAGES and not isinstance(settings.get("url"), str):
        raise _missing("url")
    sizes = _SHARDED_IMAGES.get(variant, ())
    if sizes and hardware.accelerators > 1 and not any(settings.get(size) for size in sizes):
        raise _bad(f"{variant} on {hardware.accelerators} accelerators needs a parallelism setting")


def _bad(text: str) -> ApiError:
    return ApiError(400, f"Bad Request: {text}")
