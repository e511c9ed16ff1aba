"""Requests by stretches of ten minutes, as they are recorded: cut, joined, never counted twice."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from orchestrator.domain.endpoints import Stretch

# The length of a stretch; each starts at a multiple of it since 1970 UTC.
STRETCH = timedelta(minutes=10)
STRETCH_S = int(STRETCH.total_seconds())

Span = tuple[datetime, datetime]


def stretch_of(instant: datetime) -> datetime:
    """Return the start of the stretch that an instant lies in."""
    seconds = int(instant.timestamp())
    return instant - timedelta(seconds=seconds % STRETCH_S, microseconds=instant.microsecond)


def pieces(start: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
    """Yield `[start, end)` cut by stretches: the start of each, and the seconds inside of it.

    Both ends count by their whole second, so that spans on end add up to all of the time.
    """
    here = stretch_of(start)
    begin, last = int(start.timestamp()), int(end.timestamp())
    while here < end:
        first = int(here.timestamp())
        inside = min(last, first + STRETCH_S) - max(begin, first)
        if inside > 0:
            yield here, inside
        here += STRETCH


def by_stretch(
    known: Iterable[Span], requests: Iterable[tuple[datetime, float]], step: timedelta
) -> tuple[Stretch, ...]:
    """Return counts by stretch, from spans that are known and requests in steps that begin so.

    Fractions are rounded up, so that use never reads as none.
    """
    covered: defaultdict[datetime, int] = defaultdict(int)
    for start, end in known:
        for here, seconds in pieces(start, end):
            covered[here] += seconds
    counts: defaultdict[datetime, float] = defaultdict(float)
    last: dict[datetime, datetime] = {}
    for at, value in requests:
        if value > 0:
            here = stretch_of(at)
            counts[here] += value
            until = min(at + step, here + STRETCH)
            last[here] = max(last.get(here, until), until)
    return tuple(
        Stretch(here, math.ceil(counts[here]), min(covered[here], STRETCH_S), last.get(here))
        for here in sorted({*covered, *counts})
    )


def merged(one: Stretch, other: Stretch) -> Stretch:
    """Return what two readings of the same stretch tell together.

    Both are least numbers of the same requests, so the greater one counts, never their sum.
    """
    told = [at for at in (one.last_request_at, other.last_request_at) if at is not None]
    return Stretch(
        one.start,
        max(one.requests, other.requests),
        max(one.covered_s, other.covered_s),
        max(told, default=None),
    )


def later_use(before: datetime | None, told: datetime, at: datetime) -> datetime:
    """Return the later of two times of last use; one that lay ahead of `at` is not believed."""
    return told if before is None or before > at else max(before, told)


def known_until(known: Iterable[Span], end: datetime) -> datetime | None:
    """Return since when there is no hole in spans that reach `end`; None where none does."""
    since: datetime | None = None
    for start, stop in sorted(known, key=lambda span: span[1], reverse=True):
        if stop >= (since or end):
            since = min(start, since or start)
        else:
            break
    return since
