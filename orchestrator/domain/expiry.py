"""Expiry: how long an endpoint lives, when people are warned, and when it is paused. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from orchestrator.domain.bounds import YEARS, is_within
from orchestrator.domain.schedules.walls import as_utc, first_reached, wall_at

LONGEST = timedelta(days=1830)
MOST_WORKING_DAYS = 1300
_SPAN = re.compile(
    r"(?:([0-9]{1,3})w)?(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?"
)
_WORKING = re.compile(r"([0-9]{1,4})wd")
_SATURDAY = 5
FORMS = "write 14d, 36h, 2w, 5wd (working days), a date such as 2026-12-24, or an instant"

DaysOff = Callable[[date, date], Collection[date]]
_Moment = TypeVar("_Moment", bound=date)


class TtlError(ValueError):
    """A text is no time to live; the message says what would be one."""


@dataclass(frozen=True, slots=True)
class Ttl:
    """How long something lives: a span, working days, to the end of a date, or to an instant."""

    span: timedelta | None = None
    working_days: int | None = None
    day: date | None = None
    instant: datetime | None = None

    def end(self, start: datetime, zone: ZoneInfo, days_off: DaysOff) -> datetime:
        """Return when it is over, for something that begins at `start`.

        Working days end at the same wall-clock time; a date lasts to the end of that day.
        `days_off(first, after)` tells the days off of `[first, after)`. Raises TtlError.
        """
        if self.span is not None:
            return start + self.span
        if self.working_days is not None:
            return after_working_days(start, self.working_days, zone, days_off)
        if self.day is not None:
            return first_reached(zone, datetime.combine(self.day + timedelta(days=1), time()))
        if self.instant is None:
            raise TtlError(f"an empty time to live; {FORMS}")
        return self.instant


def parse_ttl(text: str) -> Ttl:
    """Read `14d`, `1d12h`, `2w`, `5wd`, `2026-12-24` or an RFC 3339 instant. Raises TtlError."""
    given = text.strip()
    working = _WORKING.fullmatch(given.lower())
    if working is not None:
        return Ttl(working_days=_count(int(working[1]), given))
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
        return Ttl(day=_day(given))
    if re.match(r"[0-9]{4}-", given):
        return Ttl(instant=_instant(given))
    return Ttl(span=parse_span(given))


def parse_span(text: str) -> timedelta:
    """Read a length of time such as `3d`, `36h` or `1w`. Raises TtlError."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise TtlError(f"{text[:40]!r} is no time to live; {FORMS}")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(0) < span <= LONGEST:
        raise TtlError(f"{text[:40]!r} must be more than nothing and {LONGEST.days}d at most")
    return span


def after_working_days(start: datetime, count: int, zone: ZoneInfo, days_off: DaysOff) -> datetime:
    """Return the same wall-clock time on the `count`th working day after the day of `start`.

    Working days are Monday to Friday, without days off. A time that the clocks skip on that day is
    the first instant after it. Raises TtlError where days off leave too few.
    """
    wall = wall_at(zone, as_utc(start))
    first = wall.date() + timedelta(days=1)
    after = first + timedelta(days=count * 2 + 60)
    free = frozenset(days_off(first, after))
    left, day = count, wall.date()
    while left:
        day += timedelta(days=1)
        if day >= after:
            raise TtlError(f"the calendars leave no {count} working days before {after}")
        left -= day.weekday() < _SATURDAY and day not in free
    return first_reached(zone, datetime.combine(day, wall.time()))


@dataclass(frozen=True, slots=True)
class Expiry:
    """When an endpoint expires, who set that when, and what people were warned of.

    `warn` is how long before it people are told; `first_warned_at` and `warned_at` are the first
    and the latest warning of this end. `grace` is after how long paused it is deleted, if at all.
    `expired_at` is when it was told that this end had come. `timezone` and `calendars` are those it
    was set with.
    """

    at: datetime
    set_at: datetime
    actor: str
    reason: str
    warn: tuple[timedelta, ...] = ()
    first_warned_at: datetime | None = None
    warned_at: datetime | None = None
    grace: timedelta | None = None
    expired_at: datetime | None = None
    timezone: str = "UTC"
    calendars: tuple[str, ...] = ()

    def warnings(self) -> tuple[datetime, ...]:
        """Return when people are to be told, in order: at least once, half-way if need be."""
        asked = sorted({self.at - before for before in self.warn})
        ahead = tuple(at for at in asked if at > self.set_at)
        return ahead or (self.at - (self.at - self.set_at) / 2,)

    def next_warning(self, now: datetime) -> datetime | None:
        """Return when the next warning is due; `now` or earlier where one is owed.

        None once its end has come.
        """
        if self.expired_at is not None:
            return None
        told = self.warned_at
        owed = [at for at in self.warnings() if told is None or at > told]
        past = [at for at in owed if at <= now]
        return max(past) if past else min(owed, default=None)

    def pauses_at(self) -> datetime | None:
        """Return when it is paused: expired, and as long after its last warning as was promised.

        None until the last warning was told: what was down when it was due warns first, whatever
        was told before. An end that was told to have come stays so, though its first warning alone
        was waited for.
        """
        last = self.warnings()[-1]
        told = self.warned_at if self.warned_at is not None and self.warned_at >= last else None
        if told is None and self.expired_at is not None:
            told = self.first_warned_at
        if told is None:
            return None
        pauses_at = max(self.at, told + (self.at - last))
        return pauses_at if self.expired_at is None else min(pauses_at, self.expired_at)

    def told(self, now: datetime) -> str:
        """Return in words what it means at `now`."""
        if self.at > now:
            return f"it expires at {self.at:%Y-%m-%d %H:%M} UTC"
        pauses_at, since = self.pauses_at(), f"it expired at {self.at:%Y-%m-%d %H:%M} UTC"
        if pauses_at is None:
            lacking = "nobody was warned" if self.warned_at is None else "its last warning is due"
            return f"{since}; {lacking}"
        if pauses_at > now:
            return f"{since}; people were warned, and have until {pauses_at:%Y-%m-%d %H:%M} UTC"
        return f"{since}, as {self.actor} set it: {self.reason}"

    def warned(self, at: datetime) -> Expiry:
        """Return it with a warning more."""
        return replace(self, warned_at=at, first_warned_at=self.first_warned_at or at)

    def assuming_warned(self, since: datetime) -> Expiry:
        """Return it as it will be if the warnings come in time from `since` on: for looks ahead."""
        last = self.warnings()[-1]
        told = self.warned_at is not None and self.warned_at >= last
        if told or self.expired_at is not None:
            return self
        return self.warned(max(last, since))


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise TtlError(f"{text!r} is no date; {FORMS}") from None
    return _near(day, text)


def _near(found: _Moment, text: str) -> _Moment:
    if not is_within(found):
        raise TtlError(f"{text[:40]!r} is too far away; name years from {YEARS}")
    return found


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise TtlError(f"{text[:40]!r} is no instant; {FORMS}") from None
    if found.tzinfo is None:
        raise TtlError(f"{text[:40]!r} has no zone; add Z or an offset such as +01:00")
    return _near(found, text).astimezone(UTC)


def _count(days: int, text: str) -> int:
    if not 1 <= days <= MOST_WORKING_DAYS:
        raise TtlError(f"{text!r} must be 1wd to {MOST_WORKING_DAYS}wd")
    return days
