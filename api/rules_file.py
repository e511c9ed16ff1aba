"""A file of rules as text: read, checked field by field, and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from sqlmodel import Session

from orchestrator.api.problems import FORM
from orchestrator.api.rules_kinds import (
    LEFT_OUT,
    CalendarWanted,
    rule_sections,
)
from orchestrator.api.schemas.base import NAME_WORDS, Body, Labels, Name
from orchestrator.api.schemas.calendars import DatesSource, HolidaySource, IcalendarSource
from orchestrator.api.schemas.endpoint_bodies import CreateBody, Owner, PatchBody
from orchestrator.api.schemas.expiry import ExpiryPolicyBody
from orchestrator.api.schemas.rules import PolicyBody
from orchestrator.api.schemas.schedules import ScheduleBody
from orchestrator.api.schemas.texts import message_of
from orchestrator.services import calendar_effects, calendar_sources, rules_endpoints
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError, nearest
from orchestrator.services.rules_as_code import (
    DEFAULT_SET,
    RuleSection,
    Section,
)
from orchestrator.services.rules_endpoints import EndpointSection, Wanted
from orchestrator.services.rules_problems import Problem, problem_of, refused
from orchestrator.services.rules_specs import packed
from orchestrator.services.rules_yaml import Loaded, Path, YamlError, dump, load
from orchestrator.services.tokens import Caller
from orchestrator.store import accounts, calendars, endpoints
from orchestrator.store.tables import Json

VERSION = 1
MAPPING = "must be names with values, such as `name: …`"
SECTIONS = ("calendars", "endpoints", "schedules", "policies", "expiry_policies")
RULES = tuple(section for section in SECTIONS if section != "endpoints")
MOST_RULES, MOST_ENDPOINTS = 500, 1000
BODIES: Mapping[str, type[Body]] = {
    "schedules": ScheduleBody,
    "policies": PolicyBody,
    "expiry_policies": ExpiryPolicyBody,
}
_HEAD = """\
# Rules of an Endpoint Orchestrator: calendars, schedules, idle and expiry policies, endpoints.
# What a change of this file would do: orchestrator apply FILE --dry-run
# Values of secrets are not written here; a reference such as env:NAME says where they are.
"""
_NAME: TypeAdapter[str] = TypeAdapter(Name)


class CalendarEntry(Body):
    """A calendar: one of three sources."""

    holidays: HolidaySource | None = None
    icalendar: IcalendarSource | None = None
    dates: Annotated[dict[str, str], Field(max_length=4000)] | None = None

    def value(self) -> calendar_sources.Source:
        """Return the source. Raises ServiceError 422."""
        source = self.holidays or self.icalendar or DatesSource(dates=self.dates or {})
        return source.value()


class EndpointEntry(Body):
    """An endpoint: what is left out stays as it is."""

    labels: Labels | None = None
    owner: Owner | None = None
    protected: bool | None = None
    spec: Json | None = None


@dataclass(slots=True)
class Read:
    """A file that was read and checked, ready to be applied; what is wrong is not `wanted`."""

    loaded: Loaded
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    owner: str = DEFAULT_SET
    sections: list[Section] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read(context: Context, caller: Caller, text: str) -> Read:
    """Read and check a file; slow, so not in a transaction.

    What is wrong is kept, to be told with what only the transaction finds. Raises ServiceError
    422 where it is no such file, 403 for a reference to a secret.
    """
    reader = _Reader(_loaded(text))
    found = reader.read()
    _prepare_calendars(context, reader, found.wanted.get("calendars", {}))
    given = found.wanted.get("endpoints", {})
    checked, refusals = rules_endpoints.prepare(context, caller, given)
    found.problems = [*reader.problems, *refusals]
    for path in (one.path for one in found.problems if len(one.path) > 1):
        found.wanted.get(str(path[0]), {}).pop(str(path[1]), None)
    first, *others = rule_sections(context)
    found.sections = [first, EndpointSection(context, checked), *others]
    return found


def write(context: Context, session: Session) -> str:
    """Return the rules and endpoints that are, as a file."""
    document: Json = {"version": VERSION}
    for section in rule_sections(context):
        if isinstance(section, RuleSection):
            kind = section.kind
            rows = sorted(kind.rows(session), key=lambda row: row.name)
            written = {row.name: kind.document(session, row) for row in rows}
            document |= {section.section: written} if written else {}
    told, hidden = _endpoints(session)
    document |= {"endpoints": told} if told else {}
    notes = "".join(
        f"# Not written, as its values are kept nowhere or secret: {one}\n" for one in hidden
    )
    return f"{_HEAD}{notes}\n{dump(document)}"


def _endpoints(session: Session) -> tuple[Json, list[str]]:
    rows = endpoints.all_live(session)
    places = accounts.by_ids(session, {row.account_id for row in rows})
    names = {row.id: f"{places[row.account_id].name}/{row.name}" for row in rows}
    documents = rules_endpoints.documents(session, rows)
    told = {names[key]: _sayable(documents[key]) for key in sorted(names, key=names.__getitem__)}
    hidden = rules_endpoints.hides_values(session, [row for row in rows if row.managed])
    return (
        {name: one for name, one in told.items() if one},
        sorted(f"environment, secrets or command line of {names[one]}" for one in hidden),
    )


def _sayable(document: Json) -> Json:
    """Return an endpoint without what its cloud tells of it and no request can ask for."""
    spec = document.get("spec") or {}
    try:
        PatchBody.model_validate({key: one for key, one in spec.items() if key != "framework"})
    except ValidationError as error:
        unsaid = {item["loc"][0] for item in error.errors()}
        spec = {key: one for key, one in spec.items() if key not in unsaid}
    rest = {key: one for key, one in document.items() if key != "spec"}
    return {**rest, "spec": spec} if spec else rest


def _loaded(text: str) -> Loaded:
    try:
        return load(text)
    except YamlError as error:
        loaded = Loaded(lines={error.path: error.line})
        raise refused([Problem(error.path, str(error))], loaded) from error


class _Reader:
    """Checks a loaded document part by part, and keeps what is wrong with each."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.problems: list[Problem] = []

    def end(self) -> None:
        """Raise ServiceError 422 where anything is wrong."""
        if self.problems:
            raise refused(self.problems, self.loaded)

    def read(self) -> Read:
        """Return what the document wants, by section and name. Raises ServiceError 422."""
        found = Read(self.loaded)
        top = self._mapping((), self.loaded.value)
        if top.get("version") != VERSION:
            self._add(("version",), f"a file begins with `version: {VERSION}`")
        for name in top:
            if name not in ("version", "set", *SECTIONS):
                self._add((name,), f"is no section. {nearest(name, SECTIONS)}")
        found.owner = top.get("set") or DEFAULT_SET
        self._is_named(("set",), found.owner)
        for section in SECTIONS:
            # A section without anything is none, so that pruning does not take all of it.
            if top.get(section) is not None:
                entries = self._mapping((section,), top[section])
                read = {name: self._entry(section, name, entries[name]) for name in entries}
                if isinstance(top[section], dict):
                    given = {key: one for key, one in read.items() if one is not None}
                    found.wanted[section] = given
        self._check_length(found)
        if any(one.path in ((), ("version",)) for one in self.problems):
            self.end()
        return found

    def _check_length(self, found: Read) -> None:
        """One transaction makes all of it, in which nothing else is written."""
        rules = sum(len(found.wanted.get(section, {})) for section in RULES)
        for what, count, most in (
            ("rules", rules, MOST_RULES),
            ("endpoints", len(found.wanted.get("endpoints", {})), MOST_ENDPOINTS),
        ):
            if count > most:
                self._add(
                    (),
                    f"has {count:,} {what}, and a file may have {most:,} at most. Split it into "
                    "several, each with a `set` of its own.",
                )

    def _entry(self, section: str, name: str, given: Any) -> Any:
        at: Path = (section, name)
        if not isinstance(given, dict) and given is not None:
            self._add(at, MAPPING)
            return None
        entry: Json = given or {}
        if section == "endpoints":
            return self.tried(at, lambda: self._endpoint(name, entry))
        if not self._is_named(at, name):
            return None
        if section == "calendars":
            return self.tried(at, lambda: _calendar(entry))
        for key in LEFT_OUT & set(entry):
            self._add((*at, key), "is not written in a file")
        return self.tried(at, lambda: BODIES[section].model_validate({**entry, "name": name}))

    def tried(self, at: Path, work: Callable[[], Any]) -> Any:
        """Return what a part says, or None with its problems kept."""
        found = len(self.problems)
        try:
            done = work()
        except ValidationError as error:
            self.problems += [_problem(at, item) for item in error.errors()]
        except ServiceError as error:
            parts = (error.field or "").split(".")
            self.problems.append(problem_of(error, lambda _: (*at, *(p for p in parts if p))))
        return done if len(self.problems) == found else None

    def _endpoint(self, name: str, entry: Json) -> Wanted | None:
        account, slash, own = name.partition("/")
        if not (account and slash and own):
            self._add(("endpoints", name), "name it as account-name/endpoint-name")
            return None
        body = EndpointEntry.model_validate(entry)
        spec = dict(body.spec or {})
        at: Path = ("endpoints", name, "spec")
        for key in ("labels", "owner", "protected", "reason", "account", "name"):
            if key in spec:
                self._add((*at, key), "is no part of a spec")
                del spec[key]
        ours = Wanted(body.labels, body.owner, body.protected)
        change = {key: value for key, value in spec.items() if key != "framework"}
        patch = self.tried(at, lambda: PatchBody.model_validate(change))
        asked = None if patch is None else patch.change()
        scaling = spec.get("scaling")
        keeps = isinstance(scaling, dict) and "scale_to_zero_minutes" not in scaling
        wanted = replace(ours, change=asked or rules_endpoints.NOTHING, keeps_timer=keeps)
        self.tried(("endpoints", name), lambda: packed(wanted.change))
        if patch is None or not {"repository", "hardware", "scaling"} <= set(spec):
            return wanted
        whole = self.tried(
            at, lambda: CreateBody.model_validate({**spec, "account": account, "name": own})
        )
        return wanted if whole is None else replace(wanted, whole=whole.spec())

    def _is_named(self, at: Path, name: Any) -> bool:
        try:
            _NAME.validate_python(name)
        except ValidationError:
            self._add(at, f"is no name. {NAME_WORDS}")
            return False
        return True

    def _mapping(self, at: Path, value: Any) -> Json:
        if isinstance(value, dict):
            return value
        if value is not None or not at:
            self._add(at, MAPPING)
        return {}

    def _add(self, at: Path, message: str) -> None:
        self.problems.append(Problem(at, message))


def _calendar(entry: Json) -> calendar_sources.Source:
    body = CalendarEntry.model_validate(entry)
    given = [name for name in CalendarEntry.model_fields if getattr(body, name) is not None]
    if len(given) != 1:
        raise ServiceError(
            "invalid", 422, "Not valid", "Give one of holidays, icalendar and dates."
        )
    try:
        return body.value()
    except ServiceError as error:
        own = (error.field or "").removeprefix("source").removeprefix(".")
        error.field = given[0] if given[0] == own else f"{given[0]}.{own}".rstrip(".")
        raise


def _prepare_calendars(context: Context, reader: _Reader, wanted: dict[str, Any]) -> None:
    """Make the dates of calendars whose source is not the one that is stored."""
    today = context.clock.now().date()
    with context.database.read() as session:
        stored = {row.name: calendar_effects.source_of(row) for row in calendars.known(session)}
    for name, source in list(wanted.items()):
        made = None
        if stored.get(name) != source:
            at: Path = ("calendars", name)
            made = reader.tried(at, partial(_made, source, today))
        wanted[name] = CalendarWanted(source, made)


def _made(source: calendar_sources.Source, today: date) -> calendar_sources.Made:
    try:
        return calendar_sources.make(source, today)
    except ServiceError as error:
        error.field = (error.field or "").replace("source", source.kind, 1)
        raise


def _problem(at: Path, item: Mapping[str, Any]) -> Problem:
    """Return one finding of a body without the value that was refused: it may be a secret."""
    where = [part for part in item["loc"] if not str(part).startswith(FORM) and part != "name"]
    named = item.get("ctx", {}).get("field")
    if named is not None:
        where.append(str(named))
    return Problem((*at, *where), message_of(item))
