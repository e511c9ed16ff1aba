"""Other ends for a span of the past: when endpoints would have expired under a time to live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.expiry import LONGEST, Expiry
from orchestrator.services import calendars, expiry_policies, selectors
from orchestrator.services.errors import invalid
from orchestrator.store.tables import Endpoint, ExpiryPolicy

ASSUMPTION = (
    "what expires does so at its age, counted from its creation; people were warned in time, and "
    "nobody would have put it off"
)


@dataclass(frozen=True, slots=True)
class DraftExpiry:
    """How long endpoints would have lived since they were made; a date is the same for all.

    `covers` are the ids of those that it is about, None for all.
    """

    ttl: str
    name: str = "draft-expiry"
    timezone: str = "UTC"
    calendars: tuple[str, ...] = ()
    covers: frozenset[str] | None = None


def drafts_of(
    session: Session, draft: DraftExpiry | None, saved: Sequence[ExpiryPolicy]
) -> list[DraftExpiry]:
    """Return all times to live that are asked for.

    Raises ServiceError 422 for a policy that gives none, and for an unknown calendar.
    """
    if draft is not None:
        calendars.check_names(session, draft.calendars, "expiry.calendars")
    return [*([] if draft is None else [draft]), *(_of_policy(session, row) for row in saved)]


def ends(
    session: Session, drafts: Sequence[DraftExpiry], rows: Sequence[Endpoint], now: datetime
) -> dict[str, Expiry]:
    """Return when each endpoint would have expired, by id; the earliest end counts.

    Raises ServiceError 422 for a length that cannot be read.
    """
    for draft in drafts:
        if _end(session, draft, now) > now + LONGEST:
            raise invalid("expiry.ttl", f"That is longer than {LONGEST.days} days.")
    found = {}
    for row in rows:
        own = [one for one in drafts if one.covers is None or row.id in one.covers]
        if own:
            found[row.id] = _earliest(session, own, row)
    return found


def _earliest(session: Session, drafts: Sequence[DraftExpiry], row: Endpoint) -> Expiry:
    born = row.cloud_created_at or row.first_seen_at
    at, name = min((_end(session, draft, born), draft.name) for draft in drafts)
    since = min(born, at)
    found = Expiry(at, since, f"policy {name}", "its time to live is over")
    return found.assuming_warned(since)


def _end(session: Session, draft: DraftExpiry, start: datetime) -> datetime:
    return expiry_policies.end_of(
        session, draft.ttl, start, "expiry.ttl", timezone=draft.timezone, names=draft.calendars
    )


def _of_policy(session: Session, row: ExpiryPolicy) -> DraftExpiry:
    ttl = row.default_ttl or row.max_ttl
    if not ttl:
        raise invalid(
            "rules",
            f"The expiry policy {row.name} lets nothing expire by itself.",
            remedy="Name one with default_ttl or max_ttl, or give `expiry`.",
        )
    covered = selectors.covered(session, selectors.from_json(row.selector))
    ids = frozenset(one.id for one in covered)
    return DraftExpiry(ttl, row.name, row.timezone, tuple(row.calendars), ids)
