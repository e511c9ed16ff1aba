"""Recorded traffic: how many requests came to an endpoint in each stretch of some minutes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
COLUMNS = ("client", "window_start_s", "requests", "cv")
_DEFAULT_LENGTH_S = 600

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class TrafficError(ValueError):
    """Traffic that cannot be read; the message names the line and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The stretches of one endpoint that saw requests, in order.

    `start_s` counts from the start of the trace; `cv` is the coefficient of variation of the
    gaps between requests inside the stretch. `span_s` is for how long requests came in it: its
    length, or where `ends` is set until the last of them, the instant of which is known.
    """

    name: str
    start_s: Ints
    requests: Ints
    cv: Floats
    span_s: Floats
    ends: Bools

    def part(self, first_s: int, last_s: int) -> Traffic:
        """The stretches that start in `[first_s, last_s)`, counted from `first_s`."""
        kept = (self.start_s >= first_s) & (self.start_s < last_s)
        return Traffic(
            self.name,
            self.start_s[kept] - first_s,
            self.requests[kept],
            self.cv[kept],
            self.span_s[kept],
            self.ends[kept],
        )


@dataclass(frozen=True, slots=True)
class Fleet:
    """The traffic of several endpoints over the same `length_s` seconds."""

    endpoints: tuple[Traffic, ...]
    length_s: int

    @property
    def length(self) -> int:
        """Microseconds from the start of the trace to its end."""
        return self.length_s * SECOND


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch with requests, as a file tells it."""

    start_s: int
    requests: int
    cv: float


def read_csv(lines: Iterable[str]) -> Fleet:
    """Read `client,window_start_s,requests,cv`; stretches without a row saw no request.

    The length of a stretch is the smallest distance between two; the trace ends with the last.
    Raises TrafficError.
    """
    reader = csv.reader(lines)
    header = next(reader, [])
    if tuple(name.strip() for name in header) != COLUMNS:
        raise TrafficError(f"line 1: the columns must be {','.join(COLUMNS)}")
    found: dict[str, list[Row]] = {}
    for number, cells in enumerate(reader, start=2):
        if cells:
            found.setdefault(cells[0], []).append(_row(number, cells))
    if not found:
        raise TrafficError("line 2: there is no row of traffic")
    return _fleet(found)


def _row(number: int, cells: list[str]) -> Row:
    if len(cells) != len(COLUMNS):
        raise TrafficError(f"line {number}: {len(cells)} values where there are four columns")
    try:
        row = Row(int(cells[1]), int(cells[2]), float(cells[3]))
    except ValueError as error:
        raise TrafficError(f"line {number}: {error}") from None
    if not cells[0]:
        raise TrafficError(f"line {number}: client is empty")
    if row.start_s < 0 or row.requests < 1 or not 0 <= row.cv < float("inf"):
        problem = "window_start_s must be 0 or more, requests 1 or more, cv 0 or more"
        raise TrafficError(f"line {number}: {problem}")
    return row


def _fleet(found: Mapping[str, list[Row]]) -> Fleet:
    for rows in found.values():
        rows.sort(key=lambda row: row.start_s)
    length = _stretch_length(found)
    endpoints = tuple(_traffic(name, rows, length) for name, rows in sorted(found.items()))
    last = max(rows[-1].start_s for rows in found.values())
    return Fleet(endpoints, last + length)


def _stretch_length(found: Mapping[str, list[Row]]) -> int:
    steps = [
        later.start_s - earlier.start_s
        for rows in found.values()
        for earlier, later in pairwise(rows)
    ]
    length = min(steps, default=_DEFAULT_LENGTH_S)
    if length <= 0:
        raise TrafficError("a client has two rows with the same window_start_s")
    return length


def _traffic(name: str, rows: list[Row], length: int) -> Traffic:
    return Traffic(
        name,
        np.array([row.start_s for row in rows], np.int64),
        np.array([row.requests for row in rows], np.int64),
        np.array([row.cv for row in rows], np.float64),
        np.full(len(rows), length, np.float64),
        np.zeros(len(rows), np.bool_),
    )
