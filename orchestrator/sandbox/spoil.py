"""Answers that say something else than the truth: faults inside the body."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.messages import Json, Response

_FIELDS = {"unknown_state", "wrong_type", "extra_field", "missing_field"}
_LISTINGS = {"partial_listing", "empty_listing", "repeated_row"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a cloud's answers keep things: a listing's items and cursor, an item's name, state."""

    items: str = "items"
    cursor: str = "nextCursor"
    total: str = "totalItems"
    names: tuple[str, ...] = ("name",)
    states: tuple[str, ...] = ("status.state",)


HUGGING_FACE = Layout()


def spoil(response: Response, faults: Sequence[Fault], layout: Layout = HUGGING_FACE) -> Response:
    """The response with the faults that change its body; others leave it as it is."""
    chosen = [fault for fault in faults if fault.kind in _FIELDS | _LISTINGS]
    if not chosen or response.status != 200 or not _is_json(response):
        return response
    value = response.json()
    if not isinstance(value, dict):
        return response
    for fault in chosen:
        if fault.kind in _FIELDS:
            _spoil_fields(value, fault, layout)
        elif layout.items in value:
            _spoil_listing(value, fault, layout)
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(response.status, response.headers, body, response.wait_s)


def _is_json(response: Response) -> bool:
    return bool(response.body) and "json" in response.headers.get("content-type", "")


def _spoil_listing(page: Json, fault: Fault, layout: Layout) -> None:
    items: list[Any] = page[layout.items]
    if fault.kind == "empty_listing":
        page.update({layout.items: [], layout.cursor: None})
        if layout.total in page:
            page[layout.total] = 0
        return
    if fault.kind == "repeated_row":
        page[layout.items] = [*items, *items[:1]]
        return
    page[layout.items] = items[: max(len(items) - fault.items, 0)]
    if fault.lose_cursor:
        page[layout.cursor] = None


def _spoil_fields(value: Json, fault: Fault, layout: Layout) -> None:
    fields = layout.states if fault.kind == "unknown_state" else (fault.field,)
    for item in _items(value, layout):
        if fault.name is None or fault.name in (item.get(key) for key in layout.names):
            for field in fields:
                _spoil_field(item, field, fault)


def _spoil_field(item: Json, field: str, fault: Fault) -> None:
    *parents, leaf = field.split(".")
    holder: Any = item
    for parent in parents:
        holder = _inside(holder, parent)
    if not isinstance(holder, dict):
        return
    if fault.kind == "missing_field":
        holder.pop(leaf, None)
    elif fault.kind == "extra_field" or leaf in holder:
        holder[leaf] = fault.value


def _inside(holder: Any, key: str) -> Any:
    """A member of an object, or of a list by its place from 0."""
    if isinstance(holder, list):
        return holder[int(key)] if key.isdecimal() and int(key) < len(holder) else None
    return holder.get(key) if isinstance(holder, dict) else None


def _items(value: Json, layout: Layout) -> Iterator[Json]:
    listed = value.get(layout.items)
    if not isinstance(listed, list):
        yield value
        return
    yield from (item for item in listed if isinstance(item, dict))
