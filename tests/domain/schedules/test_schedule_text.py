"""Windows as people write and read them."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.text import (
    describe,
    format_days,
    format_window,
    parse_days,
    parse_window,
)

windows = st.builds(
    Window,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    end=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)


@given(windows)
def test_what_is_written_reads_back(window: Window) -> None:
    assert parse_window(format_window(window)) == window


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
