"""One SageMaker endpoint as a Snapshot: states, hardware, scaling, secrets, gaps."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.endpoints import NOT_BILLED, Extra, Scaling, Stop
from orchestrator.domain.status import Status
from orchestrator.providers.base import CredentialsError, UnavailableError
from orchestrator.providers.sagemaker.factory import make_sagemaker
from tests.providers.aws_wire import invalid, refusal
from tests.providers.sm_scene import CHANGED, CREATED, IMAGE, PASSWORD, VARIANT, Scene
from tests.providers.sm_world import SmWorld


@pytest.fixture
def scene() -> Scene:
    return Scene()


class TestClassic:
    def test_all_that_is_told(self, scene: Scene) -> None:
        found = scene.seen()
        assert (found.status, found.cloud_state) == (Status.RUNNING, "InService")
        assert found.hardware.key == "sagemaker/us-east-1/ml.inf2.48xlarge/x1"
        assert found.hardware.accelerator == "neuron"
        assert found.scaling == Scaling(1, 1)
        assert (found.ready_replicas, found.target_replicas) == (1, 1)
        assert found.extras == (Extra("disk", "sagemaker/us-east-1/ebs-gp2/gb", 512),)
        assert found.repository == "meta/llama-70b"
        assert (found.engine, found.access) == ("vllm-neuronx", "iam")
        assert found.tags == ("empty", "team=search")
        assert (found.created_at, found.updated_at) == (CREATED, CHANGED)
        assert found.url == (
            "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/llama/invocations"
        )
        assert (found.stop, found.to_zero, found.restless) == (Stop.RECREATE, False, False)
        assert (found.observe_only, found.unfinished, found.gaps) == (None, "", ())

    def test_the_spec_is_an_allow_list(self, scene: Scene) -> None:
        scene.config["Surprise"] = "x"
        spec = scene.seen().spec
        assert spec["kind"] == "classic"
        assert (spec["config"], spec["model"], spec["image"]) == ("llama-c", "llama-m", IMAGE)
        assert (spec["volume_gb"], spec["health_check_timeout_s"]) == (512, 3600)
        assert spec["ami_version"] == "al2-ami-sagemaker-inference-neuron-2"
        assert "Surprise" not in spec

    def test_secrets_are_markers(self, scene: Scene) -> None:
        found = scene.seen()
        assert found.spec["environment"]["SM_ON_BATCH_SIZE"] == "4"
        assert found.spec["environment"]["DB_PASSWORD"].startswith("redacted:")
        assert PASSWORD not in repr(found)

    @pytest.mark.parametrize("denied", [False, True])
    def test_what_was_given_as_a_secret_is_one(self, scene: Scene, *, denied: bool) -> None:
        scene.config["ProductionVariants"] = [{**VARIANT, "ModelName": "llama-0123abcd"}]
        scene.model["PrimaryContainer"]["Environment"]["GREETING"] = "hello there"
        marks = {"Tags": [{"Key": "endpoint-orchestrator:secrets", "Value": "GREETING"}]}
        answer = refusal("AccessDeniedException") if denied else marks
        scene.on(
            "ListTags",
            lambda params: answer if ":model/" in params["ResourceArn"] else {"Tags": []},
        )
        found = scene.seen().spec["environment"]
        assert found["GREETING"].startswith("redacted:")
        assert found["SM_ON_MODEL"] == "meta/llama-70b"

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            ("Creating", Status.INITIALIZING),
            ("Updating", Status.UPDATING),
            ("RollingBack", Status.UPDATING),
            ("SystemUpdating", Status.UPDATING),
            ("OutOfService", Status.UPDATE_FAILED),
            ("UpdateRollbackFailed", Status.UPDATE_FAILED),
            ("Deleting", Status.STOPPING),
            ("Failed", Status.FAILED),
            ("Dreaming", Status.UNKNOWN),
        ],
    )
    def test_states(self, scene: Scene, state: str, status: Status) -> None:
        scene.endpoint["EndpointStatus"] = state
        found = scene.seen()
        assert (found.status, found.cloud_state) == (status, state)
        assert found.billed.high >= 1

    @pytest.mark.parametrize(
        "reason",
        [
            "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity",
            "The account-level service limit 'ml.inf2.48xlarge for endpoint usage' is 0 Instances",
        ],
    )
    def test_a_failure_for_capacity_may_pass(self, scene: Scene, reason: str) -> None:
        scene.endpoint |= {"EndpointStatus": "Failed", "FailureReason": reason}
        assert scene.seen().status is Status.WAITING_FOR_CAPACITY

    def test_the_reason_is_shown_without_secrets(self, scene: Scene) -> None:
        token = "hf_" + "tokenOfNobodyAtAll"
        scene.endpoint |= {"EndpointStatus": "Failed", "FailureReason": f"bad token {token}"}
        message = scene.seen().message
        assert "bad token" in message
        assert token not in message

    def test_billing_terms_are_options(self, scene: Scene) -> None:
        scene.endpoint["EndpointStatus"] = "Creating"
        scene.counts(0, 1)
        assert scene.seen().billed.expected == 0
        assert scene.seen(initializing_billing="billed").billed.expected == 1
        sure = {"initializing_billing": "billed", "creating_billing": "free"}
        assert scene.seen(**sure).billed == NOT_BILLED

    def test_an_update_with_a_second_fleet(self, scene: Scene) -> None:
        scene.endpoint |= {
            "EndpointStatus": "Updating",
            "PendingDeploymentSummary": {
                "EndpointConfigName": "llama-d",
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "CurrentInstanceCount": 0,
                        "DesiredInstanceCount": 2,
                        "InstanceType": "ml.inf2.24xlarge",
                    }
                ],
            },
        }
        found = scene.seen()
        assert (found.billed.low, found.billed.expected, found.billed.high) == (1, 1, 3)
        assert found.rollout is not None
        assert "ml.inf2.24xlarge" in found.rollout.hardware_key

    def test_bounds_and_load_come_from_the_target(self, scene: Scene) -> None:
        resource = "endpoint/llama/variant/AllTraffic"
        scene.targets = [{"ResourceId": resource, "MinCapacity": 1, "MaxCapacity": 5}]
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        tracking = {"TargetValue": 70.0, "PredefinedMetricSpecification": metric}
        scene.policies = [
            {
                "ResourceId": resource,
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": tracking,
            }
        ]
        assert scene.seen().scaling == Scaling(1, 5, None, "invocationsPerInstance", "70")

    def test_a_repository_may_be_on_a_tag(self, scene: Scene) -> None:
        scene.tags = {
            "endpoint-orchestrator:repository": "org/model",
            "endpoint-orchestrator:unfinished": "autoscaling",
            "team": "x",
        }
        found = scene.seen()
        assert (found.repository, found.unfinished) == ("org/model", "autoscaling")
        assert found.tags == ("team=x",)

    def test_several_types_in_a_pool_have_no_one_price(self, scene: Scene) -> None:
        pools = [
            {"InstanceType": "ml.inf2.48xlarge", "Priority": 1},
            {"InstanceType": "ml.trn1.32xlarge", "Priority": 2},
        ]
        pooled = {key: item for key, item in VARIANT.items() if key != "InstanceType"}
        scene.config["ProductionVariants"] = [{**pooled, "InstancePools": pools}]
        (variant,) = scene.endpoint["ProductionVariants"]
        variant["InstancePools"] = [
            {"InstanceType": "ml.inf2.48xlarge", "CurrentInstanceCount": 0},
            {"InstanceType": "ml.trn1.32xlarge", "CurrentInstanceCount": 1},
        ]
        assert scene.seen().hardware.instance_type == "ml.trn1.32xlarge"
        variant["InstancePools"][0]["CurrentInstanceCount"] = 1
        mixed = scene.seen()
        assert mixed.hardware.instance_type == "mixed"
        assert any("no one price" in gap for gap in mixed.gaps)


class TestObserveOnly:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "b"}]}, "several"),
            ({"ShadowProductionVariants": [VARIANT]}, "shadow"),
            ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b"}}}, "async"),
            (
                {
                    "ProductionVariants": [
                        {
                            "VariantName": "a",
                            "ModelName": "llama-m",
                            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
                        }
                    ]
                },
                "serverless",
            ),
        ],
    )
    def test_what_is_not_handled_says_why(
        self, scene: Scene, change: dict[str, Any], words: str
    ) -> None:
        scene.config |= change
        found = scene.seen()
        assert words in (found.observe_only or "")
        assert (found.stop, found.to_zero) == (Stop.NONE, False)

    def test_serverless_costs_something_at_no_known_price(self, scene: Scene) -> None:
        serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
        scene.config["ProductionVariants"] = [
            {"VariantName": "a", "ModelName": "llama-m", "ServerlessConfig": serverless}
        ]
        scene.endpoint["ProductionVariants"] = [{"VariantName": "a"}]
        found = scene.seen()
        assert (found.billed.low, found.billed.high) == (0, 1)  # unpriced, not free
        assert found.hardware.instance_type == "serverless"
        assert found.gaps == ()

    def test_an_asynchronous_one_has_a_price_of_its_own(self, scene: Scene) -> None:
        scene.config["AsyncInferenceConfig"] = {"OutputConfig": {"S3OutputPath": "s3://b"}}
        assert scene.seen().hardware.key == "sagemaker/us-east-1/ml.inf2.48xlarge/async"
        assert scene.seen().status is Status.RUNNING
        scene.counts(0, 0)
        assert scene.seen().status is Status.SCALED_TO_ZERO


class TestGaps:
    @pytest.mark.parametrize(
        ("operation", "gap"),
        [
            ("DescribeEndpointConfig", "config: not allowed"),
            ("DescribeModel", "model: not allowed"),
            ("ListTags", "tags"),
            ("application-autoscaling:DescribeScalableTargets", "scaling: not allowed"),
        ],
    )
    def test_what_may_not_be_read_is_named(self, scene: Scene, operation: str, gap: str) -> None:
        scene.on(operation, refusal("AccessDeniedException", "not authorized to perform"))
        found = scene.seen()
        assert found.status is Status.RUNNING
        assert any(gap in item for item in found.gaps)
        assert found.billed.expected == 1

    def test_without_its_configuration_it_is_only_looked_at(self, scene: Scene) -> None:
        scene.on("DescribeEndpointConfig", invalid('Could not find endpoint configuration "c".'))
        found = scene.seen()
        assert found.hardware.instance_type == "?"
        assert (found.stop, bool(found.observe_only)) == (Stop.NONE, True)
        assert "config: is gone" in found.gaps

    def test_a_configuration_made_again_is_doubted(self, scene: Scene) -> None:
        scene.config["CreationTime"] = CHANGED.timestamp() + 60
        assert any("made again" in gap for gap in scene.seen().gaps)

    @pytest.mark.parametrize(
        ("operation", "gap"),
        [
            ("ListTags", "tags"),
            ("application-autoscaling:DescribeScalableTargets", "scaling: could not be read"),
        ],
    )
    def test_what_is_besides_may_be_out(self, scene: Scene, operation: str, gap: str) -> None:
        scene.on(operation, refusal("InternalFailure", status=500))
        found = scene.seen()
        assert found.status is Status.RUNNING
        assert gap in found.gaps

    @pytest.mark.parametrize("operation", ["DescribeEndpointConfig", "DescribeModel"])
    def test_an_outage_is_no_gap(self, scene: Scene, operation: str) -> None:
        scene.on(operation, refusal("InternalFailure", status=500))
        with pytest.raises(UnavailableError):
            scene.seen()

    def test_bad_keys_are_no_gap(self, scene: Scene) -> None:
        scene.on("ListTags", refusal("ExpiredTokenException"))
        with pytest.raises(CredentialsError):
            scene.seen()

    @pytest.mark.parametrize(
        "field", ["EndpointStatus", "CreationTime", "LastModifiedTime", "ProductionVariants"]
    )
    def test_missing_fields_survive_and_are_named(self, scene: Scene, field: str) -> None:
        del scene.endpoint[field]
        found = scene.seen()
        assert any(field in gap for gap in found.gaps)
        assert found.billed.high >= 1
        if field not in {"CreationTime", "LastModifiedTime"}:
            assert found.billed.low == 0

    def test_a_state_that_is_missing_is_unknown(self, scene: Scene) -> None:
        del scene.endpoint["EndpointStatus"]
        assert scene.seen().status is Status.UNKNOWN


class TestAbsence:
    def test_only_plain_words_say_that_it_is_not_there(self, scene: Scene) -> None:
        driver = make_sagemaker(scene.account(), scene.hooks())
        scene.on("DescribeEndpoint", invalid('Could not find endpoint "arn:x".'))
        assert driver.get_endpoint("llama") is None

    @pytest.mark.parametrize(
        "answer",
        [
            invalid('Could not find endpoint configuration "arn:x".'),
            refusal("ResourceNotFound", "nothing here"),
            {"EndpointName": "other"},
            {},
        ],
    )
    def test_other_words_leave_it_open(self, scene: Scene, answer: Any) -> None:
        scene.on("DescribeEndpoint", answer)
        with pytest.raises(UnavailableError):
            scene.seen()

    def test_a_remade_configuration_is_read_anew(self, scene: Scene) -> None:
        driver = make_sagemaker(scene.account(), scene.hooks())
        before = driver.get_endpoint("llama")
        scene.config["ProductionVariants"] = [{**VARIANT, "InstanceType": "ml.inf2.24xlarge"}]
        assert driver.get_endpoint("llama") == before
        scene.endpoint["LastModifiedTime"] = CHANGED.timestamp() + 1
        after = driver.get_endpoint("llama")
        assert after is not None
        assert after.hardware.instance_type == "ml.inf2.24xlarge"


class TestOnTheCloud:
    def test_a_life(self) -> None:
        world = SmWorld()
        world.add("chat", state=None, volume_gb=100)
        assert world.seen().status is Status.INITIALIZING
        world.wait()
        assert (world.seen().status, world.seen().billed.low) == (Status.RUNNING, 1)
        world.call("DeleteEndpoint", EndpointName="chat")
        assert world.seen().status is Status.STOPPING
        world.wait()
        assert world.driver.get_endpoint("chat") is None
