"""Operations: the durable record of changes under way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Operation

ACTIVE = ("pending", "running", "confirming")


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations to list; None leaves a field open."""

    endpoint_id: str | None = None
    account_id: str | None = None
    statuses: tuple[str, ...] = ()
    kind: str | None = None


def get(session: Session, operation_id: str) -> Operation | None:
    """Return an operation by id."""
    return session.get(Operation, operation_id)


def by_key(session: Session, actor: str, key: str) -> Operation | None:
    """Return the operation that `actor` asked for under an idempotency key."""
    query = select(Operation).where(Operation.actor == actor, Operation.idempotency_key == key)
    return session.exec(query).first()


def active_of(session: Session, endpoint_ids: Collection[str]) -> dict[str, Operation]:
    """Return the operation under way for each endpoint, where one is."""
    if not endpoint_ids:
        return {}
    query = select(Operation).where(
        col(Operation.endpoint_id).in_(endpoint_ids), col(Operation.status).in_(ACTIVE)
    )
    return {row.endpoint_id: row for row in session.exec(query) if row.endpoint_id is not None}


def active_for(session: Session, endpoint_id: str) -> Operation | None:
    """Return the operation under way on one endpoint, if any."""
    return active_of(session, [endpoint_id]).get(endpoint_id)


def latest_for(session: Session, endpoint_id: str) -> Operation | None:
    """Return the youngest operation of an endpoint, ended or not."""
    query = select(Operation).where(Operation.endpoint_id == endpoint_id)
    return session.exec(query.order_by(col(Operation.id).desc()).limit(1)).first()


def active_create(session: Session, account_id: str, name: str) -> Operation | None:
    """Return the operation that is creating an endpoint of that name, if one is."""
    query = select(Operation).where(
        Operation.account_id == account_id,
        Operation.endpoint_name == name,
        Operation.kind == "create",
        col(Operation.status).in_(ACTIVE),
    )
    return session.exec(query).first()


def active_in_account(session: Session, account_id: str) -> Sequence[Operation]:
    """Return the operations under way in an account, oldest first."""
    query = (
        select(Operation)
        .where(Operation.account_id == account_id, col(Operation.status).in_(ACTIVE))
        .order_by(col(Operation.created_at), col(Operation.id))
    )
    return session.exec(query).all()


def page(
    session: Session, wanted: OperationFilter, after: Position | None, limit: int
) -> Sequence[Operation]:
    """Return up to `limit` operations, newest first."""
    keys = (Key(col(Operation.id), descending=True),)
    query = select(Operation)
    if wanted.endpoint_id is not None:
        query = query.where(Operation.endpoint_id == wanted.endpoint_id)
    if wanted.account_id is not None:
        query = query.where(Operation.account_id == wanted.account_id)
    if wanted.statuses:
        query = query.where(col(Operation.status).in_(wanted.statuses))
    if wanted.kind is not None:
        query = query.where(Operation.kind == wanted.kind)
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def lock(session: Session, operation_id: str) -> Operation | None:
    """Return an operation by id, read anew and locked until the transaction ends."""
    return session.get(Operation, operation_id, with_for_update=True, populate_existing=True)
