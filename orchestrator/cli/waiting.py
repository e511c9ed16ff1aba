"""Follows an operation to its end, with its steps on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
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
    with _progress(run) as progress:
        while operation["status"] not in FINAL:
            left = int((deadline - run.clock.now()).total_seconds())
            if left <= 0:
                raise _timed_out(operation, timeout)
            progress.show(operation)
            wait = max(_SHORTEST_WAIT_S, min(left, _LONGEST_WAIT_S))
            query = {"wait": wait, "version": operation.get("version")}
            operation = run.api.get(urls.path("operations", operation["id"]), query)
        progress.show(operation)
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


def stuck(operation: Operation, now: datetime) -> str:
    """Return that an operation lasts longer than usual, and what the cloud says; or nothing."""
    if not operation.get("stuck_since"):
        return ""
    asked = datetime.fromisoformat(operation["created_at"])
    usual = formats.duration(operation.get("usual_seconds") or 0)
    took = formats.duration((now - asked).total_seconds())
    return f"usually {usual}, now {took}{cloud_says(operation)}"


def usually(operation: Operation) -> str:
    """Return how long an operation under way that is not stuck usually takes, where known."""
    seconds = operation.get("usual_seconds")
    if not seconds or operation.get("stuck_since") or operation["status"] in FINAL:
        return ""
    return f"usually {formats.duration(seconds)}"


def cloud_says(operation: Operation) -> str:
    """Return the cloud's own words for an operation's endpoint, or nothing."""
    cloud = operation.get("cloud") or {}
    said = ": ".join(filter(None, (cloud.get("state"), cloud.get("message"))))
    return f"; the cloud says {said}" if said else ""


def _sentence(operation: Operation, now: datetime) -> str:
    told = stuck(operation, now)
    usual = usually(operation)
    usual = f", {usual}" if usual else ""
    told = f", stuck: {told}" if told else f"{usual}{cloud_says(operation)}"
    return formats.plain(
        f"{operation['kind']} of {_target(operation)}: {operation['status']}{told}"
    )


def _step(operation: Operation, step: Mapping[str, Any]) -> str:
    detail = f": {step['detail']}" if step.get("detail") else ""
    told = f"{step.get('name')} {step.get('state')}{detail}"
    if step.get("name") == "cloud":
        told = f"the cloud says {step.get('detail') or step.get('state')}"
    return formats.plain(f"{_target(operation)}  {told}")


@contextmanager
def _progress(run: Session) -> Iterator[_Steps]:
    """Yield what shows progress: each step on a line, and on a terminal a spinner below them."""
    if run.quiet:
        yield _Steps(run, _silent, _silent)
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - loaded only where a spinner turns
        from rich.markup import escape  # noqa: PLC0415 - as above

        console = Console(stderr=True, no_color=not run.colour)
        with console.status("waiting") as status:
            yield _Steps(
                run,
                lambda text: console.print(escape(text)),
                lambda text: status.update(escape(text)),
            )
    else:
        yield _Steps(run, _line, _Changes())


class _Steps:
    """Writes each new step once, and where things stand."""

    def __init__(
        self, run: Session, line: Callable[[str], None], state: Callable[[str], None]
    ) -> None:
        self._run = run
        self._line = line
        self._state = state
        self._shown: set[tuple[str, str, str]] = set()
        self._stuck = ""

    def show(self, operation: Operation) -> None:
        for step in operation.get("steps") or []:
            key = (operation["id"], str(step.get("at")), f"{step.get('name')} {step.get('state')}")
            if key not in self._shown:
                self._shown.add(key)
                self._line(f"{self._run.out.at(step.get('at'))}  {_step(operation, step)}")
        flagged = str(operation.get("stuck_since") or "")
        if flagged and flagged != self._stuck:
            told = stuck(operation, self._run.clock.now())
            self._line(f"{_target(operation)}  is stuck: {formats.plain(told)}")
        self._stuck = flagged
        self._state(_sentence(operation, self._run.clock.now()))


class _Changes:
    """Writes where things stand, once for each change; the cloud's words are steps already."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        told = text.partition(";")[0]
        state = told.partition(",")[0]
        if state != self._last:
            _line(told.partition(", stuck")[0])
            self._last = state


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")


def _silent(text: str) -> None:
    del text
