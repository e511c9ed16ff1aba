"""How long a step usually takes, and when it takes too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.usual import ENOUGH, Spent, is_over, usual

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
L4, A100 = "aws/us-east-1/nvidia-l4/x1", "aws/us-east-1/nvidia-a100/x1"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def spent(*confirmed: float, hardware: str = L4) -> list[Spent]:
    return [Spent(hardware, minutes(0.1), minutes(0.5), minutes(each)) for each in confirmed]


def test_without_history_what_is_known_of_the_cloud_counts() -> None:
    found = usual("confirming", spent(*[60] * (ENOUGH - 1)), L4, minutes(10))
    assert (found.time, found.limit, found.measured) == (minutes(10), minutes(16), False)
    assert usual("confirming", [], L4, None).time == minutes(15)


def test_the_same_hardware_tells_more_than_the_rest() -> None:
    history = spent(*[3, 4, 5, 4, 20]) + spent(*[40] * 9, hardware=A100)
    assert usual("confirming", history, L4, None).time == minutes(20)
    assert usual("confirming", history, A100, None).time == minutes(40)
    assert usual("confirming", history, "other", None).time == minutes(40)


def test_one_slow_return_among_many_is_no_rule() -> None:
    found = usual("confirming", spent(*[4] * 39, 300), L4, None)
    assert (found.time, found.measured) == (minutes(4), True)


@pytest.mark.parametrize(
    ("status", "time"), [("pending", 0.1), ("running", 0.5), ("confirming", 4)]
)
def test_each_step_has_its_own_time(status: str, time: float) -> None:
    assert usual(status, spent(*[4] * 5), L4, None).time == minutes(time)


def test_nobody_is_told_of_seconds() -> None:
    found = usual("pending", spent(*[4] * 5), L4, None)
    assert found.limit == minutes(2)
    assert not is_over(NOON, NOON + minutes(2), found)
    assert is_over(NOON, NOON + minutes(2.1), found)


def test_what_was_measured_counts_for_half_of_what_is_known_at_least() -> None:
    found = usual("confirming", spent(*[0] * ENOUGH), L4, minutes(10))
    assert (found.time, found.measured) == (minutes(5), True)
    assert usual("confirming", spent(*[7] * ENOUGH), L4, minutes(10)).time == minutes(7)
