"""Advice: windows for habits, always on where waiting is dear, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from orchestrator.domain.backtest.advice import Fleetwide, Prices
from orchestrator.domain.backtest.advise import Adviser
from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.calibrate import first_week
from orchestrator.domain.backtest.days import Setting
from orchestrator.domain.backtest.habits import EVERY_DAY, WEEKEND, WORKDAYS, diary
from orchestrator.domain.backtest.policies import Policy, segments
from orchestrator.domain.backtest.replay import replay
from orchestrator.domain.backtest.traffic import DAY, HOUR, SECOND, Traffic
from orchestrator.domain.backtest.words import rule_name, rule_names, rules, why
from orchestrator.domain.money import format_dollars
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


@pytest.mark.parametrize("place", ["Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize(("opens", "closes"), [(7, 9), (16, 19), (22, 24), (0, 2)])
def test_habits_are_of_civil_days_far_from_utc(place: str, opens: int, closes: int) -> None:
    """Requests of Mondays to Fridays alone make no window on a weekend, over a change of clocks."""
    rules, start = ZoneInfo(place), datetime(2026, 2, 23, tzinfo=UTC)
    steps = [start + timedelta(minutes=10 * step) for step in range(28 * 144)]
    walls = [moment.astimezone(rules) for moment in steps]
    rows = [
        (600 * step, 5)
        for step, wall in enumerate(walls)
        if wall.weekday() < 5 and opens <= wall.hour < closes
    ]
    known = diary(made("office", rows), start, 28, place)
    until = time(closes % 24)
    for share in (0.3, 0.5, 0.7, 1.0):
        found = known.windows((WORKDAYS, WEEKEND), share).windows
        assert [(one.days, one.start, one.end) for one in found] == [(WORKDAYS, time(opens), until)]
    left_out = [known.windows((WORKDAYS, WEEKEND), 1.0, without=day) for day in range(28)]
    assert {len(one.windows) for one in left_out} == {1}


def test_what_happened_on_a_day_left_out_is_not_learnt() -> None:
    """A day of the trace has parts of two civil days in Tokyo; both are left out, and no more."""
    rows = [(day * 86400 + 3600 * hour, 5) for day in range(7) for hour in (1, 20)]
    rows += [(2 * 86400 + 3600 * hour, 5) for hour in (6, 18)]
    known = diary(made("a", rows), MONDAY, 7, "Asia/Tokyo")

    def starts(without: int) -> list[int]:
        found = known.windows((EVERY_DAY,), 0.1, without=without).windows
        return sorted(one.start.hour for one in found)

    assert starts(without=1) == [3, 5, 10, 15]
    assert starts(without=2) == [5, 10]


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


def test_what_cannot_go_to_zero_is_left_on_and_the_reason_told() -> None:
    adviser, _ = _adviser()
    habit = _week_of(range(9, 17), range(7))
    prices = Prices(HOUR_PRICE, 0)
    one = adviser.advise([habit], prices, no_zero={"habit"}).advice[0]
    assert one.policy.always_on
    assert one.week.cost == (168 * HOUR_PRICE,) * 3
    assert why(one, prices).startswith("no request could wake it from zero")
    assert "being asleep after 5 min without a request would save $" in why(one, prices)
    assert rules([one]) == {"version": 1}
    dear = Prices(HOUR_PRICE, 10**11)
    told = why(adviser.advise([habit], dear, no_zero={"habit"}).advice[0], dear)
    assert "would have to be expected to wait" in told
    cheap = replace(prices, minute=20_000_000, refused=0)
    paused = adviser.advise([habit], cheap, no_zero={"habit"}).advice[0]
    assert paused.policy.windows is not None
    assert paused.policy.timeout is None
    without = "windows did better than the best rule it can have without them, "
    assert f"{without}always on, by $" in why(paused, cheap)
    assert paused.saved_hours == pytest.approx(168 - paused.week.hours.mean, abs=0.1)
    asleep = adviser.advise([habit], cheap).advice[0]
    assert f"{without}asleep after 1440 min without a request, by $" in why(asleep, cheap)


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


def test_windows_cost_what_they_cost_for_certain() -> None:
    """No bound, and nothing expected, is below the hours of the windows with their start-ups."""
    dear = Prices(HOUR_PRICE, 20_000_000)
    rows = [
        (day * 86400 + hour * 3600 + part * 600, 60)
        for day in range(5)
        for hour in range(9, 17)
        for part in (0, 3)
    ]
    pair = [made("habit", rows), made("silent", [(3 * 86400, 1)])]
    small = Adviser(pair, WEEK).advise(pair, dear)
    _, first = _adviser()
    known = [one for one in first if len(one.requests)]
    fleet = [*known, pair[0]]
    large = Adviser(fleet, WEEK).advise(fleet, dear)
    learnt = [one for one in (*small.advice, *large.advice) if one.policy.windows is not None]
    assert {one.endpoint for one in learnt} >= {"habit"}
    for one in learnt:
        hours = _certain_hours(one.policy)
        assert hours == pytest.approx(one.week.certain)
        assert hours > 20
        assert hours <= one.week.hours.low + 1e-9
        assert one.week.hours.low <= one.week.hours.mean <= one.week.hours.high
        assert one.week.cost[0] >= round(hours * HOUR_PRICE) - 1
        if one.policy.timeout is None:
            drains = 6 * 0.5 * len(one.policy.windows.windows) if one.policy.windows else 0
            assert one.week.hours.high <= hours + drains + 0.5
            assert one.week.starts.high == 0
    for whole in (small, large):
        assert whole.cost[0] >= sum(
            round(one.week.certain * HOUR_PRICE) - 1 for one in whole.advice
        )
        assert whole.cost[0] <= whole.cost[1] <= whole.cost[2]


def _certain_hours(policy: Policy) -> float:
    """The windows of the week after, second by second of their segments, without any request."""
    after = MONDAY + timedelta(days=7)
    plan = segments(policy, after, 7 * DAY, STARTUP)
    silent = Policy("silent", 1, policy.windows)
    return replay(Arrivals(made("none", [])), silent, plan, STARTUP).billed / HOUR


def test_refused_requests_are_told_and_priced() -> None:
    """Windows that pause outside refuse requests; the dearer that is, the less they are taken."""
    fleet = [_week_of(range(9, 17), range(7), f"daily-{n}", 40 + n) for n in range(3)]
    night = [(day * 86400 + day * 3600, 2) for day in range(6)]
    for one in ("a", "b"):
        day = [(int(s), int(n)) for s, n in zip(fleet[0].start_s, fleet[0].requests, strict=True)]
        fleet.append(made(f"night-{one}", sorted(day + night)))
    adviser = Adviser(fleet, WEEK)
    cheap = Prices(HOUR_PRICE, 20_000_000, refused=0)
    paused = {
        one.endpoint: one
        for one in adviser.advise(fleet, cheap).advice
        if one.policy.windows is not None and one.policy.timeout is None
    }
    assert paused["night-a"].week.refused == pytest.approx(7 * (12 + 1) / (7 + 1))
    assert all(one.week.refused >= 7 / (7 + 1) for one in paused.values())
    assert "requests a week are refused outside of them" in why(paused["night-a"], cheap)
    for refused in (5_000_000, None):  # a day of its requests weighs, if hardly one of them does
        careful = adviser.advise(fleet, replace(cheap, refused=refused)).advice
        nightly = [one.policy for one in careful if one.endpoint.startswith("night")]
        assert all(policy.timeout is not None or policy.always_on for policy in nightly)
    refusals = [Prices(HOUR_PRICE, minute).refusal for minute in (1000, 1_000_000)]
    assert refusals == [HOUR_PRICE, 1_440_000_000]


def test_rules_of_endpoints_with_like_names_are_kept_apart() -> None:
    adviser, _ = _adviser()
    prices = Prices(HOUR_PRICE, 0)
    names = [
        "acme/research-chat",
        "acme-research/chat",
        "Acme/Research/Chat",
        "acme/plain",
        "x" * 70 + "1",
        "x" * 70 + "2",
    ]
    given = adviser.advise([_week_of(range(9, 17), range(5), name) for name in names], prices)
    document = rules(given.advice)
    bodies = document["policies"]
    assert sorted(body["selector"]["endpoint"] for body in bodies.values()) == sorted(names)
    assert len({name.casefold() for name in bodies}) == len(names)
    assert all(len(name) <= 60 for name in bodies)
    assert bodies["advised-acme-plain"]["selector"] == {"endpoint": "acme/plain"}
    assert rule_names(names) == rule_names(list(reversed(names)))
    taken = rule_names(["acme/a b", "acme/a-b"])["acme/a b"].removeprefix("advised-")
    assert len(set(rule_names(["acme/a b", "acme/a-b", taken]).values())) == 3


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


def test_what_is_said_agrees_with_the_choice() -> None:
    """Sleeping is chosen where it saves more than the waiting counts, by the figures told."""
    adviser, first = _adviser()
    prices = Prices(HOUR_PRICE, 30_000_000)
    given = adviser.advise(first, prices, days=7).advice
    assert len({one.policy.always_on for one in given}) == 2
    for one in given:
        gain = one.saved_hours - prices.worth * one.reckoned_waiting
        assert gain <= 1e-9 if one.policy.always_on else gain >= -1e-9


def test_the_saving_that_is_told_is_that_of_the_table() -> None:
    """One saving and one waiting are expected; the figures of the choice are told as such."""
    adviser, first = _adviser()
    prices = Prices(HOUR_PRICE, 1_000_000)
    given = adviser.advise(first, prices, days=7).advice
    asleep = [one for one in given if not one.policy.always_on]
    assert len(asleep) > 30
    for one in asleep:
        told = why(one, prices)
        saved = format_dollars(168 * HOUR_PRICE - one.week.cost[1])
        waits = f"{one.week.waiting_minutes:,.0f} min of waiting"
        assert f"it is expected to save {saved} a week against always on, with " in told
        assert f" cold starts and {waits}, which counts as $" in told
        assert told.count("expected") == 1
        assert told.count("cold starts") == 1


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


def test_who_was_silent_is_known_of_the_days_given_alone() -> None:
    """Nothing in days that were not given makes an endpoint new, or one that is known."""
    adviser, _ = _adviser()
    prices = Prices(HOUR_PRICE, 1_000_000)
    early = made("one", [(day * 86400 + 36000, 50) for day in range(4)])
    late = made("one", [(6 * 86400 + 36000, 50)])
    silent = made("one", [])
    nothing = {adviser.advise([one], prices, days=0) for one in (early, late, silent)}
    assert len(nothing) == 1
    quiet, same, seen = (adviser.advise([one], prices, days=1) for one in (early, silent, late))
    assert quiet == same
    assert quiet != seen
    assert same != nothing.pop()


def _width(given: Fleetwide) -> float:
    widths = [one.week.hours.high - one.week.hours.low for one in given.advice]
    return float(np.mean(widths))


def test_too_little_is_refused() -> None:
    short = Setting(MONDAY, 3 * DAY, STARTUP)
    with pytest.raises(ValueError, match="4 whole days"):
        Adviser([_week_of(range(9, 17), range(3))], short)
    with pytest.raises(ValueError, match="two weeks"):
        first_week(WEEK)
