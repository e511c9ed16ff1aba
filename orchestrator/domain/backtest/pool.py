"""What may come of a fleet: draws of what is expected, with its errors, and luck in common.

Endpoints are often wrong together: a holiday, a launch, a quiet month. The errors that a forecast
makes on its own cases hide that, as the outcomes of other endpoints in the same days are among what
it knows. `shared` tells how much it is.
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


@dataclass(frozen=True, slots=True)
class Draws:
    """Possible hours and starts of a day, shaped (draws, endpoints).

    Hours may lie outside of a day, as sums would be too sure otherwise.
    """

    hours: Floats
    starts: Floats


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
        drawn = np.empty((DRAWS, len(expected), len(BOTH)))
        for place, (one, candidate) in enumerate(zip(expected, chosen, strict=True)):
            case = one.nearest[_pick(weight[:, one.nearest], dice.random(DRAWS))]
            drawn[:, place] = self._possible(one, candidate, case)
            drawn[:, place] += luck * self._common(one, candidate)
        return Draws(drawn[:, :, 0], np.maximum(drawn[:, :, 1], 0))

    def _possible(self, one: Expected, candidate: int, case: Ints) -> Floats:
        """What is its own in what comes: with errors of cases, or what became of others."""
        found: Floats = self.cases.outcome[case, candidate][:, BOTH]
        if one.share:
            found = one.mean[candidate, BOTH] + self.errors[case, candidate][:, BOTH]
        return found

    def _common(self, one: Expected, candidate: int) -> Floats:
        """The standard deviation of what it has in common with the fleet."""
        spread = self.errors[one.nearest, candidate][:, BOTH].std(0)
        found: Floats = np.sqrt(self._shared[candidate]) * spread
        return found


def _pick(weight: Floats, chance: Floats) -> Ints:
    """One column for each row, with these odds; any column where no odds are left."""
    sums = weight.cumsum(1)
    empty = sums[:, -1] <= 0
    sums[empty] = np.arange(1, weight.shape[1] + 1)
    found: Ints = np.minimum((sums <= (chance * sums[:, -1])[:, None]).sum(1), weight.shape[1] - 1)
    return found
