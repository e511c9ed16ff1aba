"""A stop that waits for a transition: ever more seldom, told in few steps, not slept through."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orchestrator.store.database import Database
from tests.support.aws_stage import AWS_ACCOUNT, GONE, REGION, AwsStage, open_aws_stage


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    """Return a stage with an endpoint that may be deleted in order to pause it."""
    stage = open_aws_stage(sqlite_database)
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    return stage


def updating(stage: AwsStage, for_s: int) -> None:
    """Let somebody update it in the console, which takes so long; a pause is asked for then."""
    stage.aws.place(AWS_ACCOUNT, REGION).endpoints["chat"].startup_s = for_s
    name = stage.call("DescribeEndpoint", EndpointName="chat")["EndpointConfigName"]
    config = stage.call("DescribeEndpointConfig", EndpointConfigName=name)
    variants = [
        {**one, "ContainerStartupHealthCheckTimeoutInSeconds": 3600}
        for one in config["ProductionVariants"]
    ]
    stage.call("CreateEndpointConfig", EndpointConfigName="next", ProductionVariants=variants)
    stage.call("UpdateEndpoint", EndpointName="chat", EndpointConfigName="next")
    stage.run(minutes=1)
    stage.click("pause", "chat")


def test_one_that_hangs_is_asked_about_ever_less_often(stage: AwsStage) -> None:
    updating(stage, for_s=3500)
    stage.run(minutes=50)
    (pause,) = stage.operations("chat")
    assert (pause.status, stage.state("chat")) == ("running", "Updating")
    assert 10 <= pause.attempts <= 20
    assert (pause.steps[0]["state"], len(pause.steps) <= 6) == ("begun", True)
    begun, refused = pause.steps[-2:]
    assert (begun["state"], refused["state"]) == ("begun", "refused for now")
    waited = datetime.fromisoformat(refused["last_at"]) - datetime.fromisoformat(refused["at"])
    assert waited > timedelta(minutes=40)
    assert refused["times"] >= 10


def test_its_end_is_not_slept_through(stage: AwsStage) -> None:
    updating(stage, for_s=1450)
    while stage.state("chat") == "Updating":
        before = stage.operations("chat")[0]
        stage.run(seconds=10)
    assert before.next_attempt_at is not None
    assert before.next_attempt_at - stage.clock.now() > timedelta(minutes=2)
    stage.run(seconds=60)
    assert stage.state("chat") in ("Deleting", GONE)
