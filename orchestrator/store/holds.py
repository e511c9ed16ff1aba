"""Holds: a person's "keep it so until T"; a program's is a lease."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func
from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Endpoint, Hold
from orchestrator.store.types import UtcDateTime

LEASE = "lease"
# The idle clock looks no further back than the longest timeout of a policy.
REMEMBERED = timedelta(days=31)


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
        query = select(Hold).where(col(Hold.endpoint_id).in_(endpoint_ids), *_active(now))
        for hold in session.exec(query.order_by(col(Hold.id))):
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
    end = case((col(Hold.ended_at) < col(Hold.until), col(Hold.ended_at)), else_=col(Hold.until))
    query = (
        select(Hold.endpoint_id, func.max(end, type_=UtcDateTime()))
        .join(Endpoint, col(Endpoint.id) == col(Hold.endpoint_id))
        .where(Endpoint.account_id == account_id, Hold.source == LEASE)
        .where(Hold.until > now - REMEMBERED, end <= now)
        .group_by(col(Hold.endpoint_id))
    )
    if endpoint_id is not None:
        query = query.where(Hold.endpoint_id == endpoint_id)
    return dict(session.exec(query).all())


def lapsed(session: Session, account_id: str, now: datetime) -> Sequence[Hold]:
    """Return the holds and leases of an account that ended by themselves, not yet written down."""
    query = (
        select(Hold)
        .join(Endpoint, col(Endpoint.id) == col(Hold.endpoint_id))
        .where(Endpoint.account_id == account_id, Hold.until <= now)
        .where(col(Hold.ended_at).is_(None), col(Hold.noted_at).is_(None))
    )
    return session.exec(query.order_by(col(Hold.id))).all()


def end_all(session: Session, endpoint_id: str, at: datetime, by: str) -> None:
    """End every hold of an endpoint that is still in force."""
    for hold in active_of(session, [endpoint_id], at).get(endpoint_id, []):
        hold.ended_at, hold.ended_by = at, by
        session.add(hold)
