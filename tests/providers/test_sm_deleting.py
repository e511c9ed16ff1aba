"""Deleting endpoints on the simulated AWS: all that is ours, nothing that is others'."""

from __future__ import annotations

import pytest

from orchestrator.domain.endpoints import EndpointChange, Scaling
from orchestrator.providers.base import AmbiguousError, BusyError
from orchestrator.providers.sagemaker import deleting
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.creating import create
from orchestrator.providers.sagemaker.deleting import delete
from orchestrator.providers.sagemaker.pausing import pause
from orchestrator.providers.sagemaker.updating import update
from orchestrator.sandbox.faults import drop_after
from tests.providers.sm_cloud import ACCOUNT, REGION, SmCloud, a_component, a_spec
from tests.providers.sm_rich import make_rich

OURS = {"Key": "endpoint-orchestrator:endpoint", "Value": "demo"}


@pytest.fixture
def cloud() -> SmCloud:
    return SmCloud()


def removed(cloud: SmCloud) -> None:
    """Delete as the engine does, again while it is busy."""
    for _ in range(6):
        try:
            delete(cloud.desk, "demo", {})
        except BusyError:
            cloud.wait(10)
            continue
        cloud.wait()
        return
    raise AssertionError("it stays busy")


class TestClassic:
    """Endpoint, configuration, model."""

    def test_all_that_we_made_goes(self, cloud: SmCloud) -> None:
        cloud.create(a_spec(scaling=Scaling(1, 3)))
        cloud.world.calls.clear()
        removed(cloud)
        assert cloud.made() == (0, 0, 0)
        assert cloud.operations() == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]

    def test_what_earlier_changes_left_goes_too(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        update(cloud.desk, "demo", EndpointChange(environment={"MODE": "b"}))
        cloud.wait()
        assert cloud.made() == (2, 2, 1)
        removed(cloud)
        assert cloud.made() == (0, 0, 0)

    def test_what_others_made_stays(self, cloud: SmCloud) -> None:
        make_rich(cloud)
        removed(cloud)
        assert cloud.made() == (1, 1, 0)

    def test_what_another_endpoint_uses_stays(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        name = cloud.endpoint()["EndpointConfigName"]
        cloud.call("CreateEndpoint", EndpointName="other", EndpointConfigName=name)
        cloud.wait()
        removed(cloud)
        assert cloud.made() == (1, 1, 1)

    def test_a_model_under_another_configuration_stays(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        rows = cloud.config()["ProductionVariants"]
        cloud.call("CreateEndpointConfig", EndpointConfigName="own", ProductionVariants=rows)
        cloud.call("CreateEndpoint", EndpointName="other", EndpointConfigName="own")
        cloud.wait()
        removed(cloud)
        assert cloud.made() == (1, 1, 1)

    def test_an_endpoint_whose_name_begins_the_same_is_another(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        cloud.create(a_spec(name="demo-2"))
        removed(cloud)
        assert cloud.made() == (1, 1, 1)
        assert cloud.status("demo-2") == "InService"

    def test_with_too_many_others_to_look_at_nothing_is_risked(
        self, cloud: SmCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cloud.create(a_spec())
        for name in ("a", "b"):
            cloud.aws.add_endpoint(ACCOUNT, REGION, name)
        cloud.world.calls.clear()
        monkeypatch.setattr(deleting, "_MOST_LOOKED_AT", 1)
        removed(cloud)
        assert cloud.status() == "gone"
        assert cloud.made() == (3, 3, 2)

    def test_what_is_older_is_not_looked_at(self, cloud: SmCloud) -> None:
        for number in range(3):
            cloud.aws.add_endpoint(ACCOUNT, REGION, f"old-{number}")
        cloud.wait()
        cloud.create(a_spec())
        cloud.world.calls.clear()
        removed(cloud)
        looked = cloud.operations(changes=False).count("DescribeEndpoint")
        assert looked == 1

    @pytest.mark.parametrize("step", ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"])
    def test_a_doubt_can_be_repeated(self, cloud: SmCloud, step: str) -> None:
        cloud.create(a_spec())
        with cloud.fault(drop_after(), step), pytest.raises(AmbiguousError):
            delete(cloud.desk, "demo", {})
        cloud.wait()
        delete(cloud.desk, "demo", {})
        assert cloud.made() == (0, 0, 0)

    def test_gone_already_is_success(self, cloud: SmCloud) -> None:
        delete(cloud.desk, "nobody", {})
        assert cloud.operations() == []

    def test_one_that_we_paused(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        kept = read_contract(cloud.desk, "demo").document
        pause(cloud.desk, "demo", kept)
        cloud.wait()
        delete(cloud.desk, "demo", kept)
        assert cloud.made() == (0, 0, 0)

    @pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
    def test_a_transition_is_waited_for(self, cloud: SmCloud, status: str) -> None:
        cloud.create(a_spec())
        cloud.aws.force_status(ACCOUNT, REGION, "demo", status)
        cloud.world.calls.clear()
        with pytest.raises(BusyError):
            delete(cloud.desk, "demo", {})
        assert cloud.operations() == []

    def test_a_failed_one_goes(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        cloud.aws.force_status(ACCOUNT, REGION, "demo", "Failed")
        removed(cloud)
        assert cloud.made() == (0, 0, 0)

    def test_deleting_by_others_is_success(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        cloud.call("DeleteEndpoint", EndpointName="demo")
        delete(cloud.desk, "demo", {})
        assert cloud.operations().count("DeleteEndpoint") == 0


class TestComponents:
    """Alarms, policies and targets, components, then the endpoint."""

    def test_the_order(self, cloud: SmCloud) -> None:
        cloud.create(a_component(), minutes=6)
        cloud.world.calls.clear()
        removed(cloud)
        assert cloud.operations() == [
            "DeleteAlarms",
            "DeleteScalingPolicy",
            "DeleteScalingPolicy",
            "DeregisterScalableTarget",
            "DeleteInferenceComponent",
            "DeleteEndpoint",
            "DeleteEndpointConfig",
            "DeleteModel",
        ]
        place = cloud.aws.place(ACCOUNT, REGION)
        assert cloud.made() == (0, 0, 0)
        assert (place.components, place.targets, place.policies, place.alarms) == ({}, {}, {}, {})

    @pytest.mark.parametrize(
        "step",
        [
            "DeleteAlarms",
            "DeleteScalingPolicy",
            "DeregisterScalableTarget",
            "DeleteInferenceComponent",
            "DeleteEndpoint",
        ],
    )
    def test_a_doubt_can_be_repeated(self, cloud: SmCloud, step: str) -> None:
        cloud.create(a_component(), minutes=6)
        with cloud.fault(drop_after(), step, count=1):
            for _ in range(3):
                try:
                    removed(cloud)
                except AmbiguousError:
                    cloud.wait()
        assert cloud.made() == (0, 0, 0)
        place = cloud.aws.place(ACCOUNT, REGION)
        assert (place.components, place.targets, place.policies, place.alarms) == ({}, {}, {}, {})

    def test_components_that_outlived_their_endpoint(self, cloud: SmCloud) -> None:
        cloud.create(a_component(), minutes=6)
        cloud.call("DeleteEndpoint", EndpointName="demo")
        cloud.wait()
        removed(cloud)
        assert cloud.aws.place(ACCOUNT, REGION).components == {}

    def test_half_made(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_component())
        cloud.wait()
        removed(cloud)
        assert cloud.made() == (0, 0, 0)
