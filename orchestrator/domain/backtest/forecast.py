"""What became of endpoints like this one: expectations and their errors, from a fleet's history.

The history of each endpoint is cut at several days. The days before a cut are a case, what came
after it is its outcome. An endpoint's next days are expected to be partly like its own past and
partly like the outcomes of the cases nearest to it, so that a lucky week is not taken for a law,
and that endpoints which fall silent or wake up are reckoned with. What was expected of each case
without its own endpoint, held against its outcome, gives the errors to count on. In a small fleet
there may be no case like it; the fewer there are, the more it is expected to go on as it did.

Arrays of days are shaped (candidates, days, 5) as in `days`; those of a fleet have the endpoints
before that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.backtest.days import AMID, FIGURES, HOURS, MINUTES, SHORT, STARTS
from orchestrator.domain.backtest.traffic import Floats, Ints

# So many days of own history weigh as much as the cases nearest to it.
OWN_DAYS = 7.0
# The nearest cases, as far as they lie within a distance, or the first few. Those beyond it weigh
# less, and the fleet has its whole part only where so many are alike that no single one decides.
NEAREST, FEWEST_NEAREST, DISTANCE = 60, 15, 1.0
# How far endpoints move between the halves of a week, as standard deviations: of a feature (root
# mean square of the three), and of the logarithm of what requests wait at a start.
WIDTH, PACE_WIDTH = 0.8, 1.4
# What is waited at a start is known by days of requests; the fleet's mean counts as one of them.
FLEET_DAYS = 1.0
# In the choice of a rule the whole fleet weighs as much as so many days; without a past, one half.
CHOICE_DAYS, UNKNOWN_CHOICE = 2.0, 0.5
_HOUR_SCALE, _START_SCALE = 8.0, 4.0
_SHORT_DAYS = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """Means for a day by candidate, shaped (candidates, 5), and the cases that they come from.

    `odds` are those of the nearest cases, by likeness, and `trust` how far there are enough: 1 with
    as many as are needed. `past` are its own days, shaped (candidates, days, 5).
    `reckoned` is what a rule is chosen by: waiting has a heavy tail, of which few days of one
    endpoint tell nothing, so the fleet's mean has a part in it.
    """

    mean: Floats
    nearest: Ints
    odds: Floats
    trust: float
    past: Floats
    reckoned: Floats


@dataclass(frozen=True, slots=True)
class Cases:
    """Pasts with their outcomes, one row for each cut of each endpoint."""

    features: Floats
    outcome: Floats  # (cases, candidates, 5), means for a day
    waiting: Floats  # minutes of waiting at a start, as known at the cut
    pace: Floats  # the same by its own days alone; NaN where they tell nothing
    endpoint: Ints
    cut: Ints


@dataclass(frozen=True, slots=True)
class FleetWaiting:
    """Minutes that requests wait together at a start: the mean of endpoints.

    `at_start` is what comes of the pace of a day's busy stretches at a start, as a share.
    """

    mean: float
    at_start: float


class Forecaster:
    """Foretells days from the cases of a fleet; `errors` are those made on the cases.

    They are centred on the errors of the nearest cases.
    """

    def __init__(self, tables: Floats) -> None:
        self.waiting = _fleet_waiting(tables)
        self.cases = _cases(tables, self.waiting)
        self._fleet: Floats = tables.mean((0, 2))
        expected = [
            self.expect(tables[one, :, :cut], without=int(one))
            for one, cut in zip(self.cases.endpoint, self.cases.cut, strict=True)
        ]
        error = self.cases.outcome - np.stack([one.mean for one in expected])
        centre = [one.trust * _mean(error[one.nearest], one.odds) for one in expected]
        self.errors: Floats = error - np.stack(centre)
        self._of_cases = expected

    def spread(self) -> Floats:
        """Return the standard deviations of errors like those of each case."""
        found: Floats = np.stack([self.scatter(one) for one in self._of_cases])
        return found

    def scatter(self, one: Expected) -> Floats:
        """Return the standard deviations of the errors that cases like it tell to expect."""
        errors = self.errors[one.nearest]
        about = errors - _mean(errors, one.odds)
        found: Floats = np.sqrt(one.trust * _mean(about**2, one.odds))
        return found

    def unknown(self, *, new: bool) -> Expected:
        """Return what to expect of an endpoint without a past: one like the fleet's.

        A `new` one is like those that came into use after a cut and never before.
        """
        cases = self.cases
        nearest = np.arange(len(cases.endpoint))
        began = np.flatnonzero(~cases.features.any(1) & (cases.outcome[:, 0, HOURS] > 0))
        if new and len(began):
            nearest = began
        mean = cases.outcome[nearest].mean(0)
        odds, past = np.full(len(nearest), 1 / len(nearest)), np.empty((len(mean), 0, FIGURES))
        return Expected(mean, nearest, odds, 1.0, past, self._reckoned(mean, UNKNOWN_CHOICE))

    def expect(self, past: Floats, *, without: int | None = None) -> Expected:
        """Return what to expect after a past of at least a day.

        `without` leaves the cases of one endpoint out.
        """
        others = self.cases.endpoint != (-1 if without is None else without)
        if not others.any():  # it is the whole fleet: its own cases are all that there is
            others = ~others
        nearest, alike = self._nearest(past, others)
        odds, trust = alike / alike.sum(), _enough(alike)
        own, like = self._own(past), self._like(past, nearest, odds)
        days = past.shape[1]
        part, choice = OWN_DAYS / (days + OWN_DAYS), CHOICE_DAYS / (CHOICE_DAYS + days)
        mean = own + trust * part * (like - own)
        reckoned = self._reckoned(mean, trust * choice)
        waiting = own[:, MINUTES] + part * (like[:, MINUTES] - own[:, MINUTES])
        reckoned[:, MINUTES] = (1 - choice) * waiting + choice * self._fleet[:, MINUTES]
        seen = past[:, :, MINUTES].mean(1)
        paced = _enough(alike * self._paced(past, nearest))
        mean[:, MINUTES] = seen + paced * (waiting - seen)
        return Expected(mean, nearest, odds, trust, past, reckoned)

    def single(self, worth: float) -> int:
        """Return the candidate that would have been best for all alike."""
        return int(priced(self._fleet, worth).argmin())

    def _reckoned(self, mean: Floats, fleet: float) -> Floats:
        found: Floats = (1 - fleet) * mean + fleet * self._fleet
        return found

    def _own(self, past: Floats) -> Floats:
        """Its own days; what its starts let wait is reckoned with the fleet's waiting."""
        own: Floats = past.mean(1)
        waiting = own[:, STARTS] * waiting_at_start(past, self.waiting)
        own[:, MINUTES] = np.maximum(own[:, MINUTES], waiting)
        return own

    def _like(self, past: Floats, nearest: Ints, odds: Floats) -> Floats:
        """What became of the cases, at its own pace."""
        outcome = self.cases.outcome[nearest]
        ratio = waiting_at_start(past, self.waiting) / self.cases.waiting[nearest]
        like = _mean(outcome, odds)
        like[:, MINUTES] = _mean(outcome[:, :, MINUTES] * ratio[:, None], odds)
        return like

    def _nearest(self, past: Floats, others: NDArray[np.bool_]) -> tuple[Ints, Floats]:
        """The nearest cases, and how far each is like it: 1 within the distance, less beyond."""
        far = np.sqrt(((self.cases.features - _features(past)) ** 2).sum(1))
        far[~others] = np.inf
        order = np.argsort(far, kind="stable")[: min(NEAREST, int(others.sum()))]
        kept = far[order] <= DISTANCE
        kept[:FEWEST_NEAREST] = True
        found: Ints = order[kept]
        return found, _kernel(np.sqrt(np.maximum(far[found] ** 2 - DISTANCE**2, 0)) / WIDTH)

    def _paced(self, past: Floats, nearest: Ints) -> Floats:
        """How far the pace of cases is known to be like its own; all are like one without any."""
        pace = _pace(past, self.waiting)
        if np.isnan(pace):
            return np.ones(len(nearest))
        return np.nan_to_num(_kernel(np.log(pace / self.cases.pace[nearest]) / PACE_WIDTH))


def _kernel(far: Floats) -> Floats:
    """Gaussian, and never quite nothing."""
    found: Floats = np.maximum(np.exp(-(far**2) / 2), 1e-12)
    return found


def _enough(alike: Floats) -> float:
    return min(float(alike.sum()) / FEWEST_NEAREST, 1.0)


def _mean(values: Floats, odds: Floats) -> Floats:
    """The mean by odds that add up to one; of equal values it is their value without rounding."""
    found: Floats = values[0] + np.tensordot(odds, values - values[0], 1)
    return found


def priced(means: Floats, worth: float) -> Floats:
    """Return what days cost, in hours; a minute of waiting is `worth` so many."""
    found: Floats = means[..., HOURS] + worth * means[..., MINUTES]
    return found


def waiting_at_start(past: Floats, fleet: FleetWaiting) -> float:
    """Return the minutes that requests wait together at a start, to be expected.

    A day with requests is one piece of evidence, as those of one day resemble each other: what
    was waited at its starts, or else what its pace tells.
    """
    each = _by_day(past, fleet)
    known = each.sum() + FLEET_DAYS * fleet.mean
    return float(max(known / (len(each) + FLEET_DAYS), 1e-9))


def _pace(past: Floats, fleet: FleetWaiting) -> float:
    """Minutes of waiting at a start by its own days alone; NaN where they tell nothing."""
    each = _by_day(past, fleet)
    return max(float(each.mean()), 1e-9) if len(each) else float("nan")


def _by_day(past: Floats, fleet: FleetWaiting) -> Floats:
    """What requests wait at a start, by the days that tell it."""
    starts, minutes = past[:SHORT, :, STARTS].sum(0), past[:SHORT, :, MINUTES].sum(0)
    pace = past[0, :, AMID]
    each = np.divide(minutes, starts, out=fleet.at_start * pace, where=starts > 0)
    found: Floats = each[(starts > 0) | (pace > 0)]
    return found


def _fleet_waiting(tables: Floats) -> FleetWaiting:
    starts = tables[:, :SHORT, :, STARTS].sum(1)
    minutes = tables[:, :SHORT, :, MINUTES].sum(1)
    pace = tables[:, 0, :, AMID]
    each = np.divide(minutes, starts, out=np.zeros_like(minutes), where=starts > 0)
    both = (each > 0) & (pace > 0)
    share = float(np.exp(np.log(each[both] / pace[both]).mean())) if both.any() else 1.0
    each = np.where(starts > 0, each, share * pace)
    days = ((starts > 0) | (pace > 0)).sum(1)
    means = each.sum(1)[days > 0] / days[days > 0]
    return FleetWaiting(float(means.mean()) if len(means) else 0.0, share)


def _cases(tables: Floats, fleet: FleetWaiting) -> Cases:
    pasts = [(one, cut) for cut in _cuts(tables.shape[2]) for one in range(len(tables))]
    return Cases(
        np.stack([_features(tables[one, :, :cut]) for one, cut in pasts]),
        np.stack([tables[one, :, cut:].mean(1) for one, cut in pasts]),
        np.array([waiting_at_start(tables[one, :, :cut], fleet) for one, cut in pasts]),
        np.array([_pace(tables[one, :, :cut], fleet) for one, cut in pasts]),
        np.array([one for one, _ in pasts]),
        np.array([cut for _, cut in pasts]),
    )


def _features(past: Floats) -> Floats:
    """How busy, how often started, and how scattered; on scales of about one."""
    mean = past.mean(1)
    shortest, longer = mean[0], mean[SHORT + 1]
    return np.array(
        [
            shortest[HOURS] / _HOUR_SCALE,
            np.log1p(_START_SCALE * shortest[STARTS]),
            longer[HOURS] / _HOUR_SCALE,
        ]
    )


def _cuts(days: int) -> list[int]:
    """At most four days to cut at, with two days or more on each side; one of two or three days."""
    side = 2 if days > _SHORT_DAYS else 1
    possible = range(side, days - side + 1)
    chosen = np.linspace(0, len(possible) - 1, min(4, len(possible))).round()
    return [possible[int(place)] for place in chosen]
