"""What a change of a named calendar does to the schedules that use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.calendars import difference
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.services import bindings, windows
from orchestrator.services.calendar_sources import Kind, Source
from orchestrator.store import calendars as rows
from orchestrator.store import schedules
from orchestrator.store.tables import Calendar, Schedule

WEEKS = 52
MOST_DATES = 50


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change means for one schedule in the coming 52 weeks.

    `minutes` is how much longer it is up; `dates` are the days on which it differs. `acts_from` is
    its next edge where it would say otherwise at this instant, and so waits for that.
    """

    schedule: Schedule
    minutes: int
    dates: Sequence[str]
    endpoints: int
    acts_from: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """The effect on a schedule, with the windows that it had until now."""

    effect: Effect
    before: Windows


def source_of(row: Calendar) -> Source:
    """Return the source that a calendar was made from."""
    kind = Kind(row.source)
    names = row.dates if kind is Kind.DATES else {}
    return Source(kind, row.parameters, row.content, names)


def of_change(
    session: Session, row: Calendar, names: Mapping[str, str], now: datetime
) -> list[Change]:
    """Return what other dates do to each schedule that uses a calendar, by name."""
    changes = difference(row.dates, names)
    if not changes.moved:
        return []
    users = rows.users(session, row.name).schedules
    named = windows.named_days_off(session, [one for user in users for one in user.calendars], now)
    other = {date.fromisoformat(day): called for day, called in names.items()}
    found = []
    for schedule in users:
        before = windows.windows_of(schedule, windows.united(named, schedule.calendars))
        off = windows.united({**named, row.name: other}, schedule.calendars)
        effect = _effect(session, schedule, before, windows.windows_of(schedule, off), now)
        found.append(Change(effect, before))
    return found


def follow(session: Session, changes: Sequence[Change], now: datetime) -> None:
    """Bring bindings in line: a schedule that would say otherwise now acts from its next edge."""
    for change in changes:
        bindings.sync_rule(session, change.effect.schedule, now, before=change.before)


def _effect(
    session: Session, schedule: Schedule, before: Windows, after: Windows, now: datetime
) -> Effect:
    today, end = now.date(), now + timedelta(weeks=WEEKS)
    changed = sorted(day for day in before.days_off ^ after.days_off if day >= today)
    old, new = state_at(before, now), state_at(after, now)
    disturbed = (old.inside, old.keep_running) != (new.inside, new.keep_running)
    return Effect(
        schedule,
        minutes=_minutes(after, now, end) - _minutes(before, now, end),
        dates=[day.isoformat() for day in changed[:MOST_DATES]],
        endpoints=len(schedules.bindings_of_rule(session, schedule.id)),
        acts_from=new.next_edge if disturbed and schedule.enabled else None,
    )


def _minutes(schedule: Windows, start: datetime, end: datetime) -> int:
    spans = intervals(schedule, start, end)
    return sum((one.end - one.start for one in spans), timedelta()) // timedelta(minutes=1)
