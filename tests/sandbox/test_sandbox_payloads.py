"""What the API accepts, coerces, ignores and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.switches import Switches
from tests.sandbox.scene import Scene

LIST, ONE = "/v2/endpoint/acme", "/v2/endpoint/acme/chat-8b"


def _with(path: str, value: Any, **payload: Any) -> dict[str, Any]:
    body = endpoint_payload("chat-8b", **payload)
    holder = body
    *parents, leaf = path.split(".")
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[leaf] = value
    return body


def _without(path: str) -> dict[str, Any]:
    body = endpoint_payload("chat-8b")
    holder = body
    *parents, leaf = path.split(".")
    for parent in parents:
        holder = holder[parent]
    del holder[leaf]
    return body


class TestTypes:
    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (_without("name"), "missing field `name`"),
            (_without("type"), "missing field `type`"),
            (_without("compute"), "missing field `compute`"),
            (_without("compute.scaling.maxReplica"), "missing field `maxReplica`"),
            (_without("model.image"), "missing field `image`"),
            (_with("compute.scaling.minReplica", "1"), "invalid type: string, expected u32"),
            (_with("compute.scaling.minReplica", value=True), "invalid type: boolean"),
            (_with("compute.scaling.minReplica", -1), "expected u32"),
            (_with("model.task", None), "invalid type: null, expected string"),
            (_with("model", "gpt2"), "expected struct Model"),
            (_with("tags", "a,b"), "expected sequence"),
            (_with("model.image", {"docker": {}}), "unknown variant `docker`"),
            (_with("model.image", {"tgi": {}}), "missing field `url`"),
            (_with("model.image", {"tgi": 1}), "expected struct Container"),
            (_with("model.image", {}), "a map with a single key"),
            ([], "expected struct Endpoint"),
        ],
    )
    def test_that_do_not_fit_are_a_422_in_plain_text(
        self, scene: Scene, body: Any, text: str
    ) -> None:
        answer = scene.http.post(LIST, json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("text/plain")
        assert text in answer.text
        assert scene.world.calls[-1].committed is False

    def test_of_broken_json_are_a_400(self, scene: Scene) -> None:
        answer = scene.http.post(LIST, content=b"{", headers={"content-type": "application/json"})
        assert answer.status_code == 400

    def test_null_is_fine_where_the_client_sends_it(self, scene: Scene) -> None:
        body = _with("compute.scaling.scaleToZeroTimeout", None)
        assert body["model"]["revision"] is None
        assert scene.http.post(LIST, json=body).status_code == 200


class TestRules:
    @pytest.mark.parametrize(
        "body",
        [
            _with("name", "UPPER"),
            _with("name", "under_score"),
            _with("name", "-dash"),
            _with("name", "x" * 33),
            _with("compute.instanceType", "nvidia-z9"),
            _with("provider.region", "mars-1"),
            _with("compute.accelerator", "cpu"),
            _with("compute.scaling.minReplica", 2),
            _with("compute.scaling.maxReplica", 0, min_replica=0),
            _with("compute.scaling.scaleToZeroTimeout", 15),
            _with(
                "model.image",
                {"vLLM": {"url": "vllm:1"}},
                hardware="aws-us-east-1-nvidia-l4-x4",
            ),
        ],
    )
    def test_that_are_broken_are_a_400(self, scene: Scene, body: dict[str, Any]) -> None:
        answer = scene.http.post(LIST, json=body)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("Bad Request")

    def test_allow_parallel_engines_that_say_how(self, scene: Scene) -> None:
        image = {"vLLM": {"url": "vllm:1", "tensorParallelSize": 4}}
        body = endpoint_payload("chat-8b", hardware="aws-us-east-1-nvidia-l4-x4", image=image)
        assert scene.http.post(LIST, json=body).status_code == 200

    def test_of_a_name_in_use(self, scene: Scene) -> None:
        scene.add()
        answer = scene.http.post(LIST, json=endpoint_payload("chat-8b"))
        assert answer.status_code == 409
        assert "already exists" in answer.json()["error"]

    def test_may_accept_a_timeout_beside_a_minimum(self) -> None:
        scene = Scene(Switches(timeout_with_min="accept"))
        body = _with("compute.scaling.scaleToZeroTimeout", 15)
        assert scene.http.post(LIST, json=body).status_code == 200
        scene.pass_time(hours=2)
        assert scene.state() == "running"


class TestQuirks:
    def test_an_unknown_type_becomes_private(self, scene: Scene) -> None:
        answer = scene.http.post(LIST, json=_with("type", "protected"))
        assert (answer.status_code, answer.json()["type"]) == (200, "private")

    def test_unknown_fields_are_ignored(self, scene: Scene) -> None:
        shown = scene.http.post(LIST, json=_with("model.mood", "good")).json()
        assert "mood" not in shown["model"]

    def test_the_revision_is_resolved(self, scene: Scene) -> None:
        commit = "ab" * 20
        named = scene.http.post(LIST, json=_with("model.revision", commit)).json()
        assert named["model"]["revision"] == commit
        moved = scene.http.put(ONE, json={"model": {"repository": "org/x"}}).json()
        assert moved["model"]["revision"] != commit

    @pytest.mark.parametrize("default", [15, None])
    def test_a_timeout_left_out_has_a_default(self, default: int | None) -> None:
        scene = Scene(Switches(omitted_timeout_minutes=default))
        body = endpoint_payload("chat-8b", min_replica=0)
        del body["compute"]["scaling"]["scaleToZeroTimeout"]
        shown = scene.http.post(LIST, json=body).json()
        assert shown["compute"]["scaling"]["scaleToZeroTimeout"] == default


class TestUpdates:
    @pytest.fixture(autouse=True)
    def _endpoint(self, scene: Scene) -> None:
        scene.add(min_replica=0, timeout_minutes=30, tags=["a"])

    def test_null_clears(self, scene: Scene) -> None:
        scene.http.put(ONE, json={"compute": {"scaling": {"scaleToZeroTimeout": None}}})
        assert scene.get()["compute"]["scaling"]["scaleToZeroTimeout"] is None
        scene.pass_time(days=2)
        assert scene.state() == "running"

    def test_objects_merge(self, scene: Scene) -> None:
        before = scene.get()
        scene.http.put(ONE, json={"compute": {"scaling": {"maxReplica": 4}}})
        after = scene.get()
        assert after["compute"]["scaling"]["maxReplica"] == 4
        after["compute"]["scaling"]["maxReplica"] = 1
        assert after["compute"] == before["compute"]
        assert after["model"] == before["model"]

    def test_env_and_image_are_replaced_whole(self, scene: Scene) -> None:
        scene.http.put(ONE, json={"model": {"env": {"A": "1"}}})
        scene.http.put(
            ONE, json={"model": {"env": {"B": "2"}, "image": {"custom": {"url": "img:2"}}}}
        )
        model = scene.get()["model"]
        assert model["env"] == {"B": "2"}
        assert model["image"] == {"custom": {"url": "img:2"}}

    def test_of_nothing_change_nothing_but_the_date(self, scene: Scene) -> None:
        before = scene.get()
        scene.pass_time(minutes=1)
        after = scene.http.put(ONE, json={}).json()
        assert after["status"].pop("updatedAt") > before["status"].pop("updatedAt")
        assert before["status"].pop("updatedBy") != after["status"].pop("updatedBy")
        assert after == before

    def test_leave_vendor_region_and_name_alone(self, scene: Scene) -> None:
        body = {"name": "new", "provider": {"vendor": "gcp", "region": "us-east4"}}
        assert scene.http.put(ONE, json=body).status_code == 200
        assert scene.get()["provider"] == {"vendor": "aws", "region": "us-east-1"}

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"compute": {"scaling": {"minReplica": 3}}}, 400),
            ({"compute": {"scaling": {"minReplica": 1}}}, 400),
            ({"compute": {"scaling": {"minReplica": None}}}, 422),
            ({"compute": {"accelerator": "cpu", "instanceType": "intel-spr"}}, 400),
            ({"model": {"image": {"docker": {}}}}, 422),
        ],
    )
    def test_that_break_a_rule_change_nothing(
        self, scene: Scene, body: dict[str, Any], status: int
    ) -> None:
        before = scene.get()
        assert scene.http.put(ONE, json=body).status_code == status
        assert scene.get() == before

    def test_may_change_type_tags_and_route(self, scene: Scene) -> None:
        body = {"type": "public", "tags": ["b"], "route": {"domain": "d", "path": "/p"}}
        scene.http.put(ONE, json=body)
        shown = scene.get()
        assert (shown["type"], shown["tags"]) == ("public", ["b"])
        assert shown["route"] == {"domain": "d", "path": "/p"}
        assert shown["status"]["state"] == "running"
