"""Pausing by deletion and making again, on the simulated AWS: whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from orchestrator.domain.endpoints import JsonObject, Restored
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CapacityError,
    ChangedError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.pausing import is_marked, pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.sandbox.faults import (
    aws_error,
    drop_after,
    drop_before,
    extra_field,
    unknown_state,
)
from tests.providers.sm_cloud import ACCOUNT, REGION, SCALING, SECRET, SmCloud
from tests.providers.sm_rich import RESOURCE, WHERE, make_rich, paused, put_alarm, truth


@pytest.fixture
def cloud() -> SmCloud:
    made = SmCloud()
    make_rich(made)
    made.world.calls.clear()
    return made


def stored(document: JsonObject) -> dict[str, Any]:
    """A document as the store gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


class TestWholeWay:
    """Pause, resume, restore: as it was before."""

    def test_it_comes_back_as_it_was(self, cloud: SmCloud) -> None:
        before = truth(cloud)
        kept = stored(paused(cloud))
        assert resume(cloud.desk, "demo", kept)
        cloud.wait()
        found = restore(cloud.desk, "demo", kept)
        cloud.wait()
        assert truth(cloud) == before
        assert found.differences == ()
        assert restore(cloud.desk, "demo", kept) == Restored()
        assert cloud.operations() == [
            "AddTags",
            "DeleteEndpoint",
            "CreateEndpoint",
            "UpdateEndpointWeightsAndCapacities",
            "RegisterScalableTarget",
            "PutScalingPolicy",
            "PutScalingPolicy",
            "PutScheduledAction",
            "DeleteTags",
        ]

    def test_it_can_be_paused_again(self, cloud: SmCloud) -> None:
        first = stored(paused(cloud))
        resume(cloud.desk, "demo", first)
        cloud.wait()
        restore(cloud.desk, "demo", first)
        cloud.wait()
        assert stored(paused(cloud)) == first

    def test_even_model_and_configuration_can_be_made_again(self, cloud: SmCloud) -> None:
        before = truth(cloud)
        kept = stored(paused(cloud))
        cloud.call("DeleteEndpointConfig", EndpointConfigName="demo-config")
        cloud.call("DeleteModel", ModelName="demo-model")
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        assert restore(cloud.desk, "demo", kept).differences == ()
        cloud.wait()
        assert truth(cloud) == before

    def test_the_mark_is_on_the_configuration_while_it_is_paused(self, cloud: SmCloud) -> None:
        kept = paused(cloud)
        (config,) = cloud.call("ListEndpointConfigs")["EndpointConfigs"]
        assert cloud.tags(config["EndpointConfigArn"]).items() >= {
            ("endpoint-orchestrator:paused", "demo"),
            ("endpoint-orchestrator:kept", kept["digest"]),
        }
        assert is_marked(cloud.desk, "demo", kept)

    def test_alarms_of_before_are_reported(self, cloud: SmCloud) -> None:
        old = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:resource/x:policyName/p"
        put_alarm(cloud, "demo-old", AlarmActions=[old])
        put_alarm(cloud, "demo-gone")
        kept = paused(cloud)
        assert kept["alarms"] == ["demo-gone", "demo-old", "demo-slow"]
        cloud.call("DeleteAlarms", "cloudwatch", AlarmNames=["demo-gone"])
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        differences = restore(cloud.desk, "demo", kept).differences
        assert any(line.startswith("alarm demo-gone is gone") for line in differences)
        assert any(line.startswith("alarm demo-old calls scaling") for line in differences)


def leaves(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a document at which something can be left out."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        if at or key != "digest":
            yield (*at, key)
        yield from leaves(item, (*at, key))


def without(document: JsonObject, path: tuple[str | int, ...]) -> dict[str, Any]:
    """A document with one thing left out."""
    changed: Any = deepcopy(stored(document))
    here = changed
    for key in path[:-1]:
        here = here[key]
    del here[path[-1]]
    assert isinstance(changed, dict)
    return changed


def return_trip(cloud: SmCloud, kept: JsonObject) -> tuple[Any, ...]:
    """Resume and restore with a document; what came of it, in the cloud and in words."""
    try:
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        differences = restored(cloud, kept)
    except RefusedError as error:
        return ("refused", str(error))
    cloud.wait()
    return truth(cloud), differences


def restored(cloud: SmCloud, kept: JsonObject) -> tuple[str, ...]:
    """Restore as the engine does, again while it is busy; return the differences."""
    for _ in range(3):
        try:
            return restore(cloud.desk, "demo", kept).differences
        except BusyError:
            cloud.wait()
    raise AssertionError("it stays busy")


class TestEveryFieldMatters:
    """A document that lacks anything gives another endpoint, or it is told."""

    def test_dropping_any_of_them_shows(self) -> None:
        cloud = SmCloud()
        make_rich(cloud)
        put_alarm(cloud, "demo-gone")
        before = truth(cloud)
        kept = paused(cloud)
        cloud.call("DeleteAlarms", "cloudwatch", AlarmNames=["demo-gone"])
        cloud.call("DeleteEndpointConfig", EndpointConfigName="demo-config")
        cloud.call("DeleteModel", ModelName="demo-model")
        saved = cloud.world.snapshot()
        whole = return_trip(cloud, stored(kept))
        assert whole == (before, ("alarm demo-gone is gone",))
        unnoticed = []
        for path in leaves(stored(kept)):
            cloud.rewind(saved)
            if return_trip(cloud, without(kept, path)) == whole:
                unnoticed.append(path)
        # An alarm that is still there and calls what is there needs no word.
        assert unnoticed == [("alarms", 1)]

    def test_the_document_has_all_that_there_is(self, cloud: SmCloud) -> None:
        kept = read_contract(cloud.desk, "demo").document
        assert len(list(leaves(stored(kept)))) > 80
        empty = [name for name, part in kept.items() if not part]
        assert empty == ["components"]


class TestPause:
    """Nothing is deleted unless everything is kept."""

    def test_without_a_document_nothing_is_done(self, cloud: SmCloud) -> None:
        with pytest.raises(RefusedError, match="contract"):
            pause(cloud.desk, "demo", {})
        assert cloud.operations() == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda cloud: cloud.call(
                "AddTags",
                ResourceArn=cloud.endpoint()["EndpointArn"],
                Tags=[{"Key": "new", "Value": "1"}],
            ),
            lambda cloud: cloud.call(
                "RegisterScalableTarget", SCALING, **WHERE, MinCapacity=2, MaxCapacity=9
            ),
            lambda cloud: cloud.call("DeleteScalingPolicy", SCALING, **WHERE, PolicyName="load"),
            lambda cloud: put_alarm(cloud, "another"),
        ],
    )
    def test_what_has_changed_since_is_seen(
        self, cloud: SmCloud, change: Callable[[SmCloud], object]
    ) -> None:
        kept = read_contract(cloud.desk, "demo").document
        change(cloud)
        cloud.world.calls.clear()
        with pytest.raises(ChangedError, match="was"):
            pause(cloud.desk, "demo", kept)
        assert cloud.operations() == []
        assert cloud.status() == "InService"

    @pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
    def test_a_transition_is_waited_for(self, cloud: SmCloud, status: str) -> None:
        kept = read_contract(cloud.desk, "demo").document
        cloud.aws.force_status(ACCOUNT, REGION, "demo", status)
        with pytest.raises(BusyError):
            pause(cloud.desk, "demo", kept)
        assert cloud.operations() == []

    def test_one_that_failed_may_be_paused(self, cloud: SmCloud) -> None:
        cloud.aws.force_status(ACCOUNT, REGION, "demo", "Failed", reason="it broke")
        contract = read_contract(cloud.desk, "demo")
        assert any("failed" in risk for risk in contract.risks)
        pause(cloud.desk, "demo", contract.document)
        cloud.wait()
        assert cloud.status() == "gone"

    def test_pausing_again_is_success(self, cloud: SmCloud) -> None:
        kept = read_contract(cloud.desk, "demo").document
        pause(cloud.desk, "demo", kept)
        assert cloud.status() == "Deleting"
        pause(cloud.desk, "demo", kept)
        cloud.wait()
        pause(cloud.desk, "demo", kept)
        assert cloud.operations() == ["AddTags", "DeleteEndpoint"]

    @pytest.mark.parametrize("step", ["AddTags", "DeleteEndpoint"])
    def test_after_a_doubt_it_goes_on(self, cloud: SmCloud, step: str) -> None:
        kept = read_contract(cloud.desk, "demo").document
        for fault in (drop_before(), drop_after()):
            with cloud.fault(fault, step), pytest.raises(AmbiguousError):
                pause(cloud.desk, "demo", kept)
        pause(cloud.desk, "demo", kept)
        cloud.wait()
        assert cloud.status() == "gone"
        assert is_marked(cloud.desk, "demo", kept)

    def test_busy_at_the_last_moment_can_be_repeated(self, cloud: SmCloud) -> None:
        kept = read_contract(cloud.desk, "demo").document
        words = 'Cannot update in-progress endpoint "arn".'
        with (
            cloud.fault(aws_error("ValidationException", words), "DeleteEndpoint"),
            pytest.raises(BusyError),
        ):
            pause(cloud.desk, "demo", kept)
        pause(cloud.desk, "demo", kept)
        cloud.wait()
        assert cloud.status() == "gone"

    def test_gone_at_the_last_moment_is_success(self, cloud: SmCloud) -> None:
        kept = read_contract(cloud.desk, "demo").document
        words = 'Could not find endpoint "arn".'
        with cloud.fault(aws_error("ValidationException", words), "DeleteEndpoint"):
            pause(cloud.desk, "demo", kept)

    def test_one_that_others_deleted_was_not_paused(self, cloud: SmCloud) -> None:
        kept = read_contract(cloud.desk, "demo").document
        cloud.call("DeleteEndpoint", EndpointName="demo")
        with pytest.raises(ConflictError, match="not by a pause"):
            pause(cloud.desk, "demo", kept)
        cloud.wait()
        with pytest.raises(NotFoundError):
            pause(cloud.desk, "demo", kept)

    @pytest.mark.parametrize(
        ("right", "left"),
        [("sagemaker:DescribeModel", "InService"), ("sagemaker:AddTags", "InService")],
    )
    def test_a_right_that_is_missing_stops_it_before_the_deletion(
        self, cloud: SmCloud, right: str, left: str
    ) -> None:
        kept = read_contract(cloud.desk, "demo").document
        cloud.aws.deny(ACCOUNT, right)
        with pytest.raises(CredentialsError, match=right.partition(":")[2]):
            pause(cloud.desk, "demo", kept)
        assert cloud.status() == left


class TestObstacles:
    """What forbids a pause is in the contract, and the pause itself refuses it too."""

    @staticmethod
    def obstacle(cloud: SmCloud, words: str) -> None:
        contract = read_contract(cloud.desk, "demo")
        assert any(words in line for line in contract.obstacles), contract.obstacles
        with pytest.raises(RefusedError, match="cannot be paused"):
            pause(cloud.desk, "demo", contract.document)
        assert cloud.status() != "gone"

    def test_a_configuration_that_is_gone(self, cloud: SmCloud) -> None:
        cloud.call("DeleteEndpointConfig", EndpointConfigName="demo-config")
        self.obstacle(cloud, "configuration demo-config is gone")

    def test_a_model_that_is_gone(self, cloud: SmCloud) -> None:
        cloud.call("DeleteModel", ModelName="demo-model")
        self.obstacle(cloud, "model demo-model is gone")

    def test_an_unknown_state(self, cloud: SmCloud) -> None:
        with cloud.fault(unknown_state("Hibernating"), "DescribeEndpoint"):
            self.obstacle(cloud, "Hibernating")

    @pytest.mark.parametrize(
        ("operation", "field"),
        [
            ("DescribeEndpoint", "TrafficMirror"),
            ("DescribeEndpointConfig", "TrafficMirror"),
            ("DescribeEndpointConfig", "DataCaptureConfig.NewOption"),
            ("DescribeModel", "TrafficMirror"),
            ("DescribeModel", "PrimaryContainer.NewOption"),
        ],
    )
    def test_fields_that_nobody_knows(self, cloud: SmCloud, operation: str, field: str) -> None:
        with cloud.fault(extra_field(field), operation):
            self.obstacle(cloud, field)

    @pytest.mark.parametrize(
        "right",
        [
            "sagemaker:AddTags",
            "sagemaker:DeleteEndpoint",
            "sagemaker:CreateEndpoint",
            "sagemaker:DeleteTags",
            "sagemaker:UpdateEndpointWeightsAndCapacities",
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:PutScheduledAction",
        ],
    )
    def test_a_right_that_the_way_back_needs(self, cloud: SmCloud, right: str) -> None:
        cloud.aws.deny(ACCOUNT, right)
        assert any(right in line for line in read_contract(cloud.desk, "demo").obstacles)
        assert cloud.operations() == []

    def test_it_is_read_twice(self, cloud: SmCloud) -> None:
        with cloud.fault(
            aws_error("ValidationException", "Could not find x"), "DescribeModel", nth=2
        ):
            contract = read_contract(cloud.desk, "demo")
        assert "it changed while it was read: try again" in contract.obstacles

    def test_several_variants_are_only_observed(self, cloud: SmCloud) -> None:
        (variant,) = cloud.config()["ProductionVariants"]
        cloud.call(
            "CreateEndpointConfig",
            EndpointConfigName="two",
            ProductionVariants=[variant, variant | {"VariantName": "other"}],
        )
        cloud.call("CreateEndpoint", EndpointName="two", EndpointConfigName="two")
        cloud.wait()
        assert any("2 variants" in line for line in read_contract(cloud.desk, "two").obstacles)

    def test_other_tools_are_named(self, cloud: SmCloud) -> None:
        cloud.aws.add_endpoint(
            ACCOUNT,
            REGION,
            "stacked",
            tags={"managed-by": "Terraform", "team": "a"},
        )
        made = cloud.aws.endpoint(ACCOUNT, REGION, "stacked")
        made.tags["aws:cloudformation:stack-name"] = "prod"
        contract = read_contract(cloud.desk, "stacked")
        assert len(contract.foreign) == 2
        assert contract.obstacles == ()
        assert set(contract.document["tags"]) == {"managed-by", "team"}

    def test_reading_it_changes_nothing(self, cloud: SmCloud) -> None:
        before = truth(cloud)
        contract = read_contract(cloud.desk, "demo")
        assert cloud.operations() == []
        assert truth(cloud) == before
        assert contract.alarms == ("demo-slow",)
        assert "2 x ml.inf2.8xlarge" in contract.quota
        assert contract.minutes_to_return
        assert contract.kept
        assert contract.lost
        assert contract.risks

    def test_nobody_there(self, cloud: SmCloud) -> None:
        with pytest.raises(NotFoundError):
            read_contract(cloud.desk, "nobody")


class TestSecrets:
    """Values of secrets are nowhere but in the cloud."""

    @pytest.fixture
    def cloud(self) -> SmCloud:
        made = SmCloud()
        make_rich(made, secret=True)
        return made

    def test_none_in_the_document(self, cloud: SmCloud) -> None:
        contract = read_contract(cloud.desk, "demo")
        assert SECRET not in repr(contract)
        environment = contract.document["models"][0]["PrimaryContainer"]["Environment"]
        assert environment["API_KEY"].startswith("redacted:")
        assert environment["HF_NUM_CORES"] == "2"

    def test_it_comes_back_with_the_model_that_stayed(self, cloud: SmCloud) -> None:
        before = truth(cloud)
        kept = stored(paused(cloud))
        assert isinstance(return_trip(cloud, kept)[0], dict)
        assert truth(cloud) == before

    def test_a_model_that_was_deleted_cannot_be_made_again(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        cloud.call("DeleteModel", ModelName="demo-model")
        with pytest.raises(RefusedError, match=r"API_KEY.*create a model of this name"):
            resume(cloud.desk, "demo", kept)
        assert cloud.status() == "gone"

    def test_a_secret_that_was_changed_is_seen(self, cloud: SmCloud) -> None:
        kept = stored(paused(cloud))
        model = cloud.call("DescribeModel", ModelName="demo-model")
        cloud.call("DeleteModel", ModelName="demo-model")
        container = deepcopy(model["PrimaryContainer"])
        container["Environment"]["API_KEY"] = "another-secret"
        cloud.call(
            "CreateModel",
            ModelName="demo-model",
            PrimaryContainer=container,
            ExecutionRoleArn=model["ExecutionRoleArn"],
        )
        with pytest.raises(RefusedError, match="replaced"):
            resume(cloud.desk, "demo", kept)


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
