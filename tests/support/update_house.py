"""A managed endpoint on a simulated cloud with the API in front of it, to be updated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.switches import Switches
from orchestrator.services import tokens
from orchestrator.services.tokens import Scope
from orchestrator.store.database import Database
from tests.api.site import ORIGIN, application
from tests.support.aws_stage import REGION, AwsStage, open_aws_stage
from tests.support.stage import NAMESPACE, Stage, open_stage

Json = dict[str, Any]
MINUTES = Cadence(
    rest=timedelta(minutes=2), transition=timedelta(seconds=45), rates=timedelta(days=1)
)
SCALING = "application-autoscaling"
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/web/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


@dataclass
class House:
    """A stage with one managed endpoint `web`, and its API.

    It costs $0.80 an hour, on AWS $0.99 and what 50 GB of disk cost beside it.
    """

    stage: Stage
    client: TestClient

    @property
    def path(self) -> str:
        return f"/v1/endpoints/{self.stage.endpoint('web').id}"

    def ask(self, method: str, path: str, status: int, body: Json | None = None) -> Json:
        answer = self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    def rehearse(self, **body: Any) -> Json:
        found: Json = self.ask("PATCH", f"{self.path}?dry_run=true", 200, body)["would"]
        return found

    def update(self, **body: Any) -> Json:
        """Ask for an update and let it come to its end; return its operation."""
        asked = self.ask("PATCH", self.path, 202, body)
        self.stage.run(minutes=8)
        return self.operation(asked)

    def operation(self, asked: Json) -> Json:
        return self.ask("GET", f"/v1/operations/{asked['id']}", 200)

    def open_lines(self) -> dict[str, tuple[str, int, int]]:
        """Return what the ledger meters now: hardware, fewest and most, by component."""
        return {
            row.component: (row.hardware_key, row.replicas_low, row.replicas_high)
            for row in self.stage.intervals("web")
            if row.ended_at is None
        }


def house(stage: Stage) -> House:
    stage.run(minutes=2)
    stage.adopt("web")
    with stage.database.write() as session:
        now = stage.clock.now()
        issued = tokens.issue(
            session, name="ana", scope=Scope.ADMIN, expires_at=None, actor="test", now=now
        )
    client = TestClient(application(stage.context, fresh=False), base_url=ORIGIN)
    client.headers["Authorization"] = f"Bearer {issued.secret}"
    return House(stage, client)


def hub_house(database: Database) -> House:
    switches = Switches(update_doubles_billing=True)
    stage = open_stage(database, switches=switches, cadence=MINUTES)
    stage.add("web", startup_s=150)
    return house(stage)


def aws_house(database: Database) -> House:
    switches = AwsSwitches(updating_bills_both=True)
    stage = open_aws_stage(database, switches=switches, cadence=MINUTES)
    stage.add("web", instance_type="ml.inf2.xlarge", startup_s=200, volume_gb=50)
    return house(stage)


def hub_hardware(kind: str, region: str = "us-east-1") -> Json:
    return {"vendor": "aws", "region": region, "instance_type": kind, "instance_size": "x1"}


def aws_hardware(kind: str, region: str = REGION) -> Json:
    return {"vendor": "sagemaker", "region": region, "instance_type": kind, "instance_size": "x1"}


def bounds(least: int, most: int) -> Json:
    return {"min_replicas": least, "max_replicas": most}


def in_the_hub(stage: Stage) -> Json:
    """Return the endpoint as the cloud has it, in words of both clouds."""
    spec = stage.world.endpoint(NAMESPACE, "web").spec
    scaling = spec["compute"]["scaling"]
    return {
        "hardware": spec["compute"]["instanceType"],
        "image": spec["model"]["image"],
        "mode": spec["model"]["env"].get("MODE"),
        "bounds": (scaling["minReplica"], scaling["maxReplica"]),
    }


def in_aws(stage: Stage) -> Json:
    assert isinstance(stage, AwsStage)
    shown = stage.call("DescribeEndpoint", EndpointName="web")
    named = {"EndpointConfigName": shown["EndpointConfigName"]}
    (variant,) = stage.call("DescribeEndpointConfig", **named)["ProductionVariants"]
    model = stage.call("DescribeModel", ModelName=variant["ModelName"])["PrimaryContainer"]
    count = shown["ProductionVariants"][0]["DesiredInstanceCount"]
    rows = stage.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")
    ranges = [(row["MinCapacity"], row["MaxCapacity"]) for row in rows["ScalableTargets"]]
    return {
        "hardware": variant["InstanceType"],
        "image": model["Image"],
        "mode": model.get("Environment", {}).get("MODE"),
        "bounds": ranges[0] if ranges else (count, count),
    }
