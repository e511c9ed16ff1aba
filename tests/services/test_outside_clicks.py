"""What somebody does in the cloud's own console counts as a click."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.status import Status, Wish
from orchestrator.services import clicks, hold_rows
from orchestrator.services.clicks import opposes
from orchestrator.store import holds, operations
from orchestrator.store.tables import Account, Binding, Endpoint, Hold, Rate, Schedule
from tests.support import rows
from tests.support.rows import NOON

HOUR = timedelta(hours=1)


@pytest.fixture
def ruled(session: Session) -> Session:
    """Return a store whose endpoint a schedule wants paused now, from 20:00 on available."""
    session.add(managed(status="paused", wish="running", wish_at=NOON, min_replicas=0))
    window = {"days": list(range(7)), "start": "20:00", "end": "23:00"}
    session.add(
        Schedule(
            id="sch_1",
            name="evenings",
            timezone="UTC",
            windows=[window],
            drain_minutes=0,
            effective_from=NOON,
            created_at=NOON,
            created_by="ada",
            updated_at=NOON,
        )
    )
    session.flush()
    session.add(
        Binding(rule_id="sch_1", endpoint_id="ep_search", rule_kind="schedule", matched_at=NOON)
    )
    session.flush()
    return session


def managed(**values: Any) -> Endpoint:
    return rows.endpoint(**{"managed": True, "managed_since": NOON, **values})


def click(session: Session, wish: Wish, **values: Any) -> Hold | None:
    return clicks.outside_click(
        session,
        session.get_one(Account, "acc_lab"),
        session.get_one(Endpoint, "ep_search"),
        wish,
        now=NOON,
        actor="cloud:bob",
        reason="seen from outside",
        **values,
    )


def test_a_resume_against_a_schedule_is_a_hold(ruled: Session) -> None:
    hold = click(ruled, Wish.RUNNING)
    assert hold is not None
    assert (hold.wish, hold.until, hold.actor) == ("running", NOON + 4 * HOUR, "cloud:bob")
    assert operations.active_for(ruled, "ep_search") is None


def test_the_longest_run_is_the_installations(ruled: Session) -> None:
    hold = click(ruled, Wish.RUNNING, longest_run=HOUR)
    assert hold is not None
    assert hold.until == NOON + HOUR


def test_a_pause_that_a_schedule_wants_too_is_a_wish(ruled: Session) -> None:
    assert click(ruled, Wish.PAUSED) is None
    row = ruled.get_one(Endpoint, "ep_search")
    assert (row.wish, row.wish_actor) == ("paused", "cloud:bob")


def test_a_newer_click_from_outside_ends_a_hold(ruled: Session) -> None:
    click(ruled, Wish.RUNNING)
    ruled.flush()
    click(ruled, Wish.PAUSED)
    ruled.flush()
    assert holds.active_of(ruled, ["ep_search"], NOON) == {}


def test_what_is_being_deleted_is_left_so(ruled: Session) -> None:
    row = ruled.get_one(Endpoint, "ep_search")
    row.wish = Wish.DELETED
    assert click(ruled, Wish.RUNNING) is None
    assert row.wish == Wish.DELETED


def test_a_freeze_does_not_forget_a_click_from_outside(ruled: Session) -> None:
    account = ruled.get_one(Account, "acc_lab")
    account.frozen_at, account.frozen_by, account.frozen_reason = NOON, "ada", "audit"
    assert click(ruled, Wish.RUNNING) is not None


@pytest.mark.parametrize(
    ("wish", "rule", "decided", "against"),
    [
        (Wish.PAUSED, Rule.SCHEDULE, Wish.AVAILABLE, True),
        (Wish.PAUSED, Rule.SCHEDULE, Wish.RUNNING, True),
        (Wish.PAUSED, Rule.SCHEDULE, Wish.PAUSED, False),
        (Wish.RUNNING, Rule.SCHEDULE, Wish.PAUSED, True),
        (Wish.RUNNING, Rule.SCHEDULE, Wish.AVAILABLE, False),
        (Wish.AVAILABLE, Rule.SCHEDULE, Wish.PAUSED, True),
        (Wish.AVAILABLE, Rule.SCHEDULE, Wish.RUNNING, True),
        (Wish.AVAILABLE, Rule.SCHEDULE, Wish.AVAILABLE, False),
        (Wish.PAUSED, Rule.IDLE, Wish.AVAILABLE, False),
        (Wish.RUNNING, Rule.STANDING, Wish.PAUSED, False),
        (Wish.RUNNING, Rule.NOT_MANAGED, None, False),
    ],
)
def test_only_a_schedule_objects(
    wish: Wish, rule: Rule, decided: Wish | None, against: bool
) -> None:
    assert opposes(wish, Decision(decided, rule, "because")) is against


@pytest.mark.parametrize("least", [0, 1, 3])
def test_the_cost_of_a_hold_counts_the_least_replicas(session: Session, least: int) -> None:
    row = managed(min_replicas=least, hardware_key="h", status=Status.PAUSED)
    session.add(row)
    session.flush()
    assert hold_rows.cost(session, row, Wish.RUNNING, NOON, NOON + HOUR) is None
    session.add(
        Rate(
            id="rat_1",
            account_id="acc_lab",
            hardware_key="h",
            nano_per_hour=1_000,
            effective_at=NOON,
            source="test",
        )
    )
    session.flush()
    cost = hold_rows.cost(session, row, Wish.RUNNING, NOON, NOON + 90 * HOUR / 60)
    assert cost == 1_500 * max(least, 1)
    assert hold_rows.cost(session, row, Wish.PAUSED, NOON, NOON + HOUR) == 0


def test_the_costs_of_many_holds_take_one_look_at_past_starts(session: Session) -> None:
    session.add(
        Rate(
            id="rat_1",
            account_id="acc_lab",
            hardware_key="h",
            nano_per_hour=3_600,
            effective_at=NOON,
            source="test",
        )
    )
    many: list[Endpoint] = []
    for number, name in enumerate("abc"):
        row = managed(name=name, hardware_key="h", status=Status.PAUSED)
        session.add(row)
        session.flush()
        asked = {"kind": "resume", "status": "succeeded", "endpoint_id": row.id}
        at = NOON - (number + 2) * HOUR
        done = at + (number + 1) * timedelta(minutes=10)
        session.add(rows.operation(number, created_at=at, finished_at=done, **asked))
        many.append(row)
    session.flush()
    looks: list[str] = []

    def note(connection: object, cursor: object, statement: str, *others: object) -> None:
        del connection, cursor, others
        looks.extend([statement] * ("operation.finished_at" in statement))

    bind = session.connection()
    event.listen(bind, "before_cursor_execute", note)
    costs = [hold_rows.cost(session, row, Wish.RUNNING, NOON, NOON + HOUR / 60) for row in many]
    event.remove(bind, "before_cursor_execute", note)
    assert costs == [16 * 60, 31 * 60, 46 * 60]
    assert len(looks) == 1
