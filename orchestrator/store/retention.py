"""Dropping old rows in small steps, never one that the present still rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, and_, delete, exists, func, or_, text
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from orchestrator.store.operations import ACTIVE
from orchestrator.store.tables import (
    EndpointFacts,
    Event,
    Hold,
    MeterInterval,
    Operation,
    Setting,
    UsageSample,
)
from orchestrator.store.usage import LONGEST_RUN

KEY = "retention"
# Any constant will do, as long as all processes use the same one.
_LOCK_KEY = 0x6F72_6368_6B65


@dataclass(frozen=True, slots=True)
class Step:
    """One look at a stretch of a table: how far it went, what it dropped, whether that was all."""

    after: Any
    dropped: int
    done: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What is old: rows that ended before `before`; keys younger than `keys` may be repeated."""

    before: datetime
    keys: datetime


Dropper = Callable[[Session, Limits, Any, int], Step]


def is_my_turn(session: Session) -> bool:
    """Tell whether no other process does this now; holds until the transaction ends."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    query = text("SELECT pg_try_advisory_xact_lock(:key)").bindparams(key=_LOCK_KEY)
    return bool(session.connection().execute(query).scalar_one())


def drop_events(session: Session, limits: Limits, after: Any, size: int) -> Step:
    """Drop events, but for the newest of each kind of an endpoint, and those of work under way."""
    query = select(col(Event.id), Event.at).where(col(Event.id) > (after or 0))
    rows = session.execute(query.order_by(col(Event.id)).limit(size)).all()
    old = [row[0] for row in rows if row[1] < limits.before]
    newer: Any = aliased(Event)
    # Wrapped, so that SQLite goes by the few events of the endpoint, not by the many of the kind.
    of_endpoint = exists().where(
        newer.endpoint_id == Event.endpoint_id,
        newer.id > Event.id,
        func.coalesce(newer.kind, "") == Event.kind,
    )
    of_others = exists().where(
        newer.kind == Event.kind,
        newer.id > Event.id,
        newer.endpoint_id.is_(None),
        func.coalesce(newer.account_id, "") == func.coalesce(Event.account_id, ""),
    )
    under_way = select(Operation.id).where(col(Operation.status).in_(ACTIVE))
    dropped = _delete(
        session,
        Event,
        col(Event.id).in_(old),
        or_(
            and_(col(Event.endpoint_id).is_not(None), of_endpoint),
            and_(col(Event.endpoint_id).is_(None), of_others),
        ),
        or_(col(Event.operation_id).is_(None), col(Event.operation_id).not_in(under_way)),
    )
    return _step(session, rows, size, dropped, (col(Event.id), col(Event.at) < limits.before))


def drop_operations(session: Session, limits: Limits, after: Any, size: int) -> Step:
    """Drop ended operations, but for the newest of an endpoint and those asked for again maybe."""
    query = select(Operation.id, Operation.created_at).where(Operation.id > (after or ""))
    rows = session.execute(query.order_by(Operation.id).limit(size)).all()
    old = [row[0] for row in rows if row[1] < limits.before]
    newer: Any = aliased(Operation)
    dropped = _delete(
        session,
        Operation,
        col(Operation.id).in_(old),
        col(Operation.finished_at) < limits.before,
        col(Operation.status).not_in(ACTIVE),
        or_(col(Operation.idempotency_key).is_(None), col(Operation.created_at) < limits.keys),
        or_(
            col(Operation.endpoint_id).is_(None),
            exists().where(newer.endpoint_id == Operation.endpoint_id, newer.id > Operation.id),
        ),
    )
    return _step(
        session, rows, size, dropped, (col(Operation.id), col(Operation.created_at) < limits.before)
    )


def drop_intervals(session: Session, limits: Limits, after: Any, size: int) -> Step:
    """Drop closed stretches of the ledger, but for the newest of each component."""
    query = select(col(MeterInterval.id), MeterInterval.started_at)
    query = query.where(col(MeterInterval.id) > (after or 0))
    rows = session.execute(query.order_by(col(MeterInterval.id)).limit(size)).all()
    old = [row[0] for row in rows if row[1] < limits.before]
    newer: Any = aliased(MeterInterval)
    dropped = _delete(
        session,
        MeterInterval,
        col(MeterInterval.id).in_(old),
        col(MeterInterval.ended_at) < limits.before,
        exists().where(
            newer.endpoint_id == MeterInterval.endpoint_id,
            newer.component == MeterInterval.component,
            newer.started_at > MeterInterval.started_at,
        ),
    )
    return _step(
        session,
        rows,
        size,
        dropped,
        (col(MeterInterval.id), col(MeterInterval.started_at) < limits.before),
    )


def drop_usage(session: Session, limits: Limits, after: Any, size: int) -> Step:
    """Drop recorded use, the oldest first; a row of a quiet day goes when all of it is old."""
    del after
    older = col(UsageSample.start) < limits.before - LONGEST_RUN
    query = select(UsageSample.endpoint_id, UsageSample.start).where(older).limit(size)
    keys = [(row[0], row[1]) for row in session.execute(query)]
    for endpoint_id, starts in _grouped(keys).items():
        _delete(
            session,
            UsageSample,
            UsageSample.endpoint_id == endpoint_id,
            col(UsageSample.start).in_(starts),
        )
    return Step(None, len(keys), len(keys) < size)


def drop_facts(session: Session, limits: Limits, after: Any, size: int) -> Step:
    """Drop what was known of endpoints long ago, but what still held when the kept time begins."""
    query = select(col(EndpointFacts.id), EndpointFacts.at)
    query = query.where(col(EndpointFacts.id) > (after or 0))
    rows = session.execute(query.order_by(col(EndpointFacts.id)).limit(size)).all()
    old = [row[0] for row in rows if row[1] < limits.before]
    newer: Any = aliased(EndpointFacts)
    dropped = _delete(
        session,
        EndpointFacts,
        col(EndpointFacts.id).in_(old),
        exists().where(
            newer.endpoint_id == EndpointFacts.endpoint_id,
            newer.id > EndpointFacts.id,
            newer.at <= limits.before,
        ),
    )
    older = (col(EndpointFacts.id), col(EndpointFacts.at) < limits.before)
    return _step(session, rows, size, dropped, older)


def drop_holds(session: Session, limits: Limits, after: Any, size: int) -> Step:
    """Drop holds and leases that are over, but for the newest of each source of an endpoint."""
    query = select(Hold.id).where(Hold.id > (after or "")).order_by(Hold.id).limit(size)
    rows = session.execute(query).all()
    over = func.coalesce(col(Hold.ended_at), col(Hold.noted_at)) < limits.before
    newer: Any = aliased(Hold)
    dropped = _delete(
        session,
        Hold,
        col(Hold.id).in_([row[0] for row in rows]),
        over,
        exists().where(
            newer.endpoint_id == Hold.endpoint_id, newer.source == Hold.source, newer.id > Hold.id
        ),
    )
    return _step(session, rows, size, dropped, (col(Hold.id), over))


def _grouped(keys: Sequence[tuple[str, datetime]]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    for endpoint_id, start in keys:
        found.setdefault(endpoint_id, []).append(start)
    return found


def note_dropped(session: Session, table: str, before: datetime, now: datetime) -> None:
    """Keep before which instant rows of a table have been dropped."""
    row = session.get(Setting, KEY) or Setting(key=KEY, value={}, updated_at=now)
    row.value = {**row.value, table: before.isoformat()}
    row.updated_at = now
    session.add(row)


def dropped_before(session: Session, table: str) -> datetime | None:
    """Return before which instant rows of a table may be missing; None where all are there."""
    row = session.get(Setting, KEY)
    found: Mapping[str, str] = {} if row is None else row.value
    return datetime.fromisoformat(found[table]) if table in found else None


def _delete(session: Session, table: Any, *conditions: Any) -> int:
    statement = delete(table).where(*conditions).execution_options(synchronize_session=False)
    result: CursorResult[Any] = session.connection().execute(statement)
    return int(result.rowcount)


def _step(
    session: Session, rows: Sequence[Any], size: int, dropped: int, older: tuple[Any, Any]
) -> Step:
    """Return how far it went; rows dated ahead are no end, as long as older ones come after."""
    key, is_old = older
    after = rows[-1][0] if rows else None
    done = len(rows) < size
    if not done:
        left = session.execute(select(key).where(key > after, is_old).limit(1))
        done = left.first() is None
    return Step(after, dropped, done)
