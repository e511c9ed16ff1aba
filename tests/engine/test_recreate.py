"""Endpoints that their cloud can only stop by deletion: the leave, the saga, and its deaths."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.services import deletion
from orchestrator.services.errors import ServiceError
from orchestrator.store.database import Database
from tests.support.aws_stage import AWS_ACCOUNT, GONE, REGION, AwsStage, open_aws_stage

INF = "ml.inf2.xlarge"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/chat/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {
    "PolicyName": "invocations",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    },
}


# Looked at less often than in life, for tests over hours.
BRISK = Cadence(
    rest=timedelta(minutes=4), transition=timedelta(seconds=50), rates=timedelta(days=1)
)
CALM = Cadence(
    rest=timedelta(minutes=10), transition=timedelta(seconds=50), rates=timedelta(days=1)
)


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    """Return one region of AWS, and one classic endpoint of ours in it."""
    return with_chat(open_aws_stage(sqlite_database, cadence=CALM))


def with_chat(stage: AwsStage) -> AwsStage:
    """Put an endpoint there and adopt it."""
    stage.add(
        "chat",
        tags={"team": "search"},
        volume_gb=64,
        instance_type="ml.inf2.8xlarge",
        startup_s=120,
    )
    stage.run(minutes=2)
    stage.adopt("chat")
    return stage


def settle(stage: AwsStage, hours: float = 1) -> None:
    stage.run(hours=hours)


class TestLeave:
    def test_it_is_found_and_only_observed(self, sqlite_database: Database) -> None:
        stage = open_aws_stage(sqlite_database, cadence=CALM)
        stage.add("chat")
        stage.run(minutes=5)
        row = stage.endpoint("chat")
        assert (row.status, row.managed, row.stop, row.to_zero) == (
            "running",
            False,
            "recreate",
            False,
        )
        assert stage.changes() == []

    def test_a_click_needs_the_owners_leave(self, stage: AwsStage) -> None:
        with pytest.raises(ServiceError) as caught:
            stage.click("pause", "chat")
        assert caught.value.code == "recreate_not_allowed"
        settle(stage)
        assert stage.changes() == []

    def test_a_rule_without_the_leave_is_refused_and_says_so_once(self, stage: AwsStage) -> None:
        stage.schedule()  # it is Monday 00:02, outside of the window
        settle(stage, hours=3)
        assert stage.changes() == []
        refusals = [event.message for event in stage.events("decision.refused")]
        assert len(refusals) == 1
        assert "has not allowed" in refusals[0]

    def test_a_leave_that_was_taken_back_stops_an_operation_asked_for_before(
        self, stage: AwsStage
    ) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        with stage.database.write() as session:
            stage.row(session, "chat").allow_recreate = False
        settle(stage)
        assert stage.changes() == []
        (operation,) = stage.operations("chat")
        assert operation.status == "failed"
        assert "has not allowed" in operation.outcome

    def test_what_cloudformation_made_needs_force(self, sqlite_database: Database) -> None:
        stage = open_aws_stage(sqlite_database, cadence=CALM)
        stage.add("chat")
        stage.aws.stamp(AWS_ACCOUNT, REGION, "chat", {"aws:cloudformation:stack-name": "search"})
        stage.run(minutes=2)
        stage.adopt("chat")
        with pytest.raises(ServiceError) as caught:
            stage.allow("chat")
        assert caught.value.code == "managed_elsewhere"
        stage.allow("chat", forced=True)
        stage.click("pause", "chat")
        settle(stage)
        assert stage.endpoint("chat").status == "paused"


class TestPauseAndResume:
    def test_working_days_under_office_hours(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.schedule()
        stage.run_until(stage.started + timedelta(days=2, hours=12))
        assert stage.changes() == ["chat delete"] + ["chat create", "chat delete"] * 2 + [
            "chat create"
        ]
        row = stage.endpoint("chat")
        assert (row.status, row.generation, row.kept, row.stop_sent_at) == ("running", 1, {}, None)
        assert {op.status for op in stage.operations("chat")} == {"succeeded"}
        assert stage.events("endpoint.deleted") == []

    def test_while_it_is_away_it_is_paused_and_costs_nothing(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        assert stage.state("chat") == GONE
        row = stage.endpoint("chat")
        assert (row.status, row.billed_high, row.deleted_at) == ("paused", 0, None)
        assert row.kept["digest"]
        assert row.stop_sent_at is not None
        settle(stage, hours=24)
        assert stage.endpoint("chat").status == "paused"
        assert stage.endpoint("chat").missing_since is None

    def test_it_comes_back_as_it_was(self, stage: AwsStage) -> None:
        stage.call(
            "RegisterScalableTarget",
            "application-autoscaling",
            MinCapacity=1,
            MaxCapacity=4,
            **TARGET,
        )
        stage.call("PutScalingPolicy", "application-autoscaling", **TARGET, **TRACKING)
        settle(stage)
        before = stage.call("DescribeEndpoint", EndpointName="chat")
        tags = stage.call("ListTags", ResourceArn=before["EndpointArn"])["Tags"]
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        assert (
            stage.call(
                "DescribeScalableTargets", "application-autoscaling", ServiceNamespace="sagemaker"
            )["ScalableTargets"]
            == []
        )
        stage.click("resume", "chat")
        settle(stage, hours=2)
        after = stage.call("DescribeEndpoint", EndpointName="chat")
        assert after["EndpointConfigName"] == before["EndpointConfigName"]
        assert after["EndpointArn"] == before["EndpointArn"]
        assert stage.call("ListTags", ResourceArn=after["EndpointArn"])["Tags"] == tags
        (target,) = stage.call(
            "DescribeScalableTargets", "application-autoscaling", ServiceNamespace="sagemaker"
        )["ScalableTargets"]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
        (policy,) = stage.call(
            "DescribeScalingPolicies", "application-autoscaling", ServiceNamespace="sagemaker"
        )["ScalingPolicies"]
        assert policy["PolicyName"] == "invocations"
        assert stage.endpoint("chat").max_replicas == 4

    def test_the_bill_lies_inside_the_ledger(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.schedule()
        stage.run_until(stage.started + timedelta(hours=32))
        billed = sum(line.nano_usd for line in stage.aws_bill())
        low, high = band(stage)
        assert low <= billed <= high
        assert billed > 0

    def test_the_disk_is_counted_apart(self, stage: AwsStage) -> None:
        settle(stage, hours=2)
        parts = {one.component for one in stage.intervals("chat")}
        assert parts == {"compute", "disk"}


def band(stage: AwsStage) -> tuple[int, int]:
    """Return the bounds of all that was metered, in nano-dollars."""
    low = high = 0
    for one in stage.intervals("chat"):
        end = one.ended_at or stage.clock.now()
        seconds = int((end - one.started_at).total_seconds())
        assert one.burn_low is not None
        assert one.burn_high is not None
        low += one.burn_low * seconds // 3600 - one.rounding_nano
        high += one.burn_high * seconds // 3600 + one.rounding_nano
    return low, high + len(stage.intervals("chat"))


CALLS = {"DeleteEndpoint": "pause", "AddTags": "pause", "CreateEndpoint": "resume"}


class TestDoubt:
    @pytest.mark.parametrize(
        "fault",
        [
            faults.timeout_after(),
            pytest.param(faults.drop_after(), marks=pytest.mark.soak),
            faults.error(503, after_commit=True),
            faults.timeout_before(),
            pytest.param(faults.drop_before(), marks=pytest.mark.soak),
            pytest.param(faults.error(500), marks=pytest.mark.soak),
        ],
    )
    @pytest.mark.parametrize("operation", CALLS)
    def test_a_call_in_doubt_is_settled_by_looking(
        self, stage: AwsStage, fault: faults.Fault, operation: str
    ) -> None:
        stage.allow("chat")
        # The first such call is the contract's, which finds out whether it would be allowed.
        rule = stage.world.faults.add(fault, path=f"/{operation}$", nth=2)
        stage.click("pause", "chat")
        settle(stage)
        stage.click("resume", "chat")
        settle(stage, hours=2)
        assert rule.seen >= 2
        assert stage.changes() == ["chat delete", "chat create"]
        assert stage.endpoint("chat").status == "running"
        assert stage.endpoint("chat").generation == 1
        (hit,) = [op for op in stage.operations("chat") if op.kind == CALLS[operation]]
        assert hit.attempts > 1

    @pytest.mark.parametrize("after", [False, True])
    def test_a_death_at_any_call_loses_nothing(
        self, sqlite_database: Database, *, after: bool
    ) -> None:
        """The process dies at the first, the second, … call of a pause and a resume."""
        stage = with_chat(open_aws_stage(sqlite_database, cadence=BRISK))
        stage.allow("chat")
        deaths = 0
        for place in range(2 * after, 44, 4):
            countdown = [place]

            def dies(request: httpx2.Request, countdown: list[int] = countdown) -> bool:
                del request
                countdown[0] -= 1
                return countdown[0] == -1

            if after:
                stage.wire.after = dies
            else:
                stage.wire.before = dies
            made = len(stage.changes())
            stage.click("pause", "chat")
            stage.run(minutes=12)
            assert stage.endpoint("chat").status == "paused", place
            stage.click("resume", "chat")
            stage.run(minutes=15)
            assert stage.endpoint("chat").status == "running", place
            assert stage.changes()[made:] == ["chat delete", "chat create"], place
            deaths += countdown[0] < 0
        assert stage.deaths >= deaths > 6
        assert stage.endpoint("chat").generation == 1


class TestCapacity:
    def test_no_capacity_waits_and_tells(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        stage.aws.exhaust_capacity(REGION, "ml.inf2.8xlarge")
        stage.click("resume", "chat")
        settle(stage, hours=1)
        assert stage.endpoint("chat").status in ("waiting_for_capacity", "initializing", "paused")
        assert stage.events("operation.waiting_for_capacity")
        (operation,) = [op for op in stage.operations("chat") if op.kind == "resume"]
        assert operation.status in ("running", "confirming")
        stage.aws.restore_capacity(REGION, "ml.inf2.8xlarge")
        settle(stage, hours=2)
        assert stage.endpoint("chat").status == "running"
        assert [op.status for op in stage.operations("chat")] == ["succeeded", "succeeded"]

    def test_no_quota_waits_as_well(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        stage.aws.set_quota(AWS_ACCOUNT, REGION, "ml.inf2.8xlarge", 0)
        stage.click("resume", "chat")
        settle(stage, hours=1)
        assert stage.endpoint("chat").status == "waiting_for_capacity"
        stage.aws.set_quota(AWS_ACCOUNT, REGION, "ml.inf2.8xlarge", 1)
        settle(stage, hours=2)
        assert stage.endpoint("chat").status == "running"

    def test_whoever_changes_their_mind_ends_the_wait(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        stage.aws.set_quota(AWS_ACCOUNT, REGION, "ml.inf2.8xlarge", 0)
        stage.click("resume", "chat")
        settle(stage, hours=1)
        stage.click("pause", "chat")
        settle(stage, hours=1)
        assert stage.endpoint("chat").status == "paused"
        stage.aws.set_quota(AWS_ACCOUNT, REGION, "ml.inf2.8xlarge", 1)
        settle(stage, hours=2)
        assert stage.endpoint("chat").status == "paused"


class TestOthers:
    def test_what_others_delete_is_gone_and_never_made_again(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.schedule()
        stage.run_until(stage.started + timedelta(hours=10))
        assert stage.endpoint("chat").status == "running"
        made = stage.changes()
        stage.call("DeleteEndpoint", EndpointName="chat")
        stage.run_until(stage.started + timedelta(days=2))
        assert stage.endpoint("chat").status == "deleted"
        assert stage.changes() == made

    def test_what_others_make_again_is_a_click(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        config = stage.kept("chat")["endpoint"]["EndpointConfigName"]
        stage.call("CreateEndpoint", EndpointName="chat", EndpointConfigName=config)
        settle(stage)
        row = stage.endpoint("chat")
        assert (row.status, row.generation, row.kept) == ("running", 1, {})
        assert "was not put back" in stage.events("endpoint.differs")[0].message

    def test_a_configuration_that_others_removed_is_made_again(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        config = stage.kept("chat")["endpoint"]["EndpointConfigName"]
        stage.call("DeleteEndpointConfig", EndpointConfigName=config)
        stage.click("resume", "chat")
        settle(stage, hours=2)
        assert stage.endpoint("chat").status == "running"

    def test_a_change_between_reading_and_deleting_is_noticed(self, stage: AwsStage) -> None:
        """Somebody tags it after its contract was stored: the contract is read again."""
        stage.allow("chat")
        arn = stage.call("DescribeEndpoint", EndpointName="chat")["EndpointArn"]
        tagged: list[int] = []

        def tag(request: httpx2.Request) -> bool:
            wanted = request.headers.get("x-amz-target", "").endswith("AddTags")
            if wanted and not tagged:
                tagged.append(1)
            return False

        stage.wire.before = tag
        stage.click("pause", "chat")
        stage.call("AddTags", ResourceArn=arn, Tags=[{"Key": "late", "Value": "yes"}])
        settle(stage)
        assert stage.endpoint("chat").status == "paused"
        assert stage.kept("chat")["tags"]["late"] == "yes"


class TestDeletion:
    def test_what_is_away_can_be_deleted_for_good(self, stage: AwsStage) -> None:
        stage.allow("chat")
        stage.click("pause", "chat")
        settle(stage)
        delete(stage)
        settle(stage)
        assert stage.endpoint("chat").status == "deleted"
        assert stage.endpoint("chat").kept == {}

    def test_a_deletion_waits_out_a_transition(self, stage: AwsStage) -> None:
        stage.aws.force_status(AWS_ACCOUNT, REGION, "chat", "SystemUpdating", seconds=1200)
        stage.run(minutes=2)
        delete(stage)
        stage.run(minutes=10)
        assert stage.state("chat") == "SystemUpdating"
        settle(stage)
        assert stage.endpoint("chat").status == "deleted"


def delete(stage: AwsStage) -> None:
    with stage.database.write() as session:
        deletion.request_delete(session, stage.row(session, "chat"), stage.asked(), confirm="chat")


class TestComponents:
    def test_an_inference_component_is_paused_and_resumed_natively(
        self, sqlite_database: Database
    ) -> None:
        stage = open_aws_stage(sqlite_database, cadence=CALM)
        stage.add_component("vision")
        stage.run(minutes=5)
        stage.adopt("vision")
        row = stage.endpoint("vision")
        assert (row.stop, row.to_zero, row.status) == ("pause", True, "running")
        stage.click("pause", "vision")
        settle(stage)
        assert stage.endpoint("vision").status == "paused"
        assert stage.endpoint("vision").billed_high == 0
        assert stage.state("vision") == "InService"
        stage.click("resume", "vision")
        stage.run(minutes=14)
        assert stage.endpoint("vision").status == "running"
        assert [op.status for op in stage.operations("vision")] == ["succeeded", "succeeded"]
        assert "vision delete" not in stage.changes()

    def test_it_may_go_to_zero(self, sqlite_database: Database) -> None:
        stage = open_aws_stage(sqlite_database, cadence=CALM)
        stage.add_component("vision")
        stage.run(minutes=5)
        stage.adopt("vision")
        stage.click("scale_to_zero", "vision")
        settle(stage)
        assert stage.endpoint("vision").status == "scaled_to_zero"
        assert stage.endpoint("vision").billed_high == 0


@pytest.mark.parametrize("creating", ["free", "instances", "wanted"])
def test_the_bill_of_starts_lies_inside_whatever_a_start_costs(
    sqlite_database: Database, creating: str
) -> None:
    switches = AwsSwitches(creating_billed=creating)  # type: ignore[arg-type]  # one of the literals
    stage = with_chat(open_aws_stage(sqlite_database, switches=switches, cadence=CALM))
    stage.allow("chat")
    for _ in range(3):
        stage.click("pause", "chat")
        settle(stage)
        stage.click("resume", "chat")
        settle(stage, hours=2)
    low, high = band(stage)
    assert low <= sum(line.nano_usd for line in stage.aws_bill()) <= high
