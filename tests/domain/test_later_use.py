"""A time of last use never goes back, unless the one before lay in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.domain.usage import later_use

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_later_of_two_times_of_use_is_kept() -> None:
    assert later_use(None, NOW - HOUR, NOW) == NOW - HOUR
    assert later_use(NOW - HOUR, NOW, NOW) == NOW
    assert later_use(NOW - HOUR, NOW - 2 * HOUR, NOW) == NOW - HOUR
    assert later_use(NOW + HOUR, NOW - HOUR, NOW) == NOW - HOUR
