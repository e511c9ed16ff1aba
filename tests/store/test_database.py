"""The one door to the store: transactions, waiting writers, and what the schema forbids."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import SQLModel, func, select

from orchestrator.store import events
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Event, Setting
from tests.support.rows import NOON, account, endpoint, interval, operation

WRITERS = 4
ROUNDS = 15


class StopError(Exception):
    """Raised inside a transaction to end it."""


def fill(database: Database, *rows: SQLModel) -> None:
    with database.write() as session:
        for row in rows:
            session.add(row)
            session.flush()


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.exec(select(Account.name).order_by(Account.name)))


@pytest.mark.parametrize("url", ["mysql://host/name", "mssql+pyodbc://host/name"])
def test_other_databases_are_refused_with_the_two_that_work(url: str) -> None:
    with pytest.raises(ValueError, match=r"not supported; use sqlite:///file or postgresql://"):
        Database(url)


def test_password_is_hidden_where_the_address_is_shown() -> None:
    database = Database("postgresql://ada:s3cret@db.example/orchestrator")
    assert database.url_redacted == "postgresql+psycopg://ada:***@db.example/orchestrator"
    assert database.dialect == "postgresql"


def test_write_commits_at_its_end(database: Database) -> None:
    with database.write() as session:
        session.add(account())
        assert names(database) == []
    assert names(database) == ["lab"]


def test_an_error_takes_back_the_whole_write(database: Database) -> None:
    def write_and_stop() -> None:
        with database.write() as session:
            session.add(account())
            events.record(session, at=NOON, kind="account.connected", actor="ada", message="m")
            session.flush()
            raise StopError

    with pytest.raises(StopError):
        write_and_stop()
    assert names(database) == []
    with database.read() as session:
        assert session.exec(select(func.count()).select_from(Event)).one() == 0


def test_a_read_never_commits(database: Database) -> None:
    with database.read() as session:
        session.add(account())
        session.flush()
    assert names(database) == []


def test_rows_stay_readable_after_their_session(database: Database) -> None:
    row = account(options={"api_url": "http://127.0.0.1:1"})
    fill(database, row)
    assert row.name == "lab"
    with database.read() as session:
        found = session.get_one(Account, "acc_lab")
    assert found.options == {"api_url": "http://127.0.0.1:1"}
    assert found.created_at == NOON


def test_writers_wait_for_each_other_and_lose_nothing(sqlite_database: Database) -> None:
    fill(sqlite_database, Setting(key="count", value={"n": 0}, updated_at=NOON))
    together = Barrier(WRITERS)

    def count(_: int) -> None:
        together.wait()
        for _ in range(ROUNDS):
            with sqlite_database.write() as session:
                row = session.get_one(Setting, "count")
                row.value = {"n": row.value["n"] + 1}
                session.add(row)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(count, range(WRITERS)))
    with sqlite_database.read() as session:
        assert session.get_one(Setting, "count").value == {"n": WRITERS * ROUNDS}


def test_parallel_writers_number_their_events_without_a_clash(database: Database) -> None:
    def write(writer: int) -> None:
        for number in range(ROUNDS):
            with database.write() as session:
                at = NOON + timedelta(seconds=number)
                events.record(session, at=at, kind="a.written", actor=str(writer), message="m")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    with database.read() as session:
        ids = session.exec(select(Event.id)).all()
    assert len(set(ids)) == len(ids) == WRITERS * ROUNDS


def test_readers_are_not_held_up_by_an_open_write(database: Database) -> None:
    fill(database, account())
    with database.write() as session:
        session.add(account("second"))
        session.flush()
        assert names(database) == ["lab"]
    assert names(database) == ["lab", "second"]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(lambda: account("lab", id="acc_other"), id="name of an account"),
        pytest.param(lambda: endpoint("search", id="ep_2"), id="endpoint and generation"),
        pytest.param(lambda: operation(2), id="operation under way"),
        pytest.param(
            lambda: operation(2, status="failed", idempotency_key="k"), id="idempotency key"
        ),
        pytest.param(lambda: interval(started_at=NOON + timedelta(hours=1)), id="open interval"),
    ],
)
def test_there_is_only_one(database: Database, second: Callable[[], SQLModel]) -> None:
    fill(database, account(), endpoint(), operation(idempotency_key="k"), interval())
    with pytest.raises(IntegrityError):
        fill(database, second())


@pytest.mark.parametrize(
    "next_one",
    [
        pytest.param(lambda: endpoint("search", id="ep_2", generation=2), id="generation"),
        pytest.param(lambda: operation(2, status="succeeded"), id="finished operation"),
        pytest.param(lambda: interval(ended_at=NOON + timedelta(hours=1)), id="closed interval"),
    ],
)
def test_what_is_over_stands_in_nobodys_way(
    database: Database, next_one: Callable[[], SQLModel]
) -> None:
    fill(database, account(), endpoint(), operation(), interval(), next_one())


def test_rows_cannot_point_to_rows_that_are_not_there(database: Database) -> None:
    with pytest.raises(IntegrityError):
        fill(database, endpoint())


def test_large_amounts_keep_every_nano_dollar(database: Database) -> None:
    large = 9_223_372_036_854_775_807
    row = interval(burn=large, burn_low=0, burn_high=None)
    fill(database, account(), endpoint(), row)
    with database.read() as session:
        found = session.get_one(type(row), row.id)
    assert (found.burn_low, found.burn, found.burn_high) == (0, large, None)


def test_ping_answers_and_tells_of_a_store_that_does_not(database: Database) -> None:
    database.ping()
    with pytest.raises(OperationalError):
        Database("sqlite:////nowhere/at/all/store.db").ping()


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
def test_sqlite_is_durable_unless_told_otherwise(
    sqlite_url: str, *, durable: bool, synchronous: int
) -> None:
    database = Database(sqlite_url, durable=durable)
    with database.read() as session:
        connection = session.connection()
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == synchronous
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.dispose()
