"""A change of several calls makes no further one once a newer wish has taken its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange
from orchestrator.engine.engine import Cadence
from orchestrator.providers.sagemaker.naming import KEPT_TAG
from orchestrator.sandbox import faults
from orchestrator.services import creation, freezing
from orchestrator.store.database import Database
from orchestrator.store.tables import Operation
from tests.engine.test_aws_life import spec
from tests.engine.test_superseding import cancel, delete, managed, update
from tests.support.aws_stage import GONE, AwsStage, open_aws_stage
from tests.support.stage import Stage, open_stage

MINUTELY = Cadence(transition=timedelta(seconds=60), rates=timedelta(days=1))
MODE = EndpointChange(environment={"MODE": "fast"})


@pytest.fixture
def aws(sqlite_database: Database) -> AwsStage:
    stage = open_aws_stage(sqlite_database, cadence=MINUTELY)
    stage.add("chat", startup_s=60)
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    return stage


def after_call(stage: Stage, name: str, act: Callable[[], object]) -> None:
    """Let somebody act once, right after the cloud has answered a call of that name.

    Calls that only ask for our rights to it are not meant.
    """

    def acts(request: httpx2.Request) -> bool:
        named = str(request.headers.get("x-amz-target", "")).endswith(f".{name}")
        if named and (name != "AddTags" or KEPT_TAG.encode() in request.content):
            stage.wire.after = lambda _: False
            stage.clock.set(stage.clock.now() + timedelta(seconds=1))
            act()
        return False

    stage.wire.after = acts


def calls(stage: Stage) -> list[str]:
    """Return the names of all changing calls that were carried out, in order."""
    done = stage.world.calls.mutating(committed=True)
    return [call.path.rsplit("/", 1)[-1] for call in done]


def outcomes(stage: Stage) -> list[tuple[str, str]]:
    return [(operation.kind, operation.status) for operation in stage.operations("chat")]


def first_of(stage: Stage, kind: str) -> Operation:
    return next(operation for operation in stage.operations("chat") if operation.kind == kind)


@pytest.mark.parametrize("last", ["CreateModel", "CreateEndpointConfig"])
def test_an_update_goes_no_further_once_a_pause_has_taken_its_place(
    aws: AwsStage, last: str
) -> None:
    update(aws, MODE)
    after_call(aws, last, lambda: aws.click("pause", "chat"))
    aws.run(minutes=15)
    assert aws.changes("chat") == ["chat delete"]
    assert calls(aws)[calls(aws).index(last) + 1] == "AddTags"  # the first call of the pause
    assert outcomes(aws) == [("update", "superseded"), ("pause", "succeeded")]
    assert "its next call was not sent" in first_of(aws, "update").outcome
    assert aws.endpoint("chat").status == "paused"


def test_a_pause_by_deletion_deletes_nothing_once_a_resume_has_taken_its_place(
    aws: AwsStage,
) -> None:
    aws.click("pause", "chat")
    after_call(aws, "AddTags", lambda: aws.click("resume", "chat"))
    aws.step()
    assert aws.endpoint("chat").stop_sent_at is None
    aws.run(minutes=15)
    assert aws.changes("chat") == []
    assert calls(aws) == ["AddTags", "DeleteTags"]
    assert outcomes(aws) == [("pause", "superseded"), ("resume", "succeeded")]
    row = aws.endpoint("chat")
    assert (row.status, row.kept, row.stop_sent_at) == ("running", {}, None)


def test_a_person_deletes_what_a_withdrawn_pause_had_marked(aws: AwsStage) -> None:
    """Its mark says that what is gone was paused by us, and no deletion of ours was sent."""
    aws.click("pause", "chat")
    after_call(aws, "AddTags", lambda: aws.click("resume", "chat"))
    aws.step()
    aws.call("DeleteEndpoint", EndpointName="chat")
    aws.run(minutes=20)
    assert aws.endpoint("chat").status == "deleted"
    assert aws.events("endpoint.deleted")[-1].actor == "somebody else"


def create(stage: Stage) -> Operation:
    wanted = replace(spec(), name="fresh")
    with stage.database.write() as session:
        account = session.merge(stage.account)
        return creation.request_create(
            session, account, wanted, stage.asked(), labels={}, owner="ana"
        ).operation


@pytest.mark.parametrize("last", ["CreateModel", "CreateEndpointConfig"])
def test_a_create_that_is_cancelled_between_its_calls_makes_no_endpoint(
    aws: AwsStage, last: str
) -> None:
    operation = create(aws)
    after_call(aws, last, lambda: cancel(aws, operation))
    aws.run(minutes=2)
    assert aws.changes("fresh") == []
    ended = aws.operations("fresh")[0]
    assert (ended.status, ended.outcome) == ("cancelled", "it never came into being")
    assert aws.state("fresh") == GONE


def test_a_create_whose_earlier_call_is_in_doubt_stays_so_after_it_was_withdrawn(
    aws: AwsStage,
) -> None:
    """What was not sent the second time says nothing of the first."""
    aws.world.faults.add(faults.timeout_before(), path="/CreateEndpoint$", count=1)
    operation = create(aws)
    aws.step()
    aws.call("DeleteEndpointConfig", EndpointConfigName=config_of(aws))
    after_call(aws, "CreateEndpointConfig", lambda: cancel(aws, operation))
    aws.run(minutes=2)
    sent = [call.path for call in aws.world.calls.mutating() if call.name == "fresh"]
    assert len([path for path in sent if path.endswith("/CreateEndpoint")]) == 1
    assert aws.operations("fresh")[0].status == "running"
    aws.run(minutes=5)
    ended = aws.operations("fresh")[0]
    assert (ended.status, ended.outcome) == ("cancelled", "it never came into being")


def config_of(stage: AwsStage) -> str:
    rows = stage.call("ListEndpointConfigs", NameContains="fresh")["EndpointConfigs"]
    return str(rows[0]["EndpointConfigName"])


@pytest.mark.parametrize("newer", ["pause", "delete"])
def test_a_resume_makes_nothing_once_a_newer_wish_has_taken_its_place(
    aws: AwsStage, newer: str
) -> None:
    aws.click("pause", "chat")
    aws.run(minutes=10)
    kept = aws.kept("chat")
    aws.call("DeleteEndpointConfig", EndpointConfigName=kept["config"]["EndpointConfigName"])
    aws.click("resume", "chat")
    act = (lambda: aws.click("pause", "chat")) if newer == "pause" else (lambda: delete(aws))
    after_call(aws, "CreateEndpointConfig", act)
    aws.step()
    assert aws.endpoint("chat").landing_until is None
    aws.run(minutes=1)
    assert aws.changes("chat") == ["chat delete"]  # of the first pause
    assert outcomes(aws)[1:] == [("resume", "superseded"), (newer, "succeeded")]


def test_what_a_resume_puts_back_is_left_once_a_pause_has_taken_its_place(aws: AwsStage) -> None:
    aws.call(
        "RegisterScalableTarget",
        "application-autoscaling",
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/chat/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=3,
    )
    aws.run(minutes=6)
    aws.allow("chat")
    aws.click("pause", "chat")
    aws.run(minutes=10)
    aws.click("resume", "chat")
    after_call(aws, "RegisterScalableTarget", lambda: aws.click("pause", "chat"))
    aws.run(minutes=30)
    assert outcomes(aws)[-2:] == [("resume", "superseded"), ("pause", "succeeded")]
    assert aws.state("chat") == GONE
    aws.click("resume", "chat")
    aws.run(minutes=20)
    assert outcomes(aws)[-1] == ("resume", "succeeded")
    (target,) = aws.call(
        "DescribeScalableTargets", "application-autoscaling", ServiceNamespace="sagemaker"
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)


def test_a_freeze_stops_a_change_between_its_calls_and_a_thaw_lets_it_go_on(
    aws: AwsStage,
) -> None:
    update(aws, MODE)

    def freeze() -> None:
        with aws.database.write() as session:
            freezing.switch_on(session, None, aws.asked("look first"))

    after_call(aws, "CreateModel", freeze)
    aws.run(minutes=30)
    assert calls(aws) == ["CreateModel"]
    assert outcomes(aws) == [("update", "running")]
    with aws.database.write() as session:
        freezing.switch_off(session, None, aws.asked("looked"))
    aws.run(minutes=30)
    assert aws.changes("chat") == ["chat update"]
    assert outcomes(aws) == [("update", "succeeded")]


def test_what_did_not_reach_the_cloud_is_not_sent_again_for_an_older_wish(
    sqlite_database: Database,
) -> None:
    stage = open_stage(sqlite_database)
    managed(stage)

    def unreachable(request: httpx2.Request) -> bool:
        if request.method == "GET":
            return False
        stage.wire.before = lambda _: False
        stage.click("resume", "chat")
        raise httpx2.ConnectError("no route", request=request)

    stage.wire.before = unreachable
    stage.click("pause", "chat")
    stage.run(minutes=10)
    assert stage.changes() == []
    assert outcomes(stage) == [("pause", "superseded"), ("resume", "succeeded")]
    assert "its next call was not sent" in first_of(stage, "pause").outcome
