"""Transactions of people and of the engine that meet over the same rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from orchestrator.clock import SystemClock
from orchestrator.domain.status import Wish
from orchestrator.engine.claims import SoleOwner
from orchestrator.engine.engine import Cadence
from orchestrator.engine.timer import EngineTimer
from orchestrator.sandbox import faults
from orchestrator.services import clicks, clocks, creation, deletion, nudges, releasing, running
from orchestrator.services.errors import ServiceError
from orchestrator.store import events, locks
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Setting
from tests.engine.test_timer import CountingEngine
from tests.support.stage import Stage, open_stage

PATIENCE_S = 20.0
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def waits(database: Database) -> bool:
    with database.read() as session:
        return bool(session.connection().scalar(text(_WAITING)))


def look_for_deadlocks(database: Database, *, after: str) -> None:
    """Let each wait for a lock be looked at once, after so long; usually that is a second."""
    with database.write() as session:
        name = session.connection().scalar(text("SELECT current_database()"))
        session.execute(text(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '{after}'"))
    database.dispose()


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[Future[object]]:
    """Run `work` beside the block, and raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield future
        future.result(PATIENCE_S)


def opened(database: Database, *names: str) -> Stage:
    stage = open_stage(database, cadence=Cadence())
    for name in names:
        stage.add(name)
    stage.step()
    stage.adopt(*names)
    return stage


def health(stage: Stage) -> str:
    with stage.database.read() as session:
        return session.get_one(Account, stage.account.id).health


def test_an_undelete_that_was_accepted_is_followed_by_no_deletion(
    postgres_database: Database,
) -> None:
    stage = opened(postgres_database, "a")
    stage.click("pause", "a")
    stage.run(minutes=10)
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("a").id)
        deletion.request_delete(
            session, row, stage.asked(), confirm="a", grace=timedelta(minutes=30)
        )
    stage.clock.set(stage.clock.now() + timedelta(minutes=29))
    stage.step()
    stage.clock.set(stage.clock.now() + timedelta(seconds=61))
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("a").id)
        done = deletion.undelete(session, row, stage.asked("I need it"))
        session.flush()
        with meanwhile(stage.step) as other:
            until(lambda: waits(stage.database) or other.done())
            session.commit()
    assert done.operation is None
    stage.run(minutes=5)
    assert stage.endpoint("a").deleted_at is None
    assert "delete" not in [one.kind for one in stage.operations("a")]


def test_a_request_sees_what_others_did_since_it_read_the_endpoint(
    postgres_database: Database,
) -> None:
    stage = opened(postgres_database, "a")
    ref = stage.endpoint("a").id
    with stage.database.write() as session:
        row = session.get_one(Endpoint, ref)
        with stage.database.write() as other:
            held = other.get_one(Endpoint, ref)
            asked = stage.asked()
            creation.change_ours(other, held, asked, labels=None, owner=None, protected=True)
        with pytest.raises(ServiceError, match="protected"):
            deletion.request_delete(session, row, stage.asked(), confirm="a")
    assert stage.operations("a") == []


def test_a_click_and_a_pass_over_one_endpoint_do_not_deadlock(postgres_database: Database) -> None:
    stage = opened(postgres_database, "a")
    stage.schedule()  # Monday, 00:00: outside of its window
    stage.world.faults.add(faults.error(503), count=1000, method="POST")
    stage.run(minutes=2)
    assert [one.status for one in stage.operations("a")] == ["running"]
    stage.clock.set(stage.clock.now().replace(hour=8, minute=0, second=5))  # it is stale now
    terms = clicks.Terms(until=stage.clock.now() + timedelta(hours=2))
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("a").id)
        clicks.request_pause(session, row, stage.asked(), terms)
        session.flush()
        with meanwhile(stage.step) as other:
            until(lambda: waits(stage.database) or other.done())
            clicks.set_wish(session, row, Wish.PAUSED, stage.asked())
            session.commit()
    assert health(stage) == "ok"
    assert stage.endpoint("a").wish == "paused"


def test_a_pass_that_gives_way_to_people_is_no_fault_of_the_account(
    postgres_database: Database,
) -> None:
    look_for_deadlocks(postgres_database, after="4s")
    stage = opened(postgres_database, "a", "b")
    first, last = sorted(stage.endpoint(name).id for name in "ab")
    stage.schedule()
    with stage.database.write() as session:
        # Whoever has waited so long by then has to end: that is to be the pass, not this test.
        session.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        locks.endpoints(session, [last])
        with meanwhile(stage.step) as other:
            until(lambda: waits(stage.database) or other.done())
            locks.endpoints(session, [first])  # the wrong way round: one of the two has to end
            session.commit()
    assert health(stage) == "ok"
    assert not stage.events("account.failing")


def test_what_others_did_ends_no_operation_that_was_cancelled_meanwhile(
    postgres_database: Database,
) -> None:
    stage = opened(postgres_database, "a")
    stage.click("pause", "a")
    stage.run(minutes=10)
    operation = stage.click("resume", "a").operation
    stage.clock.set(stage.clock.now() + timedelta(minutes=5))
    stage.world.act("acme", "a", "resume")
    with stage.database.write() as session:
        running.cancel(session, operation.id, stage.asked())
        session.flush()
        with meanwhile(stage.step) as other:
            until(lambda: waits(stage.database) or other.done())
            session.commit()
    assert stage.operations("a")[-1].status == "cancelled"
    ends = [one for one in stage.events("operation.") if one.operation_id == operation.id]
    assert [one.kind for one in ends] == ["operation.requested", "operation.cancelled"]


def test_no_rule_acts_on_an_endpoint_that_is_being_released(postgres_database: Database) -> None:
    stage = opened(postgres_database, "a")
    stage.schedule()  # wants it paused
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("a").id)
        releasing.release(stage.context, session, row, stage.asked())
        session.flush()
        with meanwhile(stage.step) as other:
            until(lambda: waits(stage.database) or other.done())
            session.commit()
    stage.run(minutes=2)
    assert stage.operations("a") == []
    assert stage.state("a") == "running"


def test_nudges_at_once_on_a_fresh_store_are_all_counted(postgres_database: Database) -> None:
    bell, start = nudges.Bell(postgres_database), threading.Barrier(4)
    bell.rung()

    def leave() -> None:
        start.wait(PATIENCE_S)
        nudges.leave(postgres_database, SystemClock().now())

    with meanwhile(leave), meanwhile(leave), meanwhile(leave), meanwhile(leave):
        pass
    with postgres_database.read() as session:
        assert session.get_one(Setting, nudges.KEY).value == {"count": 4}
    assert bell.rung()
    assert not bell.rung()


class NudgedEngine(CountingEngine):
    """Tells when it was nudged."""

    def nudge(self) -> None:
        self.enough.set()

    def work(self, account_id: str, now: datetime) -> None:
        """Its passes do not matter."""


def test_a_notice_is_obeyed_even_where_the_note_was_seen_before() -> None:
    engine = NudgedEngine(wanted=1)
    timer = EngineTimer(engine, SystemClock(), SoleOwner(), watch=lambda: False)  # type: ignore[arg-type]  # the methods that it calls
    timer.start()
    timer.heard()
    assert engine.enough.wait(PATIENCE_S)
    assert timer.stop()


class AheadClock(SystemClock):
    """A clock that is two minutes ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=2)


def test_an_event_of_a_host_with_a_fast_clock_freezes_nobody_else(
    postgres_database: Database,
) -> None:
    stage = opened(postgres_database, "a")
    later = stage.clock.now() + timedelta(minutes=2)
    with stage.database.write() as session:
        events.record(session, at=later, kind="request.refused", actor="ana", message="x")
    stage.step()
    with stage.database.read() as session:
        assert session.get_one(Account, stage.account.id).frozen_at is None
        assert not clocks.doubt(session, SystemClock())
        assert "the database's differ by -120 s" in clocks.doubt(session, AheadClock())
