"""Each open question of the service has its switch (those of the bill are tested with it)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox.switches import Switches
from tests.sandbox.scene import Scene


def _scene(**switches: Any) -> Scene:
    return Scene(Switches(**switches))


class TestPause:
    @pytest.mark.parametrize(("keeps", "target"), [(True, 2), (False, 0)])
    def test_may_keep_the_target(self, keeps: bool, target: int) -> None:
        scene = _scene(pause_keeps_target_replica=keeps)
        scene.add(min_replica=2, max_replica=2)
        assert scene.post("pause").json()["status"]["targetReplica"] == target

    def test_of_a_paused_one_may_be_refused(self) -> None:
        scene = _scene(pause_paused="refuse")
        scene.add(state="paused")
        assert scene.post("pause").status_code == 400

    def test_may_keep_the_url(self) -> None:
        scene = _scene(url_while_paused=True)
        scene.add()
        assert "url" in scene.post("pause").json()["status"]


class TestResume:
    def test_may_reset_the_scaling_bounds(self) -> None:
        scene = _scene(resume_resets_scaling=True)
        scene.add(min_replica=0, max_replica=4, timeout_minutes=15)
        scene.post("pause")
        scene.pass_time(hours=1)
        scaling = scene.post("resume").json()["compute"]["scaling"]
        assert (scaling["minReplica"], scaling["maxReplica"]) == (1, 1)
        scene.pass_time(hours=2)
        assert scene.state() == "running"

    def test_of_a_failed_one_may_work(self) -> None:
        scene = _scene(resume_from_failed=True)
        scene.add(state="failed")
        assert scene.post("resume").status_code == 200
        scene.pass_time(minutes=5)
        assert scene.state() == "running"


class TestScaleToZero:
    @pytest.mark.parametrize(("answer", "minimum"), [("accept", 1), ("lower_min", 0)])
    def test_with_a_minimum_may_be_accepted(self, answer: str, minimum: int) -> None:
        scene = _scene(scale_to_zero_with_min=answer)
        scene.add(min_replica=1)
        shown = scene.post("scale-to-zero").json()
        assert shown["status"]["state"] == "scaledToZero"
        assert shown["compute"]["scaling"]["minReplica"] == minimum
        scene.world.invoke("acme", "chat-8b")
        scene.pass_time(minutes=5)
        assert scene.state() == "running"


class TestUpdate:
    def test_of_a_failed_one_may_not_help(self) -> None:
        scene = _scene(update_from_failed=False)
        scene.add(state="failed")
        scene.http.put("/v2/endpoint/acme/chat-8b", json={"model": {"task": "other"}})
        scene.pass_time(minutes=5)
        assert scene.state() == "failed"

    def test_of_the_bounds_may_roll(self) -> None:
        scene = _scene(scaling_change_rolls=True)
        scene.add()
        body = {"compute": {"scaling": {"maxReplica": 2}}}
        shown = scene.http.put("/v2/endpoint/acme/chat-8b", json=body).json()
        assert shown["status"]["state"] == "updating"


class TestCapacity:
    def test_may_run_out_of_patience(self) -> None:
        scene = _scene(capacity_patience_s=600)
        scene.world.exhaust_capacity("nvidia-l4")
        scene.add(state=None)
        scene.pass_time(minutes=9)
        assert scene.state() == "pending"
        scene.pass_time(minutes=2)
        assert scene.state() == "failed"
        assert "capacity" in scene.get()["status"]["errorMessage"]


class TestPages:
    def test_may_be_of_another_size(self) -> None:
        scene = _scene(default_page=3, largest_page=5)
        for number in range(8):
            scene.add(f"e-{number}")
        assert len(scene.http.get("/v2/endpoint/acme").json()["items"]) == 3
        assert len(scene.http.get("/v2/endpoint/acme?limit=100").json()["items"]) == 5


def test_survive_a_snapshot() -> None:
    switches = Switches(minute_rounding="up", omitted_timeout_minutes=None)
    assert Switches(**switches.to_dict()) == switches
