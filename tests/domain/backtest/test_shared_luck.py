"""Endpoints that are wrong together: the interval of a fleet knows of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.domain.backtest.days import GRID, HOURS, STARTS
from orchestrator.domain.backtest.pool import Pool
from orchestrator.domain.backtest.shared import shared_luck
from orchestrator.domain.backtest.traffic import Floats

ENDPOINTS = 30


def _fleet(seed: int, common: float, days: int = 14) -> Floats:
    """Tables of endpoints that are each awake for part of a day; moods of the fleet last for days.

    `common` is how far a mood moves an endpoint, on the scale of log odds. All candidates are alike
    but the last, which is always on.
    """
    dice = np.random.default_rng(seed)
    mood, moods = 0.0, []
    for _ in range(days):
        mood = 0.3 * mood + 0.95 * dice.standard_normal()
        moods.append(mood)
    level = dice.normal(-0.5, 1.0, (ENDPOINTS, 1))
    odds = level + common * np.array(moods) + dice.standard_normal((ENDPOINTS, days))
    hours = 24 / (1 + np.exp(-odds))
    found = np.zeros((ENDPOINTS, len(GRID), days, 5))
    found[:, :, :, HOURS] = hours[:, None]
    found[:, :-1, :, STARTS] = np.round(hours / 4)[:, None]
    found[:, -1, :, HOURS] = 24
    return found


@dataclass(frozen=True)
class Foretold:
    """A fleet's interval, of a rule that sleeps, what came, and the share of endpoints inside."""

    low: float
    high: float
    came: float
    endpoints: float


def _foretell(seed: int, common: float) -> Foretold:
    tables = _fleet(seed, common)
    known, came = tables[:, :, :7], tables[:, 0, 7:, HOURS].mean(1)
    pool = Pool(known)
    expected = [pool.expect(one, without=place) for place, one in enumerate(known)]
    hours = pool.draw(expected, [0] * ENDPOINTS, seed).hours
    low, high = np.quantile(hours.sum(1), (0.1, 0.9))
    least, most = np.quantile(hours, (0.1, 0.9), axis=0)
    inside = float(((least <= came) & (came <= most)).mean())
    return Foretold(float(low), float(high), float(came.sum()), inside)


def test_what_endpoints_have_in_common_is_found() -> None:
    """With moods a good part of the errors is common, without next to none; always-on has none."""
    parts = {common: np.mean([_part(seed, common) for seed in range(4)]) for common in (0.0, 1.0)}
    assert parts[0.0] < 0.2
    assert parts[1.0] > 0.4
    tables = _fleet(1, 1.0, 7)
    found = shared_luck(tables, Pool(tables))
    assert found[-1].tolist() == [0, 0]
    assert ((found >= 0) & (found <= 1)).all()


def _part(seed: int, common: float) -> float:
    tables = _fleet(seed, common, 7)
    return float(shared_luck(tables, Pool(tables))[0, 0])


def test_a_fleet_with_moods_has_the_wider_interval_and_it_holds() -> None:
    """Of the weeks that follow, most lie inside, with moods or without; so do endpoints."""
    width = {}
    for common in (0.0, 1.0):
        runs = [_foretell(seed, common) for seed in range(12)]
        width[common] = np.mean([one.high - one.low for one in runs])
        assert np.mean([one.low <= one.came <= one.high for one in runs]) >= 0.7
        assert 0.7 < np.mean([one.endpoints for one in runs]) < 0.97
    assert width[1.0] > 2 * width[0.0]


def test_days_without_any_request_are_borne() -> None:
    """Those of one side of the cut may be silent, or all; what is always on is certain."""
    tables = _fleet(3, 1.0, 7)
    tables[:, :-1, :4] = 0
    pool = Pool(tables)
    expected = [pool.expect(one, without=place) for place, one in enumerate(tables)]
    certain = pool.draw(expected, [len(GRID) - 1] * ENDPOINTS, 0).hours
    assert np.allclose(certain, 24)
    assert np.isfinite(pool.draw(expected, [0] * ENDPOINTS, 0).hours).all()
    tables[:, :-1] = 0
    silent = Pool(tables)
    expected = [silent.expect(one, without=place) for place, one in enumerate(tables)]
    assert not silent.draw(expected, [0] * ENDPOINTS, 0).hours.any()
