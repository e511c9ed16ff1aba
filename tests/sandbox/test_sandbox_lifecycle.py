"""The state machine, as a caller of the API sees it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.sandbox.instants import to_datetime
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.traffic import Traffic, Window
from tests.sandbox.scene import START, Scene


class TestCreate:
    def test_passes_pending_and_initializing_on_the_way_to_running(self, scene: Scene) -> None:
        answer = scene.http.post("/v2/endpoint/acme", json=endpoint_payload("chat-8b"))
        assert answer.status_code == 200
        status = answer.json()["status"]
        assert (status["state"], status["message"]) == (
            "pending",
            "Endpoint waiting to be scheduled",
        )
        assert (status["readyReplica"], status["targetReplica"]) == (0, 0)
        scene.pass_time(minutes=10)
        assert scene.states() == ["pending", "initializing", "running"]

    def test_pending_takes_one_to_six_seconds(self, scene: Scene) -> None:
        scene.add(state=None)
        pending, initializing = scene.world.endpoint("acme", "chat-8b").history()[0], None
        scene.until(lambda: scene.state() == "initializing")
        initializing = scene.world.endpoint("acme", "chat-8b").frame
        assert 1 <= (initializing.at - pending.at) / 1e6 <= 6

    def test_bigger_models_take_longer(self, scene: Scene) -> None:
        scene.add("small-1b", repository="org/small-1b", state=None, startup_s=None)
        scene.add(
            "big-70b",
            repository="org/big-70b",
            hardware="aws-us-east-1-nvidia-a100-x4",
            state=None,
            startup_s=None,
        )
        scene.until(lambda: scene.state("small-1b") == "running")
        assert scene.world.now - START < timedelta(minutes=2)
        assert scene.state("big-70b") == "initializing"
        scene.until(lambda: scene.state("big-70b") == "running")
        assert timedelta(minutes=4) < scene.world.now - START < timedelta(minutes=12)

    def test_has_no_url_before_it_first_runs(self, scene: Scene) -> None:
        scene.add(state=None)
        assert "url" not in scene.get()["status"]
        scene.pass_time(minutes=5)
        assert scene.get()["status"]["url"].startswith("http")

    def test_fails_when_its_start_was_broken(self, scene: Scene) -> None:
        scene.world.break_starts("acme", "chat-8b", "fail")
        scene.add(state=None)
        scene.pass_time(minutes=5)
        status = scene.get()["status"]
        assert status["state"] == "failed"
        assert status["message"] == "Endpoint failed to deploy"
        assert status["errorMessage"]
        assert (status["readyReplica"], status["targetReplica"]) == (0, 1)
        assert "url" not in status

    def test_fails_as_often_as_was_said(self, scene: Scene) -> None:
        scene.world.break_starts("acme", "chat-8b", "fail", times=2)
        scene.add(state=None)
        seen = []
        for _ in range(3):
            scene.pass_time(minutes=5)
            seen.append(scene.state())
            scene.world.act("acme", "chat-8b", "pause")
            scene.world.act("acme", "chat-8b", "resume")
        assert seen == ["failed", "failed", "running"]

    def test_stays_initializing_when_stuck(self, scene: Scene) -> None:
        scene.world.break_starts("acme", "chat-8b", "stuck")
        scene.add(state=None)
        scene.pass_time(days=2)
        assert scene.state() == "initializing"


class TestPause:
    def test_drops_the_url_and_drains(self, scene: Scene) -> None:
        scene.add()
        status = scene.post("pause").json()["status"]
        assert status["state"] == "paused"
        assert "url" not in status
        assert status["readyReplica"] == 1
        scene.pass_time(seconds=30)
        assert scene.get()["status"]["readyReplica"] == 0
        assert scene.get()["status"]["targetReplica"] == 1

    def test_keeps_the_url_over_a_resume(self, scene: Scene) -> None:
        scene.add()
        before = scene.get()["status"]["url"]
        scene.post("pause")
        scene.pass_time(hours=1)
        assert scene.post("resume").json()["status"]["state"] == "pending"
        scene.pass_time(minutes=5)
        assert scene.get()["status"]["url"] == before

    def test_is_repeatable(self, scene: Scene) -> None:
        scene.add(state="paused")
        before = scene.get()
        assert scene.post("pause").status_code == 200
        assert scene.get() == before

    @pytest.mark.parametrize("seconds", [0, 3, 30])
    def test_stops_a_start(self, scene: Scene, seconds: int) -> None:
        scene.add(state=None)
        scene.pass_time(seconds=seconds)
        scene.post("pause")
        scene.pass_time(hours=1)
        assert scene.state() == "paused"

    def test_makes_a_later_start_take_its_full_time(self, scene: Scene) -> None:
        endpoint = scene.add(state=None, startup_s=60)
        scene.pass_time(seconds=40)
        scene.post("pause")
        scene.post("resume")
        scene.until(lambda: scene.state() == "running")
        begun, ran = (frame.at for frame in endpoint.history()[-2:])
        assert ran - begun == 60_000_000

    def test_stays_asleep_when_requests_come(self, scene: Scene) -> None:
        scene.add(traffic=Traffic.steady(5))
        scene.post("pause")
        scene.pass_time(hours=3)
        assert scene.state() == "paused"


class TestResume:
    def test_of_a_running_endpoint_says_already_running(self, scene: Scene) -> None:
        scene.add()
        answer = scene.post("resume")
        assert answer.status_code == 400
        assert "already running" in answer.json()["error"]

    def test_wakes_from_zero(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        assert scene.post("resume").status_code == 200
        scene.pass_time(minutes=5)
        assert scene.state() == "running"

    def test_keeps_the_scaling_bounds(self, scene: Scene) -> None:
        scene.add(min_replica=2, max_replica=5)
        scene.post("pause")
        scene.pass_time(hours=1)
        scene.post("resume")
        scene.pass_time(minutes=5)
        scaling = scene.get()["compute"]["scaling"]
        assert (scaling["minReplica"], scaling["maxReplica"]) == (2, 5)
        assert scene.get()["status"]["readyReplica"] == 2

    def test_of_a_failed_endpoint_is_refused(self, scene: Scene) -> None:
        scene.add(state="failed")
        assert scene.post("resume").status_code == 400
        assert scene.state() == "failed"


class TestScaleToZero:
    def test_needs_no_minimum(self, scene: Scene) -> None:
        scene.add(min_replica=1)
        assert scene.post("scale-to-zero").status_code == 400
        assert scene.state() == "running"

    def test_keeps_the_url(self, scene: Scene) -> None:
        scene.add(min_replica=0)
        status = scene.post("scale-to-zero").json()["status"]
        assert status["state"] == "scaledToZero"
        assert status["readyReplica"] == status["targetReplica"] == 0
        assert status["url"]

    def test_happens_by_itself_after_the_timeout(self, scene: Scene) -> None:
        scene.add(min_replica=0, timeout_minutes=15)
        scene.pass_time(minutes=14, seconds=59)
        assert scene.state() == "running"
        scene.pass_time(seconds=1)
        assert scene.state() == "scaledToZero"

    def test_counts_from_the_last_request(self, scene: Scene) -> None:
        scene.add(min_replica=0, timeout_minutes=15)
        scene.pass_time(minutes=10)
        scene.world.invoke("acme", "chat-8b")
        scene.pass_time(minutes=14, seconds=59)
        assert scene.state() == "running"
        scene.pass_time(seconds=1)
        assert scene.state() == "scaledToZero"

    def test_of_an_old_endpoint_that_is_overdue_happens_now(self, scene: Scene) -> None:
        payload = endpoint_payload("chat-8b", min_replica=0, timeout_minutes=15)
        endpoint = scene.world.add_endpoint(
            "acme", payload, state="running", created_at=START - timedelta(days=9)
        )
        scene.pass_time(seconds=1)
        assert scene.state() == "scaledToZero"
        assert to_datetime(endpoint.frame.at) == START
        assert scene.world.now == START + timedelta(seconds=1)

    def test_never_happens_under_steady_traffic(self, scene: Scene) -> None:
        scene.add(min_replica=0, timeout_minutes=15, traffic=Traffic.steady(20))
        scene.pass_time(days=2)
        assert scene.states() == ["running"]

    def test_ends_with_the_first_recorded_request(self, scene: Scene) -> None:
        morning = Traffic([Window(6 * 9, 1, 1.0)])  # one request between 9:00 and 9:10
        scene.add(min_replica=0, timeout_minutes=15, traffic=morning)
        scene.pass_time(hours=9)
        assert scene.state() == "scaledToZero"
        scene.pass_time(minutes=12)
        assert scene.states() == ["running", "scaledToZero", "initializing", "running"]
        used = scene.world.endpoint("acme", "chat-8b").last_used(scene.world.instant)
        woken = scene.world.endpoint("acme", "chat-8b").history()[2].at
        assert used == woken


class TestUpdate:
    def test_of_the_model_rolls(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(minutes=1)
        changed = {"model": {"repository": "org/other-8b"}}
        answer = scene.http.put("/v2/endpoint/acme/chat-8b", json=changed)
        assert answer.json()["status"]["state"] == "updating"
        assert answer.json()["status"]["readyReplica"] == 1
        scene.pass_time(minutes=5)
        assert scene.states() == ["running", "updating", "running"]
        assert scene.get()["model"]["repository"] == "org/other-8b"

    def test_that_fails_leaves_the_old_replicas(self, scene: Scene) -> None:
        scene.add()
        scene.world.break_starts("acme", "chat-8b", "fail")
        scene.http.put("/v2/endpoint/acme/chat-8b", json={"model": {"task": "other"}})
        scene.pass_time(minutes=5)
        status = scene.get()["status"]
        assert (status["state"], status["readyReplica"]) == ("updateFailed", 1)

    def test_of_the_bounds_only_is_made_in_place(self, scene: Scene) -> None:
        scene.add()
        more = {"compute": {"scaling": {"minReplica": 2, "maxReplica": 3}}}
        scene.http.put("/v2/endpoint/acme/chat-8b", json=more)
        assert scene.get()["status"]["targetReplica"] == 2
        assert scene.get()["status"]["readyReplica"] == 1
        scene.pass_time(minutes=5)
        assert scene.get()["status"]["readyReplica"] == 2
        assert scene.states() == ["running"]

    def test_of_a_paused_endpoint_leaves_it_paused(self, scene: Scene) -> None:
        scene.add(state="paused")
        scene.http.put("/v2/endpoint/acme/chat-8b", json={"model": {"task": "other"}})
        scene.pass_time(minutes=5)
        assert scene.state() == "paused"
        assert scene.get()["model"]["task"] == "other"

    def test_of_a_failed_endpoint_deploys_again(self, scene: Scene) -> None:
        scene.add(state="failed")
        scene.http.put("/v2/endpoint/acme/chat-8b", json={"model": {"task": "other"}})
        scene.pass_time(minutes=5)
        assert scene.state() == "running"

    def test_that_lifts_the_minimum_wakes_a_sleeper(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        awake = {"compute": {"scaling": {"minReplica": 1, "scaleToZeroTimeout": None}}}
        scene.http.put("/v2/endpoint/acme/chat-8b", json=awake)
        scene.pass_time(minutes=5)
        assert scene.state() == "running"


class TestAutoscaling:
    def test_follows_the_traffic_within_the_bounds(self, scene: Scene) -> None:
        busy = [Window(block, 100_000, 0.5) for block in range(6)]
        scene.add(max_replica=3, traffic=Traffic(busy))
        scene.pass_time(minutes=12)
        assert scene.get()["status"]["readyReplica"] == 3
        scene.pass_time(hours=2)
        assert scene.get()["status"]["readyReplica"] == 1

    def test_takes_a_start_up_to_grow(self, scene: Scene) -> None:
        scene.add(max_replica=2, traffic=Traffic([Window(0, 2000, 0.5)]), startup_s=90)
        scene.pass_time(minutes=10, seconds=30)
        status = scene.get()["status"]
        assert (status["readyReplica"], status["targetReplica"]) == (1, 2)
        scene.pass_time(seconds=61)
        assert scene.get()["status"]["readyReplica"] == 2

    def test_sees_requests_made_by_hand(self, scene: Scene) -> None:
        scene.add(max_replica=2)
        scene.pass_time(seconds=1)
        for _ in range(1300):
            scene.world.invoke("acme", "chat-8b")
        scene.pass_time(minutes=12)
        assert scene.get()["status"]["readyReplica"] == 2

    def test_does_not_grow_without_capacity(self, scene: Scene) -> None:
        scene.world.exhaust_capacity("nvidia-l4")
        scene.add(max_replica=2, traffic=Traffic.steady(2000))
        scene.pass_time(hours=1)
        status = scene.get()["status"]
        assert (status["readyReplica"], status["targetReplica"]) == (1, 1)


class TestCapacity:
    def test_missing_keeps_a_start_pending_until_it_returns(self, scene: Scene) -> None:
        scene.world.exhaust_capacity("nvidia-l4")
        scene.add(state=None)
        scene.pass_time(days=1)
        assert scene.state() == "pending"
        assert "capacity" in scene.get()["status"]["message"]
        scene.world.restore_capacity("nvidia-l4")
        scene.pass_time(minutes=3)
        assert scene.state() == "running"

    def test_returns_by_itself_at_a_known_instant(self, scene: Scene) -> None:
        scene.world.exhaust_capacity("nvidia-l4", until=START + timedelta(hours=1))
        scene.add(state="paused")
        scene.post("resume")
        scene.pass_time(minutes=59)
        assert scene.state() == "pending"
        scene.pass_time(minutes=4)
        assert scene.state() == "running"

    def test_missing_for_one_type_does_not_touch_others(self, scene: Scene) -> None:
        scene.world.exhaust_capacity("nvidia-l4")
        scene.add(state=None, hardware="aws-us-east-1-nvidia-t4-x1")
        scene.pass_time(minutes=3)
        assert scene.state() == "running"

    def test_missing_holds_up_a_wake(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        scene.world.exhaust_capacity("nvidia-l4")
        assert scene.world.invoke("acme", "chat-8b").status == 503
        assert scene.state() == "pending"


class TestDelete:
    def test_is_for_good(self, scene: Scene) -> None:
        scene.add()
        answer = scene.http.delete("/v2/endpoint/acme/chat-8b")
        assert (answer.status_code, answer.json()) == (200, {})
        gone = scene.http.get("/v2/endpoint/acme/chat-8b")
        assert gone.status_code == 404
        assert "not found" in gone.json()["error"]
        assert scene.http.delete("/v2/endpoint/acme/chat-8b").status_code == 404

    def test_frees_the_name(self, scene: Scene) -> None:
        first = scene.add()
        scene.world.act("acme", "chat-8b", "delete")
        second = scene.add()
        assert first.id != second.id

    def test_stops_a_start_for_good(self, scene: Scene) -> None:
        endpoint = scene.add(state=None)
        scene.world.act("acme", "chat-8b", "delete")
        scene.pass_time(hours=1)
        assert endpoint.state == "pending"


class TestConsole:
    def test_leaves_the_name_of_the_person(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(minutes=1)
        scene.world.act("acme", "chat-8b", "pause", by="jonas")
        status = scene.get()["status"]
        assert status["updatedBy"]["name"] == "jonas"
        assert status["updatedAt"] > status["createdAt"]

    def test_is_not_an_api_call(self, scene: Scene) -> None:
        scene.add()
        scene.world.act("acme", "chat-8b", "pause")
        assert len(scene.world.calls) == 0
