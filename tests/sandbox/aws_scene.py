"""A small AWS for the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.sandbox.aws.cloud import AwsCloud
from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.service_models import operation_model
from orchestrator.sandbox.aws.shapes import check_answer, problems
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.world import World

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
ACCOUNT, REGION = "123456789012", "us-east-1"
INF = "ml.inf2.xlarge"


class AwsScene:
    """A world with one AWS account; every call is checked against botocore's model."""

    def __init__(self, switches: AwsSwitches | None = None, *, seed: int = 1) -> None:
        self.world = World(start=START, seed=seed, aws_switches=switches)
        self.aws.add_account(ACCOUNT, access_keys={"AKIAEXAMPLE": "example"})

    @property
    def aws(self) -> AwsCloud:
        return self.world.aws

    def call(
        self, operation: str, service: str = "sagemaker", *, region: str = REGION, **params: Any
    ) -> dict[str, Any]:
        model = operation_model(service, operation)
        assert list(problems(model.input_shape, params)) == []
        answer = self.aws.call(ACCOUNT, region, operation, service, **params)
        if model.output_shape is not None:
            check_answer(model.output_shape, answer, operation)
        return answer

    def scaling(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.call(operation, "application-autoscaling", **params)

    def refused(self, operation: str, service: str = "sagemaker", **params: Any) -> AwsError:
        with pytest.raises(AwsError) as caught:
            self.call(operation, service, **params)
        return caught.value

    def pass_time(self, **span: float) -> None:
        self.world.advance_to(self.world.now + timedelta(**span))

    def until(self, wanted: Callable[[], bool], *, step_s: float = 5, limit_h: float = 3) -> float:
        """Let time pass until something holds; minutes that it took."""
        begun = self.world.now
        while not wanted():
            assert self.world.now - begun < timedelta(hours=limit_h), "it never came to hold"
            self.pass_time(seconds=step_s)
        return (self.world.now - begun).total_seconds() / 60

    def add(self, name: str = "chat", **values: Any) -> AwsEndpoint | None:
        return self.aws.add_endpoint(ACCOUNT, REGION, name, **values)

    def add_component(self, name: str = "lab", **values: Any) -> Component:
        return self.aws.add_component_endpoint(ACCOUNT, REGION, name, **values)

    def describe(self, name: str = "chat") -> dict[str, Any]:
        return self.call("DescribeEndpoint", EndpointName=name)

    def status(self, name: str = "chat") -> str:
        return str(self.describe(name)["EndpointStatus"])

    def settle(self, name: str = "chat") -> float:
        """Wait until nothing is in progress; minutes that it took."""
        busy = {"Creating", "Updating", "RollingBack"}
        return self.until(lambda: self.status(name) not in busy)

    def statuses(self, name: str = "chat") -> list[str]:
        """The statuses that an endpoint went through, each once per visit."""
        place = self.aws.place(ACCOUNT, REGION)
        found = [one for one in place.all_endpoints() if one.name == name][-1]
        seen: list[str] = []
        for stretch in found.stretches:
            if not seen or seen[-1] != stretch.status:
                seen.append(stretch.status)
        return seen

    def arn(self, name: str, kind: str = "endpoint") -> str:
        return self.aws.place(ACCOUNT, REGION).arn(kind, name)
