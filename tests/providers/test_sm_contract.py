"""What forbids a pause, and that no secret is in what is kept."""

from __future__ import annotations

from copy import deepcopy

import pytest

from orchestrator.providers.base import (
    BusyError,
    NotFoundError,
    RefusedError,
)
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.pausing import pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.sandbox.faults import (
    aws_error,
    extra_field,
    unknown_state,
)
from tests.providers.sm_cloud import ACCOUNT, REGION, SECRET, SmCloud
from tests.providers.sm_rich import (
    make_rich,
    paused,
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
        with (
            cloud.fault(
                aws_error("ValidationException", "Could not find x"), "DescribeModel", nth=2
            ),
            pytest.raises(BusyError, match="changed while it was read"),
        ):
            read_contract(cloud.desk, "demo")

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

    def test_alarms_that_may_not_be_read_forbid_nothing(self, cloud: SmCloud) -> None:
        cloud.aws.deny(ACCOUNT, "cloudwatch:DescribeAlarms")
        contract = read_contract(cloud.desk, "demo")
        assert contract.obstacles == ()
        assert any("alarms may watch it" in risk for risk in contract.risks)
        pause(cloud.desk, "demo", contract.document)

    def test_a_quota_that_was_lowered_is_an_obstacle(self, cloud: SmCloud) -> None:
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 1)
        contract = read_contract(cloud.desk, "demo")
        assert any("less than the 2" in obstacle for obstacle in contract.obstacles)
        assert "(it is 1, as of the last hour)" in contract.quota

    def test_quotas_are_read_once_in_an_hour_and_again_where_they_are_too_small(
        self, cloud: SmCloud
    ) -> None:
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 1)
        assert read_contract(cloud.desk, "demo").obstacles
        cloud.aws.set_quota(ACCOUNT, REGION, "ml.inf2.8xlarge", 5)
        assert "(it is 5, as of the last hour)" in read_contract(cloud.desk, "demo").quota
        cloud.aws.deny(ACCOUNT, "servicequotas:ListServiceQuotas")
        cloud.wait(minutes=50)
        assert "(it is 5, as of the last hour)" in read_contract(cloud.desk, "demo").quota
        cloud.wait(minutes=15)
        assert "(it is" not in read_contract(cloud.desk, "demo").quota

    def test_quotas_that_may_not_be_read_are_left_out(self, cloud: SmCloud) -> None:
        cloud.aws.deny(ACCOUNT, "servicequotas:ListServiceQuotas")
        contract = read_contract(cloud.desk, "demo")
        assert contract.quota == "needs 2 x ml.inf2.8xlarge of the quota for endpoint usage again"

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

    def test_a_secret_that_was_changed_is_told_once_it_serves(self, cloud: SmCloud) -> None:
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
        resume(cloud.desk, "demo", kept)
        cloud.wait()
        assert any("API_KEY" in one for one in restore(cloud.desk, "demo", kept).differences)
