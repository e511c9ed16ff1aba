"""What may come of a fleet: draws of what is expected, with its errors, and luck in common.

Endpoints are often wrong together: a holiday, a launch, a quiet month. The errors that a forecast
makes on its own cases hide that, as the outcomes of other endpoints in the same days are among what
it knows. `shared` tells how much it is.

What has too few like it in the fleet goes on, in some draws, as in days of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.domain.backtest.forecast import Expected, Forecaster
from orchestrator.domain.backtest.shared import BOTH, shared_luck
from orchestrator.domain.backtest.traffic import Floats, Ints

FEWEST_DAYS = 4
DRAWS = 400
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Draws:
    """Possible hours and starts of a day, shaped (draws, endpoints).

    Hours may lie outside of a day, as sums would be too sure otherwise. `on` is what comes if all
    go on as they did, shaped (endpoints, 2); of what has enough like it, what is expected.
    """

    hours: Floats
    starts: Floats
    on: Floats


class Pool(Forecaster):
    """The cases of a fleet. Raises ValueError below `FEWEST_DAYS` days."""

    def __init__(self, tables: Floats) -> None:
        days = tables.shape[2]
        if days < FEWEST_DAYS:
            raise ValueError(f"{FEWEST_DAYS} whole days of traffic are needed, not {days}")
        super().__init__(tables)
        self._shared = shared_luck(tables, self)

    def draw(self, expected: Sequence[Expected], chosen: Sequence[int], seed: int) -> Draws:
        """Return what may come of chosen candidates: by errors of cases, and luck in common.

        The cases of one draw share a cut; endpoints of the pool are weighted anew for each draw,
        as they are themselves a sample (Rubin 1981, the Bayesian bootstrap).
        """
        dice = np.random.default_rng([seed, len(expected)])
        count = int(self.cases.endpoint.max()) + 1
        cuts = np.unique(self.cases.cut)
        weight = dice.exponential(size=(DRAWS, count))[:, self.cases.endpoint]
        weight *= self.cases.cut == dice.choice(cuts, DRAWS)[:, None]
        half = dice.standard_normal(DRAWS // 2)
        luck = np.concatenate((half, -half))[:, None]
        again = _Again(seed, max((one.past.shape[1] for one in expected), default=0))
        drawn = np.empty((DRAWS, len(expected), len(BOTH)))
        on = np.empty((len(expected), len(BOTH)))
        for place, (one, candidate) in enumerate(zip(expected, chosen, strict=True)):
            common = luck * np.sqrt(self._shared[candidate])
            case = one.nearest[_pick(weight[:, one.nearest] * one.odds, dice.random(DRAWS))]
            drawn[:, place] = self._possible(one, candidate, case)
            drawn[:, place] += common * self.scatter(one)[candidate, BOTH]
            on[place] = again.draw(one, candidate, drawn[:, place], common)
        return Draws(drawn[:, :, 0], np.maximum(drawn[:, :, 1], 0), on)

    def _possible(self, one: Expected, candidate: int, case: Ints) -> Floats:
        """What is its own in what comes: with errors of cases, or what became of others."""
        found: Floats = self.cases.outcome[case, candidate][:, BOTH]
        if one.past.shape[1]:
            found = one.mean[candidate, BOTH] + self.errors[case, candidate][:, BOTH]
        return found


class _Again:
    """Draws of endpoints that go on as in days of their own: the same days for all of them.

    A week is as far from the mean as one half of the days, drawn with replacement, is from the
    other; as few days tell little of their scatter, by Student's distribution (1908).
    """

    def __init__(self, seed: int, days: int) -> None:
        dice = np.random.default_rng([seed, days])
        self._chance, half = dice.random(DRAWS), days // 2
        later, before = (_drawn(dice, days, count) for count in (min(half, _WEEK), half))
        wide = np.sqrt(days / dice.chisquare(max(days - 1, 1), DRAWS))
        self._weight: Floats = wide[:, None] * (later - before)

    def draw(self, one: Expected, candidate: int, drawn: Floats, common: Floats) -> Floats:
        """Replace some draws, the more the less of the fleet is like it; return how it goes on.

        A single day tells of no scatter, so nothing is drawn from it.
        """
        days = one.past[candidate][:, BOTH]
        if one.trust >= 1 or len(days) <= 1:
            found: Floats = one.mean[candidate, BOTH]
            return found
        own = self._chance >= one.trust
        mean: Floats = days.mean(0)
        about = self._weight @ days
        drawn[own] = (mean + about + common * about.std(0))[own]
        return mean


def _drawn(dice: np.random.Generator, days: int, count: int) -> Floats:
    """The weights of days in means of so many drawn, shaped (draws, days)."""
    at = dice.integers(max(days, 1), size=(DRAWS, count))
    found: Floats = (at[:, :, None] == np.arange(days)).sum(1) / max(count, 1)
    return found


def _pick(weight: Floats, chance: Floats) -> Ints:
    """One column for each row, with these odds; any column where no odds are left."""
    sums = weight.cumsum(1)
    empty = sums[:, -1] <= 0
    sums[empty] = np.arange(1, weight.shape[1] + 1)
    found: Ints = np.minimum((sums <= (chance * sums[:, -1])[:, None]).sum(1), weight.shape[1] - 1)
    return found
