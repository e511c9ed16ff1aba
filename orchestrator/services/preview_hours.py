"""How long schedules keep endpoints up: windows united, and cron points laid over them.

A cron point holds until the next edge of any of the schedules, as the engine has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from orchestrator.domain.schedules.model import Interval, PointAction
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import AT_ONCE, intervals
from orchestrator.domain.schedules.points import points
from orchestrator.services.starting import starts_early

MONTH_SECONDS = 730 * 3600 + 1800
YEAR = timedelta(weeks=52)


@dataclass(frozen=True, slots=True)
class Together:
    """The schedules that act on an endpoint, its start-up time, and if it runs without them.

    `standing` tells whether a cron point that has fired keeps it up (or down) until the next edge.
    """

    schedules: frozenset[Windows]
    early: timedelta = AT_ONCE
    up_otherwise: bool = False
    standing: bool | None = None

    @property
    def wide(self) -> bool:
        """Tell whether weeks differ, so that only a year shows what a month has."""
        return not all(one.is_weekly for one in self.schedules)


@dataclass(slots=True)
class Hours:
    """Seconds per month in which an endpoint is up; each combination is found once."""

    start: datetime
    end: datetime
    known: dict[Together, int] = field(default_factory=dict)

    def seconds_up(self, together: Together) -> int:
        """Return in how many seconds of a month it is up."""
        if together not in self.known:
            end = max(self.end, self.start + YEAR) if together.wide else self.end
            up = sum((b - a for a, b in stretches(together, self.start, end)), timedelta())
            whole = int((end - self.start).total_seconds())
            self.known[together] = int(up.total_seconds()) * MONTH_SECONDS // whole
        return self.known[together]


def together(schedules: Sequence[Windows], early: timedelta, *, up_otherwise: bool) -> Together:
    """Return schedules as they act together; what makes no difference is left out."""
    known = frozenset(schedules)
    if not any(starts_early(one) for one in known):
        early = AT_ONCE
    return Together(known, early, up_otherwise and _silent(known))


def stretches(acting: Together, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return the stretches in which the endpoint is up, in order; neighbours are not joined."""
    spans = _united(
        [s for one in acting.schedules for s in intervals(one, start, end, acting.early)]
    )
    fired = [point for one in acting.schedules for point in points(one, start, end)]
    begun = {point.at: False for point in fired}
    begun |= {point.at: True for point in fired if point.action is PointAction.START}
    if acting.standing is not None:
        begun.setdefault(start, acting.standing)
    # Each end of a window of any schedule is an edge, also where another one goes on.
    edges = {start, end, *begun}
    for one in acting.schedules:
        for span in intervals(one, start, end, acting.early):
            edges |= {span.start, span.end}
    base = _silent(acting.schedules) and acting.up_otherwise
    found, place = [], 0
    for begin, finish in pairwise(sorted(edges)):
        while place < len(spans) and spans[place].end <= begin:
            place += 1
        inside = place < len(spans) and spans[place].start <= begin
        if begun.get(begin, base or inside):
            found.append((begin, finish))
    return found


def _silent(schedules: frozenset[Windows]) -> bool:
    """Tell whether nothing but cron points acts: between them it is as a person left it."""
    return all(one.only_points for one in schedules)


def _united(spans: list[Interval]) -> list[Interval]:
    result: list[Interval] = []
    for span in sorted(spans, key=lambda one: one.start):
        if result and span.start <= result[-1].end:
            last = result[-1]
            result[-1] = Interval(last.start, max(last.end, span.end), keep_running=False)
        else:
            result.append(span)
    return result
