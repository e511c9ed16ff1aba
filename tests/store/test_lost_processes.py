"""What a frozen or lost process holds is freed, and nobody waits for it without limit."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from orchestrator.store import database as door
from orchestrator.store import exports, locks
from orchestrator.store.database import Database
from orchestrator.store.tables import Setting
from tests.support.pooler import Pooler
from tests.support.postgres import PostgresServer
from tests.support.rows import NOON

_SHOWN = (
    "SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout')"
)
LIMITED, UNLIMITED = ("15s", "10s"), ("0", "0")
TOUCH = text("UPDATE setting SET updated_at = updated_at WHERE key = 'one'")


def shown(connection: Connection) -> tuple[str, str]:
    idle, wait = connection.execute(text(_SHOWN)).one()
    return idle, wait


def filled(url: str) -> Database:
    made = Database(url)
    with made.write() as session:
        session.add(Setting(key="one", value={}, updated_at=NOON))
    return made


def test_a_process_that_is_frozen_in_a_transaction_stops_nobody(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "IDLE_MS", 300)
    store = filled(postgres_url)
    with store.engine.connect() as frozen:
        frozen.execute(TOUCH)
        with store.write() as session:
            session.connection().execute(TOUCH)  # waits until the other one is ended
        with pytest.raises(DBAPIError, match="idle-in-transaction"):
            frozen.execute(TOUCH)
    store.dispose()


def test_nobody_waits_for_a_lock_without_limit(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "LOCK_WAIT_MS", 200)
    store = filled(postgres_url)
    with store.engine.connect() as busy, busy.begin():
        busy.execute(TOUCH)
        with pytest.raises(DBAPIError) as late, store.write() as session:
            session.connection().execute(TOUCH)
    assert locks.is_contention(late.value)
    store.dispose()


def test_work_that_lasts_knows_no_limit_and_leaves_none_behind(
    postgres_database: Database,
) -> None:
    with exports.snapshot(postgres_database) as connection:
        assert shown(connection) == UNLIMITED
    with postgres_database.write() as session:
        assert shown(session.connection()) == LIMITED


def test_the_limits_hold_behind_a_pooler_too(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    name = re.split(r"[/?]", postgres_url)[3]
    with Pooler(postgres_server.folder, name) as pooler:
        one, two = Database(pooler.url), Database(pooler.url)
        for _ in range(3):
            with one.write() as session, two.write() as other:
                assert shown(session.connection()) == shown(other.connection()) == LIMITED
        one.dispose()
        two.dispose()


def test_silent_connections_are_asked_for(postgres_url: str) -> None:
    store = Database(f"{postgres_url}{'&' if '?' in postgres_url else '?'}keepalives_idle=77")
    with store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        told = driver.info.get_parameters()
    assert (told["keepalives_idle"], told["keepalives_interval"]) == ("77", "5")
    store.dispose()
