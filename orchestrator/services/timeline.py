"""One endpoint in time: what was metered and decided, and what the rules will do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Literal

from sqlmodel import Session

from orchestrator.costs.days import from_epoch
from orchestrator.costs.figures import Figure
from orchestrator.domain.decide import Rule
from orchestrator.domain.demand import Burst, Demand
from orchestrator.domain.rerun import Course, Leg
from orchestrator.domain.status import Status
from orchestrator.providers.pacing import PaceReport
from orchestrator.services import mornings, remembered, reruns, use_then, worth
from orchestrator.services.managed_parts import LET_GO, TAKEN
from orchestrator.services.remembered import Remembered
from orchestrator.services.reruns import Courses
from orchestrator.services.rulebook import Rulebook
from orchestrator.services.storms import ComingStart
from orchestrator.services.why_past import NOT_MANAGED
from orchestrator.services.worth import Ledger
from orchestrator.store import accounts, history, ledger
from orchestrator.store.ledger import COMPUTE
from orchestrator.store.tables import Account, Endpoint, Event, MeterInterval

ASSUMPTION = (
    "the rules and holds of today, no click; starts that many want at once begin late, and those "
    "that find no room in the quota do not begin; the likely "
    "figure takes it that what is awake stays in use and what sleeps at zero is not woken, the low "
    "one that no request comes and a start takes no time, the high one that requests never cease"
)
UNCONFIRMED = "unconfirmed"
UNMEASURED = frozenset({"", UNCONFIRMED})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which status, wish and rule did not change.

    `status` is empty where nothing was metered. `evidence` is that of the meter, `unconfirmed`
    since the last look, or `expected` ahead; there `may_sleep` tells that it sleeps then if no
    request comes, and `waits` that it is wanted up and its start comes late. `cost` is None where
    nobody looked yet, before the first look and since the last.
    """

    phase: Literal["past", "future"]
    start: datetime
    end: datetime
    status: str
    evidence: str
    wish: str
    rule: str
    reason: str
    replicas: int
    cost: Figure | None
    may_sleep: bool = False
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stretches of a span in order, with what they cost together so far and ahead.

    `past` is None where nothing of it was measured, `future` where nothing can be told of it.
    """

    start: datetime
    end: datetime
    stretches: tuple[Stretch, ...]
    past: Figure | None
    future: Figure | None
    assumption: str


def timeline(
    session: Session,
    row: Endpoint,
    start: datetime,
    end: datetime,
    now: datetime,
    *,
    paces: Sequence[PaceReport] = (),
) -> Timeline:
    """Return `[start, end)` of an endpoint: metered up to `now`, expected from then on.

    `paces` are those of the calls to the clouds now: throttling makes starts late.
    """
    until = max(start, min(end, now))
    past = _past(session, row, start, until) if start < until else []
    span = max(start, now), end
    ahead, starts = _ahead(session, row, span, now, paces) if end > now else ([], "")
    return Timeline(
        start=start,
        end=end,
        stretches=(*past, *ahead),
        past=_together(past),
        future=_together(ahead),
        assumption=f"{ASSUMPTION}{starts}" if end > now else "",
    )


def _together(stretches: Sequence[Stretch]) -> Figure | None:
    known = [one.cost for one in stretches if one.cost is not None]
    return sum(known, Figure()) if known else None


def _past(session: Session, row: Endpoint, start: datetime, end: datetime) -> list[Stretch]:
    metered = worth.ledger_of(session, row, start, end)
    intervals = ledger.timeline(session, row.id, start, end, COMPUTE)
    decided = _decided(session, row, start, end)
    bounds = _bounds(metered, intervals, decided, start, end)
    stretches = []
    for begin, stop in pairwise(bounds):
        interval, told = _interval(intervals, begin), _told(decided, begin)
        one = _stretch(interval, told, metered, begin, stop)
        gone = row.deleted_at is not None and begin >= row.deleted_at
        stretches.append(replace(one, cost=Figure()) if gone else one)
    return _joined(stretches, metered)


def _decided(session: Session, row: Endpoint, start: datetime, end: datetime) -> list[Event]:
    kinds = use_then.DECIDED | LET_GO | TAKEN
    before = history.last_event(session, row.id, kinds, start)
    found = history.events_of(session, row.id, kinds, start, end)
    later = [one for one in found if before is None or one.id != before.id]
    return [*([] if before is None else [before]), *later]


def _bounds(
    metered: Ledger,
    intervals: Sequence[MeterInterval],
    decided: Sequence[Event],
    start: datetime,
    end: datetime,
) -> list[datetime]:
    instants = {start, end}
    for one in intervals:
        instants |= {one.started_at, one.ended_at or end}
    for item in metered.items:
        instants |= {from_epoch(item.first), from_epoch(item.last)}
    instants |= {event.at for event in decided} | {metered.measured_until}
    return sorted(at for at in instants if start <= at <= end)


def _interval(intervals: Sequence[MeterInterval], at: datetime) -> MeterInterval | None:
    place = bisect_right([one.started_at for one in intervals], at) - 1
    if place < 0:
        return None
    found = intervals[place]
    return found if found.ended_at is None or at < found.ended_at else None


def _told(decided: Sequence[Event], at: datetime) -> Event | None:
    place = bisect_right([one.at for one in decided], at) - 1
    return decided[place] if place >= 0 else None


def _stretch(
    interval: MeterInterval | None,
    told: Event | None,
    metered: Ledger,
    start: datetime,
    end: datetime,
) -> Stretch:
    wish, rule, reason = _said(told)
    evidence = "" if interval is None else interval.evidence
    if interval is not None and start >= metered.measured_until:
        evidence = UNCONFIRMED
    return Stretch(
        phase="past",
        start=start,
        end=end,
        status="" if interval is None else interval.status,
        evidence=evidence,
        wish=wish,
        rule=rule,
        reason=reason,
        replicas=0 if interval is None else interval.replicas,
        cost=None if evidence in UNMEASURED else metered.metered(start, end),
    )


def _said(told: Event | None) -> tuple[str, str, str]:
    """Return wish, rule and reason: nothing from when it was taken up to the first decision."""
    if told is None or told.kind in TAKEN:
        return "", "", ""
    if told.kind in LET_GO:
        return "", Rule.NOT_MANAGED, NOT_MANAGED
    rule = f"{told.data['rule']}:{told.data['id']}".rstrip(":")
    return told.data["wish"] or "", rule, told.message.partition(", ")[2]


def _joined(stretches: Iterable[Stretch], metered: Ledger) -> list[Stretch]:
    found: list[Stretch] = []
    for one in stretches:
        if found and _key(found[-1]) == _key(one):
            whole = None if one.cost is None else metered.metered(found[-1].start, one.end)
            found[-1] = replace(found[-1], end=one.end, cost=whole)
        else:
            found.append(one)
    return found


def _key(one: Stretch) -> tuple[object, ...]:
    unmeasured = one.cost is None
    return one.status, one.evidence, one.wish, one.rule, one.reason, one.replicas, unmeasured


def _ahead(
    session: Session,
    row: Endpoint,
    span: tuple[datetime, datetime],
    now: datetime,
    paces: Sequence[PaceReport],
) -> tuple[list[Stretch], str]:
    """Run the rules of today forward; what is unknown is all use to come.

    Returns in words too on what the length of starts rests.
    """
    if row.deleted_at is not None or row.status in (Status.FAILED, Status.UNKNOWN):
        return [], ""
    start, end = span
    account = accounts.by_ids(session, [row.account_id])[row.account_id]
    book = Rulebook.load(session, account, now, row.id)
    known = [Remembered(now, remembered.row_of(row), book, managed=row.managed)]
    last = row.last_used_at
    used = () if last is None or last > now else (Burst(last, last, 1),)
    demand = Demand(now, end, used, ((now, end),))
    startup = reruns.start_up_of(session, row, now)
    courses = reruns.run(known, demand, startup, ahead=True)
    late, untold = _late(session, account, row, (now, end), paces)
    if late:
        delays = {at: one.begins_at for at, one in late.items()}
        courses = reruns.run(known, demand, startup, ahead=True, delays=delays)
    priced = worth.ledger_of(session, row, now, now)
    stretches = [
        _future(leg, max(leg.start, start), late, courses, priced)
        for leg in courses.expected.legs
        if leg.end > start
    ]
    return stretches, f"; {courses.startup.words}{untold}"


def _late(
    session: Session,
    account: Account,
    row: Endpoint,
    span: tuple[datetime, datetime],
    paces: Sequence[PaceReport],
) -> tuple[dict[datetime, ComingStart], str]:
    """Return the starts by rules that will be late, by when they are wanted, and what is untold."""
    now, end = span
    if not row.managed:
        return {}, ""
    found = mornings.mornings(session, now, end, account=account, paces=paces)
    late = {
        one.told.wanted_at: one.told
        for morning in found.items
        for one in morning.starts
        if one.told.endpoint_id == row.id and one.told.why
    }
    untold = f"; which starts are late is told up to {found.until:%Y-%m-%d %H:%M} UTC"
    return late, untold if found.until < end else ""


def _future(
    leg: Leg,
    start: datetime,
    late: Mapping[datetime, ComingStart],
    courses: Courses,
    priced: Ledger,
) -> Stretch:
    kept = late.get(leg.start)
    said = "" if kept is None else f"; late: {kept.words}"
    return Stretch(
        phase="future",
        start=start,
        end=leg.end,
        status=leg.status,
        evidence="expected",
        wish=leg.decision.wish or "",
        rule=f"{leg.decision.rule}:{leg.decision.rule_id}".rstrip(":"),
        reason=leg.decision.reason + said,
        replicas=priced.replicas if leg.awake else 0,
        cost=_cost(priced, courses, start, leg.end),
        may_sleep=leg.awake and not _awake_all(courses.low, start, leg.end),
        waits=leg.waits,
    )


def _cost(priced: Ledger, courses: Courses, start: datetime, end: datetime) -> Figure:
    figures = [
        _awake_cost(priced, one, start, end)
        for one in (courses.low, courses.expected, courses.high)
    ]
    return Figure(
        figures[1].nano,
        min(one.low for one in figures),
        max(one.high for one in figures),
        max(one.unpriced_seconds for one in figures),
    )


def _awake_cost(priced: Ledger, course: Course, start: datetime, end: datetime) -> Figure:
    total = Figure()
    for begin, stop in worth.joined_legs(course.legs):
        first, last = max(begin, start), min(stop, end)
        if first < last:
            total += priced.unmetered(first, last)
    return total


def _awake_all(course: Course, start: datetime, end: datetime) -> bool:
    return any(begin <= start and stop >= end for begin, stop in worth.joined_legs(course.legs))
