"""Single requests from counts: gamma gaps, drawn only as finely as somebody looks.

In a stretch with n requests the n gaps between them are gamma-distributed with shape 1/cv²,
scaled to fill it, and the first request comes at a uniform point of the first gap. The sum of m
such gaps is gamma-distributed too, with shape m/cv², so that gaps can be drawn in *blocks* and a
block be split later, which gives the same distribution as drawing each gap (the shares are
Dirichlet). Splits are seeded by their place, so that the order of looking changes nothing and
splitting everything yields the one list of requests that all answers are about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from orchestrator.domain.backtest.traffic import SECOND, Floats, Ints, Traffic

BLOCKS = 32  # the parts of a stretch, and of a block that is split
# Waiting is known to this share of itself; see `Arrivals.waiting`.
TOLERANCE = 1e-4
_SMALLEST_CV = 0.02
_SMALL_SHAPE = 0.1


@dataclass(frozen=True, slots=True)
class Stretches:
    """Maximal runs of requests in which no gap reaches a limit; microseconds, in order."""

    first: list[int]
    last: list[int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many requests wait in a start, and for how many microseconds together."""

    requests: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Consecutive blocks: `count` requests after `before`, the last of them at `at`."""

    before: Ints
    at: Ints
    count: Ints
    ordinal: Ints  # of the first request of each
    shape: Floats  # of one gap

    def pick(self, index: slice | Ints) -> _Blocks:
        return _Blocks(
            self.before[index],
            self.at[index],
            self.count[index],
            self.ordinal[index],
            self.shape[index],
        )


class Arrivals:
    """The requests of one endpoint; instants are microseconds from the start of the trace."""

    def __init__(self, traffic: Traffic, seed: int = 0) -> None:
        name = blake2b(traffic.name.encode(), digest_size=8).digest()
        self._key = np.array([seed, int.from_bytes(name, "big")], np.uint64)
        self._blocks = self._draw(traffic)
        self._splits: dict[tuple[int, int], _Blocks] = {}
        self._stretches: dict[int, Stretches] = {}
        self._waiting: dict[tuple[int, int], Waiting] = {}
        self.requests = int(traffic.requests.sum())

    @property
    def first(self) -> int | None:
        """The first request of all."""
        return int(self._blocks.at[0]) if len(self._blocks.at) else None

    @property
    def last(self) -> int | None:
        """The last request of all."""
        return int(self._blocks.at[-1]) if len(self._blocks.at) else None

    def all(self) -> Ints:
        """Every single request; large."""
        parts = [np.array(list(self._singles(i)), np.int64) for i in range(len(self._blocks.at))]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def stretches(self, limit: int) -> Stretches:
        """The runs of requests without a gap of `limit` or more."""
        if limit not in self._stretches:
            self._stretches[limit] = self._find_stretches(limit)
        return self._stretches[limit]

    def next_from(self, instant: int) -> int | None:
        """The first request at or after an instant."""
        return self._around(instant)[1]

    def last_before(self, instant: int) -> int | None:
        """The last request before an instant."""
        return self._around(instant)[0]

    def count(self, since: int, until: int) -> int:
        """How many requests came in `[since, until)`."""
        return int(self._within(since, until).count.sum())

    def waiting(self, since: int, ready: int) -> Waiting:
        """The requests in `[since, ready)` and how long they wait for `ready`.

        The number is exact. Inside blocks that are not split requests are taken to come evenly;
        blocks are split until the error of the sum is expected under `TOLERANCE`.
        """
        if (since, ready) not in self._waiting:
            inside = self._within(since, ready)
            total = self._total_waiting(inside, ready)
            self._waiting[since, ready] = Waiting(int(inside.count.sum()), total)
        return self._waiting[since, ready]

    def _draw(self, traffic: Traffic) -> _Blocks:
        """Draw the first gap of each stretch alone, and the others in blocks."""
        dice = np.random.Generator(np.random.Philox(key=self._key))
        shape = 1 / np.maximum(traffic.cv, _SMALLEST_CV) ** 2
        parts = np.minimum(traffic.requests - 1, BLOCKS)
        per = 1 + parts
        owner = np.repeat(np.arange(len(per)), per)
        head = np.cumsum(per) - per
        place = np.arange(len(owner)) - head[owner] - 1
        rest, many = traffic.requests - 1, np.maximum(parts, 1)
        count = (rest // many)[owner] + (place < (rest % many)[owner])
        count[head] = 1
        at = self._places(dice, traffic, shape[owner] * count, owner, head)
        return _Blocks(
            np.concatenate(([np.int64(-1)], at[:-1])) if len(at) else at,
            at,
            count,
            np.cumsum(count) - count,
            shape[owner],
        )

    @staticmethod
    def _places(
        dice: np.random.Generator, traffic: Traffic, shape: Floats, owner: Ints, head: Ints
    ) -> Ints:
        if not len(owner):
            return np.empty(0, np.int64)
        logs = _log_gamma(dice, shape)
        weights = np.exp(logs - np.maximum.reduceat(logs, head)[owner])
        whole = np.add.reduceat(weights, head)[owner]
        weights[head] *= dice.random(len(head))
        sums = np.cumsum(weights / whole)
        sums -= (sums[head] - weights[head] / whole[head])[owner]
        tail = np.append(head[1:], len(owner)) - 1
        sums /= np.where(traffic.ends, sums[tail], 1.0)[owner]
        span = (traffic.span_s * SECOND)[owner]
        inside = np.minimum((sums * span).astype(np.int64), span.astype(np.int64) - 1)
        return np.maximum.accumulate((traffic.start_s * SECOND)[owner] + inside)

    def _split(self, before: int, at: int, count: int, ordinal: int, shape: float) -> _Blocks:
        """The parts of one block of at least two requests."""
        known = self._splits.get((ordinal, count))
        if known is None:
            known = self._draw_split(before, at, count, ordinal, shape)
            self._splits[ordinal, count] = known
        return known

    def _draw_split(self, before: int, at: int, count: int, ordinal: int, shape: float) -> _Blocks:
        place = np.array([ordinal, count, 1, 0], np.uint64)
        dice = np.random.Generator(np.random.Philox(key=self._key, counter=place))
        parts = min(count, BLOCKS)
        counts = np.full(parts, count // parts, np.int64)
        counts[: count % parts] += 1
        logs = _log_gamma(dice, np.float64(shape) * counts.astype(np.float64))
        sums = np.cumsum(np.exp(logs - logs.max()))
        ends = before + (sums / sums[-1] * (at - before)).astype(np.int64)
        ends[-1] = at
        return _Blocks(
            np.concatenate(([np.int64(before)], ends[:-1])),
            ends,
            counts,
            ordinal + np.cumsum(counts) - counts,
            np.full(parts, shape),
        )

    def _parts(self, blocks: _Blocks, index: int) -> _Blocks:
        return self._split(
            int(blocks.before[index]),
            int(blocks.at[index]),
            int(blocks.count[index]),
            int(blocks.ordinal[index]),
            float(blocks.shape[index]),
        )

    def _singles(self, index: int) -> Iterator[int]:
        waiting = [self._blocks.pick(slice(index, index + 1))]
        while waiting:
            blocks = waiting.pop()
            if blocks.count[0] == 1:
                yield int(blocks.at[0])
            else:
                parts = self._parts(blocks, 0)
                size = len(parts.at)
                waiting += [parts.pick(slice(i, i + 1)) for i in reversed(range(size))]

    def _find_stretches(self, limit: int) -> Stretches:
        blocks = self._blocks
        if not len(blocks.at):
            return Stretches([], [])
        firsts, lasts = [int(blocks.at[0])], []
        for index in np.flatnonzero(blocks.at - blocks.before >= limit):
            if index:
                for before, after in self._long_gaps(blocks, int(index), limit):
                    lasts.append(before)
                    firsts.append(after)
        return Stretches(firsts, [*lasts, int(blocks.at[-1])])

    def _long_gaps(self, blocks: _Blocks, index: int, limit: int) -> Iterator[tuple[int, int]]:
        if blocks.count[index] == 1:
            yield int(blocks.before[index]), int(blocks.at[index])
            return
        parts = self._parts(blocks, index)
        for part in np.flatnonzero(parts.at - parts.before >= limit):
            yield from self._long_gaps(parts, int(part), limit)

    def _around(self, instant: int) -> tuple[int | None, int | None]:
        """The last request before an instant, and the first at or after it."""
        blocks, before = self._blocks, None
        while True:
            index = int(np.searchsorted(blocks.at, instant))
            before = int(blocks.at[index - 1]) if index else before
            if index == len(blocks.at):
                return before, None
            if blocks.count[index] == 1:
                return before, int(blocks.at[index])
            blocks = self._parts(blocks, index)

    def _within(self, since: int, ready: int) -> _Blocks:
        """Blocks that hold the requests in `[since, ready)` and no other."""
        waiting, kept = [self._blocks], []
        while waiting:
            blocks = waiting.pop()
            low = int(np.searchsorted(blocks.at, since))
            # Every request of a block lies at or after `before`, and the last one at `at`.
            high = int(np.searchsorted(blocks.before, ready))
            blocks = blocks.pick(slice(low, high))
            whole = (blocks.at < ready) & ((blocks.before >= since) | (blocks.count == 1))
            kept.append(blocks.pick(np.flatnonzero(whole)))
            split = np.flatnonzero(~whole & (blocks.count > 1))
            waiting += [self._parts(blocks, int(index)) for index in split]
        return _joined(kept)

    def _total_waiting(self, blocks: _Blocks, ready: int) -> int:
        while True:
            length = blocks.at - blocks.before
            each = blocks.count * (ready - blocks.before) - length * (blocks.count + 1) // 2
            each = np.where(blocks.count == 1, ready - blocks.at, each)
            total = int(each.sum(dtype=np.float64))  # whole up to 285 years of waiting
            # The area of a bridge of `count` gaps; see also the bound by the block's own length.
            spread = length * np.sqrt(blocks.count / (12 * blocks.shape))
            error = np.where(blocks.count > 1, np.minimum(spread, length * blocks.count / 2), 0.0)
            rough = _too_rough(error, TOLERANCE * total)
            if not len(rough):
                return total
            fine = np.ones(len(error), np.bool_)
            fine[rough] = False
            parts = [self._parts(blocks, int(index)) for index in rough]
            blocks = _joined([blocks.pick(np.flatnonzero(fine)), *parts])


def _too_rough(errors: Floats, allowed: float) -> Ints:
    """The fewest blocks without which the errors add up (as independent ones) to what is allowed.

    Large errors are taken first.
    """
    order = np.argsort(errors)
    sums = np.cumsum(errors[order] ** 2)
    return order[sums > allowed**2]


def _joined(parts: list[_Blocks]) -> _Blocks:
    return _Blocks(
        np.concatenate([part.before for part in parts]),
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.ordinal for part in parts]),
        np.concatenate([part.shape for part in parts]),
    )


def _log_gamma(dice: np.random.Generator, shape: Floats) -> Floats:
    """Logarithms of gamma variates; tiny shapes would underflow otherwise.

    G(a) is distributed as G(a + 1) · U^(1/a), Marsaglia and Tsang 2000, section 6.
    """
    small = shape < _SMALL_SHAPE
    logs: Floats = np.log(dice.standard_gamma(np.where(small, shape + 1, shape)))
    if small.any():
        logs[small] += np.log1p(-dice.random(int(small.sum()))) / shape[small]
    return logs
