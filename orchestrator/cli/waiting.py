"""Follows an operation to its end, with a spinner on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from orchestrator.cli import formats, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session

FINAL = frozenset({"succeeded", "failed", "superseded", "cancelled"})
Operation = Mapping[str, Any]
_SHORTEST_WAIT_S = 1
_LONGEST_WAIT_S = 30


def follow(run: Session, operation: Operation, timeout: timedelta) -> Operation:
    """Wait until an operation has ended and return it as it is then.

    Raises CliError with TIMED_OUT; the operation itself goes on.
    """
    deadline = run.clock.now() + timeout
    with _progress(run) as show:
        while operation["status"] not in FINAL:
            left = int((deadline - run.clock.now()).total_seconds())
            if left <= 0:
                raise _timed_out(operation, timeout)
            show(_sentence(operation))
            wait = max(_SHORTEST_WAIT_S, min(left, _LONGEST_WAIT_S))
            operation = run.api.get(urls.path("operations", operation["id"]), {"wait": wait})
    return operation


def check(operation: Operation) -> None:
    """Raise CliError with FAILED unless the operation has succeeded or is still under way."""
    if operation["status"] in FINAL - {"succeeded"}:
        outcome = operation.get("outcome") or "no reason was given"
        raise CliError(
            f"{operation['kind']} of {_target(operation)} {operation['status']}: {outcome}",
            ExitCode.FAILED,
            f"see `orchestrator operations show {operation['id']}`",
        )


def _timed_out(operation: Operation, timeout: timedelta) -> CliError:
    waited = formats.duration(timeout.total_seconds())
    state = f"{operation['kind']} of {_target(operation)} is still {operation['status']}"
    return CliError(
        f"{state} after {waited}",
        ExitCode.TIMED_OUT,
        f"it goes on; see `orchestrator operations show {operation['id']}`",
    )


def _target(operation: Operation) -> str:
    endpoint = operation.get("endpoint") or {}
    return str(endpoint.get("name") or operation["id"])


def _sentence(operation: Operation) -> str:
    steps = operation.get("steps") or []
    step = f", {steps[-1].get('name')}" if steps else ""
    return formats.plain(
        f"{operation['kind']} of {_target(operation)}: {operation['status']}{step}"
    )


@contextmanager
def _progress(run: Session) -> Iterator[Callable[[str], None]]:
    """Yield a way to show progress: a spinner on a terminal, else one line per change."""
    if run.quiet:
        yield _silent
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - loaded only where a spinner turns
        from rich.markup import escape  # noqa: PLC0415 - as above

        with Console(stderr=True, no_color=not run.colour).status("waiting") as status:
            yield lambda text: status.update(escape(text))
    else:
        yield _Lines()


class _Lines:
    """Writes each new sentence once."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        if text != self._last:
            sys.stderr.write(text + "\n")
            self._last = text


def _silent(text: str) -> None:
    del text
