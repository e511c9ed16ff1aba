"""Random histories of a small fleet: clicks, console acts, faults, deaths, downtime.

After each, faults cease and the promises are checked: the ledger holds the cloud's bill (I1),
nothing is orphaned (I2), everything reaches its wish (I3), nothing unmanaged is touched (I5),
and every change has an operation and an event (I7).
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from orchestrator.costs.report import cost_report
from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.plan import needed
from orchestrator.domain.status import Status, Wish
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.services.errors import ServiceError
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, MeterInterval, Operation
from tests.support.stage import NAMESPACE, Killed, Stage, open_stage

# A history takes about half a second; `make soak` plays many more of them.
EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 40
MANAGED = ("web", "api", "nap")
FOREIGN = "foreign"
NAMES = (*MANAGED, FOREIGN)
FAULTS = (
    faults.timeout_before(),
    faults.timeout_after(),
    faults.drop_before(),
    faults.drop_after(),
    faults.truncate(),
    faults.error(500),
    faults.error(503, after_commit=True),
    faults.error(429, retry_after=30),
    faults.stale_read(90),
    faults.empty_listing(),
    faults.partial_listing(2, lose_cursor=True),
    faults.partial_listing(1),
    faults.unknown_state(),
    faults.missing_field("status.lastUsedAt"),
    faults.missing_field("compute.scaling"),
    faults.missing_field("status.readyReplica"),
)


class MortalDatabase(Database):
    """A store at whose commits the process may die: just before, or just after."""

    countdown = -1
    after = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.countdown >= 0:
            self.countdown -= 1
        dies = self.countdown == 0
        with super().write() as session:
            yield session
            if dies and not self.after:
                self.countdown = -1
                raise Killed
        if dies:
            self.countdown = -1
            raise Killed


@dataclass(frozen=True)
class Act:
    """One line of a history."""

    kind: str
    name: str = ""
    verb: str = ""
    number: int = 0
    flag: bool = False


acts = st.one_of(
    st.builds(Act, st.just("run"), number=st.integers(1, 90)),
    st.builds(Act, st.just("run"), number=st.integers(1, 10)),
    st.builds(
        Act,
        st.just("click"),
        st.sampled_from(MANAGED),
        st.sampled_from(["pause", "resume", "scale_to_zero"]),
    ),
    st.builds(
        Act,
        st.just("console"),
        st.sampled_from(NAMES),
        st.sampled_from(["pause", "resume", "scale-to-zero"]),
    ),
    st.builds(Act, st.just("invoke"), st.sampled_from(NAMES)),
    st.builds(Act, st.just("fault"), number=st.integers(0, len(FAULTS) - 1), flag=st.booleans()),
    st.builds(Act, st.just("die_at_call"), number=st.integers(1, 12), flag=st.booleans()),
    st.builds(Act, st.just("die_at_commit"), number=st.integers(1, 12), flag=st.booleans()),
    st.builds(Act, st.just("down"), number=st.integers(1, 120)),
)
switches = st.builds(
    Switches,
    initializing_billed=st.booleans(),
    minute_rounding=st.sampled_from(["exact", "up"]),
    resume_resets_scaling=st.booleans(),
    pause_keeps_target_replica=st.booleans(),
    update_doubles_billing=st.booleans(),
    pause_paused=st.sampled_from(["ok", "refuse"]),
    scale_to_zero_with_min=st.sampled_from(["refuse", "accept", "lower_min"]),
)


class History:
    """Plays acts on a stage."""

    def __init__(self, stage: Stage, database: MortalDatabase) -> None:
        self.stage, self.database = stage, database

    def play(self, act: Act) -> None:
        getattr(self, f"_{act.kind}")(act)

    def _run(self, act: Act) -> None:
        self.stage.run(minutes=act.number)

    def _click(self, act: Act) -> None:
        try:
            self.stage.click(act.verb, act.name)
        except ServiceError as refused:
            event(f"refused: {refused.code}")
        except Killed:
            self.stage.restart()
        self.stage.engine.nudge()

    def _console(self, act: Act) -> None:
        self.stage.world.advance_to(self.stage.clock.now())
        try:
            self.stage.world.act(NAMESPACE, act.name, act.verb)  # type: ignore[arg-type]  # a Verb
        except ApiError as refused:
            event(f"console refused: {refused.status}")

    def _invoke(self, act: Act) -> None:
        self.stage.world.advance_to(self.stage.clock.now())
        self.stage.world.invoke(NAMESPACE, act.name)

    def _fault(self, act: Act) -> None:
        fault = FAULTS[act.number]
        event(f"fault: {fault.kind}")
        self.stage.world.faults.add(fault, method="POST" if act.flag else None, count=3)

    def _die_at_call(self, act: Act) -> None:
        left = itertools.count(act.number, -1)

        def dies(request: httpx2.Request) -> bool:
            del request
            return next(left) == 1

        if act.flag:
            self.stage.wire.after = dies
        else:
            self.stage.wire.before = dies

    def _die_at_commit(self, act: Act) -> None:
        self.database.countdown, self.database.after = act.number, act.flag

    def _down(self, act: Act) -> None:
        event("downtime")
        self.stage.clock.set(self.stage.clock.now() + timedelta(minutes=act.number))
        self.stage.restart()

    def calm_down(self) -> None:
        """Let everything that goes wrong cease, and give the engine time."""
        self.stage.world.faults.clear()
        self.database.countdown = -1
        self.stage.wire.before = self.stage.wire.after = lambda _: False
        self.stage.run(hours=5)
        self.stage.step()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(switches=switches, history=st.lists(acts, min_size=6, max_size=22))
def test_promises_hold_after_any_history(switches: Switches, history: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = MortalDatabase(f"sqlite:///{folder}/store.db", durable=False)
        try:
            stage = _prepared(database, switches, Path(folder))
            teller = History(stage, database)
            for act in history:
                teller.play(act)
            teller.calm_down()
            event(f"deaths: {min(stage.deaths, 5)}")
            check_ledger(stage)
            check_convergence(stage)
            check_no_harm(stage)
            check_explained(stage)
        finally:
            database.dispose()


def _prepared(database: MortalDatabase, switches: Switches, folder: Path) -> Stage:
    del folder
    migrate.upgrade(database)
    cadence = Cadence(rest=timedelta(minutes=4), transition=timedelta(seconds=30))
    stage = open_stage(database, switches=switches, cadence=cadence)
    stage.add("web", traffic=Traffic.recorded("m-large-000", seed=5))
    stage.add("api", min_replica=1, max_replica=3, startup_s=420)
    stage.add("nap", min_replica=0, max_replica=2, timeout_minutes=30)
    stage.add(FOREIGN, min_replica=0, timeout_minutes=15)
    stage.step()
    stage.adopt(*MANAGED)
    stage.schedule(
        selector={"endpoint": stage.endpoint("web").id}, windows_text=["daily 01:00-03:10"]
    )
    stage.idle_policy(30, selector={"endpoint": stage.endpoint("nap").id})
    return stage


def check_ledger(stage: Stage) -> None:
    """I1: no overlap, no gap, and the bill inside the band."""
    now = stage.clock.now()
    with stage.database.read() as session:
        report = cost_report(session, start=stage.started, end=now, now=now)
        rows = session.exec(select(MeterInterval).order_by(MeterInterval.started_at)).all()  # type: ignore[arg-type]  # a column
        names = {row.id: row.name for row in session.exec(select(Endpoint))}
    assert report.measured_until == now
    check_seams(rows)
    billed: dict[str, int] = defaultdict(int)
    for line in stage.world.bill(NAMESPACE, start=stage.started, end=now):
        billed[line.name] += line.nano_usd
    for item in report.items:
        figure, name = item.figure, names[item.key]
        assert figure.low - 1 <= billed[name] <= figure.high + 1, (name, figure, billed[name])


def check_seams(rows: Sequence[MeterInterval]) -> None:
    """Each component's stretches follow one another without gap or overlap, to this day."""
    ledgers: dict[tuple[str, str], list[MeterInterval]] = defaultdict(list)
    for row in rows:
        ledgers[row.endpoint_id, row.component].append(row)
    for ledger in ledgers.values():
        for left, right in itertools.pairwise(ledger):
            assert left.ended_at == right.started_at, (left, right)
        assert ledger[-1].ended_at is None


def settled(stage: Stage, names: Sequence[str]) -> list[Endpoint]:
    """I2 and I3: each exists once, no operation hangs, and none needs a further change.

    Returns the managed endpoints that are not left alone for a while after a failure.
    """
    with stage.database.read() as session:
        rows = session.exec(select(Endpoint)).all()
        active = session.exec(
            select(Operation).where(Operation.status.in_(["pending", "running", "confirming"]))  # type: ignore[attr-defined]  # a column
        ).all()
    assert sorted(row.name for row in rows) == sorted(names)
    backing_off = {row.id for row in rows if row.failures}
    assert [op for op in active if op.endpoint_id not in backing_off] == []
    found = [row for row in rows if row.managed and row.id not in backing_off]
    for row in found:
        decision = Decision(Wish(row.decided_wish), Rule.STANDING, "")
        billed = BilledReplicas(row.billed_low, row.billed_expected, row.billed_high)
        assert needed(Status(row.status), decision, billed) is None, (row.name, row.status)
    return found


def check_convergence(stage: Stage) -> None:
    """Each is in the cloud as it is stored."""
    for row in settled(stage, NAMES):
        assert stage.state(row.name).lower() == row.status.replace("_", ""), row.name


def check_no_harm(stage: Stage) -> None:
    """I5: what was never adopted was never changed by us."""
    assert stage.changes(FOREIGN) == []


def check_explained(stage: Stage) -> None:
    """I7: each operation that was begun was announced with its reason."""
    told = {event.operation_id for event in stage.events("operation.requested")}
    operations = stage.operations()
    assert {op.id for op in operations} <= told
    assert all(op.reason for op in operations)
    assert len(stage.changes()) <= sum(max(op.attempts, 1) for op in operations)
