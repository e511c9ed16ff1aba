"""How good advice is: given on the first half of a trace, judged on the second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.domain.backtest.advice import Advice, Fleetwide, Prices
from orchestrator.domain.backtest.advise import Adviser
from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.days import GRID, HOURS, STARTS, Setting, daily
from orchestrator.domain.backtest.policies import Policy, always_on, segments
from orchestrator.domain.backtest.replay import replay
from orchestrator.domain.backtest.traffic import DAY, SECOND, Floats, Traffic

FEWEST = 4
_WEEK_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Verdict:
    """What advice promised and what came; hours of being awake stand for costs.

    `beyond` is cost and priced waiting under the advice over those of `best`, the single timeout
    (or always-on) that is best in hindsight for these endpoints in the second week, minus 1;
    `beyond_known` the same over `known`, the one that was best in the week before for those that
    the adviser learnt from, and `beyond_timeout` over `timeout`, the best in hindsight of the
    timeouts alone. `covered` are the shares of endpoints whose hours, and whose starts,
    lie in their intervals.
    """

    who: str
    minute: int
    endpoints: int
    promised: float
    low: float
    high: float
    came: float
    best: str
    beyond: float
    known: str
    beyond_known: float
    timeout: str
    beyond_timeout: float
    covered: tuple[float, float]
    rules: dict[str, int]

    @property
    def error(self) -> float:
        """Return what came over what was promised, minus 1."""
        return self.came / self.promised - 1 if self.promised else 0.0

    @property
    def inside(self) -> bool:
        """Return whether it lies in the interval."""
        return self.low <= self.came <= self.high

    @property
    def unsure(self) -> int:
        """Return how many endpoints are not always on, so that their cost is not certain."""
        return self.endpoints - self.rules.get(always_on().name, 0)

    @property
    def unsure_inside(self) -> int:
        """Return how many of those have a cost in their interval."""
        return round(self.covered[0] * self.endpoints) - (self.endpoints - self.unsure)


def unsure_inside(verdicts: Sequence[Verdict]) -> float:
    """Return the share of costs in their own interval, of endpoints that are not always on."""
    count = sum(one.unsure for one in verdicts)
    return sum(one.unsure_inside for one in verdicts) / count if count else 1.0


class Judge:
    """The second week of a trace, under any rule that was in force in the first one too.

    The rule is not changed at midnight: who is awake then stays awake. So no rule gains or loses
    by a first start that the cut would bring about.
    """

    def __init__(self, fleet: Sequence[Traffic], setting: Setting, seed: int) -> None:
        self._setting = Setting(setting.origin, 2 * setting.length, setting.startup)
        self._arrivals = {one.name: Arrivals(one, seed) for one in fleet}
        self._seen: dict[tuple[str, str], Floats] = {}

    def week(self, endpoint: str, policy: Policy) -> Floats:
        """Return the sums of the week, as in `days`."""
        key = (endpoint, policy.describe())
        if key not in self._seen:
            self._seen[key] = self._run(self._arrivals[endpoint], policy)
        return self._seen[key]

    def _run(self, arrivals: Arrivals, policy: Policy) -> Floats:
        setting = self._setting
        plan = segments(policy, setting.origin, setting.length, setting.startup)
        found = daily(replay(arrivals, policy, plan, setting.startup), setting.days)
        total: Floats = found[setting.days // 2 :].sum(0)
        return total

    def verdict(self, who: str, given: Fleetwide, prices: Prices, known: Policy) -> Verdict:
        """Judge advice, also against the single rule that is `known` to have been best."""
        names = [one.endpoint for one in given.advice]
        came = np.stack([self.week(one.endpoint, one.policy) for one in given.advice])
        singles = {rule.name: self._sum(names, rule, prices) for rule in GRID}
        best = min(singles, key=lambda name: singles[name])
        timeout = min((one.name for one in GRID[:-1]), key=lambda name: singles[name])
        total = float(prices.priced(came.sum(0)))
        low, mean, high = (one / prices.hour for one in given.cost)
        return Verdict(
            who,
            prices.minute,
            len(names),
            mean,
            low,
            high,
            float(came[:, HOURS].sum()),
            best,
            _beyond(total, singles[best]),
            known.name,
            _beyond(total, singles[known.name]),
            timeout,
            _beyond(total, singles[timeout]),
            _covered(given.advice, came),
            _counts(given.advice),
        )

    def _sum(self, names: Sequence[str], rule: Policy, prices: Prices) -> float:
        sums = np.stack([self.week(name, rule) for name in names]).sum(0)
        return float(prices.priced(sums))


def calibrate(
    fleet: Sequence[Traffic], setting: Setting, grid: Sequence[Prices], seeds: Sequence[int]
) -> Iterator[Verdict]:
    """Judge advice from the first week on the second; `setting` is that of the first week.

    For each seed of the arrivals: the fleet itself, and half of the endpoints, drawn by the seed,
    by an adviser that has seen the other half only: with their own first week, with its last day
    alone, and with no past at all. Raises ValueError for fewer than `FEWEST` endpoints.
    """
    if len(fleet) < FEWEST:
        raise ValueError(f"calibration needs at least {FEWEST} endpoints")
    first = [one.part(0, _WEEK_S) for one in fleet]
    for seed in seeds:
        judge = Judge(fleet, setting, seed)
        adviser = Adviser(_used(first), setting, seed)
        for prices in grid:
            given = adviser.advise(first, prices)
            yield judge.verdict("all", given, prices, adviser.single(prices))
        order = np.random.default_rng(seed).permutation(len(fleet))
        half = len(fleet) // 2
        unseen = [first[place] for place in sorted(order[:half])]
        other = Adviser(_used([first[place] for place in order[half:]]), setting, seed)
        for who, days in (("unseen, a week", None), ("unseen, a day", 1), ("unseen", 0)):
            for prices in grid:
                given = other.advise(unseen, prices, days=days)
                yield judge.verdict(who, given, prices, other.single(prices))


def first_week(setting: Setting) -> Setting:
    """Return the setting of the first week of two. Raises ValueError for a shorter trace."""
    if setting.length < 2 * _WEEK_S * SECOND:
        raise ValueError("calibration needs two weeks of traffic")
    return Setting(setting.origin, 7 * DAY, setting.startup)


def _beyond(total: float, single: float) -> float:
    return float(total / single - 1) if single else 0.0


def _used(fleet: Sequence[Traffic]) -> list[Traffic]:
    """Those with requests: a file of traffic has no others."""
    return [one for one in fleet if len(one.requests)]


def _covered(advice: Sequence[Advice], came: Floats) -> tuple[float, float]:
    slack = 1e-6
    hours = [
        one.week.hours.low - slack <= value <= one.week.hours.high + slack
        for one, value in zip(advice, came[:, HOURS], strict=True)
    ]
    starts = [
        one.week.starts.low - slack <= value <= one.week.starts.high + slack
        for one, value in zip(advice, came[:, STARTS], strict=True)
    ]
    return float(np.mean(hours)), float(np.mean(starts))


def _counts(advice: Sequence[Advice]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in advice:
        sort = re.sub(r"idle-[0-9]+", "idle", one.policy.name)
        found[sort] = found.get(sort, 0) + 1
    return found
