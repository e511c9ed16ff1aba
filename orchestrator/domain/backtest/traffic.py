"""Recorded traffic: how many requests came to an endpoint in each stretch of some minutes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
COLUMNS = ("client", "window_start_s", "requests", "cv")
STRETCH_S = 600
# Sums of waiting stay whole numbers of 64 bits, and dates within the calendar.
_MOST_REQUESTS, _HIGHEST_CV, _LONGEST_S = 10**8, 10**6, 3653 * 86400

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class TrafficError(ValueError):
    """Traffic that cannot be read; the message names the line and what is wrong there."""


class StretchError(TrafficError):
    """Rows do not fit the length of a stretch."""


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

    line: int
    start_s: int
    requests: int
    cv: float


def read_csv(
    lines: Iterable[str], stretch_s: int = STRETCH_S, length_s: int | None = None
) -> Fleet:
    """Read `client,window_start_s,requests,cv`; a stretch of `stretch_s` without a row saw none.

    A byte order mark before it is no part of it.

    The trace lasts `length_s`, what comes later is left out; None ends it with its last row.
    Raises TrafficError.
    """
    reader = csv.reader(_unmarked(lines))
    header = next(reader, [])
    if tuple(name.strip() for name in header) != COLUMNS:
        raise TrafficError(f"line 1: the columns must be {','.join(COLUMNS)}")
    found: dict[str, list[Row]] = {}
    for number, cells in enumerate(reader, start=2):
        if cells:
            found.setdefault(cells[0], []).append(_row(number, cells, stretch_s))
    if not found:
        raise TrafficError("line 2: there is no row of traffic")
    for rows in found.values():
        _in_order(rows)
    return _fleet(found, stretch_s, length_s)


def _unmarked(lines: Iterable[str]) -> Iterator[str]:
    for place, line in enumerate(lines):
        yield line if place else line.removeprefix("\ufeff")


def _value(number: int, column: str, text: str) -> float:
    """Read one cell, a whole number but for cv. Raises TrafficError."""
    try:
        return float(text) if column == "cv" else int(text)
    except ValueError:
        wanted = "a number like 1.5" if column == "cv" else "a whole number like 600"
        problem = f"{column} is {text[:40]!r}, where {wanted} is expected"
        raise TrafficError(f"line {number}: {problem}") from None


def _row(number: int, cells: list[str], stretch_s: int) -> Row:
    if len(cells) != len(COLUMNS):
        raise TrafficError(f"line {number}: {len(cells)} values where there are four columns")
    start, requests, cv = (
        _value(number, column, text) for column, text in zip(COLUMNS[1:], cells[1:], strict=True)
    )
    row = Row(number, int(start), int(requests), cv)
    if not cells[0]:
        raise TrafficError(f"line {number}: client is empty")
    if row.start_s < 0 or row.requests < 1 or not 0 <= row.cv < float("inf"):
        problem = "window_start_s must be 0 or more, requests 1 or more, cv 0 or more"
        raise TrafficError(f"line {number}: {problem}")
    if row.requests > _MOST_REQUESTS or row.cv > _HIGHEST_CV or row.start_s > _LONGEST_S:
        most = f"window_start_s {_LONGEST_S}, requests {_MOST_REQUESTS}, cv {_HIGHEST_CV}"
        raise TrafficError(f"line {number}: too much: at most {most}")
    if row.start_s % stretch_s:
        raise StretchError(
            f"line {number}: window_start_s {row.start_s} is no multiple of {stretch_s} seconds, "
            "the length of a stretch"
        )
    return row


def _in_order(rows: list[Row]) -> None:
    """Sort the rows of one client. Raises TrafficError where two are of the same stretch."""
    rows.sort(key=lambda row: row.start_s)
    for before, after in pairwise(rows):
        if before.start_s == after.start_s:
            raise TrafficError(
                f"line {after.line}: the client has a row with window_start_s {after.start_s} in "
                f"line {before.line} already"
            )


def _fleet(found: Mapping[str, list[Row]], stretch_s: int, length_s: int | None) -> Fleet:
    last = max(rows[-1].start_s for rows in found.values())
    length = last + stretch_s if length_s is None else length_s
    endpoints = (_traffic(name, rows, stretch_s) for name, rows in sorted(found.items()))
    return Fleet(tuple(one.part(0, length) for one in endpoints), length)


def _traffic(name: str, rows: list[Row], length: int) -> Traffic:
    return Traffic(
        name,
        np.array([row.start_s for row in rows], np.int64),
        np.array([row.requests for row in rows], np.int64),
        np.array([row.cv for row in rows], np.float64),
        np.full(len(rows), length, np.float64),
        np.zeros(len(rows), np.bool_),
    )
