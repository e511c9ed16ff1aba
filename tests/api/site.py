"""A whole service without an engine: store, clock, a cloud that answers, and an HTTP client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import anyio
import httpx2
from fastapi import FastAPI
from sqlalchemy import event
from sqlmodel import Session, SQLModel, col, select
from starlette.testclient import TestClient

from orchestrator.api.app import LOGIN_ATTEMPTS, LOGIN_SPAN, create_app
from orchestrator.clock import ManualClock
from orchestrator.domain.endpoints import Contract, EndpointChange, EndpointSpec, JsonObject
from orchestrator.providers.base import (
    NOTHING_KEPT,
    Capabilities,
    Identity,
    Provider,
    ProviderError,
)
from orchestrator.providers.huggingface.checks import check_spec
from orchestrator.services import tokens
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.throttle import Throttle
from orchestrator.services.tokens import Scope
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Event, Rate
from tests.support import rows

NOON = rows.NOON  # a Monday
ORIGIN = "http://localhost"
NAMES = ("reader", "operator", "admin")
L4 = "aws/us-east-1/nvidia-l4/x1"


_shared: list[FastAPI] = []


def application(context: Context, *, fresh: bool) -> FastAPI:
    """Return the application over `context`; it is built once, as that takes its time."""
    if fresh or not _shared:
        made = create_app(context, context.settings)
        if not fresh:
            _shared.append(made)
        return made
    app = _shared[0]
    app.state.context = context
    app.state.login_throttle = Throttle(LOGIN_ATTEMPTS, LOGIN_SPAN)
    app.state.engine_ok, app.state.sleep = None, anyio.sleep
    return app


@dataclass
class Cloud:
    """A cloud that is asked who the credentials are, what a pause means, and what it refuses."""

    answer: Identity | ProviderError = field(
        default_factory=lambda: Identity("ada", "user", ("lab", "acme"))
    )
    contract: Contract = field(default_factory=lambda: Contract(kept=("its name",)))
    asked: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def make(self, account: Account) -> Provider:
        self.asked.append(account.credential_ref)
        return cast("Provider", Driver(self, account.id))

    def identity(self) -> Identity:
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer


@dataclass
class Driver:
    """One account's way to the cloud."""

    cloud: Cloud
    account_id: str
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(usual_s={"update": 600})
    )

    def identity(self) -> Identity:
        return self.cloud.identity()

    def check(
        self, spec: EndpointSpec | EndpointChange, current: JsonObject = NOTHING_KEPT
    ) -> tuple[str, ...]:
        del current
        return check_spec(spec)

    def contract(self, name: str) -> Contract:
        del name
        return self.cloud.contract

    def close(self) -> None:
        self.cloud.closed.append(self.account_id)


@dataclass
class Site:
    """The service under test; requests are made as an admin unless told otherwise."""

    database: Database
    settings: Settings
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    cloud: Cloud = field(default_factory=Cloud)
    nudges: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    fresh: bool = False

    def __post_init__(self) -> None:
        self.context = Context(
            self.database, self.clock, self.settings, ProviderPool(self.cloud.make)
        )
        self.context.nudge = lambda: self.nudges.append("nudged")
        self.app = application(self.context, fresh=self.fresh)
        with self.database.write() as session:
            for name, scope in zip(NAMES, Scope, strict=True):
                self.secrets[scope] = self._issue(session, name, scope)
        self.client = TestClient(self.app, base_url=ORIGIN, raise_server_exceptions=False)

    def token(self, name: str, scope: Scope, expires_at: datetime | None = None) -> str:
        """Make a token and return its secret."""
        with self.database.write() as session:
            return self._issue(session, name, scope, expires_at)

    def _issue(
        self, session: Session, name: str, scope: Scope, expires_at: datetime | None = None
    ) -> str:
        now = self.clock.now()
        return tokens.issue(
            session, name=name, scope=scope, expires_at=expires_at, actor="test", now=now
        ).secret

    def seed(self, *values: SQLModel) -> None:
        """Store rows; those that others point to come first."""
        with self.database.write() as session:
            for value in values:
                session.add(value)
                session.flush()

    def ask(self, method: str, path: str, *, scope: str = "admin", **given: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.secrets[scope]}", **given.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **given)

    def get(self, path: str, **params: Any) -> Any:
        """Return the body of a successful read."""
        response = self.ask("GET", path, params=params or None)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any = None, **given: Any) -> httpx2.Response:
        return self.ask("POST", path, json=body, **given)

    def events(self, kind: str | None = None) -> Sequence[Event]:
        with self.database.read() as session:
            found = session.exec(select(Event).order_by(col(Event.id))).all()
        return [one for one in found if kind is None or one.kind == kind]

    def dump(self) -> str:
        """Return everything that is stored, as text."""
        parts = []
        with self.database.engine.connect() as connection:
            for table in SQLModel.metadata.sorted_tables:
                parts += [repr(tuple(row)) for row in connection.execute(table.select())]
        return "\n".join(parts)


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem document of a refusal, after checking its shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code, body
    assert body["type"] == f"urn:orchestrator:problem:{code}"
    assert body["title"]
    assert body["detail"]
    return body


def opened(url: str, folder: Path, **settings: Any) -> Iterator[Site]:
    """Yield a service over the store at `url`."""
    database = Database(url)
    if database.dialect == "sqlite":
        event.listen(database.engine, "connect", _write_carelessly)
    made = Settings(state_dir=folder, database_url=url, **settings)
    site = Site(database, made, fresh=bool(settings))
    with site.client:
        yield site
    database.dispose()


def _write_carelessly(connection: Any, record: object) -> None:
    """No test outlives a power cut, and waiting for the disk is most of what they do."""
    del record
    connection.execute("PRAGMA synchronous=OFF")


def rate(**values: Any) -> Rate:
    """Return the price of an L4: $0.80 an hour."""
    given: dict[str, Any] = {
        "id": "rat_l4",
        "account_id": "acc_lab",
        "hardware_key": L4,
        "nano_per_hour": 800_000_000,
        "effective_at": NOON,
        "source": "test",
    }
    return Rate(**{**given, **values})


def endpoint(name: str = "search", **values: Any) -> Endpoint:
    """Return a managed endpoint on an L4 with one replica, wanted running."""
    given: dict[str, Any] = {
        "managed": True,
        "managed_since": NOON,
        "hardware_key": L4,
        "accelerator": "gpu",
        "repository": "acme/model",
        "min_replicas": 1,
        "max_replicas": 2,
        "ready_replicas": 1,
        "target_replicas": 1,
        "billed_low": 1,
        "billed_expected": 1,
        "billed_high": 1,
        "wish": "running",
        "wish_reason": "as it was when adopted",
        "wish_actor": "ada",
        "wish_at": NOON,
    }
    return rows.endpoint(name, **{**given, **values})
