"""Windows as instants, held against hand-worked vectors and against a walk along the clocks."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.schedules.model import Interval, Schedule, Window
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.zones import zone, zone_names

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
DAY_NUMBERS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "windows.json").read_text(encoding="utf-8")
)["vectors"]
VECTOR = pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
EVENTFUL_ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
)


class Walk:
    """Real minutes from three days before a range to three days after, and what clocks showed."""

    def __init__(self, timezone: str, start: datetime, end: datetime) -> None:
        rules = zone(timezone)
        count = (end - start + 6 * DAY) // MINUTE
        self.instants = [start - 3 * DAY + number * MINUTE for number in range(count)]
        shown = [instant.astimezone(rules) for instant in self.instants]
        self.walls = [minute_number(wall.date(), wall.time()) for wall in shown]
        self.dates = sorted({wall.date() for wall in shown})
        self.start, self.end = start, end

    def stretches(self, window: Window) -> Iterator[range]:
        """For each date that was lived: the walked minutes for which the window stands."""
        for day in self.dates:
            if day.weekday() in window.days:
                last_day = day if window.start < window.end else day + DAY
                opening = minute_number(day, window.start)
                closing = minute_number(last_day, window.end)
                yield range(self.first_reached(opening), self.last_not_passed(closing))

    def first_reached(self, wanted: int) -> int:
        ahead = (number for number, wall in enumerate(self.walls) if wall >= wanted)
        return next(ahead, len(self.walls))

    def last_not_passed(self, wanted: int) -> int:
        number = len(self.walls) - 1
        while number >= 0 and self.walls[number] > wanted:
            number -= 1
        # Where the clocks jump over the reading, they have not passed it until the minute is over.
        return number if number >= 0 and self.walls[number] == wanted else number + 1

    def intervals(self, windows: tuple[Window, ...]) -> list[Interval]:
        answers: list[bool | None] = [None] * len(self.walls)
        for window in windows:
            for stretch in self.stretches(window):
                for number in stretch:
                    answers[number] = answers[number] or window.keep_running
        looked_at = [
            (instant, answer)
            for instant, answer in zip(self.instants, answers, strict=True)
            if self.start <= instant < self.end
        ]
        return list(self.runs(looked_at))

    @staticmethod
    def runs(looked_at: list[tuple[datetime, bool | None]]) -> Iterator[Interval]:
        for answer, group in groupby(looked_at, key=lambda minute: minute[1]):
            run = [instant for instant, _ in group]
            if answer is not None:
                yield Interval(run[0], run[-1] + MINUTE, answer)


def minute_number(day: date, clock: time) -> int:
    return day.toordinal() * 1440 + clock.hour * 60 + clock.minute


def window_of(raw: dict[str, Any]) -> Window:
    return Window(
        days=frozenset(DAY_NUMBERS[day] for day in raw["days"]),
        start=time.fromisoformat(raw["start"]),
        end=time.fromisoformat(raw["end"]),
        keep_running=raw.get("keep_running", False),
    )


def schedule_of(vector: dict[str, Any]) -> Schedule:
    return Schedule(vector["timezone"], tuple(window_of(raw) for raw in vector["windows"]))


def range_of(vector: dict[str, Any]) -> tuple[datetime, datetime]:
    bounds = vector["range"]
    return datetime.fromisoformat(bounds["start"]), datetime.fromisoformat(bounds["end"])


def expected_of(vector: dict[str, Any]) -> list[Interval]:
    return [
        Interval(
            datetime.fromisoformat(raw["start"]),
            datetime.fromisoformat(raw["end"]),
            raw.get("keep_running", False),
        )
        for raw in vector["intervals"]
    ]


def value_of(raw: str | bool | None) -> datetime | bool | None:
    return datetime.fromisoformat(raw) if isinstance(raw, str) else raw


@VECTOR
def test_intervals_are_those_of_the_vector(vector: dict[str, Any]) -> None:
    assert intervals(schedule_of(vector), *range_of(vector)) == expected_of(vector)


@VECTOR
def test_a_walk_along_the_clocks_confirms_the_vector(vector: dict[str, Any]) -> None:
    schedule = schedule_of(vector)
    walk = Walk(schedule.timezone, *range_of(vector))
    assert walk.intervals(schedule.windows) == expected_of(vector)


@pytest.mark.parametrize(
    ("vector", "state"),
    [
        pytest.param(vector, state, id=f"{vector['id']}@{state['at']}")
        for vector in VECTORS
        for state in vector.get("states", ())
    ],
)
def test_state_is_that_of_the_vector(vector: dict[str, Any], state: dict[str, Any]) -> None:
    found = state_at(schedule_of(vector), datetime.fromisoformat(state["at"]))
    wanted = {name: value_of(raw) for name, raw in state.items() if name != "at"}
    assert {name: getattr(found, name) for name in wanted} == wanted


def test_vector_names_are_unique_and_dates_within_the_walkable_range() -> None:
    names = [vector["id"] for vector in VECTORS]
    assert len(set(names)) == len(names)
    assert all(range_of(vector)[1] - range_of(vector)[0] <= 14 * DAY for vector in VECTORS)


def clock_changes(timezone: str, year: int) -> list[datetime]:
    """UTC midnights of a year after which, within a day, the zone's offset changes."""
    rules = zone(timezone)
    days = [datetime(year, 1, 1, tzinfo=UTC) + number * DAY for number in range(366)]
    return [
        day
        for day in days
        if day.astimezone(rules).utcoffset() != (day + DAY).astimezone(rules).utcoffset()
    ]


clock_times = st.one_of(
    st.builds(time, st.sampled_from((0, 1, 2, 3, 23)), st.sampled_from((0, 1, 15, 30, 45, 59))),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
some_windows = st.builds(
    Window,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=clock_times,
    end=clock_times,
    keep_running=st.booleans(),
)
schedules = st.builds(
    Schedule,
    timezone=st.sampled_from(EVENTFUL_ZONES) | st.sampled_from(sorted(zone_names())),
    windows=st.lists(some_windows, max_size=3).map(tuple),
)


@st.composite
def moments(draw: st.DrawFn, timezone: str) -> datetime:
    """A whole minute of 1973 to 2045, mostly close to a change of the zone's clocks."""
    year = draw(st.integers(1973, 2045) | st.sampled_from((1993, 2006, 2011, 2015, 2018, 2025)))
    ahead = draw(st.integers(-1440, 2 * 1440)) * MINUTE
    changes = clock_changes(timezone, year)
    near_change = draw(st.integers(0, 4)) > 0
    any_day = datetime(year, 1, 1, tzinfo=UTC) + draw(st.integers(0, 364)) * DAY
    return (draw(st.sampled_from(changes)) if changes and near_change else any_day) + ahead


@settings(max_examples=100, deadline=None)
@given(data=st.data(), schedule=schedules)
def test_intervals_are_what_a_walk_along_the_clocks_finds(
    data: st.DataObject, schedule: Schedule
) -> None:
    start = data.draw(moments(schedule.timezone))
    end = start + data.draw(st.integers(1, 2 * 1440)) * MINUTE
    walked = Walk(schedule.timezone, start, end).intervals(schedule.windows)
    assert intervals(schedule, start, end) == walked


@settings(max_examples=150, deadline=None)
@given(data=st.data(), schedule=schedules)
def test_state_at_says_what_the_intervals_say(data: st.DataObject, schedule: Schedule) -> None:
    instant = data.draw(moments(schedule.timezone))
    state = state_at(schedule, instant)
    at_instant = intervals(schedule, instant, instant + MINUTE)
    assert state.inside == bool(at_instant)
    assert state.keep_running == any(piece.keep_running for piece in at_instant)
    unchanged_until = state.next_edge or instant + 60 * DAY
    same = [Interval(instant, unchanged_until, state.keep_running)] if state.inside else []
    assert intervals(schedule, instant, unchanged_until) == same


@settings(max_examples=150, deadline=None)
@given(data=st.data(), schedule=schedules)
def test_the_answer_changes_at_the_next_edge(data: st.DataObject, schedule: Schedule) -> None:
    instant = data.draw(moments(schedule.timezone))
    before = state_at(schedule, instant)
    if before.next_edge is None:
        assert not before.inside or (before.window_start, before.window_end) == (None, None)
    else:
        after = state_at(schedule, before.next_edge)
        assert (before.inside, before.keep_running) != (after.inside, after.keep_running)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), schedule=schedules)
def test_window_bounds_enclose_unbroken_time(data: st.DataObject, schedule: Schedule) -> None:
    instant = data.draw(moments(schedule.timezone))
    state = state_at(schedule, instant)
    if state.inside:
        start, end = (
            state.window_start or instant - 30 * DAY,
            state.window_end or instant + 30 * DAY,
        )
        assert start <= instant < end
        assert is_unbroken(schedule, start, end)
        assert state.window_start is None or not state_at(schedule, start - MINUTE).inside
        assert state.window_end is None or not state_at(schedule, end).inside
    else:
        assert (state.window_start, state.window_end) == (None, None)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), schedule=schedules)
def test_nothing_is_on_until_the_next_start(data: st.DataObject, schedule: Schedule) -> None:
    instant = data.draw(moments(schedule.timezone))
    state = state_at(schedule, instant)
    asleep_from = state.window_end if state.inside else instant
    if asleep_from is None:
        assert state.next_start is None
    else:
        asleep_until = state.next_start or asleep_from + 30 * DAY
        assert intervals(schedule, asleep_from, asleep_until) == []
        assert not state.next_start or state_at(schedule, state.next_start).inside


def is_unbroken(schedule: Schedule, start: datetime, end: datetime) -> bool:
    pieces = intervals(schedule, start, end)
    starts = [start, *(piece.end for piece in pieces)]
    return starts == [*(piece.start for piece in pieces), end]
