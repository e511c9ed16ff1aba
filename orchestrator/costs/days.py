"""Civil days of a zone as seconds since 1970; pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.walls import first_reached, wall_at

DAY = timedelta(days=1)
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Days:
    """The days that `[start, end)` touches; `bounds[i]` is when `dates[i]` begins."""

    dates: tuple[date, ...]
    bounds: tuple[int, ...]

    def first(self, second: int) -> int:
        """Return the index of the day in which a second lies."""
        return max(0, bisect_right(self.bounds, second) - 1)

    def whole_until(self, index: int, second: int) -> int:
        """Return the index after the days of 24 hours from `index` on that end by `second`."""
        last = min(bisect_right(self.bounds, second) - 1, len(self.bounds) - 1)
        while last > index and self.bounds[last] - self.bounds[index] != (last - index) * DAY_S:
            last -= 1
        return max(last, index)


def epoch(instant: datetime) -> int:
    """Return whole seconds since 1970."""
    return int((instant - _EPOCH) // timedelta(seconds=1))


def from_epoch(second: int) -> datetime:
    """Return the instant of a whole second since 1970, in UTC."""
    return _EPOCH + timedelta(seconds=second)


def days_of(start: datetime, end: datetime, zone: ZoneInfo) -> Days:
    """Return the civil days of `zone` that `[start, end)` touches; a skipped date has none."""
    day = wall_at(zone, start).date()
    dates: list[date] = []
    bounds: list[int] = []
    while not dates or midnight(day, zone) < end:
        begins = epoch(midnight(day, zone))
        if bounds and begins == bounds[-1]:
            dates[-1] = day
        else:
            dates.append(day)
            bounds.append(begins)
        day += DAY
    return Days(tuple(dates), tuple(bounds))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a civil day."""
    return first_reached(zone, datetime.combine(day, time()))


def month_start(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant of the civil month in which `instant` lies."""
    return midnight(wall_at(zone, instant).date().replace(day=1), zone)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
