"""The backtest's figures: those of single requests, and those of `decide`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.figures import FLOOR, Terms, backtest, cost_of
from orchestrator.domain.backtest.policies import (
    MICROSECOND,
    Policy,
    always_on,
    idle,
    segments,
)
from orchestrator.domain.backtest.replay import clairvoyant, replay
from orchestrator.domain.backtest.traffic import DAY, HOUR, SECOND, Fleet, Traffic
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.text import parse_window
from tests.domain.backtest.brute import by_decide, one_by_one
from tests.domain.backtest.conftest import made

STARTUP = 300 * SECOND
MINUTE = 60 * SECOND
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
# Clients with few enough requests to play them one by one.
SMALL = ("m-large-138", "m-large-018", "m-large-068", "m-large-094", "m-mid-050", "m-mid-064")
OFFICE = Schedule("UTC", (parse_window("mon-fri 08:00-19:00 keep-running ready-by"),))


def terms(length: int) -> Terms:
    return Terms(MONDAY, length, 800_000_000, STARTUP)


@pytest.mark.parametrize("name", SMALL)
def test_figures_are_those_of_single_requests(
    client: dict[str, Traffic], recorded: Fleet, name: str
) -> None:
    requests = Arrivals(client[name]).all().tolist()
    rules = [idle(minutes) for minutes in (2, 5, 30, 120)]
    found = backtest([(name, Arrivals(client[name]))], rules, terms(recorded.length)).totals()
    for rule in rules:
        assert rule.timeout is not None
        exact = one_by_one(requests, rule.timeout, STARTUP, recorded.length)
        figures = found[rule.name]
        assert (figures.billed, figures.cold_starts, figures.delayed) == (
            exact.billed,
            exact.starts,
            exact.delayed,
        )
        assert figures.waiting == pytest.approx(exact.waiting, rel=1e-3)
    gaps = np.diff(np.array(requests))
    assert found[FLOOR].billed == STARTUP + np.minimum(gaps, STARTUP).sum()


@pytest.mark.parametrize(
    ("name", "rule", "schedule"),
    [
        ("idle", idle(7), None),
        ("office", Policy("windows", None, OFFICE), OFFICE),
        ("both", Policy("both", 20 * MINUTE, OFFICE), None),
    ],
)
def test_decide_gives_the_same_intervals(
    name: str, rule: Policy, schedule: Schedule | None
) -> None:
    """Over the weekend on which Berlin puts its clocks forward."""
    del name
    origin, days = datetime(2026, 3, 26, 3, 7, tzinfo=UTC), 6
    zoned = _in_berlin(rule)
    schedule = _available_outside(zoned) if zoned.timeout and zoned.windows else zoned.windows
    arrivals = Arrivals(_some_days(days))
    requests = [origin + int(at) * MICROSECOND for at in arrivals.all()]
    length, startup = timedelta(days=days), STARTUP * MICROSECOND
    stage = by_decide(zoned, schedule, requests, (origin, length, startup))
    found = replay(arrivals, zoned, segments(zoned, origin, days * DAY, STARTUP), STARTUP)
    assert _instants(origin, found.awake) == stage.awake
    assert [origin + one.at * MICROSECOND for one in found.starts] == stage.starts
    assert len(stage.starts) > 3
    assert sum(one.requests for one in found.refused) == stage.refused
    assert (stage.refused > 0) == (zoned.timeout is None)


def _in_berlin(rule: Policy) -> Policy:
    if rule.windows is None:
        return rule
    windows = Schedule("Europe/Berlin", rule.windows.windows, rule.windows.drain_minutes)
    return Policy(rule.name, rule.timeout, windows)


def _available_outside(rule: Policy) -> Schedule:
    """What the rule is as a schedule: kept running in windows, and available at all times."""
    assert rule.windows is not None
    always = Window(frozenset(range(7)), parse_window("mon 00:00-24:00").start, _MIDNIGHT)
    return Schedule(rule.windows.timezone, (*rule.windows.windows, always))


_MIDNIGHT = parse_window("mon 00:00-24:00").end


def _some_days(days: int) -> Traffic:
    """Requests by day and night, some around 08:00 and 19:00 of Berlin, some at the weekend."""
    dice = np.random.default_rng(4)
    places = sorted({int(place) for place in dice.integers(0, days * 144, 70)})
    evening = [day * 144 + minute for day in range(days) for minute in (83, 84, 86)]
    stretches = sorted({*places, *evening} & set(range(days * 144)))
    return made("a", [(place * 600, int(dice.integers(1, 6))) for place in stretches], 1.5)


def _instants(
    origin: datetime, spans: tuple[tuple[int, int], ...]
) -> list[tuple[datetime, datetime]]:
    return [
        (origin + start * MICROSECOND, origin + end * MICROSECOND)
        for start, end in spans
        if end > start
    ]


def test_one_request_costs_a_start_and_a_timeout() -> None:
    arrivals = Arrivals(made("a", [(6000, 1)]))
    at = arrivals.first
    assert at is not None
    found = replay(arrivals, idle(10), segments(idle(10), MONDAY, DAY, STARTUP), STARTUP)
    assert found.awake == ((at, at + STARTUP + 10 * MINUTE),)
    assert [(wait.requests, wait.total) for wait in found.waits] == [(1, STARTUP)]


def test_billing_ends_with_the_trace() -> None:
    arrivals = Arrivals(made("a", [(DAY // SECOND - 600, 20)]))
    found = replay(arrivals, idle(60), segments(idle(60), MONDAY, DAY, STARTUP), STARTUP)
    assert found.awake[-1][1] == DAY


def test_windows_are_warm_at_their_start_and_planned() -> None:
    arrivals = Arrivals(made("a", [(8 * 3600 + 600, 40)]))
    rule = Policy("windows", None, OFFICE)
    found = replay(arrivals, rule, segments(rule, MONDAY, DAY, STARTUP), STARTUP)
    assert found.awake == ((8 * HOUR - STARTUP, 19 * HOUR),)
    assert [(one.at, one.planned) for one in found.starts] == [(8 * HOUR - STARTUP, True)]
    assert found.waits[0].requests == 0


def test_the_end_of_a_window_waits_for_requests_to_cease() -> None:
    flowing = [(19 * 3600 - 600, 600), (19 * 3600, 600)]
    arrivals = Arrivals(made("a", flowing, 0.2))
    rule = Policy("windows", None, OFFICE)
    found = replay(arrivals, rule, segments(rule, MONDAY, DAY, STARTUP), STARTUP)
    last = arrivals.last
    assert last is not None
    assert found.awake[-1][1] == last + 2 * MINUTE
    hurried = Policy("windows", None, Schedule("UTC", OFFICE.windows, drain_minutes=3))
    cut = replay(arrivals, hurried, segments(hurried, MONDAY, DAY, STARTUP), STARTUP)
    assert cut.awake[0][1] == 19 * HOUR + 3 * MINUTE


def test_a_request_at_night_is_refused_and_wakes_nothing() -> None:
    """Nothing in the product wakes what a schedule has paused; so says what-if too."""
    arrivals = Arrivals(made("a", [(6 * 3600, 2), (10 * 3600, 4), (22 * 3600, 3), (25 * 3600, 5)]))
    rule = Policy("windows", None, OFFICE)
    found = replay(arrivals, rule, segments(rule, MONDAY, 2 * DAY, STARTUP), STARTUP)
    assert [one.planned for one in found.starts] == [True, True]
    assert [(one.at // DAY, one.requests) for one in found.refused] == [(0, 2), (0, 3), (1, 5)]
    figures = backtest([("a", arrivals)], [rule, idle(30)], terms(2 * DAY)).totals()
    assert (figures["windows"].refused, figures["windows"].delayed) == (10, 0)
    assert (figures["idle-30"].refused, figures["idle-30"].cold_starts) == (0, 4)


def test_the_floor_delays_no_one_and_nobody_is_below_it(recorded: Fleet) -> None:
    few = [(one.name, Arrivals(one)) for one in recorded.endpoints[:12]]
    outcome = backtest(few, [always_on(), idle(5), idle(60)], terms(recorded.length))
    floor = {one.endpoint: one.figures for one in outcome.lines if one.policy == FLOOR}
    for line in outcome.lines:
        assert line.figures.billed >= floor[line.endpoint].billed - STARTUP
    assert all(one.delayed == 0 for one in floor.values())
    assert outcome.totals()["always-on"].billed == 12 * recorded.length


def test_no_request_costs_nothing_but_always_on() -> None:
    none = Arrivals(made("a", []))
    assert clairvoyant(none, DAY, STARTUP).billed == 0
    assert clairvoyant(Arrivals(made("a", [(0, 10**8)])), DAY, 0).billed == 0
    assert backtest([("a", none)], [idle(5)], terms(DAY)).totals()["idle-5"].cost == 0


def test_an_endpoint_may_have_its_own_price() -> None:
    both = [("a", Arrivals(made("a", []))), ("b", Arrivals(made("b", [])))]
    own = Terms(MONDAY, DAY, 800_000_000, STARTUP, {"b": 2_000_000_000})
    lines = backtest(both, [always_on()], own).lines
    costs = {one.endpoint: one.figures.cost for one in lines if one.policy == "always-on"}
    assert costs == {"a": 19_200_000_000, "b": 48_000_000_000}


@pytest.mark.parametrize(
    ("price", "length", "cost"), [(1, HOUR // 2, 0), (3, HOUR // 2, 2), (7, HOUR, 7)]
)
def test_money_is_rounded_half_to_even(price: int, length: int, cost: int) -> None:
    assert cost_of(price, length) == cost
