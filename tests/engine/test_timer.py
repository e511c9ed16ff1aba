"""The timer and the lock that lets one engine work."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from orchestrator.clock import SystemClock
from orchestrator.engine.exclusive import EngineBusyError, acquire
from orchestrator.engine.timer import EngineTimer
from orchestrator.store.database import Database

PATIENCE_S = 30


class CountingEngine:
    """Counts its steps; asks to be called again at once."""

    def __init__(self, wanted: int, fault: Exception | None = None) -> None:
        self.steps, self.wanted, self.fault = 0, wanted, fault
        self.enough = threading.Event()

    def nudge(self) -> None:
        """Nothing is kept between steps."""

    def step(self, now: datetime) -> datetime:
        self.steps += 1
        if self.steps >= self.wanted:
            self.enough.set()
        if self.fault is not None:
            raise self.fault
        return now + timedelta(milliseconds=1)


def test_it_goes_on_stepping_while_it_is_nudged(sqlite_database: Database) -> None:
    engine = CountingEngine(wanted=50)
    timer = EngineTimer(engine, SystemClock(), acquire(sqlite_database))  # type: ignore[arg-type]  # the two methods that it calls
    timer.start()
    for _ in range(200):
        timer.nudge()
    assert engine.enough.wait(PATIENCE_S)
    assert timer.punctual()
    timer.stop()


def test_a_fault_in_a_step_shows_in_its_health(sqlite_database: Database) -> None:
    engine = CountingEngine(wanted=1, fault=RuntimeError("broken"))
    timer = EngineTimer(engine, SystemClock(), acquire(sqlite_database))  # type: ignore[arg-type]  # as above
    timer.start()
    assert engine.enough.wait(PATIENCE_S)
    timer.stop()
    assert not timer.punctual()


def test_a_second_engine_is_refused(database: Database) -> None:
    first = acquire(database)
    other = Database(database.url.render_as_string(hide_password=False))
    with pytest.raises(EngineBusyError):
        acquire(other)
    first.release()
    acquire(other).release()
    other.dispose()


def test_a_lost_lock_connection_is_replaced(postgres_database: Database) -> None:
    lock = acquire(postgres_database)
    with postgres_database.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        )
    lock.verify()
    lock.verify()
    lock.release()
