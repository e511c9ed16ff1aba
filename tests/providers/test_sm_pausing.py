"""Pausing by deletion and making again, on the simulated AWS: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from orchestrator.domain.endpoints import JsonObject, Restored
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    ChangedError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    RefusedError,
)
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.pausing import is_marked, pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.sandbox.faults import (
    aws_error,
    drop_after,
    drop_before,
)
from tests.providers.sm_cloud import ACCOUNT, REGION, SCALING, SmCloud
from tests.providers.sm_rich import (
    WHERE,
    make_rich,
    paused,
    put_alarm,
    return_trip,
    stored,
    truth,
)


@pytest.fixture
def cloud() -> SmCloud:
    made = SmCloud()
    make_rich(made)
    made.world.calls.clear()
    return made


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
