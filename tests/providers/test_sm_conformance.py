"""The SageMaker driver against the suite for all drivers, on the simulated AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointSpec
from orchestrator.domain.status import Status
from orchestrator.providers.base import Provider
from orchestrator.providers.registry import ProviderAccount, ProviderHooks, make_provider
from orchestrator.providers.sagemaker.states import STATUSES
from orchestrator.sandbox.faults import (
    Fault as WireFault,
)
from orchestrator.sandbox.faults import (
    Rule,
    aws_error,
    drop_after,
    drop_before,
    missing_field,
    shifting_pages,
    timeout_after,
    truncate,
    unknown_state,
)
from tests.providers.conformance import Act, Fault, ProviderConformance
from tests.providers.sm_cloud import (
    ACCOUNT,
    DIGEST_KEY,
    IMAGE,
    KEY,
    REGION,
    SCALING,
    SECRET,
    SmCloud,
    a_spec,
)

KEY_SECRET = "sandbox-key-of-nobody"
WHERE = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
# The operations that change an endpoint; models, configurations and tags are beside it.
CHANGING = (
    *("CreateEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"),
    *("DeleteEndpoint", "RegisterScalableTarget"),
)
METHODS = (
    *("create_endpoint", "update_endpoint", "pause_endpoint", "resume_endpoint"),
    *("scale_to_zero", "delete_endpoint"),
)
LIST = {"path": "/ListEndpoints$"}
FAULTS: dict[Fault, list[tuple[WireFault, dict[str, Any]]]] = {
    "answer_lost": [(drop_after(), {})],
    "answer_late": [(timeout_after(), {})],
    "error_after_change": [
        (aws_error("InternalFailure", f"{KEY_SECRET} broke", status=500, after_commit=True), {})
    ],
    "error_before_change": [(aws_error("InternalFailure", f"{KEY}:{KEY_SECRET}", status=500), {})],
    "answer_cut_off": [(truncate(), {})],
    "never_arrives": [(drop_before(), {})],
    "down": [(aws_error("ServiceUnavailable", "down", status=503), {})],
    "throttled": [(aws_error("ThrottlingException", "Rate exceeded"), {})],
    "token_revoked": [(aws_error("UnrecognizedClientException", "The token is invalid"), {})],
    "unknown_state": [(unknown_state("Hibernating"), {})],
    "no_state": [(missing_field("EndpointStatus"), {})],
    "no_replica_counts": [(missing_field("ProductionVariants"), {"path": "/DescribeEndpoint$"})],
    # AWS tells no total: rows that are missing without any other trace cannot be noticed.
    "page_shorter": [(missing_field("EndpointName"), LIST | {"nth": 2})],
    "pages_shift": [(shifting_pages(repeat=True), LIST)],
    "second_page_down": [
        (aws_error("InternalFailure", status=500), LIST | {"nth": nth}) for nth in (2, 3, 4)
    ],
}


class SageMakerHarness(SmCloud):
    """An account in a World, reached without sockets; its endpoints are classic."""

    secrets = (SECRET, KEY_SECRET)
    page_size = 100

    def __init__(self) -> None:
        super().__init__()
        self.aws.accounts[ACCOUNT].default_quota = 1000
        self._rules: list[Rule] = []
        self._in_change = False
        hooks = ProviderHooks(
            clock=self,
            resolve=lambda _: f"{KEY}:{KEY_SECRET}",
            sleep=lambda _: None,
            transport=self,
            digest_key=DIGEST_KEY,
        )
        account = ProviderAccount("1", "main", "sagemaker", ACCOUNT, REGION, "env:X")
        self._provider = make_provider(account, hooks)
        for name in METHODS:
            setattr(self._provider, name, self._marked(getattr(self._provider, name)))
        # Whose keys these are is asked once, before the first listing.
        self._provider.list_endpoints()

    def _marked(self, method: Callable[..., object]) -> Callable[..., object]:
        """A method during which faults spare everything but the call that changes an endpoint."""

        def run(*args: object, **named: object) -> object:
            self._in_change = True
            try:
                return method(*args, **named)
            finally:
                self._in_change = False

        return run

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        target = request.headers.get("x-amz-target", "").rpartition(".")[2]
        spared = self._in_change and target not in CHANGING
        for rule in self._rules:
            rule.method = "NONE" if spared else None
        return super().handle_request(request)

    def provider(self) -> Provider:
        return self._provider

    def spec(self, name: str) -> EndpointSpec:
        return a_spec(name=name, environment={"DB_PASSWORD": SECRET, "HF_NUM_CORES": "2"})

    def add(self, name: str, status: Status = Status.RUNNING) -> None:
        """Autoscaled between one and two instances; only one that runs can be put there."""
        assert status is Status.RUNNING
        self.aws.add_endpoint(
            ACCOUNT,
            REGION,
            name,
            image=IMAGE,
            environment={"HF_MODEL_ID": "org/model-1b", "DB_PASSWORD": SECRET},
            tags={"one": "1", "two": ""},
        )
        where = WHERE | {"ResourceId": f"endpoint/{name}/variant/AllTraffic"}
        bounds = {"MinCapacity": 1, "MaxCapacity": 2}
        self.call("RegisterScalableTarget", SCALING, **where, **bounds)
        metric = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
        self.call(
            "PutScalingPolicy",
            SCALING,
            **where,
            PolicyName="load",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 4.0,
                "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            },
        )

    def console(self, name: str, act: Act) -> None:
        """Without components a console can only delete, and what is gone it cannot wake."""
        assert act in ("pause", "delete")
        self.call("DeleteEndpoint", EndpointName=name)

    def truth(self, name: str) -> Status | None:
        state = self.status(name)
        return None if state == "gone" else STATUSES[state]

    def settle(self) -> None:
        self.wait(90)

    def changes(self) -> int:
        return sum(name in CHANGING for name in self.operations())

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:  # type: ignore[override] # of all calls
        self._rules = [self.world.faults.add(found, **when) for found, when in FAULTS[fault]]
        yield
        for rule in self._rules:
            self.world.faults.remove(rule)
        self._rules = []


@pytest.fixture
def harness() -> SageMakerHarness:
    return SageMakerHarness()


class TestSageMaker(ProviderConformance):
    """See `conformance.py`."""
