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
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.model import Interval, Schedule, ScheduleState, Window
from orchestrator.domain.schedules.walls import (
    as_utc,
    date_exists,
    first_reached,
    last_not_passed,
    wall_at,
)
from orchestrator.domain.schedules.week import WHOLE_WEEK, united_mask
from orchestrator.domain.schedules.zones import zone

_DAY = timedelta(days=1)

# A window is at most 24 h long and no zone ever set its clocks back by more than 24 h.
_DAYS_BEFORE = 2
_DAYS_AFTER = 1

# Edges are mostly near, else within a week; a clock change can hide one, rarely two weeks running.
_REACHES = (1 * _DAY, 4 * _DAY, 16 * _DAY, 40 * _DAY)


def occurrences(schedule: Schedule, start: datetime, end: datetime) -> list[Interval]:
    """Each occurrence of each window that meets ``[start, end)``, whole, in order of start."""
    rules = zone(schedule.timezone)
    start, end = as_utc(start), as_utc(end)
    found = (
        occurrence(rules, window, day)
        for day in _days_near(rules, start, end)
        for window in windows_starting(schedule, day)
    )
    meeting = [one for one in found if one.start < end and one.end > start and one.start < one.end]
    return sorted(meeting, key=lambda one: (one.start, one.end, one.keep_running))


def intervals(schedule: Schedule, start: datetime, end: datetime) -> list[Interval]:
    """The windows united and cut to ``[start, end)``, in order and without overlap.

    Neighbours join; where ``keep_running`` changes there is a new interval, and where windows
    that differ in it overlap, it holds.
    """
    start, end = as_utc(start), as_utc(end)
    whole = occurrences(schedule, start, end)
    return _unite(
        Interval(max(one.start, start), min(one.end, end), one.keep_running) for one in whole
    )


def state_at(schedule: Schedule, instant: datetime) -> ScheduleState:
    """What the schedule says at an instant, and the edges around it.

    Looks no further than 40 days to either side, and 4 where the windows cover the whole week:
    what is not found there is None.
    """
    instant = as_utc(instant)
    covered = united_mask(schedule.windows)
    kept = united_mask(window for window in schedule.windows if window.keep_running)
    endless = covered in {0, WHOLE_WEEK}
    constant = endless and kept in {0, covered}
    reaches = _REACHES[1:2] if constant else _REACHES
    for reach in reaches:
        state = _state_within(schedule, instant, reach)
        if state.next_edge and (endless or _is_complete(state)):
            break
    return state


def weekly_hours(schedule: Schedule, start: datetime, weeks: int) -> int:
    """Elapsed seconds inside windows, in so many civil weeks of the schedule's zone from ``start``.

    True elapsed time: a week in which the clocks go back has 169 hours.
    """
    rules = zone(schedule.timezone)
    start = as_utc(start)
    end = first_reached(rules, wall_at(rules, start) + weeks * 7 * _DAY)
    lengths = (one.end - one.start for one in intervals(schedule, start, end))
    return sum(lengths, timedelta()) // timedelta(seconds=1)


def windows_starting(schedule: Schedule, day: date) -> Iterator[Window]:
    """The windows that start on a civil date; none on a date that the zone skipped."""
    windows = [window for window in schedule.windows if day.weekday() in window.days]
    if windows and date_exists(zone(schedule.timezone), day):
        yield from windows


def occurrence(rules: ZoneInfo, window: Window, day: date) -> Interval:
    """The stretch for which a window that starts on ``day`` stands; empty where start is end."""
    begin, end = walls_of(window, day)
    return Interval(first_reached(rules, begin), last_not_passed(rules, end), window.keep_running)


def walls_of(window: Window, day: date) -> tuple[datetime, datetime]:
    """The wall-clock start and end of a window that starts on ``day``."""
    last = day + _DAY if window.ends_next_day else day
    return datetime.combine(day, window.start), datetime.combine(last, window.end)


def _days_near(rules: ZoneInfo, start: datetime, end: datetime) -> Iterator[date]:
    """The civil dates whose windows may meet ``[start, end)``."""
    day = wall_at(rules, start).date() - _DAYS_BEFORE * _DAY
    last = wall_at(rules, end).date() + _DAYS_AFTER * _DAY
    while day <= last:
        yield day
        day += _DAY


def _unite(spans: Iterable[Interval]) -> list[Interval]:
    changes: defaultdict[datetime, list[int]] = defaultdict(lambda: [0, 0])
    for span in spans:
        for instant, step in ((span.start, 1), (span.end, -1)):
            changes[instant][0] += step
            changes[instant][1] += step * span.keep_running
    return _pieces(sorted(changes.items()))


def _pieces(changes: list[tuple[datetime, list[int]]]) -> list[Interval]:
    """Maximal stretches of one answer, from changes of (windows, keep-running windows)."""
    pieces: list[Interval] = []
    open_count = keep_count = 0
    for (start, (opened, kept)), (end, _) in pairwise(changes):
        open_count, keep_count = open_count + opened, keep_count + kept
        if open_count:
            _append(pieces, Interval(start, end, keep_count > 0))
    return pieces


def _append(pieces: list[Interval], piece: Interval) -> None:
    """Add a piece, or lengthen the last one if it ends here with the same answer."""
    last = pieces[-1] if pieces else None
    if last and last.end == piece.start and last.keep_running == piece.keep_running:
        pieces[-1] = Interval(last.start, piece.end, piece.keep_running)
    else:
        pieces.append(piece)


def _state_within(schedule: Schedule, instant: datetime, reach: timedelta) -> ScheduleState:
    """The state as far as it shows when looking ``reach`` to either side."""
    low, high = instant - reach, instant + reach
    pieces = intervals(schedule, low, high)
    awake = _unite(Interval(piece.start, piece.end, keep_running=False) for piece in pieces)
    now = next((piece for piece in pieces if piece.start <= instant < piece.end), None)
    stretch = next((piece for piece in awake if piece.start <= instant < piece.end), None)
    ahead = (edge for piece in pieces for edge in (piece.start, piece.end) if edge > instant)
    return ScheduleState(
        inside=now is not None,
        keep_running=now is not None and now.keep_running,
        window_start=stretch.start if stretch and stretch.start > low else None,
        window_end=stretch.end if stretch and stretch.end < high else None,
        next_start=next((piece.start for piece in awake if piece.start > instant), None),
        next_edge=next((edge for edge in ahead if edge < high), None),
    )


def _is_complete(state: ScheduleState) -> bool:
    if state.inside and not (state.window_start and state.window_end):
        return False
    return state.next_start is not None
