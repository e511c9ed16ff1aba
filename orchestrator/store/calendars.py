"""Named calendars, and what uses them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Calendar, ExpiryPolicy, Schedule


@dataclass(frozen=True, slots=True)
class Users:
    """Rules that name a calendar, each kind by name."""

    schedules: Sequence[Schedule] = ()
    expiry_policies: Sequence[ExpiryPolicy] = ()

    def __bool__(self) -> bool:
        """Tell whether anything uses it."""
        return bool(self.schedules or self.expiry_policies)

    def text(self, most: int = 5) -> str:
        """Return them in words, a few by name."""
        told = [f"the schedule {row.name}" for row in self.schedules]
        told += [f"the expiry policy {row.name}" for row in self.expiry_policies]
        more = f" and {len(told) - most} more" if len(told) > most else ""
        return ", ".join(told[:most]) + more


def users(session: Session, name: str) -> Users:
    """Return the rules that name a calendar and were not removed."""
    by_schedules = select(Schedule).where(col(Schedule.removed_at).is_(None))
    by_policies = select(ExpiryPolicy).where(col(ExpiryPolicy.removed_at).is_(None))
    schedules = session.exec(by_schedules.order_by(col(Schedule.name)))
    policies = session.exec(by_policies.order_by(col(ExpiryPolicy.name)))
    return Users(
        [row for row in schedules if name in row.calendars],
        [row for row in policies if name in row.calendars],
    )


def get(session: Session, calendar_id: str) -> Calendar | None:
    """Return a calendar that was not removed, by id."""
    calendar = session.get(Calendar, calendar_id)
    return None if calendar is None or calendar.removed_at is not None else calendar


def by_name(session: Session, name: str) -> Calendar | None:
    """Return a calendar that was not removed, by name."""
    query = select(Calendar).where(Calendar.name == name, col(Calendar.removed_at).is_(None))
    return session.exec(query).first()


def by_names(session: Session, names: Collection[str]) -> Sequence[Calendar]:
    """Return the calendars of these names that were not removed, by name."""
    if not names:
        return []
    query = select(Calendar).where(
        col(Calendar.name).in_(names), col(Calendar.removed_at).is_(None)
    )
    return session.exec(query.order_by(col(Calendar.name))).all()


def keep(session: Session, names: Collection[str]) -> None:
    """Let no one remove or rename these calendars until the transaction ends."""
    query = select(Calendar.id).where(col(Calendar.name).in_(sorted(names)))
    session.exec(query.order_by(col(Calendar.id)).with_for_update(read=True)).all()


def lock(session: Session, calendar_id: str) -> None:
    """Wait for rules being saved that use a calendar, and let no other begin to."""
    session.exec(select(Calendar.id).where(Calendar.id == calendar_id).with_for_update()).all()


def name_taken(session: Session, name: str, but: str | None = None) -> bool:
    """Tell whether a calendar other than `but` bears the name."""
    query = select(Calendar.id).where(Calendar.name == name, Calendar.id != (but or ""))
    return session.exec(query).first() is not None


def known(session: Session) -> Sequence[Calendar]:
    """Return all calendars that were not removed, by name."""
    query = select(Calendar).where(col(Calendar.removed_at).is_(None))
    return session.exec(query.order_by(col(Calendar.name))).all()


def page(session: Session, after: Position | None, limit: int) -> Sequence[Calendar]:
    """Return up to `limit` calendars in the order of name and id."""
    keys = (Key(col(Calendar.name)), Key(col(Calendar.id)))
    query = select(Calendar).where(col(Calendar.removed_at).is_(None))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()
