"""What quotas look at: the price list's limits, and every endpoint of an account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session, col, select

from orchestrator.domain.quotas import Holder, Limit
from orchestrator.store.tables import Endpoint, Json, Offer

_OTHERS = ("starts_with", "absent")
_NAMES = [name for name in Holder.__dataclass_fields__ if name not in _OTHERS]
_COLUMNS = (
    *(getattr(Endpoint, name) for name in _NAMES),
    col(Endpoint.kept),
    col(Endpoint.stop_sent_at),
    col(Endpoint.cloud_state),
)


def limits(session: Session, account_id: str) -> list[Limit]:
    """Return the quotas of an account's price list as last read, by hardware."""
    query = select(Offer).where(Offer.account_id == account_id, col(Offer.quota_max).is_not(None))
    return [
        Limit(row.hardware_key, row.quota_each or row.accelerators, row.quota_max, row.quota_used)
        for row in session.exec(query)
    ]


def changed_since(session: Session, account_id: str, at: datetime | None) -> bool:
    """Tell whether any endpoint of an account was seen to change its status at `at` or later."""
    if at is None:
        return False
    query = select(Endpoint.id).where(
        Endpoint.account_id == account_id, col(Endpoint.status_since) >= at
    )
    return session.exec(query.limit(1)).first() is not None


def holders(
    session: Session, account_id: str, starts_with: Callable[[Json], int | None]
) -> list[Holder]:
    """Return the endpoints of an account that are not deleted.

    `starts_with` reads, of what is kept of a paused one, with how many replicas it comes back.
    """
    query = select(*_COLUMNS).where(
        Endpoint.account_id == account_id, col(Endpoint.deleted_at).is_(None)
    )
    found = []
    for *values, kept, stop_sent_at, cloud_state in session.execute(query):
        absent = stop_sent_at is not None and not cloud_state
        holder = Holder(**dict(zip(_NAMES, values, strict=True)), absent=absent)
        found.append(replace(holder, starts_with=starts_with(kept)) if kept else holder)
    return found
