"""Fleets of a few endpoints, where little or nothing is like the one that is advised for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from orchestrator.domain.backtest.advice import Fleetwide, Prices
from orchestrator.domain.backtest.advise import Adviser
from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.days import GRID, HOURS, STARTS, Setting, days_of, table
from orchestrator.domain.backtest.forecast import FEWEST_NEAREST, OWN_DAYS
from orchestrator.domain.backtest.pool import Pool
from orchestrator.domain.backtest.traffic import DAY, SECOND, Fleet, Traffic
from orchestrator.domain.backtest.words import why
from tests.domain.backtest.conftest import made

WEEK = Setting(datetime(2026, 1, 5, tzinfo=UTC), 7 * DAY, 300 * SECOND)
HOUR_PRICE = 800_000_000
PRICES = Prices(HOUR_PRICE, 1_000_000)


def _busy(name: str = "busy") -> Traffic:
    return made(name, [(place * 600, 100) for place in range(1008)])


def _once_a_day(name: str = "daily") -> Traffic:
    return made(name, [(day * 86400 + 48000, 1) for day in range(7)])


def _office(name: str = "office") -> Traffic:
    hours = [(day, hour) for day in range(5) for hour in range(9, 17)]
    rows = [(day * 86400 + hour * 3600 + ten * 600, 50) for day, hour in hours for ten in range(6)]
    return made(name, rows)


def _advise(fleet: Sequence[Traffic], prices: Prices = PRICES) -> Fleetwide:
    return Adviser(fleet, WEEK).advise(fleet, prices)


def _first_week(recorded: Fleet) -> list[Traffic]:
    found = [one.part(0, 7 * 86400) for one in recorded.endpoints]
    return [one for one in found if len(one.requests)]


@pytest.mark.parametrize(
    "others",
    [
        [_once_a_day()],
        [_once_a_day(), _office()],
        [made("first", [(0, 1)]), made("last", [(604200, 50)]), _once_a_day()],
        [*(_once_a_day(f"daily-{one}") for one in range(5)), *map(_office, "abcd")],
    ],
    ids=["2", "3", "4", "10"],
)
def test_what_is_busy_all_day_is_promised_what_it_costs(others: list[Traffic]) -> None:
    """Whatever else there is in the fleet: its expected hours, and the ends of its interval."""
    given = _advise([_busy(), *others])
    busy = next(one for one in given.advice if one.endpoint == "busy")
    assert 167 < busy.week.hours.low <= busy.week.hours.mean <= busy.week.hours.high
    assert busy.week.hours.high == pytest.approx(168, abs=0.01)
    assert "save $1" not in why(busy, PRICES)
    assert "saves $1" not in why(busy, PRICES)
    quiet = [one for one in given.advice if one.endpoint.startswith("daily")]
    assert all(one.week.hours.high < 12 for one in quiet)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_interval_leaves_out_that_all_go_on_as_before(recorded: Fleet, count: int) -> None:
    """With so few there are never enough cases; of each endpoint, and of all together."""
    known = _first_week(recorded)
    for first in range(0, 36, 4):
        fleet = known[first : first + count]
        past = {one.name: one for one in fleet}
        given = Adviser(fleet, WEEK).advise(fleet, PRICES, days=7)  # without windows
        sums = np.zeros(2)
        for one in given.advice:
            days = days_of(Arrivals(past[one.endpoint], 0), one.policy, WEEK).sum(0)
            sums += days[HOURS], days[STARTS]
            hours, starts = one.week.hours, one.week.starts
            assert hours.low - 1e-9 <= days[HOURS] <= hours.high + 1e-9
            assert starts.low - 1e-9 <= days[STARTS] <= starts.high + 1e-9
        assert given.cost[0] - 1 <= sums[0] * HOUR_PRICE <= given.cost[2] + 1
        assert given.starts.low - 1e-9 <= sums[1] <= given.starts.high + 1e-9


def test_an_interval_of_its_own_days_is_as_wide_as_they_differ() -> None:
    """Days that are all alike are certain, others are not; nothing is like either of them."""
    rows = [(day * 86400 + 600 * n, 9) for day in range(7) for n in range(80 + 10 * day)]
    changing = made("changing", rows)
    pair = _advise([_once_a_day(), changing], Prices(HOUR_PRICE, 0)).advice
    steady, moved = (
        next(one.week.hours for one in pair if one.endpoint == name)
        for name in ("daily", "changing")
    )
    assert steady.high - steady.low < 0.5
    assert moved.high - moved.low > 20


def test_one_request_does_not_wait_as_the_bursts_of_others() -> None:
    """What is expected of it is told first, then what the choice is reckoned with."""
    burst = [made(name, [(start, 50_000)]) for name, start in (("new", 604200), ("old", 0))]
    given = _advise([_busy(), made("one", [(0, 1)]), *burst])
    one = next(one for one in given.advice if one.endpoint == "one")
    assert one.week.waiting_minutes < 20
    assert one.reckoned_waiting > 1000
    told = why(one, PRICES)
    expected, chosen = told.split("; it was chosen by other figures: ")
    assert f"cold starts and {one.week.waiting_minutes:,.0f} min of waiting, which" in expected
    assert f"and {one.reckoned_waiting:,.0f} min of waiting count as $" in chosen


def test_where_enough_are_alike_they_weigh_as_ever(recorded: Fleet) -> None:
    """Fifteen cases within the distance: plain means of them, by the weight of its own days."""
    tables = np.stack([table(one, 0, GRID, WEEK) for one in _first_week(recorded)])
    pool = Pool(tables)
    expected = [pool.expect(past, without=place) for place, past in enumerate(tables)]
    enough = [place for place, one in enumerate(expected) if one.trust == 1]
    assert 10 < len(enough) < len(tables)
    for place in enough:
        one = expected[place]
        if len(one.nearest) < FEWEST_NEAREST or len(set(one.odds)) > 1:
            continue
        like = pool.cases.outcome[one.nearest].mean(0)
        own = tables[place].mean(1)
        mean = (7 * own + OWN_DAYS * like) / (7 + OWN_DAYS)
        assert np.allclose(one.mean[:, : STARTS + 1], mean[:, : STARTS + 1])
    thin = [one for one in expected if one.trust < 1]
    assert all(len(set(one.odds)) > 1 or len(one.nearest) < FEWEST_NEAREST for one in thin)


def test_the_fewer_are_alike_the_less_they_pull() -> None:
    """Beside ever more like it, a lucky week is held the more for luck; unlike ones do nothing."""
    lucky = made("lucky", [(day * 86400, 5) for day in range(3)])
    unlike = [_busy(f"busy-{one}") for one in range(9)]
    pulled = []
    for count in (0, 1, 3, 9):
        later = [
            made(f"later-{one}", [(86400 * day, 5) for day in (0, 5, 6)]) for one in range(count)
        ]
        fleet = [lucky, *later, *unlike]
        tables = np.stack([table(one, 0, GRID, WEEK) for one in fleet])
        mean = Pool(tables).expect(tables[0], without=0).mean[0, HOURS]
        pulled.append(abs(mean - tables[0, 0, :, HOURS].mean()))
    assert pulled[0] < 0.02
    assert pulled == sorted(pulled)
    assert pulled[-1] > 3 * pulled[1]
