"""Changing endpoints on the simulated AWS: only what was asked for, by the cheapest calls."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.endpoints import EndpointChange, Scaling
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
)
from orchestrator.providers.sagemaker.updating import update
from orchestrator.sandbox.faults import aws_error, drop_after
from tests.providers.sm_cloud import (
    ACCOUNT,
    INF2,
    REGION,
    REGISTRY,
    SCALING,
    SECRET,
    SmCloud,
    a_component,
    a_spec,
)
from tests.providers.sm_rich import make_rich, truth

SMALLER = "ml.inf2.xlarge"
RANGE = Scaling(1, 3)
NEW_MODEL = ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]


@pytest.fixture
def cloud() -> SmCloud:
    made = SmCloud()
    made.create(a_spec())
    made.world.calls.clear()
    return made


def change(cloud: SmCloud, name: str = "demo", **changes: Any) -> list[str]:
    """Apply a change, wait, and return the operations that it took."""
    cloud.world.calls.clear()
    update(cloud.desk, name, EndpointChange(**changes))
    cloud.wait()
    return cloud.operations()


def environment(cloud: SmCloud) -> dict[str, str]:
    found: dict[str, str] = cloud.model()["PrimaryContainer"]["Environment"]
    return found


def variant(cloud: SmCloud) -> dict[str, Any]:
    found: dict[str, Any] = cloud.config()["ProductionVariants"][0]
    return found


def counts(cloud: SmCloud) -> int:
    return int(cloud.endpoint()["ProductionVariants"][0]["DesiredInstanceCount"])


def bounds(cloud: SmCloud) -> list[tuple[int, int]]:
    rows = cloud.call("DescribeScalableTargets", SCALING, ServiceNamespace="sagemaker")
    return [(row["MinCapacity"], row["MaxCapacity"]) for row in rows["ScalableTargets"]]


class TestModel:
    """What is in the container: a new model, a new configuration, the same endpoint."""

    def test_the_environment_is_replaced_and_secrets_stay(self, cloud: SmCloud) -> None:
        assert change(cloud, environment={"HF_NUM_CORES": "2", "MODE": "b"}) == NEW_MODEL
        assert environment(cloud) == {
            "HF_MODEL_ID": "org/model-1b",
            "HF_NUM_CORES": "2",
            "MODE": "b",
            "API_KEY": SECRET,
        }

    def test_secrets_are_replaced_and_the_environment_stays(self, cloud: SmCloud) -> None:
        before = environment(cloud)
        assert change(cloud, secrets={"OTHER": "new-secret-value"}) == NEW_MODEL
        del before["API_KEY"]
        assert environment(cloud) == before | {"OTHER": "new-secret-value"}
        assert change(cloud, environment={}) == NEW_MODEL
        assert environment(cloud)["OTHER"] == "new-secret-value"

    def test_a_marker_is_never_sent(self, cloud: SmCloud) -> None:
        with pytest.raises(RefusedError, match=r"environment\.API_KEY"):
            change(cloud, secrets={"API_KEY": "redacted:0123"})
        assert cloud.operations() == []

    def test_another_model_of_the_hub(self, cloud: SmCloud) -> None:
        change(cloud, repository="org/model-2b", revision="v2")
        assert environment(cloud)["HF_MODEL_ID"] == "org/model-2b"
        assert environment(cloud)["HF_MODEL_REVISION"] == "v2"
        assert environment(cloud)["MAX_BATCH_SIZE"] == "4"

    def test_another_image_of_the_same_dialect(self, cloud: SmCloud) -> None:
        before = environment(cloud)
        uri = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.7.0-optimum3.3.6-neuronx-py310"
        change(cloud, image={"uri": uri})
        assert cloud.model()["PrimaryContainer"]["Image"] == uri
        assert environment(cloud) == before

    def test_another_dialect_names_the_model_its_own_way(self, cloud: SmCloud) -> None:
        uri = f"{REGISTRY}/huggingface-vllm-inference-neuronx:0.11.0-optimum0.4.4-neuronx-py310"
        ami = {"ami_version": "al2-ami-sagemaker-inference-neuron-2"}
        change(cloud, image={"uri": uri}, environment={"SM_ON_BATCH_SIZE": "4"}, options=ami)
        assert environment(cloud) == {
            "SM_ON_MODEL": "org/model-1b",
            "SM_ON_BATCH_SIZE": "4",
            "API_KEY": SECRET,
        }
        assert variant(cloud)["InferenceAmiVersion"] == ami["ami_version"]

    def test_weights_move_to_s3(self, cloud: SmCloud) -> None:
        change(cloud, options={"model_data": "s3://bucket/model.tar.gz"})
        container = cloud.model()["PrimaryContainer"]
        assert container["ModelDataUrl"] == "s3://bucket/model.tar.gz"

    def test_the_same_again_changes_nothing(self, cloud: SmCloud) -> None:
        before = truth(cloud)
        assert change(cloud, repository="org/model-1b") == []
        assert truth(cloud) == before

    @pytest.mark.parametrize("step", NEW_MODEL)
    def test_a_doubt_can_be_repeated(self, cloud: SmCloud, step: str) -> None:
        wanted = EndpointChange(environment={"MODE": "b"})
        with cloud.fault(drop_after(), step), pytest.raises(AmbiguousError):
            update(cloud.desk, "demo", wanted)
        cloud.wait()
        update(cloud.desk, "demo", wanted)
        cloud.wait()
        assert environment(cloud)["MODE"] == "b"
        assert cloud.made() == (2, 2, 1)

    def test_no_secret_in_an_error(self, cloud: SmCloud) -> None:
        with (
            cloud.fault(aws_error("ValidationException", f"bad {SECRET}"), "CreateModel"),
            pytest.raises(RefusedError) as caught,
        ):
            update(cloud.desk, "demo", EndpointChange(environment={"MODE": "b"}))
        assert SECRET not in repr(caught.value)


class TestConfiguration:
    """What a variant is made of: a new configuration alone."""

    def test_hardware(self, cloud: SmCloud) -> None:
        smaller = INF2.__class__("sagemaker", REGION, SMALLER, "x1")
        assert change(cloud, hardware=smaller) == ["CreateEndpointConfig", "UpdateEndpoint"]
        assert variant(cloud)["InstanceType"] == SMALLER

    def test_options(self, cloud: SmCloud) -> None:
        change(cloud, options={"volume_gb": 400, "health_check_timeout_s": 900})
        assert variant(cloud)["VolumeSizeInGB"] == 400
        assert variant(cloud)["ContainerStartupHealthCheckTimeoutInSeconds"] == 900

    def test_all_else_is_carried_over(self) -> None:
        cloud = SmCloud()
        make_rich(cloud)
        before = cloud.config()
        change(cloud, options={"volume_gb": 400})
        after = cloud.config()
        assert variant(cloud) == before["ProductionVariants"][0] | {"VolumeSizeInGB": 400}
        for name in ("DataCaptureConfig", "KmsKeyId"):
            assert after[name] == before[name]

    def test_counts_and_weights_that_were_changed_since_stay(self) -> None:
        cloud = SmCloud()
        make_rich(cloud)
        before = truth(cloud)
        change(cloud, options={"volume_gb": 400})
        after = truth(cloud)
        for name in ("counts", "targets", "policies", "actions"):
            assert after[name] == before[name]

    def test_an_autoscaled_one_keeps_its_type(self) -> None:
        cloud = SmCloud()
        make_rich(cloud)
        smaller = INF2.__class__("sagemaker", REGION, SMALLER, "x1")
        with pytest.raises(RefusedError, match="others made: deregister that scalable target"):
            change(cloud, hardware=smaller)
        assert cloud.operations() == []

    def test_one_scaled_by_us_alone_is_told_to_fix_its_count(self, cloud: SmCloud) -> None:
        change(cloud, scaling=RANGE)
        smaller = INF2.__class__("sagemaker", REGION, SMALLER, "x1")
        with pytest.raises(RefusedError, match="max_replicas to min_replicas"):
            change(cloud, hardware=smaller)
        assert cloud.operations() == []
        assert change(cloud, hardware=INF2, environment={"MODE": "b"}) == NEW_MODEL

    def test_hardware_with_a_new_count(self, cloud: SmCloud) -> None:
        smaller = INF2.__class__("sagemaker", REGION, SMALLER, "x1")
        done = change(cloud, hardware=smaller, scaling=Scaling(2, 2))
        assert done == ["CreateEndpointConfig", "UpdateEndpoint"]
        assert counts(cloud) == 2


class TestScaling:
    """Bounds by autoscaling, a fixed number by the one call for counts."""

    def test_a_fixed_number(self, cloud: SmCloud) -> None:
        assert change(cloud, scaling=Scaling(2, 2)) == ["UpdateEndpointWeightsAndCapacities"]
        assert counts(cloud) == 2
        assert change(cloud, scaling=Scaling(2, 2)) == []

    def test_a_range_and_back(self, cloud: SmCloud) -> None:
        assert change(cloud, scaling=RANGE) == ["RegisterScalableTarget", "PutScalingPolicy"]
        assert bounds(cloud) == [(1, 3)]
        assert change(cloud, scaling=Scaling(1, 5)) == ["RegisterScalableTarget"]
        assert bounds(cloud) == [(1, 5)]
        assert change(cloud, scaling=Scaling(1, 1)) == ["DeregisterScalableTarget"]
        assert bounds(cloud) == []

    def test_the_autoscaling_of_others_only_gets_new_bounds(self) -> None:
        cloud = SmCloud()
        make_rich(cloud)
        before = truth(cloud)
        assert change(cloud, scaling=Scaling(2, 2)) == ["RegisterScalableTarget"]
        after = truth(cloud)
        assert bounds(cloud) == [(2, 2)]
        assert (after["policies"], after["actions"]) == (before["policies"], before["actions"])
        assert after["targets"][0]["SuspendedState"] == before["targets"][0]["SuspendedState"]

    def test_a_doubt_between_target_and_policy(self, cloud: SmCloud) -> None:
        with cloud.fault(drop_after(), "RegisterScalableTarget"), pytest.raises(AmbiguousError):
            update(cloud.desk, "demo", EndpointChange(scaling=RANGE))
        assert "PutScalingPolicy" in change(cloud, scaling=RANGE)


class TestTags:
    """Those of people, as they were asked for; AWS's own and ours stay."""

    def test_they_are_replaced(self, cloud: SmCloud) -> None:
        made = cloud.aws.endpoint(ACCOUNT, REGION, "demo")
        made.tags["aws:cloudformation:stack-name"] = "prod"
        assert change(cloud, tags=("stage=prod", "flag")) == ["AddTags", "DeleteTags"]
        assert cloud.tags(cloud.endpoint()["EndpointArn"]) == {
            "aws:cloudformation:stack-name": "prod",
            "endpoint-orchestrator:endpoint": "demo",
            "stage": "prod",
            "flag": "",
        }

    def test_the_same_tags_are_no_call(self, cloud: SmCloud) -> None:
        assert change(cloud, tags=("team=search",)) == []

    def test_they_can_be_changed_while_it_moves(self, cloud: SmCloud) -> None:
        cloud.aws.force_status(ACCOUNT, REGION, "demo", "Updating")
        assert change(cloud, tags=("team=search", "a=b")) == ["AddTags"]


class TestComponents:
    """The model is the component's, the machines are the endpoint's."""

    @pytest.fixture
    def cloud(self) -> SmCloud:
        made = SmCloud()
        made.create(a_component(scaling=Scaling(1, 2)), minutes=6)
        return made

    def test_a_new_model_goes_to_the_component(self, cloud: SmCloud) -> None:
        done = change(cloud, environment={"HF_NUM_CORES": "2", "MODE": "b"})
        assert done == ["CreateModel", "UpdateInferenceComponent"]
        (component,) = cloud.desk.components("demo")
        model = cloud.call("DescribeModel", ModelName=component["Specification"]["ModelName"])
        assert model["PrimaryContainer"]["Environment"]["MODE"] == "b"
        assert model["PrimaryContainer"]["Environment"]["API_KEY"] == SECRET
        needs = component["Specification"]["ComputeResourceRequirements"]
        assert needs["MinMemoryRequiredInMb"] == 1024

    def test_bounds_are_those_of_copies_and_of_instances(self, cloud: SmCloud) -> None:
        change(cloud, scaling=Scaling(1, 4))
        assert variant(cloud)["ManagedInstanceScaling"]["MaxInstanceCount"] == 4
        assert bounds(cloud) == [(1, 4)]

    def test_it_learns_to_go_to_zero(self, cloud: SmCloud) -> None:
        done = change(cloud, scaling=Scaling(0, 2, 15))
        assert "PutMetricAlarm" in done
        assert variant(cloud)["ManagedInstanceScaling"]["MinInstanceCount"] == 0
        assert bounds(cloud) == [(0, 2)]

    def test_needs_and_times_are_the_components(self, cloud: SmCloud) -> None:
        options = {"min_memory_mb": 2048, "health_check_timeout_s": 900}
        assert change(cloud, options=options) == ["UpdateInferenceComponent"]
        (component,) = cloud.desk.components("demo")
        specification = component["Specification"]
        assert specification["ComputeResourceRequirements"]["MinMemoryRequiredInMb"] == 2048
        assert specification["StartupParameters"] == {
            "ContainerStartupHealthCheckTimeoutInSeconds": 900
        }
        assert change(cloud, options=options) == []

    def test_the_number_of_copies(self, cloud: SmCloud) -> None:
        done = change(cloud, options={"copies": 2})
        assert done == ["UpdateInferenceComponentRuntimeConfig"]


class TestRefused:
    """States and endpoints that cannot be changed."""

    def test_nobody_there(self, cloud: SmCloud) -> None:
        with pytest.raises(NotFoundError):
            update(cloud.desk, "nobody", EndpointChange(tags=("a=b",)))

    def test_nothing_asked_for(self, cloud: SmCloud) -> None:
        assert change(cloud) == []

    def test_options_of_another_kind_of_endpoint(self, cloud: SmCloud) -> None:
        with pytest.raises(RefusedError, match=r"options\.copies"):
            change(cloud, options={"copies": 2})
        assert cloud.operations() == []

    @pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
    def test_a_transition(self, cloud: SmCloud, status: str) -> None:
        cloud.aws.force_status(ACCOUNT, REGION, "demo", status)
        with pytest.raises(BusyError):
            change(cloud, environment={})
        assert cloud.operations() == []

    def test_a_failed_one(self, cloud: SmCloud) -> None:
        cloud.aws.force_status(ACCOUNT, REGION, "demo", "Failed")
        with pytest.raises(ConflictError, match="deleted"):
            change(cloud, environment={})

    def test_a_model_that_is_gone(self, cloud: SmCloud) -> None:
        cloud.call("DeleteModel", ModelName=variant(cloud)["ModelName"])
        with pytest.raises(ConflictError, match="gone"):
            change(cloud, environment={})

    def test_a_configuration_that_is_gone(self, cloud: SmCloud) -> None:
        name = cloud.endpoint()["EndpointConfigName"]
        cloud.call("DeleteEndpointConfig", EndpointConfigName=name)
        with pytest.raises(ConflictError, match="gone"):
            change(cloud, environment={})
