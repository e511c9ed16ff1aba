"""Options that several commands take together, written down once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

GIVEN = "given"
Command = Callable[..., None]


def taking(group: Callable[..., Any]) -> Callable[[Command], Command]:
    """Let a command take the options of `group` in the place of its parameter `given`.

    `given` is what `group` returns for the values that a person typed.
    """
    shared = inspect.signature(group, eval_str=True).parameters

    def of(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters

        @wraps(command)
        def run(*args: Any, **kwargs: Any) -> None:
            chosen = {name: kwargs.pop(name) for name in shared}
            command(*args, **kwargs, given=group(**chosen))

        merged = [
            one
            for name, parameter in own.items()
            for one in (shared.values() if name == GIVEN else (parameter,))
        ]
        run.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined] # read by typer
        run.__annotations__ = {one.name: one.annotation for one in merged}
        return run

    return of
