"""Endpoints that run although a policy or their cloud's idle timer may put them to sleep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, exists, or_
from sqlmodel import Session, col, select

from orchestrator.domain.status import Status
from orchestrator.store import columns
from orchestrator.store.tables import Binding, Endpoint, Json

_LIVE = (Endpoint.account_id == bindparam("account_id"), col(Endpoint.deleted_at).is_(None))
_BOUND = exists().where(
    col(Binding.endpoint_id) == col(Endpoint.id), col(Binding.rule_kind) == "idle"
)
_TIMER = and_(col(Endpoint.scale_to_zero_minutes).is_not(None), col(Endpoint.min_replicas) == 0)
_TIMED = select(Endpoint).where(*_LIVE, Endpoint.status == Status.RUNNING, or_(_TIMER, _BOUND))
_SAID = select(Endpoint).where(*_LIVE, col(Endpoint.held_awake)["sign"].as_string().is_not(None))


@dataclass(frozen=True, slots=True)
class AwakeRow:
    """What tells whether an endpoint is held awake."""

    id: str
    name: str
    up_since: datetime | None
    last_used_at: datetime | None
    timer: timedelta | None
    held_awake: Json


def watched(session: Session, account_id: str) -> list[AwakeRow]:
    """Return those that run and should sleep when unused, and those said to be held awake."""
    found = {row.id: _row(row) for row in session.exec(_TIMED, params={"account_id": account_id})}
    for row in columns.rare(session, _SAID, {"account_id": account_id}):
        found.setdefault(row.id, _gone(row))
    return list(found.values())


def _row(row: Endpoint) -> AwakeRow:
    since = max(
        (t for t in (row.ready_at, row.resumed_at, row.status_since) if t is not None),
        default=None,
    )
    minutes = row.scale_to_zero_minutes if row.min_replicas == 0 else None
    timer = None if minutes is None else timedelta(minutes=minutes)
    return AwakeRow(row.id, row.name, since, row.last_used_at, timer, row.held_awake)


def _gone(row: Endpoint) -> AwakeRow:
    return AwakeRow(row.id, row.name, None, row.last_used_at, None, row.held_awake)
