"""What of a file of rules takes long and needs no transaction: the linter's look at schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from orchestrator.api.rules_file import Read
from orchestrator.api.rules_kinds import CalendarWanted
from orchestrator.api.schemas.schedules import ScheduleBody
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError
from orchestrator.services.linting import findings
from orchestrator.services.rules_as_code import RuleSection
from orchestrator.services.windows import named_days_off, near, united

SCHEDULES, CALENDARS = "schedules", "calendars"


def lint_ahead(context: Context, read: Read, now: datetime) -> None:
    """Lint the schedules that a file changes, so that the transaction finds it done.

    What cannot be read as a schedule is left for the transaction, which says what is wrong.
    """
    with context.database.read() as session:
        changed = _changed(session, read)
        names = [name for body in changed for name in body.calendars]
        named = {**named_days_off(session, names, now), **_made(read, now)}
    for windows in _windows(changed, named):
        findings(windows, now)


def _changed(session: Session, read: Read) -> list[ScheduleBody]:
    """Return the schedules of a file that are not stored as it has them."""
    raw = read.loaded.value.get(SCHEDULES) or {}
    same = set()
    for section in read.sections:
        if isinstance(section, RuleSection) and section.section == SCHEDULES:
            rows = section.kind.rows(session)
            same = {
                one.name for one in rows if section.kind.document(session, one) == raw.get(one.name)
            }
    return [body for name, body in read.wanted.get(SCHEDULES, {}).items() if name not in same]


def _windows(
    bodies: list[ScheduleBody], named: Mapping[str, Mapping[date, str]]
) -> Iterator[Windows]:
    for body in bodies:
        try:
            plain = body.parsed()
        except ServiceError:
            continue
        yield replace(plain, days_off=frozenset(united(named, body.calendars)))


def _made(read: Read, now: datetime) -> dict[str, dict[date, str]]:
    """Return the days off of the calendars that a file changes, as far as schedules look."""
    found: dict[str, dict[date, str]] = {}
    wanted: Mapping[str, Any] = read.wanted.get(CALENDARS, {})
    for name, calendar in wanted.items():
        if isinstance(calendar, CalendarWanted) and calendar.made is not None:
            found[name] = near(calendar.made.dates.names, now)
    return found
