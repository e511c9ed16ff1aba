"""Single questions about cron points: the last, the next, the one in force, and bad expressions."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import CronPoint, PointAction, PointFiring, Schedule
from orchestrator.domain.schedules.points import (
    last_point,
    next_point,
    point_end,
    points,
)
from orchestrator.domain.schedules.text import parse_date_rule, parse_point, parse_window

MONDAY = datetime(2025, 6, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPRING, AUTUMN = datetime(2025, 3, 30, tzinfo=UTC), datetime(2025, 10, 26, tzinfo=UTC)


def schedule(*texts: str, windows: tuple[str, ...] = (), timezone: str = "UTC") -> Schedule:
    return Schedule(
        timezone,
        tuple(parse_window(text) for text in windows),
        points=tuple(parse_point(text) for text in texts),
    )


def hour(firing: PointFiring | None, day: datetime = MONDAY) -> float | None:
    return None if firing is None else (firing.at - day) / HOUR


@pytest.mark.parametrize(
    ("now", "within", "found"),
    [(18.99, 1, None), (19, 1, 19), (19.5, 1, 19), (20, 1, 19), (20.01, 1, None), (20.01, 24, 19)],
)
def test_the_last_firing_is_looked_for_so_far_back(
    now: float, within: int, found: float | None
) -> None:
    stop = schedule("stop 0 19 * * *")
    assert hour(last_point(stop, MONDAY + now * HOUR, within * HOUR)) == found


def test_the_next_firing_is_after_the_instant() -> None:
    stop = schedule("stop 0 19 * * *")
    assert hour(next_point(stop, MONDAY + 18 * HOUR)) == 19
    assert hour(next_point(stop, MONDAY + 19 * HOUR)) == 43


def test_the_next_firing_may_be_years_away() -> None:
    found = next_point(schedule("stop 0 0 29 2 mon#5"), MONDAY)
    rare = next_point(schedule("stop 0 0 29 2 */7"), MONDAY)
    assert found
    assert found.at == datetime(2028, 2, 29, tzinfo=UTC)
    assert rare
    assert rare.at == datetime(2032, 2, 29, tzinfo=UTC)
    assert next_point(schedule(), MONDAY) is None


@pytest.mark.parametrize("now", [0, 0.5, 0.75, 0.99])
def test_a_firing_of_every_minute_waits_for_the_repeated_hour_to_pass(now: float) -> None:
    """All starts took the first of each reading: from 01:00Z to 02:00Z none is left."""
    busy = schedule("start * * * * *", timezone="Europe/Berlin")
    within = AUTUMN + HOUR + now * HOUR
    assert hour(next_point(busy, within), AUTUMN) == 2
    last = last_point(busy, within, 2 * HOUR)
    assert last
    assert last.at == AUTUMN + timedelta(minutes=59)


def test_a_start_up_time_ends_a_point_early() -> None:
    evening = schedule("stop 0 21 * * mon", windows=("mon-fri 08:00-19:00 ready-by",))
    (firing,) = points(evening, MONDAY, MONDAY + 24 * HOUR)
    assert point_end(evening, firing) == MONDAY + 32 * HOUR
    assert point_end(evening, firing, HOUR) == MONDAY + 31 * HOUR


def test_a_yearly_point_stands_for_the_year() -> None:
    yearly = schedule("stop 0 0 1 1 *")
    firing = last_point(yearly, MONDAY, timedelta(days=400))
    assert firing == PointFiring(datetime(2025, 1, 1, tzinfo=UTC), PointAction.STOP, "0 0 1 1 *")
    assert point_end(yearly, firing) == datetime(2026, 1, 1, tzinfo=UTC)


def test_only_points_say_nothing_between_them() -> None:
    assert schedule("stop 0 19 * * *").only_points
    assert not schedule().only_points
    assert not schedule("stop 0 19 * * *", windows=("mon 08:00-09:00",)).only_points
    extra = Schedule(
        "UTC",
        (),
        points=(parse_point("stop 0 19 * * *"),),
        dates=(parse_date_rule("2025-06-02 extra 08:00-09:00"),),
    )
    assert not extra.only_points


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ("stop 0 9 * * *", "start 0 9 * * *", PointAction.START),
        ("start 0 9 * * *", "stop 0 9 * * *", PointAction.START),
        ("stop 0 9 * * *", "stop 0 9 * * mon", PointAction.STOP),
    ],
)
def test_one_firing_at_one_instant(first: str, second: str, stands: PointAction) -> None:
    (found,) = points(schedule(first, second), MONDAY, MONDAY + 24 * HOUR)
    assert (found.at, found.action) == (MONDAY + 9 * HOUR, stands)


def test_a_span_in_the_middle_of_a_change_sees_what_lies_outside() -> None:
    """The start of a later reading that overtakes the stop comes before the span."""
    fight = schedule("stop 10 2 * * *", "start 40 2 * * *", timezone="Europe/Berlin")
    assert points(fight, AUTUMN + HOUR, AUTUMN + 2 * HOUR) == []
    assert [hour(one, AUTUMN) for one in points(fight, AUTUMN, AUTUMN + HOUR)] == [40 / 60]


def test_an_empty_or_backward_span_holds_nothing() -> None:
    busy = schedule("start * * * * *")
    assert points(busy, MONDAY, MONDAY) == []
    assert points(busy, MONDAY, MONDAY - HOUR) == []


def test_an_instant_without_a_zone_is_refused() -> None:
    busy, naive = schedule("start * * * * *"), MONDAY.replace(tzinfo=None)
    with pytest.raises(ValueError, match="needs a zone"):
        points(busy, naive, naive)
    with pytest.raises(ValueError, match="needs a zone"):
        next_point(busy, naive)


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("", "has 0 fields instead of 5"),
        ("@daily", "has 1 field instead of 5"),
        ("0 19 * *", "has 4 fields instead of 5"),
        ("0 0 19 * * *", "seconds are not supported"),
        ("60 19 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 0 * *", "bad day-of-month"),
        ("0 0 * 13 *", "bad month"),
        ("0 0 * * 8", "bad day-of-week"),
        ("0 0 * * mon#6", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,6,9,11 *", "never fires"),
        ("0 0 30 2 */2", "never fires"),
        ("0 0 */31 * mon#2", "never fires"),
        ("0 " * 60, "is longer than 100 characters"),
    ],
)
def test_expressions_that_cannot_be_used_are_refused(expression: str, hint: str) -> None:
    good = CronPoint("0 8 * * *", PointAction.START)
    with pytest.raises(ScheduleError) as refusal:
        Schedule("UTC", (), points=(good, CronPoint(expression, PointAction.STOP)))
    assert refusal.value.field == "points[1].expression"
    assert str(refusal.value).startswith("points[1].expression: ")
    assert hint in str(refusal.value)


@pytest.mark.parametrize("expression", ["0 0 L * *", "0 0 LW * *", "*/15 8-18 * * Mon-Fri"])
def test_the_usual_grammar_is_accepted(expression: str) -> None:
    one = Schedule("UTC", (), points=(CronPoint(expression, PointAction.STOP),))
    assert next_point(one, MONDAY)
