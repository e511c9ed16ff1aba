"""Named calendars of days off: reading, saving, removing; schedules follow them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from orchestrator.domain import calendars as rules
from orchestrator.domain.calendars import Changes, Dates
from orchestrator.services import calendar_effects as effects
from orchestrator.services.calendar_effects import Effect
from orchestrator.services.calendar_sources import Made, Source
from orchestrator.services.errors import conflict, invalid, nearest, not_found
from orchestrator.services.requests import Asked
from orchestrator.store import calendars as rows
from orchestrator.store import events
from orchestrator.store.calendars import Users
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Calendar

MOST_NAMED = 20
# Preview and linter look that far ahead; a calendar that ends before is worth a word.
LOOK_AHEAD = timedelta(weeks=56)


@dataclass(frozen=True, slots=True)
class Draft:
    """A calendar as a person wants it, with the dates that were made of its source."""

    name: str
    source: Source
    made: Made


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know before relying on a calendar; `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Described:
    """A calendar with its users, what is odd about it, and what a change of it does."""

    calendar: Calendar
    users: Users
    remarks: Sequence[Remark]
    changes: Changes | None = None
    effects: Sequence[Effect] = ()


def days_off(session: Session, names: Sequence[str], start: date, end: date) -> dict[date, str]:
    """Return the days off from `start` to `end`, both included, with what they are called.

    Several calendars are united, and the first that knows a date names it. A calendar that does
    not exist has no days off.
    """
    by_name = {row.name: row for row in rows.by_names(session, names)}
    found: dict[str, str] = {}
    for name in names:
        if name in by_name:
            found = rules.cut(by_name[name].dates, start, end) | found
    return {date.fromisoformat(day): found[day] for day in sorted(found)}


def use(session: Session, names: Sequence[str]) -> None:
    """Check names as `check_names` does, and keep the calendars until a rule with them is saved."""
    if names:
        rows.keep(session, names)
    check_names(session, names)


def check_names(session: Session, names: Sequence[str], field: str = "calendars") -> None:
    """Raise ServiceError 422 for a calendar that does not exist, naming the nearest that does."""
    if not names:
        return
    known = [row.name for row in rows.known(session)]
    for place, name in enumerate(names):
        if name not in known:
            raise invalid(
                f"{field}.{place}",
                f"There is no calendar {name[:120]!r}.",
                remedy=nearest(name, known)
                if known
                else "There are none: make one with POST /v1/calendars.",
            )


def existing(session: Session, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of some names that are of calendars which exist, in their order."""
    known = {row.name for row in rows.by_names(session, names)} if names else set()
    return tuple(name for name in names if name in known)


def uncovered(session: Session, names: Sequence[str], start: date, end: date) -> list[str]:
    """Return a sentence for each calendar that does not know all dates from `start` to `end`."""
    first, last = start.isoformat(), end.isoformat()
    return [
        f"the calendar {row.name} knows days off from {row.covers_from} to {row.covers_to} only"
        for row in rows.by_names(session, names)
        if row.covers_from > first or row.covers_to < last
    ]


def find(session: Session, ref: str) -> Calendar:
    """Return a calendar by id or name. Raises ServiceError 404."""
    found = rows.get(session, ref) or rows.by_name(session, ref)
    if found is None:
        raise not_found("calendar", ref, "List them with GET /v1/calendars.")
    return found


def source_of(row: Calendar) -> Source:
    """Return the source that a calendar was made from."""
    return effects.source_of(row)


def create(session: Session, draft: Draft, asked: Asked) -> Described:
    """Store a new calendar. Raises ServiceError 409 for a taken name."""
    _check_name(session, draft.name, None)
    row = Calendar(
        id=new_id("cal", asked.now),
        name=draft.name,
        source=draft.source.kind,
        covers_from=draft.made.dates.covers_from,
        covers_to=draft.made.dates.covers_to,
        created_at=asked.now,
        created_by=asked.actor,
        updated_at=asked.now,
        updated_by=asked.actor,
        version=0,
    )
    return _store(session, row, draft, asked)


def replace(session: Session, row: Calendar, draft: Draft, asked: Asked) -> Described:
    """Store a calendar in place of its former version; what is the same changes nothing.

    Raises ServiceError 409 for a taken name, and for another name while rules use it.
    """
    _check_name(session, draft.name, row.id)
    if draft.name != row.name:
        _check_unused(session, row, "renamed")
    if not differs(row, draft):
        return describe(session, row, asked.now)
    return _store(session, row, draft, asked)


def refresh(session: Session, row: Calendar, made: Made, asked: Asked) -> Described:
    """Take the dates that the source gives now, from this day on; the past stays as it was."""
    today = asked.now.date().isoformat()
    kept = {day: name for day, name in row.dates.items() if day < today}
    coming = {day: name for day, name in made.dates.names.items() if day >= today}
    span = (min(row.covers_from, made.dates.covers_from), made.dates.covers_to)
    dates = Dates(kept | coming, *span, made.dates.extends)
    draft = Draft(row.name, source_of(row), Made(dates, made.made_with))
    if not differs(row, draft):
        return describe(session, row, asked.now)
    return _store(session, row, draft, asked)


def remove(session: Session, row: Calendar, asked: Asked) -> None:
    """Remove a calendar that nothing uses. Raises ServiceError 409, naming what uses it."""
    _check_unused(session, row, "removed")
    row.removed_at = asked.now
    _record(session, row, asked, "removed")
    row.name = f"{row.name} ({row.id})"
    session.add(row)


def describe(session: Session, row: Calendar, now: datetime) -> Described:
    """Return a calendar with its users and what is odd about it."""
    users = rows.users(session, row.name)
    return Described(row, users, remarks(row, users, now))


def remarks(row: Calendar, users: Users, now: datetime) -> list[Remark]:
    """Return what a person should know of a calendar."""
    found = [
        Remark("many_days_off", f"{count} days off in {year}: is that meant?")
        for year, count in rules.crowded_years(row.dates).items()
    ]
    if row.covers_to < (now + LOOK_AHEAD).date().isoformat():
        found.append(
            Remark("ends", f"it knows nothing after {row.covers_to}: later days are not off")
        )
    if not users:
        found.append(Remark("unused", "no schedule and no expiry policy uses it"))
    return found


def differs(row: Calendar, draft: Draft) -> bool:
    """Tell whether a draft says anything else than what is stored."""
    dates = draft.made.dates
    stored = (row.name, row.source, row.parameters, row.content, row.dates)
    wanted = (draft.name, draft.source.kind, draft.source.parameters, draft.source.content)
    spans = (row.covers_from, row.covers_to, row.extends)
    return (stored, spans) != (
        (*wanted, dict(dates.names)),
        (dates.covers_from, dates.covers_to, dates.extends),
    )


def _store(session: Session, row: Calendar, draft: Draft, asked: Asked) -> Described:
    dates = draft.made.dates
    changes = rules.difference(row.dates, dates.names)
    found = effects.of_change(session, row, dates.names, asked.now)
    row.name, row.source = draft.name, draft.source.kind
    row.parameters, row.content = draft.source.parameters, draft.source.content
    put_dates(row, dates, draft.made.made_with)
    row.updated_at, row.updated_by = asked.now, asked.actor
    row.version += 1
    session.add(row)
    session.flush()
    effects.follow(session, found, asked.now)
    _record(session, row, asked, "saved", changed_text(changes))
    users = rows.users(session, row.name)
    return Described(
        row, users, remarks(row, users, asked.now), changes, [one.effect for one in found]
    )


def put_dates(row: Calendar, dates: Dates, made_with: str) -> None:
    """Write dates into a row."""
    row.dates = dict(dates.names)
    row.covers_from, row.covers_to = dates.covers_from, dates.covers_to
    row.extends = dates.extends
    row.made_with = row.told_of = made_with


def _check_name(session: Session, name: str, but: str | None) -> None:
    if rows.name_taken(session, name, but):
        raise conflict(
            "name_taken",
            f"A calendar named {name!r} exists.",
            remedy="Choose another name, or change that one.",
            field="name",
        )


def _check_unused(session: Session, row: Calendar, what: str) -> None:
    rows.lock(session, row.id)
    users = rows.users(session, row.name)
    if users:
        named = users.text()
        raise conflict(
            "in_use",
            f"The calendar {row.name} is used by {named}, so it cannot be {what}.",
            remedy="Take it out of these first.",
        )


def changed_text(changes: Changes, most: int = MOST_NAMED) -> str:
    """Return a difference in words: `+ 2026-12-24 Christmas Eve, - 2026-05-01 Labour Day`."""
    marked: list[tuple[str, str, Mapping[str, str]]] = [
        (day, sign, names)
        for sign, names in (("+", changes.added), ("-", changes.removed), ("~", changes.renamed))
        for day in names
    ]
    told = [f"{sign} {day} {names[day]}" for day, sign, names in sorted(marked)[:most]]
    more = f", and {len(marked) - most} more" if len(marked) > most else ""
    return ", ".join(told) + more


def _record(session: Session, row: Calendar, asked: Asked, what: str, dates: str = "") -> None:
    events.record(
        session,
        at=asked.now,
        kind=f"calendar.{what}",
        actor=asked.actor,
        message=f"the calendar {row.name} was {what}, version {row.version}, by {asked.actor}",
        data={"calendar": row.id, "version": row.version, "dates": dates},
    )
