"""Locks of rows, always in one order, so that no two transactions wait for each other.

Endpoints come before their operations, and of several endpoints the lowest id first. Rows that
merely point to a locked one are written beside it. SQLite has one writer and needs none of this.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from orchestrator.store.tables import Endpoint, Operation

CHUNK = 500
_ENDPOINTS = (
    select(Endpoint)
    .where(col(Endpoint.id).in_(bindparam("ids", expanding=True)))
    .order_by(col(Endpoint.id))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
_OWNER = select(Operation.endpoint_id).where(Operation.id == bindparam("id"))
_OWNER_HELD = (
    select(Endpoint.id).where(Endpoint.id == bindparam("id")).with_for_update(key_share=True)
)
_OPERATION = (
    select(Operation)
    .where(Operation.id == bindparam("id"))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
_HELD = "locked_endpoints"
# Deadlock, lock not to be had in time, serialization failure.
_CONTENTION = ("40P01", "55P03", "40001")


def endpoints(session: Session, ids: Iterable[str]) -> dict[str, Endpoint]:
    """Return these endpoints, read anew and locked until the transaction ends.

    Call it outside of savepoints: what they undo is locked no more.
    """
    wanted = sorted(set(ids))
    found: dict[str, Endpoint] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session.exec(_ENDPOINTS, params={"ids": wanted[start : start + CHUNK]})
        found.update((row.id, row) for row in rows)
    if not session.in_nested_transaction():
        session.info.setdefault(_HELD, set()).update(found)
    return found


def endpoint(session: Session, endpoint_id: str) -> Endpoint | None:
    """Return one endpoint, read anew and locked until the transaction ends."""
    return endpoints(session, [endpoint_id]).get(endpoint_id)


def refresh(session: Session, row: Endpoint) -> None:
    """Lock an endpoint that was read before, and read anew what others made of it meanwhile."""
    if row.id not in session.info.get(_HELD, ()):
        endpoint(session, row.id)


def operation(session: Session, operation_id: str) -> Operation | None:
    """Return an operation, read anew, locked, and its endpoint before it."""
    if session.get_bind().dialect.name != "sqlite":
        owner = session.exec(_OWNER, params={"id": operation_id}).first()
        if owner is not None:
            session.exec(_OWNER_HELD, params={"id": owner}).first()
    return session.exec(_OPERATION, params={"id": operation_id}).first()


def is_contention(error: DBAPIError) -> bool:
    """Tell whether a transaction failed only because others wanted the same rows."""
    return getattr(error.orig, "sqlstate", None) in _CONTENTION
