"""Recorded traffic: a pure function of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sandbox.instants import DAY, MINUTE, SECOND, to_instant
from orchestrator.sandbox.traffic import (
    BLOCK,
    BLOCKS_PER_LAP,
    MARKS,
    Traffic,
    Window,
    recorded_clients,
)
from tests.sandbox.scene import START

MONDAY = to_instant(START)
_WINDOWS = st.lists(
    st.builds(
        Window,
        block=st.integers(0, BLOCKS_PER_LAP - 1),
        requests=st.integers(1, 2000),
        cv=st.floats(0, 60),
    ),
    unique_by=lambda window: window.block,
    max_size=8,
)
_TIMES = st.integers(MONDAY, MONDAY + 40 * DAY)


def _traffic(windows: list[Window], phase_s: int = 0, seed: int = 3) -> Traffic:
    return Traffic(windows, phase_s=phase_s, seed=seed)


@given(_WINDOWS, _TIMES, _TIMES)
def test_last_next_and_count_agree(windows: list[Window], one: int, other: int) -> None:
    traffic = _traffic(windows)
    low, high = sorted((one, other))
    last, following = traffic.last(low, high), traffic.next(low)
    if last is None:
        assert traffic.count(low, high) == 0
        assert following is None or following > high
    else:
        assert low < last <= high
        assert following is not None
        assert following <= last
        assert traffic.count(low, high) > 0
        assert traffic.count(last, high) == 0


@given(_WINDOWS, _TIMES, _TIMES, _TIMES)
def test_counts_add_up(windows: list[Window], a: int, b: int, c: int) -> None:
    traffic = _traffic(windows)
    low, middle, high = sorted((a, b, c))
    whole = traffic.count(low, high)
    assert whole == traffic.count(low, middle) + traffic.count(middle, high)


@given(_WINDOWS, st.integers(0, 3))
def test_every_fortnight_has_all_requests_once(windows: list[Window], lap: int) -> None:
    traffic = _traffic(windows)
    start = MONDAY + lap * 14 * DAY - 1
    assert traffic.count(start, start + 14 * DAY) == sum(w.requests for w in windows)


@given(_WINDOWS, _TIMES, st.integers(-10_000, 100_000))
def test_phase_shifts_the_whole_trace(windows: list[Window], at: int, phase_s: int) -> None:
    plain, shifted = _traffic(windows), _traffic(windows, phase_s)
    following = plain.next(at)
    moved = shifted.next(at + phase_s * SECOND)
    assert moved == (None if following is None else following + phase_s * SECOND)


@given(_WINDOWS, _TIMES)
def test_survives_json(windows: list[Window], at: int) -> None:
    traffic = _traffic(windows, 17)
    copy = Traffic.from_dict(traffic.to_dict())
    assert (copy.last(MONDAY, at), copy.next(at)) == (traffic.last(MONDAY, at), traffic.next(at))


def test_arrivals_fill_the_block_in_order() -> None:
    traffic = _traffic([Window(0, 1000, 1.0)])
    marks, at = [], MONDAY - 1
    while (found := traffic.next(at)) is not None and found < MONDAY + BLOCK:
        marks.append(found)
        at = found
    assert len(marks) == MARKS
    assert marks[0] - MONDAY < 10 * SECOND
    assert MONDAY + BLOCK - marks[-1] < 10 * SECOND
    assert traffic.count(MONDAY - 1, marks[0]) == 1


def test_bursty_windows_have_longer_gaps() -> None:
    def longest(cv: float) -> float:
        traffic, gaps, at = _traffic([Window(b, 50, cv) for b in range(200)]), [], MONDAY
        for _ in range(1500):
            following = traffic.next(at)
            assert following is not None
            gaps.append(following - at)
            at = following
        return max(gaps) / MINUTE

    assert longest(8.0) > 2 * longest(0.5)


def test_repeats_with_other_arrivals_inside_the_blocks() -> None:
    traffic = _traffic([Window(5, 3, 1.0)])
    first, second = traffic.next(MONDAY), traffic.next(MONDAY + 14 * DAY)
    assert first is not None
    assert second is not None
    assert 0 < abs(second - first - 14 * DAY) < BLOCK


def test_is_seeded() -> None:
    windows = [Window(5, 3, 1.0)]
    assert _traffic(windows, seed=1).next(MONDAY) == _traffic(windows, seed=1).next(MONDAY)
    assert _traffic(windows, seed=1).next(MONDAY) != _traffic(windows, seed=2).next(MONDAY)


def test_sample_is_forty_varied_clients() -> None:
    clients = recorded_clients()
    busy = sorted(len(trace.windows) for trace in clients.values())
    assert len(clients) == 40
    assert busy[0] < 10
    assert busy[-1] == BLOCKS_PER_LAP
    assert sum(count < BLOCKS_PER_LAP // 5 for count in busy) > 15


def test_unknown_client_is_an_error() -> None:
    with pytest.raises(KeyError):
        Traffic.recorded("nobody")
