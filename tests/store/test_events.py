"""The record of what happened, and how it is searched."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.store import events
from orchestrator.store.database import Database
from orchestrator.store.events import EventFilter
from tests.support.rows import NOON

KINDS = ("account.connected", "endpoint.adopted", "endpoint.released", "endpointless.thing")


@pytest.fixture
def recorded(database: Database) -> Database:
    with database.write() as session:
        for number, kind in enumerate(KINDS):
            events.record(
                session,
                at=NOON + timedelta(hours=number),
                kind=kind,
                actor="ada",
                message=f"number {number}",
                account_id="acc_a" if number < 2 else "acc_b",
                endpoint_id="ep_1" if number == 2 else None,
                data={"number": number},
            )
    return database


def numbers(database: Database, wanted: EventFilter, limit: int = 50) -> list[int]:
    with database.read() as session:
        return [event.data["number"] for event in events.newest(session, wanted, limit)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventFilter(), [3, 2, 1, 0]),
        (EventFilter(account_id="acc_a"), [1, 0]),
        (EventFilter(endpoint_id="ep_1"), [2]),
        (EventFilter(kind="endpoint.adopted"), [1]),
        (EventFilter(kind="endpoint.*"), [2, 1]),
        (EventFilter(kind="endpoint%*"), []),
        (EventFilter(kind="endpoint_*"), []),
        (EventFilter(since=NOON + timedelta(hours=2)), [3, 2]),
        (EventFilter(kind="endpoint.*", account_id="acc_b"), [2]),
        (EventFilter(kind="nothing.happened"), []),
    ],
)
def test_events_are_found(recorded: Database, wanted: EventFilter, expected: list[int]) -> None:
    assert numbers(recorded, wanted) == expected


def test_pages_follow_each_other_without_gap_or_repeat(recorded: Database) -> None:
    seen: list[int] = []
    before: int | None = None
    for _ in KINDS:
        with recorded.read() as session:
            page = events.newest(session, EventFilter(before_id=before), 1)
        seen += [event.data["number"] for event in page]
        before = page[-1].id
    assert seen == [3, 2, 1, 0]
    assert numbers(recorded, EventFilter(before_id=before)) == []


def test_an_event_keeps_everything_it_was_told(database: Database) -> None:
    data = {"from": "running", "to": "paused", "nested": {"reason": "geschützt"}, "none": None}
    with database.write() as session:
        events.record(
            session,
            at=NOON,
            kind="endpoint.status_changed",
            actor="rule:schedule",
            message="running → paused",
            operation_id="op_1",
            data=data,
        )
    with database.read() as session:
        (found,) = events.newest(session, EventFilter(), 10)
    assert found.at == NOON
    assert (found.actor, found.message) == ("rule:schedule", "running → paused")
    assert (found.account_id, found.endpoint_id, found.operation_id) == (None, None, "op_1")
    assert found.data == data
