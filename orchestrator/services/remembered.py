"""What was known of an endpoint when it was decided, as it is kept, and made whole again.

Kept are the columns that a decision looks at, holds, bindings and rules, each rule by revision.
Use is kept apart (`usage_sample`), time is not kept: made whole, the rules are asked anew.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar

from sqlmodel import Session, SQLModel

from orchestrator.domain.idle import Activity
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.startup import StartUps
from orchestrator.services.edges import Shelf
from orchestrator.services.rulebook import Rulebook
from orchestrator.services.schedule_book import ScheduleBook
from orchestrator.services.starting import MOST_STARTS, load_startups, no_starts, starts_early
from orchestrator.services.windows import windows_of
from orchestrator.store import history
from orchestrator.store import startups as startup_rows
from orchestrator.store.history import Key
from orchestrator.store.holds import LEASE
from orchestrator.store.observation import ManagedRow
from orchestrator.store.startups import Row
from orchestrator.store.tables import (
    Account,
    Binding,
    Endpoint,
    EndpointFacts,
    Hold,
    IdlePolicy,
    Json,
    RuleRevision,
    Schedule,
)

SCHEDULE, IDLE = "schedule", "idle"
# Columns that a decision looks at and that change seldom, in the order in which they are kept.
KEPT = (
    *("name", "status", "status_since", "protected", "observe_only", "hardware_key"),
    *("ready_at", "resumed_at", "managed_since", "wish", "wish_reason", "wish_actor", "wish_at"),
    *("asleep_rule", "asleep_since", "stop", "to_zero", "allow_recreate"),
    *("delete_after", "tombstone", "held_awake", "expires_at", "expiry"),
    *("min_replicas", "scale_to_zero_minutes"),
)
_HOLD = ("id", "wish", "starts_at", "until", "actor", "source", "reason")
_COLUMNS = tuple(one.name for one in fields(ManagedRow))
_NOT_OF_THE_RULE = frozenset({"applied_now"})
Table = TypeVar("Table", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was known of an endpoint from `at` on, as `decide` is given it.

    `drafted` are schedules that were not there then, of which no cron point left a hold.
    """

    at: datetime
    row: ManagedRow
    book: Rulebook
    drafted: ScheduleBook | None = None
    managed: bool = True


@dataclass(slots=True)
class Library:
    """Revisions of rules and start-up times that were read; to be shared by many endpoints."""

    schedules: dict[Key, Schedule] = field(default_factory=dict)
    windows: dict[Key, Windows] = field(default_factory=dict)
    policies: dict[Key, IdlePolicy] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    _resumes: dict[tuple[str, datetime, datetime], Sequence[Row]] = field(default_factory=dict)
    _startups: dict[tuple[str, datetime, bool], StartUps] = field(default_factory=dict)

    def fetch(self, session: Session, keys: Collection[Key]) -> None:
        """Read the revisions that are not known yet."""
        missing = [key for key in keys if key not in self.schedules and key not in self.policies]
        for key, row in (history.revisions(session, missing) if missing else {}).items():
            if row.kind == SCHEDULE:
                schedule = self.schedules[key] = made(Schedule, row.body)
                self.windows[key] = windows_of(schedule, _days_off(row))
            elif row.kind == IDLE:
                self.policies[key] = made(IdlePolicy, row.body)

    def any_shadow(self, session: Session, facts: Sequence[EndpointFacts]) -> bool:
        """Tell whether a rule in shadow is among those that facts name."""
        keys = {key for one in facts for key in keys_of(one.body)}
        self.fetch(session, keys)
        rules = [self.schedules.get(key) or self.policies.get(key) for key in keys]
        return any(rule is not None and rule.shadow for rule in rules)

    def resumes(
        self, session: Session, provider: str, since: datetime, until: datetime
    ) -> Sequence[Row]:
        """Return the youngest resumes that had gone well by `until` at a kind of cloud."""
        key = (provider, since, until)
        if key not in self._resumes:
            self._resumes[key] = startup_rows.resumes(session, provider, since, until, MOST_STARTS)
        return self._resumes[key]

    def startups(
        self, session: Session, account_id: str, now: datetime, *, early: bool
    ) -> StartUps:
        """Return how long starts of an account took, read only where a window starts early."""
        key = (account_id, now, early)
        if key not in self._startups:
            account = session.get_one(Account, account_id)
            measured = load_startups(session, account, now) if early else no_starts(account)
            self._startups[key] = measured
        return self._startups[key]


def rule_body(row: Schedule | IdlePolicy, days_off: frozenset[date] = frozenset()) -> Json:
    """Return a rule as a revision keeps it, with the days off of its calendars."""
    body = row.model_dump(mode="json", exclude=set(_NOT_OF_THE_RULE))
    if isinstance(row, Schedule):
        body["days_off"] = [day.isoformat() for day in sorted(days_off)]
    return body


def facts_body(row: ManagedRow, book: Rulebook, revision: Mapping[str, str]) -> Json:
    """Return what is known of an endpoint, as it is kept; `revision` is the digest of each rule."""
    bound = [one for one in book.bound.get(row.id, ()) if one.rule_id in revision]
    return {
        "row": {name: _plain(getattr(row, name)) for name in KEPT},
        "frozen": book.frozen,
        "held_back": book.held_back.get(row.id, ""),
        "leased": _plain(book.leased.get(row.id)),
        "holds": [
            {name: _plain(getattr(hold, name)) for name in _HOLD}
            for hold in book.holds.get(row.id, ())
        ],
        "rules": [
            {
                "rule_id": one.rule_id,
                "kind": one.rule_kind,
                "matched_at": _plain(one.matched_at),
                "acts_from": _plain(one.acts_from),
                "revision": revision[one.rule_id],
            }
            for one in bound
        ],
    }


def digest_of_facts(body: Json) -> str:
    """Return what tells facts apart; a lease that is renewed tells nothing new."""
    holds = [{**hold, "until": None} if hold["source"] == LEASE else hold for hold in body["holds"]]
    ordered = {
        **body,
        "holds": sorted(holds, key=lambda one: str(one["id"])),
        "rules": sorted(body["rules"], key=lambda one: str(one["rule_id"])),
    }
    return digest_of(ordered)


def digest_of(body: Json) -> str:
    """Return a short digest of a JSON value."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def recall(session: Session, endpoint: Endpoint, at: datetime) -> Remembered | None:
    """Return what was known of an endpoint at an instant, None where nothing is kept of then."""
    found = history.facts_at(session, endpoint.id, at)
    return None if found is None else recall_all(session, endpoint, [found], at)[0]


def recall_between(
    session: Session,
    endpoint: Endpoint,
    start: datetime,
    end: datetime,
    library: Library | None = None,
) -> list[Remembered]:
    """Return what was known in `[start, end)`, oldest first; the first may begin before it."""
    found = history.facts_between(session, endpoint.id, start, end)
    return recall_all(session, endpoint, found, end, library)


def recall_all(
    session: Session,
    endpoint: Endpoint,
    found: Sequence[EndpointFacts],
    now: datetime,
    library: Library | None = None,
) -> list[Remembered]:
    """Return facts as `decide` is given them; start-up times are those measured before `now`."""
    library = library or Library()
    library.fetch(session, {key for facts in found for key in keys_of(facts.body)})
    keys = [key for facts in found for key in keys_of(facts.body)]
    schedules, windows, policies = library.schedules, library.windows, library.policies
    early = any(starts_early(windows[key]) for key in keys if key in windows)
    startups = library.startups(session, endpoint.account_id, now, early=early)
    result = []
    for facts in found:
        of = {one["rule_id"]: (one["rule_id"], one["revision"]) for one in facts.body["rules"]}
        mine = {rule_id: key for rule_id, key in of.items() if key in schedules}
        bound = {endpoint.id: [_binding(endpoint.id, one) for one in facts.body["rules"]]}
        timetable = ScheduleBook(
            rows={rule_id: schedules[key] for rule_id, key in mine.items()},
            windows={rule_id: windows[key] for rule_id, key in mine.items()},
            bound=bound,
            startups=startups,
            read_at=facts.at,
            shelf=library.shelf,
        )
        book = _book(endpoint.id, facts.body, timetable)
        book.policies = {one: policies[key] for one, key in of.items() if key in policies}
        result.append(Remembered(facts.at, _row(endpoint, facts.body["row"]), book))
    return result


def _book(endpoint_id: str, body: Json, timetable: ScheduleBook) -> Rulebook:
    holds: defaultdict[str, list[Hold]] = defaultdict(list)
    holds[endpoint_id] = [made(Hold, {"endpoint_id": endpoint_id, **one}) for one in body["holds"]]
    leased = _instant(body["leased"])
    return Rulebook(
        frozen=body["frozen"],
        schedules=dict(timetable.rows),
        timetable=timetable,
        policies={},
        bound={key: list(found) for key, found in timetable.bound.items()},
        holds=holds,
        held_back={endpoint_id: body["held_back"]} if body["held_back"] else {},
        leased={} if leased is None else {endpoint_id: leased},
    )


def _row(endpoint: Endpoint, stored: Json) -> ManagedRow:
    """Return the columns as they were; those that are not kept are not looked at again."""
    values = {name: _neutral(name) for name in _COLUMNS}
    values |= {name: _plainly(Endpoint, name, stored[name]) for name in KEPT if name in stored}
    return ManagedRow(**{**values, "id": endpoint.id})


def row_of(endpoint: Endpoint) -> ManagedRow:
    """Return the columns that a decision looks at, as they are now."""
    return ManagedRow(**{one.name: getattr(endpoint, one.name) for one in fields(ManagedRow)})


def _neutral(name: str) -> Any:
    column = Endpoint.model_fields[name]
    return None if column.is_required() else column.get_default(call_default_factory=True)


def _binding(endpoint_id: str, stored: Json) -> Binding:
    return made(
        Binding,
        {
            "rule_id": stored["rule_id"],
            "endpoint_id": endpoint_id,
            "rule_kind": stored["kind"],
            "matched_at": stored["matched_at"],
            "acts_from": stored["acts_from"],
        },
    )


def _days_off(revision: RuleRevision) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in revision.body["days_off"])


def made(table: type[Table], stored: Mapping[str, Any]) -> Table:
    """Return a row as it was, from its stored form; columns of another time are left out."""
    known = table.model_fields
    return table(**{k: _plainly(table, k, value) for k, value in stored.items() if k in known})


def _plainly(table: type[SQLModel], name: str, value: Any) -> Any:
    """Return a value of a column from its stored form."""
    if isinstance(value, str) and name in _instants(table):
        return datetime.fromisoformat(value)
    return value


@cache
def _instants(table: type[SQLModel]) -> frozenset[str]:
    columns = table.model_fields.items()
    return frozenset(name for name, one in columns if "datetime" in str(one.annotation))


def activity_to_json(activity: Activity) -> Json:
    """Return evidence of use as it is kept with a decision."""
    return {
        "last_request_at": _plain(activity.last_request_at),
        "covered_from": _plain(activity.covered_from),
        "covered_to": _plain(activity.covered_to),
        "in_flight": activity.in_flight,
        "started_at": _plain(activity.started_at),
        "source": activity.source,
        "late_s": activity.late.total_seconds(),
        "held_awake": activity.held_awake,
        "held_every_s": activity.held_every_s,
    }


def keys_of(body: Json) -> list[Key]:
    """Return the revisions of rules that kept facts name."""
    return [(one["rule_id"], one["revision"]) for one in body["rules"]]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
