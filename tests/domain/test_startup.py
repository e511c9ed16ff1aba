"""Start-up times: from an endpoint's own starts, else from its like, else what is usual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.startup import Source, Start, StartUps, settled_before, with_margin

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
USUAL = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


def starts(*minutes: float, endpoint: str = "ep_a", hardware: str = "l4") -> list[Start]:
    begun = [NOW - timedelta(days=number + 1) for number in range(len(minutes))]
    return [
        Start(endpoint, hardware, at, at + one * MINUTE)
        for at, one in zip(begun, minutes, strict=True)
    ]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([4], 7),  # half and a minute on top, as little was measured
        ([4, 4, 4, 4, 4], 6),  # a quarter and a minute
        ([2] * 9 + [60], 4),  # the 90th percentile of ten leaves one out
        ([4.1] * 5, 7),  # rounded up to whole minutes
        ([300] * 6, 120),  # what took longer waited for something else
    ],
)
def test_the_margin_and_the_percentile(minutes: list[float], expected: int) -> None:
    assert with_margin([one * MINUTE for one in minutes]) == expected * MINUTE


def test_its_own_starts_come_before_those_of_others() -> None:
    others = starts(*[20] * 9, endpoint="ep_b")
    found = StartUps([*starts(4, 4, 4, 4, 4), *others], USUAL).of("ep_a", "l4", NOW)
    assert (found.time, found.source, found.measured) == (6 * MINUTE, Source.OWN, 5)
    assert "its own 5 starts" in found.words


def test_without_own_starts_enough_others_on_its_hardware_count() -> None:
    book = StartUps(starts(8, 8, 8, 8, 8, endpoint="ep_b"), USUAL)
    assert book.of("ep_a", "l4", NOW).source is Source.ALIKE
    assert book.of("ep_a", "l4", NOW).time == 11 * MINUTE
    assert book.of("ep_a", "a100", NOW).source is Source.DEFAULT


def test_where_nothing_was_measured_the_usual_time_counts_and_is_said_so() -> None:
    found = StartUps(starts(8, 8, endpoint="ep_b"), USUAL).of("ep_a", "l4", NOW)
    assert (found.time, found.source) == (USUAL, Source.DEFAULT)
    assert "nothing was measured" in found.words


def test_a_resume_that_found_it_awake_is_no_start() -> None:
    found = StartUps(starts(0.05), USUAL).of("ep_a", "l4", NOW)
    assert found.source is Source.DEFAULT


def test_a_start_does_not_take_itself_back() -> None:
    """From two hours before a window on, what was measured since then does not count."""
    opens_at = NOW + timedelta(minutes=10)
    book = StartUps([*starts(20), Start("ep_a", "l4", NOW - 5 * MINUTE, NOW)], USUAL)
    early = book.of("ep_a", "l4", settled_before(NOW, opens_at)).time
    assert early == 31 * MINUTE
    later = book.of("ep_a", "l4", settled_before(NOW, opens_at + timedelta(days=1)))
    assert later.measured == 2
    assert settled_before(NOW, None) == NOW
