"""Recorded requests: what is known of them, what is not, and never more than was counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.demand import Assume, Burst, Demand, demand_of
from orchestrator.domain.endpoints import Stretch
from orchestrator.domain.usage import STRETCH, STRETCH_S

START = datetime(2026, 11, 16, tzinfo=UTC)
PLACES = 30
END = START + PLACES * STRETCH


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def stretch(place: int, requests: int = 0, covered: int = STRETCH_S) -> Stretch:
    return Stretch(START + place * STRETCH, requests, covered)


stretches = st.lists(
    st.builds(
        stretch,
        st.integers(0, PLACES - 1),
        st.sampled_from([0, 0, 1, 3, 50]),
        st.sampled_from([STRETCH_S, STRETCH_S, 599, 300, 0]),
    ),
    unique_by=lambda one: one.start,
)
instants = st.integers(0, PLACES * STRETCH_S).map(
    lambda seconds: START + timedelta(seconds=seconds)
)


@given(stretches, instants, instants)
def test_no_request_is_lost_or_made_up(
    found: list[Stretch], one: datetime, other: datetime
) -> None:
    demand = demand_of(found, START, END)
    total = sum(each.requests for each in found)
    first, last = sorted((one, other))
    # The last request of a stretch may come at its very end.
    whole = demand.count(START, END + timedelta(seconds=1))
    assert (whole.low, whole.high) == (total, total)
    part = demand.count(first, last)
    assert 0 <= part.low <= part.expected <= part.high <= total


@given(stretches, instants)
def test_the_next_request_after_the_last_is_later(found: list[Stretch], at: datetime) -> None:
    demand = demand_of(found, START, END)
    for assume in Assume:
        last, following = demand.last_to(at, assume), demand.first_from(at, assume)
        assert last is None or last <= at
        assert following is None or following >= at
    after = demand.first_from(at + timedelta(microseconds=1), Assume.UNKNOWN)
    if after is not None:
        assert demand.last_to(after, Assume.UNKNOWN) == after


@given(stretches)
def test_each_second_is_known_or_a_hole(found: list[Stretch]) -> None:
    demand = demand_of(found, START, END)
    known = sum(1 for one in found if one.covered_s >= 599 or one.requests)
    assert demand.unknown_in(START, END) == (PLACES - known) * STRETCH
    for begin, end in demand.unknown:
        assert demand.hole(begin) == (begin, end)
        assert demand.hole(end) != (begin, end)


def test_evidence_ends_where_nothing_is_known() -> None:
    demand = demand_of([stretch(0), stretch(1, 2), stretch(4)], START, minute(60))
    inside = demand.activity(minute(25), Assume.UNKNOWN, START)
    assert (inside.covered_from, inside.covered_to) == (START, minute(20))
    assert inside.last_request_at == minute(20)
    later = demand.activity(minute(45), Assume.UNKNOWN, START)
    assert (later.covered_from, later.covered_to) == (minute(40), minute(45))
    idle = demand.activity(minute(45), Assume.IDLE, START)
    assert (idle.covered_from, idle.covered_to) == (None, minute(45))
    busy = demand.activity(minute(45), Assume.BUSY, START)
    assert busy.last_request_at == minute(40)


def test_what_is_unknown_wakes_only_where_it_is_taken_as_busy() -> None:
    demand = Demand(START, END, (Burst(minute(50), minute(60), 2),), ((minute(10), minute(20)),))
    assert demand.first_from(START, Assume.UNKNOWN) == minute(55)
    assert demand.first_from(START, Assume.BUSY) == minute(10)
    assert demand.first_from(minute(15), Assume.BUSY) == minute(15)
    assert demand.first_from(minute(61), Assume.BUSY) is None
