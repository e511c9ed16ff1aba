"""A cloud that wants fewer calls: what waits, what is kept, and who is not slowed by it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from sqlmodel import select

from orchestrator.clock import SystemClock
from orchestrator.engine.claims import SoleOwner
from orchestrator.engine.engine import PATIENCE, Engine
from orchestrator.engine.timer import EngineTimer
from orchestrator.providers.account import ProviderHooks
from orchestrator.sandbox import faults
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from orchestrator.services import clicks, contracts
from orchestrator.services.clouds import provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.errors import ServiceError
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint
from tests.support.aws_stage import open_aws_stage
from tests.support.stage import Stage

DEADLINE_S = 30
FLEET = 12
ENOUGH = 5


def fleet(stage: Stage, size: int = FLEET) -> None:
    names = [f"e{number:02d}" for number in range(size)]
    for name in names:
        stage.add(name)
    stage.run(minutes=2)
    stage.adopt(*names)
    stage.run(minutes=2)


def pause_all(stage: Stage) -> None:
    with stage.database.write() as session:
        for row in session.exec(select(Endpoint)).all():
            clicks.request_pause(session, row, stage.asked())


def limit(stage: Stage, **limits: float | None) -> None:
    stage.world.switches = replace(stage.world.switches, **limits)  # type: ignore[arg-type]  # limits


def paused(stage: Stage) -> int:
    return sum(change.endswith("pause") for change in stage.changes())


class TestStorm:
    def test_a_refusal_ends_the_calls_of_the_pass_and_keeps_what_is_due(self, stage: Stage) -> None:
        fleet(stage)
        stage.world.faults.add(faults.error(429, retry_after=120), method="POST", path="/pause$")
        pause_all(stage)
        began = stage.clock.now()
        next_at = stage.step()
        tried = [op for op in stage.operations() if op.attempts]
        assert (len(tried), tried[0].attempts) == (1, 1)
        assert Counter(op.status for op in stage.operations()) == {"running": 1, "pending": 11}
        assert next_at - began >= timedelta(seconds=120)
        assert [event.message for event in stage.events("operation.throttled")]
        stage.world.faults.clear()
        stage.run(minutes=6)
        assert paused(stage) == FLEET
        assert {op.status for op in stage.operations()} == {"succeeded"}

    def test_it_is_near_to_what_the_limit_allows(self, stage: Stage) -> None:
        fleet(stage, 30)
        limit(stage, calls_per_second=2.0)
        before = len(stage.world.calls)
        pause_all(stage)
        stage.engine.nudge()
        stage.run_until(stage.clock.now() + timedelta(seconds=25))
        assert paused(stage) == 30
        refused = [call for call in list(stage.world.calls)[before:] if call.status == 429]
        assert len(refused) <= 12

    def test_changes_go_on_where_reads_have_used_their_part_of_a_window(self, stage: Stage) -> None:
        fleet(stage)
        limit(stage, calls_per_5_minutes=40)
        for _ in range(38):
            stage.step()
            stage.clock.set(stage.clock.now() + timedelta(milliseconds=100))
        pause_all(stage)
        stage.step()
        assert all(call.status != 429 for call in stage.world.calls)
        assert paused(stage) >= 2

    def test_a_pass_gives_up_rather_than_sleep_for_minutes(self, stage: Stage) -> None:
        fleet(stage)
        limit(stage, calls_per_second=0.1, call_burst=1)
        pause_all(stage)
        for _ in range(3):
            began = stage.clock.now()
            next_at = stage.step()
            assert stage.clock.now() - began <= PATIENCE
            stage.clock.set(max(next_at, stage.clock.now()))
        assert {op.status for op in stage.operations()} <= {"pending", "running", "confirming"}
        limit(stage, calls_per_second=None)
        stage.run(minutes=10)
        assert paused(stage) == FLEET

    def test_reads_of_a_sweep_stop_at_a_refusal_and_go_on_later(
        self, sqlite_database: Database
    ) -> None:
        stage = open_aws_stage(sqlite_database)
        for number in range(6):
            stage.add(f"e{number:02d}")
        stage.world.faults.add(
            faults.aws_error("ThrottlingException", "Rate exceeded"),
            path="/DescribeEndpoint$",
            after=stage.clock.now(),
            until=stage.clock.now() + timedelta(minutes=1),
        )
        stage.run(minutes=5)
        with stage.database.read() as session:
            names = [row.name for row in session.exec(select(Endpoint))]
        assert sorted(names) == [f"e{number:02d}" for number in range(6)]


class TestPeople:
    def test_a_request_waits_a_little_and_is_then_told_when_to_come_back(
        self, stage: Stage
    ) -> None:
        fleet(stage, 1)
        limit(stage, calls_per_5_minutes=1)
        stage.step()
        row = stage.endpoint("e00")
        began = stage.clock.now()
        with pytest.raises(ServiceError) as caught:
            contracts.read_card(stage.context, stage.account, row)
        assert (caught.value.status, caught.value.code) == (503, "provider_throttled")
        assert caught.value.retry_after is not None
        assert 1 <= caught.value.retry_after <= 301
        assert stage.clock.now() - began <= timedelta(seconds=5)


class TwoClouds(httpx2.BaseTransport):
    """Carries calls to the world; counts the listings of one while the other waits."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self.inner = inner
        self.listed = 0
        self.waiting, self.enough = threading.Event(), threading.Event()
        self.nudge: Callable[[], None] | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        namespace = request.url.path.rsplit("/", 1)[-1]
        if namespace == "quick":
            self.listed += self.waiting.is_set()
            if self.listed >= ENOUGH:
                self.enough.set()
            elif self.nudge is not None:
                self.nudge()
        return self.inner.handle_request(request)


def test_one_throttled_account_does_not_slow_the_others(sqlite_database: Database) -> None:
    """Real threads: while one account waits for its cloud, the other has pass after pass."""
    clock = SystemClock()
    world = World(start=clock.now())
    for namespace in ("slow", "quick"):
        world.add_namespace(namespace, kind="org")
    world.add_user("robot", token="t", role="write", orgs=["slow", "quick"])
    throttled = world.faults.add(faults.error(429, retry_after=9), path="/endpoint/slow$")
    wire, waited = TwoClouds(InProcessTransport(world, clock=clock.now)), []

    def sleep(seconds: float) -> None:
        wire.waiting.set()
        waited.append((seconds, wire.enough.wait(DEADLINE_S), wire.listed))
        world.faults.clear()

    hooks = ProviderHooks(clock=clock, resolve=lambda _: "t", transport=wire, sleep=sleep)
    pool = ProviderPool(provider_maker(Settings(), hooks), hooks.pacing)
    context = Context(sqlite_database, clock, Settings(), pool)
    with sqlite_database.write() as session:
        for namespace in ("slow", "quick"):
            session.add(account(namespace, context))
    claims = SoleOwner()
    timer = EngineTimer(Engine(context, claims=claims), clock, claims)
    wire.nudge = timer.nudge
    timer.start()
    assert wire.enough.wait(DEADLINE_S)
    assert timer.stop()
    assert throttled.fired >= 1
    assert waited[0][1:] == (True, waited[0][2])
    assert waited[0][2] >= ENOUGH


def account(namespace: str, context: Context) -> Account:
    now = context.clock.now()
    return Account(
        id=new_id("acc", now),
        name=namespace,
        provider="huggingface",
        namespace=namespace,
        credential_ref="env:STAGE",
        created_at=now,
        options={"api_url": "http://cloud.test/v2", "hub_url": "http://cloud.test"},
    )
