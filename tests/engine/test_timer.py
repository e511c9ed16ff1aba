"""The timer, and the lock that lets one process work on a SQLite store."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import pytest

from orchestrator.clock import SystemClock
from orchestrator.engine.claims import SoleOwner
from orchestrator.engine.exclusive import EngineBusyError, acquire
from orchestrator.engine.timer import EngineTimer
from orchestrator.store.database import Database

PATIENCE_S = 30


class CountingEngine:
    """Counts the passes of its one account; wants another at once."""

    def __init__(self, wanted: int, fault: Exception | None = None) -> None:
        self.passes, self.wanted, self.fault = 0, wanted, fault
        self.enough = threading.Event()

    def nudge(self) -> None:
        """Nothing is kept between passes."""

    def due(self, now: datetime) -> Sequence[str]:
        del now
        if self.fault is not None:
            self.enough.set()
            raise self.fault
        return ["one"]

    def next_at(self, now: datetime, *, without: Collection[str] = ()) -> datetime:
        del without
        return now + timedelta(milliseconds=1)

    def work(self, account_id: str, now: datetime) -> None:
        del account_id, now
        self.passes += 1
        if self.passes >= self.wanted:
            self.enough.set()


class SlowEngine(CountingEngine):
    """Has two accounts; the first one's pass ends only when the other had several."""

    def due(self, now: datetime) -> Sequence[str]:
        del now
        return ["slow", "quick"]

    def work(self, account_id: str, now: datetime) -> None:
        if account_id == "slow":
            assert self.enough.wait(PATIENCE_S)
        else:
            super().work(account_id, now)


def test_it_goes_on_working_while_it_is_nudged() -> None:
    engine = CountingEngine(wanted=50)
    timer = EngineTimer(engine, SystemClock(), SoleOwner())  # type: ignore[arg-type]  # the methods that it calls
    timer.start()
    for _ in range(200):
        timer.nudge()
    assert engine.enough.wait(PATIENCE_S)
    assert timer.punctual()
    assert timer.stop()


def test_a_fault_shows_in_its_health() -> None:
    engine = CountingEngine(wanted=1, fault=RuntimeError("broken"))
    timer = EngineTimer(engine, SystemClock(), SoleOwner())  # type: ignore[arg-type]  # as above
    timer.start()
    assert engine.enough.wait(PATIENCE_S)
    assert timer.stop()
    assert not timer.punctual()


def test_a_slow_account_delays_no_other() -> None:
    engine = SlowEngine(wanted=5)
    timer = EngineTimer(engine, SystemClock(), SoleOwner())  # type: ignore[arg-type]  # as above
    timer.start()
    assert engine.enough.wait(PATIENCE_S)
    assert timer.stop()
    assert engine.passes >= 5


def test_a_second_process_is_refused_and_told_of_the_first(sqlite_database: Database) -> None:
    first = acquire(sqlite_database)
    assert first is not None
    with pytest.raises(EngineBusyError, match=f"process {os.getpid()} works on"):
        acquire(sqlite_database)
    first.release()
    again = acquire(sqlite_database)
    assert again is not None
    again.release()


def test_no_process_has_a_postgres_for_itself(postgres_database: Database) -> None:
    assert acquire(postgres_database) is None
