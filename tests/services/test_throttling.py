"""The brake on guessing."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.services import throttle
from orchestrator.services.throttle import Throttle
from tests.support.rows import NOON

MINUTE = timedelta(minutes=1)


def test_failures_bar_a_key_until_the_first_is_old_enough() -> None:
    brake = Throttle(3, 5 * MINUTE)
    for number in range(3):
        assert brake.wait("a", NOON + number * MINUTE) is None
        brake.failed("a", NOON + number * MINUTE)
    assert brake.wait("a", NOON + 2 * MINUTE) == 3 * MINUTE
    assert brake.wait("a", NOON + 5 * MINUTE - timedelta(seconds=1)) == timedelta(seconds=1)
    assert brake.wait("a", NOON + 5 * MINUTE) is None


def test_one_key_does_not_bar_another() -> None:
    brake = Throttle(1, MINUTE)
    brake.failed("a", NOON)
    assert brake.wait("a", NOON) == MINUTE
    assert brake.wait("b", NOON) is None


def test_a_success_forgets_failures() -> None:
    brake = Throttle(1, MINUTE)
    brake.failed("a", NOON)
    brake.succeeded("a")
    assert brake.wait("a", NOON) is None


def test_many_keys_do_not_fill_the_memory() -> None:
    brake = Throttle(1, MINUTE)
    for number in range(throttle.MOST_KEYS + 1):
        brake.failed(str(number), NOON)
    assert brake.wait("0", NOON) is None
    assert brake.wait("1", NOON) == MINUTE
