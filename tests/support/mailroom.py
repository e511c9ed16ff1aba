"""A courier over a store, with receivers that answer as told and a clock that stands still."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select

from orchestrator.channels.message import Message, Outcome
from orchestrator.clock import ManualClock
from orchestrator.domain.notices import Severity
from orchestrator.engine.courier import Courier
from orchestrator.services import notifications
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.notifications import Draft
from orchestrator.services.requests import Asked
from orchestrator.services.warnings import undelivered
from orchestrator.settings import Settings
from orchestrator.store import events
from orchestrator.store.database import Database
from orchestrator.store.tables import (
    Account,
    Delivery,
    Event,
    Label,
    Notice,
    NotificationTarget,
)
from tests.support import rows

BROKEN = Outcome("HTTP 500 Internal Server Error")
WEBHOOK = {"kind": "webhook", "address": "https://hooks.example.org/in", "secret_ref": "env:KEY"}
APPRISE = {"kind": "apprise", "address": "env:CHAT"}


def _no_cloud(account: Account) -> Any:
    raise AssertionError(f"no cloud is spoken to here: {account.name}")


@dataclass
class Mailroom:
    """What was sent, by target; `answers` decides what becomes of it."""

    database: Database
    settings: Settings = field(default_factory=Settings)
    chance: float = 0.5
    clock: ManualClock = field(default_factory=lambda: ManualClock(rows.NOON))
    sent: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[str, Callable[[Message], Outcome]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pool = ProviderPool(_no_cloud)
        self.context = Context(self.database, self.clock, self.settings, pool)
        self.courier = self.another()
        with self.database.write() as session:
            session.add_all([rows.account(), rows.account("other")])
            session.flush()
            session.add_all([rows.endpoint(), rows.endpoint("chat", owner="ada")])
            session.flush()
            session.add(Label(endpoint_id="ep_search", key="team", value="search"))

    def another(self) -> Courier:
        """Return a courier as another process, or the next start, has it."""
        return Courier(self.context, self.send, lambda: self.chance)

    def send(self, target: NotificationTarget, message: Message) -> Outcome:
        """Take a message, or refuse it, as the receiver was told to."""
        self.sent[target.name].append(message)
        answer = self.answers.get(target.name)
        return Outcome() if answer is None else answer(message)

    def target(self, name: str = "ops", **values: Any) -> NotificationTarget:
        """Add a target that wants everything."""
        given: Mapping[str, Any] = {"least_severity": Severity.INFO}
        kind = WEBHOOK if values.pop("webhook", True) else APPRISE
        draft = Draft(name=name, **{**kind, **given, **values})
        with self.database.write() as session:
            return notifications.create(session, draft, self.asked(), private=False)

    def asked(self) -> Asked:
        """Return who asks now."""
        return Asked("ana", self.clock.now())

    def tell(self, kind: str, message: str = "it happened", **values: Any) -> None:
        """Record an event of the endpoint `search`, unless told otherwise."""
        about = {"account_id": "acc_lab", "endpoint_id": "ep_search", "actor": "engine"}
        with self.database.write() as session:
            now = self.clock.now()
            events.record(session, at=now, kind=kind, message=message, **{**about, **values})

    def run(self, courier: Courier | None = None, **later: float) -> None:
        """Let the courier work once, after a span of time."""
        self.clock.set(self.clock.now() + timedelta(**later))
        (courier or self.courier).run(self.clock.now())

    def texts(self, name: str = "ops") -> list[str]:
        """Return the first lines of what a target was sent."""
        return [message.text.splitlines()[0] for message in self.sent[name]]

    def deliveries(self, status: str | None = None) -> list[Delivery]:
        """Return deliveries in the order of their events."""
        with self.database.read() as session:
            query = select(Delivery).order_by(col(Delivery.notice_seq), col(Delivery.id))
            return [one for one in session.exec(query) if status in (None, one.status)]

    def notices(self) -> list[Notice]:
        """Return the outbox."""
        with self.database.read() as session:
            return list(session.exec(select(Notice).order_by(col(Notice.seq))))

    def of(self, name: str = "ops") -> NotificationTarget:
        """Return a target as it is now."""
        with self.database.read() as session:
            return notifications.find(session, name)

    def events(self, kind: str) -> list[Event]:
        """Return events of a kind."""
        with self.database.read() as session:
            return list(session.exec(select(Event).where(Event.kind == kind)))

    def held(self, *, require: bool = False) -> str | None:
        """Return why the deletion of `search` is held back, if it is."""
        with self.database.read() as session:
            return undelivered(session, ["ep_search"], require=require).get("ep_search")

    def until(self) -> datetime | None:
        """Return when `ops` is tried again."""
        return self.of().blocked_until
