"""What windows and schedules refuse."""

from datetime import UTC, date, datetime, time

import pytest

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import (
    EVERY_DAY,
    DateKind,
    DateRule,
    Schedule,
    Window,
)
from orchestrator.domain.schedules.zones import UnknownZone

NINE, FIVE = time(9), time(17)


@pytest.mark.parametrize("days", [frozenset(), frozenset({7}), frozenset({-1, 0})])
def test_days_must_be_days_of_the_week(days: frozenset[int]) -> None:
    with pytest.raises(ScheduleError, match=r"^days: ") as refusal:
        Window(days, NINE, FIVE)
    assert refusal.value.field == "days"


@pytest.mark.parametrize("wrong", [time(9, 0, 30), time(9, 0, 0, 1), time(9, tzinfo=UTC)])
def test_times_must_be_whole_minutes_without_a_zone(wrong: time) -> None:
    with pytest.raises(ScheduleError, match=r"^start: "):
        Window(frozenset({0}), wrong, FIVE)
    with pytest.raises(ScheduleError, match=r"^end: "):
        Window(frozenset({0}), NINE, wrong)


@pytest.mark.parametrize(
    ("start", "end", "next_day"),
    [
        (time(9), time(17), False),
        (time(17), time(9), True),
        (time(9), time(9), True),
        (time(9), time(0), True),
        (time(0), time(0), True),
    ],
)
def test_an_end_at_or_before_the_start_is_on_the_next_day(
    start: time, end: time, next_day: bool
) -> None:
    assert Window(frozenset({0}), start, end).ends_next_day is next_day


def test_a_schedule_needs_a_known_zone() -> None:
    with pytest.raises(UnknownZone, match=r"^timezone: "):
        Schedule("Mars/Olympus", ())


@pytest.mark.parametrize("minutes", [-1, 24 * 60 + 1])
def test_draining_takes_from_nothing_to_a_day(minutes: int) -> None:
    with pytest.raises(ScheduleError, match=r"^drain_minutes: "):
        Schedule("UTC", (), drain_minutes=minutes)


@pytest.mark.parametrize("minutes", [0, 24 * 60])
def test_draining_accepts_its_bounds(minutes: int) -> None:
    assert Schedule("UTC", (), drain_minutes=minutes).drain_minutes == minutes


def test_schedules_are_values() -> None:
    one = Schedule("UTC", (Window(frozenset({0}), NINE, FIVE),))
    same = Schedule("UTC", (Window(frozenset({0}), NINE, FIVE),))
    assert len({one, same}) == 1


@pytest.mark.parametrize("days", [frozenset({0}), frozenset({32}), frozenset({-32, 1})])
def test_days_of_the_month_must_exist(days: frozenset[int]) -> None:
    with pytest.raises(ScheduleError, match=r"^month_days: "):
        Window(frozenset(), NINE, FIVE, month_days=days)


@pytest.mark.parametrize("pair", [(0, 0), (6, 0), (-6, 0), (1, 7), (1, -1)])
def test_nth_weekdays_must_exist(pair: tuple[int, int]) -> None:
    with pytest.raises(ScheduleError, match=r"^nth_weekdays: "):
        Window(frozenset(), NINE, FIVE, nth_weekdays=frozenset({pair}))


def test_a_window_needs_days_of_one_kind_only() -> None:
    assert not Window(frozenset(), NINE, FIVE, month_days=frozenset({-1})).is_weekly
    assert not Window(frozenset(), NINE, FIVE, nth_weekdays=frozenset({(1, 0)})).is_weekly
    assert Window(frozenset({0}), NINE, FIVE).is_weekly


DAY = date(2025, 12, 24)
OPEN = Window(frozenset({0}), NINE, FIVE)


def test_exceptions_need_windows_or_none() -> None:
    with pytest.raises(ScheduleError, match=r"^windows: a day off has none"):
        DateRule(DAY, DateKind.OFF, (OPEN,))
    for kind in (DateKind.EXTRA, DateKind.REPLACED):
        with pytest.raises(ScheduleError, match=rf"^windows: a day of kind {kind} needs a window"):
            DateRule(DAY, kind)


def test_days_of_an_exceptions_windows_are_ignored() -> None:
    other = Window(frozenset({5}), NINE, FIVE, nth_weekdays=frozenset({(1, 0)}))
    rule = DateRule(DAY, DateKind.EXTRA, (other,))
    assert rule == DateRule(DAY, DateKind.EXTRA, (OPEN,))
    assert rule.windows[0].days == EVERY_DAY


def test_an_exception_is_for_a_date_without_a_time() -> None:
    with pytest.raises(ScheduleError, match=r"^day: "):
        DateRule(datetime(2025, 12, 24, tzinfo=UTC), DateKind.OFF)


def test_a_day_is_replaced_once() -> None:
    one = DateRule(DAY, DateKind.REPLACED, (OPEN,))
    with pytest.raises(ScheduleError, match="2025-12-24 is replaced twice") as refusal:
        Schedule("UTC", (), dates=(one, DateRule(DAY, DateKind.OFF), one))
    assert refusal.value.field == "dates[2].day"


def test_whole_schedules_are_values_too() -> None:
    def made() -> Schedule:
        rule = DateRule(DAY, DateKind.REPLACED, (OPEN,))
        return Schedule("UTC", (OPEN,), days_off=frozenset({DAY}), dates=(rule,))

    asked = made()
    assert asked.rules_by_date[DAY] == asked.dates
    assert len({asked, made()}) == 1
