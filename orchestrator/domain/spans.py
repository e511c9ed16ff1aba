"""Spans of time in order that do not overlap: what of some lies outside of others, or in both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

Span = tuple[datetime, datetime]


def apart(spans: Iterable[Span], others: Sequence[Span]) -> Iterator[Span]:
    """Yield what of some spans lies outside of others."""
    for start, end in spans:
        reached = start
        for begin, stop in _from(others, start):
            if begin >= end:
                break
            if begin > reached:
                yield reached, begin
            reached = max(reached, stop)
        if reached < end:
            yield reached, end


def common(spans: Iterable[Span], others: Sequence[Span]) -> Iterator[Span]:
    """Yield what lies in some spans and in others."""
    for start, end in spans:
        for begin, stop in _from(others, start):
            if begin >= end:
                break
            if max(start, begin) < min(end, stop):
                yield max(start, begin), min(end, stop)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans with neighbours made one."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _from(spans: Sequence[Span], at: datetime) -> Iterator[Span]:
    """Yield those that end after an instant, and perhaps one before it."""
    place = max(bisect_right(spans, at, key=_start) - 1, 0)
    while place < len(spans):
        yield spans[place]
        place += 1


def _start(span: Span) -> datetime:
    return span[0]
