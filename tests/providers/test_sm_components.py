"""Inference components on the simulated AWS: native pause, zero and wake, and their pitfalls."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.endpoints import JsonObject, Scaling
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    RefusedError,
)
from orchestrator.providers.sagemaker.components import components_to_zero
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.pausing import pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.sandbox.faults import drop_after
from tests.providers.sm_cloud import ACCOUNT, REGION, SCALING, SmCloud, a_component

UPDATE = "UpdateInferenceComponentRuntimeConfig"


@pytest.fixture
def cloud() -> SmCloud:
    made = SmCloud()
    # Quickly, for without requests it goes to zero by itself after a while.
    made.create(a_component(), minutes=6)
    assert copies(made) == 1
    made.world.calls.clear()
    return made


def component(cloud: SmCloud) -> dict[str, Any]:
    (found,) = cloud.desk.components("demo")
    return found


def copies(cloud: SmCloud) -> int:
    return int(component(cloud)["RuntimeConfig"]["DesiredCopyCount"])


def instances(cloud: SmCloud) -> int:
    (variant,) = cloud.endpoint()["ProductionVariants"]
    return int(variant["CurrentInstanceCount"])


def suspended(cloud: SmCloud) -> list[str]:
    """What is suspended of the component's target."""
    (target,) = cloud.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    state = target.get("SuspendedState") or {}
    return sorted(name for name, value in state.items() if value)


def kept(cloud: SmCloud) -> JsonObject:
    return read_contract(cloud.desk, "demo").document


class TestPause:
    """No copy, no instance, and nothing that brings them back."""

    def test_scale_out_is_suspended_before_the_copies_go(self, cloud: SmCloud) -> None:
        pause(cloud.desk, "demo", kept(cloud))
        assert cloud.operations() == ["RegisterScalableTarget", UPDATE]
        assert suspended(cloud) == ["DynamicScalingOutSuspended", "ScheduledScalingSuspended"]
        cloud.wait()
        assert (cloud.status(), copies(cloud), instances(cloud)) == ("InService", 0, 0)

    def test_again_changes_nothing(self, cloud: SmCloud) -> None:
        pause(cloud.desk, "demo", kept(cloud))
        cloud.wait()
        pause(cloud.desk, "demo", {})
        assert cloud.operations() == ["RegisterScalableTarget", UPDATE]

    @pytest.mark.parametrize("step", ["RegisterScalableTarget", UPDATE])
    def test_a_doubt_can_be_repeated(self, cloud: SmCloud, step: str) -> None:
        with cloud.fault(drop_after(), step), pytest.raises(AmbiguousError):
            pause(cloud.desk, "demo", kept(cloud))
        cloud.wait()
        pause(cloud.desk, "demo", {})
        cloud.wait()
        assert (copies(cloud), instances(cloud)) == (0, 0)

    def test_one_whose_instances_stay_is_refused(self, cloud: SmCloud) -> None:
        cloud.create(a_component(name="lasting", scaling=Scaling(1, 2)), minutes=6)
        contract = read_contract(cloud.desk, "lasting")
        assert any("save nothing" in line for line in contract.obstacles)
        with pytest.raises(RefusedError, match="at least 1"):
            pause(cloud.desk, "lasting", contract.document)
        with pytest.raises(RefusedError, match="at least 1"):
            components_to_zero(cloud.desk, "lasting")

    def test_while_a_component_moves(self, cloud: SmCloud) -> None:
        name = component(cloud)["InferenceComponentName"]
        cloud.call(UPDATE, InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": 2})
        with pytest.raises(BusyError):
            pause(cloud.desk, "demo", {})

    def test_the_contract_says_that_nothing_is_lost(self, cloud: SmCloud) -> None:
        contract = read_contract(cloud.desk, "demo")
        assert contract.document["kind"] == "components"
        assert contract.obstacles == ()
        assert contract.lost == ()
        name = component(cloud)["InferenceComponentName"]
        assert contract.document["components"] == [{"name": name, "copies": 1}]


class TestResume:
    """Copies come back as they were, and with them what was suspended."""

    def test_as_it_was(self, cloud: SmCloud) -> None:
        before = kept(cloud)
        pause(cloud.desk, "demo", before)
        cloud.wait()
        assert resume(cloud.desk, "demo", before)
        assert (copies(cloud), suspended(cloud)) == (1, [])
        cloud.wait(15)
        assert instances(cloud) == 1
        assert restore(cloud.desk, "demo", before).differences == ()

    def test_the_number_of_copies_is_kept(self, cloud: SmCloud) -> None:
        name = component(cloud)["InferenceComponentName"]
        cloud.call(UPDATE, InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": 2})
        cloud.wait(10)
        before = kept(cloud)
        pause(cloud.desk, "demo", before)
        cloud.wait()
        resume(cloud.desk, "demo", before)
        assert copies(cloud) == 2

    def test_what_was_suspended_before_stays_so(self, cloud: SmCloud) -> None:
        (target,) = cloud.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ]
        place = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        cloud.call(
            "RegisterScalableTarget",
            SCALING,
            **{name: target[name] for name in place},
            SuspendedState={"ScheduledScalingSuspended": True},
        )
        before = kept(cloud)
        pause(cloud.desk, "demo", before)
        cloud.wait()
        resume(cloud.desk, "demo", before)
        assert suspended(cloud) == ["ScheduledScalingSuspended"]

    def test_without_a_document_one_copy_and_nothing_suspended(self, cloud: SmCloud) -> None:
        pause(cloud.desk, "demo", {})
        cloud.wait()
        resume(cloud.desk, "demo", {})
        assert (copies(cloud), suspended(cloud)) == (1, [])

    def test_running_already_is_success(self, cloud: SmCloud) -> None:
        resume(cloud.desk, "demo", kept(cloud))
        assert cloud.operations() == []

    def test_a_doubt_can_be_repeated(self, cloud: SmCloud) -> None:
        before = kept(cloud)
        pause(cloud.desk, "demo", before)
        cloud.wait()
        with cloud.fault(drop_after(), UPDATE), pytest.raises(AmbiguousError):
            resume(cloud.desk, "demo", before)
        cloud.wait(10)
        resume(cloud.desk, "demo", before)
        assert (copies(cloud), suspended(cloud)) == (1, [])


class TestZero:
    """No copy until the next request."""

    def test_copies_go_and_the_way_back_stays_open(self, cloud: SmCloud) -> None:
        components_to_zero(cloud.desk, "demo")
        cloud.wait()
        assert (copies(cloud), instances(cloud), suspended(cloud)) == (0, 0, [])

    def test_one_that_nothing_wakes_is_refused(self, cloud: SmCloud) -> None:
        name = component(cloud)["InferenceComponentName"]
        cloud.call("DeleteAlarms", "cloudwatch", AlarmNames=[f"{name}-wake"])
        with pytest.raises(RefusedError, match="wake"):
            components_to_zero(cloud.desk, "demo")
        assert copies(cloud) == 1

    def test_from_a_pause(self, cloud: SmCloud) -> None:
        pause(cloud.desk, "demo", {})
        cloud.wait()
        components_to_zero(cloud.desk, "demo")
        assert (copies(cloud), suspended(cloud)) == (0, [])

    def test_a_classic_endpoint_cannot(self, cloud: SmCloud) -> None:
        cloud.aws.add_endpoint(ACCOUNT, REGION, "classic")
        with pytest.raises(RefusedError, match="components"):
            components_to_zero(cloud.desk, "classic")
