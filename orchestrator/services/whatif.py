"""What a span of the past would have been under other rules, against what was metered.

`decide` is asked again over what was known then and the use that was recorded. What is unknown is
counted and shown: the bounds take it as idle and as busy. Other assumptions: people would have
clicked the same, a start takes as long as starts usually took, and changes are made at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from sqlmodel import Session

from orchestrator.costs.days import epoch
from orchestrator.costs.figures import Figure
from orchestrator.domain.demand import Count
from orchestrator.domain.status import Status
from orchestrator.services import differences, managed_parts, remembered, reruns, witnessed, worth
from orchestrator.services.managed_parts import Part
from orchestrator.services.other_rules import Others, under_others
from orchestrator.services.remembered import Library, Remembered
from orchestrator.services.reruns import Courses, StartUpTime
from orchestrator.services.worth import Ledger
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
    """What is known of `[start, end)`, under other rules; only while it was managed.

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
    until = min(end, now)
    known = remembered.recall_between(session, endpoint, start, until, library)
    if not known:
        gap = Stretch(start, end, "nothing is kept of what was known of it then")
        return WhatIf(endpoint, None, (gap,))
    parts = managed_parts.parts(session, endpoint, known, (start, until))
    gaps = _not_compared(parts, start, end)
    if not parts:
        return WhatIf(endpoint, None, gaps)
    found = compare(session, endpoint, parts, others, library)
    return WhatIf(endpoint, found, gaps, known[-1].row.protected)


def compare(
    session: Session,
    endpoint: Endpoint,
    parts: Sequence[Part],
    others: Others,
    library: Library,
) -> Comparison:
    """Return what managed parts of a span cost: as metered, by what was known, and by the others.

    It ends with the last look.
    """
    begin, end = parts[0].start, parts[-1].end
    ledger = worth.ledger_of(session, endpoint, begin, end)
    until = ledger.measured_until
    parts = _measured(parts, until)
    seen = witnessed.read(session, endpoint.id, begin, until)
    recorded = reruns.demand_between(session, endpoint.id, begin, until)
    regimes = reruns.regimes_of([one for part in parts for one in part.known])
    demand = witnessed.informed(recorded, seen, regimes)
    startup = reruns.start_up_of(session, endpoint, end, library)

    def run(part: Part, known: Sequence[Remembered]) -> Courses:
        mine = replace(demand, start=part.start, end=part.end)
        return reruns.run(known, mine, startup, witnessed.witness(seen))

    again = reruns.end_to_end([run(part, part.known) for part in parts], demand)
    other = reruns.end_to_end([run(part, _changed(part, others)) for part in parts], demand)
    return Comparison(
        start=begin,
        end=until,
        metered=_metered(ledger, parts),
        again=_side(ledger, again),
        other=_side(ledger, other),
        saved=differences.saved(ledger, again, other),
        waited=waited(other),
        refused=refused(other),
        unknown=sum((demand.unknown_in(one.start, one.end) for one in parts), timedelta(0)),
        startup=startup,
        before=again,
        courses=other,
        ledger=ledger,
    )


def _measured(parts: Sequence[Part], until: datetime) -> list[Part]:
    """Cut the parts at the last look; the first one stays, be it empty."""
    cut = [replace(one, end=min(one.end, until)) for one in parts]
    return [cut[0], *(one for one in cut[1:] if one.start < one.end)]


def _changed(part: Part, others: Others) -> list[Remembered]:
    """Return what was known under others; what is adopted later meets them only then."""
    since = max(others.since, part.since)
    return under_others(part.known, replace(others, since=since))


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


def _metered(ledger: Ledger, parts: Sequence[Part]) -> Side:
    hours = sum(ledger.awake_seconds(one.start, one.end) for one in parts) / 3600
    starts = float(sum(_begun(ledger, one.start, one.end) for one in parts))
    cost = sum((ledger.metered(one.start, one.end) for one in parts), Figure())
    return Side(Range(hours, hours, hours), cost, Range(starts, starts, starts))


def _begun(ledger: Ledger, start: datetime, end: datetime) -> int:
    return sum(epoch(start) < begin <= epoch(end) for begin, _ in ledger.awake)


def _range(values: Sequence[float]) -> Range:
    return Range(min(values), values[1], max(values))


def _not_compared(parts: Sequence[Part], start: datetime, end: datetime) -> tuple[Stretch, ...]:
    if not parts:
        return (Stretch(start, end, "it lies ahead, or it was not managed then"),)
    gaps = []
    if parts[0].start > start:
        why = "nothing is kept of what was known of it before"
        gaps.append(Stretch(start, min(parts[0].start, end), why))
    for one, following in pairwise(parts):
        gaps.append(Stretch(one.end, following.start, "it was not managed then"))
    if parts[-1].end < end:
        why = "it lies ahead, or it was not managed any more"
        gaps.append(Stretch(parts[-1].end, end, why))
    return tuple(gaps)
