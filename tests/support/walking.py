"""What schedules mean, found by walking along the clocks minute by minute; slow and plain.

Shares no code with what it judges but the zone rules and the values that a person writes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import accumulate, groupby

from orchestrator.domain.schedules.model import (
    DateKind,
    Interval,
    PointAction,
    PointFiring,
    Schedule,
    Window,
)
from orchestrator.domain.schedules.zones import zone

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MARGIN = 4 * DAY


def reading(day: date, clock: time) -> int:
    """Minutes that calendar and clock together have counted: what a wall shows, as a number."""
    return day.toordinal() * 1440 + clock.hour * 60 + clock.minute


def of_reading(number: int) -> tuple[date, time]:
    return date.fromordinal(number // 1440), time(number % 1440 // 60, number % 60)


@dataclass(frozen=True)
class Stretch:
    """Minutes of a walk, by number: awake from `start`, the window itself from `opens`."""

    start: int
    opens: int
    end: int
    keep_running: bool


class Walk:
    """Real minutes from some days before a span to some days after, and what clocks showed."""

    def __init__(self, timezone: str, start: datetime, end: datetime) -> None:
        rules = zone(timezone)
        self.start, self.end = start, end
        self.first = start - MARGIN
        count = (end - start + 2 * MARGIN) // MINUTE
        self.instants = [self.first + number * MINUTE for number in range(count)]
        shown = [instant.astimezone(rules) for instant in self.instants]
        self.walls = [reading(wall.date(), wall.time()) for wall in shown]
        self.dates = sorted({wall.date() for wall in shown})
        self.furthest = list(accumulate(self.walls, max))
        self.least_to_come = list(accumulate(reversed(self.walls), min))[::-1]

    def first_reached(self, wanted: int) -> int:
        """The first minute at which the clocks have shown `wanted` or later."""
        return bisect_left(self.furthest, wanted)

    def last_not_passed(self, wanted: int) -> int:
        """The minute up to which the clocks have not passed `wanted` for good."""
        last = bisect_right(self.least_to_come, wanted) - 1
        # Where they jump over the reading, they have not passed it until the minute is over.
        return last if last >= 0 and self.walls[last] == wanted else last + 1

    def stretches(self, schedule: Schedule, early: int) -> Iterator[Stretch]:
        """For each date that was lived and each window that starts on it, its minutes."""
        for day in self.dates:
            for window in windows_on(schedule, day):
                last_day = day if window.start < window.end else day + DAY
                opens = self.first_reached(reading(day, window.start))
                end = self.last_not_passed(reading(last_day, window.end))
                if opens < end:
                    start = opens - early if window.ready_by else opens
                    yield Stretch(max(start, 0), opens, end, window.keep_running)

    def answers(self, schedule: Schedule, early: int = 0) -> list[tuple[bool, bool, bool]]:
        """For each minute: awake, kept running, and a window itself open."""
        awake, kept, proper = ([False] * len(self.walls) for _ in range(3))
        for one in self.stretches(schedule, early):
            for number in range(one.start, one.end):
                awake[number] = True
                kept[number] |= one.keep_running
                proper[number] |= number >= one.opens
        return list(zip(awake, kept, proper, strict=True))

    def intervals(self, schedule: Schedule, early: int = 0) -> list[Interval]:
        """The stretches of one answer in the span, and when each of them opens."""
        answers = self.answers(schedule, early)
        begin, stop = ((one - self.first) // MINUTE for one in (self.start, self.end))
        found = []
        for (awake, kept), group in groupby(range(begin, stop), lambda n: answers[n][:2]):
            run = list(group)
            if awake:
                opens = next(n for n in range(run[0], len(answers)) if answers[n][2])
                late = None if opens == run[0] else self.instants[opens]
                found.append(
                    Interval(self.instants[run[0]], self.instants[run[-1]] + MINUTE, kept, late)
                )
        return found

    def points(self, schedule: Schedule) -> list[PointFiring]:
        """The firings in the span that no later reading overtakes."""
        fired = sorted(self.firings(schedule), key=lambda one: one[:2])
        standing = [
            (minute, point)
            for place, (wall, rank, minute, point) in enumerate(fired)
            if all(later[2] > minute for later in fired[place + 1 :])
        ]
        found = [
            PointFiring(self.instants[minute], point.action, point.expression)
            for minute, point in standing
            if self.start <= self.instants[minute] < self.end
        ]
        return sorted(found, key=lambda one: one.at)

    def firings(self, schedule: Schedule) -> Iterator[tuple[int, tuple[bool, int], int, "Point"]]:
        """Reading, rank among those of one reading, minute, and point."""
        lived = set(self.dates)
        for place, cron in enumerate(schedule.points):
            point = Point(cron.expression, cron.action)
            for wall in range(min(self.walls) + 1440, max(self.walls) - 1440):
                day, clock = of_reading(wall)
                if day in lived and point.fires(day, clock):
                    starts = point.action is PointAction.START
                    minute = self.first_reached(wall) if starts else self.last_not_passed(wall)
                    yield wall, (starts, -place), minute, point


class Point:
    """A cron expression whose fields are `*` or lists of numbers, read for itself."""

    def __init__(self, expression: str, action: PointAction) -> None:
        self.expression, self.action = expression, action
        self.minutes, self.hours, self.month_days, self.months, self.days = (
            None if field == "*" else {int(number) for number in field.split(",")}
            for field in expression.split()
        )

    def fires(self, day: date, clock: time) -> bool:
        return (
            (self.minutes is None or clock.minute in self.minutes)
            and (self.hours is None or clock.hour in self.hours)
            and (self.months is None or day.month in self.months)
            and self.fires_on(day)
        )

    def fires_on(self, day: date) -> bool:
        """Both fields given: either will do, as in every cron. Sunday is 0 or 7."""
        by_month = self.month_days is not None and day.day in self.month_days
        by_week = self.days is not None and bool(
            {day.isoweekday(), day.isoweekday() % 7} & self.days
        )
        if self.month_days is None or self.days is None:
            return (self.month_days is None or by_month) and (self.days is None or by_week)
        return by_month or by_week


def windows_on(schedule: Schedule, day: date) -> list[Window]:
    """The windows that start on a civil date, by the words of the documentation."""
    of_kind: dict[DateKind, list[Window]] = {}
    for rule in schedule.dates:
        if rule.day == day:
            of_kind.setdefault(rule.kind, []).extend(rule.windows)
    if DateKind.REPLACED in of_kind:
        return of_kind[DateKind.REPLACED]
    off = day in schedule.days_off or DateKind.OFF in of_kind
    usual = [] if off else [one for one in schedule.windows if starts_on(one, day)]
    return usual + of_kind.get(DateKind.EXTRA, [])


def starts_on(window: Window, day: date) -> bool:
    """Counts days and weekdays of the month one by one."""
    month = [date.fromordinal(n) for n in range(day.toordinal() - 31, day.toordinal() + 32)]
    month = [one for one in month if (one.year, one.month) == (day.year, day.month)]
    alike = [one for one in month if one.weekday() == day.weekday()]
    by_month = {month.index(day) + 1, month.index(day) - len(month)}
    by_nth = {alike.index(day) + 1, alike.index(day) - len(alike)}
    return (
        day.weekday() in window.days
        or bool(by_month & window.month_days)
        or any((nth, day.weekday()) in window.nth_weekdays for nth in by_nth)
    )
