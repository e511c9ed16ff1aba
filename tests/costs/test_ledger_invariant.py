"""Invariant I1: no gap, no overlap, the true bill within the bounds, and the bounds narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from orchestrator.costs.days import epoch
from orchestrator.costs.observe import Look, Observation, observe
from orchestrator.costs.stretch import Evidence, whole_second
from orchestrator.costs.sums import Span, Sum, until
from orchestrator.domain.money import amount_for
from orchestrator.domain.status import Status
from orchestrator.store.ledger import Price, Stretch
from tests.costs.histories import GAP_LIMIT_S, MAX_REPLICAS, scenarios, set_clocks
from tests.costs.reference_cloud import (
    T0,
    Books,
    LookAt,
    Planner,
    Scenario,
    bill,
    ceil_second_ms,
    to_ms,
)

MINUTE_S = 60
MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])


def kept(scenario: Scenario, planner: Planner = observe) -> Books:
    books = Books(scenario, planner)
    books.run()
    return books


def added_up(rows: Sequence[Stretch], end: int) -> Sum:
    total = Sum()
    for row in rows:
        last = end if row.ended_at is None else min(end, epoch(row.ended_at))
        span = Span(
            epoch(row.started_at), row.replicas, row.burn_low, row.burn, row.burn_high,
            row.rounding_nano,
        )
        total.add(until(span, last))
    return total


def measured_end(books: Books) -> int:
    """The end of the measured time in true milliseconds: the last look, or the deletion."""
    confirmed = to_ms(whole_second(T0 + timedelta(milliseconds=books.confirmed or 0)))
    ended = books.rows[-1].ended_at
    return confirmed if ended is None else max(confirmed, to_ms(ended))


def faults(scenario: Scenario, planner: Planner = observe) -> list[str]:
    """What is wrong with the ledger of a scenario in which the clock was never set."""
    books = kept(scenario, planner)
    if not books.rows:
        return []
    found = shape_faults(books.rows)
    end = measured_end(books)
    total = added_up(books.rows, epoch(T0) + end // 1000)
    true = bill(scenario, to_ms(books.rows[0].started_at), end)
    slack = len(books.rows)
    if not total.low - slack <= true <= total.high + slack:
        found.append(f"bill {float(true)} outside {total.low}..{total.high}")
    if not total.low <= total.nano <= total.high:
        found.append("expected outside bounds")
    return found


def shape_faults(rows: Sequence[Stretch]) -> list[str]:
    found = [
        f"{one.ended_at} then {two.started_at}"
        for one, two in pairwise(rows)
        if one.ended_at != two.started_at
    ]
    found += [
        f"no length: {each}"
        for each in rows
        if each.ended_at is not None and each.ended_at <= each.started_at
    ]
    found += ["an open row that is not the last" for each in rows[:-1] if each.ended_at is None]
    found += [
        f"bounds out of order: {each}"
        for each in rows
        if not (each.burn_low or 0) <= (each.burn or 0) <= (each.burn_high or 0)
        or not each.replicas_low <= each.replicas <= each.replicas_high
    ]
    return found


@MANY
@given(scenarios())
def test_the_bill_lies_within_the_ledger(scenario: Scenario) -> None:
    assert faults(scenario) == []
