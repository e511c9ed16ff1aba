"""The wire of the simulated AWS, spoken by boto3 itself: in process and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.sandbox.aws.switches import AwsSwitches
from tests.sandbox.aws_clients import (
    ACCOUNT,
    KEY,
    REGION,
    STRANGER,
    WireScene,
    in_process,
    over_http,
    refused,
)


@pytest.fixture(params=[in_process, over_http], ids=["in-process", "http"])
def wire(request: pytest.FixtureRequest) -> Iterator[WireScene]:
    with request.param() as scene:
        yield scene


class TestProtocols:
    def test_json_carries_what_the_model_says(self, wire: WireScene) -> None:
        wire.add("chat", tags={"team": "search"})
        found = wire.client("sagemaker").describe_endpoint(EndpointName="chat")
        assert found["EndpointArn"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/chat"
        assert found["CreationTime"] == wire.world.now
        assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 1

    def test_query_is_what_sts_speaks(self, wire: WireScene) -> None:
        found = wire.client("sts").get_caller_identity()
        assert (found["Account"], found["UserId"]) == (ACCOUNT, KEY)
        assert found["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/acme"

    def test_rest_json_is_what_account_management_speaks(self, wire: WireScene) -> None:
        found = wire.client("account").list_regions(MaxResults=2)
        assert [row["RegionName"] for row in found["Regions"]] == ["eu-central-1", "eu-west-1"]
        assert found["NextToken"]

    def test_json_of_a_service_with_older_protocols(self, wire: WireScene) -> None:
        wire.add("chat")
        wire.pass_time(minutes=5)
        found = wire.client("cloudwatch").list_metrics(MetricName="CPUUtilization")
        assert len(found["Metrics"]) == 1

    def test_tags_come_with_their_resource(self, wire: WireScene) -> None:
        wire.add("chat", tags={"team": "search"})
        tagging = wire.client("resourcegroupstaggingapi")
        rows = tagging.get_resources(ResourceTypeFilters=["sagemaker:endpoint"])
        assert rows["ResourceTagMappingList"] == [
            {
                "ResourceARN": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/chat",
                "Tags": [{"Key": "team", "Value": "search"}],
            }
        ]

    def test_an_operation_without_a_result_answers_with_nothing(self, wire: WireScene) -> None:
        wire.add("chat")
        answer = wire.client("sagemaker").delete_endpoint(EndpointName="chat")
        assert set(answer) == {"ResponseMetadata"}

    def test_every_answer_has_a_date_and_an_id(self, wire: WireScene) -> None:
        meta = [wire.client("sts").get_caller_identity()["ResponseMetadata"] for _ in range(2)]
        assert meta[0]["HTTPHeaders"]["date"] == "Mon, 02 Mar 2026 00:00:00 GMT"
        assert meta[0]["RequestId"] == meta[0]["HTTPHeaders"]["x-amzn-requestid"]
        assert meta[0]["RequestId"] != meta[1]["RequestId"]

    def test_the_date_is_that_of_the_clouds_own_clock(self, wire: WireScene) -> None:
        wire.world.skew_clock(timedelta(minutes=2))
        headers = wire.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
        assert headers["date"] == "Mon, 02 Mar 2026 00:02:00 GMT"

    def test_regions_are_told_apart_by_the_signature(self, wire: WireScene) -> None:
        wire.add("chat")
        assert wire.client("sagemaker").list_endpoints()["Endpoints"]
        assert wire.client("sagemaker", region="eu-west-1").list_endpoints()["Endpoints"] == []


class TestKeys:
    def test_unknown_ones_open_nothing(self, wire: WireScene) -> None:
        with pytest.raises(ClientError) as json_error:
            wire.client("sagemaker", key=STRANGER).list_endpoints()
        with pytest.raises(ClientError) as query_error:
            wire.client("sts", key=STRANGER).get_caller_identity()
        text = "The security token included in the request is invalid."
        assert refused(json_error.value) == ("UnrecognizedClientException", text, 400)
        assert refused(query_error.value) == ("InvalidClientTokenId", text, 403)

    def test_open_no_region_that_is_switched_off(self, wire: WireScene) -> None:
        with pytest.raises(ClientError) as error:
            wire.client("sagemaker", region="me-south-1").list_endpoints()
        assert refused(error.value)[0] == "UnrecognizedClientException"
        assert wire.client("sts", region="me-south-1").get_caller_identity()["Account"] == ACCOUNT

    def test_of_roles_belong_to_the_account_of_the_role(self, wire: WireScene) -> None:
        wire.aws.add_account("210987654321", access_keys={})
        role = "arn:aws:iam::210987654321:role/teams/observer"
        made = wire.client("sts").assume_role(
            RoleArn=role, RoleSessionName="orchestrator", DurationSeconds=900
        )
        assert made["Credentials"]["Expiration"] == datetime(2026, 3, 2, 0, 15, tzinfo=UTC)
        key = made["Credentials"]["AccessKeyId"]
        identity = wire.client("sts", key=key).get_caller_identity()
        assert identity["Account"] == "210987654321"
        assert identity["Arn"].startswith("arn:aws:sts::210987654321:assumed-role/observer/")
        assert wire.client("sagemaker", key=key).list_endpoints()["Endpoints"] == []

    def test_of_roles_in_accounts_that_are_not_known_are_refused(self, wire: WireScene) -> None:
        with pytest.raises(ClientError) as error:
            wire.client("sts").assume_role(
                RoleArn="arn:aws:iam::999999999999:role/observer", RoleSessionName="me"
            )
        assert refused(error.value)[0] == "AccessDenied"


class TestRights:
    def test_missing_ones_are_named_with_principal_and_resource(self, wire: WireScene) -> None:
        wire.add("Chat")
        wire.aws.deny(ACCOUNT, "sagemaker:DeleteEndpoint")
        with pytest.raises(ClientError) as error:
            wire.client("sagemaker").delete_endpoint(EndpointName="Chat")
        assert refused(error.value) == (
            "AccessDeniedException",
            (
                f"User: arn:aws:iam::{ACCOUNT}:user/acme is not authorized to perform: "
                f"sagemaker:DeleteEndpoint on resource: "
                f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/chat because no identity-based "
                "policy allows the sagemaker:DeleteEndpoint action"
            ),
            400,
        )
        assert wire.client("sagemaker").describe_endpoint(EndpointName="Chat")

    @pytest.mark.parametrize(
        ("action", "service", "method", "params"),
        [
            ("tag:GetResources", "resourcegroupstaggingapi", "get_resources", {}),
            ("cloudwatch:ListMetrics", "cloudwatch", "list_metrics", {}),
            ("account:ListRegions", "account", "list_regions", {}),
            ("pricing:GetProducts", "pricing", "get_products", {"ServiceCode": "AmazonSageMaker"}),
            (
                "servicequotas:ListServiceQuotas",
                "service-quotas",
                "list_service_quotas",
                {"ServiceCode": "sagemaker"},
            ),
        ],
    )
    def test_have_the_names_of_iam(
        self, wire: WireScene, action: str, service: str, method: str, params: dict[str, Any]
    ) -> None:
        wire.aws.deny(ACCOUNT, action)
        with pytest.raises(ClientError) as error:
            getattr(wire.client(service), method)(**params)
        code, message, _ = refused(error.value)
        assert code == "AccessDeniedException"
        assert f"perform: {action} on resource: *" in message

    def test_who_am_i_needs_none(self, wire: WireScene) -> None:
        wire.aws.deny(ACCOUNT, "sts:GetCallerIdentity", "sts:AssumeRole")
        sts = wire.client("sts")
        assert sts.get_caller_identity()["Account"] == ACCOUNT
        with pytest.raises(ClientError) as error:
            sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/a", RoleSessionName="me")
        assert refused(error.value)[::2] == ("AccessDenied", 403)


class TestRates:
    def test_are_limited_by_account_and_operation(self) -> None:
        scene = WireScene(switches=AwsSwitches(calls_per_second=0.5, call_burst=2))
        sagemaker = scene.client("sagemaker")
        for _ in range(2):
            sagemaker.list_endpoints()
        with pytest.raises(ClientError) as error:
            sagemaker.list_endpoints()
        assert refused(error.value) == ("ThrottlingException", "Rate exceeded", 400)
        sagemaker.list_models()
        scene.pass_time(seconds=2)
        sagemaker.list_endpoints()
        with pytest.raises(ClientError):
            sagemaker.list_endpoints()

    def test_have_no_limit_unless_one_is_set(self) -> None:
        sagemaker = WireScene().client("sagemaker")
        assert [sagemaker.list_endpoints()["Endpoints"] for _ in range(50)] == [[]] * 50


class TestPages:
    def test_are_walked_by_the_paginators_of_boto3(self, wire: WireScene) -> None:
        for number in range(23):
            wire.add(f"e-{number:02}")
        pages = list(wire.client("sagemaker").get_paginator("list_endpoints").paginate())
        names = [row["EndpointName"] for page in pages for row in page["Endpoints"]]
        assert sorted(names) == [f"e-{number:02}" for number in range(23)]
        assert [len(page["Endpoints"]) for page in pages] == [10, 10, 3]

    def test_waiters_see_a_creation_through(self, wire: WireScene) -> None:
        wire.add("chat", state=None)
        waiter = wire.client("sagemaker").get_waiter("endpoint_in_service")
        wire.pass_time(hours=1)
        waiter.wait(EndpointName="chat")
        with pytest.raises(ClientError):
            wire.client("sagemaker").describe_endpoint(EndpointName="another")
        wire.client("sagemaker").delete_endpoint(EndpointName="chat")
        wire.pass_time(hours=1)
        wire.client("sagemaker").get_waiter("endpoint_deleted").wait(EndpointName="chat")
