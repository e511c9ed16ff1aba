"""Turns calls of the world's methods into JSON and back, so that a journal can replay them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """Base of what tells a listener of every change that was made from outside."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.on_change: Callable[[Operation], None] | None = None


def recorded(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Report a call to `on_change` once it has succeeded; recorded methods do not call others."""

    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            result = method(self, *args, **kwargs)
            if self.on_change is not None:
                values = {key: encode(value) for key, value in kwargs.items()}
                done = {"op": method.__name__, "args": [*map(encode, args)], "with": values}
                self.on_change(done)
            return result

    update_wrapper(call, method)
    call.__dict__["recorded"] = True
    return call


def replay(target: object, operation: Mapping[str, Any]) -> None:
    """Make a recorded change again; raises ValueError for a name that is not recorded."""
    method = getattr(type(target), operation["op"], None)
    if not getattr(method, "recorded", False):
        raise ValueError(f"not a recorded change: {operation['op']}")
    values = {key: decode(value) for key, value in operation["with"].items()}
    getattr(target, operation["op"])(*map(decode, operation["args"]), **values)


def encode(value: Any) -> Any:
    """A JSON value for an argument; instants, money and traffic get a tag."""
    match value:
        case datetime():
            return {"$datetime": value.isoformat()}
        case timedelta():
            return {"$seconds": value.total_seconds()}
        case Decimal():
            return {"$decimal": str(value)}
        case Traffic():
            return {"$traffic": value.to_dict()}
        case tuple():
            return [encode(item) for item in value]
    return value


def decode(value: Any) -> Any:
    """The argument that `encode` was given."""
    match value:
        case {"$datetime": str(text)}:
            return datetime.fromisoformat(text)
        case {"$seconds": int() | float() as seconds}:
            return timedelta(seconds=seconds)
        case {"$decimal": str(text)}:
            return Decimal(text)
        case {"$traffic": dict(traffic)}:
            return Traffic.from_dict(traffic)
    return value
