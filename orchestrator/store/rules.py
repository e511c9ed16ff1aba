"""Which rules a file made, and what endpoints were asked to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from orchestrator.store.operations import ACTIVE
from orchestrator.store.tables import AppliedRule, Operation


def applied(session: Session) -> dict[str, AppliedRule]:
    """Return which rules a file made, by id."""
    return {row.rule_id: row for row in session.exec(select(AppliedRule))}


def forget_applied(session: Session, rule_id: str) -> None:
    """Forget that a file made a rule, as that is gone."""
    session.exec(delete(AppliedRule).where(col(AppliedRule.rule_id) == rule_id))


def requests_of(session: Session, endpoint_ids: Collection[str]) -> dict[str, Sequence[Operation]]:
    """Return the creates and updates of endpoints that succeeded or may yet, oldest first."""
    found: dict[str, list[Operation]] = defaultdict(list)
    query = (
        select(Operation)
        .where(col(Operation.endpoint_id).in_(endpoint_ids))
        .where(col(Operation.kind).in_(("create", "update")))
        .where(col(Operation.status).in_((*ACTIVE, "succeeded")))
        .order_by(col(Operation.created_at), col(Operation.id))
    )
    for row in session.exec(query):
        found[row.endpoint_id or ""].append(row)
    return dict(found)
