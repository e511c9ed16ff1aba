"""The record of what happened; written in the transaction of the change that it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from orchestrator.domain.notices import severity_of
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Event, Notice


def record(
    session: Session,
    *,
    at: datetime,
    kind: str,
    actor: str,
    message: str,
    account_id: str | None = None,
    endpoint_id: str | None = None,
    operation_id: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Add one event to the transaction of `session`, and a notice where people are told of it."""
    told: dict[str, Any] = {
        "at": at,
        "kind": kind,
        "actor": actor,
        "message": message,
        "account_id": account_id,
        "endpoint_id": endpoint_id,
        "operation_id": operation_id,
        "data": dict(data or {}),
    }
    session.add(Event(**told))
    severity = severity_of(kind, told["data"])
    if severity is not None:
        session.add(Notice(id=new_id("msg", at), severity=severity.value, **told))


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; None leaves a field open. `kind` may end in `*`."""

    account_id: str | None = None
    endpoint_id: str | None = None
    kind: str | None = None
    since: datetime | None = None
    before_id: int | None = None


def newest(session: Session, wanted: EventFilter, limit: int) -> Sequence[Event]:
    """Return events, newest first."""
    query = select(Event).order_by(col(Event.id).desc()).limit(limit)
    if wanted.account_id is not None:
        query = query.where(Event.account_id == wanted.account_id)
    if wanted.endpoint_id is not None:
        query = query.where(Event.endpoint_id == wanted.endpoint_id)
    if wanted.kind is not None and wanted.kind.endswith("*"):
        query = query.where(col(Event.kind).startswith(wanted.kind[:-1], autoescape=True))
    elif wanted.kind is not None:
        query = query.where(Event.kind == wanted.kind)
    if wanted.since is not None:
        query = query.where(Event.at >= wanted.since)
    if wanted.before_id is not None:
        query = query.where(col(Event.id) < wanted.before_id)
    return session.exec(query).all()
