"""How an account is, by its last listing, and whether its cloud's clock agrees with ours."""

from __future__ import annotations

from sqlmodel import Session

from orchestrator.engine.apply import ENGINE
from orchestrator.providers.base import CredentialsError, Listing, ThrottledError
from orchestrator.services import clocks
from orchestrator.store import events
from orchestrator.store.tables import Account

FREEZER = "engine:clock"


def note_health(session: Session, account: Account, listing: Listing, *, known: bool) -> None:
    """Store how an account is; `known` tells that the look at it was whole and is believed."""
    health, detail = _health_of(listing, known=known)
    account.failures = 0 if health == "ok" else account.failures + 1
    if health != account.health:
        if account.health != "new" or health != "ok":
            events.record(
                session,
                at=listing.answered_at,
                kind=f"account.{health}",
                actor=ENGINE,
                message=f"{account.name} is {health}" + (f": {detail}" if detail else ""),
                account_id=account.id,
            )
        account.health, account.health_since = health, listing.answered_at
    account.health_detail = detail
    session.add(account)


def _health_of(listing: Listing, *, known: bool) -> tuple[str, str]:
    if known:
        return "ok", listing.problem
    if listing.complete:
        return "doubted", "the last listing lost many endpoints at once"
    if isinstance(listing.error, CredentialsError):
        return "no_access", listing.problem or str(listing.error)
    if isinstance(listing.error, ThrottledError):
        return "throttled", listing.problem or str(listing.error)
    if not listing.sightings:
        return "unreachable", listing.problem or str(listing.error or "")
    return "partial", listing.problem


def note_skew(session: Session, account: Account, listing: Listing, doubt: str) -> None:
    """Freeze an account while our clock is in doubt: windows would be wrong."""
    if listing.cloud_time is None and not doubt:
        return
    doubt = doubt or clocks.skew(listing.cloud_time, listing.asked_at, listing.answered_at)
    if doubt and account.frozen_at is None:
        account.frozen_at, account.frozen_by = listing.answered_at, FREEZER
        account.frozen_reason = doubt
        kind, message = "freeze.on", f"{account.name} frozen: {account.frozen_reason}"
    elif not doubt and account.frozen_by == FREEZER:
        account.frozen_at, account.frozen_by, account.frozen_reason = None, "", ""
        kind, message = "freeze.off", f"{account.name} thawed: the clock is in no doubt any more"
    else:
        return
    events.record(
        session,
        at=listing.answered_at,
        kind=kind,
        actor=ENGINE,
        message=message,
        account_id=account.id,
    )
