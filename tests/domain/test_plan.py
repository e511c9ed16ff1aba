"""`plan`: what is begun, in which order, and what is put off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import NOT_BILLED, BilledReplicas
from orchestrator.domain.plan import Kind, Limits, Wanted, needed, plan
from orchestrator.domain.status import Status, Wish

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
ONE = BilledReplicas(1, 1, 1)


def decision(wish: Wish | None, rule: Rule = Rule.SCHEDULE, *, to_zero: bool = False) -> Decision:
    return Decision(wish, rule, "because", to_zero=to_zero)


def wanted(key: str, status: Status, wish: Wish, **changes: object) -> Wanted:
    rule = changes.pop("rule", Rule.SCHEDULE)
    to_zero = bool(changes.pop("to_zero", False))
    assert isinstance(rule, Rule)
    return Wanted(key, status, ONE, decision(wish, rule, to_zero=to_zero), **changes)  # type: ignore[arg-type]  # values are the field's own types


@pytest.mark.parametrize(
    ("status", "wish", "kind"),
    [
        (Status.RUNNING, Wish.PAUSED, Kind.PAUSE),
        (Status.INITIALIZING, Wish.PAUSED, Kind.PAUSE),
        (Status.PENDING, Wish.PAUSED, Kind.PAUSE),
        (Status.SCALED_TO_ZERO, Wish.PAUSED, Kind.PAUSE),
        (Status.PAUSED, Wish.PAUSED, None),
        (Status.PAUSED, Wish.RUNNING, Kind.RESUME),
        (Status.PAUSED, Wish.AVAILABLE, Kind.RESUME),
        (Status.SCALED_TO_ZERO, Wish.RUNNING, Kind.RESUME),
        (Status.SCALED_TO_ZERO, Wish.AVAILABLE, None),
        (Status.RUNNING, Wish.AVAILABLE, None),
        (Status.RUNNING, Wish.RUNNING, None),
        (Status.FAILED, Wish.RUNNING, None),
        (Status.RUNNING, Wish.DELETED, Kind.DELETE),
        (Status.PAUSED, Wish.DELETED, Kind.DELETE),
        (Status.DELETED, Wish.DELETED, None),
        *[(Status.UNKNOWN, wish, None) for wish in Wish],
    ],
)
def test_each_status_needs_its_change(status: Status, wish: Wish, kind: Kind | None) -> None:
    assert needed(status, decision(wish), ONE) is kind


def test_no_wish_needs_no_change() -> None:
    assert needed(Status.RUNNING, decision(None), ONE) is None


def test_a_failed_endpoint_is_stopped_only_while_it_may_be_billed() -> None:
    assert needed(Status.FAILED, decision(Wish.PAUSED), ONE) is Kind.PAUSE
    assert needed(Status.FAILED, decision(Wish.PAUSED), NOT_BILLED) is None


def test_only_a_running_endpoint_is_sent_to_zero() -> None:
    zero = decision(Wish.AVAILABLE, Rule.IDLE, to_zero=True)
    assert needed(Status.RUNNING, zero, ONE) is Kind.SCALE_TO_ZERO
    assert needed(Status.UPDATING, zero, ONE) is None


def test_the_dearest_stop_comes_first_and_the_most_recently_used_start() -> None:
    items = [
        wanted("cheap", Status.RUNNING, Wish.PAUSED, burn=10),
        wanted("dear", Status.RUNNING, Wish.PAUSED, burn=99),
        wanted("old", Status.PAUSED, Wish.RUNNING, last_used_at=NOW - timedelta(days=9)),
        wanted("fresh", Status.PAUSED, Wish.RUNNING, last_used_at=NOW - timedelta(hours=9)),
        wanted("never", Status.PAUSED, Wish.RUNNING),
    ]
    order = [action.endpoint_id for action in plan(items, Limits(), NOW).actions]
    assert order == ["dear", "cheap", "fresh", "old", "never"]


def test_back_off_is_respected_and_told() -> None:
    item = wanted("a", Status.RUNNING, Wish.PAUSED, not_before=NOW + timedelta(minutes=1))
    found = plan([item], Limits(), NOW)
    assert found.actions == ()
    assert [why for _, why in found.deferred] == ["backing off until 09:01:00 UTC"]


def test_idleness_stops_a_part_of_the_fleet_at_most_but_schedules_are_not_held_back() -> None:
    idle = [
        wanted(f"i{n}", Status.RUNNING, Wish.AVAILABLE, rule=Rule.IDLE, to_zero=True)
        for n in range(20)
    ]
    windows = [wanted(f"s{n}", Status.RUNNING, Wish.PAUSED) for n in range(20)]
    found = plan([*idle, *windows], Limits(idle_stop_floor=5, idle_stop_share=30), NOW)
    rules = [action.decision.rule for action in found.actions]
    assert rules.count(Rule.IDLE) == 12
    assert rules.count(Rule.SCHEDULE) == 20
    assert len(found.deferred) == 8


def test_what_idleness_stopped_within_the_hour_counts() -> None:
    idle = [
        wanted(f"i{n}", Status.RUNNING, Wish.AVAILABLE, rule=Rule.IDLE, to_zero=True)
        for n in range(70)
    ]
    left = plan(idle, Limits(idle_stopped=28), NOW)
    assert len(left.actions) == 1  # 30 percent of 98, of which 28 sleep
    none = plan(idle, Limits(idle_stopped=30), NOW)
    assert none.actions == ()
    assert "within an hour" in none.deferred[0][1]


def test_a_small_fleet_is_not_blocked_by_the_share() -> None:
    idle = [
        wanted(f"i{n}", Status.RUNNING, Wish.AVAILABLE, rule=Rule.IDLE, to_zero=True)
        for n in range(4)
    ]
    assert len(plan(idle, Limits(), NOW).actions) == 4


def test_starts_are_staggered() -> None:
    items = [wanted(f"p{n:02}", Status.PAUSED, Wish.RUNNING) for n in range(25)]
    found = plan(items, Limits(starts=20), NOW)
    assert (len(found.actions), len(found.deferred)) == (20, 5)
