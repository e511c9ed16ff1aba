"""Windows as people write and read them."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.bounds import FIRST_YEAR, LAST_YEAR
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import (
    EVERY_DAY,
    CronPoint,
    DateKind,
    DateRule,
    PointAction,
    Schedule,
    Window,
)
from orchestrator.domain.schedules.text import (
    describe,
    format_date_rule,
    format_days,
    format_point,
    format_window,
    parse_date_rule,
    parse_days,
    parse_point,
    parse_window,
    window_text,
)

clock_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
numbers = st.integers(1, 31) | st.integers(-31, -1)
nths = st.integers(1, 5) | st.integers(-5, -1)
windows = st.builds(
    Window,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=clock_times,
    end=clock_times,
    keep_running=st.booleans(),
    ready_by=st.booleans(),
    month_days=st.frozensets(numbers),
    nth_weekdays=st.frozensets(st.tuples(nths, st.integers(0, 6))),
) | st.builds(
    Window,
    days=st.just(frozenset()),
    start=clock_times,
    end=clock_times,
    month_days=st.frozensets(numbers, min_size=1),
)
near = st.dates(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31))
date_rules = st.builds(
    DateRule,
    near,
    st.sampled_from((DateKind.EXTRA, DateKind.REPLACED)),
    st.lists(windows, min_size=1, max_size=3).map(tuple),
    st.sampled_from(("", "Christmas Eve", "#1")),
) | st.builds(DateRule, near, st.just(DateKind.OFF))


@given(windows)
def test_what_is_written_reads_back(window: Window) -> None:
    assert parse_window(window_text(window)) == window


@given(date_rules)
def test_an_exception_that_is_written_reads_back(rule: DateRule) -> None:
    assert parse_date_rule(format_date_rule(rule)) == rule


@pytest.mark.parametrize(
    ("text", "days", "start", "end"),
    [
        ("mon-fri 08:00-19:00", {0, 1, 2, 3, 4}, time(8), time(19)),
        ("fri-mon 22:00-06:00", {4, 5, 6, 0}, time(22), time(6)),
        ("sun-sat 00:00-24:00", {0, 1, 2, 3, 4, 5, 6}, time(0), time(0)),
        ("Sat,Sun 8:30-24:00", {5, 6}, time(8, 30), time(0)),
        ("  mon , wed-thu   08:00 - 09:00 ", {0, 2, 3}, time(8), time(9)),
        ("monday-Wednesday 08:00\u201309:00", {0, 1, 2}, time(8), time(9)),
        ("daily 23:59-00:00", {0, 1, 2, 3, 4, 5, 6}, time(23, 59), time(0)),
        ("weekend,mon 01:00-02:00", {5, 6, 0}, time(1), time(2)),
        ("weekdays 01:00-02:00", {0, 1, 2, 3, 4}, time(1), time(2)),
    ],
)
def test_windows_are_read(text: str, days: set[int], start: time, end: time) -> None:
    assert parse_window(text) == Window(frozenset(days), start, end)


def test_keep_running_is_passed_on() -> None:
    assert parse_window("mon 08:00-09:00", keep_running=True).keep_running


@pytest.mark.parametrize(
    ("text", "field", "hint"),
    [
        ("", "window", "mon-fri 08:00-19:00"),
        ("mon-fri", "window", "mon-fri 08:00-19:00"),
        ("08:00-19:00", "window", "mon-fri 08:00-19:00"),
        ("mon 08:00", "window", "mon-fri 08:00-19:00"),
        ("mon 8am-5pm", "window", "mon-fri 08:00-19:00"),
        ("mon 08:00-09:00-10:00", "window", "mon-fri 08:00-19:00"),
        ("moon 08:00-19:00", "days", "'moon' is not a day"),
        ("mon-mon 08:00-19:00", "days", "write mon or daily"),
        ("mon,,tue 08:00-19:00", "days", "mon-fri"),
        ("mon-tue-wed 08:00-19:00", "days", "mon-fri"),
        ("mon-daily 08:00-19:00", "days", "mon-fri"),
        ("mon 8-19:00", "start", "08:00"),
        ("mon 08:00-19", "end", "08:00"),
        ("mon 08.00-19:00", "start", "08:00"),
        ("mon 08:00:30-19:00", "start", "08:00"),
        ("mon 08:00-19:00:00", "end", "08:00"),
        ("mon 24:00-08:00", "start", "00:00"),
        ("mon 08:00-24:01", "end", "00:00 to 23:59"),
        ("mon 08:60-19:00", "start", "00:00 to 23:59"),
    ],
)
def test_a_refusal_names_the_field_and_shows_how(text: str, field: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse_window(text)
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ({0, 1, 2, 3, 4}, "Mon-Fri"),
        ({5, 6}, "Sat-Sun"),
        ({0, 2, 4}, "Mon,Wed,Fri"),
        ({4, 5, 6, 0}, "Fri-Mon"),
        ({6, 0, 3}, "Thu,Sun-Mon"),
        (set(range(7)), "Mon-Sun"),
        ({0, 1, 2, 3, 5, 6}, "Sat-Thu"),
        ({3}, "Thu"),
    ],
)
def test_days_are_written_as_ranges(days: set[int], text: str) -> None:
    assert format_days(days) == text
    assert parse_days(text) == days


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "never, Europe/Berlin"),
        (["mon-fri 08:00-19:00"], "Mon-Fri 08:00-19:00, Europe/Berlin"),
        (
            ["mon-fri 08:00-19:00", "sat 10:00-02:00"],
            "Mon-Fri 08:00-19:00 and Sat 10:00-02:00 (next day), Europe/Berlin",
        ),
        (
            ["mon 08:00-09:00", "tue 08:00-24:00", "wed 08:00-08:00"],
            "Mon 08:00-09:00, Tue 08:00-24:00 and Wed 08:00-08:00 (next day), Europe/Berlin",
        ),
    ],
)
def test_a_schedule_is_one_sentence(texts: list[str], sentence: str) -> None:
    schedule = Schedule("Europe/Berlin", tuple(parse_window(text) for text in texts))
    assert describe(schedule) == sentence


def test_a_window_that_keeps_running_says_so() -> None:
    night = parse_window("fri 22:00-06:00", keep_running=True)
    assert describe(Schedule("UTC", (night,))) == "Fri 22:00-06:00 (next day, kept running), UTC"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1st,15th,last 09:00-17:00", "1st,15th,last 09:00-17:00"),
        ("First", None),
        ("1st monday, LAST fri 09:00-17:00", "1st Mon,last Fri 09:00-17:00"),
        ("2nd to last 09:00-17:00", "2nd to last 09:00-17:00"),
        ("2nd-to-last fri 09:00-17:00", "2nd to last Fri 09:00-17:00"),
        ("1st to last 09:00-17:00", "last 09:00-17:00"),
        ("1st - 7th,9th,10th 09:00-17:00", "1st-7th,9th,10th 09:00-17:00"),
        ("mon-fri,31st,last sun 09:00-17:00", "Mon-Fri,31st,last Sun 09:00-17:00"),
        ("11th,12th,13th,21st,22nd,23rd 09:00-17:00", "11th-13th,21st-23rd 09:00-17:00"),
        ("mon 09:00-17:00 ready-by keep-running", "Mon 09:00-17:00 keep-running ready-by"),
        ("mon 09:00-17:00 Ready By", "Mon 09:00-17:00 ready-by"),
    ],
)
def test_days_of_a_month_are_read_and_written(text: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(ScheduleError):
            parse_window(text)
    else:
        assert window_text(parse_window(text)) == written


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("15 09:00-17:00", "'15' is not a day; write them like"),
        ("32nd 09:00-17:00", "'32nd' is no day of a month"),
        ("0th 09:00-17:00", "'0th' is no day of a month"),
        ("6th mon 09:00-17:00", "'6th mon' never comes"),
        ("7th-1st 09:00-17:00", "'7th-1st' runs backwards"),
        ("1st-last 09:00-17:00", "'last' is not a day"),
        ("1st moon 09:00-17:00", "'moon' is not a day"),
        ("1st mon-fri 09:00-17:00", "is not a day"),
    ],
)
def test_days_that_no_month_has_are_refused(text: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse_window(text)
    assert refusal.value.field == "days"
    assert hint in str(refusal.value)


def test_days_of_the_week_alone_refuse_those_of_the_month() -> None:
    with pytest.raises(ScheduleError, match="is not of the week"):
        parse_days("mon,15th")


def test_exceptions_are_read() -> None:
    ten, four = time(10), time(16)
    assert parse_date_rule("2025-12-24 off # Christmas Eve") == DateRule(
        date(2025, 12, 24), DateKind.OFF, note="Christmas Eve"
    )
    assert parse_date_rule("2025-12-27 EXTRA 10:00-16:00, 22:00-24:00 keep-running") == DateRule(
        date(2025, 12, 27),
        DateKind.EXTRA,
        (Window(EVERY_DAY, ten, four), Window(EVERY_DAY, time(22), time(), keep_running=True)),
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "date"),
        ("2025-12-24", "date"),
        ("2025-12-24 closed", "date"),
        ("24.12.2025 off", "day"),
        ("2025-02-29 off", "day"),
        ("20251224 off", "day"),
        ("2025-12-24 off 10:00-12:00", "windows"),
        ("2025-12-24 extra", "windows"),
        ("2025-12-24 extra 10-12", "start"),
        ("2025-12-24 extra mon 10:00-12:00", "windows"),
        ("2025-12-24 extra 10:00-12:00,", "windows"),
    ],
)
def test_exceptions_that_cannot_be_read_name_the_field(text: str, field: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse_date_rule(text)
    assert refusal.value.field == field


def test_points_are_read_and_written() -> None:
    point = CronPoint("0 19 * * mon-fri", PointAction.STOP)
    assert parse_point("Stop at  0 19 * * mon-fri") == point == parse_point(format_point(point))
    assert format_point(point) == "stop 0 19 * * mon-fri"
    for wrong in ("", "pause 0 19 * * *", "0 19 * * *"):
        with pytest.raises(ScheduleError, match=r"^point: "):
            parse_point(wrong)


def test_a_sentence_names_points_and_counts_exceptions() -> None:
    full = Schedule(
        "Europe/Berlin",
        (parse_window("1st mon 08:00-19:00 ready-by"),),
        points=(parse_point("stop 0 22 * * *"),),
        days_off=frozenset({date(2025, 12, 25), date(2025, 12, 26)}),
        dates=(
            parse_date_rule("2025-12-25 off"),
            parse_date_rule("2025-12-27 extra 10:00-12:00"),
            parse_date_rule("2025-12-28 replaced 10:00-12:00"),
        ),
    )
    assert describe(full) == (
        "1st Mon 08:00-19:00 (ready by then), Europe/Berlin; stop at 0 22 * * *; "
        "2 days off; 1 extra day; 1 replaced day"
    )
    only = Schedule("UTC", (), points=full.points)
    assert describe(only) == "stop at 0 22 * * *, UTC"


def test_format_window_leaves_out_how_it_runs() -> None:
    assert format_window(parse_window("mon 08:00-09:00 keep-running")) == "Mon 08:00-09:00"


@pytest.mark.parametrize("day", ["1899-12-31", "2201-01-01", "0001-01-01", "9999-12-31"])
def test_a_date_that_nobody_means_is_refused(day: str) -> None:
    with pytest.raises(ScheduleError, match="too far away; name years from 1900 to 2200"):
        parse_date_rule(f"{day} off")
