"""Many starts at once: the order, the limits, and the forecast of who will be late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.stagger import (
    Quota,
    Start,
    StartLimits,
    admit,
    forecast_starts,
    most_used_first,
)

NINE = datetime(2026, 11, 16, 9, tzinfo=UTC)
L4 = "aws/nvidia-l4"
PACE = StartLimits(per_pass=20, every=timedelta(seconds=10))


def start(name: str, used: int = 0, **more: object) -> Start:
    given_up = {"quota": L4, "takes": 1, **more}
    return Start(name, NINE, used=used, **given_up)  # type: ignore[arg-type] # by the test


def names(starts: object) -> list[str]:
    return [one.endpoint_id for one in starts]  # type: ignore[attr-defined] # any iterable


def test_the_most_used_have_their_turn_first_and_what_gave_way_last() -> None:
    late_used = start("b", last_used_at=NINE - timedelta(hours=1))
    rows = [start("c"), start("gave", 900, gave_way=True), start("a", 5), late_used]
    assert names(most_used_first(rows)) == ["a", "b", "c", "gave"]


def test_what_finds_no_room_lets_smaller_ones_pass() -> None:
    passed = admit([start("big", 9, takes=4), start("small", 1)], {L4: Quota(8, 6)}, 20)
    assert (names(passed.begins), names(passed.no_room)) == (["small"], ["big"])


def test_what_gave_way_waits_while_another_needs_the_quota() -> None:
    back = start("back", gave_way=True)
    passed = admit([start("big", takes=4), back], {L4: Quota(8, 6)}, 20)
    assert names(passed.no_room) == ["big", "back"]
    assert names(admit([back], {L4: Quota(8, 6)}, 20).begins) == ["back"]


def test_an_unknown_quota_holds_nobody_back() -> None:
    assert len(admit([start("a"), start("b", quota="")], {}, 20).begins) == 2


def test_two_hundred_starts_at_nine_are_told_how_late_they_are() -> None:
    rows = [start(f"e{number:03}", used=number) for number in range(200)]
    told = {one.endpoint_id: one for one in forecast_starts(rows, PACE, {L4: Quota(150, 0)})}
    assert told["e199"].begins_at == NINE
    assert told["e179"].begins_at == NINE + timedelta(seconds=10)
    assert told["e050"].begins_at == NINE + timedelta(seconds=70)
    assert "the most used first: 20 every 10 s" in told["e050"].why_late
    never = [one for one in told.values() if one.begins_at is None]
    assert sorted(names(never)) == [f"e{number:03}" for number in range(50)]
    assert "150 of 150 in use" in never[0].why_late


def test_a_start_serves_after_its_start_up() -> None:
    (told,) = forecast_starts([start("a", start_up=timedelta(minutes=7))], PACE, {})
    assert (told.begins_at, told.expected_at) == (NINE, NINE + timedelta(minutes=7))
    assert told.why_late == ""


STARTS = st.lists(
    st.builds(
        lambda number, used, takes, minute: (number, used, takes, minute),
        st.integers(0, 10_000),
        st.integers(0, 5),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    unique_by=lambda one: one[0],
    max_size=40,
)


@given(rows=STARTS, most=st.integers(0, 60), per_pass=st.integers(1, 7))
def test_none_is_lost_and_no_limit_is_exceeded(
    rows: list[tuple[int, int, int, int]], most: int, per_pass: int
) -> None:
    starts = [
        Start(str(number), NINE + timedelta(minutes=minute), L4, takes, used)
        for number, used, takes, minute in rows
    ]
    limits = StartLimits(per_pass, timedelta(seconds=10))
    told = forecast_starts(starts, limits, {L4: Quota(most, 0)})
    assert names(told) == names(starts)
    begun = [(t, s) for t, s in zip(told, starts, strict=True) if t.begins_at is not None]
    assert sum(one.takes for _, one in begun) <= most
    at = [t.begins_at for t, _ in begun]
    assert all(at.count(instant) <= per_pass for instant in set(at))
    assert all(t.begins_at is not None and t.begins_at >= s.wanted_at for t, s in begun)
    assert all(t.why_late for t in told if t.begins_at is None)
