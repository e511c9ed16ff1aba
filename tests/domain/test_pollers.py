"""What is held awake by somebody's poller shows, and honest traffic does not look like it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from orchestrator.domain.endpoints import Stretch, Usage
from orchestrator.domain.pollers import Awake, Sign, Use, held_awake
from orchestrator.domain.usage import STRETCH

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
UP = NOW - timedelta(hours=8)
SECOND = timedelta(seconds=1)


def uses(gap_s: float, number: int = 24, *, quiet: bool = True) -> list[Use]:
    return [
        Use(NOW - (number - place) * gap_s * SECOND, after_quiet=quiet) for place in range(number)
    ]


def counts(*requests: int) -> list[Stretch]:
    first = NOW - len(requests) * STRETCH
    return [Stretch(first + place * STRETCH, count, 600) for place, count in enumerate(requests)]


def test_uses_like_a_clock_are_a_pollers() -> None:
    held = held_awake(Awake(UP, uses=uses(300)), NOW)
    assert held is not None
    assert (held.sign, held.every_s) == (Sign.EVEN, 300)
    assert "one every 300 s" in held.detail


def test_a_few_real_requests_between_do_not_hide_it() -> None:
    mixed = sorted([*uses(300), Use(NOW - 3500 * SECOND, after_quiet=True)], key=lambda u: u.at)
    held = held_awake(Awake(UP, uses=mixed), NOW)
    assert held is not None
    assert held.every_s == 300


def test_what_has_stopped_coming_holds_nothing_awake() -> None:
    held = Awake(UP, uses=uses(300))
    last = held.uses[-1].at
    assert held_awake(held, last + timedelta(minutes=15)) is not None
    assert held_awake(held, last + timedelta(minutes=16)) is None
    usage = Usage(NOW - timedelta(hours=4), NOW, 0, 4 * 3600, None, 0)
    probed = Awake(UP, uses=uses(300), usage=usage)
    assert held_awake(probed, last + timedelta(minutes=16)) is None
    counted = Awake(UP, last_used_at=NOW, counted=counts(*[2] * 24))
    assert held_awake(counted, NOW + timedelta(minutes=15)) is not None
    assert held_awake(counted, NOW + timedelta(minutes=16)) is None


def test_looks_that_are_even_make_no_poller() -> None:
    assert held_awake(Awake(UP, uses=uses(60, quiet=False)), NOW) is None


def test_people_are_no_pollers() -> None:
    dice = random.Random(7)
    for _ in range(200):
        at, found = NOW - timedelta(hours=6), []
        for _ in range(24):
            at += dice.expovariate(1 / 300) * SECOND
            found.append(Use(at, after_quiet=True))
        assert held_awake(Awake(UP, uses=found), NOW) is None
        told = counts(*(max(round(dice.gauss(20, 4.5)), 0) for _ in range(30)))
        assert held_awake(Awake(UP, counted=told), NOW) is None


def test_even_counts_are_a_pollers_where_all_is_known() -> None:
    held = held_awake(Awake(UP, counted=counts(*[2] * 24)), NOW)
    assert held is not None
    assert (held.sign, held.every_s) == (Sign.EVEN, 300)
    holes = counts(*[2] * 24)
    holes[5] = Stretch(holes[5].start, 2, 540)
    assert held_awake(Awake(UP, counted=holes), NOW) is None
    assert held_awake(Awake(UP, counted=counts(*[2] * 23)), NOW) is None
    assert held_awake(Awake(UP, counted=counts(*[900] * 24)), NOW) is None


def test_use_that_moves_without_a_counted_request_is_a_probes() -> None:
    usage = Usage(NOW - timedelta(hours=4), NOW, 0, 4 * 3600, None, 0)
    held = held_awake(Awake(UP, uses=uses(700), usage=usage), NOW)
    assert held is not None
    assert (held.sign, held.every_s) == (Sign.UNCOUNTED, 700)
    unknown = Usage(NOW - timedelta(hours=4), NOW, 0, 3600, None, 0)
    told = held_awake(Awake(UP, uses=uses(700), usage=unknown), NOW)
    assert told is not None
    assert told.sign is Sign.EVEN


def test_an_idle_timer_that_does_not_act_is_told() -> None:
    timer = timedelta(minutes=15)
    awake = Awake(UP, last_used_at=NOW - timedelta(minutes=41), timer=timer)
    held = held_awake(awake, NOW)
    assert held is not None
    assert held.sign is Sign.TIMER
    assert held_awake(awake, NOW - timedelta(minutes=2)) is None
    assert held_awake(Awake(NOW - timedelta(minutes=5), UP, timer), NOW) is None
    assert held_awake(Awake(UP, None, timer), NOW) is None
