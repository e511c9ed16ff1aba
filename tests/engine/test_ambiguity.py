"""Every fault of a cloud, at every kind of call: what is left behind, and what it is taken for.

docs/ambiguity.md names these cases; tests/test_documents.py holds the two together.
"""

from __future__ import annotations

import itertools
import shutil
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlmodel import col, select

from orchestrator.clock import ManualClock
from orchestrator.costs.report import cost_report
from orchestrator.domain.endpoints import EndpointSpec
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.sandbox import faults
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.world import World
from orchestrator.services import creation, deletion
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, MeterInterval
from tests.engine.test_aws_life import spec as aws_spec
from tests.engine.test_recreate import TARGET
from tests.providers.wire import a_spec
from tests.support.aws_stage import GONE, KEY, open_aws_stage
from tests.support.promises import check_explained
from tests.support.stage import NAMESPACE, TOKEN, Stage, open_stage, surroundings

# So old is what a stale read shows; the bounds of the ledger know nothing of that.
STALE_S = 120
CALM = Cadence(rest=timedelta(minutes=8), transition=timedelta(seconds=75), rates=timedelta(days=1))
REFUSALS = {
    "conflict": faults.error(409, "it is being changed by another request"),
    "refused": faults.error(400, "this is not possible"),
    "redirect that keeps the method": faults.page(307),
}

# How a change may be met. Those that a cloud calls by words of its own are made in `fault_of`.
CHANGE_FAULTS = {
    "timeout before": faults.timeout_before(),
    "timeout after": faults.timeout_after(),
    "dropped before": faults.drop_before(),
    "dropped after": faults.drop_after(),
    "truncated": faults.truncate(),
    "server error before": faults.error(500),
    "server error after": faults.error(500, after_commit=True),
    "unavailable": faults.error(503),
    "gateway error after": faults.error(504, after_commit=True),
    "throttled": faults.error(429, "Too Many Requests"),
    "throttled with a time": faults.error(429, "Too Many Requests", retry_after=40),
    "proxy page": faults.page(200),
    "proxy page after": faults.page(200, after_commit=True),
    "proxy error page": faults.page(502),
    "redirect": faults.page(302),
    "redirect after": faults.page(302, after_commit=True),
    "slow": faults.slow(45),
    "extra field": faults.extra_field("surprise", {"a": [1]}),
    "unknown word": faults.unknown_state("hibernating"),
}
READ_FAULTS = {
    "timeout": faults.timeout_before(),
    "dropped": faults.drop_before(),
    "truncated": faults.truncate(),
    "server error": faults.error(500),
    "unavailable": faults.error(503, retry_after=20),
    "throttled": faults.error(429, "Too Many Requests"),
    "throttled with a time": faults.error(429, "Too Many Requests", retry_after=40),
    "conflict": faults.error(409, "the endpoint is being changed by another request"),
    "proxy page": faults.page(200),
    "proxy error page": faults.page(502),
    "not found by a proxy": faults.page(404),
    "redirect": faults.page(302),
    "slow": faults.slow(45),
    "stale": faults.stale_read(STALE_S),
    "unknown word": faults.unknown_state("hibernating"),
    "extra field": faults.extra_field("surprise", {"a": [1]}),
}
LISTING_FAULTS = {
    "empty": faults.empty_listing(),
    "rows lost": faults.partial_listing(1),
    "many rows lost": faults.partial_listing(3, lose_cursor=True),
    "a row twice": faults.repeated_row(),
}


class Play(ABC):
    """One cloud with an endpoint for each kind of call; the calls are asked for all at once."""

    names: ClassVar = ("pauses", "resumes", "sleeps", "goes")
    # The words of each call by which a fault finds it: method and end of the path.
    paths: ClassVar[dict[str, tuple[str | None, str]]]
    spec: EndpointSpec

    def __init__(self, stage: Any) -> None:
        self.stage = stage

    @abstractmethod
    def prepare(self) -> None: ...

    def committed(self, name: str) -> list[str]:
        """Return the changes of one endpoint that the cloud has carried out."""
        found: list[str] = self.stage.changes(name)
        return found

    @abstractmethod
    def check_ledger(self, stale_s: int = 0) -> None: ...

    def ask(self) -> None:
        """Ask for every kind of change, each of another endpoint."""
        stage = self.stage
        warnings = creation.checked(stage.context, stage.account, self.spec)
        with stage.database.write() as session:
            account = session.get_one(Account, stage.account.id)
            creation.request_create(
                session, account, self.spec, stage.asked(), labels={}, owner="ana",
                warnings=warnings,
            )  # fmt: skip
            row = session.get_one(Endpoint, stage.endpoint("goes").id)
            deletion.request_delete(session, row, stage.asked(), confirm="goes")
        stage.click("pause", "pauses")
        stage.click("resume", "resumes")
        stage.click("scale_to_zero", "sleeps")
        stage.step()

    def break_call(self, call: str, fault: Fault) -> None:
        """Let a fault hit a kind of call, worded as this cloud words it."""
        method, path = self.paths[call]
        self.stage.world.faults.add(self.worded(fault), method=method, path=path)

    def break_changes(self, fault: Fault, *, always: bool = False) -> None:
        """Let a fault hit every kind of change once, or as long as it is in force."""
        places = Counter(at for call, at in self.paths.items() if call not in ("read", "listing"))
        for (method, path), count in places.items():
            times = None if always else count
            self.stage.world.faults.add(self.worded(fault), method=method, path=path, count=times)

    def worded(self, fault: Fault) -> Fault:
        return fault

    def look_through_a_fault(self, stale_s: int = 0) -> None:
        """While a fault lasts others change the fleet; then it is seen as it is."""
        stage = self.stage
        self.others_delete("goes")
        stage.click("pause", "pauses")
        stage.run(minutes=8)
        lost = [row.name for row in self.rows() if row.deleted_at is not None]
        assert lost in ([], ["goes"])
        stage.world.faults.clear()
        stage.run(minutes=16)
        stage.step()
        seen = {row.name: row.status for row in self.rows()}
        assert seen.pop("sleeps") in ("running", "scaled_to_zero")
        assert seen == {"pauses": "paused", "resumes": "paused", "goes": "deleted"}
        assert len(self.rows()) == 4
        assert [self.committed(name) for name in ("resumes", "sleeps")] == [[], []]
        assert self.committed("pauses") == self.once["pauses"]
        check_explained(stage)
        self.check_ledger(stale_s)

    @abstractmethod
    def others_delete(self, name: str) -> None: ...

    def rows(self) -> list[Endpoint]:
        with self.stage.database.read() as session:
            return list(session.exec(select(Endpoint)).all())

    def check(self) -> None:
        """Everything is as it was asked for, once, explained, and inside of the bill."""
        stage = self.stage
        stage.step()
        seen = {row.name: row.status for row in self.rows() if row.deleted_at is None}
        wanted = {"pauses": "paused", "resumes": "running", "sleeps": "scaled_to_zero"}
        assert seen == wanted | {self.spec.name: "running"}, [
            (op.endpoint_name, op.kind, op.status, op.outcome) for op in stage.operations()
        ]
        assert len(self.rows()) == 5
        for name, verbs in self.once.items():
            assert self.committed(name) == verbs
        last = {op.endpoint_name: op.status for op in stage.operations()}
        assert set(last.values()) == {"succeeded"}
        check_explained(stage)
        assert all(op.outcome for op in stage.operations())
        self.check_ledger()

    once: ClassVar[dict[str, list[str]]]


class HuggingFacePlay(Play):
    paths: ClassVar = {
        "create": ("POST", rf"/endpoint/{NAMESPACE}$"),
        "pause": ("POST", "/pause$"),
        "resume": ("POST", "/resume$"),
        "scale to zero": ("POST", "/scale-to-zero$"),
        "delete": ("DELETE", ""),
        "read": ("GET", rf"/endpoint/{NAMESPACE}/[^/]+$"),
        "listing": ("GET", rf"/endpoint/{NAMESPACE}$"),
    }
    spec = a_spec(name="comes", scaling=a_spec().scaling)
    once: ClassVar = {
        "pauses": ["pauses pause"],
        "resumes": ["resumes resume"],
        "sleeps": ["sleeps scale-to-zero"],
        "goes": ["goes DELETE"],
    }

    def prepare(self) -> None:
        for name in self.names:
            self.stage.add(name, min_replica=0 if name == "sleeps" else 1)
        self.stage.world.act(NAMESPACE, "resumes", "pause")
        self.stage.run(minutes=5)
        self.stage.adopt(*self.names)
        self.stage.run(minutes=1)

    def others_delete(self, name: str) -> None:
        self.stage.world.act(NAMESPACE, name, "delete")

    def check_ledger(self, stale_s: int = 0) -> None:
        bill = self.stage.world.bill(NAMESPACE, start=self.stage.started)
        check_band(self.stage, [(line.name, line.nano_usd) for line in bill], stale_s)


class AwsPlay(Play):
    paths: ClassVar = {
        "create": (None, "/sagemaker/CreateEndpoint$"),
        "pause": (None, "/sagemaker/DeleteEndpoint$"),
        "resume": (None, "/sagemaker/CreateEndpoint$"),
        "scale to zero": (None, "/UpdateInferenceComponentRuntimeConfig$"),
        "delete": (None, "/sagemaker/DeleteEndpoint$"),
        "restore": (None, "/application-autoscaling/RegisterScalableTarget$"),
        "read": (None, "/sagemaker/Describe"),
        "listing": (None, "/sagemaker/ListEndpoints$"),
    }
    spec = aws_spec(name="comes")
    once: ClassVar = {
        "pauses": ["pauses delete"],
        "resumes": ["resumes create"],
        "goes": ["goes delete"],
        "comes": ["comes create"],
    }

    def prepare(self) -> None:
        stage = self.stage
        for name in ("pauses", "resumes", "goes"):
            stage.add(name, instance_type="ml.g5.xlarge", startup_s=120)
        target = TARGET | {"ResourceId": "endpoint/resumes/variant/AllTraffic"}
        stage.call(
            "RegisterScalableTarget", "application-autoscaling", MinCapacity=1, MaxCapacity=4,
            **target,
        )  # fmt: skip
        stage.run(minutes=5)
        stage.adopt("pauses", "resumes", "goes")
        stage.allow("pauses", "resumes")
        stage.click("pause", "resumes")
        stage.run(minutes=20)
        assert stage.state("resumes") == GONE
        # Last of all: without requests it goes to zero by itself after a while.
        stage.add_component("sleeps")
        stage.run(minutes=4)
        stage.adopt("sleeps")

    def worded(self, fault: Fault) -> Fault:
        code = {409: "ConflictException", 429: "ThrottlingException"}.get(fault.status, "")
        return replace(fault, status=400, code=code) if code else fault

    def others_delete(self, name: str) -> None:
        self.stage.call("DeleteEndpoint", EndpointName=name)

    def check_ledger(self, stale_s: int = 0) -> None:
        check_band(
            self.stage, [(line.name, line.nano_usd) for line in self.stage.aws_bill()], stale_s
        )


def check_band(stage: Stage, bill: list[tuple[str, int]], stale_s: int) -> None:
    """I1: no gap, no overlap, and the cloud's bill inside of the ledger's bounds."""
    now = stage.clock.now()
    with stage.database.read() as session:
        report = cost_report(session, start=stage.started, end=now, now=now)
        rows = session.exec(select(MeterInterval).order_by(col(MeterInterval.started_at))).all()
        names = {row.id: row.name for row in session.exec(select(Endpoint))}
    ledgers: dict[tuple[str, str], list[MeterInterval]] = defaultdict(list)
    for row in rows:
        ledgers[row.endpoint_id, row.component].append(row)
    for ledger in ledgers.values():
        assert all(a.ended_at == b.started_at for a, b in itertools.pairwise(ledger))
    billed: dict[str, int] = defaultdict(int)
    for name, amount in bill:
        billed[name] += amount
    for item in report.items:
        name, figure = names[item.key], item.figure
        slack = 2 + stale_s * figure.high // max(item.billed_seconds, 1)
        assert figure.low - slack <= billed[name] <= figure.high + slack, (name, figure, billed)


@dataclass(frozen=True)
class Prepared:
    """A store and a cloud before anything is asked for, to be copied for each case."""

    cloud: str
    store: Path
    world: dict[str, Any]
    stage: Stage

    def play(self, store: Path) -> Play:
        shutil.copyfile(self.store, store)
        database = Database(f"sqlite:///{store}", durable=False)
        old, world = self.stage, World.restore(self.world)
        clock = ManualClock(old.clock.now())
        context, wire = surroundings(database, world, clock, SECRETS[self.cloud])
        stage = type(old)(
            database, world, clock, Engine(context, CALM), context, old.account, wire, CALM,
            old.started,
        )  # fmt: skip
        return CLOUDS[self.cloud](stage)


CLOUDS: dict[str, type[Play]] = {"huggingface": HuggingFacePlay, "sagemaker": AwsPlay}
SECRETS = {"huggingface": TOKEN, "sagemaker": f"{KEY}:secret-of-the-stage"}


def cases(words: Iterable[str]) -> pytest.MarkDecorator:
    """Meet every word on both clouds."""
    found = [
        pytest.param(cloud, word, id=f"{cloud}-{word}")
        for word in words
        for cloud in ("huggingface", "sagemaker")
    ]
    return pytest.mark.parametrize(("cloud", "word"), found)


@pytest.fixture(scope="module")
def prepared(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Prepared]:
    """Return what makes a cloud with one endpoint for each kind of change, once of each cloud."""

    @cache
    def prepare(cloud: str) -> Prepared:
        store = tmp_path_factory.mktemp("play") / "store.db"
        shutil.copyfile(sqlite_template, store)
        database = Database(f"sqlite:///{store}", durable=False)
        opened = open_aws_stage if cloud == "sagemaker" else open_stage
        play = CLOUDS[cloud](opened(database, cadence=CALM))
        play.prepare()
        database.dispose()
        return Prepared(cloud, store, play.stage.world.snapshot(), play.stage)

    return prepare


@pytest.fixture
def play(prepared: Callable[[str], Prepared], cloud: str, tmp_path: Path) -> Iterator[Play]:
    """Return a copy of the prepared cloud and store."""
    made = prepared(cloud).play(tmp_path / "store.db")
    yield made
    made.stage.database.dispose()


@cases(CHANGE_FAULTS)
def test_a_change_that_meets_a_fault_is_made_once(play: Play, word: str) -> None:
    play.break_changes(CHANGE_FAULTS[word])
    play.ask()
    play.stage.run(minutes=40)
    outcomes = [(op.endpoint_name, op.status, op.outcome) for op in play.stage.operations()]
    assert {status for _, status, _ in outcomes} == {"succeeded"}, outcomes
    play.check()


@cases(REFUSALS)
def test_a_refusal_ends_the_operation_and_a_wish_is_tried_anew(play: Play, word: str) -> None:
    play.break_changes(REFUSALS[word], always=True)
    play.ask()
    play.stage.run(minutes=2)
    play.stage.world.faults.clear()
    refused = {op.endpoint_name for op in play.stage.operations() if op.status == "failed"}
    # A redirect is nothing that AWS itself says: there it is a doubt, and no refusal.
    assert "pauses" in refused or isinstance(play, AwsPlay)
    assert play.committed("pauses") == play.committed("goes") == []
    failures = [op for op in play.stage.operations() if op.status == "failed"]
    assert len(play.stage.events("operation.failed")) == len(failures)
    play.stage.run(minutes=40)
    ended = {row.name: row.status for row in play.rows()}
    assert (ended["pauses"], ended["resumes"], ended["goes"]) == ("paused", "running", "deleted")
    assert all(play.committed(name) == play.once[name] for name in ("pauses", "resumes", "goes"))
    # A creation that was refused is for a person to make again.
    assert ended.get(play.spec.name) == (None if play.spec.name in refused else "running")
    check_explained(play.stage)
    play.stage.step()
    play.check_ledger()


@cases(READ_FAULTS | LISTING_FAULTS)
def test_a_listing_that_meets_a_fault_loses_nothing(play: Play, word: str) -> None:
    play.break_call("listing", (READ_FAULTS | LISTING_FAULTS)[word])
    play.look_through_a_fault(STALE_S if word == "stale" else 0)


@cases(READ_FAULTS)
def test_a_read_that_meets_a_fault_is_believed_of_nothing(play: Play, word: str) -> None:
    play.break_call("read", READ_FAULTS[word])
    play.look_through_a_fault(STALE_S if word == "stale" else 0)
