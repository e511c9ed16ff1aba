"""Traffic from what was recorded of an endpoint's requests, stretch by stretch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from orchestrator.domain.backtest.traffic import Traffic

# What was recorded does not tell how bursty requests were: they are taken to come at random.
POISSON = 1.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stretch of `length_s` seconds and its requests, with the instant of the last if known."""

    start: datetime
    requests: int
    length_s: int = 600
    last_request_at: datetime | None = None


def traffic_of(
    name: str, stretches: Iterable[Recorded], origin: datetime, length_s: int
) -> Traffic:
    """Return the traffic of `length_s` seconds from `origin`; what is not known saw no request."""
    kept = [
        (int((one.start - origin).total_seconds()), one)
        for one in sorted(stretches, key=lambda one: one.start)
        if one.requests
    ]
    kept = [(start, one) for start, one in kept if 0 <= start < length_s]
    spans = [_span(one) for _, one in kept]
    return Traffic(
        name,
        np.array([start for start, _ in kept], np.int64),
        np.array([one.requests for _, one in kept], np.int64),
        np.full(len(kept), POISSON),
        np.array([span for span, _ in spans], np.float64),
        np.array([known for _, known in spans], np.bool_),
    )


def _span(one: Recorded) -> tuple[float, bool]:
    """For how long requests came, and whether that is where the last one lies."""
    if one.last_request_at is None:
        return float(one.length_s), False
    inside = (one.last_request_at - one.start).total_seconds()
    return (inside, True) if 0 < inside < one.length_s else (float(one.length_s), False)
