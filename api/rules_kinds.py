"""How each kind of rule is read from a file of rules and written into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel
from sqlmodel import Session

from orchestrator.api.routers import expiry_policies as expiry_routes
from orchestrator.api.routers import policies as policy_routes
from orchestrator.api.routers import schedules as schedule_routes
from orchestrator.api.schemas.expiry import ExpiryPolicyBody
from orchestrator.api.schemas.rules import PolicyBody
from orchestrator.api.schemas.schedules import ScheduleBody
from orchestrator.api.schemas.windows import date_fields
from orchestrator.api.shelves import Shelf, ShelvedRow
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import DateRule
from orchestrator.domain.schedules.text import parse_date_rule, window_text
from orchestrator.services import calendars as calendar_service
from orchestrator.services.bindings import NEVER
from orchestrator.services.calendar_sources import Kind, Made, Source
from orchestrator.services.context import Context
from orchestrator.services.errors import conflict
from orchestrator.services.requests import Asked
from orchestrator.services.rules_as_code import RuleSection, Saved, Section
from orchestrator.services.rules_yaml import Path
from orchestrator.services.scheduling import Covered, Remark
from orchestrator.services.windows import date_from_json, window_from_json
from orchestrator.store import accounts, calendars, endpoints, schedules
from orchestrator.store.tables import Calendar, Endpoint, IdlePolicy, Json, Schedule

# What a file leaves out of a body: the name is its key, and "apply now" is of one moment.
LEFT_OUT = frozenset({"name", "kind", "apply_now", "confirm"})
ALL = 1_000_000
MOST_NAMED = 10
MOST_REMARKS = 5
Bound = dict[str, datetime | None]
Effect = tuple[Sequence[str], Sequence[Endpoint]]


@dataclass(frozen=True, slots=True)
class CalendarWanted:
    """A calendar as a file has it; `made` is None where its source is the one that is stored."""

    source: Source
    made: Made | None


@dataclass(frozen=True, slots=True)
class Calendars:
    """Named calendars; the form of the source is the key: holidays, icalendar or dates."""

    section: str = "calendars"

    def rows(self, session: Session) -> Sequence[Calendar]:
        """Return all calendars."""
        return calendars.known(session)

    def document(self, session: Session, row: Calendar) -> Json:
        """Return the source of a calendar."""
        del session
        if row.source == Kind.DATES:
            return {row.source: dict(row.dates)}
        given = {key: value for key, value in row.parameters.items() if value not in ([], True)}
        given |= {key: True for key in ("skip_partial",) if row.parameters.get(key)}
        return {row.source: given | ({"text": row.content} if row.content else {})}

    def save(
        self,
        session: Session,
        name: str,
        wanted: CalendarWanted,
        row: Calendar | None,
        asked: Asked,
    ) -> Saved[Calendar]:
        """Save a calendar with the dates that were made for it."""
        if wanted.made is None:
            if row is None or calendar_service.source_of(row) != wanted.source:
                raise conflict("changed_meanwhile", f"{name} was changed meanwhile.")
            return Saved(row)
        draft = calendar_service.Draft(name, wanted.source, wanted.made)
        if row is None:
            return Saved(calendar_service.create(session, draft, asked).calendar)
        found = calendar_service.replace(session, row, draft, asked)
        return Saved(
            row,
            [
                f"the schedule {one.schedule.name} is up {_more(one.minutes)} in a year"
                + (f", first other on {one.dates[0]}" if one.dates else "")
                for one in found.effects
            ],
        )

    def remove(self, session: Session, row: Calendar, asked: Asked) -> Sequence[str]:
        """Remove a calendar that nothing uses."""
        calendar_service.remove(session, row, asked)
        return ()

    def place(self, name: str, where: str) -> Path:
        """Return the place of a field, whose source is named by its kind in a file."""
        return _place(self.section, name, where.removeprefix("source"))


Told = TypeVar("Told")


class RuleRow(ShelvedRow, Protocol):
    """A stored rule with what it binds to."""

    selector: Json


Row = TypeVar("Row", bound=RuleRow)


@dataclass(frozen=True, slots=True)
class ShelfKind(Generic[Row, Told]):
    """Rules that a shelf keeps; `effect` tells what was saved, by what was bound before.

    `texts` are fields that a file has in other words than an answer.
    """

    context: Context
    section: str
    shelf: Shelf[Row, Any, Any, Told, Any]
    body: type[BaseModel]
    effect: Callable[[Bound, Told], Effect]
    texts: Callable[[Row], Json] = lambda _: {}

    def rows(self, session: Session) -> Sequence[Row]:
        """Return all that are not removed."""
        return self.shelf.page(session, None, ALL)

    def document(self, session: Session, row: Row) -> Json:
        """Return one without what is usual."""
        shown = _document(session, row.selector, self.shelf.summary(row), self.body)
        texts = self.texts(row)
        return {key: texts.get(key, value) for key, value in shown.items()}

    def save(
        self, session: Session, name: str, wanted: Any, row: Row | None, asked: Asked
    ) -> Saved[Row]:
        """Save one; it acts as one does that is saved by itself."""
        del name
        before = _bound(session, row)
        told = self.shelf.saved(session, self.context, wanted, row, asked)
        notes, covered = self.effect(before, told)
        return Saved(self.shelf.row(told), notes, _names(covered))

    def remove(self, session: Session, row: Row, asked: Asked) -> Sequence[str]:
        """Remove one."""
        before = _bound(session, row)
        self.shelf.remove(session, row, asked)
        return _ceased(len(before))

    def place(self, name: str, where: str) -> Path:
        """Return the place of a field."""
        return _place(self.section, name, where)


def rule_sections(context: Context) -> list[Section]:
    """Return the sections of rules, in the order in which they need each other."""
    return [
        RuleSection(Calendars()),
        RuleSection(
            ShelfKind(
                context,
                "schedules",
                schedule_routes.SHELF,
                ScheduleBody,
                lambda before, told: _effect(before, told.covered, told.schedule, told.remarks),
                _schedule_texts,
            )
        ),
        RuleSection(
            ShelfKind(
                context,
                "policies",
                policy_routes.SHELF,
                PolicyBody,
                lambda before, told: _effect(
                    before, told.covered, told.policy, told.remarks, told.cannot
                ),
            )
        ),
        RuleSection(
            ShelfKind(
                context,
                "expiry_policies",
                expiry_routes.SHELF,
                ExpiryPolicyBody,
                lambda _, told: ([], told.covered),
            )
        ),
    ]


def _schedule_texts(row: Schedule) -> Json:
    """Return the windows, points and dates of a schedule as people say them."""
    return {
        "windows": [window_text(window_from_json(one)).lower() for one in row.windows],
        "points": [f"{one['action']} {one['expression']}" for one in row.points],
        "dates": [_date_text(date_from_json(one)) or date_fields(one) for one in row.dates],
    }


def _effect(
    before: Bound,
    covered: Sequence[Covered],
    row: Schedule | IdlePolicy,
    remarks: Sequence[Remark] = (),
    cannot: Callable[[Endpoint], bool] = lambda _: False,
) -> Effect:
    notes = _coverage(before, covered, cannot, enabled=row.enabled)
    return [*notes, *_told(remarks)], [one.endpoint for one in covered]


def _document(session: Session, selector: Json, answer: BaseModel, body: type[BaseModel]) -> Json:
    """Return what a body would have to say for a rule, without what it says by itself."""
    told = answer.model_dump(mode="json") | {"selector": _selector(session, selector)}
    document = {}
    for name, info in body.model_fields.items():
        usual = info.get_default(call_default_factory=True)
        if name in told and name not in LEFT_OUT and told[name] != usual:
            document[name] = told[name]
    return document


def _date_text(rule: DateRule) -> str:
    """Return an exception as people write it; empty where that would not say the same."""
    windows = [window_text(one).partition(" ")[2].lower() for one in rule.windows]
    note = f" # {rule.note}" if rule.note else ""
    text = " ".join([f"{rule.day} {rule.kind}", ", ".join(windows)]).rstrip() + note
    try:
        return text if parse_date_rule(text) == rule else ""
    except ScheduleError:
        return ""


def _selector(session: Session, stored: Json) -> Json:
    """Return a selector with names, which mean the same elsewhere; else with ids."""
    shown: Json = {}
    for key in ("account", "endpoint"):
        if stored.get(key):
            shown[key] = _named(session, key, stored[key])
    return shown | ({"labels": stored["labels"]} if stored.get("labels") else {})


def _named(session: Session, key: str, ref: str) -> str:
    row = None if key == "account" else endpoints.get(session, ref)
    account = accounts.get(session, ref if row is None else row.account_id)
    if account is None or (key == "endpoint" and (row is None or row.deleted_at is not None)):
        return ref
    return account.name if row is None else f"{account.name}/{row.name}"


def _bound(session: Session, row: ShelvedRow | None) -> Bound:
    """Return from when a rule acts on each endpoint that it covers; None is since long."""
    if row is None:
        return {}
    held = schedules.bindings_of_rule(session, row.id)
    return {key: binding.acts_from for key, binding in held.items()}


def _coverage(
    before: Bound,
    covered: Iterable[Covered],
    cannot: Callable[[Endpoint], bool],
    *,
    enabled: bool,
) -> list[str]:
    """Say which endpoints a rule begins or ceases to act on, and from when."""
    now = {one.endpoint.id: one for one in covered if one.binding is not None and enabled}
    since = {key: one.binding.acts_from for key, one in now.items() if one.binding is not None}
    new = [key for key in now if key not in before and not cannot(now[key].endpoint)]
    later = [key for key in now if key in before and since[key] not in (None, before[key])]
    notes = []
    if new:
        names = _few(now[key].endpoint.name for key in new)
        notes.append(f"begins to cover {names}; {_when(since[key] for key in new)}")
    if later:
        names = _few(now[key].endpoint.name for key in later)
        notes.append(f"what is new {_when(since[key] for key in later)} on {names}")
    return [*notes, *_ceased(len(set(before) - set(now)))]


def _names(covered: Iterable[Endpoint]) -> list[str]:
    return [f"{one.account_id}/{one.name}" for one in covered]


def _ceased(count: int) -> list[str]:
    return [f"covers {count} endpoint{'' if count == 1 else 's'} no longer"] if count else []


def _when(instants: Iterable[datetime | None]) -> str:
    known = sorted({at for at in instants if at is not None})
    if not known:
        return "acts at once"
    if known[-1] == NEVER:
        return "never acts: it has no next edge"
    last = f" to {known[-1]:%Y-%m-%d %H:%M}" if len(known) > 1 else ""
    return f"acts from {known[0]:%Y-%m-%d %H:%M}{last} UTC"


def _more(minutes: int) -> str:
    return f"{minutes / 60:+g} h" if minutes else "as many hours"


def _told(remarks: Sequence[Remark]) -> list[str]:
    told = [f"note: {one.message}" for one in remarks[:MOST_REMARKS]]
    more = len(remarks) - len(told)
    return [*told, f"note: and {more} more, see the schedule"] if more else told


def _few(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ", ".join(listed[:MOST_NAMED]) + more


def _place(section: str, name: str, where: str) -> Path:
    parts = [int(part) if part.isdigit() else part for part in where.split(".") if part]
    return (section, name, *(part for part in parts if part != "name"))
