"""Requests to an endpoint: a recorded client, replayed in blocks of ten minutes.

Inside a block the arrivals follow the rule that comes with the data: as many gaps as requests,
gamma-distributed with shape 1/cv², scaled to fill the block. A block is kept as at most twelve
marks: the first request, the last, and others between; each mark stands for the requests that end
at it. Second 0 is a Monday 00:00 UTC and the trace repeats after 14 days. An arrival is a pure
function of the trace, its seed and time, so traffic has no state.
"""

from __future__ import annotations

import csv
import gzip
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

from orchestrator.sandbox.instants import DAY, MINUTE, SECOND

BLOCK = 10 * MINUTE
BLOCKS_PER_LAP = 14 * DAY // BLOCK
MARKS = 12
_MONDAY = 4 * DAY  # 5 January 1970
_SAMPLE = "llm-traffic-sample.csv.gz"


@dataclass(frozen=True, slots=True)
class Window:
    """Requests of one block: its number in the trace, their count, and cv of the gaps."""

    block: int
    requests: int
    cv: float


class Trace:
    """Fourteen days of windows, indexed; may be shared."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self.windows = sorted(windows, key=lambda window: window.block)
        self.by_block = {window.block: window for window in self.windows}
        self.blocks = [window.block for window in self.windows]
        counts = (self.count(block) for block in range(BLOCKS_PER_LAP))
        self.before = [0, *accumulate(counts)]

    def count(self, place: int) -> int:
        """The requests of a block."""
        window = self.by_block.get(place)
        return window.requests if window else 0


@lru_cache(maxsize=1)
def recorded_clients() -> Mapping[str, Trace]:
    """The traces shipped with the package, by client."""
    found: dict[str, list[Window]] = {}
    packed = files("orchestrator.sandbox").joinpath("data").joinpath(_SAMPLE).read_bytes()
    for row in csv.DictReader(gzip.decompress(packed).decode().splitlines()):
        window = Window(
            int(row["window_start_s"]) * SECOND // BLOCK, int(row["requests"]), float(row["cv"])
        )
        found.setdefault(row["client"], []).append(window)
    return {client: Trace(windows) for client, windows in found.items()}


class Traffic:
    """The requests that reach one endpoint; `phase_s` delays the whole trace."""

    def __init__(
        self,
        trace: Trace | Iterable[Window],
        *,
        client: str = "",
        phase_s: int = 0,
        seed: int = 0,
    ) -> None:
        self.client = client
        self.phase_s = phase_s
        self.seed = seed
        self._trace = trace if isinstance(trace, Trace) else Trace(trace)
        self._origin = _MONDAY + phase_s * SECOND
        self._marks: dict[int, tuple[list[int], list[int]]] = {}

    @classmethod
    def recorded(cls, client: str, *, phase_s: int = 0, seed: int = 0) -> Traffic:
        """The trace of a shipped client; raises KeyError for an unknown one."""
        return cls(recorded_clients()[client], client=client, phase_s=phase_s, seed=seed)

    @classmethod
    def steady(cls, per_block: int, *, cv: float = 1.0, seed: int = 0) -> Traffic:
        """The same number of requests in every block of ten minutes."""
        return cls((Window(block, per_block, cv) for block in range(BLOCKS_PER_LAP)), seed=seed)

    def last(self, after: int, until: int) -> int | None:
        """The latest request in (after, until], or None."""
        block = (until - self._origin) // BLOCK
        marks, _ = self._block(block)
        found = bisect_right(marks, until)
        while not found:
            earlier = self._busy_before(block)
            if earlier is None or self._origin + (earlier + 1) * BLOCK <= after:
                return None
            block = earlier
            marks, _ = self._block(block)
            found = len(marks)
        return marks[found - 1] if marks[found - 1] > after else None

    def next(self, after: int) -> int | None:
        """The first request later than `after`, or None for an empty trace."""
        block = (after - self._origin) // BLOCK
        marks, _ = self._block(block)
        found = bisect_right(marks, after)
        if found < len(marks):
            return marks[found]
        later = self._busy_after(block)
        return None if later is None else self._block(later)[0][0]

    def count(self, after: int, until: int) -> int:
        """The number of requests in (after, until]."""
        return self._count_until(until) - self._count_until(after)

    def _count_until(self, instant: int) -> int:
        block = (instant - self._origin) // BLOCK
        lap, place = divmod(block, BLOCKS_PER_LAP)
        whole = lap * self._trace.before[-1] + self._trace.before[place]
        if not self._trace.count(place):
            return whole
        marks, weights = self._block(block)
        return whole + sum(weights[: bisect_right(marks, instant)])

    def _busy_before(self, block: int) -> int | None:
        if not self._trace.blocks:
            return None
        lap, place = divmod(block, BLOCKS_PER_LAP)
        index = bisect_left(self._trace.blocks, place) - 1
        return (lap - (index < 0)) * BLOCKS_PER_LAP + self._trace.blocks[index]

    def _busy_after(self, block: int) -> int | None:
        if not self._trace.blocks:
            return None
        lap, place = divmod(block, BLOCKS_PER_LAP)
        index = bisect_right(self._trace.blocks, place)
        lap, index = (lap, index) if index < len(self._trace.blocks) else (lap + 1, 0)
        return lap * BLOCKS_PER_LAP + self._trace.blocks[index]

    def _block(self, block: int) -> tuple[list[int], list[int]]:
        """The marks of a block as instants, with the number of requests that each stands for."""
        known = self._marks.get(block)
        if known is None:
            window = self._trace.by_block.get(block % BLOCKS_PER_LAP)
            known = self._draw(block, window) if window else ([], [])
            if len(self._marks) > 8:
                del self._marks[next(iter(self._marks))]
            self._marks[block] = known
        return known

    def _draw(self, block: int, window: Window) -> tuple[list[int], list[int]]:
        dice = random.Random(self.seed * 1_000_003 + block)  # noqa: S311 - a simulation
        shape = 1 / max(window.cv, 0.05) ** 2
        first = dice.gammavariate(shape, 1)
        sizes = _shares(window.requests - 1, MARKS - 1)
        gaps = [dice.gammavariate(shape * size, 1) for size in sizes]
        offset, total = dice.random() * first, first + sum(gaps)
        start = self._origin + block * BLOCK
        if total <= 0:
            return [start], [window.requests]
        spots = accumulate(gaps, initial=offset)
        marks = [start + min(int(BLOCK * spot / total), BLOCK - 1) for spot in spots]
        return marks, [1, *sizes]

    def to_dict(self) -> dict[str, Any]:
        """JSON values from which `from_dict` makes the same traffic."""
        base: dict[str, Any] = {"client": self.client, "phase_s": self.phase_s, "seed": self.seed}
        if not self.client:
            base["windows"] = [[w.block, w.requests, w.cv] for w in self._trace.windows]
        return base

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Traffic:
        """The traffic that `to_dict` described."""
        shift, seed = int(value["phase_s"]), int(value["seed"])
        if value["client"]:
            return cls.recorded(value["client"], phase_s=shift, seed=seed)
        windows = (Window(block, count, cv) for block, count, cv in value["windows"])
        return cls(windows, phase_s=shift, seed=seed)


def _shares(total: int, parts: int) -> list[int]:
    """`total` as at most `parts` whole shares, none of them empty."""
    parts = min(total, parts)
    return [total // parts + (place < total % parts) for place in range(parts)] if parts else []
