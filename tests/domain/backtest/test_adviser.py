"""Advice: windows for habits, always on where waiting is dear, and how far it is right."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
import yaml

from orchestrator.domain.backtest.advise import Adviser, Fleetwide, Prices
from orchestrator.domain.backtest.calibrate import Judge, first_week
from orchestrator.domain.backtest.days import Setting
from orchestrator.domain.backtest.habits import EVERY_DAY, WORKDAYS, diary
from orchestrator.domain.backtest.traffic import DAY, SECOND, Fleet, Traffic
from orchestrator.domain.backtest.words import rule_name, rules, why
from orchestrator.domain.schedules.text import parse_window, window_text
from orchestrator.services.rules_yaml import dump
from tests.domain.backtest.conftest import _recorded, made

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
STARTUP = 300 * SECOND
WEEK_S = 7 * 86400
WEEK = Setting(MONDAY, 7 * DAY, STARTUP)
HOUR_PRICE = 800_000_000


@cache
def _adviser() -> tuple[Adviser, list[Traffic]]:
    first = [one.part(0, WEEK_S) for one in _recorded().endpoints]
    known = [one for one in first if len(one.requests)]
    return Adviser(known, WEEK), first


def _week_of(hours: range, days: range, name: str = "habit", count: int = 200) -> Traffic:
    rows = [
        (day * 86400 + hour * 3600 + part * 600, count)
        for day in days
        for hour in hours
        for part in range(6)
    ]
    return made(name, rows)


def test_habits_become_windows_that_are_ready_by_their_start() -> None:
    known = diary(_week_of(range(9, 17), range(5)), MONDAY, 7, "UTC")
    workdays = known.windows((WORKDAYS,), 0.5)
    assert [window_text(one) for one in workdays.windows] == [
        "Mon-Fri 09:00-17:00 keep-running ready-by"
    ]
    assert known.windows((EVERY_DAY,), 0.9).windows == ()


def test_habits_are_of_the_wall_clock_and_may_leave_a_day_out() -> None:
    known = diary(_week_of(range(9, 17), range(1)), MONDAY, 7, "Asia/Kolkata")
    found = known.windows((frozenset({0}),), 1.0)
    assert [window_text(one) for one in found.windows] == ["Mon 14:30-22:30 keep-running ready-by"]
    assert known.windows((frozenset({0}),), 1.0, without=0).windows == ()


def test_dear_waiting_keeps_it_on_and_free_waiting_never_does() -> None:
    adviser, _ = _adviser()
    one = next(one for one in _recorded().endpoints if one.name == "m-large-094").part(0, WEEK_S)
    free, dear = (
        adviser.advise([one], Prices(HOUR_PRICE, minute)).advice[0] for minute in (0, 10**11)
    )
    assert free.policy.name == "idle-5"
    coarse = adviser.advise([one], Prices(HOUR_PRICE, 0), days=7, coarse={one.name}).advice[0]
    assert coarse.policy.name == "idle-20"
    assert dear.policy.always_on
    assert "requests would have to be expected to wait" in why(dear, Prices(HOUR_PRICE, 10**11))


def test_windows_are_advised_where_they_pay() -> None:
    """Busy each day from nine to five, with a gap that a short timeout sleeps through."""
    adviser, first = _adviser()
    rows = [
        (day * 86400 + hour * 3600 + part * 600, 60)
        for day in range(7)
        for hour in range(9, 17)
        for part in (0, 3)
    ]
    habit = made("habit", rows)
    wider = Adviser([*(one for one in first if len(one.requests)), habit], WEEK)
    del adviser
    given = wider.advise([habit], Prices(HOUR_PRICE, 20_000_000)).advice[0]
    assert given.policy.windows is not None
    assert given.tested is not None
    assert given.tested > 0
    assert "its habits repeat" in why(given, Prices(HOUR_PRICE, 20_000_000))
    texts = [window_text(one) for one in given.policy.windows.windows]
    assert texts
    assert all("keep-running ready-by" in text for text in texts)


def test_words_and_rules_are_ready_to_use() -> None:
    adviser, first = _adviser()
    prices = Prices(HOUR_PRICE, 1_000_000)
    given = adviser.advise(first[:14], prices)
    for one in given.advice:
        sentence = why(one, prices)
        assert "\n" not in sentence
        assert "a week" in sentence
        low, mean, high = one.week.cost
        assert 0 <= low <= mean <= high <= 168 * HOUR_PRICE
    document = rules(given.advice)
    assert yaml.safe_load(dump(document)) == document
    assert document["version"] == 1
    for body in document["policies"].values():
        assert body["timeout_minutes"] >= 1
    for body in document.get("schedules", {}).values():
        assert [window_text(parse_window(text)) for text in body["windows"]] == body["windows"]
    assert rule_name("acme/chat v2!") == "advised-acme-chat-v2-"


def test_a_dearer_endpoint_sleeps_sooner() -> None:
    adviser, _ = _adviser()
    busy = next(one for one in _recorded().endpoints if one.name == "m-large-094").part(0, WEEK_S)
    prices = Prices(HOUR_PRICE, 30_000_000)
    cheap = adviser.advise([busy], prices).advice[0]
    dear = adviser.advise([busy], replace(prices, hours={busy.name: 50 * HOUR_PRICE})).advice[0]
    assert dear.week.hours.mean < cheap.week.hours.mean
    assert dear.week.cost[1] > cheap.week.cost[1]


def test_advice_from_one_week_is_right_in_the_next(recorded: Fleet) -> None:
    """The bars of the whole set, on the forty clients that come with the package."""
    adviser, first = _adviser()
    whole = Setting(MONDAY, recorded.length, STARTUP)
    assert first_week(whole) == WEEK
    judge = Judge(recorded.endpoints, WEEK, 0)
    for minute in (300_000, 1_000_000):
        prices = Prices(HOUR_PRICE, minute)
        verdict = judge.verdict(
            "all", adviser.advise(first, prices), prices, adviser.single(prices)
        )
        assert abs(verdict.error) < 0.15
        assert verdict.inside
        assert verdict.beyond < 0.05
        assert verdict.known == adviser.single(prices).name
        assert verdict.beyond <= verdict.beyond_known < 0.05
        assert verdict.covered[0] > 0.5


def test_what_is_said_agrees_with_the_choice() -> None:
    """Sleeping is chosen where it saves more than the waiting counts, by the figures told."""
    adviser, first = _adviser()
    prices = Prices(HOUR_PRICE, 30_000_000)
    given = adviser.advise(first, prices, days=7).advice
    assert len({one.policy.always_on for one in given}) == 2
    for one in given:
        gain = one.saved_hours - prices.worth * one.reckoned_waiting
        assert gain <= 1e-9 if one.policy.always_on else gain >= -1e-9


def test_the_less_is_known_of_them_the_less_they_differ() -> None:
    """Each departs from the best single rule only as far as its own past bears it."""
    adviser, first = _adviser()
    prices = Prices(HOUR_PRICE, 3_000_000)
    single = adviser.single(prices).name
    departed = [
        sum(one.policy.name != single for one in adviser.advise(first, prices, days=days).advice)
        for days in (1, 7)
    ]
    assert departed[0] < departed[1]


def test_what_was_never_seen_is_like_the_fleet() -> None:
    adviser, first = _adviser()
    prices = Prices(HOUR_PRICE, 1_000_000)
    first = [one for one in first if len(one.requests)]
    blind = adviser.advise(first, prices, days=0)
    assert len({one.policy.name for one in blind.advice}) == 1
    sighted = adviser.advise(first, prices, days=7)
    assert _width(blind) > _width(sighted)
    new = adviser.advise([made("new", [])], prices).advice[0]
    assert not new.seen
    assert why(new, prices).startswith("by what became of endpoints that began like it: ")


def _width(given: Fleetwide) -> float:
    widths = [one.week.hours.high - one.week.hours.low for one in given.advice]
    return float(np.mean(widths))


def test_too_little_is_refused() -> None:
    short = Setting(MONDAY, 3 * DAY, STARTUP)
    with pytest.raises(ValueError, match="4 whole days"):
        Adviser([_week_of(range(9, 17), range(3))], short)
    with pytest.raises(ValueError, match="two weeks"):
        first_week(WEEK)
