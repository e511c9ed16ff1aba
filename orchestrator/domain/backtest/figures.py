"""Figures of a backtest: by policy and endpoint, and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.policies import Policy, segments
from orchestrator.domain.backtest.replay import Replay, clairvoyant, replay
from orchestrator.domain.backtest.traffic import HOUR, SECOND

FLOOR = "clairvoyant"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all endpoints of a backtest.

    `origin` is the instant at which the trace starts; `price` is nano-dollars for an hour;
    `startup` is in microseconds. `prices` has the endpoints for which an hour costs something else.
    """

    origin: datetime
    length: int
    price: int
    startup: int
    prices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a policy: billed and waiting microseconds, nano-dollars, and counts.

    `cold_starts` are those that a request met, `planned_starts` those that a window made.
    `refused` requests met it paused, `delayed` ones met a start.
    """

    billed: int = 0
    cost: int = 0
    cold_starts: int = 0
    planned_starts: int = 0
    delayed: int = 0
    waiting: int = 0
    refused: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.billed + other.billed,
            self.cost + other.cost,
            self.cold_starts + other.cold_starts,
            self.planned_starts + other.planned_starts,
            self.delayed + other.delayed,
            self.waiting + other.waiting,
            self.refused + other.refused,
        )

    @property
    def waiting_s(self) -> float:
        """Return the seconds that requests waited, together."""
        return self.waiting / SECOND

    @property
    def billed_hours(self) -> float:
        """Return billed hours."""
        return self.billed / HOUR


@dataclass(frozen=True, slots=True)
class Line:
    """One policy over one endpoint."""

    endpoint: str
    policy: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Backtest:
    """All policies over all endpoints; `FLOOR` and always-on are among the policies."""

    policies: tuple[str, ...]
    endpoints: tuple[str, ...]
    lines: tuple[Line, ...]

    def totals(self) -> dict[str, Figures]:
        """Return the sums over the endpoints, by policy, in order."""
        sums = dict.fromkeys(self.policies, Figures())
        for line in self.lines:
            sums[line.policy] += line.figures
        return sums


def cost_of(price: int, microseconds: int) -> int:
    """Return nano-dollars at a price for an hour, rounded half to even."""
    quotient, remainder = divmod(price * microseconds, HOUR)
    return quotient + (2 * remainder + (quotient & 1) > HOUR)


def figures_of(found: Replay, price: int) -> Figures:
    """Return the figures of a replay."""
    planned = sum(start.planned for start in found.starts)
    return Figures(
        found.billed,
        cost_of(price, found.billed),
        len(found.starts) - planned,
        planned,
        sum(wait.requests for wait in found.waits),
        sum(wait.total for wait in found.waits),
        sum(one.requests for one in found.refused),
    )


def backtest(
    endpoints: Iterable[tuple[str, Arrivals]], policies: Sequence[Policy], terms: Terms
) -> Backtest:
    """Run all policies, and the clairvoyant floor, over all endpoints."""
    plans = [(one, segments(one, terms.origin, terms.length, terms.startup)) for one in policies]
    names, lines = [], []
    for name, arrivals in endpoints:
        names.append(name)
        runs = [(one.name, replay(arrivals, one, plan, terms.startup)) for one, plan in plans]
        runs.append((FLOOR, clairvoyant(arrivals, terms.length, terms.startup)))
        price = terms.prices.get(name, terms.price)
        lines += [Line(name, policy, figures_of(run, price)) for policy, run in runs]
    return Backtest((*(one.name for one in policies), FLOOR), tuple(names), tuple(lines))
