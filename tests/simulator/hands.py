"""What others do to endpoints in the clouds' own consoles, and what requests reach them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.messages import ApiError
from tests.simulator.bystander import Bystander, Row
from tests.simulator.places import (
    AWS_ACCOUNT,
    HUGGINGFACE,
    NAMESPACE,
    REGION,
    START_UP_S,
    Cloud,
    add_huggingface,
)
from tests.simulator.tally import TALLY
from tests.simulator.universe import Universe

# What undoes an operation in the console.
UNDOES = {"pause": "resume", "resume": "pause", "scale_to_zero": "pause"}
VERBS = ("pause", "resume", "scale-to-zero", "update", "delete", "create", "tag")


@dataclass
class Hands:
    """Somebody else; `looks` tells after which acts nobody may look away (see `act`)."""

    universe: Universe
    removed: set[str]

    def act(self, cloud: Cloud, name: str, verb: str, number: int) -> bool:
        """Do something by hand; True when the next look has to come before anything else.

        A count of replicas that nobody has seen is bounded by nothing that we know.
        """
        self.universe.advance()
        work = self._huggingface if cloud is HUGGINGFACE else self._sagemaker
        try:
            blind = work(name, verb, number)
        except (ApiError, AwsError, KeyError):
            TALLY.add("by hand", f"{verb} refused")
            return False
        TALLY.add("by hand", verb)
        if verb == "delete":
            self.removed.add(name)
        elif verb == "create":
            self.removed.discard(name)
        return blind

    def _huggingface(self, name: str, verb: str, number: int) -> bool:
        world = self.universe.world
        if verb == "create":
            add_huggingface(world, name, min_replica=number % 2, max_replica=1 + number % 2)
        elif verb == "update":
            scaling = {"minReplica": number % 2, "maxReplica": 1 + number % 3}
            world.act(NAMESPACE, name, "update", payload={"compute": {"scaling": scaling}})
            return True
        elif verb == "tag":
            world.act(NAMESPACE, name, "update", payload={"tags": [f"touched={number}"]})
        else:
            world.act(NAMESPACE, name, verb)  # type: ignore[arg-type]  # one of its verbs
        return False

    def _sagemaker(self, name: str, verb: str, number: int) -> bool:
        aws = self.universe.world.aws

        def call(operation: str, **params: Any) -> Any:
            return aws.call(AWS_ACCOUNT, REGION, operation, "sagemaker", **params)

        if verb == "create":
            aws.add_endpoint(AWS_ACCOUNT, REGION, name, volume_gb=30, startup_s=START_UP_S)
        elif verb == "delete":
            call("DeleteEndpoint", EndpointName=name)
        elif verb == "update":
            wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": 1 + number % 2}
            call(
                "UpdateEndpointWeightsAndCapacities",
                EndpointName=name,
                DesiredWeightsAndCapacities=[wanted],
            )
            return True
        else:
            arn = call("DescribeEndpoint", EndpointName=name)["EndpointArn"]
            call("AddTags", ResourceArn=arn, Tags=[{"Key": "touched", "Value": str(number)}])
        return False

    def break_start(self, cloud: Cloud, number: int) -> None:
        """Let the next new version of the first fail, where it goes on with the one it has."""
        world = self.universe.world
        if cloud is HUGGINGFACE:
            world.break_starts(NAMESPACE, cloud.managed[0], "fail")
        elif world.aws.switches.failed_update != "Failed":
            how: Literal["fail", "capacity"] = "capacity" if number % 2 else "fail"
            world.aws.break_starts(AWS_ACCOUNT, REGION, cloud.managed[0], how)
        else:
            return
        TALLY.add("by hand", "new version broken")

    def undo(self, cloud: Cloud, row: Row, book: Bystander) -> bool:
        """Undo in the console what a schedule has done last; False where it has done nothing."""
        query = (
            "SELECT kind FROM operation WHERE endpoint_id = ? AND rule LIKE 'schedule:%'"
            " AND status = 'succeeded' ORDER BY finished_at DESC LIMIT 1"
        )
        kind = book.value(query, row["id"])
        if kind not in UNDOES:
            return False
        self.act(cloud, row["name"], UNDOES[kind], 0)
        TALLY.add("by hand", "undone")
        return True

    def invoke(self, cloud: Cloud, name: str) -> None:
        """Send an endpoint a request."""
        world = self.universe.world
        self.universe.advance()
        if cloud is not HUGGINGFACE:
            return
        try:
            world.invoke(NAMESPACE, name)
        except ApiError:
            TALLY.add("by hand", "invoke refused")


Act = Callable[[Cloud, str, str, int], bool]
