"""A change of several calls makes no further one once a newer wish has taken its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange, Scaling
from orchestrator.engine.engine import Cadence
from orchestrator.providers.sagemaker.naming import KEPT_TAG
from orchestrator.sandbox import faults
from orchestrator.services import creation, deletion, freezing
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, Operation
from tests.engine.test_aws_life import spec
from tests.engine.test_superseding import cancel, delete, managed, update
from tests.support.aws_stage import AWS_ACCOUNT, GONE, REGION, AwsStage, open_aws_stage
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


class Once:
    """Lets somebody act once, after the answer to a call of a name and with a text in its body."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        act: Callable[[], object],
        *,
        body: bytes = b"",
        armed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._stage, self._name, self._act = stage, name, act
        self._body, self._armed = body, armed

    def __call__(self, request: httpx2.Request) -> bool:
        target = str(request.headers.get("x-amz-target", ""))
        if target.endswith(f".{self._name}") and self._body in request.content and self._armed():
            self._stage.wire.after = lambda _: False
            self._stage.clock.set(self._stage.clock.now() + timedelta(seconds=1))
            self._act()
        return False


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
    assert parts(aws) == []


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


def parts(stage: AwsStage) -> list[str]:
    """Return the models and configurations that were made for it."""
    place = stage.aws.place(AWS_ACCOUNT, REGION)
    return [name for name in (*place.models, *place.configs) if name.startswith("fresh-")]


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


def autoscale(stage: AwsStage, low: int, high: int) -> None:
    """Let somebody have AWS move its count of instances within bounds."""
    stage.call(
        "RegisterScalableTarget",
        "application-autoscaling",
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/chat/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=low,
        MaxCapacity=high,
    )


def test_a_pause_amid_what_a_resume_puts_back_loses_none_of_it(aws: AwsStage) -> None:
    autoscale(aws, 1, 3)
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


def freeze(stage: Stage) -> None:
    with stage.database.write() as session:
        freezing.switch_on(session, None, stage.asked("look first"))


def thaw(stage: Stage) -> None:
    with stage.database.write() as session:
        freezing.switch_off(session, None, stage.asked("looked"))


def test_a_freeze_stops_a_change_between_its_calls_and_a_thaw_lets_it_go_on(
    aws: AwsStage,
) -> None:
    update(aws, MODE)
    after_call(aws, "CreateModel", lambda: freeze(aws))
    aws.run(minutes=30)
    assert calls(aws) == ["CreateModel"]
    assert outcomes(aws) == [("update", "running")]
    thaw(aws)
    aws.run(minutes=30)
    assert aws.changes("chat") == ["chat update"]
    assert outcomes(aws) == [("update", "succeeded")]


def test_a_refused_create_leaves_nothing_behind_although_all_is_frozen(aws: AwsStage) -> None:
    create(aws)
    refusal = faults.aws_error("AccessDeniedException", "not authorized")
    aws.world.faults.add(refusal, path="/CreateEndpoint$")
    after_call(aws, "CreateEndpoint", lambda: freeze(aws))
    aws.run(minutes=10)
    assert aws.operations("fresh")[0].status == "failed"
    assert parts(aws) == []


def test_a_deletion_that_has_begun_removes_all_that_we_made_although_all_is_frozen(
    aws: AwsStage,
) -> None:
    create(aws)
    aws.run(minutes=30)
    assert len(parts(aws)) == 2
    with aws.database.write() as session:
        row = session.get_one(Endpoint, aws.endpoint("fresh").id)
        deletion.request_delete(session, row, aws.asked(), confirm="fresh", grace=timedelta())
    aws.wire.after = Once(aws, "DeleteEndpoint", lambda: freeze(aws), body=b'"fresh"')
    aws.run(minutes=30)
    assert aws.state("fresh") == GONE
    assert parts(aws) == []


class TestMarks:
    """What says that we deleted an endpoint to pause it, and that a call may still make one."""

    @pytest.mark.parametrize("newer", ["freeze", "pause"])
    def test_a_deletion_that_was_sent_stays_marked(
        self, sqlite_database: Database, newer: str
    ) -> None:
        """What had failed was removed; the call that makes it again is not wanted any more."""
        stage = open_aws_stage(sqlite_database, cadence=MINUTELY)
        stage.add("chat", startup_s=60, state="Failed")
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.allow("chat")
        stage.click("resume", "chat")
        stage.wire.after = Once(
            stage,
            "DescribeModel",
            lambda: freeze(stage) if newer == "freeze" else stage.click("pause", "chat"),
            armed=lambda: stage.state("chat") == GONE and first_of(stage, "resume").attempts > 1,
        )
        stage.run(minutes=20)
        assert stage.changes("chat") == ["chat delete"]
        row = stage.endpoint("chat")
        assert (row.deleted_at, bool(row.kept)) == (None, True)
        if newer == "freeze":
            thaw(stage)
        else:
            assert row.status == "paused"
            stage.click("resume", "chat")
        stage.run(minutes=30)
        assert stage.changes("chat") == ["chat delete", "chat create"]
        assert stage.endpoint("chat").status == "running"

    def test_a_start_in_doubt_stays_so_after_the_next_one_was_not_sent(self, aws: AwsStage) -> None:
        aws.click("pause", "chat")
        aws.run(minutes=10)
        config = aws.kept("chat")["config"]["EndpointConfigName"]
        aws.world.faults.add(faults.timeout_before(), path="/CreateEndpoint$", count=1)
        aws.click("resume", "chat")
        aws.step()
        doubt = aws.endpoint("chat").landing_until
        assert doubt is not None
        aws.call("DeleteEndpointConfig", EndpointConfigName=config)
        after_call(aws, "CreateEndpointConfig", lambda: aws.click("pause", "chat"))
        aws.run(seconds=30)
        assert aws.endpoint("chat").landing_until == doubt

    def test_a_click_before_the_call_is_written_down_leaves_no_mark(self, aws: AwsStage) -> None:
        aws.click("pause", "chat")
        aws.wire.after = Once(
            aws,
            "ListTags",
            lambda: aws.click("resume", "chat"),
            armed=lambda: first_of(aws, "pause").status == "running",
        )
        aws.step()
        assert aws.endpoint("chat").stop_sent_at is None
        assert aws.changes("chat") == []


class TestUnits:
    """What has begun to change an endpoint is brought to its end; the newer wish comes after."""

    @pytest.fixture
    def stage(self, sqlite_database: Database) -> AwsStage:
        stage = open_aws_stage(sqlite_database, cadence=MINUTELY)
        stage.add_component("chat")
        stage.run(minutes=2)
        stage.adopt("chat")
        return stage

    def test_scaling_out_is_not_left_suspended(self, stage: AwsStage) -> None:
        stage.click("pause", "chat")
        suspends = b"SuspendedState"
        stage.wire.after = Once(
            stage, "RegisterScalableTarget", lambda: stage.click("resume", "chat"), body=suspends
        )
        stage.run(minutes=40)
        assert outcomes(stage) == [("pause", "superseded"), ("resume", "succeeded")]
        assert stage.endpoint("chat").status in ("running", "scaled_to_zero")  # nobody calls it
        (target,) = targets(stage)
        assert not any(target["SuspendedState"].values())

    def test_a_component_that_may_go_to_zero_can_be_woken(self, stage: AwsStage) -> None:
        update(stage, EndpointChange(scaling=Scaling(0, 2, scale_to_zero_minutes=15)))
        stage.wire.after = Once(stage, "PutScalingPolicy", lambda: freeze(stage), body=b"-load")
        stage.run(minutes=10)
        policies = stage.call(
            "DescribeScalingPolicies", "application-autoscaling", ServiceNamespace="sagemaker"
        )["ScalingPolicies"]
        assert {policy["PolicyType"] for policy in policies} == {
            "StepScaling",
            "TargetTrackingScaling",
        }

    def test_a_count_is_set_although_the_update_was_overtaken(self, aws: AwsStage) -> None:
        autoscale(aws, 2, 3)
        aws.run(minutes=20)
        aws.allow("chat")
        update(aws, EndpointChange(scaling=Scaling(1, 1)))
        aws.wire.after = Once(
            aws, "DeregisterScalableTarget", lambda: aws.click("pause", "chat"), body=b"chat"
        )
        aws.run(minutes=30)
        assert aws.changes("chat") == ["chat scale", "chat delete"]
        aws.click("resume", "chat")
        aws.run(minutes=30)
        described = aws.call("DescribeEndpoint", EndpointName="chat")
        assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 1


def test_an_update_that_fails_half_way_tells_what_was_carried_out(aws: AwsStage) -> None:
    refusal = faults.aws_error("AccessDeniedException", "no right to scale")
    aws.world.faults.add(refusal, path="/RegisterScalableTarget$")
    update(aws, EndpointChange(environment={"MODE": "fast"}, scaling=Scaling(1, 3)))
    aws.run(minutes=30)
    assert aws.changes("chat") == ["chat update"]
    ended = first_of(aws, "update")
    assert ended.status == "failed"
    assert "carried out before that: CreateModel, CreateEndpointConfig, UpdateEndpoint" in (
        ended.outcome
    )
    done = [step["name"] for step in ended.steps if step["state"] == "done"]
    assert done == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]


def targets(stage: AwsStage) -> list[dict[str, Any]]:
    answer = stage.call(
        "DescribeScalableTargets", "application-autoscaling", ServiceNamespace="sagemaker"
    )
    found: list[dict[str, Any]] = answer["ScalableTargets"]
    return found


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
