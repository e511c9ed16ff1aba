"""Counting requests from the graphs of the cloud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.endpoints import Usage
from orchestrator.providers.base import CredentialsError, UnavailableError
from orchestrator.providers.huggingface.usage import read_usage
from tests.providers.wire import Wire, refusal

START = datetime(2026, 9, 1, 10, 0, tzinfo=UTC)
END = START + timedelta(minutes=10)


def at(minute: float) -> str:
    return (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


def series(*points: tuple[float, float | None], **labels: str) -> dict[str, Any]:
    return {**labels, "data": [{"x": at(minute), "y": value} for minute, value in points]}


def graphs(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"responseStatusCodeGrouped": {"series": list(rows)}, **more}


def usage_of(raw: dict[str, Any]) -> Usage:
    usage = Wire(raw).provider().usage(["demo"], START, END)["demo"]
    assert usage is not None
    return usage


EACH_MINUTE = [(float(minute), 0.0) for minute in range(11)]


class TestCounting:
    def test_asks_for_the_span_with_a_lead(self) -> None:
        wire = Wire(graphs())
        wire.provider().usage(["demo"], START, END)
        assert wire.paths == ["POST /v2/endpoint/acme/demo/metrics"]
        assert wire.body() == {"start": "2026-09-01T09:55:00Z", "stop": "2026-09-01T10:10:00Z"}

    def test_adds_up_all_outcomes(self) -> None:
        raw = graphs(
            series((0, 5), (1, 0), (2, 3), statusCode="2xx"),
            series((0, 0), (1, 0), (2, 1), statusCode="5xx"),
        )
        usage = usage_of(raw)
        assert usage.requests == 9
        assert usage.last_request_at == START + timedelta(minutes=3)

    def test_points_outside_the_span_do_not_count(self) -> None:
        usage = usage_of(graphs(series((-5, 7), (-4, 7), (1, 1), (2, 0), (11, 9), (12, 9))))
        assert usage.requests == 1

    def test_a_point_that_reaches_into_the_span_counts(self) -> None:
        usage = usage_of(graphs(series((-0.5, 2), (0.5, 0), (1.5, 0))))
        assert usage.requests == 2
        assert usage.last_request_at == START + timedelta(minutes=0.5)

    def test_a_point_at_the_end_counts(self) -> None:
        """It may stand for the time before it."""
        usage = usage_of(graphs(series((8, 0), (9, 0), (10, 3))))
        assert (usage.requests, usage.last_request_at) == (3, END)

    def test_a_fraction_is_never_none(self) -> None:
        assert usage_of(graphs(series((0, 0.01), (1, 0)))).requests == 1

    def test_the_last_request_is_not_after_the_span(self) -> None:
        usage = usage_of(graphs(series((8.5, 0), (9.5, 1))))
        assert usage.last_request_at == END

    @pytest.mark.parametrize("scale", [1, 1000])
    def test_epoch_instants_are_read_too(self, scale: int) -> None:
        second = int(START.timestamp())
        data = [{"x": (second + 60 * n) * scale, "y": 1} for n in range(3)]
        usage = usage_of(graphs({"data": data}))
        assert (usage.requests, usage.covered_seconds) == (3, 120)


class TestCoverage:
    def test_zeroes_over_the_whole_span_are_proof(self) -> None:
        usage = usage_of(graphs(series(*EACH_MINUTE)))
        assert (usage.requests, usage.covered_seconds, usage.last_request_at) == (0, 600, None)

    def test_no_series_is_unknown_not_idle(self) -> None:
        for raw in (graphs(), {}, {"responseStatusCodeGrouped": None}, graphs({"data": []})):
            assert usage_of(raw).covered_seconds == 0

    def test_a_hole_is_not_covered(self) -> None:
        points = [point for point in EACH_MINUTE if not 3 < point[0] < 7]
        assert usage_of(graphs(series(*points))).covered_seconds == 6 * 60

    def test_a_null_is_not_covered(self) -> None:
        points = [(minute, None if minute == 5 else 0.0) for minute, _ in EACH_MINUTE]
        assert usage_of(graphs(series(*points))).covered_seconds == 8 * 60

    def test_a_null_in_one_series_is_doubt_enough(self) -> None:
        other = series((5, None), statusCode="5xx")
        assert usage_of(graphs(series(*EACH_MINUTE), other)).covered_seconds == 8 * 60

    @pytest.mark.parametrize("value", ["3", True, -1, [], float("nan")])
    def test_an_odd_value_is_not_covered(self, value: object) -> None:
        raw = graphs(series(*EACH_MINUTE))
        raw["responseStatusCodeGrouped"]["series"][0]["data"][5]["y"] = value
        assert read_usage(raw, START, END).covered_seconds == 8 * 60

    def test_a_single_point_covers_nothing(self) -> None:
        assert usage_of(graphs(series((5, 0)))).covered_seconds == 0

    def test_what_lies_outside_the_span_is_not_counted_as_cover(self) -> None:
        points = [(float(minute), 0.0) for minute in range(-5, 20)]
        assert usage_of(graphs(series(*points))).covered_seconds == 600

    def test_a_cut_off_last_bucket_does_not_spoil_the_step(self) -> None:
        points = [(float(minute), 0.0) for minute in range(-3, 10)]
        assert usage_of(graphs(series(*points, (9.3, 0)))).covered_seconds == 558

    def test_sparse_points_are_not_taken_for_a_coarse_step(self) -> None:
        usage = usage_of(graphs(series((0, 1), (1, 1), (2, 1), (6, 1), (10, 1))))
        assert usage.covered_seconds == 120

    def test_the_last_minutes_are_open_until_their_point_is_there(self) -> None:
        assert usage_of(graphs(series(*EACH_MINUTE[:9]))).covered_seconds == 8 * 60

    def test_a_window_shorter_than_the_step_covers_nothing(self) -> None:
        assert usage_of(graphs(series(*EACH_MINUTE), timeWindowSeconds=30)).covered_seconds == 0
        assert usage_of(graphs(series(*EACH_MINUTE), timeWindowSeconds=600)).covered_seconds == 600

    @pytest.mark.parametrize(
        "point",
        [
            None,
            7,
            {},
            {"x": "soon", "y": 1},
            {"x": None},
            {"x": 1e30},
            {"x": "0001-01-01T00:00:00Z", "y": 1},
        ],
    )
    def test_odd_points_are_left_out(self, point: object) -> None:
        raw = graphs(series(*EACH_MINUTE))
        raw["responseStatusCodeGrouped"]["series"][0]["data"].append(point)
        assert usage_of(raw).covered_seconds == 600

    def test_points_at_the_ends_of_time_are_left_out(self) -> None:
        far = [{"x": f"{year}-06-01T00:00:00Z", "y": 1} for year in ("0001", "9998")]
        usage = usage_of(graphs({"data": far}))
        assert (usage.requests, usage.covered_seconds) == (0, 0)


class TestInFlight:
    def test_running_and_waiting_are_added(self) -> None:
        requests = {
            "running": {"series": [series((0, 9), (1, 2)), series((1, 1))]},
            "waiting": {"series": [series((1, 4))]},
        }
        assert usage_of(graphs(inference={"requests": requests})).in_flight == 7

    def test_pending_requests_stand_in(self) -> None:
        pending = {"series": [series((0, 3), (1, 0.2))]}
        assert usage_of(graphs(inference=None, pendingRequest=pending)).in_flight == 1

    def test_without_either_it_is_unknown(self) -> None:
        assert usage_of(graphs(inference=None)).in_flight is None
        assert usage_of(graphs(pendingRequest={"series": [series((0, None))]})).in_flight is None


class TestRefusals:
    @pytest.mark.parametrize("status", [403, 404, 501])
    def test_a_plan_or_token_that_is_not_told_gives_none(self, status: int) -> None:
        wire = Wire(refusal(status, "not for you"))
        assert wire.provider().usage(["demo"], START, END) == {"demo": None}
        assert len(wire.requests) == 1

    def test_a_route_that_is_not_there_gives_none(self) -> None:
        wire = Wire(refusal(404, ""))
        assert wire.provider().usage(["demo"], START, END) == {"demo": None}

    def test_a_bad_token_and_an_outage_are_errors(self) -> None:
        with pytest.raises(CredentialsError):
            Wire(refusal(401)).provider().usage(["demo"], START, END)
        with pytest.raises(UnavailableError):
            Wire(refusal(503)).provider().usage(["demo"], START, END)
