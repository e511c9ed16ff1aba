"""An endpoint for inference components as a Snapshot: copies, instances, what wakes it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.endpoints import NOT_BILLED, Scaling, Stop
from orchestrator.domain.status import Status
from tests.providers.aws_wire import invalid, refusal
from tests.providers.sm_scene import HOST, IMAGE, PASSWORD, TARGET, WAKE, Scene
from tests.providers.sm_world import SmWorld


@pytest.fixture
def scene() -> Scene:
    return Scene()


class TestComponents:
    @pytest.mark.parametrize(
        ("desired", "current", "instances", "status"),
        [
            (2, 2, 1, Status.RUNNING),
            (2, 1, 1, Status.RUNNING),
            (1, 0, 0, Status.INITIALIZING),
            (1, 0, 1, Status.INITIALIZING),
            (0, 1, 1, Status.PAUSING),
            (0, 0, 1, Status.PAUSING),
            (0, 0, 0, Status.SCALED_TO_ZERO),
        ],
    )
    def test_copies_and_instances_tell_the_state(
        self, scene: Scene, desired: int, current: int, instances: int, status: Status
    ) -> None:
        scene.host(desired, current, instances)
        found = scene.seen()
        assert found.status is status
        assert (found.ready_replicas, found.target_replicas) == (current, desired)
        assert found.billed.expected == instances

    def test_it_is_paused_where_nothing_wakes_it(self, scene: Scene) -> None:
        scene.host(0, 0, 0)
        suspended = {"DynamicScalingOutSuspended": True}
        scene.targets = [{**TARGET, "SuspendedState": suspended}]
        found = scene.seen()
        assert (found.status, found.to_zero) == (Status.PAUSED, False)
        scene.targets = [{**TARGET, "MaxCapacity": 0}]
        assert scene.seen().status is Status.PAUSED
        scene.targets, scene.policies = [], []
        assert scene.seen().status is Status.PAUSED
        scene.targets, scene.policies = [TARGET], [{**WAKE, "PolicyType": "TargetTrackingScaling"}]
        assert scene.seen().status is Status.PAUSED

    def test_a_policy_that_names_no_alarm_is_asked_for(self, scene: Scene) -> None:
        scene.host(0, 0, 0)
        scene.policies = [{**WAKE, "Alarms": [], "PolicyARN": "arn:policy"}]
        scene.on("monitoring:DescribeAlarms", {"MetricAlarms": [{"AlarmName": "a"}]})
        assert scene.seen().status is Status.SCALED_TO_ZERO
        scene.on("monitoring:DescribeAlarms", {"MetricAlarms": []})
        assert scene.seen().status is Status.PAUSED

    def test_what_it_is(self, scene: Scene) -> None:
        scene.host()
        found = scene.seen()
        assert (found.stop, found.to_zero, found.restless) == (Stop.PAUSE, True, True)
        assert found.scaling == Scaling(0, 4)
        assert found.repository == "meta/llama-70b"
        assert found.spec["kind"] == "components"
        assert found.spec["components"] == ["part"]
        assert (found.spec["min_memory_mb"], found.spec["accelerators"]) == (1024, 1)

    def test_a_minimum_of_instances_stays_and_is_billed(self, scene: Scene) -> None:
        scene.host(0, 0, 1)
        managed = {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 3}
        scene.config["ProductionVariants"] = [{**HOST, "ManagedInstanceScaling": managed}]
        found = scene.seen()
        assert (found.status, found.stop) == (Status.SCALED_TO_ZERO, Stop.NONE)
        assert found.billed.expected == 1
        assert "stay" in found.message

    def test_the_idle_timer_is_the_tracking_policy(self, scene: Scene) -> None:
        scene.host()
        tracking: dict[str, Any] = {"TargetValue": 5.0}
        policy = {
            "ResourceId": "inference-component/part",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": tracking,
        }
        scene.policies = [WAKE, policy]
        assert scene.seen().scaling == Scaling(0, 4, 15, None, "5")
        tracking["DisableScaleIn"] = True
        assert scene.seen().scaling == Scaling(0, 4, None, None, "5")

    def test_without_targets_the_instances_bound_it(self, scene: Scene) -> None:
        scene.host()
        scene.targets, scene.policies = [], []
        assert scene.seen().scaling == Scaling(0, 3)

    @pytest.mark.parametrize(
        ("reason", "status"),
        [
            ("the container died", Status.FAILED),
            (
                "There is not enough hardware resources on the instances",
                Status.WAITING_FOR_CAPACITY,
            ),
        ],
    )
    def test_a_failed_component(self, scene: Scene, reason: str, status: Status) -> None:
        scene.host(1, 0, 1)
        scene.components[0] |= {"InferenceComponentStatus": "Failed", "FailureReason": reason}
        found = scene.seen()
        assert found.status is status
        assert reason in found.message

    def test_one_that_is_being_made_initializes(self, scene: Scene) -> None:
        scene.host()
        scene.components, scene.targets, scene.policies = [], [], []
        scene.tags = {"endpoint-orchestrator:unfinished": "inference component"}
        assert scene.seen().status is Status.INITIALIZING
        scene.tags = {}
        assert scene.seen().status is Status.PAUSING

    def test_components_that_may_not_be_read_leave_its_own_state(self, scene: Scene) -> None:
        scene.host(0, 0, 1)
        scene.on("ListInferenceComponents", refusal("AccessDeniedException"))
        found = scene.seen()
        assert (found.status, found.to_zero) == (Status.RUNNING, False)
        assert (found.ready_replicas, found.billed.expected) == (1, 1)
        assert "components: not allowed to read" in found.gaps

    def test_a_component_that_went_meanwhile_is_left_out(self, scene: Scene) -> None:
        scene.host()
        scene.on("DescribeInferenceComponent", invalid('Could not find inference component "p".'))
        found = scene.seen()
        assert found.target_replicas == 0
        assert found.spec.get("components") is None

    def test_its_own_container_tells_what_it_serves(self, scene: Scene) -> None:
        scene.host()
        container = {
            "DeployedImage": {"SpecifiedImage": IMAGE},
            "Environment": {"SM_ON_MODEL": "org/own", "API_KEY": PASSWORD},
        }
        scene.components[0]["Specification"] = {"Container": container}
        found = scene.seen()
        assert (found.repository, found.engine) == ("org/own", "vllm-neuronx")
        assert PASSWORD not in repr(found)


class TestOnTheCloud:
    def test_a_component_falls_asleep(self) -> None:
        world = SmWorld()
        world.add_component("lab")
        assert world.seen("lab").status is Status.RUNNING
        world.wait(minutes=17)
        asleep = world.seen("lab")
        assert (asleep.status, asleep.billed.expected) == (Status.PAUSING, 1)
        world.wait(minutes=20)
        assert world.seen("lab").status is Status.SCALED_TO_ZERO
        assert world.seen("lab").billed == NOT_BILLED
