"""What a schedule says at an instant agrees with its intervals, however far the next edge is."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.schedules.model import Interval, Schedule
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.text import parse_window
from tests.support.schedules import moments, schedules, zones
from tests.support.walking import DAY, MINUTE

EARLY = st.sampled_from((timedelta(), timedelta(minutes=40), timedelta(hours=11)))


def written(*windows: str, off: tuple[date, date] | None = None) -> Schedule:
    """Windows in UTC, and every date from one to another off."""
    days = range((off[1] - off[0]).days + 1) if off else range(0)
    first = off[0] if off else date.min
    return Schedule(
        "UTC",
        tuple(parse_window(text) for text in windows),
        days_off=frozenset(first + number * DAY for number in days),
    )


def is_unbroken(schedule: Schedule, start: datetime, end: datetime, early: timedelta) -> bool:
    pieces = intervals(schedule, start, end, early)
    starts = [start, *(piece.end for piece in pieces)]
    return starts == [*(piece.start for piece in pieces), end]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), timezone=zones, early=EARLY)
def test_nothing_changes_before_the_next_edge_and_something_does_at_it(
    data: st.DataObject, timezone: str, early: timedelta
) -> None:
    instant = data.draw(moments(timezone))
    schedule = data.draw(schedules(timezone, instant))
    state = state_at(schedule, instant, early)
    until = state.next_edge or instant + 390 * DAY
    same = [Interval(instant, until, state.keep_running)] if state.inside else []
    found = intervals(schedule, instant, until, early)
    assert [Interval(one.start, one.end, one.keep_running) for one in found] == same
    if state.next_edge:
        after = state_at(schedule, state.next_edge, early)
        assert (after.inside, after.keep_running) != (state.inside, state.keep_running)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), timezone=zones, early=EARLY)
def test_the_bounds_of_a_window_enclose_unbroken_time(
    data: st.DataObject, timezone: str, early: timedelta
) -> None:
    instant = data.draw(moments(timezone))
    schedule = data.draw(schedules(timezone, instant))
    state = state_at(schedule, instant, early)
    if not state.inside:
        assert (state.window_start, state.window_end) == (None, None)
        return
    start, end = state.window_start or instant - 30 * DAY, state.window_end or instant + 30 * DAY
    assert start <= instant < end
    assert is_unbroken(schedule, start, end, early)
    if state.window_start:
        assert not state_at(schedule, start - MINUTE, early).inside
    if state.window_end:
        assert not state_at(schedule, end, early).inside


@settings(max_examples=60, deadline=None)
@given(data=st.data(), timezone=zones, early=EARLY)
def test_nothing_is_on_until_the_next_start(
    data: st.DataObject, timezone: str, early: timedelta
) -> None:
    instant = data.draw(moments(timezone))
    schedule = data.draw(schedules(timezone, instant))
    state = state_at(schedule, instant, early)
    asleep_from = state.window_end if state.inside else instant
    if asleep_from is None:
        assert state.next_start is None
        return
    asleep_until = state.next_start or instant + 390 * DAY
    assert intervals(schedule, asleep_from, asleep_until, early) == []
    if state.next_start:
        begun = state_at(schedule, state.next_start, early)
        assert begun.inside
        assert state.next_opens == (begun.opens_at or state.next_start)


@pytest.mark.parametrize(
    ("schedule", "next_start"),
    [
        (
            written("mon 09:00-10:00", off=(date(2025, 1, 1), date(2025, 12, 31))),
            "2026-01-05T09:00",
        ),
        (written("31st 09:00-10:00"), "2025-01-31T09:00"),
        (written("5th mon 09:00-10:00"), "2025-03-31T09:00"),
        (
            written("29th 09:00-10:00", off=(date(2025, 1, 1), date(2025, 3, 28))),
            "2025-03-29T09:00",
        ),
        (written("1st 09:00-10:00", off=(date(2025, 1, 1), date(2026, 1, 30))), "2026-02-01T09:00"),
    ],
)
def test_a_start_is_found_thirteen_months_ahead(schedule: Schedule, next_start: str) -> None:
    state = state_at(schedule, datetime(2025, 1, 1, tzinfo=UTC))
    assert state.next_start == state.next_edge == datetime.fromisoformat(f"{next_start}Z")


def test_the_end_of_what_is_always_on_but_for_one_far_day_is_found() -> None:
    always = written("daily 00:00-24:00", off=(date(2025, 12, 25), date(2025, 12, 25)))
    state = state_at(always, datetime(2025, 1, 1, tzinfo=UTC))
    assert state.window_end == state.next_edge == datetime(2025, 12, 25, tzinfo=UTC)
    assert state.next_start == datetime(2025, 12, 26, tzinfo=UTC)


def test_a_change_of_keep_running_does_not_hide_the_end_of_what_is_always_on() -> None:
    thursday = date(2025, 6, 5)
    always = written("daily 00:00-24:00", "mon 09:00-10:00 keep-running", off=(thursday, thursday))
    state = state_at(always, datetime(2025, 6, 2, tzinfo=UTC))
    assert state.next_edge == datetime(2025, 6, 2, 9, tzinfo=UTC)
    assert state.window_end == datetime(2025, 6, 5, tzinfo=UTC)
    assert state.next_start == datetime(2025, 6, 6, tzinfo=UTC)


def test_what_begins_with_a_start_up_time_of_tomorrow_began_before_it() -> None:
    """The window of the day after is what runs now; what ran before it is part of the stretch."""
    schedule = written("tue 00:30-02:00 ready-by", "mon 10:00-14:00")
    state = state_at(
        schedule, datetime(2025, 6, 2, 15, tzinfo=UTC), timedelta(hours=10, minutes=30)
    )
    assert state.window_start == datetime(2025, 6, 2, 10, tzinfo=UTC)
    assert state.opens_at == datetime(2025, 6, 3, 0, 30, tzinfo=UTC)
    assert state.window_end == datetime(2025, 6, 3, 2, tzinfo=UTC)


def test_a_start_up_time_of_tomorrow_may_come_before_tonights_window() -> None:
    schedule = written("mon 22:00-23:00", "tue 00:30-02:00 ready-by")
    noon, early = datetime(2025, 6, 2, 12, tzinfo=UTC), timedelta(hours=11)
    state = state_at(schedule, noon, early)
    begun = datetime(2025, 6, 2, 13, 30, tzinfo=UTC)
    assert state.next_start == state.next_edge == begun
    assert state.next_opens == datetime(2025, 6, 2, 22, tzinfo=UTC)
    assert state_at(schedule, begun, early).window_end == datetime(2025, 6, 3, 2, tzinfo=UTC)


def test_a_start_up_time_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        state_at(
            written("mon 09:00-10:00"), datetime(2025, 6, 2, tzinfo=UTC), timedelta(minutes=-1)
        )
