"""The kill switch: for the whole installation, or for one account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session

from orchestrator.store.tables import Account, Setting

KEY = "freeze"


@dataclass(frozen=True, slots=True)
class Freeze:
    """Since when, by whom and why nothing is changed."""

    at: datetime
    by: str
    reason: str


def everywhere(session: Session) -> Freeze | None:
    """Return the global freeze, if it is on."""
    row = session.get(Setting, KEY)
    if row is None or not row.value:
        return None
    return Freeze(
        datetime.fromisoformat(row.value["at"]).astimezone(UTC),
        row.value["by"],
        row.value["reason"],
    )


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
