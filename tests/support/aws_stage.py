"""A whole service over one region of the simulated AWS, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from orchestrator.clock import ManualClock
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.sandbox.aws.bill import AwsBillLine
from orchestrator.sandbox.aws.cloud import AwsCloud
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.world import World
from orchestrator.services import contracts
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint
from tests.support.stage import CALM, MONDAY, Stage, surroundings

AWS_ACCOUNT, REGION = "123456789012", "us-east-1"
KEY = "AKIAEXAMPLESTAGE"
GONE = "gone"
# Changes of endpoints themselves; what is made or noted beside them does not count.
CHANGES = {
    "CreateEndpoint": "create",
    "DeleteEndpoint": "delete",
    "UpdateEndpoint": "update",
    "UpdateEndpointWeightsAndCapacities": "scale",
    "CreateInferenceComponent": "create-component",
    "DeleteInferenceComponent": "delete-component",
    "UpdateInferenceComponentRuntimeConfig": "copies",
}


@dataclass
class AwsStage(Stage):
    """One region of one AWS account, and the engine over it."""

    @property
    def aws(self) -> AwsCloud:
        return self.world.aws

    def add(
        self,
        name: str,
        *,
        traffic: Traffic | None = None,
        startup_s: float | None = None,
        **payload: Any,
    ) -> None:
        """Let a person create a classic endpoint; it is in service already."""
        self.world.advance_to(self.clock.now())
        self.aws.add_endpoint(
            AWS_ACCOUNT,
            REGION,
            name,
            traffic=traffic,
            startup_s=startup_s,
            **{"instance_type": "ml.inf2.xlarge", "state": "InService", **payload},
        )

    def add_component(self, name: str, **payload: Any) -> None:
        """Let a person create an endpoint with an inference component that may go to zero."""
        self.world.advance_to(self.clock.now())
        chosen = {"instance_type": "ml.g5.xlarge", **payload}
        self.aws.add_component_endpoint(AWS_ACCOUNT, REGION, name, **chosen)

    def allow(self, *names: str, forced: bool = False) -> None:
        """Give the owner's leave to stop endpoints by deleting them, over their contract."""
        for name in names:
            row = self.endpoint(name)
            card = contracts.read_card(self.context, self.account, row)
            with self.database.write() as session:
                held = session.get_one(Endpoint, row.id)
                contracts.allow_recreate(
                    session, held, self.asked(), card, seen=card.digest, forced=forced
                )

    def call(self, operation: str, service: str = "sagemaker", **params: Any) -> dict[str, Any]:
        """Do or read something as somebody in the console would."""
        self.world.advance_to(self.clock.now())
        answer: dict[str, Any] = self.aws.call(AWS_ACCOUNT, REGION, operation, service, **params)
        return answer

    def state(self, name: str) -> str:
        """Return the cloud's own word for an endpoint now, or that it is gone."""
        self.world.advance_to(self.clock.now())
        there = self.aws.place(AWS_ACCOUNT, REGION).endpoints
        if name not in there:
            return GONE
        return str(self.call("DescribeEndpoint", EndpointName=name)["EndpointStatus"])

    def changes(self, name: str | None = None) -> list[str]:
        """Return the changing calls that the cloud carried out, as `name verb`."""
        found = []
        for call in self.world.calls.mutating(committed=True):
            verb = CHANGES.get(call.path.rsplit("/", 1)[-1])
            if verb is not None and name in (None, call.name):
                found.append(f"{call.name} {verb}")
        return found

    def aws_bill(self) -> list[AwsBillLine]:
        """Return the cloud's own bill since the stage was opened."""
        self.world.advance_to(self.clock.now())
        return self.aws.bill(AWS_ACCOUNT, REGION, self.started, self.clock.now())

    def kept(self, name: str) -> dict[str, Any]:
        """Return what is stored to make an endpoint again."""
        return self.endpoint(name).kept

    def row(self, session: Session, name: str) -> Endpoint:
        """Return an endpoint for a change by hand."""
        return session.get_one(Endpoint, self.endpoint(name).id)


def open_aws_stage(
    database: Database,
    *,
    switches: AwsSwitches | None = None,
    cadence: Cadence | None = None,
    start: datetime = MONDAY,
    seed: int = 1,
    **options: str,
) -> AwsStage:
    """Return a stage with one connected region and no endpoints; nothing was looked at yet."""
    clock = ManualClock(start)
    world = World(start=start, seed=seed, aws_switches=switches)
    world.aws.add_account(AWS_ACCOUNT, name="acme", access_keys={KEY: ""})
    context, wire = surroundings(database, world, clock, f"{KEY}:secret-of-the-stage")
    account = Account(
        id=new_id("acc", start),
        name="acme-us-east-1",
        provider="sagemaker",
        namespace=AWS_ACCOUNT,
        region=REGION,
        credential_ref="env:STAGE",
        created_at=start,
        options=options,
    )
    with database.write() as session:
        session.add(account)
    cadence = cadence or CALM
    engine = Engine(context, cadence)
    return AwsStage(database, world, clock, engine, context, account, wire, cadence, start)
