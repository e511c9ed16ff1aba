"""Stories of pauses by deletion that once went wrong: marks that outlived their operation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.sandbox import faults
from orchestrator.services.errors import ServiceError
from orchestrator.store.database import Database
from orchestrator.store.endpoints import labels_of
from orchestrator.store.tables import Account
from tests.engine.test_recreate import CALM, TARGET, TRACKING, with_chat
from tests.support.aws_stage import AWS_ACCOUNT, REGION, AwsStage, open_aws_stage
from tests.support.stage import MONDAY

INF = "ml.inf2.8xlarge"
SCALING = "application-autoscaling"


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    stage = with_chat(open_aws_stage(sqlite_database, cadence=CALM))
    stage.allow("chat")
    return stage


@pytest.fixture
def scaled(sqlite_database: Database) -> AwsStage:
    """An endpoint that scales between one and four instances."""
    stage = with_chat(open_aws_stage(sqlite_database, cadence=CALM))
    stage.call("RegisterScalableTarget", SCALING, MinCapacity=1, MaxCapacity=4, **TARGET)
    stage.call("PutScalingPolicy", SCALING, **TARGET, **TRACKING)
    stage.run(minutes=20)
    stage.allow("chat")
    return stage


def bounds(stage: AwsStage) -> list[tuple[int, int]]:
    found = stage.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")
    return [(one["MinCapacity"], one["MaxCapacity"]) for one in found["ScalableTargets"]]


def refuse(stage: AwsStage, operation: str, code: str, **when: Any) -> None:
    stage.world.faults.add(faults.aws_error(code, "refused"), path=f"/{operation}$", **when)


def throttled_through_the_night(stage: AwsStage) -> None:
    """The pause is superseded in the morning, with its document stored and nothing deleted."""
    stage.clock.set(MONDAY + timedelta(hours=7, minutes=30))
    stage.run(minutes=10)
    opening = MONDAY + timedelta(hours=8, minutes=30)
    refuse(stage, "DeleteEndpoint", "ThrottlingException", until=opening)
    stage.schedule()
    stage.run_until(MONDAY + timedelta(hours=9))
    assert stage.endpoint("chat").status == "running"
    assert stage.changes() == []


def test_what_never_went_and_others_delete_is_not_made_again(stage: AwsStage) -> None:
    throttled_through_the_night(stage)
    stage.call("DeleteEndpoint", EndpointName="chat")
    stage.run_until(stage.started + timedelta(hours=20))
    assert stage.endpoint("chat").status == "deleted"
    assert stage.changes() == []
    assert stage.events("endpoint.deleted")


def test_a_change_after_a_pause_that_never_came_is_no_obstacle_to_the_next(
    stage: AwsStage,
) -> None:
    throttled_through_the_night(stage)
    arn = stage.call("DescribeEndpoint", EndpointName="chat")["EndpointArn"]
    stage.call("AddTags", ResourceArn=arn, Tags=[{"Key": "late", "Value": "yes"}])
    stage.run_until(stage.started + timedelta(hours=23))
    assert stage.endpoint("chat").status == "paused"
    assert stage.kept("chat")["tags"]["late"] == "yes"


def test_a_leave_that_was_taken_back_holds_for_a_click_too(stage: AwsStage) -> None:
    throttled_through_the_night(stage)
    with stage.database.write() as session:
        stage.row(session, "chat").allow_recreate = False
    with pytest.raises(ServiceError) as caught:
        stage.click("pause", "chat")
    assert caught.value.code == "recreate_not_allowed"


def test_a_pause_while_it_starts_again_keeps_what_the_first_one_kept(scaled: AwsStage) -> None:
    scaled.click("pause", "chat")
    scaled.run(minutes=15)
    scaled.click("resume", "chat")
    scaled.step()
    assert scaled.state("chat") == "Creating"
    scaled.click("pause", "chat")
    scaled.run(hours=1)
    assert scaled.endpoint("chat").status == "paused"
    scaled.click("resume", "chat")
    scaled.run(hours=1)
    assert scaled.endpoint("chat").status == "running"
    assert bounds(scaled) == [(1, 4)]


def test_a_pause_after_a_start_that_failed(scaled: AwsStage) -> None:
    scaled.click("pause", "chat")
    scaled.run(minutes=15)
    scaled.aws.break_starts(AWS_ACCOUNT, REGION, "chat", "fail")
    scaled.click("resume", "chat")
    scaled.run(hours=2)
    assert scaled.state("chat") == "Failed"
    scaled.click("resume", "chat")
    scaled.run(hours=1)
    assert scaled.endpoint("chat").status == "running"
    assert bounds(scaled) == [(1, 4)]


def test_a_start_that_takes_longer_than_we_wait_gets_its_scaling_back(scaled: AwsStage) -> None:
    scaled.click("pause", "chat")
    scaled.run(minutes=15)
    scaled.click("resume", "chat")
    scaled.step()
    scaled.aws.force_status(AWS_ACCOUNT, REGION, "chat", "Creating", seconds=3 * 3600)
    scaled.run(hours=5)
    assert scaled.endpoint("chat").status == "running"
    assert bounds(scaled) == [(1, 4)]
    assert scaled.endpoint("chat").kept == {}


@pytest.mark.parametrize("code", ["ExpiredTokenException", "AccessDeniedException"])
def test_a_refusal_that_passes_does_not_lose_the_scaling(scaled: AwsStage, code: str) -> None:
    scaled.click("pause", "chat")
    scaled.run(minutes=15)
    refuse(scaled, "RegisterScalableTarget", code, count=2)
    scaled.click("resume", "chat")
    scaled.run(hours=1)
    assert bounds(scaled) == [(1, 4)]
    assert scaled.events("endpoint.differs") == []


def test_a_wait_for_capacity_that_ends_in_a_refusal_is_begun_again(stage: AwsStage) -> None:
    stage.schedule()
    stage.run_until(stage.started + timedelta(hours=7))
    stage.aws.exhaust_capacity(REGION, INF)
    stage.run_until(stage.started + timedelta(hours=9))
    assert stage.endpoint("chat").status == "waiting_for_capacity"
    refuse(stage, "CreateEndpoint", "ExpiredTokenException", count=1)
    stage.run_until(stage.started + timedelta(hours=10))
    stage.aws.restore_capacity(REGION, INF)
    stage.run_until(stage.started + timedelta(hours=12))
    assert stage.endpoint("chat").status == "running"


def test_another_endpoint_that_cannot_be_read_delays_nobody(stage: AwsStage) -> None:
    stage.add("private")
    stage.run(minutes=5)
    stage.schedule()
    stage.run_until(stage.started + timedelta(hours=7))
    assert stage.endpoint("chat").status == "paused"
    # It is read again for it is due for a sweep, and that is refused from now on.
    rule = faults.aws_error("AccessDeniedException", "not authorized")
    stage.world.faults.add(rule, path="/DescribeEndpoint$", probability=0.5)
    stage.run_until(stage.started + timedelta(hours=9))
    stage.world.faults.clear()
    stage.run_until(MONDAY + timedelta(hours=10))
    assert stage.endpoint("chat").status == "running"


def test_half_a_pause_of_a_component_does_not_keep_our_own_suspension(
    sqlite_database: Database,
) -> None:
    stage = open_aws_stage(sqlite_database, cadence=CALM)
    stage.add_component("vision")
    stage.run(minutes=5)
    stage.adopt("vision")
    before = suspended(stage)
    refuse(stage, "UpdateInferenceComponentRuntimeConfig", "ThrottlingException", count=1)
    stage.click("pause", "vision")
    stage.run(hours=1)
    assert stage.endpoint("vision").status == "paused"
    stage.click("resume", "vision")
    stage.run(minutes=20)
    assert suspended(stage) == before


def suspended(stage: AwsStage) -> list[Mapping[str, bool]]:
    found = stage.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")
    return [one.get("SuspendedState", {}) for one in found["ScalableTargets"]]


def test_tags_that_cannot_be_read_are_not_tags_that_are_gone(stage: AwsStage) -> None:
    stage.aws.deny(AWS_ACCOUNT, "sagemaker:ListTags", "tag:GetResources")
    stage.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="chat",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
    )
    stage.run(hours=1)
    row = stage.endpoint("chat")
    assert row.gaps == ["tags"]
    with stage.database.read() as session:
        labels = {label.key: label.value for label in labels_of(session, [row.id])[row.id]}
    assert labels["cloud:team"] == "search"


def test_what_was_left_behind_is_asked_for_until_it_is_told(stage: AwsStage) -> None:
    with stage.database.write() as session:
        account = session.get_one(Account, stage.account.id)
        assert account.recovered_at is not None
        account.recovered_at = None
    stage.world.faults.add(faults.error(500), path="/GetResources$")
    stage.run(minutes=10)
    with stage.database.read() as session:
        assert session.get_one(Account, stage.account.id).recovered_at is None
    stage.world.faults.clear()
    stage.run(minutes=10)
    with stage.database.read() as session:
        assert session.get_one(Account, stage.account.id).recovered_at is not None
