"""What is worked out once for each stretch says what is worked out at each instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.schedules.model import EVERY_DAY, Schedule, ScheduleState, Window
from orchestrator.domain.schedules.occurrences import AT_ONCE, intervals, state_at
from orchestrator.domain.schedules.points import next_point
from orchestrator.services.edges import Edges
from orchestrator.services.schedule_book import last_since
from tests.support.schedules import moments, schedules, zones

STEPS = st.lists(
    st.integers(-6000, 12000).map(lambda minutes: timedelta(minutes=minutes)),
    min_size=3,
    max_size=8,
)
EARLY = st.sampled_from([AT_ONCE, timedelta(minutes=25)])


@given(data=st.data(), timezone=zones, steps=STEPS, early=EARLY)
def test_windows_say_the_same(
    data: st.DataObject, timezone: str, steps: list[timedelta], early: timedelta
) -> None:
    moment = data.draw(moments(timezone))
    schedule = data.draw(schedules(timezone, moment))
    edges, drain = Edges(schedule), timedelta(minutes=schedule.drain_minutes)
    now = moment
    for step in (*steps, timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=3)):
        now += step
        state, ended = edges.state(now, early)
        assert _near(state, now) == _near(state_at(schedule, now, early), now), now
        past = [] if state.inside or not drain else intervals(schedule, now - drain, now, early)
        assert ended == max((one.end for one in past), default=None), now


def _near(state: ScheduleState, now: datetime) -> ScheduleState:
    """Leave out a start that is so far ahead that a look some days earlier did not reach it."""
    far = state.next_start is None or state.next_start > now + timedelta(days=20)
    return replace(state, next_start=None, next_opens=None) if far else state


@given(data=st.data(), timezone=zones, steps=STEPS)
def test_points_fire_at_the_same_instants(
    data: st.DataObject, timezone: str, steps: list[timedelta]
) -> None:
    moment = data.draw(moments(timezone))
    schedule = data.draw(schedules(timezone, moment))
    edges, now = Edges(schedule), moment
    since = moment - timedelta(days=30)
    for step in steps if schedule.points else ():
        now = max(now + step, since)
        assert edges.last_point(since, now) == last_since(schedule, since, now), now
        assert edges.next_point(now) == next_point(schedule, now), now


def test_an_opening_after_start_up_time_is_an_edge() -> None:
    window = Window(EVERY_DAY, time(8), time(10), ready_by=True)
    edges = Edges(Schedule("UTC", (window,)))
    early = timedelta(minutes=25)
    for minutes in (7 * 60 + 40, 8 * 60 + 5, 10 * 60 + 5, 10 * 60 + 40):
        now = datetime(2026, 11, 16, tzinfo=UTC) + timedelta(minutes=minutes)
        assert edges.state(now, early)[0] == state_at(edges.windows, now, early), now
