"""The commands of a handover, run as they are printed: they bring the endpoint back whole."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.services import releasing
from orchestrator.store.database import Database
from tests.sandbox.aws_clients import WireScene
from tests.support.aws_stage import GONE, KEY, AwsStage, open_aws_stage

SCALING = "application-autoscaling"
WHERE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/its-web/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
NAME = "its-web"


class Shell:
    """Runs the commands of AWS's own tool by boto3, against the simulated AWS."""

    def __init__(self, stage: AwsStage) -> None:
        self.stage = stage
        self.scene = WireScene()
        self.scene.world, self.scene.aws = stage.world, stage.aws

    def run(self, line: str) -> Any:
        """Run one line, with the line inside `$(…)` first; return the answer."""
        tool, service, verb, *rest = shlex.split(line)
        assert tool == "aws", line
        if verb == "wait":
            return self._wait(service, rest)
        params = json.loads(rest[1]) if rest[0] == "--cli-input-json" else self._params(rest)
        query = params.pop("Query", None)
        params.pop("Output", None)
        client = self.scene.client(service, key=KEY)
        answer = getattr(client, verb.replace("-", "_"))(**params)
        return answer[query] if query else answer

    def _wait(self, service: str, rest: Sequence[str]) -> None:
        waiter, flag, name = rest
        assert waiter.replace("-", "_") in self.scene.client(service, key=KEY).waiter_names
        assert flag == "--endpoint-name"
        self.stage.clock.set(self.stage.clock.now() + timedelta(minutes=30))
        assert self.stage.state(name) == "InService"

    def _params(self, rest: Sequence[str]) -> dict[str, Any]:
        found: dict[str, list[str]] = {}
        for word in rest:
            if word.startswith("--"):
                flag = word[2:]
                found[flag] = []
            else:
                inner = word.startswith("$(") and word.endswith(")")
                found[flag].append(self.run(word[2:-1]) if inner else word)
        return {
            flag.title().replace("-", ""): values if flag.endswith("keys") else values[0]
            for flag, values in found.items()
        }


@pytest.fixture
def stage(sqlite_database: Database) -> Iterator[AwsStage]:
    made = open_aws_stage(sqlite_database, cadence=Cadence(rest=timedelta(minutes=5)))
    made.add(NAME, instance_type="ml.inf2.8xlarge", volume_gb=64, tags={"team": "search and find"})
    made.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName=NAME,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}
        ],
    )
    made.run(minutes=30)
    _scale(made)
    made.adopt(NAME)
    made.allow(NAME)
    yield made
    made.context.providers.close()


def _scale(stage: AwsStage) -> None:
    stage.call("RegisterScalableTarget", SCALING, **WHERE, MinCapacity=2, MaxCapacity=4)
    tracking = {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    }
    stage.call(
        "PutScalingPolicy",
        SCALING,
        **WHERE,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    stage.call(
        "PutMetricAlarm",
        "cloudwatch",
        AlarmName="slow",
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[{"Name": "EndpointName", "Value": NAME}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    stage.call(
        "PutScheduledAction",
        SCALING,
        **WHERE,
        ScheduledActionName="morning",
        Schedule="cron(0 7 ? * MON-FRI *)",
        Timezone="Europe/Berlin",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 4},
    )


def truth(stage: AwsStage) -> dict[str, Any]:
    """Return all that a pause by deletion takes along, but names and times that AWS gives anew."""
    shown = stage.call("DescribeEndpoint", EndpointName=NAME)
    (variant,) = shown["ProductionVariants"]
    found: dict[str, Any] = {
        "config": shown["EndpointConfigName"],
        "status": shown["EndpointStatus"],
        "counts": (variant["CurrentInstanceCount"], variant["DesiredWeight"]),
        "tags": stage.call("ListTags", ResourceArn=shown["EndpointArn"])["Tags"],
    }
    for verb, rows in (
        ("DescribeScalableTargets", "ScalableTargets"),
        ("DescribeScalingPolicies", "ScalingPolicies"),
        ("DescribeScheduledActions", "ScheduledActions"),
    ):
        told = stage.call(verb, SCALING, ServiceNamespace="sagemaker")[rows]
        fresh = ("CreationTime", "Alarms")
        found[rows] = [
            {key: value for key, value in row.items() if key not in fresh and "ARN" not in key}
            for row in told
        ]
    return found


def test_the_printed_commands_bring_the_endpoint_back(stage: AwsStage) -> None:
    before = truth(stage)
    assert all(before.values())
    stage.click("pause", NAME)
    stage.run(minutes=15)
    assert stage.state(NAME) == GONE
    with stage.database.write() as session:
        row = stage.row(session, NAME)
        released = releasing.release(stage.context, session, row, stage.asked(), handover=True)
    paper = released.handover
    assert paper is not None
    assert any("alarm slow" in text for text in paper.lacks), paper.lacks
    shell = Shell(stage)
    for line in paper.commands:
        shell.run(line)
    assert truth(stage) == before

    # No service takes it for one that it has paused; this one finds it as somebody else's.
    config = stage.call("DescribeEndpointConfig", EndpointConfigName=before["config"])
    tags = stage.call("ListTags", ResourceArn=config["EndpointConfigArn"])["Tags"]
    assert not [tag for tag in tags if "paused" in tag["Key"] or "kept" in tag["Key"]]
    assert stage.context.provider_for(stage.account).left_behind() == []
    stage.run(minutes=20)
    found = stage.endpoint(NAME)
    assert (found.status, found.managed, found.generation) == ("running", False, 2)
