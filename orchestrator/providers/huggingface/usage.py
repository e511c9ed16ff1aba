"""Counts requests from the graphs of `POST /endpoint/{ns}/{name}/metrics`, cautiously."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from orchestrator.domain.endpoints import Usage
from orchestrator.domain.usage import by_stretch, known_until
from orchestrator.providers.huggingface.fields import Fields, count_of, instant_of

_MILLISECONDS_FROM = 10**11
_FARTHEST = timedelta(days=1)
_SHORTEST_LEAD = timedelta(minutes=5)


def asked_span(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the span to ask for: it begins earlier, so that points on both sides cover `start`."""
    return start - max(_SHORTEST_LEAD, (end - start) / 10), end


def read_usage(raw: Mapping[str, Any], start: datetime, end: datetime) -> Usage:
    """Return what the graph of status codes says of `[start, end)`.

    Whether a point stands for the time before or after it is not documented, so that only time
    between two neighbouring points counts as covered, and requests at the edges count as inside.
    A null makes its point unknown. Fractions (a rate would give them) are rounded up, so that use
    never reads as none.
    """
    points, doubtful = _points(raw, start, end)
    step = _step(sorted(points), raw)
    inside = {at: value for at, value in points.items() if start - step < at <= end}
    known = sorted(at for at in points if at not in doubtful)
    busy = [at for at, value in inside.items() if value > 0]
    spans = _spans(known, step, start, end)
    # The newest points may still be on their way: what is told ends with the last one.
    told_to = max((stop for _, stop in spans), default=end)
    return Usage(
        start=start,
        end=told_to,
        requests=math.ceil(sum(inside.values())),
        covered_seconds=int(sum((b - a for a, b in spans), timedelta()).total_seconds()),
        last_request_at=max(start, min(max(busy) + step, end)) if busy else None,
        in_flight=_in_flight(raw),
        known_since=known_until(spans, told_to),
        stretches=by_stretch(spans, ((at - step / 2, value) for at, value in inside.items()), step),
    )


def _points(
    raw: Mapping[str, Any], start: datetime, end: datetime
) -> tuple[dict[datetime, float], set[datetime]]:
    """Return requests of any outcome by instant, and the instants with a null among them."""
    reach = end - start + _FARTHEST
    found: dict[datetime, float] = {}
    doubtful: set[datetime] = set()
    for series in _series(raw, "responseStatusCodeGrouped"):
        for at, value in _data(series):
            if not start - reach < at < end + reach:
                continue
            found[at] = found.get(at, 0) + (value or 0)
            if value is None:
                doubtful.add(at)
    return found, doubtful


def _step(points: list[datetime], raw: Mapping[str, Any]) -> timedelta:
    """Return the time from point to point: the shortest distance, or a stated shorter window.

    The first and the last distance may be cut off by the span, so that they count only when there
    are no others.
    """
    gaps = [later - earlier for earlier, later in pairwise(points)]
    step = min(gaps[1:-1] or gaps, default=timedelta(0))
    stated = count_of(raw.get("timeWindowSeconds"))
    return min(step, timedelta(seconds=stated)) if stated else step


def _spans(
    known: list[datetime], step: timedelta, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the time between neighbouring points, as far as it is inside of the span."""
    found = [
        (max(earlier, start), min(later, end))
        for earlier, later in pairwise(known)
        if later - earlier <= step
    ]
    return [(first, last) for first, last in found if first < last]


def _in_flight(raw: Mapping[str, Any]) -> int | None:
    """Return the requests at the last point: running and waiting, or else those pending."""
    running = _latest(raw, "inference.requests.running")
    waiting = _latest(raw, "inference.requests.waiting")
    if running is not None or waiting is not None:
        return math.ceil((running or 0) + (waiting or 0))
    pending = _latest(raw, "pendingRequest")
    return None if pending is None else math.ceil(pending)


def _latest(raw: Mapping[str, Any], path: str) -> float | None:
    """Return the sum over all series of the graph at its last instant."""
    sums: dict[datetime, float] = {}
    for series in _series(raw, path):
        for at, value in _data(series):
            if value is not None:
                sums[at] = sums.get(at, 0) + value
    return sums[max(sums)] if sums else None


def _series(raw: Mapping[str, Any], path: str) -> Iterator[Mapping[str, Any]]:
    value = Fields(raw).value(f"{path}.series")
    for series in value if isinstance(value, list) else ():
        if isinstance(series, Mapping):
            yield series


def _data(series: Mapping[str, Any]) -> Iterator[tuple[datetime, float | None]]:
    data = series.get("data")
    for point in data if isinstance(data, list) else ():
        at = _instant(point.get("x")) if isinstance(point, Mapping) else None
        if at is not None:
            yield at, _amount(point.get("y"))


def _instant(value: object) -> datetime | None:
    """Return the x of a point: RFC 3339, or seconds or milliseconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return instant_of(value)
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
