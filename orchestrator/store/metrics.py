"""Reads for gauges: a fixed number of aggregating statements, whatever the size of the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    case,
    cast,
    distinct,
    exists,
    extract,
    func,
    or_,
    select,
)
from sqlmodel import Session, col

from orchestrator.store.ledger import COMPUTE
from orchestrator.store.notifications import FAILED, PENDING
from orchestrator.store.operations import ACTIVE
from orchestrator.store.tables import (
    Account,
    Binding,
    Claim,
    Delivery,
    Endpoint,
    IdlePolicy,
    MeterInterval,
    Notice,
    NotificationTarget,
    Operation,
    Schedule,
    Worker,
)

_LIVE = (col(Endpoint.deleted_at).is_(None), col(Account.removed_at).is_(None))
_OPEN = (col(MeterInterval.ended_at).is_(None), col(Account.removed_at).is_(None))
_BILLED = col(Endpoint.billed_high) > 0
_OF_ACCOUNT = col(Account.id) == col(Endpoint.account_id)
# A rule without a next edge acts on new matches only once that was confirmed.
_NEVER = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EndpointCount:
    """How many live endpoints of an account are in a status."""

    account: str
    cloud: str
    status: str
    managed: bool
    number: int


@dataclass(frozen=True, slots=True)
class BurnSum:
    """What an account burns now in nano-dollars per hour; `unpriced` counts endpoints."""

    account: str
    low: int
    burn: int
    high: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class ActiveCount:
    """Operations under way in an account by kind and status, the oldest of them, and the stuck."""

    account: str
    kind: str
    status: str
    number: int
    oldest: datetime
    stuck: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many endpoints wait for something that was due, and since when the oldest does."""

    number: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class NetCount:
    """Billed endpoints by what would stop them: `cloud`, `ours` while this service runs, `none`."""

    account: str
    net: str
    number: int
    burn: int


@dataclass(frozen=True, slots=True)
class Ownership:
    """The claim of an account by the database's clock; `lease_s` is negative once it has ended."""

    account: str
    owner: str
    epoch: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker, how long ago it was seen by the database's clock, and how many accounts it owns."""

    worker: Worker
    seen_s: float
    accounts: int


@dataclass(frozen=True, slots=True)
class TargetState:
    """A notification target with what waits for it and what it never took."""

    target: NotificationTarget
    pending: int
    failed: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Netless:
    """An endpoint that nothing would stop; `burn` is None at an unknown price."""

    account: str
    endpoint: Endpoint
    net: str
    burn: int | None


def endpoint_counts(session: Session) -> list[EndpointCount]:
    """Count live endpoints by account, status, and whether they are managed."""
    keys = (
        col(Account.name),
        col(Account.provider),
        col(Endpoint.status),
        col(Endpoint.managed),
    )
    query = select(*keys, func.count()).join(Account, _OF_ACCOUNT).where(*_LIVE).group_by(*keys)
    return [EndpointCount(*row) for row in _rows(session, query)]


def burns(session: Session) -> list[BurnSum]:
    """Add up what open intervals burn, by account."""
    meter = MeterInterval
    lacking = case((col(meter.burn_high).is_(None), col(meter.endpoint_id)))
    query = (
        select(
            col(Account.name),
            *(_sum(col(one)) for one in (meter.burn_low, meter.burn, meter.burn_high)),
            func.count(distinct(lacking)),
        )
        .join(Account, col(Account.id) == col(meter.account_id))
        .where(*_OPEN)
        .group_by(col(Account.name))
    )
    return [BurnSum(*row) for row in _rows(session, query)]


def active_operations(session: Session) -> list[ActiveCount]:
    """Count the operations under way by account, kind and status."""
    keys = (col(Account.name), col(Operation.kind), col(Operation.status))
    stuck = func.count(col(Operation.stuck_since))
    query = (
        select(*keys, func.count(), func.min(Operation.created_at), stuck)
        .join(Account, col(Account.id) == col(Operation.account_id))
        .where(col(Operation.status).in_(ACTIVE))
        .group_by(*keys)
    )
    return [ActiveCount(*row) for row in _rows(session, query)]


def overdue_edges(session: Session, now: datetime) -> dict[str, Overdue]:
    """Return, by account, the edges that have come and are not decided on yet."""
    return _overdue(session, col(Endpoint.next_edge_at), now)


def overdue_deletions(session: Session, now: datetime) -> dict[str, Overdue]:
    """Return, by account, the endpoints whose grace has ended although they are still there."""
    return _overdue(session, col(Endpoint.delete_after), now)


def _overdue(session: Session, column: Any, now: datetime) -> dict[str, Overdue]:
    query = (
        select(col(Account.name), func.count(), func.min(column))
        .select_from(Endpoint)
        .join(Account, _OF_ACCOUNT)
        .where(*_LIVE, col(Endpoint.managed).is_(True), column <= now)
        .group_by(col(Account.name))
    )
    return {name: Overdue(number, oldest) for name, number, oldest in _rows(session, query)}


def nets(session: Session) -> list[NetCount]:
    """Count billed endpoints, and what they burn, by account and net."""
    query = (
        select(col(Endpoint.id), col(Account.name), _net())
        .join(Account, _OF_ACCOUNT)
        .where(*_LIVE, _BILLED)
    )
    burns = _endpoint_burns(session)
    numbers: Counter[tuple[str, str]] = Counter()
    sums: Counter[tuple[str, str]] = Counter()
    for endpoint_id, account, net in _rows(session, query):
        numbers[account, net] += 1
        sums[account, net] += burns.get(endpoint_id, (0, 0))[0]
    return [NetCount(*key, number, sums[key]) for key, number in sorted(numbers.items())]


def netless(session: Session) -> list[Netless]:
    """Return the billed endpoints that no cloud would stop by itself, dearest first."""
    net = _net()
    query = (
        select(col(Account.name), Endpoint, net)
        .select_from(Endpoint)
        .join(Account, _OF_ACCOUNT)
        .where(*_LIVE, _BILLED, net != "cloud")
    )
    burns = _endpoint_burns(session)
    found = [
        Netless(account, endpoint, how, _known(burns.get(endpoint.id)))
        for account, endpoint, how in _rows(session, query)
    ]
    return sorted(found, key=lambda one: (-(one.burn or 0), one.account, one.endpoint.name))


def _known(burn: tuple[int, int] | None) -> int | None:
    return None if burn is None or burn[1] else burn[0]


def _net() -> ColumnElement[str]:
    """Return what would stop an endpoint: its cloud's own timer, a rule or wish of ours, nothing.

    Where it is protected rules only propose, so that they are no net.
    """
    timer = and_(col(Endpoint.scale_to_zero_minutes).is_not(None), col(Endpoint.min_replicas) == 0)
    wish = or_(
        col(Endpoint.wish).in_(("paused", "deleted")), col(Endpoint.delete_after).is_not(None)
    )
    rule = and_(col(Endpoint.protected).is_(False), or_(*_rules()))
    ours = and_(col(Endpoint.managed).is_(True), or_(wish, rule))
    return case((timer, "cloud"), (ours, "ours"), else_="none")


def _rules() -> list[ColumnElement[bool]]:
    """Return whether a schedule, or an idle policy that can stop it, acts on an endpoint."""
    able = or_(col(IdlePolicy.action) == "pause", col(Endpoint.to_zero).is_(True))
    return [
        exists()
        .where(col(Binding.endpoint_id) == col(Endpoint.id), col(Binding.rule_id) == col(rule.id))
        .where(or_(col(Binding.acts_from).is_(None), col(Binding.acts_from) < _NEVER))
        .where(col(rule.enabled).is_(True), col(rule.shadow).is_(False))
        .where(col(rule.removed_at).is_(None), *conditions)
        .correlate(Endpoint)
        for rule, conditions in ((Schedule, ()), (IdlePolicy, (able,)))
    ]


def _endpoint_burns(session: Session) -> dict[str, tuple[int, int]]:
    """Return, by endpoint, what its open intervals burn and whether compute has no price.

    Joined here and not in SQL: a database without statistics would compare each with each.
    """
    meter = MeterInterval
    lacking = and_(col(meter.component) == COMPUTE, col(meter.burn).is_(None))
    query = (
        select(col(meter.endpoint_id), _sum(col(meter.burn)), func.max(case((lacking, 1), else_=0)))
        .where(col(meter.ended_at).is_(None))
        .group_by(col(meter.endpoint_id))
    )
    return {ref: (burn, unpriced) for ref, burn, unpriced in _rows(session, query)}


def endpoint_meters(session: Session) -> list[tuple[str, str, str, str, int, int | None]]:
    """Return account, name, status, hardware, billed replicas and burn of each live endpoint."""
    query = (
        select(
            col(Endpoint.id),
            col(Account.name),
            col(Endpoint.name),
            col(Endpoint.status),
            col(Endpoint.hardware_key),
            col(Endpoint.billed_expected),
        )
        .join(Account, _OF_ACCOUNT)
        .where(*_LIVE)
    )
    burns = _endpoint_burns(session)
    return [(*row, _known(burns.get(ref))) for ref, *row in _rows(session, query)]


def ownerships(session: Session) -> list[Ownership]:
    """Return the claim of every account that is connected; an empty owner where there is none."""
    left = extract("epoch", col(Claim.expires_at) - func.clock_timestamp())
    query = (
        select(col(Account.name), col(Claim.owner), col(Claim.epoch), left)
        .outerjoin(Claim, col(Claim.account_id) == col(Account.id))
        .where(col(Account.removed_at).is_(None))
        .order_by(col(Account.name))
    )
    return [
        Ownership(name, owner or "", epoch or 0, float(lease or 0))
        for name, owner, epoch, lease in _rows(session, query)
    ]


def presences(session: Session) -> list[Presence]:
    """Return the workers that are known, with the claims of connected accounts that they hold."""
    ago = extract("epoch", func.clock_timestamp() - col(Worker.seen_at))
    held = (
        select(func.count())
        .select_from(Claim)
        .join(Account, col(Account.id) == col(Claim.account_id))
        .where(col(Claim.owner) == col(Worker.id), col(Account.removed_at).is_(None))
        .correlate(Worker)
        .scalar_subquery()
    )
    query = select(Worker, ago, held).order_by(col(Worker.started_at))
    return [
        Presence(worker, float(seen), int(held)) for worker, seen, held in _rows(session, query)
    ]


def targets(session: Session) -> list[TargetState]:
    """Return the notification targets that are there, with their queues."""
    queue = (
        select(
            col(Delivery.target_id),
            func.sum(case((col(Delivery.status) == PENDING, 1), else_=0)).label("pending"),
            func.sum(case((col(Delivery.status) == FAILED, 1), else_=0)).label("failed"),
            func.min(case((col(Delivery.status) == PENDING, col(Delivery.created_at)))).label(
                "oldest"
            ),
        )
        .where(col(Delivery.status).in_((PENDING, FAILED)))
        .group_by(col(Delivery.target_id))
        .subquery()
    )
    query = (
        select(NotificationTarget, queue.c.pending, queue.c.failed, queue.c.oldest)
        .outerjoin(queue, queue.c.target_id == col(NotificationTarget.id))
        .where(col(NotificationTarget.removed_at).is_(None))
        .order_by(col(NotificationTarget.name))
    )
    return [
        TargetState(target, int(pending or 0), int(failed or 0), oldest)
        for target, pending, failed, oldest in _rows(session, query)
    ]


def notices_waiting(session: Session) -> tuple[int, datetime | None]:
    """Return how many notices are not yet on their way to anybody, and the oldest one's instant."""
    query = select(func.count(), func.min(Notice.at)).where(col(Notice.expanded_at).is_(None))
    number, oldest = _rows(session, query)[0]
    return number, oldest


def _sum(column: Any) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _rows(session: Session, query: Any) -> Sequence[Any]:
    rows: Sequence[Any] = session.exec(query).all()
    return rows
