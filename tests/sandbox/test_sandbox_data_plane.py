"""Requests to the endpoints themselves."""

from __future__ import annotations

import httpx2
import pytest

from orchestrator.sandbox.accounts import INFER, MANAGE
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.switches import Switches
from tests.sandbox.scene import READER, STRANGER, Scene


def _call(
    scene: Scene,
    path: str = "/generate",
    *,
    token: str | None = READER,
    hold_s: float | None = None,
) -> httpx2.Response:
    url = scene.world.renderer.url(scene.world.endpoint("acme", "chat-8b"))
    headers = {} if hold_s is None else {"X-Scale-Up-Timeout": str(hold_s)}
    sleep = lambda seconds: scene.pass_time(seconds=seconds)  # noqa: E731 - the shape that the transport takes
    return scene.client(token, sleep=sleep).post(f"{url}{path}", headers=headers, timeout=1000)


class TestAnswers:
    def test_of_a_running_endpoint(self, scene: Scene) -> None:
        scene.add()
        assert _call(scene).json() == [{"generated_text": "A simulated answer of chat-8b."}]
        chat = _call(scene, "/v1/chat/completions").json()
        assert chat["choices"][0]["message"]["role"] == "assistant"

    def test_of_a_paused_one_is_an_unhelpful_400(self, scene: Scene) -> None:
        scene.add(state="paused")
        answer = _call(scene)
        assert (answer.status_code, answer.text) == (400, "Bad Request: Invalid state")
        scene.pass_time(hours=1)
        assert scene.state() == "paused"
        assert "lastUsedAt" not in scene.get()["status"]

    @pytest.mark.parametrize("state", ["failed", None])
    def test_of_one_that_is_not_up_is_503(self, scene: Scene, state: str | None) -> None:
        scene.add(state=state)
        assert _call(scene).status_code == 503

    def test_of_a_deleted_one_is_404(self, scene: Scene) -> None:
        url = scene.world.renderer.url(scene.add())
        scene.world.act("acme", "chat-8b", "delete")
        assert scene.http.post(url).status_code == 404

    def test_of_a_container_that_still_loads_is_503(self, scene: Scene) -> None:
        scene.add(
            repository="org/big-70b",
            hardware="aws-us-east-1-nvidia-a100-x4",
            state=None,
            startup_s=None,
        )
        scene.until(lambda: scene.state() == "running")
        assert _call(scene, "/health").status_code == 503
        scene.pass_time(minutes=3)
        assert _call(scene, "/health").status_code == 200


class TestWaking:
    def test_answers_503_and_starts(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        assert _call(scene).status_code == 503
        assert scene.state() == "initializing"
        scene.pass_time(seconds=61)
        assert _call(scene).status_code == 200

    def test_holds_the_request_as_long_as_the_client_says(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        before = scene.world.now
        assert _call(scene, hold_s=600).status_code == 200
        assert (scene.world.now - before).total_seconds() == 60

    def test_gives_up_after_the_hold(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        before = scene.world.now
        assert _call(scene, hold_s=20).status_code == 503
        assert (scene.world.now - before).total_seconds() == 20
        assert scene.state() == "initializing"

    def test_joins_a_start_under_way(self, scene: Scene) -> None:
        scene.add(state=None, startup_s=100)
        scene.pass_time(seconds=50)
        answer = scene.world.invoke("acme", "chat-8b", hold_s=300)
        assert answer.status == 200
        assert 50 <= answer.waited_s <= 60

    def test_tells_the_caller_in_the_world_that_it_woke(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        assert scene.world.invoke("acme", "chat-8b").woke is True
        assert scene.world.invoke("acme", "chat-8b").woke is False

    def test_over_http_holds_for_real(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0, startup_s=0)
        with SandboxServer(scene.world):
            url = scene.world.renderer.url(scene.world.endpoint("acme", "chat-8b"))
            answer = httpx2.post(
                url,
                headers={"authorization": f"Bearer {READER}", "x-scale-up-timeout": "5"},
                timeout=5,
            )
        assert answer.status_code == 200


class TestHealth:
    def test_wakes_and_keeps_awake(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0, timeout_minutes=15)
        scene.pass_time(minutes=1)
        assert _call(scene, "/health").status_code == 503
        for _ in range(12):
            scene.pass_time(minutes=5)
            _call(scene, "/health")
        assert scene.states() == ["scaledToZero", "initializing", "running"]

    def test_may_count_for_nothing(self) -> None:
        scene = Scene(Switches(health_counts_as_activity=False))
        scene.add(state="scaledToZero", min_replica=0)
        assert _call(scene, "/health").status_code == 503
        assert scene.state() == "scaledToZero"

    def test_is_where_the_container_says(self, scene: Scene) -> None:
        scene.add(image={"custom": {"url": "img:1", "healthRoute": "/ping"}})
        assert scene.get()["healthRoute"] == "/ping"
        assert _call(scene, "/ping").text == "OK"


class TestAccess:
    @pytest.mark.parametrize(
        ("access", "token", "status"),
        [
            ("public", None, 200),
            ("public", STRANGER, 200),
            ("authenticated", None, 401),
            ("authenticated", "nonsense", 401),
            ("authenticated", STRANGER, 200),
            ("private", None, 401),
            ("private", STRANGER, 403),
            ("private", READER, 200),
        ],
    )
    def test_by_type(self, scene: Scene, access: str, token: str | None, status: int) -> None:
        scene.add(access=access)
        assert _call(scene, token=token).status_code == status

    def test_private_may_mean_a_private_link(self) -> None:
        scene = Scene(Switches(private_means="private_link"))
        scene.add(access="private")
        assert _call(scene).status_code == 403

    @pytest.mark.parametrize(("scope", "status"), [(MANAGE, 403), (INFER, 200)])
    def test_of_a_fine_grained_token_needs_the_scope(
        self, scene: Scene, scope: str, status: int
    ) -> None:
        scene.add()
        scene.world.add_user("robot", token="fine", role="fineGrained", scopes=[scope])
        assert _call(scene, token="fine").status_code == status

    def test_refused_does_not_wake(self, scene: Scene) -> None:
        scene.add(state="scaledToZero", min_replica=0)
        assert _call(scene, token=None).status_code == 401
        assert scene.state() == "scaledToZero"
