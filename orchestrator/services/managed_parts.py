"""The parts of a span in which an endpoint was managed, with what was known of it in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.spans import Span
from orchestrator.services.remembered import Remembered
from orchestrator.store import history
from orchestrator.store.tables import Endpoint

# What ends and what begins management; a deletion ends it too, for good.
LET_GO = frozenset({"endpoint.released", "endpoint.handed_over", "endpoint.stood_down"})
TAKEN = frozenset({"endpoint.adopted", "endpoint.created"})
# What is shorter is not compared.
_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Part:
    """A time in which it was managed; the first of what was `known` may begin before it.

    It was managed from `since` on, which is before the start where nothing was kept at first.
    """

    start: datetime
    end: datetime
    known: Sequence[Remembered]
    since: datetime


def parts(
    session: Session, endpoint: Endpoint, known: Sequence[Remembered], span: Span
) -> list[Part]:
    """Return the managed parts of a span, as far as it is known what was decided by.

    None goes on after it was released, stood down or deleted, up to when it was adopted again.
    """
    found = []
    for start, end in _spans(session, endpoint, span):
        mine = _of(known, start, end, resumed=start > span[0])
        begin = max(start, mine[0].at) if mine else end
        if begin + _SHORTEST <= end:
            found.append(Part(begin, end, mine, start))
    return found


def those_with(parts: Sequence[Part], holds: Callable[[Remembered], bool]) -> list[Part]:
    """Return the parts cut down to when `holds` is true of what was known."""
    found: list[Part] = []
    for part in parts:
        run: Part | None = None
        ends = [*(one.at for one in part.known[1:]), part.end]
        for one, end in zip(part.known, ends, strict=True):
            start = max(one.at, part.start)
            if not holds(one):
                run = None
                continue
            if run is None:
                run = Part(start, end, [one], part.since if start == part.start else start)
                found.append(run)
            else:
                run = found[-1] = replace(run, end=end, known=[*run.known, one])
    return [one for one in found if one.start + _SHORTEST <= one.end]


def _spans(session: Session, endpoint: Endpoint, span: Span) -> list[Span]:
    start, end = span
    end = min(end, endpoint.deleted_at or end)
    kinds = LET_GO | TAKEN
    before = history.last_event(session, endpoint.id, kinds, start)
    begun = None if before is not None and before.kind in LET_GO else start
    found = []
    for event in history.events_of(session, endpoint.id, kinds, start, end):
        if event.kind in TAKEN:
            begun = begun or event.at
        elif begun is not None:
            found.append((begun, event.at))
            begun = None
    return found if begun is None else [*found, (begun, end)]


def _of(
    known: Sequence[Remembered], start: datetime, end: datetime, *, resumed: bool
) -> list[Remembered]:
    """Return what was known in `[start, end)`; what is `resumed` does not go by what was before."""
    later = [one for one in known if start < one.at < end]
    before = [one for one in known if one.at <= start]
    if resumed:
        before = [one for one in before if one.at == start]
    return [*before[-1:], *later]
