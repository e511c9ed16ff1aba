"""What windows and cron points say at many instants in turn: each stretch is worked out once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestrator.domain.schedules.model import PointAction, PointFiring, ScheduleState
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.points import next_point, points

Source = TypeVar("Source")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = timedelta(days=7)
# Where no edge is found ahead the horizon ends the search: look again later.
_AGAIN = timedelta(days=1)
# So many chunks are looked through before the search by jumps, and so many at most back.
_AHEAD, _BACK = 9, 58


@dataclass(slots=True)
class _Stretch:
    """A stretch in which the windows say the same; `ended_at` is when the latest one ended."""

    start: datetime
    end: datetime
    state: ScheduleState
    ended_at: datetime | None


@dataclass(slots=True)
class Edges:
    """The edges of one schedule."""

    windows: Windows
    _states: dict[timedelta, list[_Stretch]] = field(default_factory=dict)
    _chunks: dict[int, list[PointFiring]] = field(default_factory=dict)
    _starts: Edges | None = None

    def state(self, now: datetime, early: timedelta) -> tuple[ScheduleState, datetime | None]:
        """Return what the windows say, and the end of the latest that may still drain."""
        one = self._stretch(now, early)
        drain = timedelta(minutes=self.windows.drain_minutes)
        drains = one.ended_at is not None and one.ended_at > now - drain
        return one.state, one.ended_at if drains else None

    def next_point(self, after: datetime) -> PointFiring | None:
        """Return the first firing after an instant."""
        first = self._number(after)
        for number in range(first, first + _AHEAD):
            found = self._firings(number)
            place = bisect_right(found, after, key=_at)
            if place < len(found):
                return found[place]
        return next_point(self.windows, after)

    def next_start(self, after: datetime) -> PointFiring | None:
        """Return the first firing after an instant of those points that start."""
        if self._starts is None:
            keep = tuple(p for p in self.windows.points if p.action is PointAction.START)
            plain = self.windows
            self._starts = Edges(
                Windows(plain.timezone, (), plain.drain_minutes, keep, plain.days_off, plain.dates)
            )
        return self._starts.next_point(after) if self._starts.windows.points else None

    def last_point(self, since: datetime, now: datetime) -> PointFiring | None:
        """Return the last firing after `since` and not after `now`, at most 400 days back."""
        last = self._number(now)
        for number in range(last, max(self._number(since), last - _BACK) - 1, -1):
            found = self._firings(number)
            place = bisect_right(found, now, key=_at) - 1
            if place >= 0:
                return found[place] if found[place].at > since else None
        return None

    def _stretch(self, now: datetime, early: timedelta) -> _Stretch:
        known = self._states.setdefault(early, [])
        place = bisect_right(known, now, key=_start)
        if place and now < known[place - 1].end:
            return known[place - 1]
        found = self._made(now, early)
        if place < len(known) and known[place].end == found.end:
            known[place] = found
        else:
            known.insert(place, found)
        return found

    def _made(self, now: datetime, early: timedelta) -> _Stretch:
        state = state_at(self.windows, now, early)
        drain = timedelta(minutes=self.windows.drain_minutes)
        ended = None
        if not state.inside and drain:
            past = intervals(self.windows, now - drain, now, early)
            ended = max((one.end for one in past), default=None)
        ends = [at for at in (state.next_edge, state.opens_at) if at is not None and at > now]
        return _Stretch(now, min(ends, default=now + _AGAIN), state, ended)

    def _firings(self, number: int) -> list[PointFiring]:
        if number not in self._chunks:
            start = _EPOCH + number * _CHUNK
            self._chunks[number] = points(self.windows, start, start + _CHUNK)
        return self._chunks[number]

    @staticmethod
    def _number(at: datetime) -> int:
        return (at - _EPOCH) // _CHUNK


@dataclass(slots=True)
class Shelf:
    """The edges of many schedules; one that is the same object is worked out once."""

    _known: dict[int, Edges] = field(default_factory=dict)
    _made: dict[int, tuple[object, Windows]] = field(default_factory=dict)

    def of(self, windows: Windows) -> Edges:
        """Return the edges of a schedule."""
        found = self._known.get(id(windows))
        if found is None:
            found = self._known[id(windows)] = Edges(windows)
        return found

    def made(self, source: Source, make: Callable[[Source], Windows]) -> Windows:
        """Return the windows that are made from something, made once."""
        found = self._made.get(id(source))
        if found is None:
            found = self._made[id(source)] = (source, make(source))
        return found[1]


def firings_between(windows: Windows, start: datetime, end: datetime, most: int) -> int:
    """Return how often the points of a schedule fire in `[start, end)`.

    They are counted week by week, and no further once there are `most` of them.
    """
    found = 0
    while windows.points and start < end and found < most:
        until = min(start + _CHUNK, end)
        found += len(points(windows, start, until))
        start = until
    return found


def _at(firing: PointFiring) -> datetime:
    return firing.at


def _start(stretch: _Stretch) -> datetime:
    return stretch.start
