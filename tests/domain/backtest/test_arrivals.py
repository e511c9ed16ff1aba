"""Requests within counts: the same ones however they are looked at, spread as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.traffic import SECOND, Traffic
from tests.domain.backtest.conftest import made

counts = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 300)),
    min_size=1,
    max_size=5,
    unique_by=lambda x: x[0],
).map(lambda rows: sorted((place * 600, count) for place, count in rows))
cvs = st.sampled_from([0.05, 0.6, 1.0, 4.0, 30.0, 1000.0])


@given(counts, cvs, st.integers(0, 5))
def test_every_request_lies_in_its_stretch(
    stretches: list[tuple[int, int]], cv: float, seed: int
) -> None:
    found = Arrivals(made("a", stretches, cv), seed).all()
    for start, count in stretches:
        inside = (found >= start * SECOND) & (found < (start + 600) * SECOND)
        assert inside.sum() == count
    assert (np.diff(found) >= 0).all()


@given(counts, cvs, st.integers(1, 6000), st.integers(1, 900))
def test_answers_are_those_of_the_single_requests(
    stretches: list[tuple[int, int]], cv: float, moment: int, limit: int
) -> None:
    traffic = made("a", stretches, cv)
    lazy, requests = Arrivals(traffic), Arrivals(traffic).all()
    at = moment * SECOND
    later, earlier = requests[requests >= at], requests[requests < at]
    assert lazy.next_from(at) == (int(later[0]) if len(later) else None)
    assert lazy.last_before(at) == (int(earlier[-1]) if len(earlier) else None)
    long = np.flatnonzero(np.diff(requests) >= limit * SECOND)
    runs = lazy.stretches(limit * SECOND)
    assert runs.first == [int(requests[0]), *(int(one) for one in requests[long + 1])]
    assert runs.last == [*(int(one) for one in requests[long]), int(requests[-1])]
    ready = at + 300 * SECOND
    inside = requests[(requests >= at) & (requests < ready)]
    waiting = lazy.waiting(at, ready)
    assert waiting.requests == len(inside)
    assert waiting.total == pytest.approx((ready - inside).sum(), rel=1e-3, abs=SECOND)


def test_gaps_vary_as_the_row_says() -> None:
    for cv in (0.3, 1.0, 2.5):
        stretches = [(place * 600, 2000) for place in range(6)]
        gaps = np.diff(Arrivals(made("a", stretches, cv)).all())
        assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.1)


def test_a_burst_beyond_measure_is_one_moment() -> None:
    """One gap takes the whole stretch: requests come in a heap before it and in one after it."""
    found = Arrivals(made("a", [(0, 3000)], 5000.0)).all()
    assert len(set((found // SECOND).tolist())) <= 2


def test_seeds_and_names_give_other_requests() -> None:
    rows = [(0, 50)]
    first = Arrivals(made("a", rows)).all().tolist()
    assert first == Arrivals(made("a", rows)).all().tolist()
    assert first != Arrivals(made("a", rows), seed=1).all().tolist()
    assert first != Arrivals(made("b", rows)).all().tolist()


def test_nothing_came() -> None:
    none = Arrivals(made("a", []))
    assert (none.first, none.last, none.next_from(0), none.last_before(9)) == (None,) * 4
    assert none.stretches(5).first == []
    assert none.waiting(0, 5).requests == 0


def test_a_part_of_traffic_counts_from_its_start(client: dict[str, Traffic]) -> None:
    whole = client["m-large-014"]
    second = whole.part(7 * 86400, 14 * 86400)
    assert second.requests.sum() + whole.part(0, 7 * 86400).requests.sum() == whole.requests.sum()
    assert second.start_s.min() >= 0
    assert second.start_s.max() < 7 * 86400
