"""What rules were, and what was known of endpoints, at any time since this is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Table, bindparam, func, insert
from sqlmodel import Session, SQLModel, col, select

from orchestrator.store import columns
from orchestrator.store.tables import Endpoint, EndpointFacts, Event, Rate, RuleRevision

_CHUNK = 500
_FACTS: Table = SQLModel.metadata.tables["endpoint_facts"]
Key = tuple[str, str]
_KEPT = select(RuleRevision.rule_id, RuleRevision.digest).where(
    col(RuleRevision.rule_id).in_(bindparam("ids", expanding=True))
)


def newest_digests(session: Session, account_id: str) -> dict[str, str]:
    """Return the digest of what was known last of each endpoint of an account."""
    newest = (
        select(func.max(col(EndpointFacts.id)))
        .join(Endpoint, col(Endpoint.id) == col(EndpointFacts.endpoint_id))
        .where(Endpoint.account_id == account_id)
        .group_by(col(EndpointFacts.endpoint_id))
    )
    query = select(EndpointFacts.endpoint_id, EndpointFacts.digest)
    return {row[0]: row[1] for row in session.exec(query.where(col(EndpointFacts.id).in_(newest)))}


def kept_revisions(session: Session, rule_ids: Collection[str]) -> set[Key]:
    """Return rule and digest of the revisions of these rules that are kept."""
    found: set[Key] = set()
    wanted = sorted(rule_ids)
    for first in range(0, len(wanted), _CHUNK):
        rows = columns.read(session, _KEPT, {"ids": wanted[first : first + _CHUNK]})
        found.update((row[0], row[1]) for row in rows)
    return found


def revisions(session: Session, keys: Collection[Key]) -> dict[Key, RuleRevision]:
    """Return revisions by rule and digest."""
    ids = sorted({rule_id for rule_id, _ in keys})
    found: dict[Key, RuleRevision] = {}
    for first in range(0, len(ids), _CHUNK):
        query = select(RuleRevision).where(
            col(RuleRevision.rule_id).in_(ids[first : first + _CHUNK])
        )
        found.update(((row.rule_id, row.digest), row) for row in session.exec(query))
    return {key: found[key] for key in keys if key in found}


def revisions_of(session: Session, rule_id: str) -> Sequence[RuleRevision]:
    """Return the revisions of one rule, oldest first."""
    query = select(RuleRevision).where(RuleRevision.rule_id == rule_id)
    return session.exec(query.order_by(col(RuleRevision.id))).all()


def put(session: Session, facts: Sequence[EndpointFacts], rules: Sequence[RuleRevision]) -> None:
    """Store what was known of endpoints, and the rules that it names."""
    session.add_all(rules)
    if facts:
        values = [row.model_dump(exclude={"id"}) for row in facts]
        session.connection().execute(insert(_FACTS), values)


def facts_at(session: Session, endpoint_id: str, at: datetime) -> EndpointFacts | None:
    """Return what was known of an endpoint at an instant, None before anything was kept."""
    query = select(EndpointFacts).where(
        EndpointFacts.endpoint_id == endpoint_id, col(EndpointFacts.at) <= at
    )
    newest = (col(EndpointFacts.at).desc(), col(EndpointFacts.id).desc())
    return session.exec(query.order_by(*newest).limit(1)).first()


def facts_between(
    session: Session, endpoint_id: str, start: datetime, end: datetime
) -> list[EndpointFacts]:
    """Return what was known in `[start, end)`, oldest first: what held at `start`, and each change.

    Where nothing is kept of `start`, the first begins later.
    """
    before = facts_at(session, endpoint_id, start)
    query = select(EndpointFacts).where(
        EndpointFacts.endpoint_id == endpoint_id,
        col(EndpointFacts.at) > start,
        col(EndpointFacts.at) < end,
    )
    later = session.exec(query.order_by(col(EndpointFacts.at), col(EndpointFacts.id))).all()
    return [*([] if before is None else [before]), *later]


def kept_since(session: Session, endpoint_id: str) -> datetime | None:
    """Return since when it is kept what was known of an endpoint; None where nothing is."""
    query = select(func.min(col(EndpointFacts.at))).where(EndpointFacts.endpoint_id == endpoint_id)
    return session.exec(query).first()


def events_of(
    session: Session,
    endpoint_id: str,
    kinds: Collection[str],
    start: datetime,
    end: datetime,
) -> Sequence[Event]:
    """Return the events of these kinds in `[start, end]`, oldest first."""
    query = select(Event).where(
        Event.endpoint_id == endpoint_id,
        col(Event.kind).in_(sorted(kinds)),
        col(Event.at) >= start,
        col(Event.at) <= end,
    )
    return session.exec(query.order_by(col(Event.at), col(Event.id))).all()


def last_event(
    session: Session, endpoint_id: str, kinds: Collection[str], at: datetime
) -> Event | None:
    """Return the newest event of these kinds up to an instant."""
    query = select(Event).where(
        Event.endpoint_id == endpoint_id, col(Event.kind).in_(sorted(kinds)), col(Event.at) <= at
    )
    return session.exec(query.order_by(col(Event.at).desc(), col(Event.id).desc()).limit(1)).first()


def rates(session: Session, account_id: str, keys: Collection[str]) -> Sequence[Rate]:
    """Return all rates of these hardware keys, in the order in which they took effect."""
    query = select(Rate).where(Rate.account_id == account_id, col(Rate.hardware_key).in_(keys))
    return session.exec(query.order_by(col(Rate.effective_at), col(Rate.id))).all()
