"""How far endpoints are wrong together: by how the fleet's days differ, and by days left out.

The errors of endpoints in the same days are correlated, more under long timeouts than under short
ones. What they have in common is told as a part of the variance of each, as an intraclass
correlation is: the variance of the sum over the square of the sum of standard deviations. So it
falls on those whose hours are in doubt, and not on those that are awake all day anyhow.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.domain.backtest.days import HOURS, STARTS
from orchestrator.domain.backtest.forecast import Forecaster
from orchestrator.domain.backtest.traffic import Floats

BOTH = (HOURS, STARTS)


def shared_luck(tables: Floats, learnt: Forecaster) -> Floats:
    """Return the common part of the variance, of hours and starts: shaped (candidates, 2).

    The greater of two measures, as neither sees all: the fleet's days, and errors on days left out.
    """
    spread = learnt.spread().mean(0)[:, BOTH] * len(tables)
    found = np.maximum(_ratio(_drift(tables) ** 2, spread**2), _left_out(tables))
    return np.minimum(found, 1.0)


def _drift(tables: Floats) -> Floats:
    """The deviation of a fleet's week from the week before it, by candidate.

    From its days, as if they were independent; and it has drifted by as much as from the first
    half of its days to the last, in either direction.
    """
    fleet = tables[:, :, :, BOTH].sum(0)
    days = fleet.shape[1]
    half = days // 2
    moved = fleet[:, -half:].mean(1) - fleet[:, :half].mean(1)
    found: Floats = np.hypot(moved, fleet.std(1, ddof=1) * np.sqrt(2 / days))
    return found


def _left_out(tables: Floats) -> Floats:
    """The common part of errors, as days are foretold that were not learnt from.

    The days are parted in the middle, and a day later. Each part is foretold from the other: the
    past from what came after it too, as a trend may turn.
    """
    together, most = np.zeros((2, tables.shape[1], len(BOTH)))
    for known, rest in _parted(tables):
        error, spread = _foretold(known, rest)
        together += np.maximum(error.sum(0) ** 2 - (error**2).sum(0), 0)
        most += spread.sum(0) ** 2
    return _ratio(together, most)


def _parted(tables: Floats) -> Iterator[tuple[Floats, Floats]]:
    days = tables.shape[2]
    for whole in (tables, tables[:, :, ::-1]):
        for cut in (days // 2, days // 2 + 1):
            if whole[:, 0, :cut, HOURS].any():
                yield whole[:, :, :cut], whole[:, :, cut:]


def _foretold(known: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """The errors for the rest, and how far they were to be expected to scatter, by endpoint.

    As in a file of traffic, endpoints without requests are not among those learnt from.
    """
    seen = np.flatnonzero(known[:, 0, :, HOURS].any(1))
    learnt = Forecaster(known[seen])
    places = {int(one): place for place, one in enumerate(seen)}
    expected = [
        learnt.expect(past, without=places[one]) if one in places else learnt.unknown(new=True)
        for one, past in enumerate(known)
    ]
    error = rest.mean(2) - np.stack([one.mean for one in expected])
    spread = np.stack([learnt.scatter(one) for one in expected])
    return error[:, :, BOTH], spread[:, :, BOTH]


def _ratio(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.zeros_like(below), where=below > 0)
    return found
