"""The sandbox is good enough for `huggingface_hub` itself, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest
from huggingface_hub import (
    HfApi,
    InferenceEndpoint,
    InferenceEndpointError,
    InferenceEndpointTimeoutError,
    constants,
)
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from orchestrator.sandbox import faults
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from tests.sandbox.scene import READER, WRITER, Scene


@pytest.fixture
def server(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    with SandboxServer(scene.world) as running:
        monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", f"{running.url}/v2")
        yield running


@pytest.fixture
def hub(server: SandboxServer) -> HfApi:
    return HfApi(endpoint=server.url, token=WRITER)


def _create(hub: HfApi, name: str = "chat-8b", **options: object) -> InferenceEndpoint:
    settings: dict[str, object] = {
        "repository": "meta-llama/Llama-3.1-8B-Instruct",
        "framework": "pytorch",
        "task": "text-generation",
        "accelerator": "gpu",
        "vendor": "aws",
        "region": "us-east-1",
        "type": "authenticated",
        "instance_size": "x1",
        "instance_type": "nvidia-l4",
        "namespace": "acme",
        "token": WRITER,
        **options,
    }
    return hub.create_inference_endpoint(name, **settings)  # type: ignore[arg-type]  # a table of options


def _get(hub: HfApi, name: str = "chat-8b") -> InferenceEndpoint:
    return hub.get_inference_endpoint(name, namespace="acme", token=WRITER)


class TestReading:
    def test_create_and_get(self, hub: HfApi) -> None:
        made = _create(hub, tags=["team=a"], env={"A": "1"}, secrets={"S": "2"})
        assert (made.name, made.status, made.url) == ("chat-8b", "pending", None)
        assert made.raw["tags"] == ["team=a"]
        found = _get(hub)
        assert found.repository == "meta-llama/Llama-3.1-8B-Instruct"
        assert len(found.revision) == 40
        assert (found.task, found.framework) == ("text-generation", "pytorch")
        assert found.created_at == found.updated_at

    def test_list_is_cut_at_twenty(self, hub: HfApi, scene: Scene) -> None:
        for number in range(25):
            scene.add(f"e-{number}")
        assert len(hub.list_inference_endpoints("acme")) == 20

    def test_list_of_everything_asks_who_i_am(self, hub: HfApi, scene: Scene) -> None:
        scene.add()
        assert hub.whoami()["name"] == "maria"
        assert [org["name"] for org in hub.whoami()["orgs"]] == ["acme"]

    def test_default_namespace_comes_from_whoami(self, hub: HfApi, scene: Scene) -> None:
        scene.world.add_endpoint("maria", endpoint_payload("mine"))
        assert [found.name for found in hub.list_inference_endpoints()] == ["mine"]

    def test_hardware(self, hub: HfApi, scene: Scene) -> None:
        scene.world.add_namespace("acme", kind="org", quotas={"nvidia-l4": 16})
        scene.add(max_replica=3)
        rows = {row.id: row for row in hub.list_inference_endpoints_hardware(namespace="acme")}
        l4 = rows["aws-us-east-1-nvidia-l4-x1"]
        assert (l4.price_per_hour, l4.num_accelerators, l4.gpu_memory_gb) == (0.8, 1, 24)
        assert (l4.max_accelerators, l4.used_accelerators) == (16, 3)
        assert rows["aws-us-east-1-intel-icl-x1"].status == "deprecated"


class TestChanging:
    def test_update_sends_only_what_changes(self, hub: HfApi, scene: Scene) -> None:
        scene.add(tags=["keep"])
        hub.update_inference_endpoint(
            "chat-8b", namespace="acme", min_replica=0, scale_to_zero_timeout=15, token=WRITER
        )
        shown = scene.get()
        assert shown["compute"]["scaling"]["scaleToZeroTimeout"] == 15
        assert shown["compute"]["scaling"]["maxReplica"] == 1
        assert shown["tags"] == ["keep"]

    def test_pause_and_resume(self, hub: HfApi, scene: Scene) -> None:
        scene.add()
        paused = hub.pause_inference_endpoint("chat-8b", namespace="acme", token=WRITER)
        assert (paused.status, paused.url) == ("paused", None)
        resumed = hub.resume_inference_endpoint("chat-8b", namespace="acme", token=WRITER)
        assert resumed.status == "pending"

    def test_resume_of_a_running_one(self, hub: HfApi, scene: Scene) -> None:
        scene.add()
        again = hub.resume_inference_endpoint("chat-8b", namespace="acme", running_ok=True)
        assert again.status == "running"
        with pytest.raises(BadRequestError, match="already running"):
            hub.resume_inference_endpoint("chat-8b", namespace="acme", running_ok=False)

    def test_scale_to_zero(self, hub: HfApi, scene: Scene) -> None:
        scene.add(min_replica=0)
        asleep = hub.scale_to_zero_inference_endpoint("chat-8b", namespace="acme")
        assert asleep.status == "scaledToZero"
        assert asleep.url is not None

    def test_delete(self, hub: HfApi, scene: Scene) -> None:
        scene.add()
        hub.delete_inference_endpoint("chat-8b", namespace="acme")
        with pytest.raises(HfHubHTTPError) as caught:
            _get(hub)
        assert caught.value.response.status_code == 404
        assert caught.value.request_id


class TestWaiting:
    @pytest.fixture(autouse=True)
    def _sleep_is_virtual(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "sleep", lambda seconds: scene.pass_time(seconds=seconds))

    def test_ends_when_the_health_route_answers(self, hub: HfApi, scene: Scene) -> None:
        endpoint = _create(hub).wait(refresh_every=5)
        assert endpoint.status == "running"
        health = scene.http.get(f"{endpoint.url}/health")
        assert health.status_code == 200
        assert scene.states() == ["pending", "initializing", "running"]

    def test_raises_when_the_start_fails(self, hub: HfApi, scene: Scene) -> None:
        scene.world.break_starts("acme", "chat-8b", "fail")
        with pytest.raises(InferenceEndpointError, match="failed to deploy"):
            _create(hub).wait(refresh_every=5)

    def test_runs_out_of_patience(self, hub: HfApi, scene: Scene) -> None:
        scene.world.break_starts("acme", "chat-8b", "stuck")
        endpoint = _create(hub)
        with pytest.raises(InferenceEndpointTimeoutError):
            endpoint.wait(timeout=0)


class TestErrors:
    def test_of_a_name_in_use(self, hub: HfApi) -> None:
        _create(hub)
        with pytest.raises(HfHubHTTPError, match="already exists") as caught:
            _create(hub)
        assert caught.value.response.status_code == 409

    def test_of_contradicting_scaling(self, hub: HfApi) -> None:
        with pytest.raises(BadRequestError, match="incompatible"):
            _create(hub, min_replica=1, scale_to_zero_timeout=15)

    def test_of_a_token_that_may_only_read(self, server: SandboxServer, scene: Scene) -> None:
        scene.add()
        reader = HfApi(endpoint=server.url, token=READER)
        assert len(reader.list_inference_endpoints("acme")) == 1
        with pytest.raises(HfHubHTTPError) as caught:
            reader.pause_inference_endpoint("chat-8b", namespace="acme")
        assert caught.value.response.status_code == 403
        assert scene.state() == "running"

    def test_of_no_token(self, hub: HfApi) -> None:
        with pytest.raises(HfHubHTTPError) as caught:
            hub.list_inference_endpoints("acme", token=False)
        assert caught.value.response.status_code == 401
        assert "Bearer" in str(caught.value.server_message)

    def test_of_a_rate_limit_tells_when_to_come_back(self, hub: HfApi, scene: Scene) -> None:
        scene.world.faults.add(faults.error(429, "Too Many Requests", retry_after=55))
        with pytest.raises(HfHubHTTPError, match="55") as caught:
            hub.list_inference_endpoints("acme")
        assert caught.value.response.headers["retry-after"] == "55"

    def test_of_a_missing_field_breaks_the_whole_list(self, hub: HfApi, scene: Scene) -> None:
        scene.add("one")
        scene.add("two")
        scene.world.faults.add(faults.missing_field("model.task", name="two"))
        with pytest.raises(KeyError, match="task"):
            hub.list_inference_endpoints("acme")

    def test_of_a_cut_connection(self, hub: HfApi, scene: Scene) -> None:
        scene.world.faults.add(faults.drop_after(), method="POST")
        with pytest.raises(httpx2.RemoteProtocolError):
            _create(hub)
        scene.pass_time(minutes=5)
        assert scene.state() == "running"


def test_server_follows_its_clock(scene: Scene) -> None:
    moments = iter([scene.world.now + timedelta(minutes=minutes) for minutes in (1, 2, 30)])
    scene.add(state=None)
    with SandboxServer(scene.world, lambda: next(moments)) as server:
        headers = {"authorization": f"Bearer {WRITER}"}
        seen = [
            httpx2.get(f"{server.url}/v2/endpoint/acme/chat-8b", headers=headers) for _ in range(3)
        ]
    assert [answer.headers["date"][17:22] for answer in seen] == ["00:01", "00:02", "00:30"]
    assert seen[-1].json()["status"]["state"] == "running"
