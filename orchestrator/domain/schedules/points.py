"""Cron points as instants.

An expression is read as the wall clock of the schedule's zone, so clock changes need a rule:

* a reading that the clocks skip falls on the instant of the change;
* of a reading that they show twice, a start means the first and a stop the second;
* a civil date of which the zone lived through no part fires nothing;
* the order of the clock is kept: where a change lets a firing come no earlier than one with a
  later reading, the later reading stands alone, as it would have had the last word on any other
  day; at one and the same reading a start beats a stop.

Days off, extra and replaced days are about windows; points do not heed them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.cron import walls_after
from orchestrator.domain.schedules.model import CronPoint, PointAction, PointFiring, Schedule
from orchestrator.domain.schedules.occurrences import AT_ONCE, state_at
from orchestrator.domain.schedules.walls import (
    as_utc,
    date_exists,
    first_reached,
    last_not_passed,
    wall_at,
)
from orchestrator.domain.schedules.zones import zone

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_TICK = timedelta(microseconds=1)
# No zone ever moved its clocks by more than 24 h.
_HOUR = timedelta(hours=1)
_MARGIN = 25 * _HOUR


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A reading at which a point fires, before others may overtake it."""

    wall: datetime
    place: int
    firing: PointFiring

    @property
    def rank(self) -> tuple[datetime, bool, int]:
        """Later readings rank higher, then starts, then points that come first."""
        return self.wall, self.firing.action is PointAction.START, -self.place


def points(schedule: Schedule, start: datetime, end: datetime) -> list[PointFiring]:
    """The firings in ``[start, end)``, in order, at most one at each instant."""
    start, end = as_utc(start), as_utc(end)
    if end <= start or not schedule.points:
        return []
    rules = zone(schedule.timezone)
    margin = AT_ONCE if _is_steady(rules, start, end) else _MARGIN
    low = wall_at(rules, start - margin) - _MINUTE
    high = wall_at(rules, end + margin) + _MINUTE
    found = (
        candidate
        for place, point in enumerate(schedule.points)
        for candidate in _candidates(rules, place, point, (low, high))
    )
    return [one for one in _standing(found) if start <= one.at < end]


def last_point(schedule: Schedule, now: datetime, within: timedelta) -> PointFiring | None:
    """The last firing at or before ``now`` and at most ``within`` ago."""
    found = points(schedule, now - within, now + _TICK)
    return found[-1] if found else None


def next_point(schedule: Schedule, after: datetime) -> PointFiring | None:
    """The first firing after an instant; None where none comes in the next 50 years."""
    after = as_utc(after)
    rules = zone(schedule.timezone)
    wall, step = wall_at(rules, after), _HOUR
    while nearest := _next_wall(schedule, wall):
        reach = max(last_not_passed(rules, nearest), after) + _TICK
        found = points(schedule, after + _TICK, reach)
        if found:
            return found[0]
        # The clocks took that firing away, or put it before: look beyond, ever further.
        wall, step = nearest + step, min(2 * step, _DAY)
    return None


def point_end(
    schedule: Schedule, firing: PointFiring, early: timedelta = AT_ONCE
) -> datetime | None:
    """Until when a firing stands: the next edge of its windows or its next point; None is never."""
    edge = state_at(schedule, firing.at, early).next_edge
    following = next_point(schedule, firing.at)
    ends = [end for end in (edge, following and following.at) if end]
    return min(ends, default=None)


def _candidates(
    rules: ZoneInfo, place: int, point: CronPoint, walls: tuple[datetime, datetime]
) -> Iterator[_Candidate]:
    low, high = walls
    for wall in walls_after(point.expression, low):
        if wall > high:
            return
        if date_exists(rules, wall.date()):
            yield _Candidate(wall, place, _firing(rules, wall, point))


def _firing(rules: ZoneInfo, wall: datetime, point: CronPoint) -> PointFiring:
    starts = point.action is PointAction.START
    at = first_reached(rules, wall) if starts else last_not_passed(rules, wall)
    return PointFiring(at, point.action, point.expression)


def _standing(candidates: Iterable[_Candidate]) -> list[PointFiring]:
    """Those that no later reading overtakes, in order."""
    kept: list[PointFiring] = []
    for candidate in sorted(candidates, key=lambda one: one.rank, reverse=True):
        if not kept or candidate.firing.at < kept[-1].at:
            kept.append(candidate.firing)
    return kept[::-1]


def _is_steady(rules: ZoneInfo, start: datetime, end: datetime) -> bool:
    """Whether no change of the clocks is near; long stretches are not looked at."""
    if end - start > 8 * _DAY:
        return False
    offset = start.astimezone(rules).utcoffset()
    instant, last = start - _MARGIN, end + _MARGIN
    while instant < last:
        if instant.astimezone(rules).utcoffset() != offset:
            return False
        instant += _DAY
    return last.astimezone(rules).utcoffset() == offset


def _next_wall(schedule: Schedule, wall: datetime) -> datetime | None:
    walls = (next(walls_after(point.expression, wall), None) for point in schedule.points)
    return min((one for one in walls if one), default=None)
