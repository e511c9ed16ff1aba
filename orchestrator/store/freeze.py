"""The kill switch: for the whole installation, or for one account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from orchestrator.store import columns
from orchestrator.store.tables import Account, Setting

KEY = "freeze"
_EVERYWHERE = select(Setting.value).where(Setting.key == KEY)
_FROZEN = select(col(Account.frozen_at), _EVERYWHERE.scalar_subquery()).where(
    Account.id == bindparam("account_id")
)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Since when, by whom and why nothing is changed."""

    at: datetime
    by: str
    reason: str


def everywhere(session: Session) -> Freeze | None:
    """Return the global freeze, if it is on."""
    value = columns.read(session, _EVERYWHERE).scalars().first()
    if not value:
        return None
    at = datetime.fromisoformat(value["at"]).astimezone(UTC)
    return Freeze(at, value["by"], value["reason"])


def is_on(session: Session, account_id: str) -> bool:
    """Tell whether anything freezes an account now, whatever was read of it before."""
    of_account, value = columns.read(session, _FROZEN, {"account_id": account_id}).one()
    return of_account is not None or bool(value)


def of_account(account: Account) -> Freeze | None:
    """Return the freeze of one account, if it is on."""
    if account.frozen_at is None:
        return None
    return Freeze(account.frozen_at, account.frozen_by, account.frozen_reason)


def set_everywhere(session: Session, freeze: Freeze) -> None:
    """Switch the global freeze on."""
    value = {"at": freeze.at.isoformat(), "by": freeze.by, "reason": freeze.reason}
    session.merge(Setting(key=KEY, value=value, updated_at=freeze.at))


def clear_everywhere(session: Session, now: datetime) -> None:
    """Switch the global freeze off."""
    session.merge(Setting(key=KEY, value={}, updated_at=now))


def set_account(account: Account, freeze: Freeze) -> None:
    """Switch the freeze of one account on."""
    account.frozen_at = freeze.at
    account.frozen_by = freeze.by
    account.frozen_reason = freeze.reason


def clear_account(account: Account) -> None:
    """Switch the freeze of one account off."""
    account.frozen_at = None
    account.frozen_by = ""
    account.frozen_reason = ""
