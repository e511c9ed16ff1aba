"""The two clouds with their accounts and endpoints, made once and copied for every history."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlmodel import select

from orchestrator.clock import Clock, ManualClock
from orchestrator.domain.schedules.text import parse_window
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.providers.registry import ProviderHooks
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from orchestrator.services import adoption, bindings, contracts, tokens
from orchestrator.services.clouds import provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.requests import Asked
from orchestrator.services.tokens import Scope
from orchestrator.services.windows import window_to_json
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, IdlePolicy, Schedule

START = datetime(2026, 11, 16, tzinfo=UTC)
NAMESPACE, TOKEN = "acme", "simulated-token"
AWS_ACCOUNT, REGION, KEY = "123456789012", "us-east-1", "AKIAEXAMPLESIM"
PERSON = "ana"


# Coarse, so that hours take few passes; what is looked at rarely is unsure by that much more.
class Watchful(Cadence):
    """Looks seldom, and trusts no stretch in which a look was missed: replicas come and go."""

    @property
    def gap_limit(self) -> timedelta:
        """Return little more than the rest between two looks."""
        return self.rest + timedelta(minutes=1)


CADENCE = Watchful(
    rest=timedelta(minutes=10), transition=timedelta(minutes=2), rates=timedelta(hours=12)
)


class Seldom(Cadence):
    """For hours in which nothing is to come but what has its time; it trusts no longer stretch."""

    @property
    def gap_limit(self) -> timedelta:
        """Return what is trusted of one who looks oftener."""
        return CADENCE.gap_limit


SELDOM = Seldom(rest=timedelta(minutes=30), transition=CADENCE.transition, rates=CADENCE.rates)
START_UP_S = 75.0
# Many edges; longer stretches for what takes longer to stop and start.
WINDOWS = {
    "huggingface": [f"daily {hour:02}:10-{hour:02}:40" for hour in range(12)],
    "sagemaker": [f"daily {hour:02}:30-{hour + 1:02}:15" for hour in range(0, 23, 2)],
}
SETTINGS = Settings()
SECRETS = {"env:LAB": TOKEN, "env:FACTORY": f"{KEY}:simulated-secret"}


@dataclass(frozen=True)
class Cloud:
    """One cloud's part of a history: its account, and what is there at the beginning."""

    provider: str
    namespace: str
    region: str
    account: str
    managed: tuple[str, ...]
    foreign: str
    added: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all endpoints that may ever be there."""
        return (*self.managed, self.foreign, *self.added)


HUGGINGFACE = Cloud("huggingface", NAMESPACE, "", "lab", ("web", "nap"), "hand", ("fresh", "spare"))
SAGEMAKER = Cloud(
    "sagemaker", AWS_ACCOUNT, REGION, "factory", ("classic", "vision"), "other", ("novel",)
)
FLAVOURS: Mapping[str, tuple[Cloud, ...]] = {
    "huggingface": (HUGGINGFACE,),
    "sagemaker": (SAGEMAKER,),
    "both": (HUGGINGFACE, SAGEMAKER),
}


@dataclass(frozen=True)
class Template:
    """A store and a cloud at the beginning of a history, and the secret of a person's token."""

    clouds: tuple[Cloud, ...]
    store: Path
    world: Mapping[str, Any]
    now: datetime
    secret: str

    def store_at(self, path: Path) -> str:
        """Copy the store to `path`; return its address."""
        shutil.copyfile(self.store, path)
        return f"sqlite:///{path}"

    def new_world(self, seed: int, switches: Mapping[str, Any], aws: Mapping[str, Any]) -> World:
        """Return the clouds with these switches."""
        state = deepcopy(dict(self.world))  # what is restored shares its lists
        state["seed"] = seed
        state["switches"] = {**state["switches"], **switches}
        state["aws"] = {**state["aws"], "switches": {**state["aws"]["switches"], **aws}}
        return World.restore(state)


def context_of(
    database: Database,
    clock: Clock,
    transport: httpx2.BaseTransport,
    sleep: Callable[[float], None],
) -> Context:
    """Return what a new process is given, with drivers that remember nothing."""
    hooks = ProviderHooks(
        clock=clock,
        resolve=SECRETS.__getitem__,
        transport=transport,
        sleep=sleep,
        digest_key=b"k" * 32,
        installation="store_of_histories",
    )
    return Context(database, clock, SETTINGS, ProviderPool(provider_maker(SETTINGS, hooks)))


def build(folder: Path, clouds: tuple[Cloud, ...]) -> Template:
    """Make a SQLite store that has seen its accounts and manages what is to be managed."""
    path = folder / f"{'-'.join(cloud.provider for cloud in clouds)}.db"
    return replace(build_at(f"sqlite:///{path}", clouds), store=path)


def build_at(url: str, clouds: tuple[Cloud, ...]) -> Template:
    """Fill a store in the same way; its template cannot be copied as a file."""
    database = Database(url, durable=False)
    migrate.upgrade(database)
    clock, world = ManualClock(START), _world(clouds)
    transport = InProcessTransport(world, clock=clock.now)
    context = context_of(database, clock, transport, lambda _: None)
    with database.write() as session:
        session.add_all(_account(cloud) for cloud in clouds)
        issued = tokens.issue(
            session, name=PERSON, scope=Scope.ADMIN, expires_at=None, actor="test", now=START
        )
    engine = Engine(context, CADENCE)
    for _ in range(3):
        engine.nudge()
        engine.step(clock.now())
        clock.set(clock.now() + timedelta(minutes=1))
    _adopt(context, clouds)
    _save_rules(context, clouds)
    context.providers.close()
    database.dispose()
    return Template(clouds, Path(), world.snapshot(), clock.now(), issued.secret)


def _save_rules(context: Context, clouds: tuple[Cloud, ...]) -> None:
    """Let a schedule and an idle policy be in force, so that rules act in every history."""
    now = context.clock.now()
    common: dict[str, Any] = {
        "effective_from": now,
        "created_at": now,
        "created_by": PERSON,
        "updated_at": now,
    }
    with context.database.write() as session:
        rows = {row.name: row.id for row in session.exec(select(Endpoint))}
        saved: list[Schedule | IdlePolicy] = []
        for cloud in clouds:
            first, second = cloud.managed
            selector = {"endpoint": rows[first]}
            windows = [window_to_json(parse_window(text)) for text in WINDOWS[cloud.provider]]
            key = new_id("sch", now)
            saved.append(
                Schedule(
                    id=key,
                    name=f"hours {first}",
                    timezone="UTC",
                    windows=windows,
                    selector=selector,
                    drain_minutes=0,
                    **common,
                )
            )
            selector = {"endpoint": rows[second]}
            key, name = new_id("pol", now), f"nap {second}"
            saved.append(
                IdlePolicy(id=key, name=name, timeout_minutes=15, selector=selector, **common)
            )
        for rule in saved:
            session.add(rule)
            session.flush()
            bindings.sync_rule(session, rule, now)


def _account(cloud: Cloud) -> Account:
    options = {}
    if cloud.provider == "huggingface":
        # What no document says of the bill is a switch of the cloud, and unsure to the account.
        unsure = {"pending_billing": "unsure", "failed_billing": "unsure"}
        options = {"api_url": "http://cloud.test/v2", "hub_url": "http://cloud.test", **unsure}
    return Account(
        id=new_id("acc", START),
        name=cloud.account,
        provider=cloud.provider,
        namespace=cloud.namespace,
        region=cloud.region,
        credential_ref=f"env:{cloud.account.upper()}",
        created_at=START,
        options=options,
    )


def _world(clouds: tuple[Cloud, ...]) -> World:
    world = World(start=START)
    if HUGGINGFACE in clouds:
        world.add_namespace(NAMESPACE, kind="org")
        world.add_user("robot", token=TOKEN, role="write", orgs=[NAMESPACE])
        old = timedelta(days=3)
        add_huggingface(world, "web", traffic=True, min_replica=1, max_replica=2, age=old)
        add_huggingface(world, "nap", min_replica=0, max_replica=2, timeout_minutes=30, age=old)
        add_huggingface(world, "hand", min_replica=0, timeout_minutes=15, age=old)
    if SAGEMAKER in clouds:
        world.aws.add_account(AWS_ACCOUNT, name="acme", access_keys={KEY: ""})
        world.aws.add_endpoint(
            AWS_ACCOUNT,
            REGION,
            "classic",
            volume_gb=100,
            instance_type="ml.inf2.8xlarge",
            tags={"team": "web"},
            startup_s=START_UP_S,
            traffic=_traffic(),
        )
        world.aws.add_component_endpoint(AWS_ACCOUNT, REGION, "vision", startup_s=START_UP_S)
        world.aws.add_endpoint(AWS_ACCOUNT, REGION, "other", instance_type="ml.g5.xlarge")
    return world


def _traffic() -> Traffic:
    return Traffic.recorded("m-large-000", seed=5)


def add_huggingface(
    world: World,
    name: str,
    *,
    age: timedelta = timedelta(0),
    traffic: bool = False,
    **payload: Any,
) -> None:
    """Let a person create an endpoint in the console, so long ago; it runs already."""
    world.add_endpoint(
        NAMESPACE,
        endpoint_payload(name, **payload),
        state="running",
        traffic=_traffic() if traffic else None,
        startup_s=START_UP_S,
        created_at=world.now - age,
        used_at=world.now - min(age, timedelta(minutes=20)),
    )


def _adopt(context: Context, clouds: tuple[Cloud, ...]) -> None:
    asked = Asked(PERSON, context.clock.now(), "template")
    with context.database.write() as session:
        rows = {row.name: row for row in session.exec(select(Endpoint))}
        for name in (name for cloud in clouds for name in cloud.managed):
            adoption.adopt(session, rows[name], asked)
    if SAGEMAKER not in clouds:
        return
    with context.database.read() as session:
        row = session.exec(select(Endpoint).where(Endpoint.name == "classic")).one()
        account = session.get_one(Account, row.account_id)
    card = contracts.read_card(context, account, row)
    with context.database.write() as session:
        held = session.get_one(Endpoint, row.id)
        contracts.allow_recreate(session, held, asked, card, seen=card.digest, forced=False)
