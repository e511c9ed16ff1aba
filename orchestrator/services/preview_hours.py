"""How long schedules keep endpoints up: windows united, and cron points laid over them.

A cron point holds until the next edge of any of the schedules, as the engine has it. What is told
is what a month has in the long run: the coming year, begun with what would stand by now if the
schedules had always been as they are. So it does not depend on the hour at which one looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from orchestrator.domain.schedules.model import Interval, PointAction, PointFiring
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import AT_ONCE, intervals
from orchestrator.domain.schedules.points import points
from orchestrator.services.schedule_book import last_since
from orchestrator.services.starting import starts_early

MONTH_SECONDS = 730 * 3600 + 1800
WEEK = timedelta(weeks=1)
WEEKS_OF_YEAR = 52
# Where points fire more often in a year, fewer weeks are looked at.
MOST_FIRINGS = 4000
_BACK = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Together:
    """The schedules that act on an endpoint, its start-up time, and if it runs without them."""

    schedules: frozenset[Windows]
    early: timedelta = AT_ONCE
    up_otherwise: bool = False


@dataclass(slots=True)
class Hours:
    """Seconds per month in which an endpoint is up; each combination is found once."""

    start: datetime
    _known: dict[Together, int] = field(default_factory=dict)
    _fired: dict[tuple[Windows, datetime], list[PointFiring]] = field(default_factory=dict)

    def seconds_up(self, acting: Together) -> int:
        """Return in how many seconds of a month it is up."""
        if acting not in self._known:
            end = self._end(acting)
            fired = [point for one in acting.schedules for point in self._points(one, end)]
            since = max((one.at for one in fired if one.at <= self.start), default=self.start)
            spans = stretches(acting, fired, since, end)
            up = sum((max(b - max(a, self.start), AT_ONCE) for a, b in spans), AT_ONCE)
            self._known[acting] = up * MONTH_SECONDS // (end - self.start)
        return self._known[acting]

    def _end(self, acting: Together) -> datetime:
        """Return how far is looked: a year, of whole weeks unless some day of a month counts.

        It is less where cron points fire thousands of times.
        """
        often = sum(len(self._points(one, self.start + WEEK)) for one in acting.schedules)
        weeks = max(1, MOST_FIRINGS // max(often, 1))
        if weeks < WEEKS_OF_YEAR:
            return self.start + weeks * WEEK
        if any(_has_months(one) for one in acting.schedules):
            return _a_year_on(self.start)
        return self.start + WEEKS_OF_YEAR * WEEK

    def _points(self, windows: Windows, end: datetime) -> list[PointFiring]:
        """Return the last firing by the start, and those from there to the end."""
        if not windows.points:
            return []
        key = windows, end
        if key not in self._fired:
            last = last_since(windows, self.start - _BACK, self.start)
            first = self.start if last is None else last.at
            self._fired[key] = points(windows, first, end)
        return self._fired[key]


def together(schedules: Sequence[Windows], early: timedelta, *, up_otherwise: bool) -> Together:
    """Return schedules as they act together; what makes no difference is left out."""
    known = frozenset(schedules)
    if not any(starts_early(one) for one in known):
        early = AT_ONCE
    return Together(known, early, up_otherwise and _silent(known))


def stretches(
    acting: Together, fired: Iterable[PointFiring], start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the stretches in which the endpoint is up, in order; neighbours are not joined.

    `fired` are the firings of their cron points; what fired before `start` does not count.
    """
    spans = [s for one in acting.schedules for s in intervals(one, start, end, acting.early)]
    begun: dict[datetime, bool] = {}
    for point in fired:
        if start <= point.at < end:
            runs = point.action is PointAction.START
            begun[point.at] = begun.get(point.at, False) or runs
    # Each end of a window of any schedule is an edge, also where another one goes on.
    edges = {start, end, *begun, *(s.start for s in spans), *(s.end for s in spans)}
    base = _silent(acting.schedules) and acting.up_otherwise
    united, found, place = _united(spans), [], 0
    for begin, finish in pairwise(sorted(edges)):
        while place < len(united) and united[place].end <= begin:
            place += 1
        inside = place < len(united) and united[place].start <= begin
        if begun.get(begin, base or inside):
            found.append((begin, finish))
    return found


def _has_months(windows: Windows) -> bool:
    """Tell whether a day of the month, its nth weekday or a month counts."""
    fields = [one.expression.upper().split() for one in windows.points]
    plain = all(
        day == month == "*" and not set(week) & {"#", "L"} for *_, day, month, week in fields
    )
    return not (plain and all(one.is_weekly for one in windows.windows))


def _a_year_on(start: datetime) -> datetime:
    leap_day = (start.month, start.day) == (2, 29)
    return start.replace(year=start.year + 1, day=28 if leap_day else start.day)


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
