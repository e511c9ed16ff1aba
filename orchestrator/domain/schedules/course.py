"""The coming firings of a schedule's points beside what its windows say."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import takewhile

from orchestrator.domain.schedules.cron import walls_after
from orchestrator.domain.schedules.model import (
    CronPoint,
    Interval,
    PointAction,
    PointFiring,
    Schedule,
)
from orchestrator.domain.schedules.neighbours import ALONE, Neighbour, Neighbours
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.schedules.points import points
from orchestrator.domain.schedules.walls import as_utc, wall_at
from orchestrator.domain.schedules.zones import zone

_WEEK = timedelta(weeks=1)
_MINUTE = timedelta(minutes=1)
# Where points fire often fewer weeks are looked at.
_MOST_FIRINGS = 4000


@dataclass(frozen=True, slots=True)
class Course:
    """Firings from ``start`` to ``looked_to``, and intervals of the windows around them.

    ``end`` is how far was asked for: where points fire very often, that is not looked at whole.
    ``neighbours`` are the other schedules over the same endpoints.
    """

    schedule: Schedule
    start: datetime
    end: datetime
    looked_to: datetime
    firings: Sequence[PointFiring]
    pieces: Sequence[Interval]
    neighbours: Neighbours = ALONE

    def open_beside(self, instant: datetime) -> Neighbour | None:
        """The first other schedule that has a window open at an instant."""
        return self.neighbours.open_at(instant, (self.start, self.looked_to + _WEEK))

    def civil(self, instant: datetime) -> date:
        """The date that the zone's calendars show."""
        return wall_at(zone(self.schedule.timezone), instant).date()

    def piece_at(self, instant: datetime) -> Interval | None:
        """The interval of the windows that holds an instant."""
        place = self._place(instant)
        found = self.pieces[place] if place >= 0 else None
        return found if found and instant < found.end else None

    def of(self, point: CronPoint) -> list[PointFiring]:
        """The firings of one point."""
        said = (point.action, point.expression)
        return [one for one in self.firings if (one.action, one.expression) == said]

    def walls(self, point: CronPoint) -> set[datetime]:
        """The readings of the clock at which a point fires, clock changes aside."""
        rules = zone(self.schedule.timezone)
        low, high = wall_at(rules, self.start), wall_at(rules, self.looked_to)
        after = walls_after(point.expression, low - _MINUTE)
        return set(takewhile(lambda wall: wall < high, after))

    def after(self, firing: PointFiring) -> tuple[datetime | None, bool]:
        """Until when a firing stands, and whether all is awake from then on."""
        place = bisect_right(self.firings, firing.at, key=lambda one: one.at)
        following = self.firings[place] if place < len(self.firings) else None
        edge = self._next_edge(firing.at)
        if following and (edge is None or following.at <= edge):
            return following.at, following.action is PointAction.START
        return edge, edge is not None and bool(self.piece_at(edge) or self.open_beside(edge))

    def _next_edge(self, instant: datetime) -> datetime | None:
        piece = self.piece_at(instant)
        if piece:
            return piece.end
        place = self._place(instant) + 1
        return self.pieces[place].start if place < len(self.pieces) else None

    def _place(self, instant: datetime) -> int:
        return bisect_right(self.pieces, instant, key=lambda one: one.start) - 1


def course_of(
    schedule: Schedule, start: datetime, weeks: int, neighbours: Neighbours = ALONE
) -> Course:
    """The course of so many weeks, or of fewer where points fire thousands of times."""
    start = as_utc(start)
    per_week = sum(
        len(points(replace(schedule, points=(point,)), start, start + _WEEK))
        for point in schedule.points
    )
    looked = max(1, min(weeks, _MOST_FIRINGS // max(per_week, 1)))
    looked_to = start + looked * _WEEK
    pieces = intervals(schedule, start - _WEEK, looked_to + _WEEK)
    fired = points(schedule, start, looked_to)
    return Course(schedule, start, start + weeks * _WEEK, looked_to, fired, pieces, neighbours)
