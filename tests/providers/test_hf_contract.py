"""Holds the driver to the official client: same payloads, same reading, same errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from huggingface_hub import (
    HfApi,
    InferenceEndpoint,
    InferenceEndpointHardware,
    constants,
    set_client_factory,
)
from huggingface_hub._inference_endpoints import InferenceEndpointScalingMetric
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory

from orchestrator.domain.endpoints import EndpointChange, Hardware, Scaling
from orchestrator.domain.money import to_dollars
from orchestrator.providers.base import ProviderError
from orchestrator.providers.huggingface.options import HuggingFaceOptions
from tests.providers.test_hf_hardware import ROW, vendors
from tests.providers.wire import TOKEN, Wire, a_spec, endpoint, refusal


class Official:
    """The official client on a scripted transport; keeps the requests that it sends."""

    def __init__(self) -> None:
        self.answer: Any = endpoint()
        self.requests: list[httpx2.Request] = []
        self.api = HfApi(token=TOKEN)

    @property
    def sent(self) -> httpx2.Request:
        """The last call; before the first, the client may ask the Hub for other things."""
        return self.requests[-1]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answer
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)


@pytest.fixture
def official() -> Iterator[Official]:
    client = Official()
    set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(client.handle)))
    yield client
    set_client_factory(default_client_factory)


def same(ours: httpx2.Request, theirs: httpx2.Request) -> None:
    assert (ours.method, ours.url) == (theirs.method, theirs.url)
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    left = json.loads(ours.content) if ours.content else None
    assert left == (json.loads(theirs.content) if theirs.content else None)


PLACE = {
    "accelerator": "gpu",
    "instance_type": "nvidia-l4",
    "instance_size": "x1",
    "vendor": "aws",
    "region": "us-east-1",
}
CREATES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"scaling": Scaling(1, 1), "task": None},
        {},
    ),
    (
        {"scaling": Scaling(0, 4, 15, "pendingRequests", "1.5")},
        {
            "min_replica": 0,
            "max_replica": 4,
            "scale_to_zero_timeout": 15,
            "scaling_metric": InferenceEndpointScalingMetric.PENDING_REQUESTS,
            "scaling_threshold": 1.5,
            "task": "text-generation",
        },
    ),
    (
        {
            "scaling": Scaling(1, 1, None, "hardwareUsage", "80"),
            "access": "public",
            "revision": "main",
            "image": {"url": "registry/app:1", "port": 8080},
            "environment": {"A": "1"},
            "secrets": {"S": "2"},
            "command": ("serve",),
            "arguments": ("--port", "8080"),
            "tags": ("x", "y"),
            "framework": "custom",
        },
        {
            "scaling_metric": "hardwareUsage",
            "scaling_threshold": 80,
            "type": "public",
            "revision": "main",
            "custom_image": {"url": "registry/app:1", "port": 8080},
            "env": {"A": "1"},
            "secrets": {"S": "2"},
            "container_command": ["serve"],
            "container_args": ["--port", "8080"],
            "tags": ["x", "y"],
            "task": "text-generation",
            "framework": "custom",
        },
    ),
    (
        {"scaling": Scaling(1, 1), "image": {"vLLM": {"url": "x", "tensorParallelSize": 2}}},
        {
            "custom_image": {"vLLM": {"url": "x", "tensorParallelSize": 2}},
            "task": "text-generation",
        },
    ),
]
UPDATES: list[tuple[EndpointChange, dict[str, Any]]] = [
    (
        EndpointChange(hardware=Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu")),
        {"accelerator": "gpu", "instance_type": "nvidia-l4", "instance_size": "x1"},
    ),
    (
        EndpointChange(scaling=Scaling(0, 2, 30, "pendingRequests", "2")),
        {
            "min_replica": 0,
            "max_replica": 2,
            "scale_to_zero_timeout": 30,
            "scaling_metric": InferenceEndpointScalingMetric.PENDING_REQUESTS,
            "scaling_threshold": 2,
        },
    ),
    (
        EndpointChange(repository="org/other", revision="v2", task="summarization"),
        {"repository": "org/other", "revision": "v2", "task": "summarization"},
    ),
    (EndpointChange(image={"url": "x"}), {"custom_image": {"url": "x"}}),
    (EndpointChange(image={"tgi": {"url": "x"}}), {"custom_image": {"tgi": {"url": "x"}}}),
    (
        EndpointChange(environment={}, secrets={"S": "1"}, command=(), arguments=("a",)),
        {"env": {}, "secrets": {"S": "1"}, "container_command": [], "container_args": ["a"]},
    ),
    (EndpointChange(tags=("a",)), {"tags": ["a"]}),
]


class TestRequests:
    @pytest.mark.parametrize(("ours", "theirs"), CREATES)
    def test_create(self, official: Official, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        kind = {"type": ours.get("access", "authenticated")}
        wire = Wire(endpoint() | kind)
        wire.provider().create_endpoint(a_spec(**ours))
        arguments = PLACE | {"repository": "org/model-7b", "framework": "pytorch"} | theirs
        official.api.create_inference_endpoint("demo", namespace="acme", **arguments)
        same(wire.requests[0], official.sent)

    @pytest.mark.parametrize(("ours", "theirs"), UPDATES)
    def test_update(self, official: Official, ours: EndpointChange, theirs: dict[str, Any]) -> None:
        wire = Wire(endpoint())
        wire.provider().update_endpoint("demo", ours)
        official.api.update_inference_endpoint("demo", namespace="acme", **theirs)
        same(wire.requests[0], official.sent)

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ("get_endpoint", "get_inference_endpoint"),
            ("pause_endpoint", "pause_inference_endpoint"),
            ("resume_endpoint", "resume_inference_endpoint"),
            ("scale_to_zero", "scale_to_zero_inference_endpoint"),
            ("delete_endpoint", "delete_inference_endpoint"),
        ],
    )
    def test_verbs(self, official: Official, ours: str, theirs: str) -> None:
        wire = Wire(endpoint())
        getattr(wire.provider(), ours)("demo")
        getattr(official.api, theirs)("demo", namespace="acme")
        same(wire.requests[0], official.sent)

    def test_whoami(self, official: Official) -> None:
        wire = Wire({"name": "acme"})
        wire.provider().identity()
        official.api.whoami()
        same(wire.requests[0], official.sent)

    def test_hardware(self, official: Official) -> None:
        wire = Wire(vendors(ROW))
        official.answer = vendors(ROW)
        wire.provider().hardware()
        official.api.list_inference_endpoints_hardware(namespace="acme")
        same(wire.requests[0], official.sent)

    def test_the_default_address(self) -> None:
        assert HuggingFaceOptions().api_url == constants.INFERENCE_ENDPOINTS_ENDPOINT
        assert HuggingFaceOptions().hub_url == constants._HF_DEFAULT_ENDPOINT


PENDING = endpoint(
    status__state="pending",
    status__message="Endpoint waiting to be scheduled",
    status__url=...,
    status__readyReplica=0,
    status__targetReplica=0,
)


class TestReading:
    @pytest.mark.parametrize(
        "raw",
        [
            endpoint(),
            PENDING,
            endpoint(status__state="failed", status__url=...),
            endpoint(status__state="hibernating"),
            endpoint(type="private", status__updatedAt="2026-08-02T08:00:00.987654321Z"),
        ],
    )
    def test_an_endpoint_reads_the_same(self, raw: dict[str, Any]) -> None:
        theirs = InferenceEndpoint.from_raw(raw, namespace="acme", token=TOKEN)
        ours = Wire(raw).provider().get_endpoint("demo")
        assert ours is not None
        assert (ours.name, ours.cloud_state) == (theirs.name, theirs.status)
        assert (ours.url, ours.access) == (theirs.url, theirs.type)
        assert (ours.created_at, ours.updated_at) == (theirs.created_at, theirs.updated_at)
        assert ours.repository == theirs.repository
        assert (ours.revision, ours.task) == (theirs.revision, theirs.task)
        assert ours.spec["healthRoute"] == theirs.health_route
        assert ours.spec["model"]["framework"] == theirs.framework

    def test_hardware_reads_the_same(self) -> None:
        theirs = InferenceEndpointHardware.from_raw(ROW, vendor="aws", region="us-east-1")
        (ours,) = Wire(vendors(ROW)).provider().hardware()
        parts = (ours.hardware.vendor, ours.hardware.region, ours.hardware.instance_type)
        assert parts == (theirs.vendor, theirs.region, theirs.instance_type)
        assert ours.hardware.instance_size == theirs.instance_size
        assert ours.nano_per_hour is not None
        assert float(to_dollars(ours.nano_per_hour)) == theirs.price_per_hour
        assert (ours.quota_max, ours.quota_used) == (
            theirs.max_accelerators,
            theirs.used_accelerators,
        )
        assert (ours.status, ours.accelerators) == (theirs.status, theirs.num_accelerators)


CALLS: dict[str, tuple[Callable[[Wire], object], Callable[[HfApi], object]]] = {
    "pause": (
        lambda wire: wire.provider().pause_endpoint("demo"),
        lambda api: api.pause_inference_endpoint("demo", namespace="acme"),
    ),
    "update": (
        lambda wire: wire.provider().update_endpoint("demo", EndpointChange(task="x")),
        lambda api: api.update_inference_endpoint("demo", namespace="acme", task="x"),
    ),
}


class TestErrors:
    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 503])
    def test_the_same_words_and_request_id(
        self, official: Official, call: str, status: int
    ) -> None:
        answer = refusal(status, "the endpoint says no", x_request_id="req-7")
        wire = Wire(answer)
        official.answer = answer
        ours, theirs = CALLS[call]
        with pytest.raises(ProviderError) as mine:
            ours(wire)
        with pytest.raises(HfHubHTTPError) as other:
            theirs(official.api)
        assert mine.value.status == other.value.response.status_code == status
        assert mine.value.request_id == other.value.request_id == "req-7"
        assert other.value.server_message is not None
        assert other.value.server_message in str(mine.value)

    def test_what_runs_already_is_success_for_both(self, official: Official) -> None:
        """The official client matches these words in a 400 and then reads."""
        words = refusal(400, "Endpoint is already running")
        wire = Wire(words, endpoint())
        assert wire.provider().resume_endpoint("demo").cloud_state == "running"
        official.answer = words
        with pytest.raises(BadRequestError, match="already running"):
            official.api.resume_inference_endpoint("demo", namespace="acme", running_ok=False)

    def test_a_short_listing_of_the_official_client_is_why_we_page_ourselves(
        self, official: Official
    ) -> None:
        official.answer = {"items": [endpoint()], "nextCursor": "c1", "totalItems": 2}
        assert len(official.api.list_inference_endpoints(namespace="acme")) == 1
        listing = Wire(official.answer, {"items": [endpoint("b")], "totalItems": 2}).provider()
        assert len(listing.list_endpoints().sightings) == 2
