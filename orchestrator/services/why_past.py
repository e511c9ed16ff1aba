"""Whether it can be known why an endpoint was wanted so at an instant of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.decide import Decision, Rule
from orchestrator.services.managed_parts import LET_GO, TAKEN
from orchestrator.store import history, retention
from orchestrator.store.tables import Endpoint

FACTS = "endpoint_facts"
NOT_MANAGED = "it was not managed then: it was only observed"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why it cannot be known."""

    because: str


def unknown_then(session: Session, row: Endpoint, at: datetime) -> Unknown | Decision | None:
    """Return why it cannot be known what was wanted at `at`; None where it can be recalled.

    A decision where it is known without that: it was not managed then.
    """
    if at < row.first_seen_at:
        return Unknown(f"it was first seen at {_at(row.first_seen_at)}")
    if row.deleted_at is not None and row.deleted_at <= at:
        return Unknown(f"it was deleted by then: it was seen to be gone at {_at(row.deleted_at)}")
    changed = history.last_event(session, row.id, LET_GO | TAKEN, at)
    if changed is not None and changed.kind in LET_GO:
        return Decision(None, Rule.NOT_MANAGED, NOT_MANAGED)
    known = history.facts_at(session, row.id, at)
    if known is not None and (changed is None or changed.at <= known.at):
        return None
    return _nothing_kept(session, row, at, adopted=changed is not None)


def _nothing_kept(
    session: Session, row: Endpoint, at: datetime, *, adopted: bool
) -> Unknown | Decision:
    dropped = retention.dropped_before(session, FACTS)
    if dropped is not None and at < dropped:
        return Unknown(f"what was known before {_at(dropped)} is no longer kept")
    since = row.managed_since
    if since is not None and at < since and not adopted:
        return Decision(None, Rule.NOT_MANAGED, NOT_MANAGED)
    kept = history.kept_since(session, row.id)
    if kept is not None and kept <= at:
        return Unknown("it had just been adopted: no decision about it was kept yet")
    if kept is None:
        if not row.managed:
            return Decision(None, Rule.NOT_MANAGED, NOT_MANAGED)
        return Unknown("no decision about it was kept yet")
    return Unknown(f"what was known of it is kept since {_at(kept)}")


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
