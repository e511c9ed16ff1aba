"""Whose AWS keys these are, and which rights they have, found out without changing anything."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import httpx2
import pytest

from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.rights import CHANGES, READS
from tests.providers.aws_wire import ACCOUNT, AwsWire, caller, invalid, refusal
from tests.providers.sm_world import SmWorld

DENIED = refusal("AccessDeniedException", "User is not authorized to perform: x:Y on resource: z")
SCALING = "application-autoscaling"
Caplog = pytest.LogCaptureFixture
REGIONS = "account:listRegions"


@pytest.fixture
def scene() -> SmWorld:
    return SmWorld()


def lenient(**answers: object) -> AwsWire:
    """A cloud with one endpoint, which does not look at configurations."""
    row = {"EndpointName": "chat", "EndpointStatus": "InService"}
    described = {**row, "EndpointConfigName": "chat-config"}
    scripts: dict[str, Any] = {"DescribeEndpoint": described, "DeleteEndpoint": {}, **answers}
    return AwsWire(ListEndpoints={"Endpoints": [row]}, **scripts)


def everything(scene: SmWorld) -> list[object]:
    """What there is, as lists of AWS tell it."""
    kinds = ("Endpoints", "EndpointConfigs", "Models", "InferenceComponents")
    scaling = ("ScalableTargets", "ScalingPolicies", "ScheduledActions")
    named = {"ServiceNamespace": "sagemaker"}
    return [
        *(scene.call(f"List{kind}")[kind] for kind in kinds),
        *(
            scene.call(f"Describe{kind}", "application-autoscaling", **named)[kind]
            for kind in scaling
        ),
        scene.call("DescribeAlarms", "cloudwatch")["MetricAlarms"],
    ]


def told(scene: SmWorld) -> dict[str, bool | None]:
    return {right.name: right.allowed for right in scene.driver.rights()}


class TestIdentity:
    def test_who_and_where(self, scene: SmWorld) -> None:
        found = scene.driver.identity()
        assert found.namespaces == (ACCOUNT,)
        assert "us-east-1" in found.regions
        assert found.problems == ()

    def test_a_namespace_that_is_left_out_is_found(self, scene: SmWorld) -> None:
        driver = scene.make(namespace="")
        assert driver.identity().namespaces == (ACCOUNT,)
        assert driver.identity().problems == ()
        scene.add("chat", tags={"team": "search"})
        (sighting,) = driver.list_endpoints().sightings
        assert sighting.snapshot().tags == ("team=search",)

    @pytest.mark.parametrize(
        ("arn", "kind", "name"),
        [
            (f"arn:aws:iam::{ACCOUNT}:user/team/ada", "user", "ada"),
            (f"arn:aws:sts::{ACCOUNT}:assumed-role/watcher/session", "role", "watcher"),
            (f"arn:aws:iam::{ACCOUNT}:root", "root", "root"),
        ],
    )
    def test_names_are_taken_from_the_arn(self, arn: str, kind: str, name: str) -> None:
        answer = caller()
        text = answer.text.replace(f"arn:aws:iam::{ACCOUNT}:user/ada", arn)
        wire = AwsWire().on("sts:GetCallerIdentity", type(answer)(200, text=text))
        found = make_sagemaker(wire.account(), wire.hooks()).identity()
        assert (found.kind, found.name) == (kind, name)

    def test_another_account_is_a_problem(self, scene: SmWorld) -> None:
        (problem,) = scene.make(namespace="9" * 12).identity().problems
        assert f"belong to AWS account {ACCOUNT}, not 999999999999" in problem

    def test_regions_that_are_not_told_are_all_listed(self, scene: SmWorld) -> None:
        with scene.denied("account:ListRegions"):
            found = scene.driver.identity()
        assert {"us-east-1", "sa-east-1"} <= set(found.regions)
        assert any("regions are not told" in problem for problem in found.problems)

    def test_missing_rights_to_look_are_a_problem(self, scene: SmWorld) -> None:
        with scene.denied("sagemaker:DescribeEndpoint"):
            (problem,) = scene.driver.identity().problems
        assert "sagemaker:DescribeEndpoint" in problem

    def test_a_region_that_is_off_is_a_problem(self) -> None:
        region = {"RegionName": "eu-west-1", "RegionOptStatus": "ENABLED"}
        wire = AwsWire().on(REGIONS, {"Regions": [region]}).on("ListEndpoints", {"Endpoints": []})
        found = make_sagemaker(wire.account(), wire.hooks()).identity()
        assert found.regions == ("eu-west-1",)
        assert any("us-east-1 is not enabled" in problem for problem in found.problems)


UNKNOWABLE = {
    "sagemaker:CreateModel",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:CreateInferenceComponent",
    "iam:PassRole",
    "cloudwatch:PutMetricAlarm",
}


class TestRights:
    def test_all_are_there(self, scene: SmWorld) -> None:
        scene.add("chat")
        found = told(scene)
        assert {name for name, allowed in found.items() if allowed is None} == UNKNOWABLE
        assert all(allowed for name, allowed in found.items() if name not in UNKNOWABLE)

    @pytest.mark.parametrize(
        "action", sorted({probe.action for probe in (*READS, *CHANGES)} - UNKNOWABLE)
    )
    def test_each_that_is_missing_is_found(self, scene: SmWorld, action: str) -> None:
        scene.add("chat")
        with scene.denied(action):
            (right,) = scene.driver.rights_for([action])
        assert (right.name, right.allowed) == (action, False)
        assert right.needed_for

    def test_nothing_is_changed_by_asking(self, scene: SmWorld) -> None:
        scene.add("chat")
        scene.add_component("lab")
        before = everything(scene)
        scene.driver.rights()
        assert not scene.world.calls.mutating(committed=True)
        assert everything(scene) == before

    def test_making_an_endpoint_is_unknown_without_one(self, scene: SmWorld) -> None:
        (right,) = scene.driver.rights_for(["sagemaker:CreateEndpoint"])
        assert right.allowed is None
        assert "sagemaker:CreateEndpoint" not in scene.driver.calls()

    def test_making_an_endpoint_is_tried_with_one_that_is_there(self) -> None:
        wire = lenient(CreateEndpoint=invalid('Cannot create already existing endpoint "x".'))
        driver = make_sagemaker(wire.account(), wire.hooks())
        (right,) = driver.rights_for(["sagemaker:CreateEndpoint"], "chat")
        assert right.allowed
        (params,) = wire.params("sagemaker:CreateEndpoint")
        assert params["EndpointName"] == "chat"
        assert params["EndpointConfigName"].startswith("chat-")
        assert "sagemaker:DeleteEndpoint" not in wire.asked

    def test_an_endpoint_that_was_there_is_not_undone(self, caplog: Caplog) -> None:
        wire = lenient(CreateEndpoint={"EndpointArn": "arn:x"})
        driver = make_sagemaker(wire.account(), wire.hooks())
        (right,) = driver.rights_for(["sagemaker:CreateEndpoint"], "chat")
        assert right.allowed
        assert "took a probe" in caplog.text
        assert "sagemaker:DeleteEndpoint" not in wire.asked

    def test_an_endpoint_that_the_probe_made_is_undone(self) -> None:
        wire = lenient(CreateEndpoint={"EndpointArn": "arn:x"})
        wire.on(
            "DescribeEndpoint",
            lambda params: {
                **params,
                "EndpointConfigName": wire.params("sagemaker:CreateEndpoint")[0][
                    "EndpointConfigName"
                ],
            },
        )
        driver = make_sagemaker(wire.account(), wire.hooks())
        driver.rights_for(["sagemaker:CreateEndpoint"], "chat")
        assert wire.params("sagemaker:DeleteEndpoint") == [{"EndpointName": "chat"}]

    @pytest.mark.parametrize(
        ("action", "undo"),
        [
            ("sagemaker:AddTags", "sagemaker:DeleteTags"),
            (f"{SCALING}:RegisterScalableTarget", f"{SCALING}:DeregisterScalableTarget"),
            (f"{SCALING}:PutScalingPolicy", f"{SCALING}:DeleteScalingPolicy"),
            (f"{SCALING}:PutScheduledAction", f"{SCALING}:DeleteScheduledAction"),
        ],
    )
    def test_a_probe_that_was_taken_is_undone(self, action: str, undo: str) -> None:
        wire = AwsWire().on(action, {"PolicyARN": "arn:x"}).on(undo, {})
        driver = make_sagemaker(wire.account(), wire.hooks())
        (right,) = driver.rights_for([action])
        assert right.allowed
        assert wire.asked[undo] == 1

    def test_names_begin_as_a_policy_may_want(self) -> None:
        wire = AwsWire(DeleteEndpoint=invalid('Could not find endpoint "x".'))
        driver = make_sagemaker(wire.account(), wire.hooks())
        (right,) = driver.rights_for(["sagemaker:DeleteEndpoint"], "prod-chat")
        assert right.allowed
        (params,) = wire.params("sagemaker:DeleteEndpoint")
        name = params["EndpointName"]
        assert name.startswith("prod-chat-")
        assert len(name) == len("prod-chat-") + 12

    def test_names_are_never_the_same(self) -> None:
        wire = AwsWire(DeleteEndpoint=invalid('Could not find endpoint "x".'))
        driver = make_sagemaker(wire.account(), wire.hooks())
        for _ in range(5):
            driver.rights_for(["sagemaker:DeleteEndpoint"])
        names = {params["EndpointName"] for params in wire.params("sagemaker:DeleteEndpoint")}
        assert len(names) == 5
        assert all(name.endswith("-orchestrator-probe") and len(name) <= 63 for name in names)

    @pytest.mark.parametrize(
        "answer",
        [
            refusal("ThrottlingException"),
            refusal("InternalFailure", status=500),
            refusal("ExpiredTokenException"),
            refusal("AccessDeniedException", "not authorized to perform: iam:PassRole on x"),
            refusal("UnknownOperationException", status=404),
        ],
    )
    def test_other_answers_tell_nothing(self, answer: httpx2.Response) -> None:
        wire = AwsWire(DeleteEndpoint=answer)
        driver = make_sagemaker(wire.account(), wire.hooks())
        (right,) = driver.rights_for(["sagemaker:DeleteEndpoint"])
        assert right.allowed is None

    def test_all_that_is_asked_about_is_in_the_policy_to_manage(self) -> None:
        text = files("orchestrator.providers.sagemaker").joinpath("iam/manage.json").read_text()
        allowed = {action for part in json.loads(text)["Statement"] for action in part["Action"]}
        assert {probe.action for probe in (*READS, *CHANGES)} <= allowed

    def test_a_contract_says_which_right_is_missing(self, scene: SmWorld) -> None:
        scene.add("chat")
        assert scene.driver.contract("chat").obstacles == ()
        with scene.denied("sagemaker:CreateEndpoint"):
            (obstacle,) = scene.driver.contract("chat").obstacles
        assert "sagemaker:CreateEndpoint" in obstacle

    def test_an_action_that_is_not_needed_is_not_known(self, scene: SmWorld) -> None:
        with pytest.raises(KeyError):
            scene.driver.rights_for(["ec2:RunInstances"])
