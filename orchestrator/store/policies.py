"""Idle policies."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import IdlePolicy


def get(session: Session, policy_id: str) -> IdlePolicy | None:
    """Return a policy that was not removed, by id."""
    policy = session.get(IdlePolicy, policy_id)
    return None if policy is None or policy.removed_at is not None else policy


def by_name(session: Session, name: str) -> IdlePolicy | None:
    """Return a policy that was not removed, by name."""
    query = select(IdlePolicy).where(IdlePolicy.name == name, col(IdlePolicy.removed_at).is_(None))
    return session.exec(query).first()


def name_taken(session: Session, name: str, but: str | None = None) -> bool:
    """Tell whether a policy other than `but` bears the name."""
    query = select(IdlePolicy.id).where(IdlePolicy.name == name, IdlePolicy.id != (but or ""))
    return session.exec(query).first() is not None


def in_force(session: Session) -> Sequence[IdlePolicy]:
    """Return the policies that are enabled and not removed, by name."""
    query = select(IdlePolicy).where(
        col(IdlePolicy.removed_at).is_(None), col(IdlePolicy.enabled).is_(True)
    )
    return session.exec(query.order_by(col(IdlePolicy.name))).all()


def page(session: Session, after: Position | None, limit: int) -> Sequence[IdlePolicy]:
    """Return up to `limit` policies in the order of name and id."""
    keys = (Key(col(IdlePolicy.name)), Key(col(IdlePolicy.id)))
    query = select(IdlePolicy).where(col(IdlePolicy.removed_at).is_(None))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()
