"""Rules from one file: what it would change, and changing it, all or nothing.

Every object is saved inside of a savepoint and compared with what it was: where nothing differs,
the savepoint is undone, so that a file that says what is so leaves no trace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from sqlmodel import Session

from orchestrator.services import fleet
from orchestrator.services.errors import ServiceError, conflict, invalid
from orchestrator.services.requests import Asked
from orchestrator.services.rules_differences import FieldChange, differences
from orchestrator.services.rules_problems import Problem, problem_of, refused
from orchestrator.services.rules_yaml import Loaded, Path
from orchestrator.store import events
from orchestrator.store import rules as marks
from orchestrator.store.tables import AppliedRule, Json

# What one file may bind in one transaction, all of whose rows are written with the store locked.
MOST_COVERED = 20_000
DEFAULT_SET = "default"
T = TypeVar("T")


class Action(StrEnum):
    """What a file does to an object."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    SAME = "same"
    LEFT = "left"
    """Made by a file and not in this one: removed where pruning is asked for."""
    FOREIGN = "foreign"
    """Made by other means, or by a file of another set, and not in the file: never touched."""
    UNDER_WAY = "under_way"
    """Asked for already; its operation has not ended."""


CHANGES = (Action.CREATE, Action.CHANGE, Action.REMOVE)


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes of one object; `notes` say what that does, `operation` carries it out.

    `covered` are the endpoints of a rule, of which the notes name a few only.
    """

    section: str
    name: str
    action: Action
    fields: Sequence[FieldChange] = ()
    notes: Sequence[str] = ()
    operation: str = ""
    covered: Sequence[str] = ()


class RowLike(Protocol):
    """A stored rule."""

    id: str
    name: str


Row = TypeVar("Row", bound=RowLike)


@dataclass(frozen=True, slots=True)
class Saved(Generic[Row]):
    """A rule that was saved, what that does, and the endpoints that it covers."""

    row: Row
    notes: Sequence[str] = ()
    covered: Sequence[str] = ()


class RuleKind(Protocol[Row]):
    """How rules of one kind are read, written down, saved and removed."""

    @property
    def section(self) -> str:
        """Return the name of their section."""
        ...

    def rows(self, session: Session) -> Sequence[Row]:
        """Return all that are not removed."""
        ...

    def document(self, session: Session, row: Row) -> Json:
        """Return one as a file has it."""
        ...

    def save(
        self, session: Session, name: str, wanted: Any, row: Row | None, asked: Asked
    ) -> Saved[Row]:
        """Create one, or save it in place of `row`. Raises ServiceError."""
        ...

    def remove(self, session: Session, row: Row, asked: Asked) -> Sequence[str]:
        """Remove one and say what that does. Raises ServiceError."""
        ...

    def place(self, name: str, where: str) -> Path:
        """Return where in a file the field of an error is."""
        ...


class Section(Protocol):
    """A part of a file that knows how to apply itself."""

    @property
    def section(self) -> str:
        """Return its name."""
        ...

    def apply(self, run: Run) -> Iterator[Item]:
        """Do what the file says, adding what is wrong to `run.problems`."""
        ...

    def rest(self, run: Run) -> Iterator[Item]:
        """See to what is not in the file; what others need goes after those."""
        ...


@dataclass(slots=True)
class Run:
    """One reading of a file under way: who asks, what it says by section, and what is wrong.

    `owner` is the set that the file is of: only what that made is pruned. `raw` is what was read,
    of which `wanted` lacks what is wrong.
    """

    session: Session
    asked: Asked
    wanted: Mapping[str, Mapping[str, Any]]
    prune: bool = False
    owner: str = DEFAULT_SET
    raw: Json = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    covered: int = 0

    def count(self, item: Item) -> None:
        """Raise ServiceError 422 where what is changed so far covers too much."""
        self.covered += len(item.covered)
        if self.covered > MOST_COVERED:
            raise invalid(
                "text",
                f"What this file changes covers endpoints more than {MOST_COVERED:,} times.",
                remedy="Nothing was changed. Give its rules narrower selectors, or split it "
                "into several files, each with a `set` of its own.",
            )

    def attempt(self, place: Callable[[str], Path], work: Callable[[], T]) -> T | None:
        """Do a part in a savepoint; what refuses it becomes a problem."""
        try:
            with self.session.begin_nested():
                done = work()
                self.session.flush()
                return done
        except ServiceError as refused:
            self.problems.append(problem_of(refused, place))
            return None
        except _Unchanged:
            return None


class _Unchanged(Exception):  # noqa: N818 - no error: it undoes a savepoint that changed nothing
    """What was saved is what was there."""


@dataclass(frozen=True, slots=True)
class RuleSection(Generic[Row]):
    """A section of rules: what is not in the file is left, or removed where a file made it."""

    kind: RuleKind[Row]

    @property
    def section(self) -> str:
        """Return the name of the section."""
        return self.kind.section

    def apply(self, run: Run) -> Iterator[Item]:
        """Save each rule of the file."""
        known = {row.name: row for row in self.kind.rows(run.session)}
        wanted = run.wanted.get(self.section, {})
        for name, given in wanted.items():
            item = self._save(run, name, given, known.get(name))
            if item is not None:
                run.count(item)
                yield item

    def rest(self, run: Run) -> Iterator[Item]:
        """See to the rules that are not in the file, where it has the section at all."""
        wanted = run.wanted.get(self.section)
        if wanted is not None:
            named = {*wanted, *(run.raw.get(self.section) or ())}  # also what is wrong
            rows = [row for row in self.kind.rows(run.session) if row.name not in named]
            yield from self._rest(run, sorted(rows, key=lambda row: row.name))

    def _save(self, run: Run, name: str, given: Any, row: Row | None) -> Item | None:
        before = None if row is None else self.kind.document(run.session, row)
        if before is not None and before == (run.raw.get(self.section) or {}).get(name):
            return Item(self.section, name, Action.SAME)
        found = len(run.problems)
        item = run.attempt(
            lambda where: self.kind.place(name, where),
            lambda: self._saved(run, name, given, row, before),
        )
        if item is None and len(run.problems) == found:
            return Item(self.section, name, Action.SAME)
        return item

    def _saved(self, run: Run, name: str, given: Any, row: Row | None, before: Json | None) -> Item:
        saved = self.kind.save(run.session, name, given, row, run.asked)
        run.session.flush()
        after = self.kind.document(run.session, saved.row)
        if after == before:
            raise _Unchanged
        _mark(run, self.section, saved.row.id, before, after)
        action = Action.CREATE if before is None else Action.CHANGE
        changed = differences(before or {}, after)
        return Item(self.section, name, action, changed, saved.notes, covered=saved.covered)

    def _rest(self, run: Run, rows: Sequence[Row]) -> Iterator[Item]:
        ours = marks.applied(run.session)
        for row in rows:
            name = row.name
            told = self._told(run, row, ours.get(row.id))
            if told is not None:
                yield Item(self.section, name, Action.FOREIGN, notes=told)
            elif not run.prune:
                yield Item(self.section, name, Action.LEFT)
            else:
                item = self._pruned(run, row, name)
                if item is not None:
                    yield item

    def _told(self, run: Run, row: Row, mark: AppliedRule | None) -> list[str] | None:
        """Say why a rule is not this file's to remove; None where it is."""
        if mark is None:
            return []
        if mark.file_set != run.owner:
            return [f"made by the set {mark.file_set}"]
        is_so = mark.digest == _digest_of(self.kind.document(run.session, row))
        return None if is_so else ["changed by other means since a file made it"]

    def _pruned(self, run: Run, row: Row, name: str) -> Item | None:
        return run.attempt(
            lambda where: self.kind.place(name, where), lambda: self._removed(run, row, name)
        )

    def _removed(self, run: Run, row: Row, name: str) -> Item:
        before = self.kind.document(run.session, row)
        notes = self.kind.remove(run.session, row, run.asked)
        marks.forget_applied(run.session, row.id)
        return Item(self.section, name, Action.REMOVE, differences(before, {}), notes)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a file changes; `confirm` stands for exactly that, from exactly what is now."""

    items: Sequence[Item]
    confirm: str

    @property
    def changed(self) -> Sequence[Item]:
        """Return what differs."""
        return [item for item in self.items if item.action in CHANGES]


def apply(run: Run, sections: Sequence[Section], loaded: Loaded, confirm: str = "") -> Applied:
    """Do all that a file says in the transaction of `run.session`.

    Raises ServiceError 422, or 409 where only the present state is in the way, which names every
    problem with its line; and 409 where `confirm` stands for something else.
    """
    items: list[Item] = []
    for section in sections:
        items += _worked(run, section.apply)
    for section in reversed(sections):
        items += _worked(run, section.rest)
    if run.problems:
        raise refused(run.problems, loaded)
    applied = Applied(items, _digest(items))
    if confirm and confirm != applied.confirm:
        raise conflict(
            "changed_meanwhile",
            "What this file would change is not what was confirmed.",
            remedy="Look at a new dry run, and confirm that.",
            field="confirm",
        )
    if applied.changed:
        _record(run, applied)
    return applied


def _worked(run: Run, work: Callable[[Run], Iterator[Item]]) -> list[Item]:
    """Do the work of a section, all of whose rules look at the same endpoints."""
    with fleet.kept(run.session):
        return list(work(run))


def _mark(run: Run, section: str, rule_id: str, before: Json | None, after: Json) -> None:
    """Note that a file made a rule, or that it changed what the same set had left as it was."""
    mark = None if before is None else run.session.get(AppliedRule, rule_id)
    if before is None:
        mark = AppliedRule(
            rule_id=rule_id,
            kind=section,
            file_set=run.owner,
            digest="",
            applied_at=run.asked.now,
            applied_by=run.asked.actor,
        )
    elif mark is None or (mark.file_set, mark.digest) != (run.owner, _digest_of(before)):
        return
    mark.digest = _digest_of(after)
    run.session.add(mark)


def _digest(items: Sequence[Item]) -> str:
    """Return what stands for a list of changes: the same only where all that they do is."""
    return _digest_of([_content(one) for one in items if one.action in CHANGES])


def _content(item: Item) -> list[Any]:
    changed = [[one.field, one.old, one.new] for one in item.fields]
    notes, covered = list(item.notes), sorted(item.covered)
    return [item.section, item.name, item.action, changed, notes, covered]


def _digest_of(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _record(run: Run, applied: Applied) -> None:
    counts = {str(action): 0 for action in CHANGES}
    for item in applied.changed:
        counts[item.action] += 1
    told = ", ".join(f"{count} {action}" for action, count in counts.items() if count)
    events.record(
        run.session,
        at=run.asked.now,
        kind="rules.applied",
        actor=run.asked.actor,
        message=f"{run.asked.actor} applied a file of rules: {told}",
        data={"counts": counts, "confirm": applied.confirm},
    )
