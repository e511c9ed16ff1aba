"""The changing half of the SageMaker driver on the simulated AWS, without sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2

from orchestrator.domain.endpoints import EndpointSpec, Hardware, Scaling
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.redaction import Redactor
from orchestrator.providers.sagemaker.creating import create
from orchestrator.providers.sagemaker.desk import Desk
from orchestrator.providers.sagemaker.options import SageMakerOptions
from orchestrator.providers.sagemaker.quotas import Quotas
from orchestrator.providers.sagemaker.rights import rights_for
from orchestrator.providers.sagemaker.session import AwsSession
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
ACCOUNT, REGION = "123456789012", "us-east-1"
KEY = "AKIAEXAMPLEOWNER"
DIGEST_KEY = b"a key for tests"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sagemaker-execution"
SECRET = "open-sesame-now"
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.22-neuronx-py310"
INF2 = Hardware("sagemaker", REGION, "ml.inf2.8xlarge", "x1", "neuron")
# What an endpoint has beside its configuration and model: counts, weights and autoscaling.
SAGEMAKER = "sagemaker"
SCALING = "application-autoscaling"


def a_spec(**changes: Any) -> EndpointSpec:
    """A small model on Inferentia2, with a secret."""
    spec = EndpointSpec(
        name="demo",
        repository="org/model-1b",
        hardware=INF2,
        scaling=Scaling(1, 1),
        image={"uri": IMAGE},
        environment={"HF_NUM_CORES": "2", "MAX_BATCH_SIZE": "4"},
        secrets={"API_KEY": SECRET},
        tags=("team=search",),
        options={"execution_role": ROLE},
    )
    return replace(spec, **changes)


def a_component(**changes: Any) -> EndpointSpec:
    """The same as an inference component that may go to zero."""
    options = {"execution_role": ROLE, "inference_components": True, "min_memory_mb": 1024}
    return a_spec(**({"scaling": Scaling(0, 2, 15), "options": options} | changes))


class SmCloud(httpx2.BaseTransport):
    """A world with one AWS account, and the driver's desk in it; it is its own clock."""

    def __init__(self) -> None:
        self._enter(World(start=NOW))
        self.aws.add_account(ACCOUNT, name="acme", access_keys={KEY: ""})
        session = self._session()
        rights = partial(rights_for, session, self)
        self.desk = Desk(session, Redactor(DIGEST_KEY), Quotas(session, self).known, rights=rights)

    def _enter(self, world: World) -> None:
        self.world, self.aws = world, world.aws
        self._transport = InProcessTransport(world)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._transport.handle_request(request)

    def _session(self) -> AwsSession:
        account = ProviderAccount("1", "main", "sagemaker", ACCOUNT, REGION, "env:X")
        hooks = ProviderHooks(
            clock=self,
            resolve=lambda _: f"{KEY}:secret-of-the-sandbox",
            sleep=lambda _: None,
            transport=self,
            digest_key=DIGEST_KEY,
        )
        return AwsSession(account, hooks, SageMakerOptions.read({}))

    def rewind(self, saved: dict[str, Any]) -> None:
        """Go back to what `world.snapshot` gave."""
        self._enter(World.restore(saved))

    def now(self) -> datetime:
        return self.world.now

    def wait(self, minutes: float = 60) -> None:
        """Let time pass."""
        self.world.advance_to(self.world.now + timedelta(minutes=minutes))

    def call(self, operation: str, service: str = SAGEMAKER, **params: Any) -> dict[str, Any]:
        """Do or read something as somebody in the console would."""
        answer: dict[str, Any] = self.aws.call(ACCOUNT, REGION, operation, service, **params)
        return answer

    def create(self, spec: EndpointSpec, *, minutes: float = 60) -> None:
        """Create an endpoint with all its steps, waiting so long between them."""
        create(self.desk, spec)
        for _ in range(3):
            self.wait(minutes)
            create(self.desk, spec)

    def endpoint(self, name: str = "demo") -> dict[str, Any]:
        """An endpoint as AWS describes it."""
        return self.call("DescribeEndpoint", EndpointName=name)

    def status(self, name: str = "demo") -> str:
        """The state of an endpoint, `gone` without one."""
        place = self.aws.place(ACCOUNT, REGION)
        return self.endpoint(name)["EndpointStatus"] if name in place.endpoints else "gone"

    def config(self, name: str = "demo") -> dict[str, Any]:
        """The configuration of an endpoint."""
        used = self.endpoint(name)["EndpointConfigName"]
        return self.call("DescribeEndpointConfig", EndpointConfigName=used)

    def model(self, name: str = "demo") -> dict[str, Any]:
        """The model of a classic endpoint."""
        (variant,) = self.config(name)["ProductionVariants"]
        return self.call("DescribeModel", ModelName=variant["ModelName"])

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a resource."""
        rows = self.call("ListTags", ResourceArn=arn)["Tags"]
        return {row["Key"]: row["Value"] for row in rows}

    def made(self) -> tuple[int, int, int]:
        """How many models, configurations and endpoints there are."""
        place = self.aws.place(ACCOUNT, REGION)
        return len(place.models), len(place.configs), len(place.endpoints)

    def operations(self, *, changes: bool = True) -> list[str]:
        """The operations that reached AWS, in order: changes that were made, or all."""
        rows = self.world.calls.mutating(committed=True) if changes else self.world.calls
        return [row.path.rsplit("/", 1)[-1] for row in rows]

    @contextmanager
    def fault(self, fault: Fault, operation: str, **when: Any) -> Iterator[None]:
        """Let a fault meet the calls of one operation for a while."""
        rule = self.world.faults.add(fault, path=f"/{operation}$", **when)
        yield
        self.world.faults.remove(rule)
