"""Everything that a schedule can say, held against a walk along the clocks, minute by minute."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.schedules.model import Schedule, ScheduleState
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.points import next_point, points
from tests.support.schedules import moments, schedules, zones
from tests.support.walking import DAY, MINUTE, Walk

MOST_EARLY = 720


def edges_by_walk(walk: Walk, schedule: Schedule, early: int, minute: int) -> ScheduleState:
    """The state at a minute of the walk, as far as the walk shows."""
    answers = walk.answers(schedule, early)
    awake, kept, proper = answers[minute]
    later = range(minute + 1, len(answers))

    def first(numbers: range, place: int, wanted: object) -> datetime | None:
        found = next((n for n in numbers if answers[n][place] == wanted), None)
        return None if found is None else walk.instants[found]

    ends = next((n for n in later if not answers[n][0]), len(answers)) if awake else minute
    begun = next((n for n in range(minute, 0, -1) if not answers[n - 1][0]), 0)
    starts = next((n for n in range(ends, len(answers)) if answers[n][0]), len(answers))
    edge = next((n for n in later if answers[n][:2] != (awake, kept)), None)
    return ScheduleState(
        inside=awake,
        keep_running=kept,
        window_start=walk.instants[begun] if awake and begun else None,
        window_end=walk.instants[ends] if awake and ends < len(answers) else None,
        next_start=walk.instants[starts] if starts < len(answers) else None,
        next_edge=None if edge is None else walk.instants[edge],
        opens_at=first(later, 2, wanted=True) if awake and not proper else None,
        next_opens=first(range(starts, len(answers)), 2, wanted=True),
    )


def assert_same_state(found: ScheduleState, walked: ScheduleState, seen: Walk) -> None:
    """They agree on all that the walk could see, and the rest lies where it could not."""
    assert (found.inside, found.keep_running) == (walked.inside, walked.keep_running)
    horizon = seen.instants[-1] - DAY
    for name in ("window_end", "next_start", "next_edge", "opens_at", "next_opens"):
        mine, theirs = getattr(found, name), getattr(walked, name)
        if theirs is None or theirs > horizon:
            assert mine is None or mine > horizon, name
        else:
            assert mine == theirs, name
    if walked.window_start and walked.window_start > seen.instants[0] + 2 * DAY:
        assert found.window_start == walked.window_start


def check_against_walk(data: st.DataObject, timezone: str) -> None:
    start = data.draw(moments(timezone))
    end = start + data.draw(st.integers(1, 2 * 1440)) * MINUTE
    schedule = data.draw(schedules(timezone, start))
    early = data.draw(st.sampled_from((0, 0, 7, 90)) | st.integers(0, MOST_EARLY))
    ahead = early * MINUTE
    walk = Walk(timezone, start, end)
    assert intervals(schedule, start, end, ahead) == walk.intervals(schedule, early)
    fired = walk.points(schedule)
    assert points(schedule, start, end) == fired
    upcoming = next_point(schedule, start - timedelta(microseconds=1))
    if fired:
        assert upcoming == fired[0]
    else:
        assert upcoming is None or upcoming.at >= end
    minute = (start - walk.first) // MINUTE
    walked = edges_by_walk(walk, schedule, early, minute)
    assert_same_state(state_at(schedule, start, ahead), walked, walk)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), timezone=zones)
def test_a_schedule_says_what_a_walk_along_the_clocks_finds(
    data: st.DataObject, timezone: str
) -> None:
    check_against_walk(data, timezone)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None)
@given(data=st.data(), timezone=zones)
def test_many_schedules_say_what_a_walk_along_the_clocks_finds(
    data: st.DataObject, timezone: str
) -> None:
    check_against_walk(data, timezone)
