"""Clicks and their cancelling: whatever was clicked before and meanwhile, no click is left over."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Wish
from orchestrator.services import clicks, deletion, running
from orchestrator.services.clicks import Clicked, Terms
from orchestrator.services.requests import Asked, close
from orchestrator.store import holds, operations
from orchestrator.store.tables import Account, Endpoint, Event, Hold, Operation
from tests.support import rows
from tests.support.rows import NOON

HOUR = timedelta(hours=1)
LONG_AGO = NOON - 24 * HOUR


@pytest.fixture
def desk(session: Session) -> Session:
    """Return a store whose endpoint runs, as ada wished a day ago."""
    session.add(
        rows.endpoint(
            managed=True,
            managed_since=LONG_AGO,
            min_replicas=1,
            wish=Wish.RUNNING,
            wish_reason="launch",
            wish_actor="ada",
            wish_at=LONG_AGO,
        )
    )
    session.flush()
    return session


def asked(hours: int = 0, actor: str = "bob") -> Asked:
    return Asked(actor, NOON + hours * HOUR, "demo")


def pause(session: Session, hours: int = 0, until: datetime | None = None) -> Clicked:
    done = clicks.request_pause(session, endpoint(session), asked(hours), Terms(until))
    session.flush()
    return done


def resume(session: Session, hours: int, until: datetime) -> Clicked:
    done = clicks.request_resume(session, endpoint(session), asked(hours), Terms(until))
    session.flush()
    return done


def delete(session: Session, hours: int = 0) -> Operation:
    operation = deletion.request_delete(session, endpoint(session), asked(hours), confirm="search")
    session.flush()
    return operation


def cancel(session: Session, operation: Operation, hours: int = 5) -> Operation:
    cancelled = running.cancel(session, operation.id, asked(hours))
    session.flush()
    return cancelled


def outside(session: Session, wish: Wish, hours: int) -> None:
    clicks.outside_click(
        session,
        session.get_one(Account, "acc_lab"),
        endpoint(session),
        wish,
        now=NOON + hours * HOUR,
        actor="cloud:eve",
        reason="seen from outside",
    )
    session.flush()


def endpoint(session: Session) -> Endpoint:
    return session.get_one(Endpoint, "ep_search")


def standing(session: Session) -> tuple[str, str, str, datetime | None]:
    session.expire(endpoint(session))
    row = endpoint(session)
    return row.wish, row.wish_actor, row.wish_reason, row.wish_at


def in_force(session: Session, hours: int = 5) -> list[Hold]:
    return holds.active_of(session, ["ep_search"], NOON + hours * HOUR).get("ep_search", [])


AT_FIRST = ("running", "ada", "launch", LONG_AGO)


def test_deleting_twice_is_one_deletion_and_a_cancel_takes_it_back(desk: Session) -> None:
    first, second = delete(desk), delete(desk, 1)
    assert first.id == second.id
    cancel(desk, second)
    assert standing(desk) == AT_FIRST
    assert operations.active_for(desk, "ep_search") is None


def test_a_deletion_asked_for_again_after_a_failure_is_taken_back_whole(desk: Session) -> None:
    hold = pause(desk, until=NOON + 9 * HOUR).hold
    assert hold is not None
    first = delete(desk, 1)
    close(desk, first, "failed", "the cloud refused", at=NOON + HOUR)
    desk.flush()
    again = delete(desk, 2)
    assert again.id != first.id
    cancel(desk, again)
    assert standing(desk) == AT_FIRST
    assert [one.id for one in in_force(desk)] == [hold.id]


def test_a_deletion_is_never_what_is_restored(desk: Session) -> None:
    row = endpoint(desk)
    row.wish, row.status = Wish.DELETED, "paused"
    desk.add(row)
    cancel(desk, delete(desk), 1)
    assert standing(desk)[:2] == ("paused", "bob")


def test_deleting_again_joins_what_is_being_sent(desk: Session) -> None:
    first = delete(desk)
    first.status = "running"
    desk.add(first)
    desk.flush()
    assert delete(desk, 1).id == first.id


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_cancel_undoes_every_repetition_of_a_click(desk: Session, times: int) -> None:
    made = [pause(desk, hour).operation for hour in range(times)]
    assert len({operation.id for operation in made}) == 1
    assert standing(desk)[0] == "paused"
    cancel(desk, made[-1])
    assert standing(desk) == AT_FIRST


@pytest.mark.parametrize("ends", [(None, 9), (9, None), (8, 9)])
def test_a_cancel_undoes_repetitions_with_and_without_an_end(
    desk: Session, ends: tuple[int | None, ...]
) -> None:
    for hour, end in enumerate(ends):
        made = pause(desk, hour, None if end is None else NOON + end * HOUR)
    cancel(desk, made.operation)
    assert standing(desk) == AT_FIRST
    assert in_force(desk) == []


def test_a_cancel_restores_the_hold_that_the_click_ended(desk: Session) -> None:
    held = resume(desk, 0, NOON + 9 * HOUR)
    assert held.hold is not None
    pause(desk, 1)
    made = pause(desk, 2, NOON + 7 * HOUR)
    assert made.hold is not None
    cancel(desk, made.operation)
    assert [hold.id for hold in in_force(desk)] == [held.hold.id]
    assert in_force(desk)[0].ended_by == ""
    assert desk.get_one(Hold, made.hold.id).ended_by == "bob"
    kinds = [one.kind for one in desk.exec(select(Event).order_by(col(Event.id)))]
    assert kinds[-1] == "hold.restored"


def test_a_hold_that_is_over_is_not_restored(desk: Session) -> None:
    resume(desk, 0, NOON + 2 * HOUR)
    made = pause(desk, 1)
    cancel(desk, made.operation)
    assert in_force(desk) == []


def test_a_cancel_leaves_what_somebody_asked_for_since(desk: Session) -> None:
    made = pause(desk)
    outside(desk, Wish.AVAILABLE, 1)
    cancel(desk, made.operation)
    assert standing(desk)[:2] == ("available", "cloud:eve")


def test_a_repetition_goes_back_to_what_came_in_between(desk: Session) -> None:
    pause(desk)
    outside(desk, Wish.AVAILABLE, 1)
    made = pause(desk, 2)
    cancel(desk, made.operation)
    assert standing(desk)[:2] == ("available", "cloud:eve")


def test_an_operation_of_a_rule_is_joined_but_not_rewritten(desk: Session) -> None:
    desk.add(rows.operation(actor="engine", rule="schedule:sch_1", kind=Kind.PAUSE))
    desk.flush()
    made = pause(desk)
    assert (made.operation.id, made.operation.request) == ("op_1", {})
    assert standing(desk)[0] == "paused"
