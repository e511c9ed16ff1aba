"""How long a step of an operation usually takes, and when it takes too long. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# So many ended operations tell more than what is known of a cloud in general.
ENOUGH = 5
PERCENTILE = 95
MARGIN = 1.5
# What was measured here counts for no less than this part of what is known of the cloud.
FAIR_PART = 0.5
SLACK = timedelta(minutes=1)
# Nobody is told of less: looks at a cloud are this far apart.
SHORTEST = timedelta(minutes=2)
# Until the engine takes an operation up, and until a cloud accepts it.
UNSENT = timedelta(minutes=2)
UNACCEPTED = timedelta(minutes=5)
UNKNOWN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Spent:
    """How long an ended operation took until it was sent, accepted, and confirmed."""

    hardware: str
    unsent: timedelta
    unaccepted: timedelta
    unconfirmed: timedelta

    def of(self, status: str) -> timedelta:
        """Return how long the step of that status took."""
        steps = {"pending": self.unsent, "running": self.unaccepted}
        return steps.get(status, self.unconfirmed)


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual time of a step, and the time from which on it counts as stuck."""

    time: timedelta
    limit: timedelta
    measured: bool


def usual(status: str, history: Sequence[Spent], hardware: str, default: timedelta | None) -> Usual:
    """Return the usual time of the step that an operation of this status is in.

    From ended operations on the same hardware where there are enough, else from all of
    `history`, else what is known of the step, or of the kind of operation (`default`).
    """
    known = {"pending": UNSENT, "running": UNACCEPTED}.get(status)
    least = timedelta(0) if known or default is None else default * FAIR_PART
    same = [one.of(status) for one in history if one.hardware == hardware]
    every = [one.of(status) for one in history]
    for found in (same, every):
        if len(found) >= ENOUGH:
            return _limited(max(_high(found), least), measured=True)
    return _limited(known or default or UNKNOWN, measured=False)


def is_over(since: datetime, now: datetime, found: Usual) -> bool:
    """Tell whether a step that began at `since` lasts too long."""
    return now - since > found.limit


def _high(found: Sequence[timedelta]) -> timedelta:
    ordered = sorted(found)
    rank = -(-len(ordered) * PERCENTILE // 100)  # nearest rank, rounded up
    return ordered[rank - 1]


def _limited(time: timedelta, *, measured: bool) -> Usual:
    return Usual(time, max(time * MARGIN + SLACK, SHORTEST), measured)
