"""Reading traffic, from files and from what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.recorded import Recorded, traffic_of
from orchestrator.domain.backtest.traffic import SECOND, Fleet, TrafficError, read_csv

HEAD = "client,window_start_s,requests,cv"
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def test_rows_become_endpoints_of_one_length() -> None:
    fleet = read_csv([HEAD, "b,1200,4,1.5", "a,600,2,1", "b,0,3,0.5", ""])
    assert [one.name for one in fleet.endpoints] == ["a", "b"]
    assert fleet.length_s == 1800
    assert fleet.endpoints[1].start_s.tolist() == [0, 1200]
    assert fleet.endpoints[1].requests.tolist() == [3, 4]


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    fleet = read_csv([f"\ufeff{HEAD}\r\n", "a,0,3,1\r\n", "b,600,2,1\r\n"])
    assert [one.name for one in fleet.endpoints] == ["a", "b"]
    assert read_csv([f'\ufeff"client",{HEAD.partition(",")[2]}', "a,0,3,1"]).length_s == 600


def test_recorded_clients_span_two_weeks(recorded: Fleet) -> None:
    assert (len(recorded.endpoints), recorded.length_s) == (40, 14 * 86400)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "line 1: the columns must be client,window_start_s,requests,cv"),
        (["a,b"], "line 1"),
        ([HEAD], "no row"),
        ([HEAD, "a,0,1"], "line 2: 3 values"),
        ([HEAD, "a,0,x,1"], "line 2: requests is 'x', where a whole number like 600 is expected"),
        ([HEAD, "a,0.0,3,1"], "line 2: window_start_s is '0.0', where a whole number"),
        ([HEAD, "a,0,3,wide"], "line 2: cv is 'wide', where a number like 1.5 is expected"),
        ([HEAD, f"a,0,{'9' * 5000},1"], "line 2: requests is '9{40}', where"),
        ([HEAD, "\ufeffa,x,3,1"], "line 2: window_start_s is 'x'"),
        ([HEAD, "a,0,0,1"], "line 2: .*requests 1 or more"),
        ([HEAD, "a,-1,1,1"], "window_start_s must be 0 or more"),
        ([HEAD, "a,0,1,nan"], "cv 0 or more"),
        ([HEAD, ",0,1,1"], "line 2: client is empty"),
        ([HEAD, "a,0,1,1", "b,0,1,1", "a,0,2,1"], "line 4: .* window_start_s 0 in line 2 already"),
        ([HEAD, f"a,0,{10**21},1"], "line 2: .* requests 100000000, cv 1000000"),
        ([HEAD, f"a,{10**21},1,1"], "line 2: too much: at most window_start_s 315619200"),
        ([HEAD, "a,0,1,1", "a,300,1,1"], "line 3: window_start_s 300 is no multiple of 600"),
    ],
)
def test_what_cannot_be_read_is_named(lines: list[str], told: str) -> None:
    with pytest.raises(TrafficError, match=told):
        read_csv(lines)


def test_a_sparse_file_has_stretches_of_ten_minutes() -> None:
    """What other endpoints did says nothing of how long a row is."""
    rows = ["a,0,10,1.0", "a,86400,10,1.0", "a,259200,10,1.0"]
    alone, beside = read_csv([HEAD, *rows]), read_csv([HEAD, *rows, "b,0,1,1", "b,600,1,1"])
    for fleet in (alone, beside):
        assert fleet.length_s == 259200 + 600
        assert set(fleet.endpoints[0].span_s.tolist()) == {600.0}
        last = Arrivals(fleet.endpoints[0]).all()
        assert np.array_equal(last // (600 * SECOND), np.repeat([0, 144, 432], 10))


def test_the_length_of_a_stretch_and_of_the_trace_may_be_told() -> None:
    rows = [HEAD, "a,0,10,1.0", "a,86400,10,1.0"]
    hours = read_csv(rows, 3600)
    assert (hours.length_s, hours.endpoints[0].span_s.tolist()) == (90000, [3600.0, 3600.0])
    week = read_csv(rows, length_s=7 * 86400)
    assert (week.length_s, len(week.endpoints[0].requests)) == (7 * 86400, 2)
    day = read_csv(rows, length_s=86400)
    assert (day.length_s, day.endpoints[0].start_s.tolist()) == (86400, [0])


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
