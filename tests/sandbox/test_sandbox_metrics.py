"""Graphs of an endpoint against its traffic and history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.sandbox.instants import to_instant
from orchestrator.sandbox.metrics import _METRICS
from orchestrator.sandbox.traffic import Traffic, Window
from tests.sandbox.scene import START, Scene

METRICS = "/v2/endpoint/acme/chat-8b/metrics"


def _graphs(scene: Scene, start: datetime, stop: datetime) -> dict[str, Any]:
    body = {"start": start.isoformat(), "stop": stop.isoformat()}
    answer = scene.http.post(METRICS, json=body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def _codes(graphs: dict[str, Any]) -> dict[str, int]:
    return {
        series["statusCode"]: sum(point["y"] for point in series["data"])
        for series in graphs["responseStatusCodeGrouped"]["series"]
    }


class TestAllGraphs:
    def test_counts_every_request_by_its_answer(self, scene: Scene) -> None:
        traffic = Traffic.steady(60)
        scene.add(traffic=traffic)
        scene.pass_time(hours=2)
        scene.post("pause")
        scene.pass_time(hours=1)
        codes = _codes(_graphs(scene, START, scene.world.now))
        served = traffic.count(to_instant(START), to_instant(START + timedelta(hours=2)))
        refused = traffic.count(to_instant(START + timedelta(hours=2)), scene.world.instant)
        assert codes == {"200": served, "400": refused}

    def test_counts_requests_made_by_hand(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(minutes=1)
        for verb in (None, "pause", "resume"):
            if verb:
                scene.post(verb)
            scene.pass_time(seconds=1)
            scene.world.invoke("acme", "chat-8b")
            scene.pass_time(minutes=2)
        graphs = _graphs(scene, START, scene.world.now)
        assert _codes(graphs) == {"200": 1, "400": 1, "503": 1}

    def test_shows_refusals_during_a_cold_start(self, scene: Scene) -> None:
        windows = [Window(30, 500, 0.5)]
        scene.add(min_replica=0, timeout_minutes=15, traffic=Traffic(windows), startup_s=120)
        scene.pass_time(hours=6)
        codes = _codes(_graphs(scene, START, scene.world.now))
        assert codes["503"] > 0
        assert codes["503"] + codes["200"] == 500

    def test_of_an_idle_endpoint_are_zeros_not_gaps(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(hours=1)
        graphs = _graphs(scene, START, scene.world.now)
        (series,) = graphs["responseStatusCodeGrouped"]["series"]
        assert [point["y"] for point in series["data"]] == [0] * 60

    def test_have_at_most_240_points(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(days=14)
        graphs = _graphs(scene, START, scene.world.now)
        (series,) = graphs["pendingRequest"]["series"]
        assert 200 < len(series["data"]) <= 240

    def test_follow_the_replicas(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(minutes=5)
        scene.world.act(
            "acme",
            "chat-8b",
            "update",
            payload={"compute": {"scaling": {"minReplica": 2, "maxReplica": 2}}},
        )
        scene.pass_time(minutes=5)
        rows = _graphs(scene, START, scene.world.now)["replicasRunning"]["series"]
        ready, target = ([p["y"] for p in row["data"]] for row in rows)
        assert (ready[0], ready[-1]) == (1, 2)
        assert target[5] == 2

    @pytest.mark.parametrize("body", [{}, {"start": "x", "stop": "y"}, {"start": 1, "stop": 2}])
    def test_need_a_span(self, scene: Scene, body: dict[str, Any]) -> None:
        scene.add()
        assert scene.http.post(METRICS, json=body).status_code == 422

    def test_are_not_a_change(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(hours=1)
        _graphs(scene, START, scene.world.now)
        assert scene.world.calls[-1].mutating is False


class TestOneMetric:
    def _span(self) -> dict[str, int]:
        start = int(START.timestamp())
        return {"from": start, "to": start + 3600}

    @pytest.mark.parametrize("name", sorted(_METRICS))
    def test_has_a_series(self, scene: Scene, name: str) -> None:
        scene.add(traffic=Traffic.steady(600))
        scene.pass_time(hours=1)
        answer = scene.http.post(f"{METRICS}/{name}", json=self._span())
        (series,) = answer.json()["series"]
        assert len(series["data"]) == 60
        assert all(point["y"] >= 0 for point in series["data"])

    def test_counts_requests(self, scene: Scene) -> None:
        scene.add(traffic=Traffic.steady(600))
        scene.pass_time(hours=1)
        answer = scene.http.post(f"{METRICS}/request-count", json=self._span())
        assert sum(point["y"] for point in answer.json()["series"][0]["data"]) == 3600

    def test_of_an_unknown_name_is_404(self, scene: Scene) -> None:
        scene.add()
        assert scene.http.post(f"{METRICS}/mood", json=self._span()).status_code == 404

    def test_needs_a_span(self, scene: Scene) -> None:
        scene.add()
        assert scene.http.post(f"{METRICS}/request-count", json={}).status_code == 422


def test_open_metrics_has_totals(scene: Scene) -> None:
    scene.add(traffic=Traffic.steady(100))
    scene.pass_time(hours=1)
    text = scene.http.get("/v2/endpoint/acme/chat-8b/open-metrics").text
    assert 'status_code="200"} 600' in text
    assert text.endswith("# EOF\n")
