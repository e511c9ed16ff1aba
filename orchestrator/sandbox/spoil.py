"""Answers that say something else than the truth: faults inside the body."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.messages import Json, Response

_FIELDS = {"unknown_state", "wrong_type", "extra_field", "missing_field"}
_LISTINGS = {"partial_listing", "empty_listing"}


def spoil(response: Response, faults: Sequence[Fault]) -> Response:
    """The response with the faults that change its body; others leave it as it is."""
    chosen = [fault for fault in faults if fault.kind in _FIELDS | _LISTINGS]
    if not chosen or response.status != 200:
        return response
    value = response.json()
    if not isinstance(value, dict):
        return response
    for fault in chosen:
        if fault.kind in _FIELDS:
            _spoil_fields(value, fault)
        elif "items" in value:
            _spoil_listing(value, fault)
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(response.status, response.headers, body, response.wait_s)


def _spoil_listing(page: Json, fault: Fault) -> None:
    items: list[Any] = page["items"]
    if fault.kind == "empty_listing":
        page.update(items=[], nextCursor=None, totalItems=0)
        return
    page["items"] = items[: max(len(items) - fault.items, 0)]
    if fault.lose_cursor:
        page["nextCursor"] = None


def _spoil_fields(value: Json, fault: Fault) -> None:
    for item in _items(value):
        if fault.name is not None and item.get("name") != fault.name:
            continue
        *parents, leaf = fault.field.split(".")
        holder: Any = item
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            continue
        if fault.kind == "missing_field":
            holder.pop(leaf, None)
        elif fault.kind == "extra_field" or leaf in holder:
            holder[leaf] = fault.value


def _items(value: Json) -> Iterator[Json]:
    listed = value.get("items")
    if not isinstance(listed, list):
        yield value
        return
    yield from (item for item in listed if isinstance(item, dict))
