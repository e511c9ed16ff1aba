"""Models, configurations and endpoints of the simulated SageMaker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.scene import VLLM_NEURON, image_uri
from orchestrator.sandbox.aws.switches import AwsSwitches
from tests.sandbox.aws_scene import ACCOUNT, INF, REGION, AwsScene

LLAMA = {"HF_MODEL_ID": "meta-llama/Meta-Llama-3-70B-Instruct", "HF_NUM_CORES": "24"}
TIMEOUT = "ContainerStartupHealthCheckTimeoutInSeconds"


@pytest.fixture
def aws() -> AwsScene:
    return AwsScene()


def _variant(**values: object) -> dict[str, object]:
    row = {"VariantName": "AllTraffic", "ModelName": "chat", "InstanceType": INF}
    return {**row, "InitialInstanceCount": 1, **values}


class TestWholeLife:
    def test_by_the_api(self, aws: AwsScene) -> None:
        aws.call(
            "CreateModel",
            ModelName="chat",
            ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/sagemaker-execution",
            PrimaryContainer={"Image": "image:1", "Environment": {"HF_MODEL_ID": "acme/chat-1b"}},
        )
        aws.call("CreateEndpointConfig", EndpointConfigName="c1", ProductionVariants=[_variant()])
        arn = aws.call("CreateEndpoint", EndpointName="chat", EndpointConfigName="c1")
        assert arn == {"EndpointArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/chat"}
        assert aws.status() == "Creating"
        assert 3 <= aws.settle() <= 5
        shown = aws.describe()
        assert shown["EndpointStatus"] == "InService"
        assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        assert "InstanceType" not in str(shown)
        aws.call("DeleteEndpoint", EndpointName="chat")
        assert aws.status() == "Deleting"
        aws.pass_time(minutes=5)
        gone = aws.refused("DescribeEndpoint", EndpointName="chat")
        assert (gone.code, gone.status) == ("ValidationException", 400)
        assert gone.message.startswith('Could not find endpoint "arn:aws:sagemaker:')
        assert aws.call("DescribeEndpointConfig", EndpointConfigName="c1")["ProductionVariants"]
        assert aws.call("DescribeModel", ModelName="chat")["PrimaryContainer"]["Environment"]

    def test_70b_on_inf2_48xlarge_takes_half_an_hour(self) -> None:
        for seed in range(4):
            scene = AwsScene(seed=seed)
            scene.add(
                instance_type="ml.inf2.48xlarge",
                environment=LLAMA,
                volume_gb=512,
                state=None,
                variant={TIMEOUT: 3600},
            )
            assert 29 <= scene.settle() <= 40
            assert scene.status() == "InService"

    def test_a_large_model_needs_a_longer_health_check(self, aws: AwsScene) -> None:
        aws.add(instance_type="ml.inf2.48xlarge", environment=LLAMA, state=None)
        assert 11 <= aws.settle() <= 13
        assert "did not pass the ping health check" in aws.describe()["FailureReason"]


class TestNames:
    def test_are_unique_whatever_their_case(self, aws: AwsScene) -> None:
        aws.add("Chat")
        found = aws.refused("CreateEndpoint", EndpointName="chat", EndpointConfigName="Chat")
        assert found.message.startswith('Cannot create already existing endpoint "arn:aws:')
        aws.refused("DescribeEndpoint", EndpointName="chat")

    def test_of_models_and_configs_are_unique(self, aws: AwsScene) -> None:
        aws.add()
        config = aws.refused(
            "CreateEndpointConfig", EndpointConfigName="chat", ProductionVariants=[_variant()]
        )
        assert config.message.startswith("Cannot create already existing endpoint configuration")

    def test_that_are_missing(self, aws: AwsScene) -> None:
        config = aws.refused("CreateEndpoint", EndpointName="a", EndpointConfigName="b")
        assert config.message.startswith('Could not find endpoint configuration "arn:aws:')
        model = aws.refused("DescribeModel", ModelName="a")
        assert model.message.startswith('Could not find model "arn:aws:')
        bad = _variant(ModelName="nobody")
        config = aws.refused(
            "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[bad]
        )
        assert "Could not find model" in config.message


class TestBusy:
    @pytest.mark.parametrize(
        "status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"]
    )
    def test_nothing_is_accepted(self, aws: AwsScene, status: str) -> None:
        aws.add()
        aws.aws.force_status(ACCOUNT, REGION, "chat", status)
        arn = aws.arn("chat")
        for refusal in (
            aws.refused("DeleteEndpoint", EndpointName="chat"),
            aws.refused(
                "UpdateEndpointWeightsAndCapacities",
                EndpointName="chat",
                DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 2}],
            ),
        ):
            assert refusal.message.startswith(f'Cannot update in-progress endpoint "{arn}"')

    def test_failed_can_only_be_deleted(self, aws: AwsScene) -> None:
        aws.add(state="Failed")
        aws.add("other", state="paused-by-delete")
        refusal = aws.refused("UpdateEndpoint", EndpointName="chat", EndpointConfigName="other")
        assert "DeleteEndpoint is the only operation" in refusal.message
        aws.call("DeleteEndpoint", EndpointName="chat")
        aws.pass_time(minutes=5)
        assert aws.call("ListEndpoints")["Endpoints"] == []

    def test_system_update_ends(self, aws: AwsScene) -> None:
        aws.add()
        aws.aws.force_status(ACCOUNT, REGION, "chat", "SystemUpdating", seconds=600)
        aws.pass_time(minutes=9)
        assert aws.status() == "SystemUpdating"
        aws.pass_time(minutes=2)
        assert aws.status() == "InService"


class TestUpdate:
    def _second(self, aws: AwsScene, **values: object) -> None:
        aws.call(
            "CreateEndpointConfig",
            EndpointConfigName="second",
            ProductionVariants=[_variant(InitialInstanceCount=2, **values)],
        )

    def test_runs_both_fleets(self, aws: AwsScene) -> None:
        aws.add(startup_s=200)
        self._second(aws)
        aws.call("UpdateEndpoint", EndpointName="chat", EndpointConfigName="second")
        aws.pass_time(seconds=150)
        shown = aws.describe()
        assert shown["EndpointStatus"] == "Updating"
        assert shown["EndpointConfigName"] == "chat"
        assert shown["PendingDeploymentSummary"]["EndpointConfigName"] == "second"
        bill = aws.aws.bill(ACCOUNT, start=aws.world.now - timedelta(seconds=10))
        assert sum(line.unit_seconds for line in bill if line.product == INF) == 30
        aws.settle()
        shown = aws.describe()
        assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "second")
        assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 2

    def test_keeps_the_count_only_when_asked(self, aws: AwsScene) -> None:
        aws.add(count=3)
        self._second(aws)
        aws.call(
            "UpdateEndpoint",
            EndpointName="chat",
            EndpointConfigName="second",
            RetainAllVariantProperties=True,
        )
        aws.settle()
        assert aws.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 3

    @pytest.mark.parametrize("end", ["InService", "Failed", "UpdateRollbackFailed"])
    def test_that_fails_rolls_back(self, end: str) -> None:
        aws = AwsScene(AwsSwitches(failed_update=end))  # type: ignore[arg-type] # parametrized
        aws.add()
        aws.pass_time(minutes=1)
        self._second(aws)
        aws.aws.break_starts(ACCOUNT, REGION, "chat", "fail")
        aws.call("UpdateEndpoint", EndpointName="chat", EndpointConfigName="second")
        aws.settle()
        assert aws.statuses() == ["InService", "Updating", "RollingBack", end]
        assert aws.describe()["EndpointConfigName"] == "chat"
        assert "ping health check" in aws.describe()["FailureReason"]

    def test_needs_another_configuration(self, aws: AwsScene) -> None:
        aws.add()
        refusal = aws.refused("UpdateEndpoint", EndpointName="chat", EndpointConfigName="chat")
        assert "must differ" in refusal.message


class TestCapacity:
    def test_more_instances(self, aws: AwsScene) -> None:
        aws.add(startup_s=120)
        self._rescale(aws, 3)
        assert aws.status() == "Updating"
        aws.settle()
        assert aws.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 3

    def test_none_is_refused_for_a_classic_endpoint(self, aws: AwsScene) -> None:
        aws.add()
        with pytest.raises(AwsError, match="only if it hosts inference components"):
            self._rescale(aws, 0)

    def test_without_capacity_rolls_back(self, aws: AwsScene) -> None:
        aws.add()
        aws.pass_time(minutes=1)
        aws.aws.exhaust_capacity(REGION, INF)
        self._rescale(aws, 2)
        aws.settle()
        assert aws.statuses() == ["InService", "Updating", "RollingBack", "InService"]
        assert aws.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 1

    def test_creation_without_capacity_fails(self, aws: AwsScene) -> None:
        aws.aws.exhaust_capacity(REGION, INF, until=aws.world.now + timedelta(hours=1))
        aws.add(state=None)
        aws.settle()
        assert "InsufficientInstanceCapacity" in aws.describe()["FailureReason"]
        assert aws.aws.bill(ACCOUNT) == []
        aws.pass_time(hours=1)
        aws.add("later", state=None)
        aws.settle("later")
        assert aws.status("later") == "InService"

    def test_quota(self, aws: AwsScene) -> None:
        aws.aws.set_quota(ACCOUNT, REGION, INF, 2)
        aws.add(count=2)
        with pytest.raises(AwsError) as caught:
            aws.add("more", count=1)
        assert caught.value.code == "ResourceLimitExceeded"
        assert caught.value.message.startswith(
            "The account-level service limit 'ml.inf2.xlarge for endpoint usage' is 2 Instances, "
            "with current utilization of 2 Instances and a request delta of 1 Instances."
        )
        aws.call("DeleteEndpoint", EndpointName="chat")
        aws.pass_time(minutes=5)
        aws.call("CreateEndpoint", EndpointName="more", EndpointConfigName="more")

    def _rescale(self, aws: AwsScene, count: int) -> None:
        aws.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="chat",
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
            ],
        )


class TestConfigurations:
    def test_may_be_read_late(self) -> None:
        aws = AwsScene(AwsSwitches(config_lag_s=30))
        aws.add(state="paused-by-delete")
        aws.call("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[_variant()])
        late = aws.refused("CreateEndpoint", EndpointName="chat", EndpointConfigName="c")
        assert late.message.startswith("Could not find endpoint configuration")
        aws.pass_time(seconds=31)
        aws.call("CreateEndpoint", EndpointName="chat", EndpointConfigName="c")

    def test_no_managed_scaling_with_a_model(self, aws: AwsScene) -> None:
        managed = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 1}
        with pytest.raises(AwsError, match="only supported for inference component endpoints"):
            aws.add(variant={"ManagedInstanceScaling": managed})

    def test_some_regions_refuse_a_minimum_of_zero(self, aws: AwsScene) -> None:
        with pytest.raises(AwsError, match="Min instance count needs to be greater than 0"):
            aws.aws.add_component_endpoint(ACCOUNT, "eu-west-3", "lab")

    def test_a_variant_without_a_model_needs_a_role(self, aws: AwsScene) -> None:
        row = {"VariantName": "v", "InstanceType": INF, "InitialInstanceCount": 1}
        refusal = aws.refused(
            "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[row]
        )
        assert "ExecutionRoleArn is required" in refusal.message

    def test_shadow_variants_run_beside(self, aws: AwsScene) -> None:
        aws.add(variant={"InitialVariantWeight": 2.0}, state="paused-by-delete")
        rows = [_variant()]
        shadow = [_variant(VariantName="Shadow")]
        aws.call(
            "CreateEndpointConfig",
            EndpointConfigName="s",
            ProductionVariants=rows,
            ShadowProductionVariants=shadow,
        )
        aws.call("CreateEndpoint", EndpointName="s", EndpointConfigName="s")
        aws.settle("s")
        shown = aws.describe("s")
        assert [row["VariantName"] for row in shown["ProductionVariants"]] == ["AllTraffic"]
        assert [row["VariantName"] for row in shown["ShadowProductionVariants"]] == ["Shadow"]
        last = aws.world.now - timedelta(seconds=1)
        aws.pass_time(seconds=1)
        bill = aws.aws.bill(ACCOUNT, start=last)
        assert sum(line.units for line in bill if line.product == INF) == 2

    def test_without_its_model_makes_no_endpoint(self, aws: AwsScene) -> None:
        aws.add(state="paused-by-delete")
        aws.call("DeleteModel", ModelName="chat")
        refusal = aws.refused("CreateEndpoint", EndpointName="a", EndpointConfigName="chat")
        assert refusal.message.startswith('Could not find model "arn:aws:')

    def test_in_use_can_be_deleted(self, aws: AwsScene) -> None:
        aws.add()
        aws.call("DeleteEndpointConfig", EndpointConfigName="chat")
        aws.call("DeleteModel", ModelName="chat")
        assert aws.status() == "InService"

    def test_serverless_has_no_instances(self, aws: AwsScene) -> None:
        aws.add(state="paused-by-delete")
        row = {"VariantName": "v", "ModelName": "chat"}
        serverless = {**row, "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
        aws.call("CreateEndpointConfig", EndpointConfigName="s", ProductionVariants=[serverless])
        aws.call("CreateEndpoint", EndpointName="s", EndpointConfigName="s")
        aws.settle("s")
        assert "CurrentInstanceCount" not in aws.describe("s")["ProductionVariants"][0]
        assert aws.aws.bill(ACCOUNT) == []


class TestContainers:
    @pytest.mark.parametrize(
        ("environment", "why"),
        [
            ({}, "HF_MODEL_ID must be set"),
            ({"HF_NUM_CORES": "24"}, "24 NeuronCores are needed and the instance has 2"),
            ({"HF_NUM_CORES": "1"}, "no valid tensor parallel degree"),
            ({"HF_MODEL_QUANTIZE": "awq"}, "--quantize"),
            ({"MAX_INPUT_TOKENS": "4096", "MAX_TOTAL_TOKENS": "4096"}, "max_input_tokens"),
            ({"HF_BATCH_SIZE": "1", "MAX_BATCH_SIZE": "4"}, "MAX_BATCH_SIZE"),
            ({"HF_MODEL_ID": "acme/large-70b"}, "out of memory"),
        ],
    )
    def test_tgi_on_neuron(self, aws: AwsScene, environment: dict[str, str], why: str) -> None:
        whole = {"HF_MODEL_ID": "acme/chat-1b", **environment} if environment else {}
        aws.add(state=None, environment=whole)
        aws.settle()
        assert aws.status() == "Failed"
        assert why in aws.describe()["FailureReason"]

    def test_vllm_on_neuron_needs_its_model_and_ami(self, aws: AwsScene) -> None:
        image = image_uri(REGION, VLLM_NEURON)
        good = {"SM_ON_MODEL": "acme/chat-1b"}
        ami = {"InferenceAmiVersion": "al2-ami-sagemaker-inference-neuron-2"}
        aws.add("old-ami", state=None, image=image, environment=good)
        aws.add("tgi-words", state=None, image=image, variant=ami)
        aws.add("good", state=None, image=image, environment=good, variant=ami)
        aws.pass_time(minutes=40)
        assert aws.status("good") == "InService"
        assert "Neuron driver" in aws.describe("old-ami")["FailureReason"]
        assert "--model" in aws.describe("tgi-words")["FailureReason"]

    def test_an_image_that_does_not_exist(self, aws: AwsScene) -> None:
        name = "huggingface-pytorch-tgi-inference:2.7.0-optimum3.3.6-inf2-py310-ubuntu22.04"
        aws.add(state=None, image=image_uri(REGION, name))
        aws.settle()
        assert "does not exist" in aws.describe()["FailureReason"]

    def test_stuck_never_ends(self, aws: AwsScene) -> None:
        aws.aws.break_starts(ACCOUNT, REGION, "chat", "stuck")
        aws.add(state=None)
        aws.pass_time(hours=6)
        assert aws.status() == "Creating"


class TestListing:
    def test_newest_first_ten_a_page(self, aws: AwsScene) -> None:
        for number in range(12):
            aws.add(f"e-{number:02}")
            aws.pass_time(seconds=1)
        first = aws.call("ListEndpoints")
        assert [row["EndpointName"] for row in first["Endpoints"]][:2] == ["e-11", "e-10"]
        assert len(first["Endpoints"]) == 10
        rest = aws.call("ListEndpoints", NextToken=first["NextToken"])
        assert len(rest["Endpoints"]) == 2
        assert "NextToken" not in rest

    def test_filters(self, aws: AwsScene) -> None:
        aws.add("chat-a")
        aws.add("chat-b", state="Failed")
        aws.add("other")
        by_name = aws.call(
            "ListEndpoints", NameContains="chat", SortBy="Name", SortOrder="Ascending"
        )
        assert [row["EndpointName"] for row in by_name["Endpoints"]] == ["chat-a", "chat-b"]
        failed = aws.call("ListEndpoints", StatusEquals="Failed")
        assert [row["EndpointName"] for row in failed["Endpoints"]] == ["chat-b"]
        later = aws.call("ListEndpoints", LastModifiedTimeAfter=aws.world.now)
        assert later["Endpoints"] == []

    def test_models_and_configs(self, aws: AwsScene) -> None:
        aws.add()
        assert aws.call("ListModels")["Models"][0]["ModelName"] == "chat"
        assert aws.call("ListEndpointConfigs")["EndpointConfigs"][0]["EndpointConfigName"] == "chat"


class TestTags:
    def test_are_lost_with_the_endpoint(self, aws: AwsScene) -> None:
        aws.add(tags={"team": "search"})
        aws.call("AddTags", ResourceArn=aws.arn("chat"), Tags=[{"Key": "a", "Value": "b"}])
        aws.call("DeleteTags", ResourceArn=aws.arn("chat"), TagKeys=["team", "nothing"])
        tags = aws.call("ListTags", ResourceArn=aws.arn("chat"))
        assert tags == {"Tags": [{"Key": "a", "Value": "b"}]}
        aws.call("DeleteEndpoint", EndpointName="chat")
        aws.pass_time(minutes=5)
        aws.call("CreateEndpoint", EndpointName="chat", EndpointConfigName="chat")
        assert aws.call("ListTags", ResourceArn=aws.arn("chat")) == {"Tags": []}
        kept = aws.call("ListTags", ResourceArn=aws.arn("chat", "endpoint-config"))
        assert kept == {"Tags": [{"Key": "team", "Value": "search"}]}

    def test_of_aws_are_refused(self, aws: AwsScene) -> None:
        aws.add()
        tag = {"Key": "aws:cloudformation:stack-name", "Value": "x"}
        refusal = aws.refused("AddTags", ResourceArn=aws.arn("chat"), Tags=[tag])
        assert "aws: prefixed" in refusal.message

    def test_by_the_tagging_service(self, aws: AwsScene) -> None:
        for name in ("a", "b", "c"):
            aws.add(name, tags={"team": name})
        found = aws.call(
            "GetResources",
            "resourcegroupstaggingapi",
            ResourceTypeFilters=["sagemaker:endpoint"],
            TagFilters=[{"Key": "team", "Values": ["a", "c"]}],
            ResourcesPerPage=1,
        )
        assert [row["ResourceARN"] for row in found["ResourceTagMappingList"]] == [aws.arn("a")]
        assert found["PaginationToken"]
