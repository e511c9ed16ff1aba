"""Refuses text that no store can keep: the character NUL, and halves of surrogate pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.problems import FieldProblem, problem

FORM_TYPE = "application/x-www-form-urlencoded"
_UNKEPT = re.compile("[\x00\ud800-\udfff]")
# Only a body that has one of these, a byte or an escape, is read here at all.
_SUSPECT = re.compile(rb"\x00|\\u0000|\\ud[89a-f]|%00", re.IGNORECASE)
_LONGEST_NAME = 120


class PlainText:
    """Refuses a request with such a character in its path, query or body; inside of BodyLimit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when all of its text can be kept."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        field = _fault_of_address(scope)
        if field is None and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            message = await receive()
            field = _fault_of_body(message.get("body", b""), Headers(scope=scope))
            receive = _first(message, receive)
        if field is None:
            await self.app(scope, receive, send)
        else:
            await _refusal(field)(scope, receive, send)


def _refusal(field: str) -> ASGIApp:
    told = "it has a character that cannot be kept: NUL, or half of a surrogate pair"
    return problem(
        422,
        "unkept_character",
        "Not valid",
        f"{field}: {told}.",
        field=field,
        remedy="Leave that character out.",
        errors=[FieldProblem(field=field, message=told)],
    )


def _first(message: Message, receive: Receive) -> Receive:
    pending = [message]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _fault_of_address(scope: Scope) -> str | None:
    if "\x00" in scope["path"]:
        return "path"
    query: bytes = scope["query_string"]
    return _fault_of_pairs(query.decode("latin-1")) if b"%00" in query else None


def _fault_of_pairs(text: str) -> str | None:
    pairs = parse_qsl(text, keep_blank_values=True)
    return next((_shown(name) for name, value in pairs if _UNKEPT.search(name + value)), None)


def _fault_of_body(body: bytes, headers: Headers) -> str | None:
    """Return the field of a body that has such a character; the rest is for its schema to say."""
    if not _SUSPECT.search(body):
        return None
    if headers.get("content-type", "").startswith(FORM_TYPE):
        return _fault_of_pairs(body.decode("latin-1"))
    try:
        return next(_faults(json.loads(body)), None)
    except (ValueError, RecursionError):
        return None


def _faults(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if _UNKEPT.search(value):
            yield place or "body"
    elif isinstance(value, Mapping):
        for name, item in value.items():
            below = f"{place}.{_shown(name)}" if place else _shown(name)
            if _UNKEPT.search(name):
                yield below
            yield from _faults(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, f"{place}.{index}" if place else str(index))


def _shown(name: str) -> str:
    return _UNKEPT.sub("?", name)[:_LONGEST_NAME]
