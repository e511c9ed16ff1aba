"""Clouds that show a change late, lack services, or answer a little otherwise than AWS does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    ConflictError,
    NotFoundError,
    ProviderError,
    UnavailableError,
)
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.creating import create
from orchestrator.providers.sagemaker.deleting import delete
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.failures import is_unknown_operation
from orchestrator.providers.sagemaker.pausing import is_marked, pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.sandbox.faults import Fault, aws_error, error, missing_field
from tests.providers.aws_wire import AwsWire, invalid, refusal
from tests.providers.sm_cloud import ACCOUNT, REGION, SCALING, SmCloud, a_component, a_spec
from tests.providers.sm_rich import make_rich, paused, stored, truth
from tests.providers.sm_world import SmWorld

NOT_YET = aws_error(
    "ValidationException",
    'Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012:endpoint/demo".',
)
NOT_THERE = [
    aws_error("UnknownOperationException", "no such operation"),
    aws_error("InvalidAction", "no such action"),
    aws_error("NotImplemented", "not here", status=501),
    aws_error("Missing", "no such path", status=404),
]


@pytest.fixture
def cloud() -> SmCloud:
    return SmCloud()


@pytest.fixture
def rich(cloud: SmCloud) -> SmCloud:
    make_rich(cloud)
    cloud.world.calls.clear()
    return cloud


def marks(cloud: SmCloud, config: str = "demo-config") -> set[str]:
    """The tags of a configuration that tell of a pause."""
    found = cloud.call("DescribeEndpointConfig", EndpointConfigName=config)
    ours = ("endpoint-orchestrator:paused", "endpoint-orchestrator:kept")
    return {key for key in cloud.tags(found["EndpointConfigArn"]) if key in ours}


class TestLate:
    """What was accepted is not described yet."""

    def test_a_creation_is_in_doubt_not_gone(self) -> None:
        scene = SmWorld()
        with scene.fault(NOT_YET, "DescribeEndpoint"), pytest.raises(AmbiguousError, match="yet"):
            scene.driver.create_endpoint(a_spec())
        assert scene.driver.create_endpoint(a_spec()).name == "demo"

    def test_a_resume_is_in_doubt_not_gone(self) -> None:
        scene = SmWorld()
        scene.driver.create_endpoint(a_spec())
        scene.wait()
        kept = scene.driver.contract("demo").document
        scene.driver.pause_endpoint("demo", kept)
        scene.wait()
        with scene.fault(NOT_YET, "DescribeEndpoint"), pytest.raises(AmbiguousError, match="yet"):
            scene.driver.resume_endpoint("demo", kept)
        found = scene.driver.resume_endpoint("demo", kept)
        assert found is not None

    def test_a_repeated_creation_stays_in_doubt(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_spec())
        made = cloud.made()
        with cloud.fault(NOT_YET, "DescribeEndpoint"), pytest.raises(AmbiguousError):
            create(cloud.desk, a_spec())
        assert cloud.made() == made

    def test_a_repeated_resume_waits(self, rich: SmCloud) -> None:
        kept = stored(paused(rich))
        resume(rich.desk, "demo", kept)
        with rich.fault(NOT_YET, "DescribeEndpoint"), pytest.raises(BusyError):
            resume(rich.desk, "demo", kept)

    def test_a_creation_that_arrived_in_between_is_ours(self, cloud: SmCloud) -> None:
        create(cloud.desk, a_spec())
        with cloud.fault(NOT_YET, "DescribeEndpoint", nth=1):
            create(cloud.desk, a_spec())
        assert cloud.operations().count("CreateEndpoint") == 1

    def test_a_name_that_was_taken_in_between_is_a_conflict(self, cloud: SmCloud) -> None:
        cloud.aws.add_endpoint(ACCOUNT, REGION, "demo")
        with cloud.fault(NOT_YET, "DescribeEndpoint", nth=1), pytest.raises(ConflictError):
            create(cloud.desk, a_spec())


class TestServicesThatAreNotThere:
    """A pause of a classic endpoint does without what its cloud does not have."""

    @pytest.mark.parametrize("fault", NOT_THERE)
    @pytest.mark.parametrize(
        ("operation", "words"),
        [
            ("ListInferenceComponents", "inference components"),
            ("DescribeScalableTargets", "autoscaling targets"),
            ("DescribeScalingPolicies", "scaling policies"),
            ("DescribeScheduledActions", "scheduled actions"),
            ("ListServiceQuotas", "quotas"),
            ("DescribeAlarms", "alarms"),
        ],
    )
    def test_it_is_a_risk_and_no_obstacle(
        self, cloud: SmCloud, operation: str, words: str, fault: Fault
    ) -> None:
        cloud.create(a_spec())
        with cloud.fault(fault, operation):
            contract = read_contract(cloud.desk, "demo")
            assert contract.obstacles == ()
            assert any(words in risk for risk in contract.risks), contract.risks
            pause(cloud.desk, "demo", contract.document)
            cloud.wait()
            assert cloud.status() == "gone"
            resume(cloud.desk, "demo", contract.document)
            cloud.wait()
            assert restore(cloud.desk, "demo", contract.document).differences == ()
        assert cloud.status() == "InService"

    @pytest.mark.parametrize("fault", [error(500), aws_error("ThrottlingException", "slow down")])
    @pytest.mark.parametrize("operation", ["DescribeScalableTargets", "DescribeScheduledActions"])
    def test_an_outage_is_none(self, rich: SmCloud, operation: str, fault: Fault) -> None:
        with rich.fault(fault, operation), pytest.raises(UnavailableError):
            read_contract(rich.desk, "demo")

    @pytest.mark.parametrize("operation", ["DescribeScalableTargets", "DescribeScheduledActions"])
    def test_a_right_is_none(self, rich: SmCloud, operation: str) -> None:
        rich.aws.deny(ACCOUNT, f"{SCALING}:{operation}")
        with pytest.raises(ProviderError, match="allow this action"):
            read_contract(rich.desk, "demo")

    def test_a_classic_endpoint_needs_no_word_on_components(self, rich: SmCloud) -> None:
        with rich.fault(error(500), "ListInferenceComponents"):
            contract = read_contract(rich.desk, "demo")
        assert contract.obstacles == ()
        assert any("inference components" in risk for risk in contract.risks)
        assert not any("inference" in risk for risk in read_contract(rich.desk, "demo").risks)

    def test_an_endpoint_of_components_needs_them(self, cloud: SmCloud) -> None:
        cloud.create(a_component())
        with cloud.fault(NOT_THERE[0], "ListInferenceComponents"), pytest.raises(ProviderError):
            read_contract(cloud.desk, "demo")

    def test_it_can_be_deleted_too(self, cloud: SmCloud) -> None:
        cloud.create(a_spec())
        with cloud.fault(NOT_THERE[0], "ListInferenceComponents"):
            delete(cloud.desk, "demo", {})
        assert cloud.made()[:2] == (0, 0)

    def test_what_is_missing_is_no_operation(self) -> None:
        assert not is_unknown_operation(NotFoundError("Could not find it", status=404))


class TestMarks:
    """What is retained tells of a pause only while there is one."""

    @pytest.fixture
    def scene(self) -> SmWorld:
        scene = SmWorld()
        scene.add("chat")
        scene.wait()
        return scene

    def test_one_that_is_away_is_found(self, scene: SmWorld) -> None:
        scene.driver.pause_endpoint("chat", scene.driver.contract("chat").document)
        scene.wait()
        assert [item.snapshot.name for item in scene.driver.left_behind()] == ["chat"]

    def test_a_deletion_for_good_takes_the_marks_off(self, scene: SmWorld) -> None:
        kept = scene.driver.contract("chat").document
        scene.driver.pause_endpoint("chat", kept)
        scene.wait()
        scene.driver.delete_endpoint("chat", kept)
        assert scene.driver.left_behind() == []
        config = kept["endpoint"]["EndpointConfigName"]
        assert scene.call("DescribeEndpointConfig", EndpointConfigName=config)

    def test_one_that_is_there_is_not_left_behind(self, scene: SmWorld) -> None:
        kept = scene.driver.contract("chat").document
        scene.driver.pause_endpoint("chat", kept)
        scene.wait()
        scene.driver.resume_endpoint("chat", kept)
        assert scene.driver.left_behind() == []

    def test_marks_of_another_endpoint_stay(self, rich: SmCloud) -> None:
        kept = paused(rich)
        rich.create(a_spec(name="demo-2"))
        delete(rich.desk, "demo-2", {**kept})
        assert is_marked(rich.desk, "demo", kept)

    def test_a_name_in_small_letters_is_found_all_the_same(self, scene: SmWorld) -> None:
        scene.add("MyChat")
        scene.wait()
        kept = scene.driver.contract("MyChat").document
        scene.driver.pause_endpoint("MyChat", kept)
        scene.wait()
        (found,) = scene.driver.left_behind()
        assert found.snapshot.name == "MyChat"
        assert found.document["endpoint"] == kept["endpoint"]


class TestAnotherOfThisName:
    """Somebody made an endpoint of the name while ours was away."""

    def test_its_scaling_is_not_replaced(self, rich: SmCloud) -> None:
        kept = stored(paused(rich))
        rich.aws.add_endpoint(ACCOUNT, REGION, "demo")
        rich.wait()
        before = truth(rich)
        found = restore(rich.desk, "demo", kept)
        assert truth(rich) == before
        assert found.done == ()
        assert "another configuration" in found.differences[0]
        assert marks(rich) == set()


class TestArns:
    """ARNs are used as they are told: some clouds keep the letters of names in them."""

    def test_tags_are_asked_for_by_the_arn_that_was_told(self) -> None:
        arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/MyChat"
        wire = AwsWire(ListTags={"Tags": [{"Key": "team", "Value": "search"}]})
        desk = SmCloud().desk
        assert desk.arn("endpoint", "MyChat", {"EndpointArn": arn}) == arn
        assert desk.arn("endpoint", "MyChat").endswith("endpoint/mychat")
        session = wire.session()
        told = replace(desk, session=session).tags("endpoint", "MyChat", {"EndpointArn": arn})
        assert told == {"team": "search"}
        assert wire.params("sagemaker:ListTags") == [{"ResourceArn": arn}]


class TestMissingTimes:
    @pytest.mark.parametrize(
        ("operation", "field"),
        [
            ("ListEndpoints", "LastModifiedTime"),
            ("DescribeEndpointConfig", "CreationTime"),
            ("DescribeModel", "CreationTime"),
        ],
    )
    def test_what_others_use_stays_all_the_same(
        self, cloud: SmCloud, operation: str, field: str
    ) -> None:
        cloud.create(a_spec())
        name = cloud.endpoint()["EndpointConfigName"]
        cloud.call("CreateEndpoint", EndpointName="other", EndpointConfigName=name)
        cloud.wait()
        with cloud.fault(missing_field(field), operation):
            delete(cloud.desk, "demo", {})
        cloud.wait()
        assert cloud.made() == (1, 1, 1)


class TestWordsOfAbsence:
    @pytest.mark.parametrize(
        "answer",
        [
            invalid("Endpoint chat not found"),
            invalid("The endpoint chat does not exist."),
            refusal("ResourceNotFoundException", "Could not find the endpoint chat"),
            refusal("ResourceNotFound", "endpoint chat NOT FOUND"),
        ],
    )
    def test_other_words_are_absence_too(self, answer: Any) -> None:
        wire = AwsWire(DescribeEndpoint=answer)
        assert make_sagemaker(wire.account(), wire.hooks()).get_endpoint("chat") is None

    @pytest.mark.parametrize(
        "answer",
        [
            invalid("Endpoint configuration chat does not exist"),
            invalid("The endpoint is not ready"),
            invalid("chat not found"),
            refusal("ResourceNotFoundException", "not found"),
            refusal("NotFound", "page not found at this endpoint", status=404),
            invalid("The inference component of this endpoint does not exist"),
        ],
    )
    def test_all_else_is_none(self, answer: Any) -> None:
        wire = AwsWire(DescribeEndpoint=answer)
        with pytest.raises(ProviderError):
            make_sagemaker(wire.account(), wire.hooks()).get_endpoint("chat")
