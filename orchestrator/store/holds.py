"""Holds: a person's "keep it so until T"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Hold


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
) -> Sequence[Hold]:
    """Return up to `limit` holds, newest first; `active_at` leaves out those not in force."""
    keys = (Key(col(Hold.id), descending=True),)
    query = select(Hold)
    if endpoint_id is not None:
        query = query.where(Hold.endpoint_id == endpoint_id)
    if active_at is not None:
        query = query.where(*_active(active_at))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def end_all(session: Session, endpoint_id: str, at: datetime, by: str) -> None:
    """End every hold of an endpoint that is still in force."""
    for hold in active_of(session, [endpoint_id], at).get(endpoint_id, []):
        hold.ended_at, hold.ended_by = at, by
        session.add(hold)
