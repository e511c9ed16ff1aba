"""Calendars in the course of time: later years are added, and what a library changed is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import structlog

from orchestrator.domain.calendars import Dates, cut, difference
from orchestrator.services import calendar_effects as effects
from orchestrator.services import calendar_sources as sources
from orchestrator.services.calendar_sources import Kind, Made
from orchestrator.services.calendars import changed_text
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError
from orchestrator.store import calendars as rows
from orchestrator.store import events
from orchestrator.store.database import Database
from orchestrator.store.tables import Calendar

log = structlog.get_logger(__name__)

ENGINE = "engine"
# Years that a calendar knows ahead, at least; it is extended once it knows fewer.
LEAST_AHEAD = sources.YEARS_AHEAD - 1


def tend(context: Context) -> None:
    """Extend the calendars that grow by themselves, and tell where a library says otherwise now.

    Dates that are stored are never changed here: later years are added beyond what was covered.
    """
    now = context.clock.now()
    with context.database.read() as session:
        due = [row for row in rows.known(session) if _is_due(row, now.date())]
    for row in due:
        made = _made(row, now.date())
        if made is not None:
            _tend(context.database, row, made, now)


def _is_due(row: Calendar, today: date) -> bool:
    grown = row.extends and int(row.covers_to[:4]) < today.year + LEAST_AHEAD
    other = row.source == Kind.HOLIDAYS and row.told_of != sources.LIBRARY
    return grown or other


def _made(row: Calendar, today: date) -> Made | None:
    try:
        return sources.make(effects.source_of(row), today)
    except (ServiceError, NotImplementedError, ValueError) as error:
        # A newer library may not know a subdivision any more; what is stored stays in force.
        log.warning("a calendar could not be made anew", calendar=row.name, reason=str(error))
        return None


def _tend(database: Database, seen: Calendar, made: Made, now: datetime) -> None:
    with database.write() as session:
        row = session.get_one(Calendar, seen.id, with_for_update=True)
        if row.removed_at is not None or row.version != seen.version:
            return
        told = [*_extend(row, made.dates), *_compare(row, made, now.date())]
        session.add(row)
        for kind, message, dates in told:
            events.record(
                session,
                at=now,
                kind=kind,
                actor=ENGINE,
                message=message,
                data={"calendar": row.id, "version": row.version, "dates": dates},
            )


def _extend(row: Calendar, dates: Dates) -> Sequence[tuple[str, str, str]]:
    if not row.extends or dates.covers_to <= row.covers_to:
        return []
    later = {day: name for day, name in dates.names.items() if day > row.covers_to}
    before, row.covers_to = row.covers_to, dates.covers_to
    row.dates = {**row.dates, **later}
    row.version += 1
    message = f"the calendar {row.name} was extended from {before} to {row.covers_to}"
    return [("calendar.extended", message, changed_text(difference({}, later)))]


def _compare(row: Calendar, made: Made, today: date) -> Sequence[tuple[str, str, str]]:
    """Tell once for each version of a library what it would change of the days to come."""
    if not made.made_with or row.told_of == made.made_with:
        return []
    row.told_of = made.made_with
    last = date.fromisoformat(min(row.covers_to, made.dates.covers_to))
    changes = difference(cut(row.dates, today, last), cut(made.dates.names, today, last))
    if not changes.moved:
        return []
    text = changed_text(changes)
    message = (
        f"{made.made_with} has other dates than the calendar {row.name}, which keeps those of "
        f"{row.made_with}: {text}; take them with `orchestrator calendars refresh {row.name}`"
    )
    return [("calendar.differs", message, text)]
