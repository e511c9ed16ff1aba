"""Adding up ledger rows over spans of time; pure.

The cost of a stretch up to an instant is a function of that instant, and the cost of a part of it
is the difference of two values. So the parts of any split add up to the whole to the nano-dollar,
by day or by month, in one report or in several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.costs.figures import Figure
from orchestrator.domain.money import amount_for


class Part(NamedTuple):
    """What a stretch cost from its start to some second."""

    nano: int
    low: int
    high: int
    unpriced: int
    billed: int
    replica_seconds: int


class Span(NamedTuple):
    """One interval to add up: its start in seconds since 1970, burns in nano-dollars per hour."""

    started: int
    replicas: int
    burn_low: int | None
    burn: int | None
    burn_high: int | None
    rounding: int

    @property
    def idle(self) -> bool:
        """Return whether nothing ran and nothing can have been billed."""
        return self.burn_high == 0 and not self.replicas and not self.rounding


NOTHING = Part(0, 0, 0, 0, 0, 0)


def until(span: Span, second: int) -> Part:
    """Return what `span` cost from its start until `second`, which lies within it."""
    seconds = second - span.started
    if seconds <= 0:
        return NOTHING
    billed = seconds if span.replicas else 0
    if span.burn_high is None:
        return Part(0, 0, 0, seconds, billed, seconds * span.replicas)
    burn, least = span.burn or 0, span.burn_low or 0
    nano = amount_for(burn, seconds)
    low = nano if least == burn else amount_for(least, seconds)
    high = nano if span.burn_high == burn else amount_for(span.burn_high, seconds)
    low = max(0, low - span.rounding)
    return Part(nano, low, high + span.rounding, 0, billed, seconds * span.replicas)


@dataclass(slots=True)
class Sum:
    """A running total; `billed` counts seconds with at least one replica."""

    nano: int = 0
    low: int = 0
    high: int = 0
    unpriced: int = 0
    billed: int = 0
    replica_seconds: int = 0

    def add(self, part: Part, less: Part = NOTHING) -> None:
        """Add a part of a stretch: `part` less what was before it."""
        self.nano += part.nano - less.nano
        self.low += part.low - less.low
        self.high += part.high - less.high
        self.unpriced += part.unpriced - less.unpriced
        self.billed += part.billed - less.billed
        self.replica_seconds += part.replica_seconds - less.replica_seconds

    def join(self, other: Sum) -> None:
        """Add another total."""
        self.nano += other.nano
        self.low += other.low
        self.high += other.high
        self.unpriced += other.unpriced
        self.billed += other.billed
        self.replica_seconds += other.replica_seconds

    def figure(self) -> Figure:
        """Return the money of it."""
        return Figure(self.nano, self.low, self.high, self.unpriced)
