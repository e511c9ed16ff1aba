"""An update on AWS ends as succeeded once AWS has what was asked for, and never before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange, Hardware, Scaling
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.services import creation
from orchestrator.services.errors import ServiceError
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, Operation
from tests.engine.plays import check_band
from tests.support.aws_stage import AWS_ACCOUNT, REGION, AwsStage, open_aws_stage

MINUTELY = Cadence(transition=timedelta(seconds=60), rates=timedelta(days=1))
LARGER = Hardware("sagemaker", REGION, "ml.inf2.8xlarge", "x1")
MODE = EndpointChange(environment={"MODE": "new"})


def opened(database: Database, *, reason: str = "kept", **payload: Any) -> AwsStage:
    switches = AwsSwitches(rollback_reason=reason)  # type: ignore[arg-type]  # parametrized
    stage = open_aws_stage(database, cadence=MINUTELY, switches=switches)
    stage.add("chat", **{"startup_s": 300, **payload})
    stage.run(minutes=2)
    stage.adopt("chat")
    return stage


def with_component(database: Database) -> AwsStage:
    stage = open_aws_stage(database, cadence=MINUTELY)
    stage.add_component("chat", most_copies=0, startup_s=300)
    stage.run(minutes=2)
    stage.adopt("chat")
    return stage


def update(stage: AwsStage, change: EndpointChange) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        creation.request_update(session, row, change, stage.asked())


def last(stage: AwsStage) -> Operation:
    return stage.operations("chat")[-1]


def after(stage: AwsStage, operation: str, fault: faults.Fault, **where: Any) -> None:
    """Let a fault begin once a call was carried out."""

    def look(request: httpx2.Request) -> bool:
        if str(request.headers.get("x-amz-target", "")).endswith(f".{operation}"):
            stage.wire.after = lambda _: False
            stage.world.faults.add(fault, **where)
        return False

    stage.wire.after = look


@pytest.mark.parametrize(
    ("outcome", "words", "reason"), [("fail", "ping", "dropped"), ("capacity", "Insuff", "kept")]
)
def test_what_is_rolled_back_has_failed(
    sqlite_database: Database, outcome: Any, words: str, reason: str
) -> None:
    stage = opened(sqlite_database, reason=reason)
    stage.aws.break_starts(AWS_ACCOUNT, REGION, "chat", outcome)
    update(stage, EndpointChange(hardware=LARGER))
    stage.run(minutes=30)
    assert (stage.state("chat"), stage.endpoint("chat").status) == ("InService", "running")
    assert last(stage).status == "failed"
    assert words in last(stage).outcome
    (told,) = stage.events("operation.failed")
    assert words in told.message
    assert stage.endpoint("chat").failures == 1


def test_instances_that_cannot_be_added_are_a_failure(sqlite_database: Database) -> None:
    stage = opened(sqlite_database)
    update(stage, EndpointChange(scaling=Scaling(2, 2)))
    stage.step()
    stage.aws.exhaust_capacity(REGION, "ml.inf2.xlarge")
    stage.run(minutes=30)
    assert last(stage).status == "failed"
    assert stage.endpoint("chat").target_replicas == 1


@pytest.mark.parametrize(
    ("change", "soon"),
    [
        (EndpointChange(tags=("team=search",)), 0),
        (EndpointChange(scaling=Scaling(1, 2)), 0),
        (EndpointChange(scaling=Scaling(2, 2)), 6),
    ],
)
def test_tags_and_bounds_end_soon(
    sqlite_database: Database, change: EndpointChange, soon: int
) -> None:
    stage = opened(sqlite_database)
    update(stage, change)
    stage.run(minutes=soon)
    stage.step()
    assert last(stage).status == "succeeded"


@pytest.mark.parametrize("broken", [False, True])
def test_a_read_that_lags_is_not_believed(sqlite_database: Database, broken: bool) -> None:
    stage = opened(sqlite_database)
    if broken:
        stage.aws.break_starts(AWS_ACCOUNT, REGION, "chat", "fail")
    path = "(DescribeEndpoint|ListEndpoints)$"
    after(stage, "UpdateEndpoint", faults.stale_read(90), path=path, count=2)
    update(stage, EndpointChange(hardware=LARGER))
    stage.step()
    assert (stage.endpoint("chat").status, stage.state("chat")) == ("running", "Updating")
    stage.run(minutes=3)
    assert last(stage).status == "confirming"
    stage.run(minutes=20)
    assert last(stage).status == ("failed" if broken else "succeeded")
    assert ("8xlarge" in stage.endpoint("chat").hardware_key) is not broken
    check_band(stage, [(line.name, line.nano_usd) for line in stage.aws_bill()], 0)


def test_a_lost_answer_is_learned_from_the_repeated_update(sqlite_database: Database) -> None:
    stage = opened(sqlite_database)
    stage.world.faults.add(faults.drop_after(), path="/UpdateEndpoint$", count=1)
    update(stage, MODE)
    stage.run(minutes=4)
    assert last(stage).status == "running"
    stage.run(minutes=10)
    assert last(stage).status == "succeeded"
    assert last(stage).request["goal"]["spec"] == {"config": stage.endpoint("chat").spec["config"]}
    assert stage.changes("chat") == ["chat update"]


class TestComponents:
    def status(self, stage: AwsStage) -> str:
        found = stage.call("DescribeInferenceComponent", InferenceComponentName="chat-model")
        return str(found["InferenceComponentStatus"])

    def test_it_is_confirmed_once_the_component_is_as_asked(
        self, sqlite_database: Database
    ) -> None:
        stage = with_component(sqlite_database)
        update(stage, MODE)
        for _ in range(3):
            stage.run(minutes=1)
            assert (last(stage).status, self.status(stage)) == ("confirming", "Updating")
        stage.run(minutes=10)
        assert (last(stage).status, self.status(stage)) == ("succeeded", "InService")

    def test_one_that_fails_is_told_in_its_words(self, sqlite_database: Database) -> None:
        stage = with_component(sqlite_database)
        stage.aws.break_starts(AWS_ACCOUNT, REGION, "chat-model", "fail")
        update(stage, MODE)
        stage.run(minutes=8)
        assert last(stage).status == "failed"
        assert "did not pass its health check" in last(stage).outcome

    def test_one_that_does_not_fit_is_a_failure(self, sqlite_database: Database) -> None:
        stage = with_component(sqlite_database)
        update(stage, EndpointChange(options={"min_memory_mb": 9_000_000}))
        stage.run(minutes=20)
        assert last(stage).status == "failed"
        (component,) = stage.aws.place(AWS_ACCOUNT, REGION).components.values()
        needs = component.document["Specification"]["ComputeResourceRequirements"]
        assert needs["MinMemoryRequiredInMb"] < 9_000_000

    def test_a_read_that_lags_is_not_believed(self, sqlite_database: Database) -> None:
        stage = with_component(sqlite_database)
        fault, path = faults.stale_read(90), "DescribeInferenceComponent$"
        after(stage, "UpdateInferenceComponent", fault, path=path, count=2)
        update(stage, MODE)
        stage.step()
        assert (last(stage).status, self.status(stage)) == ("confirming", "Updating")
        stage.run(minutes=8)
        assert last(stage).status == "succeeded"

    def test_the_rules_pause_it_meanwhile(self, sqlite_database: Database) -> None:
        stage = with_component(sqlite_database)
        update(stage, MODE)
        stage.run(minutes=2)
        stage.click("pause", "chat")
        stage.run(minutes=25)
        first, second = stage.operations("chat")
        assert (first.status, second.kind, second.status) == ("superseded", "pause", "succeeded")


def test_what_takes_no_requests_is_no_start(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, state="OutOfService")
    stage.click("resume", "chat")
    stage.run(minutes=10)
    assert last(stage).status == "failed"
    assert "update it to a configuration that works, or delete it" in last(stage).outcome
    assert stage.endpoint("chat").ready_replicas == 0
    update(stage, MODE)
    stage.run(minutes=30)
    assert (last(stage).status, stage.endpoint("chat").status) == ("succeeded", "running")


def test_an_update_of_a_paused_component_waits_for_its_resume(sqlite_database: Database) -> None:
    """A minimum of one would start it, and what was kept at its pause would undo the rest."""
    stage = open_aws_stage(sqlite_database)
    stage.add_component("chat")
    stage.run(minutes=1)
    stage.adopt("chat")
    stage.click("pause", "chat")
    stage.run(minutes=20)
    assert stage.endpoint("chat").status == "paused"
    with pytest.raises(ServiceError) as refused:
        update(stage, EndpointChange(scaling=Scaling(1, 3)))
    assert (refused.value.status, refused.value.code) == (409, "paused")
    assert "Resume it first" in (refused.value.remedy or "")
    assert [operation.kind for operation in stage.operations("chat")] == ["pause"]


def test_an_update_is_carried_out_although_something_is_kept(sqlite_database: Database) -> None:
    """A pause that never came has left what it had kept, for a while."""
    stage = opened(sqlite_database)
    stage.allow("chat")
    refusal = faults.aws_error("ValidationException", "refused")
    stage.world.faults.add(refusal, path="/DeleteEndpoint$")
    stage.click("pause", "chat")
    stage.step()
    assert stage.kept("chat")
    update(stage, EndpointChange(environment={"MODE": "new"}))
    stage.step()
    assert stage.changes("chat") == ["chat update"]
