"""Turns calls of the world's methods into JSON and back, so that a journal can replay them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import update_wrapper
from threading import RLock
from typing import Any, Concatenate, ParamSpec, TypeVar

from orchestrator.sandbox.traffic import Traffic

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Recorder")
Operation = dict[str, Any]


class Recorder:
    """Base of what tells a listener of every change that was made from outside.

    A part of another recorder shares its lock and listener; its changes are named `part.method`.
    """

    def __init__(self, whole: Recorder | None = None, part: str = "") -> None:
        self.lock: AbstractContextManager[bool] = whole.lock if whole else RLock()
        self.on_change: Callable[[Operation], None] | None = None
        self._whole = whole
        self._part = part

    def tell(self, name: str, args: Sequence[Any], values: Mapping[str, Any]) -> None:
        """Pass a change on to the listener."""
        if self._whole is not None:
            self._whole.tell(f"{self._part}.{name}", args, values)
        elif self.on_change is not None:
            self.on_change({"op": name, "args": encode(args), "with": encode(values)})


def recorded(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Report a call to `on_change` once it has succeeded; recorded methods do not call others."""

    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            result = method(self, *args, **kwargs)
            self.tell(method.__name__, args, kwargs)
            return result

    update_wrapper(call, method)
    call.__dict__["recorded"] = True
    return call


def replay(target: object, operation: Mapping[str, Any]) -> None:
    """Make a recorded change again; raises ValueError for a name that is not recorded."""
    part, _, name = operation["op"].rpartition(".")
    owner = getattr(target, part, None) if part else target
    method = getattr(type(owner), name, None) if isinstance(owner, Recorder) else None
    if not getattr(method, "recorded", False):
        raise ValueError(f"not a recorded change: {operation['op']}")
    getattr(owner, name)(*decode(operation["args"]), **decode(operation["with"]))


def encode(value: Any) -> Any:
    """A JSON value for an argument; instants, money, bytes and traffic get a tag."""
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    for kind, tag, write, _ in _TAGGED:
        if isinstance(value, kind):
            return {tag: write(value)}
    return value


def decode(value: Any) -> Any:
    """The argument that `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    for _, tag, _, read in _TAGGED:
        if value.keys() == {tag}:
            return read(value[tag])
    return {key: decode(item) for key, item in value.items()}


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


_Row = tuple[type, str, Callable[[Any], Any], Callable[[Any], Any]]
_TAGGED: tuple[_Row, ...] = (
    (datetime, "$datetime", datetime.isoformat, datetime.fromisoformat),
    (timedelta, "$seconds", timedelta.total_seconds, _seconds),
    (Decimal, "$decimal", str, Decimal),
    (bytes, "$bytes", _text, base64.b64decode),
    (Traffic, "$traffic", Traffic.to_dict, Traffic.from_dict),
)
