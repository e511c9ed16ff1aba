"""Proof that the checks of the ledger can fail: broken ledgers, each caught by a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.costs.observe import Look, Observation, observe
from orchestrator.costs.rates import PriceNews, reprice
from orchestrator.costs.stretch import Evidence
from orchestrator.domain.status import Status
from orchestrator.store.ledger import Price, Stretch
from tests.costs.ledger_check import disk_faults, faults
from tests.costs.reference_cloud import Change, Disks, LookAt, Planner, Scenario

PRICES: dict[str, tuple[tuple[int, int], ...]] = {
    "a": ((-1_000_000, 800_000_000),),
    "b": ((-1_000_000, 40_000_000_000),),
}


def certain_gaps(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: what lies between two looks is taken for certain."""
    return [
        replace(each, burn_low=each.burn, burn_high=each.burn, replicas_low=each.replicas,
                replicas_high=each.replicas)
        if each.evidence != Evidence.OBSERVED else each
        for each in observe(tail, seen, price, look)
    ]  # fmt: skip


def instant_looks(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: a look is taken to last no time, so the gap before it is closed for good."""
    return [*tail[:-1], *observe(tail[-1:], seen, price, look)]


def deaf(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: the cloud's `updated_at` is not heeded."""
    return observe(tail, replace(seen, moved=False), price, look)


def never_down(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: no gap is too long to be bridged."""
    return observe(tail, seen, price, replace(look, gap_limit=timedelta(days=1)))


def to_the_second(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: bills are taken not to be rounded."""
    return observe(tail, seen, price, replace(look, granularity_s=0))


def gapless(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: what lies between two looks is left out."""
    return [each for each in observe(tail, seen, price, look) if each.evidence == Evidence.OBSERVED]


def forgetful(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: new hardware is priced as if its newest price had always been in effect."""
    return observe(tail, seen, None if price is None else replace(price, before=None), look)


def sized_as_now(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: disks are taken to have had the size of now since the last look."""
    return observe([replace(each, units=seen.units) for each in tail], seen, price, look)


def sized_as_before(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: disks are taken to have the size of the last look."""
    units = tail[-1].units if tail else seen.units
    return observe(tail, replace(seen, units=units), price, look)


def lingering(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Broken: a disk that an endpoint has no more is never ended."""
    return observe(tail, seen, price, look) if seen.units else list(tail)


def since_the_reading(tail: Sequence[Stretch], news: PriceNews) -> list[Stretch]:
    """Broken: a price is taken to have changed at the moment when it was read."""
    return reprice(tail, replace(news, since=news.until))


def at_once(*instants: int) -> tuple[LookAt, ...]:
    return tuple(LookAt(at, at, at) for at in instants)


def running(at: int, replicas: int = 1, hardware: str = "a", *, traced: bool = True) -> Change:
    return Change(at, Status.RUNNING, replicas, hardware, traced)


def paused(at: int) -> Change:
    return Change(at, Status.PAUSED, 0)


def asleep(at: int) -> Change:
    return Change(at, Status.SCALED_TO_ZERO, 0, traced=False)


def scenario(
    changes: Sequence[Change],
    looks: Sequence[LookAt],
    rounding: str = "none",
    *,
    skew_ms: int = 0,
    prices: dict[str, tuple[tuple[int, int], ...]] | None = None,
    readings: tuple[int, ...] = (0,),
) -> Scenario:
    return Scenario(
        changes=tuple(changes),
        looks=tuple(looks),
        prices=prices or PRICES,
        readings=readings,
        rounding=rounding,
        cloud_skew_ms=skew_ms,
    )


CAUGHT = [
    (
        certain_gaps,
        scenario(
            [running(-1_000), paused(2_000)],
            at_once(0, 170_000, 180_000, 190_000),
            skew_ms=-50_000,
        ),
    ),
    (
        instant_looks,
        scenario(
            [paused(-1_000), running(30_000), running(65_000, 3, "b")],
            [
                LookAt(0, 0, 0),
                LookAt(60_000, 61_000, 150_000),
                *at_once(151_000, 200_000, 210_000),
            ],
        ),
    ),
    (deaf, scenario([running(-1_000), paused(5_000), running(155_000)], at_once(0, 170_000))),
    (
        never_down,
        scenario(
            [running(-1_000), asleep(100_000), running(500_000, traced=False)],
            at_once(0, 900_000, 910_000),
        ),
    ),
    (
        to_the_second,
        scenario([running(-1_000), paused(100_500)], at_once(0, 100_000, 101_000, 102_000), "up"),
    ),
    (
        forgetful,
        scenario(
            [running(10_000)],
            at_once(0, 60_000, 70_000),
            prices={"a": ((-1_000_000, 40_000_000_000), (50_000, 33_000_000))},
            readings=(0, 55_000),
        ),
    ),
    (gapless, scenario([running(-1_000), paused(100_500)], at_once(0, 100_000, 160_000))),
]


CAUGHT_BY_DISKS = [
    (
        sized_as_now,
        {"a": 3, "b": 1},
        [running(-1_000), running(10_000, 3), running(165_000, 1, "b")],
    ),
    (
        sized_as_before,
        {"a": 1, "b": 3},
        [running(-1_000), running(10_000, 3, "b"), running(165_000, 1, "b")],
    ),
    (lingering, {"a": 2, "b": 0}, [running(-1_000), running(30_000, 1, "b")]),
]


@pytest.mark.parametrize(("broken", "sizes", "changes"), CAUGHT_BY_DISKS)
def test_a_broken_ledger_of_disks_is_caught(
    broken: Planner, sizes: dict[str, int], changes: list[Change]
) -> None:
    history = scenario(changes, at_once(0, 170_000, 240_000, 300_000))
    assert disk_faults(history, Disks(sizes, alike=True), broken) != []
    assert disk_faults(history, Disks(sizes, alike=True)) == []


@pytest.mark.parametrize(("broken", "history"), CAUGHT)
def test_a_broken_ledger_is_caught(broken: Planner, history: Scenario) -> None:
    assert faults(history, broken) != []


@pytest.mark.parametrize(("broken", "history"), CAUGHT)
def test_the_ledger_stands_where_a_broken_one_falls(broken: Planner, history: Scenario) -> None:
    del broken
    assert faults(history) == []


def test_a_price_that_changed_before_it_was_read_is_within_the_bounds() -> None:
    history = scenario(
        [running(-1_000)],
        at_once(0, *range(60_000, 420_000, 60_000)),
        prices={"a": ((-1_000_000, 800_000_000), (100_000, 40_000_000_000))},
        readings=(0, 300_000),
    )
    assert faults(history) == []
    assert faults(history, repricer=since_the_reading) != []
