"""Creating, changing, pausing, resuming and deleting endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange, Hardware, Scaling
from orchestrator.domain.status import Status
from orchestrator.providers.base import (
    AmbiguousError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from orchestrator.providers.errors import EchoMismatchError
from orchestrator.providers.huggingface.provider import HuggingFaceProvider
from tests.providers.wire import L4, Wire, a_spec, endpoint, refusal

MARKED = "redacted:0123456789abcdef"
VERBS: dict[str, Callable[[HuggingFaceProvider], object]] = {
    "pause": lambda provider: provider.pause_endpoint("demo"),
    "resume": lambda provider: provider.resume_endpoint("demo"),
    "scale-to-zero": lambda provider: provider.scale_to_zero("demo"),
}
CHANGES: dict[str, Callable[[HuggingFaceProvider], object]] = VERBS | {
    "create": lambda provider: provider.create_endpoint(a_spec()),
    "update": lambda provider: provider.update_endpoint("demo", EndpointChange(task="x")),
    "delete": lambda provider: provider.delete_endpoint("demo"),
}


class TestCreate:
    def test_sends_the_documented_payload(self) -> None:
        wire = Wire(endpoint())
        snapshot = wire.provider().create_endpoint(a_spec())
        assert snapshot.name == "demo"
        assert wire.paths == ["POST /v2/endpoint/acme"]
        assert wire.body() == {
            "compute": {
                "accelerator": "gpu",
                "instanceSize": "x1",
                "instanceType": "nvidia-l4",
                "scaling": {"maxReplica": 3, "minReplica": 1, "scaleToZeroTimeout": None},
            },
            "model": {
                "framework": "pytorch",
                "repository": "org/model-7b",
                "revision": None,
                "image": {"huggingface": {}},
                "task": "text-generation",
            },
            "name": "demo",
            "provider": {"region": "us-east-1", "vendor": "aws"},
            "type": "authenticated",
        }

    def test_task_is_left_out_rather_than_null(self) -> None:
        wire = Wire(endpoint())
        wire.provider().create_endpoint(a_spec(task=None))
        assert "task" not in wire.body()["model"]

    @pytest.mark.parametrize("name", ["", "Demo", "a_b", "a" * 33, "a b", "..", "a/b", "é"])
    def test_impossible_names_are_refused_before_sending(self, name: str) -> None:
        wire = Wire(endpoint())
        with pytest.raises(RefusedError, match="name"):
            wire.provider().create_endpoint(a_spec(name=name))
        assert wire.requests == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"scaling": Scaling(1, 3, 15)}, "scale_to_zero_minutes.*set min_replicas to 0"),
            ({"scaling": Scaling(0, 3, 0)}, "scale_to_zero_minutes"),
            ({"scaling": Scaling(4, 3)}, "min_replicas"),
            ({"scaling": Scaling(-1, 3)}, "min_replicas"),
            ({"scaling": Scaling(0, 0)}, "maximum"),
            ({"scaling": Scaling(1, 1, None, "pendingRequests", "many")}, "threshold"),
            ({"access": "protected"}, "use authenticated instead"),
            ({"access": "secret-club"}, "access"),
            ({"hardware": Hardware("?", "us-east-1", "a", "x1", "gpu")}, "hardware"),
            ({"hardware": Hardware("aws", "us-east-1", "?", "x1", "gpu")}, "hardware"),
            ({"hardware": Hardware("aws", "us-east-1", "a", "x1")}, "accelerator"),
            ({"environment": {"A": MARKED}}, r"model\.env\.A is a marker"),
            ({"arguments": (f"--token={MARKED}",)}, r"model\.args\.0 is a marker"),
            ({"image": {"custom": {"url": MARKED}}}, r"model\.image\.custom\.url"),
        ],
    )
    def test_what_cannot_work_is_refused_with_the_remedy(
        self, changes: dict[str, Any], words: str
    ) -> None:
        wire = Wire(endpoint())
        with pytest.raises(RefusedError, match=words):
            wire.provider().create_endpoint(a_spec(**changes))
        assert wire.requests == []

    def test_a_taken_name_is_a_conflict(self) -> None:
        wire = Wire(refusal(409, "Endpoint already exists"))
        with pytest.raises(ConflictError):
            wire.provider().create_endpoint(a_spec())
        assert len(wire.requests) == 1

    def test_another_access_than_asked_is_raised_with_the_endpoint(self) -> None:
        wire = Wire(endpoint(type="private"))
        with pytest.raises(EchoMismatchError, match="EXISTS") as caught:
            wire.provider().create_endpoint(a_spec(access="public"))
        assert caught.value.snapshot.access == "private"
        assert caught.value.asked == {"access": "public"}
        assert caught.value.echoed == {"access": "private"}

    def test_no_word_on_access_is_not_taken_for_agreement(self) -> None:
        with pytest.raises(EchoMismatchError):
            Wire(endpoint(type=...)).provider().create_endpoint(a_spec())

    def test_other_hardware_than_asked_is_raised(self) -> None:
        wire = Wire(endpoint(provider__region="eu-west-1"))
        with pytest.raises(EchoMismatchError) as caught:
            wire.provider().create_endpoint(a_spec())
        assert caught.value.echoed == {"hardware": "aws/eu-west-1/nvidia-l4/x1"}


class TestUpdate:
    def test_sends_only_what_is_set(self) -> None:
        wire = Wire(endpoint())
        wire.provider().update_endpoint("demo", EndpointChange(tags=("x",)))
        assert wire.paths == ["PUT /v2/endpoint/acme/demo"]
        assert wire.body() == {"tags": ["x"]}

    def test_scaling_goes_whole_with_its_null(self) -> None:
        wire = Wire(endpoint())
        wire.provider().update_endpoint("demo", EndpointChange(scaling=Scaling(0, 2)))
        assert wire.body() == {
            "compute": {"scaling": {"maxReplica": 2, "minReplica": 0, "scaleToZeroTimeout": None}}
        }

    def test_empty_collections_clear(self) -> None:
        wire = Wire(endpoint())
        change = EndpointChange(environment={}, arguments=(), tags=())
        wire.provider().update_endpoint("demo", change)
        assert wire.body() == {"model": {"env": {}, "args": []}, "tags": []}

    def test_the_image_goes_whole(self) -> None:
        wire = Wire(endpoint())
        image = {"vLLM": {"url": "x", "maxNumSeqs": 8}}
        wire.provider().update_endpoint("demo", EndpointChange(image=image))
        assert wire.body() == {"model": {"image": image}}

    def test_a_container_of_its_own_is_custom(self) -> None:
        wire = Wire(endpoint())
        wire.provider().update_endpoint("demo", EndpointChange(image={"url": "x"}))
        assert wire.body() == {"model": {"image": {"custom": {"url": "x"}}}}

    def test_nothing_to_change_only_reads(self) -> None:
        wire = Wire(endpoint())
        assert wire.provider().update_endpoint("demo", EndpointChange()).name == "demo"
        assert wire.paths == ["GET /v2/endpoint/acme/demo"]

    def test_access_is_compared(self) -> None:
        provider = Wire(endpoint(type="private")).provider()
        with pytest.raises(EchoMismatchError):
            provider.update_endpoint("demo", EndpointChange(access="public"))
        assert provider.update_endpoint("demo", EndpointChange(tags=())).access == "private"

    def test_a_region_cannot_be_changed_and_that_is_said(self) -> None:
        moved = Hardware("aws", "eu-west-1", "nvidia-l4", "x1", "gpu")
        with pytest.raises(EchoMismatchError) as caught:
            Wire(endpoint()).provider().update_endpoint("demo", EndpointChange(hardware=moved))
        assert caught.value.echoed == {"hardware": L4.key}

    def test_a_timer_with_a_minimum_is_refused_here(self) -> None:
        wire = Wire(endpoint())
        with pytest.raises(RefusedError, match="min_replicas"):
            wire.provider().update_endpoint("demo", EndpointChange(scaling=Scaling(1, 2, 15)))
        assert wire.requests == []


class TestVerbs:
    @pytest.mark.parametrize("verb", VERBS)
    def test_posts_without_a_body(self, verb: str) -> None:
        wire = Wire(endpoint())
        VERBS[verb](wire.provider())
        assert wire.paths == [f"POST /v2/endpoint/acme/demo/{verb}"]
        assert wire.requests[0].content == b""

    def test_resuming_what_runs_is_success_after_a_look(self) -> None:
        wire = Wire(refusal(400, "Endpoint is already running"), endpoint())
        assert wire.provider().resume_endpoint("demo").status is Status.RUNNING
        assert wire.paths[1] == "GET /v2/endpoint/acme/demo"

    def test_resuming_what_the_look_finds_paused_is_no_success(self) -> None:
        wire = Wire(
            refusal(400, "Endpoint is already running"),
            endpoint(status__state="paused", status__readyReplica=0),
        )
        with pytest.raises(RefusedError, match="already running"):
            wire.provider().resume_endpoint("demo")

    def test_resuming_what_is_gone_at_the_look_is_not_found(self) -> None:
        wire = Wire(refusal(400, "already running"), refusal(404, "Endpoint not found"))
        with pytest.raises(NotFoundError):
            wire.provider().resume_endpoint("demo")

    @pytest.mark.parametrize(
        ("verb", "state"), [("pause", "paused"), ("scale-to-zero", "scaledToZero")]
    )
    def test_already_so_is_success(self, verb: str, state: str) -> None:
        wire = Wire(refusal(400, "Endpoint is already so"), endpoint(status__state=state))
        VERBS[verb](wire.provider())
        assert len(wire.requests) == 2

    @pytest.mark.parametrize("verb", VERBS)
    def test_other_refusals_stay_refusals(self, verb: str) -> None:
        wire = Wire(refusal(400, "Endpoint is in a failed state"))
        with pytest.raises(RefusedError, match="failed state"):
            VERBS[verb](wire.provider())
        assert len(wire.requests) == 1

    @pytest.mark.parametrize("verb", VERBS)
    def test_an_unknown_endpoint_is_not_found(self, verb: str) -> None:
        with pytest.raises(NotFoundError):
            VERBS[verb](Wire(refusal(404, "Endpoint acme/demo not found")).provider())


class TestDelete:
    @pytest.mark.parametrize(
        "answer",
        [
            httpx2.Response(200, json={}),
            httpx2.Response(200),
            httpx2.Response(202, text="accepted"),
            httpx2.Response(204),
            refusal(404, "Endpoint acme/demo not found"),
        ],
    )
    def test_accepted_or_gone_is_success(self, answer: httpx2.Response) -> None:
        wire = Wire(answer)
        wire.provider().delete_endpoint("demo")
        assert wire.paths == ["DELETE /v2/endpoint/acme/demo"]

    def test_a_404_that_is_not_the_apis_is_in_doubt(self) -> None:
        with pytest.raises(AmbiguousError):
            Wire(httpx2.Response(404)).provider().delete_endpoint("demo")

    @pytest.mark.parametrize("name", ["", ".", ".."])
    def test_a_name_cannot_address_something_else(self, name: str) -> None:
        wire = Wire({})
        with pytest.raises(RefusedError):
            wire.provider().delete_endpoint(name)
        assert wire.requests == []

    def test_a_name_is_encoded(self) -> None:
        wire = Wire({})
        wire.provider().delete_endpoint("a/b?c#d")
        assert wire.requests[0].url.raw_path == b"/v2/endpoint/acme/a%2Fb%3Fc%23d"


@pytest.mark.parametrize("change", CHANGES)
class TestDoubt:
    @pytest.mark.parametrize(
        "answer",
        [
            httpx2.ReadTimeout("no answer"),
            httpx2.WriteTimeout("half sent"),
            httpx2.ReadError("reset"),
            httpx2.WriteError("reset"),
            httpx2.RemoteProtocolError("Server disconnected without sending a response."),
            refusal(500),
            refusal(502),
            refusal(503, retry_after="1"),
            refusal(504),
            refusal(408),
            httpx2.Response(302, headers={"location": "https://elsewhere.example/x"}),
        ],
    )
    def test_a_lost_answer_is_ambiguous_and_never_sent_again(
        self, change: str, answer: httpx2.Response | Exception
    ) -> None:
        wire = Wire(answer)
        with pytest.raises(AmbiguousError):
            CHANGES[change](wire.provider())
        assert len(wire.requests) == 1

    @pytest.mark.parametrize(
        "error",
        [httpx2.ConnectError("refused"), httpx2.ConnectTimeout("slow"), httpx2.PoolTimeout("full")],
    )
    def test_what_was_certainly_not_sent_is_sent_again_then_unavailable(
        self, change: str, error: Exception
    ) -> None:
        wire = Wire(error)
        with pytest.raises(UnavailableError):
            CHANGES[change](wire.provider())
        assert len(wire.requests) == 3
        assert wire.slept == [0.5, 1.0]

    def test_a_connection_that_comes_up_late_is_used(self, change: str) -> None:
        wire = Wire(httpx2.ConnectError("refused"), endpoint())
        CHANGES[change](wire.provider())
        assert len(wire.requests) == 2


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "delete"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"name": "dem', b"[]", b"null", b'"demo"', b"\xff", b"<html></html>"]
)
def test_an_answer_that_cannot_be_read_is_ambiguous(change: str, body: bytes) -> None:
    wire = Wire(httpx2.Response(200, content=body))
    with pytest.raises(AmbiguousError):
        CHANGES[change](wire.provider())
    assert len(wire.requests) == 1


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "delete"])
def test_an_answer_about_another_endpoint_is_ambiguous(change: str) -> None:
    with pytest.raises(AmbiguousError):
        CHANGES[change](Wire(endpoint("other")).provider())
