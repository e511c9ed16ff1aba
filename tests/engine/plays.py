"""Both clouds, with an endpoint for each kind of call that a fault may meet."""

from __future__ import annotations

import itertools
import shutil
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlmodel import Session, col, select

from orchestrator.clock import ManualClock
from orchestrator.costs.observe import UPDATE
from orchestrator.costs.report import cost_report
from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.world import World
from orchestrator.services import creation, deletion
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, MeterInterval
from tests.engine.test_aws_life import spec as aws_spec
from tests.engine.test_recreate import TARGET
from tests.providers.wire import a_spec
from tests.support.aws_stage import GONE, KEY, REGION
from tests.support.promises import check_explained
from tests.support.stage import NAMESPACE, TOKEN, Stage, surroundings

# New replicas of an update take so long that a look finds both fleets.
SLOW_S = 240
CALM = Cadence(rest=timedelta(minutes=8), transition=timedelta(seconds=75), rates=timedelta(days=1))


class Play(ABC):
    """One cloud with an endpoint for each kind of call; the calls are asked for all at once."""

    names: ClassVar = ("pauses", "resumes", "sleeps", "goes", "changes")
    # The words of each call by which a fault finds it: method and end of the path.
    paths: ClassVar[dict[str, tuple[str | None, str]]]
    spec: EndpointSpec
    # What `changes` is to run on: its new replicas come up beside the old ones, both are billed.
    other: Hardware

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
            self.update(session)
        stage.click("pause", "pauses")
        stage.click("resume", "resumes")
        stage.click("scale_to_zero", "sleeps")
        stage.step()

    def update(self, session: Session) -> None:
        """Ask for other hardware for the endpoint that is to change."""
        row = session.get_one(Endpoint, self.stage.endpoint("changes").id)
        wanted = EndpointChange(hardware=self.other)
        creation.request_update(session, row, wanted, self.stage.asked())

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
        with stage.database.write() as session:
            self.update(session)
        stage.run(minutes=8)
        lost = [row.name for row in self.rows() if row.deleted_at is not None]
        assert lost in ([], ["goes"])
        stage.world.faults.clear()
        stage.run(minutes=16)
        stage.step()
        seen = {row.name: row.status for row in self.rows()}
        assert seen.pop("sleeps") in ("running", "pausing", "scaled_to_zero")
        wanted = {"pauses": "paused", "resumes": "paused", "goes": "deleted"}
        assert seen == wanted | {"changes": "running"}
        assert len(self.rows()) == 5
        assert [self.committed(name) for name in ("resumes", "sleeps")] == [[], []]
        assert self.committed("pauses") == self.once["pauses"]
        self.check_update(seen=False)
        check_explained(stage)
        self.check_ledger(stale_s)

    @abstractmethod
    def others_delete(self, name: str) -> None: ...

    def rows(self) -> list[Endpoint]:
        with self.stage.database.read() as session:
            return list(session.exec(select(Endpoint)).all())

    def check_update(self, *, seen: bool = True) -> None:
        """The change was made once, or refused and told; its new fleet was metered and is gone."""
        stage = self.stage
        (operation,) = stage.operations("changes")
        refused = operation.status == "failed"
        assert self.committed("changes") == ([] if refused else self.once["changes"])
        assert refused or operation.status == "succeeded"
        told = {event.operation_id for event in stage.events("operation.failed")}
        assert (operation.id in told) is refused
        assert (stage.endpoint("changes").hardware_key == self.other.key) is not refused
        beside = [one for one in stage.intervals("changes") if one.component == UPDATE]
        metered = {one.hardware_key for one in beside if one.replicas_high}
        assert not seen or metered == (set() if refused else {self.other.key})
        assert not any(one.replicas_high for one in beside if one.ended_at is None)

    def check(self) -> None:
        """Everything is as it was asked for, once, explained, and inside of the bill."""
        stage = self.stage
        stage.step()
        seen = {row.name: row.status for row in self.rows() if row.deleted_at is None}
        wanted = {"pauses": "paused", "resumes": "running", "sleeps": "scaled_to_zero"}
        assert seen == wanted | {self.spec.name: "running", "changes": "running"}, [
            (op.endpoint_name, op.kind, op.status, op.outcome) for op in stage.operations()
        ]
        assert len(self.rows()) == 6
        self.check_update()
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
        "update": ("PUT", rf"/endpoint/{NAMESPACE}/[^/]+$"),
        "read": ("GET", rf"/endpoint/{NAMESPACE}/[^/]+$"),
        "listing": ("GET", rf"/endpoint/{NAMESPACE}$"),
    }
    spec = a_spec(name="comes", scaling=a_spec().scaling)
    other = Hardware("aws", "us-east-1", "nvidia-a10g", "x1")
    once: ClassVar = {
        "pauses": ["pauses pause"],
        "resumes": ["resumes resume"],
        "sleeps": ["sleeps scale-to-zero"],
        "goes": ["goes DELETE"],
        "changes": ["changes PUT"],
    }

    def prepare(self) -> None:
        for name in self.names:
            slow = SLOW_S if name == "changes" else None
            self.stage.add(name, startup_s=slow, min_replica=0 if name == "sleeps" else 1)
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
        "update": (None, "/sagemaker/UpdateEndpoint$"),
        "restore": (None, "/application-autoscaling/RegisterScalableTarget$"),
        "read": (None, "/sagemaker/Describe"),
        "listing": (None, "/sagemaker/ListEndpoints$"),
    }
    spec = aws_spec(name="comes")
    other = Hardware("sagemaker", REGION, "ml.g5.2xlarge", "x1")
    once: ClassVar = {
        "pauses": ["pauses delete"],
        "resumes": ["resumes create"],
        "goes": ["goes delete"],
        "comes": ["comes create"],
        "changes": ["changes update"],
    }

    def prepare(self) -> None:
        stage = self.stage
        for name in ("pauses", "resumes", "goes", "changes"):
            slow = SLOW_S if name == "changes" else 120
            stage.add(name, instance_type="ml.g5.xlarge", startup_s=slow)
        target = TARGET | {"ResourceId": "endpoint/resumes/variant/AllTraffic"}
        stage.call(
            "RegisterScalableTarget", "application-autoscaling", MinCapacity=1, MaxCapacity=4,
            **target,
        )  # fmt: skip
        stage.run(minutes=5)
        stage.adopt("pauses", "resumes", "goes", "changes")
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
