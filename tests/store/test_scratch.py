"""What is tried out beside the store stays there, and is written as it was worked out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import Session, col, delete, select

from orchestrator.store import events, scratch
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, Event, Label
from tests.support import rows
from tests.support.rows import NOON

TABLES = ("label",)
SEEN = {"label": "*", "endpoint": "id, name"}


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Return a store with an endpoint that has two labels."""
    made = Database(sqlite_url)
    with made.write() as session:
        session.add(rows.account())
        session.flush()
        session.add(rows.endpoint())
        session.flush()
        session.add_all(_label(key) for key in ("team", "stage"))
    yield made
    made.dispose()


def _label(key: str, value: str = "old") -> Label:
    return Label(endpoint_id="ep_search", key=key, value=value, source="ours")


def _labels(session: Session) -> dict[str, str]:
    return {one.key: one.value for one in session.exec(select(Label).order_by(col(Label.key)))}


def _work(session: Session) -> dict[str, str]:
    """Add, change and remove a label, one step in a savepoint that is taken back."""
    session.exec(delete(Label).where(col(Label.key) == "stage"))
    point = session.begin_nested()
    session.add(_label("gone"))
    session.flush()
    point.rollback()
    for one in session.exec(select(Label)):
        one.value = "new"
        session.add(one)
    session.add(_label("tier"))
    for number in range(3):
        events.record(session, at=NOON, kind="test.done", actor="ada", message=str(number))
    session.flush()
    return _labels(session)


def test_what_is_tried_out_is_seen_there_alone_until_it_is_written(database: Database) -> None:
    with scratch.trial(database) as session:
        tried = _work(session)
        made = scratch.changes(session, TABLES)
    with database.read() as session:
        assert _labels(session) == {"stage": "old", "team": "old"}
        assert session.exec(select(Event)).all() == []
    assert tried == {"team": "new", "tier": "old"}
    assert made is not None
    with database.write() as session:
        made.write(session)
    with database.read() as session:
        assert _labels(session) == tried
        found = session.exec(select(Event).order_by(col(Event.id))).all()
        assert [one.message for one in found] == ["0", "1", "2"]


def test_what_else_is_written_cannot_be_carried_over(database: Database) -> None:
    with scratch.trial(database) as session:
        session.get_one(Endpoint, "ep_search").name = "other"
        assert scratch.changes(session, TABLES) is None
    with database.read() as session:
        assert session.get_one(Endpoint, "ep_search").name == "search"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("UPDATE endpoint SET status = 'paused'", True),
        ("UPDATE endpoint SET name = 'other'", False),
        ("DELETE FROM label WHERE key = 'team'", False),
        ("UPDATE label SET value = 'x' WHERE key = 'team'", False),
    ],
)
def test_a_stamp_is_of_the_columns_that_count(
    database: Database, change: str, *, same: bool
) -> None:
    with database.read() as session:
        before = scratch.stamp(session, SEEN)
    with database.write() as session:
        session.connection().exec_driver_sql(change)
        assert (scratch.stamp(session, SEEN) == before) is same


def test_what_does_not_stand_beside_the_store_is_carried_over_from_nowhere(
    database: Database,
) -> None:
    """A store with another kind of address is tried out in a transaction that is taken back."""
    other = Database(f"sqlite:///file:{database.url.database}?uri=true")
    with scratch.trial(other) as session:
        assert _work(session) == {"team": "new", "tier": "old"}
        assert scratch.changes(session, TABLES) is None
    other.dispose()
    with database.read() as session:
        assert _labels(session) == {"stage": "old", "team": "old"}
