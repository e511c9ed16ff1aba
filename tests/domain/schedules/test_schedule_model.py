"""What windows and schedules refuse."""

from datetime import UTC, time

import pytest

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import Schedule, Window
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
