"""From wall-clock readings of a zone to instants, through skipped and repeated hours.

A *wall* is a naive datetime of whole minutes: what a clock and a calendar on the wall show.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo


class Reading(Enum):
    """How often the clocks of a zone show a wall: once, never, or twice."""

    ONCE = "once"
    SKIPPED = "skipped"
    REPEATED = "repeated"


def as_utc(instant: datetime) -> datetime:
    """The instant in UTC; raises ValueError if it carries no zone."""
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs a zone, such as UTC: {instant.isoformat()}")
    return instant.astimezone(UTC)


def wall_at(zone: ZoneInfo, instant: datetime) -> datetime:
    """What the clocks of the zone show at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_reached(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first instant at which the clocks show ``wall`` or later."""
    early, late = _candidates(zone, wall)
    return early if early <= late else _change(zone, wall, late, early)


def last_not_passed(zone: ZoneInfo, wall: datetime) -> datetime:
    """The last instant at which the clocks do not yet show a time after ``wall``."""
    early, late = _candidates(zone, wall)
    return late if early <= late else _change(zone, wall, late, early)


def reading(zone: ZoneInfo, wall: datetime) -> Reading:
    """Whether a change of the clocks skips or repeats ``wall``."""
    early, late = _candidates(zone, wall)
    if early == late:
        return Reading.ONCE
    return Reading.REPEATED if early < late else Reading.SKIPPED


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants in ``[start, end)`` at which the clocks jump, to the second, in order.

    Two changes within a day that cancel each other would be missed; no zone has such a pair.
    """
    day = timedelta(days=1)
    while start < end:
        after = min(start + day, end)
        if _offset(zone, start) != _offset(zone, after):
            yield _jump(zone, start, after)
        start = after


@lru_cache(maxsize=8192)
def date_exists(zone: ZoneInfo, day: date) -> bool:
    """Whether the zone lived through any part of the civil date."""
    midnight = datetime.combine(day, time())
    return wall_at(zone, first_reached(zone, midnight)).date() == day


@lru_cache(maxsize=8192)
def _candidates(zone: ZoneInfo, wall: datetime) -> tuple[datetime, datetime]:
    """The wall by the offset before and by the offset after a change; see PEP 495.

    Equal: shown once. Rising: shown twice. Falling: never shown, and the change lies between.
    """
    aware = wall.replace(tzinfo=zone, fold=0)
    return aware.astimezone(UTC), aware.replace(fold=1).astimezone(UTC)


def _change(zone: ZoneInfo, wall: datetime, after: datetime, until: datetime) -> datetime:
    """The instant in ``(after, until]`` at which the clocks jump over ``wall``; whole seconds."""
    second = timedelta(seconds=1)
    steps = range((until - after) // second)

    def has_reached(step: int) -> bool:
        return wall_at(zone, after + step * second) >= wall

    return after + bisect_left(steps, x=True, key=has_reached) * second


def _jump(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    second, before = timedelta(seconds=1), _offset(zone, start)
    steps = range((end - start) // second + 1)

    def has_changed(step: int) -> bool:
        return _offset(zone, start + step * second) != before

    return start + bisect_left(steps, x=True, key=has_changed) * second


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()
