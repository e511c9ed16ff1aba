"""Endpoints in a file of rules: what is ours of them, and what their cloud is asked for.

A field that the file leaves out stays as it is. What no listing tells in our words, such as the
container, is compared with what was last asked for here. Endpoints are never deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlmodel import Session

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec
from orchestrator.domain.money import format_dollars
from orchestrator.services import creation, hardware
from orchestrator.services.bindings import NEVER
from orchestrator.services.context import Context
from orchestrator.services.creation import Requested
from orchestrator.services.errors import ServiceError, conflict, invalid, nearest
from orchestrator.services.requests import busy
from orchestrator.services.rules_as_code import Action, Item, Run
from orchestrator.services.rules_differences import FieldChange, differences
from orchestrator.services.rules_problems import Problem, problem_of
from orchestrator.services.rules_specs import (
    alike,
    hides,
    packed,
    present_spec,
    shown_spec,
    with_timer,
)
from orchestrator.services.rules_yaml import Path
from orchestrator.services.tokens import Caller
from orchestrator.store import accounts, endpoints, operations, policies, rules, schedules
from orchestrator.store.tables import Account, Endpoint, Json, Operation

SECTION = "endpoints"
NOTHING = EndpointChange()
FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Wanted:
    """An endpoint as a file has it; `whole` is None where that is too little to create it.

    `keeps_timer` where its scaling does not speak of the cloud's own idle timer.
    """

    labels: Mapping[str, str] | None = None
    owner: str | None = None
    protected: bool | None = None
    change: EndpointChange = NOTHING
    whole: EndpointSpec | None = None
    keeps_timer: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be asked of a cloud: a creation, a change, or nothing."""

    account: Account
    row: Endpoint | None = None
    ask: EndpointSpec | EndpointChange = NOTHING
    active: Operation | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A step that its driver has looked at, with what it warns of."""

    ask: EndpointSpec | EndpointChange
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointSection:
    """The section of endpoints; `checked` was looked at by drivers before the transaction."""

    context: Context
    checked: Mapping[str, Checked] = field(default_factory=dict)
    section: str = SECTION

    def apply(self, run: Run) -> Iterator[Item]:
        """Change what is ours at once, and ask for the rest."""
        for name, wanted in run.wanted.get(SECTION, {}).items():
            item = run.attempt(_place(name), self._work(run, name, wanted))
            if item is not None:
                yield item

    def rest(self, run: Run) -> Iterator[Item]:
        """Leave endpoints alone that are not in the file."""
        del run
        yield from ()

    def _work(self, run: Run, name: str, wanted: Wanted) -> Callable[[], Item]:
        return lambda: self._apply(run, name, wanted)

    def _apply(self, run: Run, name: str, wanted: Wanted) -> Item:
        step = step_of(run.session, name, wanted)
        if step.ask != self.checked.get(name, Checked(NOTHING)).ask:
            raise conflict("changed_meanwhile", f"{name} was changed meanwhile.", remedy="Again.")
        if isinstance(step.ask, EndpointSpec):
            return self._create(run, name, wanted, step, step.ask)
        if step.row is None:
            active = "" if step.active is None else step.active.id
            return Item(SECTION, name, Action.UNDER_WAY, operation=active)
        return self._change(run, name, wanted, step, step.row)

    def _create(self, run: Run, name: str, wanted: Wanted, step: Step, spec: EndpointSpec) -> Item:
        labels, owner = wanted.labels or {}, wanted.owner or ""
        requested = creation.request_create(
            run.session,
            step.account,
            spec,
            run.asked,
            labels=labels,
            owner=owner,
            warnings=self.checked[name].warnings,
            engine_here=self.context.engine_here(step.account.id),
        )
        shown = {"labels": dict(labels), "owner": owner, "spec": shown_spec(packed(spec))}
        changed = differences({}, {key: value for key, value in shown.items() if value})
        notes, operation = _costs(requested), requested.operation.id
        return Item(SECTION, name, Action.CREATE, changed, notes, operation)

    def _change(self, run: Run, name: str, wanted: Wanted, step: Step, row: Endpoint) -> Item:
        before, covering = document(run.session, row), _covering(run.session, row)
        changed = _change_ours(run, row, wanted, before)
        notes = list(_coverage(covering, _covering(run.session, row))) if changed else []
        operation = ""
        if isinstance(step.ask, EndpointChange) and step.ask != NOTHING:
            requested = self._update(run, name, row, step.ask)
            changed += _spec_changes(before.get("spec", {}), shown_spec(packed(step.ask)))
            notes += _costs(requested)
            operation = requested.operation.id
        if changed or operation:
            return Item(SECTION, name, Action.CHANGE, changed, notes, operation)
        if step.active is not None and step.active.kind == "update":
            return Item(SECTION, name, Action.UNDER_WAY, operation=step.active.id)
        return Item(SECTION, name, Action.SAME)

    def _update(self, run: Run, name: str, row: Endpoint, change: EndpointChange) -> Requested:
        account = accounts.by_ids(run.session, [row.account_id])[row.account_id]
        return creation.request_update(
            run.session,
            row,
            change,
            run.asked,
            warnings=self.checked[name].warnings,
            engine_here=self.context.engine_here(account.id),
            usual_s=creation.usual_update_s(self.context, account),
        )


def prepare(
    context: Context, caller: Caller, wanted: Mapping[str, Wanted]
) -> tuple[dict[str, Checked], list[Problem]]:
    """Let drivers look at what will be asked of them; return that, and what they refuse.

    Raises ServiceError 403 for a reference to a secret of the server by a caller who is no admin.
    """
    checked: dict[str, Checked] = {}
    found: list[Problem] = []
    for name, one in wanted.items():
        try:
            with context.database.read() as session:
                step = step_of(session, name, one)
            if step.ask != NOTHING:
                creation.check_references(caller, step.ask.environment, step.ask.secrets)
                current = None if step.row is None else creation.current_of(step.row)
                warnings = creation.checked(context, step.account, step.ask, current)
                checked[name] = Checked(step.ask, warnings)
        except ServiceError as error:
            if error.status == FORBIDDEN:
                raise
            found.append(problem_of(error, _place(name)))
    return checked, found


def step_of(session: Session, name: str, wanted: Wanted) -> Step:
    """Return what a file asks of the cloud. Raises ServiceError."""
    account_name, _, own_name = name.partition("/")
    account = accounts.by_name(session, account_name)
    if account is None:
        known = [one.name for one in accounts.live(session)]
        raise invalid(
            "", f"There is no account {account_name!r}.", remedy=nearest(account_name, known)
        )
    row = endpoints.live_by_name(session, account.id, own_name)
    if row is not None:
        active = operations.active_for(session, row.id)
        ask = hardware.completed(session, account, _ask(session, row, wanted))
        return Step(account, row, ask, active)
    if wanted.whole is None:
        raise invalid(
            "",
            f"There is no endpoint {name}.",
            remedy="To create it, give repository, hardware and scaling in its `spec`.",
        )
    whole = hardware.completed(session, account, wanted.whole)
    active = operations.active_create(session, account.id, own_name)
    if active is None:
        return Step(account, None, whole)
    if active.request.get("spec") != packed(whole):
        raise busy(active)
    return Step(account, None, NOTHING, active)


def document(session: Session, row: Endpoint) -> Json:
    """Return an endpoint as a file has it, without what is empty."""
    return documents(session, [row])[row.id]


def documents(session: Session, found: Collection[Endpoint]) -> dict[str, Json]:
    """Return endpoints as a file has them, by id; only managed ones have a `spec`."""
    ids = [row.id for row in found]
    labels = endpoints.labels_of(session, ids)
    asked = rules.requests_of(session, [row.id for row in found if row.managed])
    documents = {}
    for row in found:
        ours = {one.key: one.value for one in labels.get(row.id, ()) if one.source == "ours"}
        spec = shown_spec(present_spec(row, asked.get(row.id, ()))) if row.managed else {}
        parts = {"labels": ours, "owner": row.owner, "protected": row.protected, "spec": spec}
        documents[row.id] = {key: value for key, value in parts.items() if value}
    return documents


def hides_values(session: Session, found: Collection[Endpoint]) -> list[str]:
    """Return the ids of endpoints with values, or a command line, that no file can tell."""
    asked = rules.requests_of(session, [row.id for row in found])
    specs_of = {key: [one.request.get("spec") or {} for one in ops] for key, ops in asked.items()}
    return [
        row.id
        for row in found
        if any(hides(key, part) for one in specs_of.get(row.id, ()) for key, part in one.items())
    ]


def _ask(session: Session, row: Endpoint, given: Wanted) -> EndpointChange:
    """Return the part of a change that is to be asked for."""
    if given.change == NOTHING:
        return NOTHING
    asked = rules.requests_of(session, [row.id]).get(row.id, ())
    change = _missing(row, given, asked)
    sure = [one for one in asked if not operations.is_untouched(one)]
    if change == NOTHING or len(sure) == len(asked):
        return change
    # It takes the place of an update of which nothing was carried out: all of that is missing.
    whole = _missing(row, given, sure)
    return change if whole == NOTHING else whole


def _missing(row: Endpoint, given: Wanted, asked: Sequence[Operation]) -> EndpointChange:
    """Return the part of a change that neither is so nor was asked for."""
    known = present_spec(row, asked)
    change = with_timer(given.change, known, asked, keeps=given.keeps_timer)
    wanted = packed(change)
    same = {key: None for key, value in wanted.items() if alike(key, known.get(key), value)}
    return replace(change, **same)


def _change_ours(run: Run, row: Endpoint, wanted: Wanted, before: Json) -> list[FieldChange]:
    old: Json = {"labels": {}, "owner": "", "protected": False} | before
    given = {"labels": wanted.labels, "owner": wanted.owner, "protected": wanted.protected}
    new: Json = {key: one for key, one in given.items() if one is not None and one != old[key]}
    if new:
        creation.change_ours(
            run.session,
            row,
            run.asked,
            labels=new.get("labels"),
            owner=new.get("owner"),
            protected=new.get("protected"),
        )
    return differences({key: old[key] for key in new}, new)


def _spec_changes(before: Json, asked: Json) -> list[FieldChange]:
    old = {key: before[key] for key in asked if key in before}
    found = differences({"spec": old} if old else {}, {"spec": asked})
    return [one for one in found if one.new is not None or one.old is not None]


def _covering(session: Session, row: Endpoint) -> dict[str, str]:
    """Return the rules that cover an endpoint and from when they act on it, as words, by name."""
    bound = schedules.bindings_of_endpoints(session, [row.id]).get(row.id, {})
    told = {}
    for rule_id, binding in bound.items():
        rule = schedules.get(session, rule_id) or policies.get(session, rule_id)
        at = binding.acts_from
        when = "at once" if at is None else f"from {at:%Y-%m-%d %H:%M} UTC"
        if rule is not None:
            told[rule.name] = "never" if at == NEVER else when
    return told


def _coverage(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Say which rules begin or cease to cover an endpoint, as its labels change."""
    for name in sorted(set(after) - set(before)):
        yield f"{name} begins to cover it, acts {after[name]}"
    for name in sorted(set(before) - set(after)):
        yield f"{name} covers it no longer"


def _costs(requested: Requested) -> list[str]:
    notes = []
    if requested.least_hour is not None and requested.most_hour is not None:
        low, high = format_dollars(requested.least_hour), format_dollars(requested.most_hour)
        notes.append(f"costs {low} an hour with the least replicas, {high} with the most")
    else:
        notes.append("its price is not known")
    return [*notes, *requested.warnings]


def _place(name: str) -> Callable[[str], Path]:
    def place(where: str) -> Path:
        if not where or where == "name":
            return (SECTION, name)
        parts = where.split(".")
        own = parts if parts[0] in ("labels", "owner", "protected", "spec") else ["spec", *parts]
        return (SECTION, name, *own)

    return place
