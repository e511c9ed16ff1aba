"""Tell people, a while before it happens, that the grace of a deletion ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from orchestrator.engine.apply import ENGINE
from orchestrator.services.lengths import brief
from orchestrator.services.rulebook import told_at
from orchestrator.store import events, observation
from orchestrator.store.observation import ManagedRow


def is_near(row: ManagedRow, now: datetime) -> bool:
    """Tell whether the end of a grace is near, and nobody was told of it yet."""
    due = row.delete_after
    return due is not None and not row.tombstone["told"] and told_at(due, row.tombstone) <= now


def announce(session: Session, rows: Sequence[ManagedRow], now: datetime) -> None:
    """Record once for each that it is deleted soon, unless that was called off meanwhile."""
    held = observation.endpoints_by_id(session, [row.id for row in rows])
    for row in rows:
        endpoint = held[row.id]
        if endpoint.delete_after is None or endpoint.delete_after != row.delete_after:
            continue
        stone = endpoint.tombstone
        endpoint.tombstone = {**stone, "told": True}
        session.add(endpoint)
        left = endpoint.delete_after - now
        when = f"in {brief(left)}" if left.total_seconds() > 0 else "now"
        events.record(
            session,
            at=now,
            kind="endpoint.deletion_due",
            actor=ENGINE,
            message=f"{endpoint.name} is deleted for good {when}, as {stone['actor']} asked: "
            f"{stone['reason']}; it can be brought back until then",
            account_id=endpoint.account_id,
            endpoint_id=endpoint.id,
            data={"delete_after": endpoint.delete_after.isoformat(), "actor": stone["actor"]},
        )
