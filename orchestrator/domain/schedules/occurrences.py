"""Windows as instants.

A window that starts on civil date D stands for one stretch of time: from the first instant at
which the zone's clocks, date and time together, have reached D at ``start``, to the last instant
at which they have not yet passed ``end`` on D, or on D + 1 when the end is at or before the start.
The readings that follow from this:

* an edge that the clocks skip falls on the instant of the change, also when that jump crosses
  midnight; a window whose two edges do so is empty and yields nothing;
* of a reading that the clocks show twice, a start means the first and an end the second, also
  when it is the hour before midnight that is repeated and the date goes back by one; so the
  window has no hole and is longer by what is repeated;
* a D of which the zone lived through no part (Pacific/Apia, 2011-12-30) starts nothing; a window
  of the day before still runs to the change, and a D that lost only a part keeps its windows.

A ``ready_by`` window that is not empty starts ``early`` before that, in elapsed time.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.around import Around
from orchestrator.domain.schedules.civil import starting
from orchestrator.domain.schedules.horizon import horizon_of
from orchestrator.domain.schedules.model import Interval, Schedule, ScheduleState, Window
from orchestrator.domain.schedules.unite import cut, unite
from orchestrator.domain.schedules.walls import (
    as_utc,
    date_exists,
    first_reached,
    last_not_passed,
    wall_at,
)
from orchestrator.domain.schedules.zones import zone

AT_ONCE = timedelta()
_DAY = timedelta(days=1)

# A window is at most 24 h long and no zone ever set its clocks back by more than 24 h.
DAYS_BEFORE = 2
_DAYS_AFTER = 1
_DAYS_TO_NOW = DAYS_BEFORE + _DAYS_AFTER
_LOOK_BACK = 43
_CONSTANT_BACK = 7


def occurrences(
    schedule: Schedule, start: datetime, end: datetime, early: timedelta = AT_ONCE
) -> list[Interval]:
    """Each occurrence of each window that meets ``[start, end)``, whole, in order of start."""
    start, end = as_utc(start), as_utc(end)
    check_early(early)
    found = (
        one
        for day in days_near(zone(schedule.timezone), start, end + early)
        for one in occurrences_on(schedule, day, early)
    )
    meeting = [one for one in found if one.start < end and one.end > start]
    return sorted(meeting, key=lambda one: (one.start, one.end, one.keep_running))


def intervals(
    schedule: Schedule, start: datetime, end: datetime, early: timedelta = AT_ONCE
) -> list[Interval]:
    """The windows united and cut to ``[start, end)``, in order and without overlap.

    Neighbours join; where ``keep_running`` changes there is a new interval, and where windows
    that differ in it overlap, it holds.
    """
    start, end = as_utc(start), as_utc(end)
    if end <= start:
        return []
    # A window that opens just after the end may open before the one whose start-up time is cut.
    whole = occurrences(schedule, start, end + early, early)
    return cut(unite(whole), whole, start, end)


def state_at(schedule: Schedule, instant: datetime, early: timedelta = AT_ONCE) -> ScheduleState:
    """What the windows say at an instant, and the edges around it.

    Looks ahead 400 days where dates or days of the month matter, else 40 days, and 4 where the
    windows always cover the whole week; looks back 40 days. What is not found there is None.
    """
    instant = as_utc(instant)
    check_early(early)
    first = wall_at(zone(schedule.timezone), instant).date() - DAYS_BEFORE * _DAY
    horizon = horizon_of(schedule, first)
    around = Around(instant)
    for span in _in_order(schedule, first, horizon.days, early):
        if around.feed(span) or (horizon.endless and around.kept.next_start):
            seen_to = span.start
            break
    else:
        last = datetime.combine(first + horizon.days * _DAY, time())
        seen_to = first_reached(zone(schedule.timezone), last) - early
    look_back = _CONSTANT_BACK if horizon.endless else _LOOK_BACK
    days = [first + (_DAYS_TO_NOW - back) * _DAY for back in range(look_back)]
    start = around.awake.start if around.awake.inside else None
    since = _since(schedule, start, days, early) if start else None
    return around.state(since, seen_to)


def weekly_hours(
    schedule: Schedule, start: datetime, weeks: int, early: timedelta = AT_ONCE
) -> int:
    """Elapsed seconds inside windows, in so many civil weeks of the schedule's zone from ``start``.

    True elapsed time: a week in which the clocks go back has 169 hours.
    """
    rules = zone(schedule.timezone)
    start = as_utc(start)
    end = first_reached(rules, wall_at(rules, start) + weeks * 7 * _DAY)
    lengths = (one.end - one.start for one in intervals(schedule, start, end, early))
    return sum(lengths, timedelta()) // timedelta(seconds=1)


def windows_starting(schedule: Schedule, day: date) -> Iterator[Window]:
    """The windows that start on a civil date; none on a date that the zone skipped."""
    windows = starting(schedule, day)
    if windows and date_exists(zone(schedule.timezone), day):
        yield from windows


def occurrences_on(schedule: Schedule, day: date, early: timedelta = AT_ONCE) -> Iterator[Interval]:
    """The stretches of the windows that start on a civil date, in no order; none is empty."""
    rules = zone(schedule.timezone)
    for window in windows_starting(schedule, day):
        span = occurrence(rules, window, day, early)
        if (span.opens_at or span.start) < span.end:
            yield span


def occurrence(rules: ZoneInfo, window: Window, day: date, early: timedelta = AT_ONCE) -> Interval:
    """The stretch of a window that starts on ``day``; it opens when it ends where it is empty."""
    begin, end = walls_of(window, day)
    opens, closes = first_reached(rules, begin), last_not_passed(rules, end)
    if window.ready_by and early:
        return Interval(opens - early, closes, window.keep_running, opens)
    return Interval(opens, closes, window.keep_running)


def walls_of(window: Window, day: date) -> tuple[datetime, datetime]:
    """The wall-clock start and end of a window that starts on ``day``."""
    last = day + _DAY if window.ends_next_day else day
    return datetime.combine(day, window.start), datetime.combine(last, window.end)


def days_near(rules: ZoneInfo, start: datetime, end: datetime) -> Iterator[date]:
    """The civil dates whose windows may meet ``[start, end)``."""
    day = wall_at(rules, start).date() - DAYS_BEFORE * _DAY
    last = wall_at(rules, end).date() + _DAYS_AFTER * _DAY
    while day <= last:
        yield day
        day += _DAY


def check_early(early: timedelta) -> None:
    """Raise ValueError for a start-up time below zero."""
    if early < AT_ONCE:
        raise ValueError(f"a start-up time cannot be negative: {early}")


def _in_order(schedule: Schedule, first: date, days: int, early: timedelta) -> Iterator[Interval]:
    """The spans of so many civil dates in order of start, each as soon as no earlier can come."""
    rules = zone(schedule.timezone)
    waiting: list[Interval] = []
    for day in (first + ahead * _DAY for ahead in range(days)):
        if waiting:
            settled = first_reached(rules, datetime.combine(day, time())) - early
            yield from (one for one in waiting if one.start < settled)
            waiting = [one for one in waiting if one.start >= settled]
        waiting += occurrences_on(schedule, day, early)
        waiting.sort(key=_start)
    yield from waiting


def _start(span: Interval) -> datetime:
    return span.start


def _since(
    schedule: Schedule, start: datetime, days: Sequence[date], early: timedelta
) -> datetime | None:
    """Since when what runs at ``start`` is unbroken, looking back over ``days``, latest first.

    The first of them is a day after ``start``.
    """
    rules = zone(schedule.timezone)
    pool: list[Interval] = []
    for place, day in enumerate(days):
        pool += occurrences_on(schedule, day, early)
        start = _joined(start, pool)
        latest_before = last_not_passed(rules, datetime.combine(day + _DAY, time()))
        if place >= _DAYS_TO_NOW and start > latest_before:
            return start
    return None


def _joined(start: datetime, pool: list[Interval]) -> datetime:
    """The start of what reaches ``start`` without a break."""
    for one in sorted(pool, key=lambda span: span.end, reverse=True):
        if one.end < start:
            break
        start = min(start, one.start)
    return start
