"""The rules that are compared: always on, an idle timeout, windows, or both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from orchestrator.domain.backtest.traffic import SECOND
from orchestrator.domain.idle import FLOWING_FOR
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.schedules.text import describe

MICROSECOND = timedelta(microseconds=1)
FLOWING = FLOWING_FOR // MICROSECOND


class Mode(Enum):
    """What a rule asks for over some time."""

    ON = "on"  # kept running
    IDLE = "idle"  # awake from a request until it has been idle for the timeout
    OFF = "off"  # paused: requests are refused, and none of them wakes it


@dataclass(frozen=True, slots=True)
class Segment:
    """A mode that holds from `start` to `end`, in microseconds from the start of the trace."""

    start: int
    end: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule to compare; without a timeout and windows it is always on.

    In `windows` it is kept running. Outside, the timeout holds; without one it is paused, after
    the schedule's drain time. `timeout` is in microseconds.
    """

    name: str
    timeout: int | None = None
    windows: Schedule | None = None

    @property
    def always_on(self) -> bool:
        """Whether it never sleeps."""
        return self.timeout is None and self.windows is None

    @property
    def drain(self) -> int:
        """For how long the end of a window waits for requests to cease."""
        return self.windows.drain_minutes * 60 * SECOND if self.windows else 0

    @property
    def limit(self) -> int:
        """The shortest gap between requests that may matter to it."""
        return FLOWING if self.timeout is None else self.timeout

    def describe(self) -> str:
        """Return it in words."""
        parts = [f"awake {describe(self.windows)}"] if self.windows else []
        if parts and self.timeout is None:
            parts.append("paused otherwise")
        if self.timeout is not None:
            rest = " otherwise" if parts else ""
            parts.append(f"asleep after {_minutes(self.timeout)} min without a request{rest}")
        return ", ".join(parts) or "always on"


def always_on() -> Policy:
    """Return the policy of never sleeping."""
    return Policy("always-on")


def idle(minutes: float) -> Policy:
    """Return the policy of sleeping after so many minutes without a request."""
    return Policy(f"idle-{minutes:g}", timeout=round(minutes * 60 * SECOND))


def segments(policy: Policy, origin: datetime, length: int, startup: int) -> list[Segment]:
    """Return the modes of a policy over a trace that begins at `origin`, without a gap.

    `ready_by` windows begin earlier by the start-up time, so that it serves at their start.
    """
    outside = Mode.OFF if policy.timeout is None else Mode.IDLE
    if policy.windows is None:
        return [Segment(0, length, Mode.ON if policy.always_on else outside)]
    spans = _window_spans(policy.windows, origin, length, startup)
    found, reached = [], 0
    for start, end in spans:
        if start > reached:
            found.append(Segment(reached, start, outside))
        found.append(Segment(max(start, reached), end, Mode.ON))
        reached = end
    if reached < length:
        found.append(Segment(reached, length, outside))
    return found


def _window_spans(
    schedule: Schedule, origin: datetime, length: int, startup: int
) -> list[tuple[int, int]]:
    """Windows united, begun early where they are to be ready, and cut to the trace."""
    early = timedelta(microseconds=startup)
    spans: list[tuple[int, int]] = []
    for piece in intervals(schedule, origin, origin + timedelta(microseconds=length), early):
        start, end = (piece.start - origin) // MICROSECOND, (piece.end - origin) // MICROSECOND
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _minutes(microseconds: int) -> str:
    return f"{microseconds / (60 * SECOND):g}"
