"""What a span of the past would have been under other rules, against what was metered.

`decide` is asked again over what was known then and the use that was recorded. What is unknown is
counted and shown: the bounds take it as idle and as busy. Other assumptions: people would have
clicked the same, a start takes as long as starts usually took, and changes are made at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.costs.days import epoch
from orchestrator.costs.figures import Figure
from orchestrator.domain.demand import Count
from orchestrator.domain.status import Status
from orchestrator.services import differences, remembered, reruns, witnessed, worth
from orchestrator.services.other_rules import Others, with_others
from orchestrator.services.remembered import Library, Remembered
from orchestrator.services.reruns import Courses, StartUpTime
from orchestrator.services.worth import Ledger
from orchestrator.store import history
from orchestrator.store.tables import Endpoint

ASSUMPTIONS = (
    "people and programs would have asked for the same",
    "a start takes as long as starts usually took, and is billed",
    "changes are made at once, and the cloud refuses none",
    "requests of ten minutes are spread evenly up to the last one that is known",
    "where it is not known whether requests came, the bounds take it as none and as many",
    "that it was at zero tells that no request came, and that it woke by itself, that one did",
    "what had failed, or found no room, would have under other rules too",
)
_RELEASED = frozenset({"endpoint.released"})
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Range:
    """A number with its bounds."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: hours awake, cost, starts."""

    hours: Range
    cost: Figure
    cold_starts: Range


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time with what is said of it."""

    start: datetime
    end: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of `[start, end)`, under other rules.

    `metered` is what the ledger says, `again` the same rules run again, which shows how far the
    model is off, and `other` the other rules. `saved` is `again` less `other`: what the model gets
    wrong is on both sides, and never counts as saved. `waited` are requests that would have waited
    for a start, `refused` those that would have met a paused endpoint.
    """

    start: datetime
    end: datetime
    metered: Side
    again: Side
    other: Side
    saved: Figure
    waited: Count
    refused: Count
    unknown: timedelta
    startup: StartUpTime
    before: Courses
    courses: Courses
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One endpoint under other rules; what could not be compared, and why."""

    endpoint: Endpoint
    compared: Comparison | None
    not_compared: tuple[Stretch, ...]
    protected: bool = False


def what_if(
    session: Session,
    endpoint: Endpoint,
    others: Others,
    *,
    end: datetime,
    now: datetime,
    library: Library | None = None,
) -> WhatIf:
    """Return what `[others.since, end)` would have been for one endpoint.

    A `library` keeps what was read for one endpoint for the next.
    """
    library = library or Library()
    start = others.since
    until = min(end, now, endpoint.deleted_at or now)
    known = remembered.recall_between(session, endpoint, start, until, library)
    released = history.last_event(session, endpoint.id, _RELEASED, until)
    if released is not None and known and released.at > known[-1].at:
        until = max(min(until, released.at), start)
    gaps = _not_compared(known, start, until, end)
    if not known or max(start, known[0].at) + _SECOND > until:
        return WhatIf(endpoint, None, gaps)
    changed = [with_others(one, others) for one in known]
    span = (max(start, known[0].at), until)
    found = compare(session, endpoint, (known, changed), span, library)
    return WhatIf(endpoint, found, gaps, known[-1].row.protected)


def compare(
    session: Session,
    endpoint: Endpoint,
    both: tuple[Sequence[Remembered], Sequence[Remembered]],
    span: tuple[datetime, datetime],
    library: Library,
) -> Comparison:
    """Return what a span costs by what was metered, by what was known, and by that changed.

    It ends with the last look.
    """
    known, changed = both
    begin = span[0]
    ledger = worth.ledger_of(session, endpoint, *span)
    until = ledger.measured_until
    seen = witnessed.read(session, endpoint.id, begin, until)
    recorded = reruns.demand_between(session, endpoint.id, begin, until)
    demand = witnessed.informed(recorded, seen, reruns.regimes_of(known))
    startup = reruns.start_up_of(session, endpoint, span[1], library)
    witness = witnessed.witness(seen)
    again = reruns.run(known, demand, startup, witness)
    other = reruns.run(changed, demand, startup, witness)
    return Comparison(
        start=begin,
        end=until,
        metered=_metered(ledger, begin, until),
        again=_side(ledger, again),
        other=_side(ledger, other),
        saved=differences.saved(ledger, again, other),
        waited=waited(other),
        refused=refused(other),
        unknown=demand.unknown_in(begin, until),
        startup=startup,
        before=again,
        courses=other,
        ledger=ledger,
    )


def waited(courses: Courses) -> Count:
    """Return how many requests would have come during a start; who wakes it waits too."""
    total = Count()
    for start in courses.expected.starts:
        found = courses.demand.count(start.at, start.serves_at)
        least = 1 if start.by_request else 0
        total += Count(
            max(found.low, least), max(found.expected, float(least)), max(found.high, least)
        )
    return total


def refused(courses: Courses) -> Count:
    """Return how many requests would have met a paused endpoint."""
    total = Count()
    for leg in courses.expected.legs:
        if leg.status is Status.PAUSED:
            total += courses.demand.count(leg.start, leg.end)
    return total


def _side(ledger: Ledger, courses: Courses) -> Side:
    every = (courses.low, courses.expected, courses.high)
    return Side(
        hours=_range([one.awake_seconds() / 3600 for one in every]),
        cost=worth.band(ledger, courses),
        cold_starts=_range([float(len(one.starts)) for one in every]),
    )


def _metered(ledger: Ledger, start: datetime, end: datetime) -> Side:
    hours = ledger.awake_seconds(start, end) / 3600
    starts = float(sum(begin > epoch(start) for begin, _ in ledger.awake))
    return Side(
        Range(hours, hours, hours), ledger.metered(start, end), Range(starts, starts, starts)
    )


def _range(values: Sequence[float]) -> Range:
    return Range(min(values), values[1], max(values))


def _not_compared(
    known: Sequence[Remembered], start: datetime, until: datetime, end: datetime
) -> tuple[Stretch, ...]:
    if not known:
        return (Stretch(start, end, "nothing is kept of what was known of it then"),)
    gaps = []
    if known[0].at > start:
        why = "nothing is kept of what was known of it before"
        gaps.append(Stretch(start, min(known[0].at, end), why))
    if until < end:
        why = "it lies ahead, or it was not managed any more"
        gaps.append(Stretch(max(until, start), end, why))
    return tuple(gaps)
