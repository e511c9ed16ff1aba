"""What cost reports read: few columns of many intervals, and whom they belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Table, and_, extract, or_, select
from sqlmodel import Session, SQLModel, col

from orchestrator.store.tables import Account, Endpoint, Label
from orchestrator.store.vouching import vouched_until

_METER: Table = SQLModel.metadata.tables["meter_interval"]
_M = _METER.c

_AT_ONCE = 5000

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class SpanFilter:
    """Whose intervals to read; None and empty leave a field open.

    Without `idle` those are left out that certainly cost nothing.
    """

    account_id: str | None = None
    endpoint_ids: Collection[str] | None = None
    hardware_key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    idle: bool = True


def spans(session: Session, start: datetime, end: datetime, wanted: SpanFilter) -> Iterator[AnyRow]:
    """Yield what intervals that touch `[start, end)` cost; instants are seconds since 1970.

    `ended` is None for an open interval. Rows come in no order.
    """
    base = _narrowed(
        select(
            _M.endpoint_id,
            _M.component,
            _M.hardware_key,
            _M.units,
            extract("epoch", _M.started_at).label("started"),
            extract("epoch", _M.ended_at).label("ended"),
            _M.replicas,
            _M.burn_low,
            _M.burn,
            _M.burn_high,
            _M.rounding_nano,
        ).where(_M.started_at < end),
        wanted,
    )
    for still in (_M.ended_at.is_(None), _M.ended_at > start):
        for part in session.connection().execute(base.where(still)).partitions(_AT_ONCE):
            yield from part


def _narrowed(query: Select[Any], wanted: SpanFilter) -> Select[Any]:
    if wanted.account_id is not None:
        query = query.where(_M.account_id == wanted.account_id)
    if wanted.hardware_key is not None:
        query = query.where(_M.hardware_key == wanted.hardware_key)
    if wanted.endpoint_ids is not None:
        query = query.where(_M.endpoint_id.in_(sorted(wanted.endpoint_ids)))
    if not wanted.idle:
        costs = (_M.burn_high.is_(None), _M.burn_high > 0, _M.rounding_nano > 0)
        query = query.where(or_(*costs))
    for key, value in wanted.labels.items():
        labelled = select(col(Label.endpoint_id)).where(
            col(Label.key) == key, col(Label.value) == value
        )
        query = query.where(_M.endpoint_id.in_(labelled))
    return query


@dataclass(frozen=True, slots=True)
class LastLook:
    """Until when an endpoint's open interval is vouched for, and when all of its account was.

    `whole` is None where that was never read to the end.
    """

    endpoint_id: str
    name: str
    account_id: str
    account_name: str
    until: datetime
    whole: datetime | None
    live: bool


def last_looks(
    session: Session, account_id: str | None = None, ids: Collection[str] | None = None
) -> list[LastLook]:
    """Return every endpoint, or those of `ids`, deleted ones too, with its last look."""
    query = select(
        col(Endpoint.id),
        col(Endpoint.name),
        col(Account.id),
        col(Account.name),
        col(Account.confirmed_at),
        col(Endpoint.confirmed_at),
        # A listing vouches for what it shows, not for replicas that come and go behind it.
        or_(col(Endpoint.missing_since).is_not(None), col(Endpoint.restless)),
        and_(col(Endpoint.deleted_at).is_(None), col(Account.removed_at).is_(None)),
    ).join(Account, col(Account.id) == col(Endpoint.account_id))
    if account_id is not None:
        query = query.where(col(Account.id) == account_id)
    if ids is not None:
        query = query.where(col(Endpoint.id).in_(sorted(ids)))
    found = []
    for key, name, *account, whole, own, unsure, live in session.connection().execute(query):
        until = vouched_until(whole, own, unsure=bool(unsure))
        found.append(LastLook(key, name, account[0], account[1], until, whole, bool(live)))
    return found


def labels_of(session: Session, key: str) -> dict[str, str]:
    """Return the value of one label for every endpoint that has it."""
    query = select(col(Label.endpoint_id), col(Label.value)).where(col(Label.key) == key)
    return {row[0]: row[1] for row in session.connection().execute(query)}


def open_burns(session: Session, account_id: str | None = None) -> list[AnyRow]:
    """Return endpoint id and the three burns of every open interval of accounts still in use.

    An endpoint has as many rows as components.
    """
    query = (
        select(_M.endpoint_id, _M.burn_low, _M.burn, _M.burn_high)
        .join(Account, col(Account.id) == _M.account_id)
        .where(_M.ended_at.is_(None), col(Account.removed_at).is_(None))
    )
    if account_id is not None:
        query = query.where(_M.account_id == account_id)
    return list(session.connection().execute(query))
