"""Holds: a person's "keep it so until T"; a program's is a lease."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists
from sqlmodel import Session, col, select

from orchestrator.store import columns
from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Endpoint, Hold
from orchestrator.store.types import UtcDateTime

LEASE = "lease"
# The idle clock looks no further back than the longest timeout of a policy.
REMEMBERED = timedelta(days=31)


def _latest(end: Any, *among: Any) -> Any:
    """Return the latest end of the leases of an endpoint, as one step into the index of ends."""
    since, now = bindparam("since", type_=UtcDateTime()), bindparam("now", type_=UtcDateTime())
    of_lease = select(end).where(Hold.endpoint_id == Endpoint.id, Hold.source == LEASE, *among)
    found = of_lease.where(end > since, end <= now).order_by(end.desc()).limit(1)
    return found.scalar_subquery()


_LEASE_ENDS = (
    select(
        Endpoint.id,
        _latest(col(Hold.until), col(Hold.ended_at).is_(None)),
        _latest(col(Hold.ended_at)),
    )
    .where(Endpoint.account_id == bindparam("account_id"), col(Endpoint.deleted_at).is_(None))
    .where(exists().where(col(Hold.endpoint_id) == col(Endpoint.id)))
)
_LEASE_ENDS_OF_ONE = _LEASE_ENDS.where(Endpoint.id == bindparam("endpoint_id"))
_LAPSED = (
    select(Hold)
    .join(Endpoint, col(Endpoint.id) == col(Hold.endpoint_id))
    .where(Endpoint.account_id == bindparam("account_id"), Hold.until <= bindparam("now"))
    .where(col(Hold.ended_at).is_(None), col(Hold.noted_at).is_(None))
    .order_by(col(Hold.id))
)
_ACTIVE_OF = (
    select(Hold)
    .where(
        col(Hold.endpoint_id).in_(bindparam("ids", expanding=True)),
        col(Hold.ended_at).is_(None),
        col(Hold.until) > bindparam("now"),
    )
    .order_by(col(Hold.id))
)


def get(session: Session, hold_id: str) -> Hold | None:
    """Return a hold by id, ended ones too."""
    return session.get(Hold, hold_id)


def _active(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(Hold.ended_at).is_(None), col(Hold.until) > now


def active_of(
    session: Session, endpoint_ids: Collection[str], now: datetime
) -> dict[str, list[Hold]]:
    """Return the holds in force at `now`, by endpoint, oldest first."""
    found: dict[str, list[Hold]] = defaultdict(list)
    if endpoint_ids:
        for hold in session.exec(_ACTIVE_OF, params={"ids": list(endpoint_ids), "now": now}):
            found[hold.endpoint_id].append(hold)
    return found


def all_active(session: Session, now: datetime) -> dict[str, list[Hold]]:
    """Return all holds in force at `now`, by endpoint, oldest first."""
    found: dict[str, list[Hold]] = defaultdict(list)
    for hold in session.exec(select(Hold).where(*_active(now)).order_by(col(Hold.id))):
        found[hold.endpoint_id].append(hold)
    return found


def page(
    session: Session,
    *,
    endpoint_id: str | None,
    active_at: datetime | None,
    after: Position | None,
    limit: int,
    actor: str | None = None,
    leases: bool = False,
) -> Sequence[Hold]:
    """Return up to `limit` holds, or leases, newest first.

    `active_at` leaves out those not in force.
    """
    keys = (Key(col(Hold.id), descending=True),)
    kind = Hold.source == LEASE if leases else Hold.source != LEASE
    query = select(Hold).where(kind)
    if actor is not None:
        query = query.where(Hold.actor == actor)
    if endpoint_id is not None:
        query = query.where(Hold.endpoint_id == endpoint_id)
    if active_at is not None:
        query = query.where(*_active(active_at))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def lease_ends(
    session: Session, account_id: str, now: datetime, endpoint_id: str | None = None
) -> dict[str, datetime]:
    """Return when the last lease of each endpoint of an account ended, at most a month ago."""
    given = {"account_id": account_id, "since": now - REMEMBERED, "now": now}
    query = _LEASE_ENDS
    if endpoint_id is not None:
        query, given["endpoint_id"] = _LEASE_ENDS_OF_ONE, endpoint_id
    found = {row[0]: row[1:] for row in columns.read(session, query, given)}
    ends = {key: [at for at in both if at is not None] for key, both in found.items()}
    return {key: max(both) for key, both in ends.items() if both}


def lapsed(session: Session, account_id: str, now: datetime) -> Sequence[Hold]:
    """Return the holds and leases of an account that ended by themselves, not yet written down."""
    return columns.rare(session, _LAPSED, {"account_id": account_id, "now": now})


def end_all(session: Session, endpoint_id: str, at: datetime, by: str) -> None:
    """End every hold of an endpoint that is still in force."""
    for hold in active_of(session, [endpoint_id], at).get(endpoint_id, []):
        hold.ended_at, hold.ended_by = at, by
        session.add(hold)
