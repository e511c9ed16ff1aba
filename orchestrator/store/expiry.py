"""Expiry as it is stored with an endpoint, and the policies over it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from orchestrator.domain.expiry import Expiry
from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Endpoint, ExpiryPolicy, Json

_EXPIRING = (
    select(Endpoint)
    .where(
        Endpoint.account_id == bindparam("account_id"),
        col(Endpoint.expires_at).is_not(None),
        col(Endpoint.managed).is_(True),
        col(Endpoint.deleted_at).is_(None),
        col(Endpoint.delete_after).is_(None),
    )
    .order_by(Endpoint.id)
)


class Bearer(Protocol):
    """What may expire: an endpoint, or the columns of one that a decision looks at."""

    @property
    def expires_at(self) -> datetime | None:
        """Return when it expires."""

    @property
    def expiry(self) -> Json:
        """Return what is stored of that."""


def read(row: Bearer) -> Expiry | None:
    """Return when an endpoint expires and what is known of that; None where it never does."""
    if row.expires_at is None:
        return None
    stored = row.expiry
    grace = stored["grace_s"]
    return Expiry(
        at=row.expires_at,
        set_at=datetime.fromisoformat(stored["set_at"]),
        actor=stored["actor"],
        reason=stored["reason"],
        warn=tuple(timedelta(seconds=seconds) for seconds in stored["warn_s"]),
        first_warned_at=_instant(stored["first_warned_at"]),
        warned_at=_instant(stored["warned_at"]),
        grace=None if grace is None else timedelta(seconds=grace),
        expired_at=_instant(stored.get("expired_at")),
        timezone=stored.get("timezone", "UTC"),
        calendars=tuple(stored.get("calendars", ())),
    )


def write(endpoint: Endpoint, expiry: Expiry, *, extensions: int) -> None:
    """Store when an endpoint expires; `extensions` is how often it was put off so far."""
    endpoint.expires_at, endpoint.expiry = expiry.at, stored(expiry, extensions)


def stored(expiry: Expiry, extensions: int = 0) -> Json:
    """Return what is stored of an expiry beside its instant."""
    return {
        "set_at": expiry.set_at.isoformat(),
        "actor": expiry.actor,
        "reason": expiry.reason,
        "warn_s": [int(before.total_seconds()) for before in expiry.warn],
        "first_warned_at": _text(expiry.first_warned_at),
        "warned_at": _text(expiry.warned_at),
        "grace_s": None if expiry.grace is None else int(expiry.grace.total_seconds()),
        "extensions": extensions,
        "timezone": expiry.timezone,
        "calendars": list(expiry.calendars),
    }


def clear(endpoint: Endpoint) -> None:
    """Let an endpoint never expire."""
    endpoint.expires_at, endpoint.expiry = None, {}


def unwarned(stored: Json) -> Json:
    """Return what is stored as if nobody had been warned yet, so that the notice begins anew."""
    if not stored:
        return stored
    kept = {key: value for key, value in stored.items() if key != "expired_at"}
    return {**kept, "first_warned_at": None, "warned_at": None}


def extensions(endpoint: Endpoint) -> int:
    """Return how often the expiry was put off."""
    return int(endpoint.expiry.get("extensions", 0))


def expiring(session: Session, account_id: str) -> Sequence[Endpoint]:
    """Return the managed live endpoints of an account that expire, but those to be deleted."""
    return session.exec(_EXPIRING, params={"account_id": account_id}).all()


def policy(session: Session, policy_id: str) -> ExpiryPolicy | None:
    """Return a policy that was not removed, by id."""
    found = session.get(ExpiryPolicy, policy_id)
    return None if found is None or found.removed_at is not None else found


def policy_by_name(session: Session, name: str) -> ExpiryPolicy | None:
    """Return a policy that was not removed, by name."""
    query = select(ExpiryPolicy).where(
        ExpiryPolicy.name == name, col(ExpiryPolicy.removed_at).is_(None)
    )
    return session.exec(query).first()


def name_taken(session: Session, name: str, but: str) -> bool:
    """Tell whether a policy other than `but` bears the name."""
    query = select(ExpiryPolicy.id).where(ExpiryPolicy.name == name, ExpiryPolicy.id != but)
    return session.exec(query).first() is not None


def policies_in_force(session: Session) -> Sequence[ExpiryPolicy]:
    """Return the policies that are enabled and not removed, by name."""
    query = select(ExpiryPolicy).where(
        col(ExpiryPolicy.removed_at).is_(None), col(ExpiryPolicy.enabled).is_(True)
    )
    return session.exec(query.order_by(col(ExpiryPolicy.name))).all()


def page(session: Session, after: Position | None, limit: int) -> Sequence[ExpiryPolicy]:
    """Return up to `limit` policies in the order of name and id."""
    keys = (Key(col(ExpiryPolicy.name)), Key(col(ExpiryPolicy.id)))
    query = select(ExpiryPolicy).where(col(ExpiryPolicy.removed_at).is_(None))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
