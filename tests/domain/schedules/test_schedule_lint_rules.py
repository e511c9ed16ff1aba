"""Remarks on windows by the month, exceptions and cron points before a schedule is saved."""

from datetime import UTC, date, datetime

import pytest

from orchestrator.domain.schedules.lint import Finding, lint
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.text import parse_date_rule, parse_point, parse_window

START = datetime(2025, 1, 1, tzinfo=UTC)
OFFICE = "mon-fri 08:00-19:00"


def schedule(
    *windows: str,
    points: tuple[str, ...] = (),
    dates: tuple[str, ...] = (),
    off: tuple[str, ...] = (),
    timezone: str = "Europe/Berlin",
) -> Schedule:
    return Schedule(
        timezone,
        tuple(parse_window(text) for text in windows),
        points=tuple(parse_point(text) for text in points),
        days_off=frozenset(date.fromisoformat(day) for day in off),
        dates=tuple(parse_date_rule(text) for text in dates),
    )


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code.value for finding in findings]


def every_day(first: str, count: int) -> tuple[str, ...]:
    start = date.fromisoformat(first).toordinal()
    return tuple(date.fromordinal(start + number).isoformat() for number in range(count))


@pytest.mark.parametrize(
    "ordinary",
    [
        schedule("1st,15th,last 09:00-17:00"),
        schedule("1st mon,last fri 08:00-10:00 ready-by"),
        schedule(OFFICE, dates=("2025-12-24 off", "2025-12-27 extra 10:00-16:00")),
        schedule(OFFICE, off=("2025-12-25", "2025-12-27")),
        schedule(OFFICE, dates=("2025-12-24 replaced 08:00-12:00",), off=("2025-12-24",)),
        schedule(points=("stop 0 19 * * *",)),
        schedule(points=("start 0 8 * * mon-fri", "stop 0 19 * * mon-fri")),
        schedule(OFFICE, points=("stop 0 12 * * fri",)),
        schedule(OFFICE, points=("start 0 21 * * mon",)),
        schedule("31st 08:00-10:00", "mon-fri 08:00-19:00"),
        schedule("1st 08:00-10:00", "1st 10:00-12:00"),
    ],
)
def test_ordinary_schedules_have_no_remarks(ordinary: Schedule) -> None:
    assert lint(ordinary, START) == []


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (schedule("31st 08:00-10:00", "daily 08:00-19:00"), [("window_covered", 0)]),
        (schedule("5th sat 08:00-10:00", "29th-31st 08:00-19:00"), [("window_covered", 0)]),
        (
            schedule("-".join(("1st", "31st")) + " 08:00-10:00", "daily 08:00-10:00"),
            [("window_duplicate", 1)],
        ),
        (schedule("1st mon 08:00-10:00", "1st mon 08:00-10:00"), [("window_duplicate", 1)]),
        (schedule("last 22:00-06:00", "1st 01:00-05:00"), [("window_covered", 1)]),
        (schedule("mon 08:00-10:00 ready-by", "mon 07:00-10:00"), []),
        (schedule("mon 08:00-10:00 ready-by", "mon 04:00-10:00"), [("window_covered", 0)]),
        (schedule("mon 09:00-10:00", "mon 08:00-10:00 ready-by"), [("window_covered", 0)]),
        (schedule("sun 20:00-06:00", "mon 01:00-05:00", dates=("2025-06-01 off",)), []),
        (
            schedule(
                "wed 08:00-10:00",
                dates=("2025-06-01 extra 08:00-10:00",),
                off=every_day("2025-01-01", 400),
            ),
            [("window_never", 0)],
        ),
    ],
)
def test_windows_that_change_nothing_or_never_come(
    odd: Schedule, expected: list[tuple[str, int]]
) -> None:
    assert [(one.code.value, one.window) for one in lint(odd, START)] == expected


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (schedule(dates=("2025-12-24 off",)), ["never_on", "day_off_without_window"]),
        (schedule(OFFICE, off=every_day("2024-12-25", 420)), ["never_on", "window_never"]),
        (schedule("1st-31st 00:00-24:00"), ["always_on"]),
        (schedule("daily 00:00-24:00", off=("2025-12-25",)), []),
        (schedule("daily 00:00-24:00", off=("2031-12-25",)), ["always_on"]),
        (schedule("mon-sat 00:00-24:00", dates=("2025-06-01 extra 00:00-24:00",)), []),
    ],
)
def test_what_is_never_or_always_on(whole: Schedule, expected: list[str]) -> None:
    assert codes(lint(whole, START)) == expected


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (("2024-12-24 off",), [("date_past", 0)]),
        (("2025-12-24 off", "2025-12-24 off"), [("date_duplicate", 1)]),
        (("2025-12-26 off",), [("date_duplicate", 0)]),
        (("2025-12-27 off",), [("day_off_without_window", 0)]),
        (("2025-12-24 off", "2025-12-24 replaced 08:00-12:00"), [("date_overruled", 0)]),
        (("2025-12-24 extra 09:00-18:00",), [("extra_covered", 0)]),
        (("2025-12-24 extra 09:00-20:00",), []),
        (("2025-12-24 extra 09:00-18:00 keep-running",), []),
        (("2025-12-26 extra 09:00-18:00",), []),
        (("2025-12-24 extra 20:00-22:00", "2025-12-24 extra 20:00-21:00"), [("extra_covered", 1)]),
        (("2025-12-24 replaced 08:00-19:00",), [("replaced_same", 0)]),
        (("2025-12-26 replaced 08:00-19:00",), []),
    ],
)
def test_exceptions_that_change_nothing(
    odd: tuple[str, ...], expected: list[tuple[str, int]]
) -> None:
    """Friday 26 December is off by a calendar; the 27th is a Saturday."""
    found = lint(schedule(OFFICE, dates=odd, off=("2025-12-26",)), START)
    assert [(one.code.value, one.exception) for one in found] == expected
    assert all(one.when for one in found)


def test_an_exception_of_today_is_not_past() -> None:
    """At 23:30Z it is the second of January in Berlin."""
    evening = datetime(2025, 1, 1, 23, 30, tzinfo=UTC)
    today = schedule(OFFICE, dates=("2025-01-02 off",))
    yesterday = schedule(OFFICE, dates=("2025-01-01 off",))
    assert (codes(lint(today, evening)), codes(lint(yesterday, evening))) == ([], ["date_past"])


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (schedule(points=("stop 0 19 * * mon", "stop 0 19 * * MON")), [("point_duplicate", 1)]),
        (schedule(points=("stop 0 0 * 2 mon#5",)), [("point_never", 0)]),
        (schedule(points=("stop 0 0 29 2 *",)), [("point_never", 0)]),
        (schedule(OFFICE, points=("stop 0 3 * * *",)), [("point_repeats", 0)]),
        (schedule(OFFICE, points=("stop 0 20 * * *", "start 0 21 * * *")), []),
        (schedule(f"{OFFICE} keep-running", points=("start 0 9 * * mon",)), [("point_repeats", 0)]),
        (schedule(OFFICE, points=("start 0 9 * * mon",)), []),
        (
            schedule(f"{OFFICE} keep-running", points=("stop 0 9 * * mon",)),
            [("point_stops_kept", 0)],
        ),
        (schedule(points=("start 0 9 * * *", "stop 0 9 * * mon")), [("points_opposed", 0)]),
        (schedule(OFFICE, points=("start 55 18 * * mon",)), [("point_overtaken", 0)]),
        (
            schedule(OFFICE, points=("start 55 6 * * mon", "stop 0 7 * * mon")),
            [("point_overtaken", 0)],
        ),
        (schedule(OFFICE, points=("start 44 18 * * mon",)), []),
        (schedule(OFFICE, points=("start 55 7 * * mon",)), []),
    ],
)
def test_points_that_change_nothing_fight_or_never_fire(
    odd: Schedule, expected: list[tuple[str, int]]
) -> None:
    assert [(one.code.value, one.point) for one in lint(odd, START)] == expected


@pytest.mark.parametrize(
    ("point", "dates"),
    [
        ("start 30 2 * * *", ["2025-03-30", "2025-10-26"]),
        ("stop 0 2 * * sun", ["2025-03-30", "2025-10-26"]),
        ("stop 0 3 * * *", []),
        ("stop 59 1 * * *", []),
        ("start */5 * * * *", ["2025-03-30", "2025-10-26"]),
        ("start 30 2 * 3 *", ["2025-03-30"]),
    ],
)
def test_points_on_clock_changes_are_named_with_their_date(point: str, dates: list[str]) -> None:
    found = lint(schedule(points=(point,)), START, weeks=52)
    assert [(one.code.value, str(one.when)) for one in found] == [
        ("point_on_clock_change", day) for day in dates
    ]


def test_windows_of_exceptions_are_held_against_clock_changes_too() -> None:
    odd = schedule(
        OFFICE,
        dates=("2025-03-30 extra 02:30-06:00", "2025-10-26 replaced 00:30-02:30"),
    )
    assert [(one.code.value, one.exception, one.window) for one in lint(odd, START)] == [
        ("start_on_clock_change", 0, None),
        ("end_on_clock_change", 1, None),
    ]


def test_a_day_off_on_a_clock_change_has_no_remark() -> None:
    assert lint(schedule("sun 02:30-06:00", off=("2025-03-30", "2025-10-26")), START, 52) == []


def test_an_extra_day_that_the_zone_skips_is_named() -> None:
    apia = schedule(dates=("2011-12-30 extra 08:00-09:00",), timezone="Pacific/Apia")
    found = lint(apia, datetime(2011, 12, 1, tzinfo=UTC), weeks=8)
    assert codes(found) == ["never_on", "date_skipped"]


def test_each_remark_is_a_sentence_with_its_remedy() -> None:
    odd = schedule(
        f"{OFFICE} keep-running",
        "wed 09:00-10:00",
        "sun 02:30-06:00",
        dates=("2024-12-24 off", "2025-12-27 off", "2025-12-24 extra 09:00-10:00"),
        points=("stop 0 9 * * mon", "start 0 9 * * mon", "stop 0 0 29 2 *", "stop 0 9 * * mon"),
    )
    found = lint(odd, START)
    assert {one.code.value for one in found} == {
        "window_covered",
        "start_on_clock_change",
        "date_past",
        "day_off_without_window",
        "extra_covered",
        "points_opposed",
        "point_duplicate",
        "point_never",
    }
    assert all("; " in one.message and not one.message.endswith(".") for one in found)
    messages = [one.message for one in found]
    assert (
        "stop 0 9 * * mon and start 0 9 * * mon meet on 2025-01-06 at 09:00, where the start "
        "wins; move one of them"
    ) in messages
    assert "the exception off on 2024-12-24 is over; remove it" in messages


def test_a_point_of_every_minute_is_looked_at_in_bounds() -> None:
    """Half a million firings in the year; the first week tells as much."""
    busy = schedule(OFFICE, points=("start * * * * *", "stop 0 19 * * *"))
    assert codes(lint(busy, START))[:1] == ["points_opposed"]
