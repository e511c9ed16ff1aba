"""Real workers over real sockets, killed again and again while people click; both clouds."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import col, select

from orchestrator.costs.report import cost_report
from orchestrator.domain.endpoints import EndpointChange, Scaling
from orchestrator.sandbox import faults
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from orchestrator.services import clicks, creation, deletion, nudges
from orchestrator.services.errors import ServiceError
from orchestrator.services.requests import Asked
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Event, MeterInterval, Operation
from tests.simulator import places
from tests.simulator.places import FLAVOURS, START, Template
from tests.simulator.watch_money import billed
from tests.support.postgres import PostgresServer
from tests.support.zygote import FastClock, Zygote, kill

# Histories in one test, and their clouds in turn; those of the second take longer.
HISTORIES = 10
CLOUDS = ("huggingface", "huggingface", "huggingface", "sagemaker")
SPEED = 300.0
# Workers killed in each; on Postgres a follower waits for the claim of the one before.
KILLS = 2
ON_POSTGRES = 10
PATIENCE_S = 45.0
ACTIVE = ("pending", "running", "confirming")
# What each history meets once: what is drawn from here, at a call that reads or changes.
EVERYWHERE = (
    faults.timeout_after(),
    faults.drop_before(),
    faults.drop_after(),
    faults.error(503),
    faults.error(503, after_commit=True),
)
FAULTS = {
    "huggingface": (*EVERYWHERE, faults.error(429, "Too Many Requests")),
    "sagemaker": (*EVERYWHERE, faults.aws_error("ThrottlingException")),
}
# Calls that meet it, by method and path, and the latest of a kind that does: many read, few delete.
CALLS = {
    "huggingface": (
        ("GET", "^/v2/", 8),
        ("POST", "^/v2/", 2),
        ("POST", "^/v2/", 1),
        ("PUT", "^/v2/", 1),
        ("DELETE", "^/v2/", 1),
    ),
    "sagemaker": (
        ("POST", "/(List|Describe|Get)", 40),
        ("POST", "/(AddTags|Register|Put|Create|Delete|Update)", 4),
    ),
}
# So long workers wait for an answer that does not come, in seconds of the wall's.
ANSWER_S = 1.0
# Of ten histories so many meet their fault at least, seven or eight as a rule.
STRUCK = 3
# What people click, how often; the first click of a history is one that its fault may hit.
FITTING = {"PUT": "update", "DELETE": "delete"}
CLICKS = {"pause": 4, "resume": 4, "update": 3, "delete": 1}
SECRETS = {name.partition(":")[2]: value for name, value in places.SECRETS.items()}


@dataclass
class Scene:
    """A store and a cloud, as the test reaches them beside the workers."""

    database: Database
    world: World
    clock: FastClock
    template: Template

    def rows(self) -> list[Endpoint]:
        with self.database.read() as session:
            query = select(Endpoint).where(col(Endpoint.deleted_at).is_(None))
            return list(session.exec(query.order_by(col(Endpoint.name))))

    def click(self, name: str, verb: str, dice: random.Random) -> None:
        now = self.clock.now()
        asked = Asked("ana", now, "kill test")
        with self.database.write() as session:
            row = session.exec(select(Endpoint).where(Endpoint.name == name)).one()
            try:
                if verb == "update":
                    low = dice.randint(1, 2)
                    bounds = Scaling(low, dice.randint(low, 3))
                    creation.request_update(session, row, EndpointChange(scaling=bounds), asked)
                elif verb == "delete":
                    deletion.request_delete(session, row, asked, confirm=name)
                else:
                    getattr(clicks, f"request_{verb}")(session, row, asked)
            except ServiceError as refused:
                assert refused.status == 409  # noqa: PT017 - any other refusal is a fault
        nudges.leave(self.database, now)

    def restless(self) -> list[str]:
        """Return what is not yet as its last click, or its rule, wants it."""
        with self.database.read() as session:
            active = session.exec(select(Operation).where(col(Operation.status).in_(ACTIVE))).all()
            asked = session.exec(select(Account.confirmed_at)).all()
        found = [f"{one.kind} of {one.endpoint_name} is {one.status}" for one in active]
        for row in self.rows():
            if row.managed and (row.status == "paused") is not (row.decided_wish == "paused"):
                found.append(f"{row.name} is {row.status}, wanted {row.decided_wish}")
            if row.wish == "deleted":
                found.append(f"{row.name} is to be deleted")
            if row.managed and row.status not in ("paused", "running", "scaled_to_zero"):
                found.append(f"{row.name} is {row.status}")
        return found if all(asked) else [*found, "no look yet"]


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Return what starts workers."""
    with Zygote(tmp_path_factory.mktemp("zygote")) as made:
        yield made


@pytest.fixture(scope="module")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """Return the beginnings of histories on SQLite."""
    folder = tmp_path_factory.mktemp("beginnings")
    return {name: places.build(folder, FLAVOURS[name]) for name in dict.fromkeys(CLOUDS)}


class TestKilledAtRandomInstants:
    @pytest.mark.parametrize("seed", range(9))
    def test_it_carries_on_over_sqlite(
        self, zygote: Zygote, sqlite_templates: dict[str, Template], tmp_path: Path, seed: int
    ) -> None:
        struck = 0
        for number in range(HISTORIES):
            template = sqlite_templates[CLOUDS[number % len(CLOUDS)]]
            path = tmp_path / f"{number}.db"
            shutil.copyfile(template.store, path)
            url = f"sqlite:///{path}"
            struck += play(zygote, template, url, tmp_path, seed * HISTORIES + number)
        assert struck >= STRUCK

    def test_it_carries_on_over_postgres(
        self,
        zygote: Zygote,
        postgres_server: PostgresServer,
        postgres_template: str,
        tmp_path: Path,
    ) -> None:
        struck = 0
        for number in range(ON_POSTGRES):
            flavour = CLOUDS[number % len(CLOUDS)]
            with postgres_server.copy_of(postgres_template) as url:
                template = places.build_at(url, FLAVOURS[flavour])
                struck += play(zygote, template, url, tmp_path, 1_000 + number)
        assert struck >= STRUCK


def play(zygote: Zygote, template: Template, url: str, folder: Path, seed: int) -> int:
    """Kill workers while people click and a call fails; the last one comes to rest.

    Nothing is lost. Return how often a call has failed: none where no call of its kind came.
    """
    dice = random.Random(seed)
    clock = FastClock(template.now, time.time(), SPEED)
    world = template.new_world(seed, {}, {})
    provider = template.clouds[0].provider
    method, path, latest = dice.choice(CALLS[provider])
    fault = world.faults.add(
        dice.choice(FAULTS[provider]), method=method, path=path, nth=dice.randint(1, latest)
    )
    database = Database(url, durable=False)
    try:
        with SandboxServer(world, clock.now) as cloud:
            _point_to(database, cloud.url)
            scene = Scene(database, world, clock, template)
            managed = template.clouds[0].managed
            verbs = dice.choices([*CLICKS], [*CLICKS.values()], k=KILLS * len(managed))
            verbs[0] = FITTING.get(method, verbs[0])
            for _ in range(KILLS):
                worker = zygote.start(url, folder, clock, SECRETS, patience_s=ANSWER_S)
                for name in managed:
                    scene.click(name, verbs.pop(0), dice)
                time.sleep(dice.uniform(0.05, 0.5))
                kill(worker)
            worker = zygote.start(url, folder, clock, SECRETS, patience_s=ANSWER_S)
            _wait_for_rest(scene, seed)
            kill(worker)
            _check(scene)
    finally:
        database.dispose()
    return fault.fired


def _point_to(database: Database, url: str) -> None:
    with database.write() as session:
        row = session.exec(select(Account)).one()
        hugging_face = {"api_url": f"{url}/v2", "hub_url": url}
        row.options = hugging_face if row.provider == "huggingface" else {"endpoint_url": url}
        session.add(row)


def _wait_for_rest(scene: Scene, seed: int) -> None:
    """Wait for other processes, which no virtual clock reaches; at rest for two looks."""
    deadline = time.monotonic() + PATIENCE_S
    calm: datetime | None = None
    while calm is None or _looked_at(scene) <= calm:
        left = scene.restless()
        assert time.monotonic() < deadline, (seed, left)
        calm = None if left else calm or scene.clock.now()
        time.sleep(0.05)


def _looked_at(scene: Scene) -> datetime:
    with scene.database.read() as session:
        return session.exec(select(Account.confirmed_at)).one() or START


def _check(scene: Scene) -> None:
    now = scene.clock.now()
    with scene.database.read() as session:
        report = cost_report(session, start=START, end=now, now=now)
        operations = session.exec(select(Operation)).all()
        told = session.exec(select(Event).where(Event.kind == "operation.requested")).all()
        query = select(MeterInterval).order_by(col(MeterInterval.started_at), col(MeterInterval.id))
        intervals = session.exec(query).all()
    _check_seams(list(intervals))
    assert report.measured_until is not None
    with scene.database.read() as session:
        report = cost_report(session, start=START, end=report.measured_until, now=now)
    charged = billed(scene.world, scene.template.clouds, START, report.end)
    for item in report.items:
        slack = 2
        assert item.figure.low - slack <= charged[item.name] <= item.figure.high + slack, item.name
    assert {one.id for one in operations} <= {one.operation_id for one in told}
    _check_calls(scene, Counter(one.kind for one in operations))
    names = [row.name for row in scene.rows()]
    assert len(set(names)) == len(names)


def _check_calls(scene: Scene, asked: Counter[str]) -> None:
    """Nothing was made, changed or deleted more often than it was asked for."""
    done = Counter(
        call.path.rpartition("/")[2] if "/aws/" in call.path else call.method
        for call in scene.world.calls.mutating(committed=True)
    )
    assert done["CreateEndpoint"] <= asked["resume"]
    assert done["DeleteEndpoint"] <= asked["pause"] + asked["delete"]
    assert done["DELETE"] <= asked["delete"]
    assert done["PUT"] <= asked["update"]


def _check_seams(intervals: list[MeterInterval]) -> None:
    ledger: dict[tuple[str, str], list[MeterInterval]] = defaultdict(list)
    for row in intervals:
        ledger[row.endpoint_id, row.component].append(row)
    for rows in ledger.values():
        for left, right in itertools.pairwise(rows):
            assert left.ended_at == right.started_at, (left, right)
