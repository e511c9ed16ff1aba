"""Single occurrences, elapsed time, and the edges of what may be asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchestrator.domain.schedules.model import Interval, Schedule
from orchestrator.domain.schedules.occurrences import (
    intervals,
    occurrences,
    state_at,
    weekly_hours,
    windows_starting,
)
from orchestrator.domain.schedules.text import parse_window

MONDAY = datetime(2025, 6, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def schedule(*windows: str, timezone: str = "UTC") -> Schedule:
    return Schedule(timezone, tuple(parse_window(text) for text in windows))


def hours(interval: Interval) -> tuple[float, float]:
    """Start and end in hours after Monday 00:00."""
    return (interval.start - MONDAY) / HOUR, (interval.end - MONDAY) / HOUR


def test_occurrences_are_whole_and_not_united() -> None:
    found = occurrences(schedule("mon 08:00-14:00", "mon 10:00-12:00"), MONDAY, MONDAY + 11 * HOUR)
    assert [hours(one) for one in found] == [(8, 14), (10, 12)]


def test_occurrences_come_in_order_of_start_whatever_the_order_of_windows() -> None:
    found = occurrences(
        schedule("mon-tue 20:00-22:00", "mon-tue 08:00-09:00"), MONDAY, MONDAY + 48 * HOUR
    )
    assert [hours(one)[0] for one in found] == [8, 20, 32, 44]


@pytest.mark.parametrize(("begin", "end"), [(6, 8), (9, 12)])
def test_an_occurrence_that_only_touches_the_range_is_left_out(begin: int, end: int) -> None:
    daily = schedule("daily 08:00-09:00")
    assert occurrences(daily, MONDAY + begin * HOUR, MONDAY + end * HOUR) == []


def test_an_empty_occurrence_is_left_out() -> None:
    skipped = schedule("sun 02:10-02:50", timezone="Europe/Berlin")
    spring = datetime(2025, 3, 30, tzinfo=UTC)
    assert occurrences(skipped, spring, spring + 24 * HOUR) == []


def test_the_night_before_the_range_is_found() -> None:
    night = schedule("sun 23:59-23:58")
    (found,) = occurrences(night, MONDAY + 23 * HOUR, MONDAY + 24 * HOUR)
    assert found.end == MONDAY + 24 * HOUR - timedelta(minutes=2)


def test_an_empty_or_backward_range_holds_nothing() -> None:
    always = schedule("daily 00:00-24:00")
    assert intervals(always, MONDAY, MONDAY) == []
    assert intervals(always, MONDAY, MONDAY - HOUR) == []


def test_any_zone_of_the_asker_gives_the_same_answer_in_utc() -> None:
    eastern = timezone(-5 * HOUR)
    days = schedule("daily 08:00-09:00")
    start, end = MONDAY, MONDAY + timedelta(hours=8, minutes=30)
    found = intervals(days, start.astimezone(eastern), end.astimezone(eastern))
    assert found == [Interval(MONDAY + 8 * HOUR, end, keep_running=False)]
    assert {found[0].start.tzinfo, found[0].end.tzinfo} == {UTC}
    asked = state_at(days, start.astimezone(eastern))
    assert asked == state_at(days, start)


@pytest.mark.parametrize(
    "ask",
    [
        lambda days, naive: occurrences(days, naive, naive),
        lambda days, naive: intervals(days, naive, naive),
        state_at,
        lambda days, naive: weekly_hours(days, naive, 1),
    ],
)
def test_an_instant_without_a_zone_is_refused(ask: Callable[[Schedule, datetime], object]) -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        ask(schedule("daily 08:00-09:00"), MONDAY.replace(tzinfo=None))


def test_an_edge_belongs_to_what_begins_at_it() -> None:
    days = schedule("daily 08:00-09:00")
    at_start, at_end = state_at(days, MONDAY + 8 * HOUR), state_at(days, MONDAY + 9 * HOUR)
    assert (at_start.inside, at_start.next_edge) == (True, MONDAY + 9 * HOUR)
    assert (at_end.inside, at_end.next_edge) == (False, MONDAY + 32 * HOUR)


@pytest.mark.parametrize("second", [1, -1])
def test_parts_of_a_minute_count(second: int) -> None:
    near = MONDAY + 8 * HOUR + timedelta(seconds=second)
    assert state_at(schedule("daily 08:00-09:00"), near).inside is (second > 0)


def test_unbroken_time_of_some_days_is_seen_from_its_end() -> None:
    long = schedule("mon 08:00-24:00", "tue 00:00-24:00", "wed 00:00-12:00", "wed 14:00-15:00")
    state = state_at(long, MONDAY + 59 * HOUR)
    assert (state.window_start, state.window_end) == (MONDAY + 8 * HOUR, MONDAY + 60 * HOUR)
    assert state.next_start == MONDAY + 62 * HOUR


def test_unbroken_time_over_a_week_long_is_bounded() -> None:
    """The only pause of the week, 02:15 to 02:45, closes where the clocks repeat that time."""
    nearly_always = schedule("sun 02:45-24:00", "mon-sat 00:00-24:00", "sun 00:00-02:15")
    berlin = Schedule("Europe/Berlin", nearly_always.windows)
    state = state_at(berlin, datetime(2025, 10, 28, tzinfo=UTC))
    assert state.window_start == datetime(2025, 10, 19, 0, 45, tzinfo=UTC)
    assert state.window_end == datetime(2025, 11, 2, 1, 15, tzinfo=UTC)
    assert state.next_start == datetime(2025, 11, 2, 1, 45, tzinfo=UTC)


def test_a_skipped_date_starts_nothing() -> None:
    apia = schedule("daily 08:00-09:00", timezone="Pacific/Apia")
    skipped = datetime(2011, 12, 30, tzinfo=UTC).date()
    assert list(windows_starting(apia, skipped)) == []
    assert list(windows_starting(apia, skipped + timedelta(days=1))) == list(apia.windows)


@pytest.mark.parametrize(
    ("start", "weeks", "elapsed_hours"),
    [
        (datetime(2025, 6, 1, 22, tzinfo=UTC), 1, 168),
        (datetime(2025, 3, 23, 23, tzinfo=UTC), 1, 167),
        (datetime(2025, 10, 19, 22, tzinfo=UTC), 1, 169),
        (datetime(2025, 3, 23, 23, tzinfo=UTC), 40, 40 * 168),
        (datetime(2025, 6, 1, 22, tzinfo=UTC), 0, 0),
    ],
)
def test_weeks_have_the_hours_that_pass(start: datetime, weeks: int, elapsed_hours: int) -> None:
    always = schedule("daily 00:00-24:00", timezone="Europe/Berlin")
    assert weekly_hours(always, start, weeks) == elapsed_hours * 3600


def test_overlap_counts_once() -> None:
    office = schedule("mon-fri 08:00-19:00", "mon-fri 18:00-20:00")
    assert weekly_hours(office, MONDAY, 2) == 2 * 5 * 12 * 3600


def test_a_night_over_a_clock_change_counts_as_it_passes() -> None:
    nights = schedule("sat 22:00-06:00", timezone="Europe/Berlin")
    assert weekly_hours(nights, datetime(2025, 3, 24, tzinfo=UTC), 1) == 7 * 3600
    assert weekly_hours(nights, datetime(2025, 10, 20, tzinfo=UTC), 1) == 9 * 3600
