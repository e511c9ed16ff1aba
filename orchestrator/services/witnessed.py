"""What the meter saw that no rule made: outages, wakes by request, a cloud that went to zero."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
        if before.kind == AWAKE and after.kind == ZERO and not _asked(found.stopped, after.start)
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
    kind = REST if row.evidence == UNSEEN and not row.replicas else _kind(status, row.replicas)
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
        leaves = before.kind == ZERO and after.kind in (AWAKE, STALLED)
        if leaves and not _asked(found.resumed, after.start):
            yield after.start


def _used(found: Witnessed, regimes: Sequence[Regime]) -> Iterator[Span]:
    """Yield the time in which its timer shows that it was in use."""
    for place, one in enumerate(found.seen):
        timer = _timer(regimes, one.end)
        slept = found.seen[place + 1 : place + 2]
        last = not slept or slept[0].kind == ZERO
        if one.kind == AWAKE and timer is not None and last and one.end - timer > one.start:
            yield one.start, one.end - timer


def _timer(regimes: Sequence[Regime], at: datetime) -> timedelta | None:
    place = bisect_right(regimes, at, key=lambda one: one.at) - 1
    return regimes[max(place, 0)].timer


def _asked(asked: Sequence[datetime], at: datetime) -> bool:
    place = bisect_right(asked, at + _SLACK) - 1
    return place >= 0 and at - asked[place] <= _OURS
