"""How long starts took, for windows that want an endpoint to serve at their beginning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from orchestrator.domain.notices import STATUS_CHANGED
from orchestrator.store.tables import Account, Endpoint, Event, Operation

Row = tuple[str, str, datetime, datetime]


def statuses(
    session: Session, endpoint_id: str, since: datetime, until: datetime
) -> Sequence[tuple[datetime, str]]:
    """Return when an endpoint was seen in which status, as far as that changed, oldest first."""
    query = (
        select(Event.at, Event.data)
        .where(Event.endpoint_id == endpoint_id, Event.kind == STATUS_CHANGED)
        .where(col(Event.at) >= since, col(Event.at) <= until)
        .order_by(col(Event.id))
    )
    return [(row[0], str(row[1].get("to", ""))) for row in session.execute(query)]


def resumes(
    session: Session, provider: str, since: datetime, until: datetime, limit: int
) -> Sequence[Row]:
    """Return the youngest resumes that had gone well by `until`, none asked before `since`.

    Those at one kind of cloud. Each as endpoint id, hardware as it is now, when it was asked for
    and when it was confirmed.
    """
    query = (
        select(Endpoint.id, Endpoint.hardware_key, Operation.created_at, Operation.finished_at)
        .join(Endpoint, col(Endpoint.id) == col(Operation.endpoint_id))
        .join(Account, col(Account.id) == col(Operation.account_id))
        .where(Operation.kind == "resume", Operation.status == "succeeded")
        .where(Account.provider == provider, col(Operation.created_at) >= since)
        .where(col(Operation.finished_at) <= until)
        .order_by(col(Operation.id).desc())
        .limit(limit)
    )
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]
