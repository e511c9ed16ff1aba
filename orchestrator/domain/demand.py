"""Requests as they were recorded, for asking what would have been. Pure.

Counts of ten minutes tell how many came and when the last one did: between them they are taken to
be spread evenly. What was not counted is unknown, and stays so until an assumption is made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain.endpoints import Stretch
from orchestrator.domain.idle import Activity
from orchestrator.domain.usage import STRETCH, STRETCH_S

Span = tuple[datetime, datetime]
SOURCE = "what was recorded of its use"
# Counted in so many of its seconds a stretch is known: parts of it are cut to whole seconds.
WHOLE_S = STRETCH_S - 5


class Assume(StrEnum):
    """What is taken of the time in which it is not known whether requests came."""

    IDLE = "idle"
    """None came."""
    UNKNOWN = "unknown"
    """It stays unknown: nothing is stopped for idleness, and nothing wakes."""
    BUSY = "busy"
    """They came all the time."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests that came after `start` and up to `last`, evenly spread."""

    start: datetime
    last: datetime
    count: int

    def first_from(self, at: datetime) -> datetime | None:
        """Return the first of them at or after an instant."""
        if at > self.last:
            return None
        step = (self.last - self.start) / self.count
        number = max(1, -((self.start - at) // step)) if step else self.count
        return min(self.start + number * step, self.last)

    def last_to(self, at: datetime) -> datetime | None:
        """Return the last of them at or before an instant."""
        if at >= self.last:
            return self.last
        step = (self.last - self.start) / self.count
        number = (at - self.start) // step if step else 0
        return self.start + number * step if number >= 1 else None


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests: at least, likely, at most."""

    low: int = 0
    expected: float = 0.0
    high: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.low + other.low, self.expected + other.expected, self.high + other.high)


@dataclass(frozen=True)
class Demand:
    """All that is known of the requests of one endpoint in `[start, end)`.

    `used` is that part of what is unknown in which it was likely in use: it was seen to be awake,
    though without requests it would have slept.
    """

    start: datetime
    end: datetime
    bursts: tuple[Burst, ...] = ()
    unknown: tuple[Span, ...] = ()
    used: tuple[Span, ...] = ()
    _starts: list[datetime] = field(init=False, repr=False, compare=False)
    _holes: list[datetime] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", [one.start for one in self.bursts])
        object.__setattr__(self, "_holes", [hole[0] for hole in self.unknown])

    def hole(self, at: datetime) -> Span | None:
        """Return the unknown time that an instant lies in."""
        place = bisect_right(self._holes, at) - 1
        if place >= 0 and at < self.unknown[place][1]:
            return self.unknown[place]
        return None

    def known_since(self, at: datetime) -> datetime:
        """Return since when all requests up to an instant are known."""
        place = bisect_left(self._holes, at) - 1
        return self.start if place < 0 else min(self.unknown[place][1], at)

    def activity(self, at: datetime, assume: Assume, started_at: datetime) -> Activity:
        """Return the evidence of use at an instant, under an assumption."""
        last = self.last_to(at, assume)
        if assume is not Assume.UNKNOWN:
            return Activity(last, None, at, started_at=started_at, source=SOURCE)
        hole = self.hole(at)
        reached = at if hole is None else hole[0]
        since = self.known_since(reached)
        return Activity(last, since, reached, started_at=started_at, source=SOURCE)

    def last_to(self, at: datetime, assume: Assume) -> datetime | None:
        """Return the last request at or before an instant."""
        found = None
        for place in range(bisect_right(self._starts, at) - 1, -1, -1):
            found = self.bursts[place].last_to(at)
            if found is not None:
                break
        if assume is Assume.IDLE:
            return found
        busy = _last_in(self.unknown if assume is Assume.BUSY else self.used, at)
        return max((one for one in (found, busy) if one is not None), default=None)

    def first_from(self, at: datetime, assume: Assume) -> datetime | None:
        """Return the first request at or after an instant."""
        found = None
        for place in range(max(bisect_right(self._starts, at) - 1, 0), len(self.bursts)):
            found = self.bursts[place].first_from(at)
            if found is not None:
                break
        if assume is Assume.IDLE:
            return found
        busy = _first_in(self.unknown if assume is Assume.BUSY else self.used, at)
        return min((one for one in (found, busy) if one is not None), default=None)

    def count(self, start: datetime, end: datetime) -> Count:
        """Return how many known requests came in `[start, end)`."""
        total = Count()
        first = max(bisect_right(self._starts, start - STRETCH) - 1, 0)
        for burst in self.bursts[first:]:
            if burst.start >= end:
                break
            total = total + _part(burst, start, end)
        return total

    def unknown_in(self, start: datetime, end: datetime) -> timedelta:
        """Return how much of `[start, end)` is unknown."""
        cut = [(max(one, start), min(other, end)) for one, other in self.unknown]
        return sum((b - a for a, b in cut if b > a), timedelta(0))


def _last_in(spans: Sequence[Span], at: datetime) -> datetime | None:
    """Return the last instant of some spans that is not after another."""
    place = bisect_right(spans, at, key=_start) - 1
    return None if place < 0 else min(spans[place][1], at)


def _first_in(spans: Sequence[Span], at: datetime) -> datetime | None:
    """Return the first instant of some spans that is not before another."""
    place = bisect_right(spans, at, key=_start)
    if place and at < spans[place - 1][1]:
        return at
    return spans[place][0] if place < len(spans) else None


def _start(span: Span) -> datetime:
    return span[0]


def demand_of(stretches: Iterable[Stretch], start: datetime, end: datetime) -> Demand:
    """Return what recorded stretches tell of the requests in `[start, end)`.

    One without requests may stand for several whole stretches on end: by `covered_s`.
    A stretch in which a request was seen was in use: it is no hole, though more may have come.
    """
    bursts: list[Burst] = []
    known: list[Span] = []
    for one in sorted(stretches, key=lambda each: each.start):
        if one.covered_s >= WHOLE_S or one.requests:
            length = max(one.covered_s // STRETCH_S, 1) * STRETCH
            known.append((one.start, one.start + length))
        if one.requests:
            last = min(one.last_request_at or one.start + STRETCH, one.start + STRETCH)
            bursts.append(Burst(min(one.start, last), last, one.requests))
    return Demand(start, end, tuple(bursts), tuple(_between(known, start, end)))


def _between(known: Sequence[Span], start: datetime, end: datetime) -> list[Span]:
    """Return the gaps between known spans, in `[start, end)`."""
    gaps, reached = [], start
    for begin, stop in known:
        if begin > reached:
            gaps.append((reached, min(begin, end)))
        reached = max(reached, stop)
    if reached < end:
        gaps.append((reached, end))
    return [gap for gap in gaps if gap[0] < gap[1]]


def _part(burst: Burst, start: datetime, end: datetime) -> Count:
    if burst.last < start:
        return Count()
    if start <= burst.start and burst.last < end:
        return Count(burst.count, float(burst.count), burst.count)
    length = burst.last - burst.start
    inside = min(burst.last, end) - max(burst.start, start)
    share = inside / length if length else 1.0
    # Of the last one the time is known.
    least = 1 if start <= burst.last < end else 0
    return Count(least, max(float(least), burst.count * share), burst.count)
