"""Other rules over what was known: a draft more, a rule in shadow for earnest, or some fewer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.domain.expiry import Expiry
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.status import Wish
from orchestrator.services.remembered import IDLE, SCHEDULE, Remembered
from orchestrator.services.rulebook import Rulebook
from orchestrator.services.schedule_book import CRON, ScheduleBook, actor_of, reason_of
from orchestrator.store import expiry as expiries
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Binding, Hold, IdlePolicy, Schedule

Rule = Schedule | IdlePolicy


@dataclass(frozen=True, slots=True)
class Others:
    """What is different: rules that are `added`, all others but these gone, or some `without`.

    `windows` are those of the schedules that are added; each acts from `since`, on the endpoints
    that `covers` names for it, on all where that names none. A rule in
    `earnest` acts where it was only in shadow. `ends` are other expiries, by endpoint, in the place
    of those that were set; ends that an actor of `unended` set are gone.
    """

    since: datetime
    added: tuple[Rule, ...] = ()
    windows: Mapping[str, Windows] = field(default_factory=dict)
    covers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    earnest: frozenset[str] = frozenset()
    instead: bool = False
    ends: Mapping[str, Expiry] = field(default_factory=dict)
    unended: frozenset[str] = frozenset()


def under_others(known: Sequence[Remembered], others: Others) -> list[Remembered]:
    """Return what was known from time to time, as if the rules had been the others.

    What a point held when the others began holds on where they have that point too.
    """
    changed = [with_others(one, others) for one in known]
    left = _left(known[0], changed[0], others)
    if left is None:
        return changed
    reached = left[0].until
    for place, one in enumerate(known):
        found = next((hold for hold in _holds_of(one) if hold.id == left[0].id), None)
        if found is None and one.at < reached:
            break  # somebody ended it
        reached = reached if found is None else found.until
        holds = {one.row.id: [*_holds_of(changed[place]), left[1]]}
        changed[place] = replace(changed[place], book=replace(changed[place].book, holds=holds))
    return changed


def with_others(known: Remembered, others: Others) -> Remembered:
    """Return what was known, as if the rules had been the others."""
    added = {
        rule.id: rule
        for rule in others.added
        if known.row.id in others.covers.get(rule.id, (known.row.id,))
    }
    gone = others.without | {rule.id for rule in others.added}
    if others.instead:
        gone |= {*known.book.schedules, *known.book.policies}
    schedules = _schedules(known.book, gone, others)
    policies = _policies(known.book, gone, others)
    kept: dict[str, Rule] = {**schedules, **policies}
    bound = [one for one in known.book.bound.get(known.row.id, ()) if one.rule_id not in gone]
    bound += [_binding(known, kept[rule_id], others.since) for rule_id in added]
    drafted = {key: row for key, row in schedules.items() if key in added and row.points}
    timetable = ScheduleBook(
        rows=_quietly(schedules, drafted),
        windows={key: _windows(known.book, key, others) for key in schedules},
        bound={known.row.id: bound},
        startups=known.book.timetable.startups,
        read_at=known.at,
        shelf=known.book.timetable.shelf,
    )
    book = replace(
        known.book,
        schedules=schedules,
        timetable=timetable,
        policies=policies,
        bound={known.row.id: bound},
        holds={known.row.id: _holds(known, gone)},
    )
    ahead = _again(timetable, others.since) if drafted else None
    return replace(known, row=_ending(known.row, others), book=book, drafted=ahead)


def _ending(row: ManagedRow, others: Others) -> ManagedRow:
    """Return the columns with the other end, where there is one."""
    end = others.ends.get(row.id)
    if end is not None:
        return replace(row, expires_at=end.at, expiry=expiries.stored(end))
    if row.expires_at is not None and row.expiry["actor"] in others.unended:
        return replace(row, expires_at=None, expiry={})
    return row


def _schedules(book: Rulebook, gone: Collection[str], others: Others) -> dict[str, Schedule]:
    found = {key: row for key, row in book.schedules.items() if key not in gone}
    for key in others.earnest & found.keys():
        found[key] = _in_earnest(found[key])
    return {**found, **{rule.id: rule for rule in others.added if isinstance(rule, Schedule)}}


def _policies(book: Rulebook, gone: Collection[str], others: Others) -> dict[str, IdlePolicy]:
    found = {key: row for key, row in book.policies.items() if key not in gone}
    for key in others.earnest & found.keys():
        found[key] = IdlePolicy(**{**found[key].model_dump(), "shadow": False})
    return {**found, **{rule.id: rule for rule in others.added if isinstance(rule, IdlePolicy)}}


def _in_earnest(row: Schedule) -> Schedule:
    return Schedule(**{**row.model_dump(), "shadow": False})


def _quietly(
    schedules: Mapping[str, Schedule], drafted: Mapping[str, Schedule]
) -> dict[str, Schedule]:
    """Cron points that were there have left holds; only those of a draft are still to come."""
    return {
        key: row if key in drafted or not row.points else _without_points(row)
        for key, row in schedules.items()
    }


def _without_points(row: Schedule) -> Schedule:
    return Schedule(**{**row.model_dump(), "points": []})


def _windows(book: Rulebook, key: str, others: Others) -> Windows:
    return others.windows[key] if key in others.windows else book.timetable.windows[key]


def _again(timetable: ScheduleBook, since: datetime) -> ScheduleBook:
    return ScheduleBook(
        timetable.rows,
        timetable.windows,
        timetable.bound,
        timetable.startups,
        since,
        timetable.shelf,
    )


def _binding(known: Remembered, rule: Rule, since: datetime) -> Binding:
    kind = SCHEDULE if isinstance(rule, Schedule) else IDLE
    return Binding(
        rule_id=rule.id, endpoint_id=known.row.id, rule_kind=kind, matched_at=since, acts_from=None
    )


def _left(known: Remembered, changed: Remembered, others: Others) -> tuple[Hold, Hold] | None:
    """Return what a point held just before the others began, as it was and with its other end."""
    reasons = {
        (actor_of(row), reason_of(point))
        for key, row in known.book.schedules.items()
        if key in others.windows and known.row.id in others.covers.get(key, (known.row.id,))
        for point in others.windows[key].points
    }
    for hold in _holds_of(known):
        begun = hold.source == CRON and hold.starts_at <= others.since < hold.until
        if begun and (hold.actor, hold.reason) in reasons:
            of = changed.row.id, changed.row.hardware_key
            runs = hold.wish != Wish.PAUSED
            edge = changed.book.timetable.next_edge(*of, hold.starts_at, runs=runs)
            until = edge or hold.until
            return hold, Hold(**{**hold.model_dump(), "until": until})
    return None


def _holds_of(known: Remembered) -> Sequence[Hold]:
    return known.book.holds.get(known.row.id, ())


def _holds(known: Remembered, gone: Collection[str]) -> list[Hold]:
    """Leave out what the cron points of rules that are gone, or are others now, have held."""
    actors = {actor_of(row) for key, row in known.book.schedules.items() if key in gone}
    return [
        hold
        for hold in known.book.holds.get(known.row.id, ())
        if not (hold.source == CRON and hold.actor in actors)
    ]
