"""Reading traffic, from files and from what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.recorded import Recorded, traffic_of
from orchestrator.domain.backtest.traffic import SECOND, Fleet, TrafficError, read_csv

HEAD = "client,window_start_s,requests,cv"
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def test_rows_become_endpoints_of_one_length() -> None:
    fleet = read_csv([HEAD, "b,1200,4,1.5", "a,600,2,1", "b,0,3,0.5", ""])
    assert [one.name for one in fleet.endpoints] == ["a", "b"]
    assert fleet.length_s == 2400
    assert fleet.endpoints[1].start_s.tolist() == [0, 1200]
    assert fleet.endpoints[1].requests.tolist() == [3, 4]


def test_recorded_clients_span_two_weeks(recorded: Fleet) -> None:
    assert (len(recorded.endpoints), recorded.length_s) == (40, 14 * 86400)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "line 1: the columns must be client,window_start_s,requests,cv"),
        (["a,b"], "line 1"),
        ([HEAD], "no row"),
        ([HEAD, "a,0,1"], "line 2: 3 values"),
        ([HEAD, "a,0,x,1"], "line 2: invalid literal"),
        ([HEAD, "a,0,0,1"], "line 2: .*requests 1 or more"),
        ([HEAD, "a,-1,1,1"], "window_start_s must be 0 or more"),
        ([HEAD, "a,0,1,nan"], "cv 0 or more"),
        ([HEAD, ",0,1,1"], "line 2: client is empty"),
        ([HEAD, "a,0,1,1", "a,0,2,1"], "two rows"),
    ],
)
def test_what_cannot_be_read_is_named(lines: list[str], told: str) -> None:
    with pytest.raises(TrafficError, match=told):
        read_csv(lines)


def test_the_last_recorded_request_comes_when_it_was_seen() -> None:
    seen = MONDAY + timedelta(minutes=24, seconds=5)
    stretches = [
        Recorded(MONDAY + timedelta(minutes=20), 3, last_request_at=seen),
        Recorded(MONDAY + timedelta(minutes=40), 0),
        Recorded(MONDAY - timedelta(minutes=10), 5),
    ]
    arrivals = Arrivals(traffic_of("chat", stretches, MONDAY, 86400))
    assert arrivals.requests == 3
    assert arrivals.last == pytest.approx((24 * 60 + 5) * SECOND, abs=2)
    assert arrivals.first is not None
    assert arrivals.first >= 20 * 60 * SECOND


def test_one_request_is_where_the_last_use_was() -> None:
    used = MONDAY + timedelta(minutes=3)
    arrivals = Arrivals(
        traffic_of("chat", [Recorded(MONDAY, 1, last_request_at=used)], MONDAY, 86400)
    )
    assert arrivals.all().tolist() == [pytest.approx(180 * SECOND, abs=2)]
