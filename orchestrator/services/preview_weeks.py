"""The coming weeks of a schedule: edges and cron points in local time and UTC, and days off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.civil import starting, usual
from orchestrator.domain.schedules.model import DateKind, PointAction
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import intervals, weekly_hours
from orchestrator.domain.schedules.points import point_end, points
from orchestrator.domain.schedules.walls import first_reached
from orchestrator.domain.schedules.week import united_mask
from orchestrator.domain.schedules.zones import zone
from orchestrator.domain.status import Wish

WEEKS_OF_YEAR = 52


@dataclass(frozen=True, slots=True)
class Edge:
    """An instant at which the schedule's answer changes, in UTC and as its zone's clocks show."""

    at: datetime
    local: datetime
    wish: Wish


@dataclass(frozen=True, slots=True)
class Point:
    """An instant at which a cron point acts, until its schedule's next edge (None: for good)."""

    at: datetime
    local: datetime
    action: PointAction
    expression: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class DayOff:
    """A civil date on which so many usual `windows` do not start, and what it is called."""

    day: date
    name: str
    windows: int


@dataclass(frozen=True, slots=True)
class Week:
    """The edges of one civil week, from Monday in the schedule's zone."""

    start: date
    edges: tuple[Edge, ...]
    points: tuple[Point, ...] = ()
    days_off: tuple[DayOff, ...] = ()


def minutes_per_week(windows: Windows, now: datetime) -> int:
    """Return the minutes of a week that windows cover; on average, where weeks differ."""
    if windows.is_weekly:
        return united_mask(windows.windows).bit_count()
    return weekly_hours(windows, now, WEEKS_OF_YEAR) // 60 // WEEKS_OF_YEAR


def coming_weeks(
    windows: Windows, weeks: int, now: datetime, off: Mapping[date, str]
) -> tuple[Week, ...]:
    """Return the edges after `now`, in civil weeks of the schedule's zone."""
    rules = zone(windows.timezone)
    today = now.astimezone(rules).date()
    monday = today - timedelta(days=today.weekday())
    starts = [monday + timedelta(weeks=number) for number in range(weeks + 1)]
    last = _midnight(rules, starts[-1])
    found, fired = edges(windows, now, last), coming_points(windows, now, last)
    days = [day for day in days_off(windows, off) if day.day >= today]
    result = []
    for first, following in pairwise(starts):
        begin, end = _midnight(rules, first), _midnight(rules, following)
        week = Week(
            first,
            tuple(edge for edge in found if begin <= edge.at < end),
            tuple(point for point in fired if begin <= point.at < end),
            tuple(day for day in days if first <= day.day < following),
        )
        result.append(week)
    return tuple(result)


def coming_points(windows: Windows, start: datetime, end: datetime) -> list[Point]:
    """Return the firings of cron points in `(start, end)`, in order."""
    rules = zone(windows.timezone)
    return [
        Point(
            firing.at,
            firing.at.astimezone(rules),
            firing.action,
            firing.expression,
            point_end(windows, firing),
        )
        for firing in points(windows, start, end)
        if firing.at > start
    ]


def days_off(windows: Windows, named: Mapping[date, str]) -> list[DayOff]:
    """Return the days off of a schedule in order, its own and those of its calendars."""
    found = dict(named)
    for rule in windows.dates:
        if rule.kind is DateKind.OFF:
            found[rule.day] = rule.note or found.get(rule.day) or "day off"
    return [
        DayOff(day, found[day], max(len(usual(windows, day)) - len(starting(windows, day)), 0))
        for day in sorted(found)
    ]


def edges(windows: Windows, start: datetime, end: datetime) -> list[Edge]:
    """Return the edges in `(start, end)`, in order; neighbours join without one."""
    rules = zone(windows.timezone)
    found: dict[datetime, Wish] = {}
    for interval in intervals(windows, start, end):
        found[interval.end] = Wish.PAUSED
        found[interval.start] = Wish.RUNNING if interval.keep_running else Wish.AVAILABLE
    return [
        Edge(at.astimezone(UTC), at.astimezone(rules), found[at])
        for at in sorted(found)
        if start < at < end
    ]


def _midnight(rules: ZoneInfo, day: date) -> datetime:
    return first_reached(rules, datetime.combine(day, time()))
