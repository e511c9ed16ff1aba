"""The metering ledger in the store: every statement on intervals, rates and offers.

Boundaries of intervals are whole seconds. What is to be written is decided in `costs`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Row,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as sm_select

from orchestrator.store import columns
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Endpoint, MeterInterval, Offer, Rate
from orchestrator.store.vouching import vouched_until

COMPUTE = "compute"  # the component that every endpoint has: its replicas
CHUNK = 500  # ids per IN list, well under the parameter limits of both databases

_METER: Table = SQLModel.metadata.tables["meter_interval"]
_RATE: Table = SQLModel.metadata.tables["rate"]
_M = _METER.c
_MOST_REPLICAS = select(col(Endpoint.id), col(Endpoint.max_replicas)).where(
    col(Endpoint.id).in_(bindparam("ids", expanding=True)), col(Endpoint.max_replicas).is_not(None)
)
_ON = select(_M.endpoint_id, _M.component).where(
    _M.account_id == bindparam("account_id"), _M.hardware_key == bindparam("hardware_key")
)
_OPEN_ON = _ON.where(_M.ended_at.is_(None))
_ENDED_ON = _ON.where(_M.ended_at > bindparam("since"))
_RATES = (
    select(col(Rate.hardware_key), col(Rate.id), col(Rate.nano_per_hour), col(Rate.effective_at))
    .where(col(Rate.account_id) == bindparam("account_id"))
    .order_by(col(Rate.effective_at), col(Rate.id))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One interval as a value; `nano_per_hour` is the price of one replica or unit by `rate_id`.

    `replicas*` count replicas, or for a component beside them replicas times `units`. `burn*` are
    nano-dollars per hour of the whole component, None where no price is known.
    """

    started_at: datetime
    ended_at: datetime | None = None
    status: str
    evidence: str
    hardware_key: str
    rate_id: str | None = None
    nano_per_hour: int | None = None
    units: int = 1
    replicas_low: int
    replicas: int
    replicas_high: int
    burn_low: int | None
    burn: int | None
    burn_high: int | None
    rounding_nano: int = 0
    cause: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """The last stretches of one endpoint's component as they are stored, and as they shall be."""

    endpoint_id: str
    before: Sequence[Stretch]
    after: Sequence[Stretch]
    component: str = COMPUTE


Tails = dict[str, list[Stretch]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is stored of an endpoint with an open interval and bounds what it may cost."""

    endpoint_id: str
    max_replicas: int | None
    updated_at: datetime | None
    confirmed_at: datetime
    missing_since: datetime | None
    restless: bool

    def vouched_until(self, whole: datetime | None) -> datetime:
        """Return until when it is known to have been so; `whole` is its account's last look."""
        unsure = self.missing_since is not None or self.restless
        return vouched_until(whole, self.confirmed_at, unsure=unsure)


_COLUMNS = (
    "started_at",
    "ended_at",
    "status",
    "evidence",
    "hardware_key",
    "rate_id",
    "units",
    "replicas_low",
    "replicas",
    "replicas_high",
    "burn_low",
    "burn",
    "burn_high",
    "rounding_nano",
    "cause",
)


def tails(
    session: Session,
    endpoint_ids: Collection[str],
    since: datetime | None,
    components: Collection[str] | None = None,
) -> dict[str, Tails]:
    """Return each endpoint's open intervals and those that ended after `since`, in order.

    By component; `components` leaves out all others.
    """
    given: dict[str, Any] = {} if since is None else {"since": since}
    given |= {} if components is None else {"components": sorted(components)}
    queries = _tail_queries(ended=since is not None, some=components is not None)
    found: dict[str, Tails] = defaultdict(lambda: defaultdict(list))
    for ids in _chunks(endpoint_ids):
        for query in queries:
            for row in session.connection().execute(query, {**given, "ids": ids}):
                found[row.endpoint_id][row.component].append(_stretch(row))
    for streams in found.values():
        for stretches in streams.values():
            stretches.sort(key=lambda each: (each.started_at, each.ended_at is None))
    return {key: dict(streams) for key, streams in found.items()}


@cache
def _tail_queries(*, ended: bool, some: bool) -> list[Select[Any]]:
    """Return the statements for open intervals and, apart for the sake of indexes, ended ones."""
    base = (
        select(_METER, _RATE.c.nano_per_hour)
        .select_from(_METER.outerjoin(_RATE, _M.rate_id == _RATE.c.id))
        .where(_M.endpoint_id.in_(bindparam("ids", expanding=True)))
    )
    if some:
        base = base.where(_M.component.in_(bindparam("components", expanding=True)))
    queries = [base.where(_M.ended_at.is_(None))]
    if ended:
        queries.append(base.where(_M.ended_at > bindparam("since")))
    return queries


def _stretch(row: Row[Any]) -> Stretch:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Stretch(**values, nano_per_hour=row.nano_per_hour, id=row.id)


def standing(session: Session, account_id: str) -> list[Standing]:
    """Return every endpoint of the account with an open interval."""
    query = (
        select(
            col(Endpoint.id),
            col(Endpoint.max_replicas),
            col(Endpoint.cloud_updated_at),
            col(Endpoint.confirmed_at),
            col(Endpoint.missing_since),
            col(Endpoint.restless),
        )
        .join(MeterInterval, col(MeterInterval.endpoint_id) == col(Endpoint.id))
        .where(col(Endpoint.account_id) == account_id, _M.ended_at.is_(None))
        .distinct()
        .order_by(col(Endpoint.id))
    )
    return [Standing(*row) for row in session.connection().execute(query)]


def max_replicas(session: Session, endpoint_ids: Collection[str]) -> dict[str, int]:
    """Return the stored upper bound of replicas of those endpoints that have one."""
    found: dict[str, int] = {}
    for ids in _chunks(endpoint_ids):
        for endpoint_id, most in session.connection().execute(_MOST_REPLICAS, {"ids": ids}):
            found[endpoint_id] = most or 0
    return found


def streams_on(
    session: Session, account_id: str, hardware_key: str, since: datetime
) -> list[tuple[str, str]]:
    """Return endpoint and component of what was billed, or could be, by this key after `since`."""
    found: set[tuple[str, str]] = set()
    given = {"account_id": account_id, "hardware_key": hardware_key}
    for query, more in ((_OPEN_ON, {}), (_ENDED_ON, {"since": since})):
        rows = session.connection().execute(query, {**given, **more})
        found.update((row[0], row[1]) for row in rows)
    return sorted(found)


def save(session: Session, account_id: str, revisions: Sequence[Revision]) -> int:
    """Store what differs in `revisions`, in three statements; return the number of rows written."""
    deletes: list[int] = []
    updates: list[dict[str, Any]] = []
    inserts: list[dict[str, Any]] = []
    for revision in revisions:
        old = {each.id: each for each in revision.before}
        kept = {each.id for each in revision.after}
        deletes += [each.id for each in revision.before if each.id and each.id not in kept]
        for each in revision.after:
            if each.id is None:
                owner = {"endpoint_id": revision.endpoint_id, "account_id": account_id}
                inserts.append({**_values(each), **owner, "component": revision.component})
            elif each != old[each.id]:
                updates.append({**_values(each), "id": each.id})
    _write(session, deletes, updates, inserts)
    return len(deletes) + len(updates) + len(inserts)


def _write(
    session: Session,
    deletes: list[int],
    updates: list[dict[str, Any]],
    inserts: list[dict[str, Any]],
) -> None:
    connection = session.connection()
    for ids in _chunks(deletes):
        connection.execute(delete(_METER).where(_M.id.in_(ids)))
    if updates:
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _COLUMNS}
        changes = [{f"new_{name}": value for name, value in each.items()} for each in updates]
        connection.execute(update(_METER).where(_M.id == bindparam("new_id")).values(new), changes)
    if inserts:
        connection.execute(insert(_METER), inserts)


def _values(stretch: Stretch) -> dict[str, Any]:
    return {name: getattr(stretch, name) for name in _COLUMNS}


def timeline(
    session: Session,
    endpoint_id: str,
    start: datetime,
    end: datetime,
    component: str | None = None,
) -> Sequence[MeterInterval]:
    """Return the intervals of one endpoint that touch `[start, end)`, in order; all components."""
    query = (
        sm_select(MeterInterval)
        .where(MeterInterval.endpoint_id == endpoint_id, col(MeterInterval.started_at) < end)
        .where(or_(_M.ended_at.is_(None), _M.ended_at > start))
        .order_by(col(MeterInterval.started_at), col(MeterInterval.component))
    )
    if component is not None:
        query = query.where(MeterInterval.component == component)
    return session.exec(query).all()


# Rates and offers


@dataclass(frozen=True, slots=True)
class Price:
    """A rate as the meter uses it: nano-dollars per replica- or unit-hour; `before` it was that."""

    rate_id: str
    nano_per_hour: int
    effective_at: datetime
    before: int | None = None


def newest_prices(session: Session, account_id: str) -> dict[str, Price]:
    """Return the newest rate of every hardware of the account, by hardware key."""
    newest: dict[str, Price] = {}
    for key, rate_id, nano, at in columns.read(session, _RATES, {"account_id": account_id}):
        last = newest.get(key)
        newest[key] = Price(rate_id, nano, at, None if last is None else last.nano_per_hour)
    return newest


def _price(rate: Rate) -> Price:
    return Price(rate.id, rate.nano_per_hour, rate.effective_at)


def price_at(
    session: Session, account_id: str, hardware_key: str, instant: datetime
) -> Price | None:
    """Return the rate in effect at `instant`, or None where none was known then."""
    query = (
        sm_select(Rate)
        .where(Rate.account_id == account_id, Rate.hardware_key == hardware_key)
        .where(col(Rate.effective_at) <= instant)
        .order_by(col(Rate.effective_at).desc())
        .limit(1)
    )
    rate = session.exec(query).first()
    return None if rate is None else _price(rate)


def add_rate(
    session: Session, *, account_id: str, hardware_key: str, nano: int, at: datetime, source: str
) -> Price:
    """Store a new rate and return it."""
    rate = Rate(
        id=new_id("rat", at),
        account_id=account_id,
        hardware_key=hardware_key,
        nano_per_hour=nano,
        effective_at=at,
        source=source,
    )
    session.add(rate)
    session.flush()
    return _price(rate)


def offers(session: Session, account_id: str) -> dict[str, Offer]:
    """Return the account's price list as last read, by hardware key."""
    query = sm_select(Offer).where(Offer.account_id == account_id).order_by(Offer.hardware_key)
    return {offer.hardware_key: offer for offer in session.exec(query)}


def save_offers(session: Session, rows: Sequence[Offer]) -> None:
    """Insert or replace rows of the price list."""
    for row in rows:
        session.merge(row)
    session.flush()


def _chunks(ids: Collection[Any]) -> Iterator[list[Any]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
