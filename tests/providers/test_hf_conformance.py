"""The Hugging Face driver against the suite for all drivers, on the simulated cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import pytest

from orchestrator.domain.endpoints import EndpointSpec, Scaling
from orchestrator.domain.status import Status
from orchestrator.providers.base import Provider
from orchestrator.providers.huggingface.snapshot import STATUSES
from orchestrator.providers.registry import ProviderAccount, ProviderHooks, make_provider
from orchestrator.sandbox.faults import (
    Fault as WireFault,
)
from orchestrator.sandbox.faults import (
    drop_after,
    drop_before,
    error,
    missing_field,
    partial_listing,
    shifting_pages,
    timeout_after,
    truncate,
    unknown_state,
)
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import Verb, World
from tests.providers.conformance import Act, Fault, ProviderConformance
from tests.providers.wire import KEY, L4, NOW, TOKEN

PASSWORD = "open-sesame-now"
PAGE = r"^/v2/endpoint/acme$"
FAULTS: dict[Fault, list[tuple[WireFault, dict[str, Any]]]] = {
    "answer_lost": [(drop_after(), {})],
    "answer_late": [(timeout_after(), {})],
    "error_after_change": [(error(502, f"Bad gateway for {TOKEN}", after_commit=True), {})],
    "error_before_change": [(error(500, f"No luck for Bearer {TOKEN}"), {})],
    "answer_cut_off": [(truncate(), {})],
    "never_arrives": [(drop_before(), {})],
    "down": [(error(503, "Service Unavailable"), {})],
    "throttled": [(error(429, "Too Many Requests", retry_after=120), {})],
    "token_revoked": [(error(401, f"Token {TOKEN} is revoked"), {})],
    "unknown_state": [(unknown_state("hibernating"), {})],
    "no_state": [(missing_field("status.state"), {})],
    "no_replica_counts": [
        (missing_field("status.readyReplica"), {}),
        (missing_field("status.targetReplica"), {}),
    ],
    "page_shorter": [(partial_listing(2, lose_cursor=True), {"path": PAGE})],
    "pages_shift": [(shifting_pages(), {"path": PAGE})],
    "second_page_down": [(error(500), {"path": PAGE, "nth": n}) for n in (2, 3, 4)],
}
VERBS: dict[Act, Verb] = {
    "pause": "pause",
    "resume": "resume",
    "scale_to_zero": "scale-to-zero",
    "delete": "delete",
}
STATES: dict[Status, Literal["running", "paused", "scaledToZero", "failed"]] = {
    Status.RUNNING: "running",
    Status.PAUSED: "paused",
    Status.SCALED_TO_ZERO: "scaledToZero",
    Status.FAILED: "failed",
}


class HuggingFaceHarness:
    """A namespace in a World, reached without sockets."""

    secrets = (TOKEN, PASSWORD)
    page_size = 100

    def __init__(self) -> None:
        self.world = World(start=NOW)
        self.world.add_user("ada", token=TOKEN, orgs=("acme",))
        hooks = ProviderHooks(
            clock=self,
            resolve=lambda _: TOKEN,
            sleep=lambda _: None,
            transport=InProcessTransport(self.world),
            digest_key=KEY,
        )
        account = ProviderAccount("1", "main", "huggingface", "acme", credential_ref="env:X")
        self._provider = make_provider(account, hooks)

    def now(self) -> Any:
        return self.world.now

    def provider(self) -> Provider:
        return self._provider

    def spec(self, name: str) -> EndpointSpec:
        return EndpointSpec(
            name=name,
            repository="org/model",
            hardware=L4,
            scaling=Scaling(0, 2),
            image={"custom": {"url": "x"}},
            environment={"DB_PASSWORD": PASSWORD, "MODE": "fast"},
            secrets={"API_KEY": PASSWORD},
            arguments=("--api-key", PASSWORD),
            tags=("team-search", "a"),
        )

    def add(self, name: str, status: Status = Status.RUNNING) -> None:
        payload = {
            "name": name,
            "type": "authenticated",
            "provider": {"vendor": "aws", "region": "us-east-1"},
            "compute": {
                "accelerator": "gpu",
                "instanceType": "nvidia-l4",
                "instanceSize": "x1",
                "scaling": {"minReplica": 0, "maxReplica": 2, "scaleToZeroTimeout": None},
            },
            "model": {
                "repository": "org/model",
                "framework": "pytorch",
                "image": {"huggingface": {}},
                "env": {"DB_PASSWORD": PASSWORD},
                "secrets": {"KEY": PASSWORD},
            },
            "tags": ["one", "two", "three"],
        }
        self.world.add_endpoint("acme", payload, state=STATES[status], startup_s=20)

    def console(self, name: str, act: Act) -> None:
        self.world.act("acme", name, VERBS[act])

    def truth(self, name: str) -> Status | None:
        found = self.world.shelf.find("acme", name)
        return STATUSES[found.state] if found else None

    def settle(self) -> None:
        self.world.advance_to(self.world.now + timedelta(minutes=20))

    def changes(self) -> int:
        return len(self.world.calls.mutating(committed=True))

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        rules = [self.world.faults.add(found, **when) for found, when in FAULTS[fault]]
        yield
        for rule in rules:
            self.world.faults.remove(rule)


@pytest.fixture
def harness() -> HuggingFaceHarness:
    return HuggingFaceHarness()


class TestHuggingFace(ProviderConformance):
    """See `conformance.py`."""
