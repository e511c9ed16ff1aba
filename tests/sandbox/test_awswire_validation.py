"""Requests and answers against botocore's own service model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx2
import pytest
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.parsers import create_parser

from orchestrator.sandbox.aws.operations import HANDLERS
from orchestrator.sandbox.aws.service_models import operation_model, pattern, service_model
from orchestrator.sandbox.aws.shapes import AnswerShapeError, check_answer
from orchestrator.sandbox.aws.wire import SERVICES
from orchestrator.sandbox.transport import InProcessTransport
from tests.sandbox.aws_clients import ACCOUNT, KEY, REGION, STRANGER, WireScene, refused

TARGETS = {"sagemaker": "SageMaker", "monitoring": "GraniteServiceVersion20100801"}


def _post(
    operation: str, body: Any, *, signed_for: str = "sagemaker", target: str | None = None
) -> httpx2.Response:
    """A request as no careful client sends it."""
    scope = f"{KEY}/20260302/{REGION}/{signed_for}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    named = f"{target or TARGETS[signed_for]}.{operation}"
    headers = {
        "authorization": authorization,
        "x-amz-target": named,
        "content-type": "application/x-amz-json-1.1",
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with httpx2.Client(transport=InProcessTransport(WireScene().world)) as client:
        return client.post("http://aws.test/", headers=headers, content=content)


def _refused(operation: str, body: Any, **options: Any) -> tuple[str, str]:
    answer = _post(operation, body, **options)
    assert answer.status_code == 400, answer.text
    return answer.json()["__type"], answer.json()["message"]


class TestRequests:
    def test_lack_a_required_member(self) -> None:
        assert _refused("DescribeEndpoint", {}) == (
            "ValidationException",
            (
                "1 validation error detected: Value null at 'endpointName' failed to satisfy "
                "constraint: Member must not be null"
            ),
        )

    def test_have_a_value_that_is_too_long(self) -> None:
        code, message = _refused("DescribeEndpoint", {"EndpointName": "a" * 64})
        assert code == "ValidationException"
        assert (
            "'endpointName' failed to satisfy constraint: Member must have length less " in message
        )

    def test_have_a_value_beyond_its_bounds(self) -> None:
        _, message = _refused("ListEndpoints", {"MaxResults": 101})
        assert message == (
            "1 validation error detected: Value '101' at 'maxResults' failed to satisfy "
            "constraint: Member must have value less than or equal to 100"
        )

    def test_have_a_word_that_is_not_known(self) -> None:
        variant = {
            "VariantName": "a",
            "ModelName": "m",
            "InitialInstanceCount": 0,
            "InstanceType": "ml.nothing",
        }
        body = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
        _, message = _refused("CreateEndpointConfig", body)
        assert message.startswith("2 validation errors detected: ")
        place = "productionVariants.1.member"
        assert f"Value '0' at '{place}.initialInstanceCount' failed" in message
        assert f"Value 'ml.nothing' at '{place}.instanceType' failed to satisfy" in message
        assert "Member must satisfy enum value set: [" in message

    def test_have_a_value_that_does_not_match_its_pattern(self) -> None:
        _, message = _refused("DescribeEndpoint", {"EndpointName": "-a"})
        assert "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*" in message

    def test_have_values_of_another_type(self) -> None:
        refused = _refused("DescribeEndpoint", {"EndpointName": 7})
        assert refused == (
            "SerializationException",
            "NUMBER_VALUE can not be converted to a String",
        )
        code, _ = _refused("ListEndpoints", {"MaxResults": "7"})
        assert code == "SerializationException"
        code, _ = _refused("ListEndpoints", {"CreationTimeAfter": "yesterday"})
        assert code == "SerializationException"

    def test_are_no_json(self) -> None:
        assert _refused("DescribeEndpoint", b'{"EndpointName": ')[0] == "SerializationException"

    def test_may_have_members_that_nobody_knows(self) -> None:
        assert _post("ListEndpoints", {"Colour": "red"}).json() == {"Endpoints": []}

    def test_may_have_members_without_value(self) -> None:
        assert _post("ListEndpoints", {"NextToken": None}).json() == {"Endpoints": []}

    @pytest.mark.parametrize("target", ["SageMaker", "SomethingElse"])
    def test_ask_for_what_the_service_does_not_have(self, target: str) -> None:
        answer = _post("DescribeMoon", {}, target=target)
        assert answer.status_code == 404
        assert answer.json()["__type"] == "UnknownOperationException"

    def test_ask_for_what_the_simulation_does_not_have(self) -> None:
        answer = _post("ListTrainingJobs", {})
        assert (answer.status_code, answer.json()["message"]) == (
            404,
            "Unknown operation ListTrainingJobs",
        )

    def test_are_served_with_the_validation_word_of_their_service(self) -> None:
        code, _ = _refused("GetMetricData", {}, signed_for="monitoring")
        assert code == "ValidationError"

    def test_without_the_signature_of_aws_are_for_the_other_cloud(self) -> None:
        with httpx2.Client(transport=InProcessTransport(WireScene().world)) as client:
            answer = client.post("http://aws.test/", headers={"x-amz-target": "SageMaker.ListX"})
        assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


class TestTheQueryProtocol:
    def test_carries_lists_of_structures(self) -> None:
        sts = WireScene().client("sts")
        role = f"arn:aws:iam::{ACCOUNT}:role/observer"
        rows = [{"Key": "team", "Value": "search"}, {"Key": "bad\x07", "Value": ""}]
        sts.assume_role(RoleArn=role, RoleSessionName="me", Tags=rows[:1])
        with pytest.raises(ClientError) as error:
            sts.assume_role(RoleArn=role, RoleSessionName="me", Tags=rows)
        code, message, status = refused(error.value)
        assert (code, status) == ("ValidationError", 400)
        assert "at 'tags.2.member.key' failed to satisfy constraint" in message

    def test_is_spoken_where_a_service_still_knows_it(self) -> None:
        scene = WireScene()
        scene.add("chat")
        scene.pass_time(hours=1)
        form = {
            "Action": "ListMetrics",
            "Version": "2010-08-01",
            "MetricName": "CPUUtilization",
            "Dimensions.member.1.Name": "EndpointName",
            "Dimensions.member.1.Value": "chat",
            "Dimensions.member.2.Name": "VariantName",
        }
        scope = f"{KEY}/20260302/{REGION}/monitoring/aws4_request"
        signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"}
        with httpx2.Client(transport=InProcessTransport(scene.world)) as client:
            answer = client.post("http://aws.test/", data=form, headers=signed)
        shape = operation_model("cloudwatch", "ListMetrics").output_shape
        found = create_parser("query").parse(
            {"status_code": 200, "headers": answer.headers, "body": answer.content}, shape
        )
        (row,) = found["Metrics"]
        assert row["MetricName"] == "CPUUtilization"
        assert {one["Value"] for one in row["Dimensions"]} == {"chat", "AllTraffic"}

    def test_refuses_actions_that_are_not_known(self) -> None:
        scope = f"{KEY}/20260302/{REGION}/sts/aws4_request"
        signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"}
        with httpx2.Client(transport=InProcessTransport(WireScene().world)) as client:
            answer = client.post("http://aws.test/", data={"Action": "Nothing"}, headers=signed)
        assert answer.status_code == 400
        assert "<Code>InvalidAction</Code>" in answer.text


class TestTimestamps:
    def test_are_seconds_in_json(self) -> None:
        scene = WireScene()
        scene.pass_time(milliseconds=1250)
        scene.add("chat", created_at=scene.world.now)
        raw: list[bytes] = []
        sagemaker = scene.client("sagemaker")
        sagemaker.meta.events.register(
            "response-received.sagemaker.DescribeEndpoint",
            lambda response_dict, **_: raw.append(response_dict["body"]),
        )
        found = sagemaker.describe_endpoint(EndpointName="chat")
        assert json.loads(raw[0])["CreationTime"] == 1772409601.25
        assert found["CreationTime"] == datetime(2026, 3, 2, 0, 0, 1, 250_000, UTC)

    def test_of_requests_are_understood(self) -> None:
        scene = WireScene()
        scene.add("old")
        scene.pass_time(hours=2)
        scene.add("new")
        rows = scene.client("sagemaker").list_endpoints(
            CreationTimeAfter=datetime(2026, 3, 2, 1, tzinfo=UTC)
        )["Endpoints"]
        assert [row["EndpointName"] for row in rows] == ["new"]


class TestAnswers:
    SHAPE = operation_model("sagemaker", "DescribeEndpoint").output_shape
    GOOD: ClassVar[dict[str, Any]] = {
        "EndpointName": "chat",
        "EndpointArn": "arn",
        "EndpointStatus": "InService",
        "CreationTime": datetime(2026, 3, 2, tzinfo=UTC),
        "LastModifiedTime": datetime(2026, 3, 2, tzinfo=UTC),
    }

    def test_that_are_in_the_model_pass(self) -> None:
        check_answer(self.SHAPE, self.GOOD, "DescribeEndpoint")

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"Colour": "red"}, "DescribeEndpoint: DescribeEndpointOutput has no Colour"),
            ({"EndpointName": 7}, "DescribeEndpoint.EndpointName: int, not string"),
            ({"EndpointName": None}, "DescribeEndpoint.EndpointName: NoneType, not string"),
            ({"EndpointStatus": "Asleep"}, "'Asleep' is not a word of EndpointStatus"),
            ({"CreationTime": datetime(2026, 3, 2)}, "an instant without a zone"),  # noqa: DTZ001 - refused
            (
                {"ProductionVariants": [{"VariantName": "a", "CurrentInstanceCount": True}]},
                "ProductionVariants[0].CurrentInstanceCount: bool, not integer",
            ),
            ({"ProductionVariants": [{}]}, "ProductionVariantSummary lacks VariantName"),
        ],
    )
    def test_that_are_not_raise(self, change: dict[str, Any], complaint: str) -> None:
        with pytest.raises(AnswerShapeError, match=re.escape(complaint)):
            check_answer(self.SHAPE, {**self.GOOD, **change}, "DescribeEndpoint")

    def test_that_lack_a_required_member_raise(self) -> None:
        bare = {key: value for key, value in self.GOOD.items() if key != "EndpointArn"}
        with pytest.raises(AnswerShapeError, match="lacks EndpointArn"):
            check_answer(self.SHAPE, bare, "DescribeEndpoint")

    def test_of_handlers_are_held_against_the_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spoilt = {**HANDLERS, ("sagemaker", "ListEndpoints"): (lambda _: {"Endpoint": []}, False)}
        monkeypatch.setattr("orchestrator.sandbox.aws.api.HANDLERS", spoilt)
        with pytest.raises(AnswerShapeError, match="has no Endpoint"):
            WireScene().client("sagemaker").list_endpoints()


class TestTheModel:
    @pytest.mark.parametrize("service", SERVICES)
    def test_is_spoken_by_boto3_in_a_protocol_that_is_known(self, service: str) -> None:
        assert service_model(service).resolved_protocol in {"json", "query", "rest-json"}

    @pytest.mark.parametrize(("service", "operation"), sorted(HANDLERS))
    def test_has_every_operation_that_is_handled(self, service: str, operation: str) -> None:
        assert service in SERVICES
        assert operation in service_model(service).operation_names

    def test_has_patterns_that_python_understands(self) -> None:
        texts = {text for key in HANDLERS for text in _patterns(*key)}
        assert all(pattern(text) for text in texts)

    @pytest.mark.parametrize(
        ("text", "good", "bad"),
        [
            (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", "Team Größe_7", "a\x07"),
            (r"\p{Print}+", "my-policy", "a\nb"),
            (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "a--b", "a-"),
            (r"^(?! )[\p{L}\p{N}\p{Z}-_]*(?<! )$", "a b-c", " a"),
            (r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}", "team", "te\x07am"),
            (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\t😀", "a\nb"),
        ],
    )
    def test_has_patterns_of_java(self, text: str, good: str, bad: str) -> None:
        assert pattern(text).fullmatch(good)
        assert pattern(text).fullmatch(bad) is None


def _patterns(service: str, operation: str) -> Iterator[str]:
    model = operation_model(service, operation)
    todo: list[Shape] = [model.input_shape] if model.input_shape else []
    seen: set[str] = set()
    while todo:
        shape = todo.pop()
        if shape.name in seen:
            continue
        seen.add(shape.name)
        if "pattern" in shape.metadata:
            yield shape.metadata["pattern"]
        match shape.type_name:
            case "structure":
                todo += shape.members.values()
            case "list":
                todo.append(shape.member)
            case "map":
                todo += [shape.key, shape.value]


def test_strangers_are_in_the_log_without_a_place() -> None:
    scene = WireScene()
    client = scene.client("sagemaker", key=STRANGER)
    with pytest.raises(client.exceptions.ClientError):
        client.list_endpoints()
    call = scene.world.calls[-1]
    assert call.path == f"/aws/unknown/{REGION}/sagemaker/ListEndpoints"
    assert (call.namespace, call.status, ACCOUNT in call.path) == ("", 400, False)
