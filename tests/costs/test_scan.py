"""What a first look may say of money: upper bounds, or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.costs.scan import IdleTail, ScanFacts, idle_saving, most_this_month
from orchestrator.domain.status import Status

MONTH = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 11, tzinfo=UTC)
DOLLAR = 1_000_000_000
FACTS = ScanFacts(
    status=Status.RUNNING,
    billed_high=1,
    max_replicas=2,
    nano_per_hour=DOLLAR,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 2, tzinfo=UTC),
    last_used_at=NOW - timedelta(hours=5),
)


def most(facts: ScanFacts) -> int | None:
    return most_this_month(facts, month_start=MONTH, now=NOW)


def saving(facts: ScanFacts) -> IdleTail | None:
    return idle_saving(facts, month_start=MONTH, now=NOW)


@pytest.mark.parametrize(
    ("facts", "dollars"),
    [
        (FACTS, 480),
        (replace(FACTS, created_at=None), 480),
        (replace(FACTS, created_at=NOW - timedelta(days=1)), 48),
        (replace(FACTS, created_at=NOW + timedelta(seconds=30)), 0),
        (replace(FACTS, status=Status.PAUSED, billed_high=0, max_replicas=0), 240),
        (replace(FACTS, billed_high=3), 720),
        (replace(FACTS, nano_per_hour=None), None),
        (replace(FACTS, max_replicas=None), None),
    ],
)
def test_the_most_it_can_have_cost_this_month(facts: ScanFacts, dollars: int | None) -> None:
    assert most(facts) == (None if dollars is None else dollars * DOLLAR)


def test_a_pause_would_have_saved_the_certain_idle_tail_at_most() -> None:
    found = saving(FACTS)
    assert found is not None
    assert found.since == NOW - timedelta(hours=4, minutes=45)
    assert found.nano_at_most == DOLLAR * 19 // 4


def test_a_later_change_starts_the_idle_tail_anew() -> None:
    found = saving(replace(FACTS, updated_at=NOW - timedelta(hours=1)))
    assert found is not None
    assert found.seconds == 45 * 60


def test_only_this_month_counts() -> None:
    found = saving(replace(FACTS, last_used_at=MONTH - timedelta(days=9)))
    assert found is not None
    assert (found.since, found.nano_at_most) == (MONTH, 240 * DOLLAR)


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, last_used_at=None),
        replace(FACTS, last_used_at=NOW - timedelta(minutes=15)),
        replace(FACTS, status=Status.PAUSED, billed_high=0),
        replace(FACTS, status=Status.SCALED_TO_ZERO, billed_high=0),
        replace(FACTS, billed_high=0),
        replace(FACTS, nano_per_hour=None),
    ],
)
def test_without_evidence_nothing_is_said(facts: ScanFacts) -> None:
    assert saving(facts) is None
