"""The whole SageMaker driver on the simulated AWS, without sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.endpoints import Snapshot
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.provider import SageMakerProvider
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
ACCOUNT, REGION = "123456789012", "us-east-1"
KEY = "AKIAEXAMPLEOWNER"
SECRET = "secret-of-the-sandbox"


class SmWorld:
    """A world with one AWS account, and its driver; it is its own clock."""

    def __init__(self, switches: AwsSwitches | None = None, **options: str) -> None:
        self.world = World(start=NOW, aws_switches=switches)
        self.aws = self.world.aws
        self.aws.add_account(ACCOUNT, name="acme", access_keys={KEY: ""}, default_quota=1000)
        self.driver = self.make(**options)

    def make(
        self, *, namespace: str = ACCOUNT, region: str = REGION, **options: str
    ) -> SageMakerProvider:
        hooks = ProviderHooks(
            clock=self,
            resolve=lambda _: f"{KEY}:{SECRET}",
            sleep=lambda _: None,
            transport=InProcessTransport(self.world),
            digest_key=b"a key for tests",
        )
        account = ProviderAccount("1", "a", "sagemaker", namespace, region, "env:X", options)
        return make_sagemaker(account, hooks)

    def now(self) -> datetime:
        return self.world.now

    def wait(self, **span: float) -> None:
        """Let time pass, an hour if nothing is said."""
        self.world.advance_to(self.world.now + timedelta(**(span or {"hours": 1})))

    def add(self, name: str = "chat", **values: Any) -> None:
        self.aws.add_endpoint(ACCOUNT, REGION, name, **values)

    def add_component(self, name: str = "lab", **values: Any) -> str:
        return str(self.aws.add_component_endpoint(ACCOUNT, REGION, name, **values).name)

    def call(self, operation: str, service: str = "sagemaker", **params: Any) -> dict[str, Any]:
        """Do or read something as somebody in the console would."""
        answer: dict[str, Any] = self.aws.call(ACCOUNT, REGION, operation, service, **params)
        return answer

    def seen(self, name: str = "chat") -> Snapshot:
        snapshot = self.driver.get_endpoint(name)
        assert snapshot is not None
        return snapshot

    @contextmanager
    def fault(self, fault: Fault, operation: str, **when: Any) -> Iterator[None]:
        """Let a fault meet the calls of one operation for a while."""
        rule = self.world.faults.add(fault, path=f"/{operation}$", **when)
        yield
        self.world.faults.remove(rule)

    @contextmanager
    def denied(self, *actions: str) -> Iterator[None]:
        """Take rights away for a while."""
        self.aws.deny(ACCOUNT, *actions)
        yield
        self.aws.allow(ACCOUNT, *actions)
