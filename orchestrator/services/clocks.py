"""Doubts about this machine's own clock, from what the store and its database tell."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.clock import Clock, SystemClock
from orchestrator.store import restorations

LIMIT = timedelta(seconds=60)


def doubt(session: Session, clock: Clock) -> str:
    """Return why this machine's clock cannot be right, or an empty text."""
    if session.get_bind().dialect.name == "postgresql":
        return differs(session, clock)  # events are dated by several machines, right or wrong
    return _set_back(session, clock.now())


def skew(told: datetime | None, asked_at: datetime, answered_at: datetime) -> str:
    """Return in which way a cloud tells another time than we do, or an empty text."""
    if told is None:
        return ""
    by = told - answered_at
    # The Date header counts whole seconds, and the answer took a while.
    if abs(by) <= LIMIT + (answered_at - asked_at):
        return ""
    return (
        f"this machine's clock and the cloud's differ by {by.total_seconds():.0f} s; "
        "set the clock right, and it thaws by itself"
    )


def believe(session: Session, now: datetime) -> None:
    """Take the clock as right from now on, although events may bear a time that is to come."""
    newest = restorations.newest_event_instant(session)
    if newest is not None and newest > now:
        restorations.set_believed(session, newest, now)


def _set_back(session: Session, now: datetime) -> str:
    newest = restorations.newest_event_instant(session)
    if newest is None or newest - now <= LIMIT or newest == restorations.believed(session):
        return ""
    return (
        f"this machine's clock is earlier than the newest event, of {newest:%Y-%m-%d %H:%M:%S}Z; "
        "set it right, and it thaws when that instant has passed"
    )


def differs(session: Session, clock: Clock) -> str:
    """Compare with the database's clock, where ours is a real one and the database has another."""
    told = restorations.database_now(session) if isinstance(clock, SystemClock) else None
    by = timedelta(0) if told is None else told - clock.now()
    if abs(by) <= LIMIT:
        return ""
    return (
        f"this machine's clock and the database's differ by {by.total_seconds():.0f} s; "
        "set the clocks right, and it goes on by itself"
    )
