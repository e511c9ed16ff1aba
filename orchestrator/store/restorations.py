"""Times at which the store was found to be an older one, and how the store is known by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from orchestrator.domain.status import Wish
from orchestrator.store import columns
from orchestrator.store.ids import new_id
from orchestrator.store.operations import ACTIVE
from orchestrator.store.tables import (
    Account,
    Endpoint,
    Event,
    Hold,
    Operation,
    Restoration,
    Setting,
)

NAME_KEY = "store"
BACKUP_KEY = "backup"
CLOCK_KEY = "clock"
_NEWEST_EVENT = select(func.max(Event.at))


def name_of(session: Session) -> str:
    """Return the name of the store; empty where it was given none yet."""
    row = session.get(Setting, NAME_KEY)
    return "" if row is None else str(row.value["id"])


def ensure_name(session: Session, now: datetime) -> str:
    """Return the name of the store, which its copies share; the first that comes gives it one."""
    found = name_of(session)
    if found:
        return found
    insert = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert
    named = {"key": NAME_KEY, "value": {"id": new_id("store", now)}, "updated_at": now}
    session.connection().execute(insert(Setting).values(named).on_conflict_do_nothing())
    return name_of(session)


def note_backup(session: Session, at: datetime, rows: int) -> None:
    """Keep when the last backup was taken."""
    session.merge(
        Setting(key=BACKUP_KEY, value={"at": at.isoformat(), "rows": rows}, updated_at=at)
    )


def last_backup(session: Session) -> datetime | None:
    """Return when the last backup of this store was taken."""
    row = session.get(Setting, BACKUP_KEY)
    return None if row is None else datetime.fromisoformat(row.value["at"])


def newest_event(session: Session) -> int:
    """Return the number of the newest event; 0 where there is none."""
    return session.exec(select(func.max(Event.id))).one() or 0


def newest_event_instant(session: Session) -> datetime | None:
    """Return the latest time that an event bears."""
    found: datetime | None = columns.read(session, _NEWEST_EVENT).scalar_one()
    return found


def database_now(session: Session) -> datetime | None:
    """Return the time of the database's own clock; None where it has none but ours."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    found: datetime = session.connection().execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)


def set_believed(session: Session, instant: datetime, now: datetime) -> None:
    """Keep that events of up to an instant say nothing of this machine's clock."""
    session.merge(Setting(key=CLOCK_KEY, value={"until": instant.isoformat()}, updated_at=now))


def believed(session: Session) -> datetime | None:
    """Return up to which instant events say nothing of this machine's clock."""
    row = session.get(Setting, CLOCK_KEY)
    return None if row is None else datetime.fromisoformat(row.value["until"])


def newest_instant(session: Session) -> datetime | None:
    """Return the latest instant that this store knows of: of its events and its looks."""
    told = newest_event_instant(session)
    seen = session.exec(select(func.max(Account.observed_at))).one()
    return max((one for one in (told, seen) if one is not None), default=None)


def whole(session: Session) -> Sequence[Restoration]:
    """Return the restorations of the whole store, oldest first."""
    query = select(Restoration).where(col(Restoration.account_id).is_(None))
    return session.exec(query.order_by(col(Restoration.found_at), col(Restoration.id))).all()


def newest(session: Session, limit: int) -> Sequence[Restoration]:
    """Return restorations, newest first."""
    query = select(Restoration).order_by(col(Restoration.found_at).desc(), col(Restoration.id))
    return session.exec(query.limit(limit)).all()


def open_of(session: Session, account_id: str | None) -> Sequence[Restoration]:
    """Return the restorations, of the whole store or of one account, that nobody has ended yet."""
    query = select(Restoration).where(
        Restoration.account_id == account_id, col(Restoration.thawed_at).is_(None)
    )
    return session.exec(query).all()


def ask_again(session: Session) -> None:
    """Let the next look at every account ask what was paused by deletion."""
    session.execute(update(Account).values(recovered_at=None))


def active_before(
    session: Session, account_id: str | None, at: datetime | None
) -> Sequence[Operation]:
    """Return the operations under way that were asked for before an instant."""
    query = select(Operation).where(col(Operation.status).in_(ACTIVE))
    if account_id is not None:
        query = query.where(Operation.account_id == account_id)
    if at is not None:
        query = query.where(Operation.created_at <= at)
    return session.exec(query.order_by(col(Operation.id))).all()


def to_be_deleted(session: Session, account_id: str | None) -> Sequence[Endpoint]:
    """Return the live endpoints whose deletion waits for the end of its grace."""
    query = select(Endpoint).where(
        col(Endpoint.delete_after).is_not(None), col(Endpoint.deleted_at).is_(None)
    )
    if account_id is not None:
        query = query.where(Endpoint.account_id == account_id)
    return session.exec(query.order_by(col(Endpoint.name))).all()


def meant_deleted(session: Session, account_id: str | None) -> Sequence[Endpoint]:
    """Return the live endpoints that somebody wants deleted at once."""
    query = select(Endpoint).where(
        Endpoint.wish == Wish.DELETED, col(Endpoint.deleted_at).is_(None)
    )
    if account_id is not None:
        query = query.where(Endpoint.account_id == account_id)
    return session.exec(query.order_by(col(Endpoint.name))).all()


def touched_since(
    session: Session, account_id: str | None, since: datetime, until: datetime, limit: int
) -> Sequence[Endpoint]:
    """Return the endpoints that came, went, or were changed in their cloud within a span."""
    columns = (Endpoint.cloud_updated_at, Endpoint.first_seen_at, Endpoint.deleted_at)
    within = [col(column).between(since, until) for column in columns]
    query = select(Endpoint).where(within[0] | within[1] | within[2])
    if account_id is not None:
        query = query.where(Endpoint.account_id == account_id)
    return session.exec(
        query.order_by(col(Endpoint.account_id), col(Endpoint.name)).limit(limit)
    ).all()


def explained(session: Session, account_id: str, name: str, since: datetime) -> bool:
    """Tell whether an operation of ours may have changed an endpoint after an instant."""
    query = select(Operation.id).where(
        Operation.account_id == account_id,
        Operation.endpoint_name == name,
        Operation.attempts > 0,
        col(Operation.finished_at).is_(None) | (col(Operation.finished_at) >= since),
    )
    return session.exec(query.limit(1)).first() is not None


def used_by_others(session: Session, account_id: str, identity: str) -> bool:
    """Tell whether people act under our identity too: it made or changed what we never did."""
    ours = select(Operation.endpoint_id).where(
        Operation.account_id == account_id,
        Operation.attempts > 0,
        col(Operation.endpoint_id).is_not(None),
    )
    made = ours.where(Operation.kind == "create")
    query = select(Endpoint.id).where(
        Endpoint.account_id == account_id,
        ((col(Endpoint.cloud_created_by) == identity) & col(Endpoint.id).not_in(made))
        | ((col(Endpoint.cloud_updated_by) == identity) & col(Endpoint.id).not_in(ours)),
    )
    clicked = select(Hold.id).join(Endpoint, col(Endpoint.id) == col(Hold.endpoint_id))
    clicked = clicked.where(Endpoint.account_id == account_id, Hold.actor == f"cloud:{identity}")
    return any(session.exec(one.limit(1)).first() is not None for one in (query, clicked))
