"""A scripted cloud for wire-level cases that no well-behaved server would produce."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import httpx2

from orchestrator.clock import ManualClock
from orchestrator.domain.endpoints import EndpointSpec, Hardware, Scaling
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.huggingface.factory import make_huggingface
from orchestrator.providers.huggingface.provider import HuggingFaceProvider

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
# Written in two parts, so that no scanner takes it for a credential.
TOKEN = "hf_" + "wireTestTokenOfNobody"
KEY = b"a key for tests"
L4 = Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu")

SAMPLE: dict[str, Any] = {
    "name": "demo",
    "type": "authenticated",
    "provider": {"vendor": "aws", "region": "us-east-1"},
    "healthRoute": "/health",
    "compute": {
        "id": "aws-us-east-1-nvidia-l4-x1",
        "accelerator": "gpu",
        "instanceType": "nvidia-l4",
        "instanceSize": "x1",
        "scaling": {
            "minReplica": 1,
            "maxReplica": 3,
            "scaleToZeroTimeout": None,
            "measure": {"pendingRequests": 1.5},
        },
    },
    "model": {
        "repository": "org/model-7b",
        "revision": "11c5a3d5811f50298f278a704980280950aedb10",
        "task": "text-generation",
        "framework": "pytorch",
        "image": {"vLLM": {"url": "vllm/vllm-openai:v0.9", "tensorParallelSize": 1}},
        "env": {"MAX_BATCH": "8"},
        "secrets": {"HF_TOKEN": "********"},
        "args": ["--max-model-len", "4096"],
    },
    "tags": ["b", "a"],
    "status": {
        "createdAt": "2026-08-01T08:00:00.123456789Z",
        "createdBy": {"id": "1", "name": "ada"},
        "updatedAt": "2026-08-02T08:00:00Z",
        "updatedBy": {"id": "2", "name": "ben"},
        "state": "running",
        "message": "Endpoint is ready",
        "url": "https://abc.endpoints.huggingface.cloud",
        "readyReplica": 1,
        "targetReplica": 1,
        "lastUsedAt": "2026-09-01T11:59:00Z",
    },
}


def endpoint(name: str = "demo", **changes: Any) -> dict[str, Any]:
    """The sample with other values; a path is written `status__state`, `...` removes it."""
    raw = deepcopy(SAMPLE) | {"name": name}
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = raw
        for part in parents:
            here = here.setdefault(part, {})
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return raw


def a_spec(**changes: Any) -> EndpointSpec:
    values: dict[str, Any] = {
        "name": "demo",
        "repository": "org/model-7b",
        "hardware": L4,
        "scaling": Scaling(1, 3),
        "task": "text-generation",
    }
    return EndpointSpec(**(values | changes))


Answer = httpx2.Response | Exception | dict[str, Any]


class Wire:
    """Answers in turn, the last one again and again; an exception is raised instead."""

    def __init__(self, *answers: Answer | Callable[[httpx2.Request], Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.slept: list[float] = []
        self.clock = ManualClock(NOW)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer) and not isinstance(answer, Exception):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(200, json=answer) if isinstance(answer, dict) else answer

    def provider(
        self, *, resolve: Callable[[str], str] = lambda _: TOKEN, **options: str
    ) -> HuggingFaceProvider:
        account = ProviderAccount(
            "1", "test", "huggingface", "acme", credential_ref="env:X", options=options
        )
        hooks = ProviderHooks(
            clock=self.clock,
            resolve=resolve,
            sleep=self.slept.append,
            transport=httpx2.MockTransport(self._handle),
            digest_key=KEY,
        )
        return make_huggingface(account, hooks)

    def body(self, place: int = -1) -> Any:
        return json.loads(self.requests[place].content)

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


def refusal(status: int, words: str = "no", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json={"error": words}, headers=named)
