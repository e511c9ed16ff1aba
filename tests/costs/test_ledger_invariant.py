"""Invariant I1: no gap, no overlap, the true bill within the bounds, and the bounds narrow."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from orchestrator.costs.days import epoch
from orchestrator.domain.money import amount_for
from tests.costs.histories import MAX_REPLICAS, disks, scenarios, set_clocks
from tests.costs.ledger_check import (
    added_up,
    certain,
    clock_faults,
    disk_faults,
    doubtful_seconds,
    faults,
    kept,
    measured_end,
)
from tests.costs.reference_cloud import T0, Disks, Scenario

MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(scenarios())
def test_the_bill_lies_within_the_ledger(scenario: Scenario) -> None:
    assert faults(scenario) == []


@MANY
@given(scenarios(), disks())
def test_the_bill_of_disks_lies_within_the_ledger(scenario: Scenario, disks: Disks) -> None:
    assert disk_faults(scenario, disks) == []


@MANY
@given(scenarios())
def test_the_uncertainty_is_that_of_gaps_with_a_change_and_of_downtime(scenario: Scenario) -> None:
    plain = replace(
        scenario,
        prices={hardware: prices[:1] for hardware, prices in scenario.prices.items()},
        changes=tuple(replace(each, status=certain(each.status)) for each in scenario.changes),
    )
    books = kept(plain)
    if not books.rows:
        return
    total = added_up(books.rows, epoch(T0) + measured_end(books) // 1000)
    dearest = max(prices[0][1] for prices in plain.prices.values())
    bound = amount_for(MAX_REPLICAS * dearest, doubtful_seconds(plain))
    assert total.high - total.low <= bound + len(books.rows)


@MANY
@given(set_clocks())
def test_a_clock_that_is_set_makes_no_overlap_and_costs_no_more_than_a_gap(
    scenario: Scenario,
) -> None:
    assert clock_faults(scenario) == []
