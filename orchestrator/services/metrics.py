"""What the store tells Prometheus: read in one transaction at a scrape, and kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from orchestrator.costs.figures import Figure
from orchestrator.costs.report import CostLine, cost_report
from orchestrator.domain.money import to_dollars
from orchestrator.logs import redact_text
from orchestrator.services.context import Context
from orchestrator.services.instruments import PREFIX
from orchestrator.services.overview import month_bounds
from orchestrator.store import accounts, freeze, migrate, probes, restorations
from orchestrator.store import metrics as reads
from orchestrator.store.tables import Account

log = structlog.get_logger(__name__)

# Scrapes share one reading for so long, and for longer where reading takes long: they may use no
# more than a twentieth of the time.
FRESH_FOR_S, LONGEST_S = 5.0, 60.0
READING_SHARE = 20
HEALTH = (
    "new",
    "ok",
    "partial",
    "doubted",
    "throttled",
    "unreachable",
    "no_access",
    "no_credentials",
    "failing",
)
NETS = ("cloud", "ours", "none")
_ACCOUNT = ("account",)
_ENDPOINT = ("account", "endpoint")
_TARGET = ("target",)

Sample = tuple[str, tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its meaning, and the names of its labels."""

    text: str
    labels: tuple[str, ...] = ()


FAMILIES = {
    "database_up": Family("1 where the store answered this scrape, else 0."),
    "database_latency_seconds": Family("How long the store took to answer the simplest question."),
    "database_read_seconds": Family("How long reading these values took; scrapes share a reading."),
    "database_size_bytes": Family("The size of the store."),
    "database_clock_offset_seconds": Family("The database's clock minus ours; Postgres only."),
    "schema_info": Family(
        "The revision of the schema, and the one wanted.", ("revision", "wanted")
    ),
    "schema_current": Family("1 where the schema is at the revision that is wanted, else 0."),
    "backup_age_seconds": Family("Time since the last backup; absent where there was none."),
    "frozen": Family("1 while everything is frozen, else 0."),
    "account_info": Family("Where an account lives.", ("account", "cloud", "region")),
    "account_frozen": Family("1 while an account itself is frozen, else 0.", _ACCOUNT),
    "account_look_age_seconds": Family("Time since the last complete look.", _ACCOUNT),
    "account_health": Family("1 for the present health, 0 for others.", ("account", "health")),
    "account_failed_looks": Family("Looks that failed in a row.", _ACCOUNT),
    "account_price_list_age_seconds": Family("Time since the price list was read.", _ACCOUNT),
    "endpoints": Family(
        "Live endpoints; managed is true or false.", ("account", "cloud", "status", "managed")
    ),
    "net_endpoints": Family(
        "Billed endpoints by what stops them: cloud (its own timer), ours (only while this "
        "service runs), none.",
        ("account", "net"),
    ),
    "net_burn_dollars_per_hour": Family(
        "What those endpoints burn, as far as priced.", ("account", "net")
    ),
    "operations_active": Family("Operations under way.", ("account", "kind", "status")),
    "operations_stuck": Family("Operations longer under way than usual.", ("account", "kind")),
    "operations_oldest_active_seconds": Family("Age of the oldest one under way.", _ACCOUNT),
    "edge_overdue_seconds": Family("Age of the oldest edge that is not decided on.", _ACCOUNT),
    "deletions_overdue_endpoints": Family("Endpoints kept beyond their grace.", _ACCOUNT),
    "deletions_overdue_seconds": Family("How long the oldest of these is overdue.", _ACCOUNT),
    "burn_dollars_per_hour": Family("What is being spent now.", _ACCOUNT),
    "burn_low_dollars_per_hour": Family("The lower bound of that.", _ACCOUNT),
    "burn_high_dollars_per_hour": Family("The upper bound of that.", _ACCOUNT),
    "burn_unpriced_endpoints": Family("Endpoints that run at an unknown price.", _ACCOUNT),
    "cost_month_dollars": Family("Metered cost of this UTC month.", _ACCOUNT),
    "cost_month_low_dollars": Family("The lower bound of that.", _ACCOUNT),
    "cost_month_high_dollars": Family("The upper bound of that.", _ACCOUNT),
    "cost_month_unpriced_seconds": Family("Billed time of this month without a price.", _ACCOUNT),
    "cost_today_dollars": Family("Metered cost of this UTC day.", _ACCOUNT),
    "cost_today_low_dollars": Family("The lower bound of that.", _ACCOUNT),
    "cost_today_high_dollars": Family("The upper bound of that.", _ACCOUNT),
    "cost_today_unpriced_seconds": Family("Billed time of this day without a price.", _ACCOUNT),
    "account_owned": Family("1 while a worker owns the account, else 0; Postgres only.", _ACCOUNT),
    "claim_epoch": Family("How often the account was taken by a worker; Postgres only.", _ACCOUNT),
    "claim_lease_seconds": Family("Until when its owner has it; Postgres only.", _ACCOUNT),
    "worker_accounts": Family("Accounts that a worker owns; Postgres only.", ("worker", "version")),
    "worker_seen_age_seconds": Family("Time since its last sign of life.", ("worker", "version")),
    "notifications_waiting": Family("Notices that are not yet on their way."),
    "notifications_waiting_age_seconds": Family("Age of the oldest of these, 0 for none."),
    "notification_target_failing": Family("1 while a target refuses messages, else 0.", _TARGET),
    "notification_pending_deliveries": Family("Messages on their way to a target.", _TARGET),
    "notification_pending_age_seconds": Family("Age of the oldest of these, 0 for none.", _TARGET),
    "notification_failed_deliveries": Family("Messages that a target never took.", _TARGET),
}
PER_ENDPOINT = {
    "endpoint_info": Family("A live endpoint.", (*_ENDPOINT, "status", "hardware")),
    "endpoint_billed_replicas": Family("Replicas that its cloud bills now.", _ENDPOINT),
    "endpoint_burn_dollars_per_hour": Family("What it burns now, if priced.", _ENDPOINT),
}


def exposition(context: Context, accept: str) -> tuple[bytes, str]:
    """Return all metrics of this process and of the store, and their content type."""
    context.instruments.add("store", lambda: StoreGauges(context))
    return own_exposition(context, accept)


def own_exposition(context: Context, accept: str) -> tuple[bytes, str]:
    """Return the metrics of this process alone, and their content type."""
    encode, content_type = choose_encoder(accept)
    return encode(context.instruments.registry), content_type


class StoreGauges(Collector):
    """Gauges from the store; one reading serves all scrapes of a few seconds."""

    def __init__(self, context: Context, ticks: Callable[[], float] = time.monotonic) -> None:
        self._context, self._ticks = context, ticks
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._fresh_until = -1.0
        self._families = FAMILIES | (PER_ENDPOINT if context.settings.metrics_per_endpoint else {})

    def describe(self) -> Iterable[Metric]:
        """Return the families without values."""
        return self._made().values()

    def collect(self) -> Iterable[Metric]:
        """Return the families with the values of a moment ago; a store that is away says so."""
        with self._lock:
            if self._ticks() >= self._fresh_until:
                self._samples = self._read()
            samples = self._samples
        families = self._made()
        for name, labels, value in samples:
            families[name].add_metric(labels, value)
        return families.values()

    def _made(self) -> dict[str, GaugeMetricFamily]:
        return {
            name: GaugeMetricFamily(PREFIX + name, family.text, labels=family.labels)
            for name, family in self._families.items()
        }

    def _read(self) -> list[Sample]:
        began = self._ticks()
        try:
            with self._context.database.read() as session:
                probes.database_answers(session)
                latency = self._ticks() - began
                samples = [*_store_samples(session, self._context)]
        except SQLAlchemyError as error:
            log.warning("metrics could not be read", error=redact_text(str(error))[:300])
            self._fresh_until = self._ticks() + FRESH_FOR_S
            return [("database_up", (), 0)]
        took = self._ticks() - began
        self._fresh_until = self._ticks() + min(max(FRESH_FOR_S, READING_SHARE * took), LONGEST_S)
        samples += [
            ("database_up", (), 1),
            ("database_latency_seconds", (), latency),
            ("database_read_seconds", (), took),
        ]
        return samples


def _store_samples(session: Session, context: Context) -> Iterator[Sample]:
    now = context.clock.now()
    known = accounts.live(session)
    yield from _installation(session, now)
    for account in known:
        yield from _account(account, now)
    yield from _endpoints(session)
    yield from _operations(session, known, now)
    yield from _money(session, known, now)
    if context.database.dialect == "postgresql":
        yield from _claims(session)
    yield from _notifications(session, now)
    if context.settings.metrics_per_endpoint:
        yield from _each_endpoint(session)


def _installation(session: Session, now: datetime) -> Iterator[Sample]:
    yield "database_size_bytes", (), probes.database_bytes(session)
    told = restorations.database_now(session)
    if told is not None:
        yield "database_clock_offset_seconds", (), (told - now).total_seconds()
    revision, wanted = probes.revision(session), _wanted()
    yield "schema_info", (revision, wanted), 1
    yield "schema_current", (), revision == wanted
    backup = restorations.last_backup(session)
    if backup is not None:
        yield "backup_age_seconds", (), _age(backup, now)
    yield "frozen", (), freeze.everywhere(session) is not None


@cache
def _wanted() -> str:
    """Return the revision that this program needs; finding it reads files."""
    return migrate.head_revision()


def _account(account: Account, now: datetime) -> Iterator[Sample]:
    name = (account.name,)
    yield "account_info", (account.name, account.provider, account.region), 1
    yield "account_frozen", name, freeze.of_account(account) is not None
    yield "account_look_age_seconds", name, _age(account.confirmed_at or account.created_at, now)
    yield "account_failed_looks", name, account.failures
    for health in HEALTH:
        yield "account_health", (account.name, health), health == account.health
    if account.rates_at is not None:
        yield "account_price_list_age_seconds", name, _age(account.rates_at, now)


def _endpoints(session: Session) -> Iterator[Sample]:
    for one in reads.endpoint_counts(session):
        labels = (one.account, one.cloud, one.status, str(one.managed).lower())
        yield "endpoints", labels, one.number
    for net in reads.nets(session):
        yield "net_endpoints", (net.account, net.net), net.number
        yield "net_burn_dollars_per_hour", (net.account, net.net), _dollars(net.burn)


def _operations(session: Session, known: Iterable[Account], now: datetime) -> Iterator[Sample]:
    oldest: dict[str, datetime] = {}
    stuck: dict[tuple[str, str], int] = {}
    for one in reads.active_operations(session):
        yield "operations_active", (one.account, one.kind, one.status), one.number
        oldest[one.account] = min(one.oldest, oldest.get(one.account, one.oldest))
        stuck[one.account, one.kind] = stuck.get((one.account, one.kind), 0) + one.stuck
    for labels, number in stuck.items():
        yield "operations_stuck", labels, number
    edges, deletions = reads.overdue_edges(session, now), reads.overdue_deletions(session, now)
    for account in known:
        name, late = account.name, deletions.get(account.name)
        yield "operations_oldest_active_seconds", (name,), _age(oldest.get(name), now)
        edge = edges.get(name)
        yield "edge_overdue_seconds", (name,), _age(None if edge is None else edge.oldest, now)
        yield "deletions_overdue_endpoints", (name,), 0 if late is None else late.number
        since = None if late is None else late.oldest
        yield "deletions_overdue_seconds", (name,), _age(since, now)


def _money(session: Session, known: Iterable[Account], now: datetime) -> Iterator[Sample]:
    burns = {one.account: one for one in reads.burns(session)}
    report = cost_report(
        session, start=month_bounds(now)[0], end=now, now=now, group_by="account", by_day=True
    )
    spent = {line.key: line for line in report.items}
    for account in known:
        burn = burns.get(account.name, reads.BurnSum(account.name, 0, 0, 0, 0))
        name = (account.name,)
        yield "burn_dollars_per_hour", name, _dollars(burn.burn)
        yield "burn_low_dollars_per_hour", name, _dollars(burn.low)
        yield "burn_high_dollars_per_hour", name, _dollars(burn.high)
        yield "burn_unpriced_endpoints", name, burn.unpriced
        line = spent.get(account.id)
        yield from _figure("cost_month", name, Figure() if line is None else line.figure)
        yield from _figure("cost_today", name, _today(line, now))


def _today(line: CostLine | None, now: datetime) -> Figure:
    days = () if line is None else line.days
    return next((one.figure for one in days if one.day == now.date()), Figure())


def _figure(what: str, labels: tuple[str, ...], figure: Figure) -> Iterator[Sample]:
    yield f"{what}_dollars", labels, _dollars(figure.nano)
    yield f"{what}_low_dollars", labels, _dollars(figure.low)
    yield f"{what}_high_dollars", labels, _dollars(figure.high)
    yield f"{what}_unpriced_seconds", labels, figure.unpriced_seconds


def _claims(session: Session) -> Iterator[Sample]:
    for claim in reads.ownerships(session):
        yield "account_owned", (claim.account,), bool(claim.owner) and claim.lease_s > 0
        yield "claim_epoch", (claim.account,), claim.epoch
        yield "claim_lease_seconds", (claim.account,), max(claim.lease_s, 0.0)
    for one in reads.presences(session):
        labels = (one.worker.id, one.worker.version)
        yield "worker_accounts", labels, one.accounts
        yield "worker_seen_age_seconds", labels, max(one.seen_s, 0.0)


def _notifications(session: Session, now: datetime) -> Iterator[Sample]:
    number, oldest = reads.notices_waiting(session)
    yield "notifications_waiting", (), number
    yield "notifications_waiting_age_seconds", (), _age(oldest, now)
    for one in reads.targets(session):
        name = (one.target.name,)
        yield "notification_target_failing", name, one.target.failing_since is not None
        yield "notification_pending_deliveries", name, one.pending
        yield "notification_pending_age_seconds", name, _age(one.oldest, now)
        yield "notification_failed_deliveries", name, one.failed


def _each_endpoint(session: Session) -> Iterator[Sample]:
    for account, name, status, hardware, replicas, burn in reads.endpoint_meters(session):
        yield "endpoint_info", (account, name, status, hardware), 1
        yield "endpoint_billed_replicas", (account, name), replicas
        if burn is not None:
            yield "endpoint_burn_dollars_per_hour", (account, name), _dollars(burn)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)


def _dollars(nano: int) -> float:
    """Return dollars as Prometheus has them: this edge alone turns money into a float."""
    return float(to_dollars(nano))
