"""What the meter saw that no rule made: outages, wakes by request, a cloud that went to zero."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from sqlmodel import Session

from orchestrator.domain.demand import Burst, Demand
from orchestrator.domain.rerun import Outage, Regime, Witness
from orchestrator.domain.spans import Span, apart, common
from orchestrator.domain.status import Status
from orchestrator.store import retrospect
from orchestrator.store.retrospect import MeterRow

UNSEEN = "unobserved"
_AT_REST = frozenset({Status.PAUSED, Status.PAUSING, Status.STOPPING, Status.DELETED})
_ON_THE_WAY = frozenset({Status.PENDING, Status.INITIALIZING, Status.WAITING_FOR_CAPACITY})
_UP, _DOWN = frozenset({"resume"}), frozenset({"pause", "scale_to_zero"})
# A change of ours that was asked for so long before is what was seen.
_OURS = timedelta(minutes=30)
_SLACK = timedelta(minutes=2)


class Seen(NamedTuple):
    """A stretch in which the meter saw the same: awake, at zero, or down for a reason."""

    start: datetime
    end: datetime
    kind: str
    status: Status


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was seen of a span, and when people or rules asked for changes in it."""

    seen: tuple[Seen, ...]
    resumed: tuple[datetime, ...] = ()
    stopped: tuple[datetime, ...] = ()


AWAKE, ZERO, REST, DOWN, STALLED = "awake", "zero", "rest", "down", "stalled"
# It is billed as awake, and nobody looked.
UNLOOKED = "unlooked"
_UP_BEFORE = frozenset({AWAKE, UNLOOKED})


def read(session: Session, endpoint_id: str, start: datetime, end: datetime) -> Witnessed:
    """Return what the meter saw of an endpoint in `[start, end)`."""
    rows = retrospect.metered(session, endpoint_id, start, end)
    asked = retrospect.asked_for(session, endpoint_id, _UP | _DOWN, start - _OURS, end)
    return Witnessed(
        seen=tuple(_joined(_seen(row, start, end) for row in rows)),
        resumed=tuple(sorted(at for kind, at in asked if kind in _UP)),
        stopped=tuple(sorted(at for kind, at in asked if kind in _DOWN)),
    )


def witness(found: Witnessed) -> Witness:
    """Return outages, and when its cloud let it go to zero without being asked."""
    outages = [
        Outage(one.start, one.end, one.status, starts_only=one.kind == STALLED)
        for one in found.seen
        if one.kind in (DOWN, STALLED)
    ]
    slept = [
        after.start
        for before, after in pairwise(found.seen)
        if before.kind in _UP_BEFORE
        and after.kind == ZERO
        and not _asked(found.stopped, after.start)
    ]
    return Witness(tuple(outages), tuple(slept))


def informed(demand: Demand, found: Witnessed, regimes: Sequence[Regime]) -> Demand:
    """Return what is known of requests with what the meter tells where they were not counted.

    Nobody came while it was at zero, for a request wakes it; one came when it woke unasked; and
    what has a timer of its own and stayed awake was in use, until that long before it slept.
    """
    quiet = [(one.start, one.end) for one in found.seen if one.kind == ZERO]
    unknown = tuple(apart(demand.unknown, quiet))
    lacking = replace(demand, unknown=unknown)
    woken = [Burst(at, at, 1) for at in _wakes(found) if lacking.hole(at) is not None]
    bursts = sorted((*demand.bursts, *woken), key=lambda one: one.start)
    used = common(unknown, list(_used(found, regimes)))
    return replace(lacking, bursts=tuple(bursts), used=tuple(used))


def _seen(row: MeterRow, start: datetime, end: datetime) -> Seen:
    status = Status(row.status)
    kind = _kind(status, row.replicas)
    if row.evidence == UNSEEN:
        kind = UNLOOKED if row.replicas else REST
    down = status if status in (Status.FAILED, Status.UNKNOWN) else Status.FAILED
    until = end if row.ended_at is None else min(row.ended_at, end)
    return Seen(max(row.started_at, start), until, kind, down)


def _kind(status: Status, replicas: int) -> str:
    if replicas:
        return AWAKE
    if status is Status.SCALED_TO_ZERO:
        return ZERO
    if status in _AT_REST:
        return REST
    return STALLED if status in _ON_THE_WAY else DOWN


def _joined(found: Iterable[Seen]) -> Iterator[Seen]:
    last: Seen | None = None
    for one in found:
        if last is not None and (last.end, last.kind) == (one.start, one.kind):
            last = last._replace(end=one.end)
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


def _wakes(found: Witnessed) -> Iterator[datetime]:
    """Yield when it left zero and nobody had asked for that."""
    for before, after in pairwise(found.seen):
        leaves = before.kind == ZERO and after.kind in (AWAKE, UNLOOKED, STALLED)
        if leaves and not _asked(found.resumed, after.start):
            yield after.start


def _used(found: Witnessed, regimes: Sequence[Regime]) -> Iterator[Span]:
    """Yield the time in which its timer shows that it was in use, as long as it had that timer."""
    timed = list(_timed(regimes))
    for place, one in enumerate(found.seen):
        slept = found.seen[place + 1 : place + 2]
        if one.kind != AWAKE or (slept and slept[0].kind not in (ZERO, UNLOOKED)):
            continue
        for start, end, timer in timed:
            used = max(start, one.start), min(end, one.end) - timer
            if used[0] < used[1]:
                yield used


def _timed(regimes: Sequence[Regime]) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Yield the time in which it had one and the same timer; the last one is open."""
    begun: Regime | None = None
    for one in regimes:
        if begun is not None and one.timer == begun.timer:
            continue
        if begun is not None and begun.timer is not None:
            yield begun.at, one.at, begun.timer
        begun = one
    if begun is not None and begun.timer is not None:
        yield begun.at, datetime.max.replace(tzinfo=UTC), begun.timer


def _asked(asked: Sequence[datetime], at: datetime) -> bool:
    place = bisect_right(asked, at + _SLACK) - 1
    return place >= 0 and at - asked[place] <= _OURS
