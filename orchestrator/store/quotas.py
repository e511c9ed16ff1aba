"""What quotas look at: the price list's limits, and every endpoint of an account."""

from __future__ import annotations

from sqlmodel import Session, col, select

from orchestrator.domain.quotas import Holder, Limit
from orchestrator.store.tables import Endpoint, Offer

_COLUMNS = tuple(getattr(Endpoint, name) for name in Holder.__dataclass_fields__)


def limits(session: Session, account_id: str) -> list[Limit]:
    """Return the quotas of an account's price list as last read, by hardware."""
    query = select(Offer).where(Offer.account_id == account_id, col(Offer.quota_max).is_not(None))
    return [
        Limit(row.hardware_key, row.quota_each or row.accelerators, row.quota_max, row.quota_used)
        for row in session.exec(query)
    ]


def holders(session: Session, account_id: str) -> list[Holder]:
    """Return the endpoints of an account that are not deleted."""
    query = select(*_COLUMNS).where(
        Endpoint.account_id == account_id, col(Endpoint.deleted_at).is_(None)
    )
    return [Holder(*row) for row in session.execute(query)]
