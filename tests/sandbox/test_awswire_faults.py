"""Every fault of the plan, met by boto3: in process and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from orchestrator.sandbox import faults
from orchestrator.sandbox.accounts import token_id
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.journal import Journal
from tests.sandbox.aws_clients import (
    ACCOUNT,
    KEY,
    REGION,
    WireScene,
    in_process,
    over_http,
    refused,
)

DELETE, DESCRIBE, LIST = "DeleteEndpoint$", "DescribeEndpoint$", "ListEndpoints$"


@pytest.fixture(params=[in_process, over_http], ids=["in-process", "http"])
def wire(request: pytest.FixtureRequest) -> Iterator[WireScene]:
    with request.param() as scene:
        scene.add("chat")
        yield scene


def _names(scene: WireScene) -> list[str]:
    rows = scene.client("sagemaker").list_endpoints(MaxResults=100)["Endpoints"]
    return [row["EndpointName"] for row in rows]


class TestLostAnswers:
    @pytest.mark.parametrize(
        ("fault", "expected", "committed"),
        [
            (faults.timeout_before(), ReadTimeoutError, False),
            (faults.timeout_after(), ReadTimeoutError, True),
            (faults.drop_before(), ConnectionClosedError, False),
            (faults.drop_after(), ConnectionClosedError, True),
            (faults.truncate(), ConnectionClosedError, True),
        ],
        ids=lambda value: getattr(value, "kind", ""),
    )
    def test_may_have_committed(
        self, wire: WireScene, fault: Fault, expected: type[Exception], committed: bool
    ) -> None:
        wire.world.faults.add(fault, method="POST", path=DELETE, count=1)
        timeout = 0.5 if expected is ReadTimeoutError else 30
        with pytest.raises(expected):
            wire.client("sagemaker", timeout=timeout).delete_endpoint(EndpointName="chat")
        call = wire.world.calls[-1]
        assert (call.mutating, call.committed, call.delivered) == (True, committed, False)
        assert (call.namespace, call.name, call.token_id) == (ACCOUNT, "chat", token_id(KEY))
        status = wire.aws.endpoint(ACCOUNT, REGION, "chat").status
        assert status == ("Deleting" if committed else "InService")

    def test_break_off_within_a_body(self, wire: WireScene) -> None:
        wire.world.faults.add(faults.truncate(), path=DESCRIBE, count=1)
        sagemaker = wire.client("sagemaker")
        if wire.url is None:
            with pytest.raises(ConnectionClosedError):
                sagemaker.describe_endpoint(EndpointName="chat")
        else:
            # botocore neither counts the bytes of an answer nor minds half an object of JSON.
            assert set(sagemaker.describe_endpoint(EndpointName="chat")) == {"ResponseMetadata"}
        assert not wire.world.calls[-1].delivered
        assert sagemaker.describe_endpoint(EndpointName="chat")["EndpointStatus"] == "InService"


class TestErrorAnswers:
    @pytest.mark.parametrize("after", [False, True])
    def test_come_before_or_after_the_change(self, wire: WireScene, after: bool) -> None:
        fault = faults.error(500, "Something went wrong", after_commit=after)
        wire.world.faults.add(fault, path=DELETE, count=1)
        with pytest.raises(ClientError) as error:
            wire.client("sagemaker").delete_endpoint(EndpointName="chat")
        assert refused(error.value) == ("InternalFailure", "Something went wrong", 500)
        assert wire.world.calls[-1].committed is after
        status = wire.aws.endpoint(ACCOUNT, REGION, "chat").status
        assert status == ("Deleting" if after else "InService")

    def test_have_any_code(self, wire: WireScene) -> None:
        fault = faults.aws_error("ExpiredTokenException", "The security token is expired")
        wire.world.faults.add(fault, count=2)
        with pytest.raises(ClientError) as json_error:
            wire.client("sagemaker").list_endpoints()
        with pytest.raises(ClientError) as query_error:
            wire.client("sts").get_caller_identity()
        expected = ("ExpiredTokenException", "The security token is expired", 400)
        assert refused(json_error.value) == refused(query_error.value) == expected

    @pytest.mark.parametrize(
        ("status", "code"), [(429, "TooManyRequestsException"), (503, "ServiceUnavailable")]
    )
    def test_have_a_code_by_their_status(self, wire: WireScene, status: int, code: str) -> None:
        wire.world.faults.add(faults.error(status, "Later", retry_after=9), count=1)
        with pytest.raises(ClientError) as error:
            wire.client("account").list_regions()
        assert refused(error.value) == (code, "Later", status)
        assert error.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "9"


class TestSlowAnswers:
    def test_come_late(self, wire: WireScene) -> None:
        wire.world.faults.add(faults.slow(0.05), count=1)
        assert _names(wire) == ["chat"]

    def test_time_out_when_they_take_too_long(self, wire: WireScene) -> None:
        wire.world.faults.add(faults.slow(60), path=DELETE)
        with pytest.raises(ReadTimeoutError):
            wire.client("sagemaker", timeout=0.5).delete_endpoint(EndpointName="chat")
        assert wire.aws.endpoint(ACCOUNT, REGION, "chat").status == "Deleting"


class TestFalseAnswers:
    def test_show_what_was(self, wire: WireScene) -> None:
        wire.pass_time(hours=1)
        sagemaker = wire.client("sagemaker")
        sagemaker.delete_endpoint(EndpointName="chat")
        wire.world.faults.add(faults.stale_read(60), path=DESCRIBE, count=1)
        states = [
            sagemaker.describe_endpoint(EndpointName="chat")["EndpointStatus"] for _ in range(2)
        ]
        assert states == ["InService", "Deleting"]

    def test_have_words_that_nobody_knows(self, wire: WireScene) -> None:
        wire.add("other")
        wire.world.faults.add(faults.unknown_state("Hibernating", name="chat"))
        sagemaker = wire.client("sagemaker")
        rows = sagemaker.list_endpoints(SortBy="Name", SortOrder="Ascending")["Endpoints"]
        assert [row["EndpointStatus"] for row in rows] == ["Hibernating", "InService"]
        found = sagemaker.describe_endpoint(EndpointName="chat")
        assert found["EndpointStatus"] == "Hibernating"

    def test_lack_a_field(self, wire: WireScene) -> None:
        field = "ProductionVariants.0.CurrentInstanceCount"
        wire.world.faults.add(faults.missing_field(field), path=DESCRIBE, count=1)
        sagemaker = wire.client("sagemaker")
        rows = [
            sagemaker.describe_endpoint(EndpointName="chat")["ProductionVariants"][0]
            for _ in range(2)
        ]
        assert ["CurrentInstanceCount" in row for row in rows] == [False, True]

    def test_have_a_field_too_many(self, wire: WireScene) -> None:
        wire.world.faults.add(faults.extra_field("Hibernation", "On"), path=DESCRIBE)
        seen: list[bytes] = []
        sagemaker = wire.client("sagemaker")
        sagemaker.meta.events.register(
            "response-received.sagemaker.DescribeEndpoint",
            lambda response_dict, **_: seen.append(response_dict["body"]),
        )
        assert "Hibernation" not in sagemaker.describe_endpoint(EndpointName="chat")
        assert b'"Hibernation":"On"' in seen[0]


class TestFalseListings:
    def test_lose_items(self, wire: WireScene) -> None:
        wire.add("other")
        wire.world.faults.add(faults.partial_listing(1), path=LIST, count=1)
        assert len(_names(wire)) == 1
        assert len(_names(wire)) == 2

    def test_lose_the_next_page(self, wire: WireScene) -> None:
        for number in range(12):
            wire.add(f"e-{number}")
        wire.world.faults.add(faults.partial_listing(0, lose_cursor=True), path=LIST)
        pages = wire.client("sagemaker").get_paginator("list_endpoints").paginate()
        assert [len(page["Endpoints"]) for page in pages] == [10]

    def test_are_empty(self, wire: WireScene) -> None:
        wire.world.faults.add(faults.empty_listing(), path=LIST, count=1)
        assert _names(wire) == []
        assert _names(wire) == ["chat"]

    def test_shift_between_pages(self, wire: WireScene) -> None:
        for number in range(14):
            wire.add(f"e-{number}")
        wire.world.faults.add(faults.shifting_pages(), path=LIST)
        pages = wire.client("sagemaker").get_paginator("list_endpoints").paginate()
        assert sum(len(page["Endpoints"]) for page in pages) == 14


class TestRules:
    def test_match_the_path_of_an_operation(self, wire: WireScene) -> None:
        path = f"^/aws/{ACCOUNT}/{REGION}/sagemaker/DescribeEndpoint$"
        rule = wire.world.faults.add(faults.drop_before(), path=path)
        assert _names(wire) == ["chat"]
        with pytest.raises(ConnectionClosedError):
            wire.client("sagemaker").describe_endpoint(EndpointName="chat")
        assert rule.fired == 1

    def test_leave_the_other_cloud_alone(self, wire: WireScene) -> None:
        rule = wire.world.faults.add(faults.error(500), path="^/v2/")
        assert _names(wire) == ["chat"]
        assert rule.fired == 0


class TestTheLog:
    def test_has_every_call_with_what_it_did(self, wire: WireScene) -> None:
        sagemaker = wire.client("sagemaker")
        sagemaker.describe_endpoint(EndpointName="chat")
        sagemaker.delete_endpoint(EndpointName="chat")
        with pytest.raises(ClientError):
            sagemaker.delete_endpoint(EndpointName="nothing")
        prefix = f"/aws/{ACCOUNT}/{REGION}/sagemaker"
        shown = [(one.path, one.name, one.status, one.committed) for one in wire.world.calls]
        assert shown == [
            (f"{prefix}/DescribeEndpoint", "chat", 200, False),
            (f"{prefix}/DeleteEndpoint", "chat", 200, True),
            (f"{prefix}/DeleteEndpoint", "nothing", 400, False),
        ]
        assert [one.mutating for one in wire.world.calls] == [False, True, True]

    def test_is_replayed_from_the_journal(self, wire: WireScene, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "world.jsonl")
        journal.attach(wire.world)
        wire.client("sagemaker").delete_endpoint(EndpointName="chat")
        again = Journal(journal.path).load()
        assert again.aws.endpoint(ACCOUNT, REGION, "chat").status == "Deleting"
        again.advance_to(again.now + timedelta(hours=1))
        assert "chat" not in again.aws.place(ACCOUNT, REGION).endpoints
