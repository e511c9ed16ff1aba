"""What is known of an endpoint's spec, as a file of rules has it, beside what a file wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Scaling
from orchestrator.providers.redaction import looks_secret, secret_word
from orchestrator.services import specs
from orchestrator.services.errors import invalid
from orchestrator.store.tables import Endpoint, Json, Operation

_SCALING = ("min_replicas", "max_replicas", "scale_to_zero_minutes")


def present_spec(row: Endpoint, asked: Sequence[Operation]) -> Json:
    """Return in the stored form what is known of an endpoint's spec, or asked for just now."""
    spec: Json = {}
    for operation in asked:
        given = operation.request.get("spec") or {}
        options = {**spec.get("options", {}), **given.get("options", {})}
        spec |= {key: value for key, value in given.items() if key != "name"}
        spec |= {"options": options} if options else {}
    under_way = asked[-1].request["spec"] if asked and asked[-1].status != "succeeded" else {}
    told = {key: value for key, value in _told(row).items() if key not in under_way}
    return {**spec, **told}


def shown_spec(stored: Json) -> Json:
    """Return a stored spec as a file has it, without what may not or cannot be told.

    That is a command line with a secret, and a map with values that are kept nowhere.
    """
    shown: Json = {}
    for item in fields(EndpointSpec):
        value = stored.get(item.name)
        if item.name == "name" or not value or hides(item.name, value):
            continue
        if item.name in specs.MAPS:
            value = {**value.get("references", {}), **value.get("plain", {})}
        elif item.name == "scaling":
            value = {key: value[key] for key in _SCALING if value.get(key) is not None}
        elif item.name == "hardware":
            value = {key: part for key, part in value.items() if part}
        if value:
            shown[item.name] = value
    return shown


def hides(key: str, value: Any) -> bool:
    """Tell whether a part of a stored spec has what no file may tell, or what is kept nowhere."""
    if key in specs.WORDS:
        return secret_word(value or ()) is not None
    stored: Json = value if key in specs.MAPS and value else {}
    plain: Mapping[str, str] = stored.get("plain", {})
    return bool(stored.get("values")) or any(looks_secret(*one) for one in plain.items())


def packed(request: EndpointSpec | EndpointChange) -> Json:
    """Return a request in its stored form. Raises ServiceError 422 for a secret value."""
    specs.check_words(request, "spec.")
    parcel = specs.pack(request)
    for name in specs.MAPS:
        for key in getattr(parcel.secrets, name):
            raise invalid(
                f"spec.{name}.{key}",
                "This is, or may be, a secret, which a file of rules does not hold.",
                remedy="Write a reference: env:NAME or file:/path.",
            )
    return parcel.stored


def with_timer(
    change: EndpointChange, known: Json, asked: Sequence[Operation], *, keeps: bool
) -> EndpointChange:
    """Return a change with the timer that there is, where it `keeps` that.

    So too where none was asked for before and the cloud kept its own: it is not asked again and
    again. With replicas that always run, no timer is asked for.
    """
    scaling = change.scaling
    if scaling is None:
        return change
    timer = scaling.scale_to_zero_minutes
    present: int | None = (known.get("scaling") or {}).get("scale_to_zero_minutes")
    earlier = [one.request["spec"]["scaling"] for one in asked if _scales(one)]
    stays = timer is None and bool(earlier) and earlier[-1].get("scale_to_zero_minutes") is None
    if keeps or stays:
        timer = present if scaling.min_replicas == 0 or _is_bounds(scaling, known) else None
    return replace(change, scaling=replace(scaling, scale_to_zero_minutes=timer))


def alike(key: str, known: Any, wanted: Any) -> bool:
    """Tell whether a part of a spec is known to be as wanted."""
    if known is None:
        return wanted in ({}, [], "") or wanted == {"references": {}, "values": []}
    if key == "scaling":
        return all(known.get(part) == wanted.get(part) for part in _SCALING)
    if key == "hardware":
        return all(known.get(part) == value for part, value in wanted.items() if value)
    if key == "options":
        return all(known.get(part) == value for part, value in wanted.items())
    return bool(known == wanted)


def _scales(operation: Operation) -> bool:
    return bool((operation.request.get("spec") or {}).get("scaling"))


def _is_bounds(scaling: Scaling, known: Json) -> bool:
    told = known.get("scaling") or {}
    return all(told.get(part) == getattr(scaling, part) for part in _SCALING[:2])


def _told(row: Endpoint) -> Json:
    """Return what the cloud tells of an endpoint in our words."""
    told: Json = {"repository": row.repository, "task": row.task, "access": row.access}
    parts = row.hardware_key.split("/")
    if len(parts) == 4 and "?" not in parts:
        names = ("vendor", "region", "instance_type", "instance_size")
        told["hardware"] = {**dict(zip(names, parts, strict=True)), "accelerator": row.accelerator}
    if row.min_replicas is not None and row.max_replicas is not None:
        told["scaling"] = {key: getattr(row, key) for key in _SCALING}
    return {key: value for key, value in told.items() if value}
