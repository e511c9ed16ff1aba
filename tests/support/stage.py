"""A whole service in virtual time: simulated cloud, real driver, real store, real engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import httpx2
from sqlmodel import col, select

from orchestrator.clock import ManualClock
from orchestrator.domain.schedules.model import Window
from orchestrator.domain.schedules.text import parse_window
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.providers.registry import ProviderHooks
from orchestrator.sandbox.ledger import BillLine
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from orchestrator.services import adoption, bindings, clicks
from orchestrator.services.clicks import Clicked
from orchestrator.services.clouds import provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.requests import Asked
from orchestrator.services.windows import window_to_json
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import (
    Account,
    Endpoint,
    Event,
    Hold,
    IdlePolicy,
    MeterInterval,
    Operation,
    Schedule,
)

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
TOKEN = "stage-token"
NAMESPACE = "acme"
# Nothing here happens within a minute, and every look takes its time; prices stay.
CALM = Cadence(rest=timedelta(minutes=6), transition=timedelta(seconds=30), rates=timedelta(days=1))
BRISK = replace(CALM, rest=timedelta(minutes=3))
OFFICE = Window(frozenset(range(5)), time(8), time(18))


class Killed(BaseException):
    """The process died at this point; nothing may catch it."""


@dataclass
class Stage:
    """One account of one simulated cloud, and the engine over it; `kill_at` ends a process."""

    database: Database
    world: World
    clock: ManualClock
    engine: Engine
    context: Context
    account: Account
    wire: KillableTransport
    cadence: Cadence
    started: datetime = MONDAY
    deaths: int = field(default=0)

    def add(
        self,
        name: str,
        *,
        traffic: Traffic | None = None,
        startup_s: float | None = None,
        **payload: Any,
    ) -> None:
        """Let a person create an endpoint in the cloud; it runs already."""
        self.world.add_endpoint(
            NAMESPACE,
            endpoint_payload(name, **payload),
            state="running",
            traffic=traffic,
            startup_s=startup_s,
            created_at=self.clock.now() - timedelta(days=3),
            used_at=self.clock.now() - timedelta(hours=1),
        )

    def run(self, **span: float) -> None:
        """Let the engine work for a span of virtual time."""
        self.run_until(self.clock.now() + timedelta(**span))

    def run_until(self, end: datetime) -> None:
        """Let the engine work until an instant; a death restarts it."""
        while self.clock.now() < end:
            try:
                next_at = self.engine.step(self.clock.now())
            except Killed:
                self.restart()
                continue
            self.clock.set(min(end, max(next_at, self.clock.now() + timedelta(seconds=1))))
        self.world.advance_to(self.clock.now())

    def step(self) -> datetime:
        """Let the engine make one pass now, as after a nudge."""
        self.engine.nudge()
        return self.engine.step(self.clock.now())

    def restart(self) -> None:
        """Start the engine again over the same store, as after a death."""
        self.deaths += 1
        self.engine = Engine(self.context, self.cadence)

    def endpoint(self, name: str) -> Endpoint:
        """Return the youngest endpoint of that name."""
        with self.database.read() as session:
            query = select(Endpoint).where(Endpoint.name == name)
            row = session.exec(query.order_by(col(Endpoint.generation).desc())).first()
        assert row is not None, f"{name} was never seen"
        return row

    def adopt(self, *names: str) -> None:
        """Adopt endpoints as a person would."""
        with self.database.write() as session:
            for name in names:
                row = session.get_one(Endpoint, self.endpoint(name).id)
                adoption.adopt(session, row, self.asked())

    def asked(self, reason: str = "test") -> Asked:
        """Return who asks now."""
        return Asked("ana", self.clock.now(), reason)

    def click(self, verb: str, name: str, reason: str = "demo") -> Clicked:
        """Ask for `pause`, `resume` or `scale_to_zero` as a person does in the page."""
        request = getattr(clicks, f"request_{verb}")
        with self.database.write() as session:
            row = session.get_one(Endpoint, self.endpoint(name).id)
            clicked: Clicked = request(session, row, self.asked(reason))
        return clicked

    def schedule(self, *windows: Window, zone: str = "UTC", **changes: Any) -> Schedule:
        """Save a schedule over every managed endpoint, applied now."""
        now = self.clock.now()
        apply_now = changes.pop("apply_now", True)
        windows += tuple(parse_window(text) for text in changes.pop("windows_text", ()))
        with self.database.write() as session:
            row = Schedule(
                id=new_id("sch", now),
                name=changes.pop("name", "Office"),
                timezone=zone,
                windows=[window_to_json(window) for window in windows or (OFFICE,)],
                effective_from=now,
                created_at=now,
                created_by="ana",
                updated_at=now,
                **changes,
            )
            session.add(row)
            session.flush()
            rows = session.exec(select(Endpoint)).all()
            ids = [each.id for each in rows] if apply_now else []
            bindings.sync_rule(session, row, now, apply_now=ids)
        return row

    def idle_policy(self, minutes: int = 15, **changes: Any) -> IdlePolicy:
        """Save an idle policy over every managed endpoint."""
        now = self.clock.now()
        with self.database.write() as session:
            row = IdlePolicy(
                id=new_id("pol", now),
                name=changes.pop("name", "Nap"),
                timeout_minutes=minutes,
                effective_from=now,
                created_at=now,
                created_by="ana",
                updated_at=now,
                **changes,
            )
            session.add(row)
            session.flush()
            bindings.sync_rule(session, row, now)
        return row

    def state(self, name: str) -> str:
        """Return the cloud's own word for an endpoint now."""
        self.world.advance_to(self.clock.now())
        return self.world.endpoint(NAMESPACE, name).state

    def events(self, kind: str = "") -> list[Event]:
        """Return the events whose kind starts so, oldest first."""
        with self.database.read() as session:
            rows = session.exec(select(Event).order_by(col(Event.id))).all()
        return [row for row in rows if row.kind.startswith(kind)]

    def operations(self, name: str | None = None) -> list[Operation]:
        """Return the operations, oldest first."""
        with self.database.read() as session:
            rows = session.exec(select(Operation).order_by(col(Operation.id))).all()
        return [row for row in rows if name in (None, row.endpoint_name)]

    def holds(self) -> list[Hold]:
        """Return all holds, oldest first."""
        with self.database.read() as session:
            return list(session.exec(select(Hold).order_by(col(Hold.id))).all())

    def intervals(self, name: str) -> Sequence[MeterInterval]:
        """Return an endpoint's ledger, in order."""
        key = self.endpoint(name).id
        with self.database.read() as session:
            query = select(MeterInterval).where(MeterInterval.endpoint_id == key)
            return session.exec(query.order_by(col(MeterInterval.started_at))).all()

    def changes(self, name: str | None = None) -> list[str]:
        """Return the changing calls that the cloud carried out, as `name verb`."""
        return [
            f"{call.name} {call.path.rsplit('/', 1)[-1] if call.method == 'POST' else call.method}"
            for call in self.world.calls.mutating(committed=True)
            if name in (None, call.name)
        ]

    def bill(self) -> list[BillLine]:
        """Return the cloud's own bill since the stage was opened."""
        return self.world.bill(NAMESPACE, start=self.started, end=self.clock.now())


class KillableTransport(httpx2.BaseTransport):
    """Carries calls to the simulated cloud; may let the process die before or after one.

    What `instead` returns is the answer, and the cloud does not hear of the call.
    """

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner
        self.before: Callable[[httpx2.Request], bool] = lambda _: False
        self.after: Callable[[httpx2.Request], bool] = lambda _: False
        self.instead: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.before(request):
            raise Killed
        response = self.instead(request) or self._inner.handle_request(request)
        if self.after(request):
            raise Killed
        return response


def open_stage(
    database: Database,
    *,
    switches: Switches | None = None,
    cadence: Cadence | None = None,
    options: Mapping[str, str] | None = None,
    start: datetime = MONDAY,
    seed: int = 1,
) -> Stage:
    """Return a stage with one connected account and no endpoints; nothing was looked at yet."""
    clock = ManualClock(start)
    world = World(start=start, seed=seed, switches=switches)
    world.add_namespace(NAMESPACE, kind="org")
    world.add_user("robot", token=TOKEN, role="write", orgs=[NAMESPACE])
    context, wire = surroundings(database, world, clock, TOKEN)
    account = Account(
        id=new_id("acc", start),
        name=NAMESPACE,
        provider="huggingface",
        namespace=NAMESPACE,
        credential_ref="env:STAGE",
        created_at=start,
        options={
            "api_url": "http://cloud.test/v2",
            "hub_url": "http://cloud.test",
            **(options or {}),
        },
    )
    with database.write() as session:
        session.add(account)
    cadence = cadence or CALM
    engine = Engine(context, cadence)
    return Stage(database, world, clock, engine, context, account, wire, cadence, start)


def surroundings(
    database: Database, world: World, clock: ManualClock, secret: str
) -> tuple[Context, KillableTransport]:
    """Return the context of a service whose drivers reach a world without sockets."""
    wire = KillableTransport(
        InProcessTransport(world, clock=clock.now, sleep=lambda s: _pass(clock, s))
    )
    hooks = ProviderHooks(
        clock=clock,
        resolve=lambda _: secret,
        transport=wire,
        sleep=lambda s: _pass(clock, s),
        digest_key=b"k" * 32,
        installation="store_of_the_stage",
    )
    settings = Settings()
    pool = ProviderPool(provider_maker(settings, hooks), hooks.pacing)
    context = Context(database, clock, settings, pool)
    return context, wire


def _pass(clock: ManualClock, seconds: float) -> None:
    clock.set(clock.now() + timedelta(seconds=seconds))
