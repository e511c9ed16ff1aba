"""Making an endpoint again and putting back what its deletion took along."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CapacityError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.pausing import pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.sandbox.faults import (
    aws_error,
    drop_after,
)
from tests.providers.sm_cloud import ACCOUNT, REGION, SCALING, SmCloud
from tests.providers.sm_rich import (
    RESOURCE,
    WHERE,
    make_rich,
    paused,
    stored,
    truth,
)


@pytest.fixture
def cloud() -> SmCloud:
    made = SmCloud()
    make_rich(made)
    made.world.calls.clear()
    return made


class TestResume:
    """Making it again, through everything that may be in the way."""

    def test_while_it_is_being_deleted(self, cloud: SmCloud) -> None:
        kept = read_contract(cloud.desk, "demo").document
        pause(cloud.desk, "demo", kept)
        with pytest.raises(BusyError):
            resume(cloud.desk, "demo", kept)

    def test_already_there_is_success(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        assert resume(cloud.desk, "demo", kept)
        assert resume(cloud.desk, "demo", kept)
        cloud.wait()
        assert resume(cloud.desk, "demo", kept)
        assert cloud.operations().count("CreateEndpoint") == 1

    def test_nothing_kept_and_nothing_there(self, cloud: SmCloud) -> None:
        with pytest.raises(NotFoundError):
            resume(cloud.desk, "nobody", {})

    def test_without_quota_it_can_be_repeated(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 0)
        with pytest.raises(CapacityError):
            resume(cloud.desk, "demo", kept)
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 4)
        resume(cloud.desk, "demo", kept)
        assert cloud.status() == "Creating"

    def test_without_capacity_the_failed_one_goes_first(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        cloud.aws.exhaust_capacity(REGION, "ml.inf2.8xlarge")
        resume(cloud.desk, "demo", kept)
        cloud.wait(180)
        assert cloud.status() == "Failed"
        assert resume(cloud.desk, "demo", kept) is False
        cloud.wait()
        assert cloud.status() == "gone"
        cloud.aws.restore_capacity(REGION, "ml.inf2.8xlarge")
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        assert cloud.status() == "InService"

    def test_a_failed_one_of_which_nothing_is_kept_is_not_deleted(self, cloud: SmCloud) -> None:
        cloud.aws.force_status(ACCOUNT, REGION, "demo", "Failed")
        with pytest.raises(ConflictError):
            resume(cloud.desk, "demo", {})
        assert cloud.operations() == []

    def test_a_doubt(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        with cloud.fault(drop_after(), "CreateEndpoint"), pytest.raises(AmbiguousError):
            resume(cloud.desk, "demo", kept)
        assert resume(cloud.desk, "demo", kept)
        assert cloud.operations().count("CreateEndpoint") == 1

    def test_a_race_with_ourselves(self, cloud: SmCloud) -> None:
        """The first request arrives between our look and our second request."""
        kept = stored(paused(cloud))
        resume(cloud.desk, "demo", kept)
        words = 'Could not find endpoint "arn:aws:sagemaker:us-east-1:1:endpoint/demo".'
        with cloud.fault(aws_error("ValidationException", words), "DescribeEndpoint", nth=1):
            assert resume(cloud.desk, "demo", kept)

    def test_a_name_that_somebody_else_took(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        cloud.aws.add_endpoint(ACCOUNT, REGION, "Demo")
        with pytest.raises(ConflictError):
            resume(cloud.desk, "demo", kept)

    def test_a_configuration_that_somebody_replaced(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        config = cloud.call("DescribeEndpointConfig", EndpointConfigName="demo-config")
        cloud.call("DeleteEndpointConfig", EndpointConfigName="demo-config")
        cloud.call(
            "CreateEndpointConfig",
            EndpointConfigName="demo-config",
            ProductionVariants=config["ProductionVariants"],
        )
        with pytest.raises(RefusedError, match="replaced"):
            resume(cloud.desk, "demo", kept)

    def test_a_configuration_that_aws_does_not_see_yet(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        words = 'Could not find endpoint configuration "arn".'
        with (
            cloud.fault(aws_error("ValidationException", words), "CreateEndpoint"),
            pytest.raises(UnavailableError),
        ):
            resume(cloud.desk, "demo", kept)

    @pytest.mark.parametrize("damage", [{"version": 2}, {"endpoint": {}}, {"models": [{}]}])
    def test_a_document_that_cannot_be_used(self, cloud: SmCloud, damage: dict[str, Any]) -> None:
        kept = stored(paused(cloud)) | damage
        with pytest.raises(RefusedError, match="kept document"):
            resume(cloud.desk, "demo", kept)


class TestRestore:
    """Only what differs is put back, and what cannot be is told."""

    def test_not_before_it_serves(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        resume(cloud.desk, "demo", kept)
        with pytest.raises(BusyError):
            restore(cloud.desk, "demo", kept)

    def test_what_was_put_back_by_hand_is_left_alone(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        cloud.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="demo",
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 2}
            ],
        )
        cloud.wait()
        done = restore(cloud.desk, "demo", kept).done
        assert not any("counts" in line for line in done)
        assert f"autoscaling target {RESOURCE}" in done

    @pytest.mark.parametrize(
        "step",
        [
            "UpdateEndpointWeightsAndCapacities",
            "RegisterScalableTarget",
            "PutScalingPolicy",
            "PutScheduledAction",
            "DeleteTags",
        ],
    )
    def test_a_doubt_can_be_repeated(self, cloud: SmCloud, step: str) -> None:
        before = truth(cloud)
        kept = stored(paused(cloud))
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        with cloud.fault(drop_after(), step), pytest.raises(AmbiguousError):
            restore(cloud.desk, "demo", kept)
        cloud.wait()
        assert restore(cloud.desk, "demo", kept).differences == ()
        cloud.wait()
        assert truth(cloud) == before

    def test_a_scheduled_action_of_the_past_is_told(self, cloud: SmCloud) -> None:
        cloud.call(
            "PutScheduledAction",
            SCALING,
            **WHERE,
            ScheduledActionName="once",
            Schedule="at(2027-01-01T00:00:00)",
            ScalableTargetAction={"MinCapacity": 3},
        )
        kept = stored(paused(cloud))
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        words = "Schedule is in the past."
        with cloud.fault(aws_error("ValidationException", words), "PutScheduledAction", nth=2):
            found = restore(cloud.desk, "demo", kept)
        assert any("scheduled_actions" in line for line in found.differences)
        assert "scheduled action morning" in found.done

    def test_alarms_that_may_not_be_read_are_told(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        cloud.aws.deny(ACCOUNT, "cloudwatch:DescribeAlarms")
        (told,) = restore(cloud.desk, "demo", kept).differences
        assert told.startswith("alarms could not be read")

    def test_one_that_was_kept_after_it_failed(self, cloud: SmCloud) -> None:
        """Made again from what a failed endpoint told: neither weights nor counts are missed."""
        cloud.aws.force_status(ACCOUNT, REGION, "demo", "Failed")
        kept = stored(read_contract(cloud.desk, "demo").document) | {"variants": []}
        assert resume(cloud.desk, "demo", kept) is False
        cloud.wait()
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        assert restore(cloud.desk, "demo", kept).differences == ()
