"""A real worker process over real HTTP, killed again and again while people click."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import Session, col, select

from orchestrator.costs.report import cost_report
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from orchestrator.services import adoption, clicks, nudges
from orchestrator.services.errors import ServiceError
from orchestrator.services.requests import Asked
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, MeterInterval, Operation

TOKEN = "kill-test"
NAMES = ("web", "api", "nap")
ROUNDS = 4
PATIENCE_S = 60.0


def now() -> datetime:
    return datetime.now(UTC)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition of another process, which no virtual clock reaches."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


@contextmanager
def worker(url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "ORCHESTRATOR_DATABASE_URL": url,
        "ORCHESTRATOR_STATE_DIR": str(folder),
        "ORCHESTRATOR_OBSERVE_INTERVAL_S": "1",
        "ORCHESTRATOR_TRANSITION_INTERVAL_S": "1",
        "KILL_TEST_TOKEN": TOKEN,
    }
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator", "worker"], env=environment, stderr=log
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


class Scene:
    """The store and the cloud, as the test reaches them beside the worker."""

    def __init__(self, database: Database, world: World) -> None:
        self.database, self.world = database, world

    def rows(self) -> list[Endpoint]:
        with self.database.read() as session:
            return list(session.exec(select(Endpoint).order_by(col(Endpoint.name))))

    def click(self, name: str, verb: str) -> None:
        request = getattr(clicks, f"request_{verb}")
        with self.database.write() as session:
            row = session.exec(select(Endpoint).where(Endpoint.name == name)).one()
            try:
                request(session, row, Asked("ana", now(), "kill test"))
            except ServiceError as refused:
                assert refused.status == 409  # noqa: PT017 - any other refusal is a fault
        nudges.leave(self.database, now())

    def at_rest(self) -> bool:
        """Every endpoint is where its last click wants it, and no operation is left."""
        with self.database.read() as session:
            left = session.exec(
                select(Operation).where(
                    col(Operation.status).in_(["pending", "running", "confirming"])
                )
            ).all()
        wanted = {"paused": "paused", "running": "running"}
        return not left and all(
            row.status == wanted[row.wish]
            and self.world.endpoint("acme", row.name).state == row.status
            for row in self.rows()
        )


def test_killed_at_random_instants_it_carries_on(database_url: str, tmp_path: Path) -> None:
    dice = random.Random(7)
    started = now().replace(microsecond=0)
    world = World(start=started)
    world.add_namespace("acme", kind="org")
    world.add_user("robot", token=TOKEN, role="write", orgs=["acme"])
    for name in NAMES:
        payload = endpoint_payload(name)
        world.add_endpoint("acme", payload, state="running", created_at=started, startup_s=1.0)
    database = Database(database_url)
    with SandboxServer(world, now) as cloud:
        scene = Scene(database, world)
        _connect(database, cloud.url)
        with worker(database_url, tmp_path):
            wait_for(lambda: len(scene.rows()) == len(NAMES), "the first look")
        with database.write() as session:
            _adopt(session)
        for _ in range(ROUNDS):
            with worker(database_url, tmp_path):
                for name in NAMES:
                    scene.click(name, dice.choice(["pause", "resume"]))
                time.sleep(dice.uniform(0.8, 2.5))
        with worker(database_url, tmp_path):
            wait_for(scene.at_rest, "rest")
            calm = now()
            wait_for(lambda: _confirmed(database) > calm, "a look at the end")
        _check(scene, started)
    database.dispose()


def _connect(database: Database, url: str) -> None:
    with database.write() as session:
        session.add(
            Account(
                id=new_id("acc", now()),
                name="acme",
                provider="huggingface",
                namespace="acme",
                credential_ref="env:KILL_TEST_TOKEN",
                created_at=now(),
                options={"api_url": f"{url}/v2", "hub_url": url},
            )
        )


def _adopt(session: Session) -> None:
    for row in session.exec(select(Endpoint)).all():
        adoption.adopt(session, row, Asked("ana", now(), "kill test"))


def _confirmed(database: Database) -> datetime:
    with database.read() as session:
        found = session.exec(select(Account.confirmed_at)).one()
    return found or datetime.fromtimestamp(0, UTC)


def _check(scene: Scene, started: datetime) -> None:
    with scene.database.read() as session:
        report = cost_report(session, start=started, end=now(), now=now())
        ledger: dict[str, list[MeterInterval]] = defaultdict(list)
        for row in session.exec(select(MeterInterval).order_by(col(MeterInterval.started_at))):
            ledger[row.endpoint_id].append(row)
        first = {row.id: row.first_seen_at for row in session.exec(select(Endpoint))}
    for rows in ledger.values():
        for left, right in itertools.pairwise(rows):
            assert left.ended_at == right.started_at
    assert report.measured_until is not None
    for item in report.items:
        # What ran before the first look was never measured and is not claimed.
        since = first[item.key]
        lines = scene.world.bill("acme", start=since, end=report.measured_until)
        billed = sum(line.nano_usd for line in lines if line.name == item.name)
        second = 800_000_000 // 3600 + 1
        assert item.figure.low - second <= billed <= item.figure.high + second, item.name
    calls = scene.world.calls.mutating(committed=True)
    with scene.database.read() as session:
        operations = session.exec(select(Operation)).all()
    assert len(calls) <= sum(max(op.attempts, 1) for op in operations)
