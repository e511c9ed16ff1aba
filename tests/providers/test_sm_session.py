"""The session of the SageMaker driver: retries, pages, keys, and botocore on a bridge."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import (
    AmbiguousError,
    CredentialsError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.permit import WithdrawnError, ask_again, standing
from orchestrator.providers.sagemaker.clients import Clients, price_region
from orchestrator.providers.sagemaker.credentials import Reference
from orchestrator.providers.sagemaker.options import SageMakerOptions
from orchestrator.providers.sagemaker.session import AwsSession
from tests.providers.aws_wire import (
    ACCOUNT,
    DATE,
    NOW,
    REGION,
    SECRET,
    SESSION_TOKEN,
    AwsWire,
    caller,
    refusal,
)

ROW = {"EndpointName": "demo"}


def describe(session: AwsSession) -> dict[str, Any]:
    return session.read("sagemaker", "DescribeEndpoint", EndpointName="demo")


class TestReads:
    def test_a_request_is_signed_with_the_keys_and_carries_our_name(self) -> None:
        wire = AwsWire(DescribeEndpoint=ROW)
        assert describe(wire.session())["EndpointName"] == "demo"
        headers = wire.raw[0].headers
        assert "Credential=AKIAEXAMPLE/" in headers["authorization"]
        assert headers["x-amz-security-token"] == SESSION_TOKEN
        assert "endpoint-orchestrator/" in headers["user-agent"]
        assert wire.requests == [("sagemaker:DescribeEndpoint", {"EndpointName": "demo"})]

    def test_the_clouds_clock_is_kept(self) -> None:
        session = AwsWire(DescribeEndpoint=ROW).session()
        assert session.cloud_time is None
        describe(session)
        assert session.cloud_time == datetime(2026, 9, 1, 12, 0, 5, tzinfo=UTC)

    def test_an_outage_is_tried_again_in_virtual_time(self) -> None:
        wire = AwsWire(DescribeEndpoint=[refusal("InternalFailure", status=500), ROW])
        assert describe(wire.session())["EndpointName"] == "demo"
        assert wire.slept == [0.5]

    def test_it_gives_up_after_three_attempts(self) -> None:
        wire = AwsWire(DescribeEndpoint=httpx2.ConnectError("no route"))
        with pytest.raises(UnavailableError, match="not reached"):
            describe(wire.session())
        assert (len(wire.requests), wire.slept) == (3, [0.5, 1.0])

    def test_the_number_of_attempts_is_an_option(self) -> None:
        wire = AwsWire(DescribeEndpoint=httpx2.ReadTimeout("slow"))
        with pytest.raises(UnavailableError):
            describe(wire.session(max_attempts="1"))
        assert len(wire.requests) == 1

    def test_a_wait_that_is_asked_for_is_kept_if_it_is_short(self) -> None:
        throttled = refusal("ThrottlingException", "Rate exceeded", retry_after="3")
        wire = AwsWire(DescribeEndpoint=[throttled, ROW])
        describe(wire.session())
        assert wire.slept == [3.0]

    def test_a_long_wait_is_left_to_the_caller(self) -> None:
        throttled = refusal("ThrottlingException", "Rate exceeded", retry_after="300")
        wire = AwsWire(DescribeEndpoint=throttled)
        with pytest.raises(ThrottledError) as caught:
            describe(wire.session())
        assert caught.value.retry_after == timedelta(minutes=5)
        assert wire.slept == []

    def test_unknown_fields_are_in_the_raw_answer(self) -> None:
        wire = AwsWire(DescribeEndpoint={**ROW, "Surprise": {"a": 1}})
        parsed, raw = wire.session().read_raw("sagemaker", "DescribeEndpoint", EndpointName="demo")
        assert "Surprise" not in parsed
        assert raw["Surprise"] == {"a": 1}

    def test_raw_answers_of_threads_do_not_mix(self) -> None:
        wire = AwsWire(DescribeEndpoint=lambda params: {**ROW, "Of": params["EndpointName"]})
        session, found = wire.session(), {}
        gate = threading.Barrier(4)

        def look(name: str) -> None:
            gate.wait()
            _, raw = session.read_raw("sagemaker", "DescribeEndpoint", EndpointName=name)
            found[name] = raw["Of"]

        threads = [threading.Thread(target=look, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {name: name for name in "abcd"}


class TestChanges:
    @pytest.mark.parametrize(
        "answer",
        [
            refusal("InternalFailure", status=500),
            httpx2.ReadTimeout("slow"),
            httpx2.RemoteProtocolError("closed"),
            httpx2.Response(200, text='{"EndpointArn": "arn:'),
        ],
    )
    def test_a_change_in_doubt_is_sent_once(self, answer: Any) -> None:
        wire = AwsWire(DeleteEndpoint=answer, CreateEndpoint=answer)
        with pytest.raises(AmbiguousError):
            wire.session().change(
                "sagemaker", "CreateEndpoint", EndpointName="demo", EndpointConfigName="c"
            )
        assert (len(wire.requests), wire.slept) == (1, [])

    @pytest.mark.parametrize("failure", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no")])
    def test_a_change_that_was_not_received_is_no_doubt(self, failure: Exception) -> None:
        wire = AwsWire(DeleteEndpoint=failure)
        with pytest.raises(UnavailableError):
            wire.session().change("sagemaker", "DeleteEndpoint", EndpointName="demo")
        assert len(wire.requests) == 1

    def test_an_empty_answer_to_a_change_without_output_is_success(self) -> None:
        wire = AwsWire(DeleteEndpoint=httpx2.Response(200))
        wire.session().change("sagemaker", "DeleteEndpoint", EndpointName="demo")
        assert wire.asked == {"sagemaker:DeleteEndpoint": 1}

    def test_what_waits_for_its_pace_is_asked_for_after_that(self) -> None:
        """Somebody wants something else while the call waits: it is not sent."""
        throttled = refusal("ThrottlingException", "Rate exceeded", retry_after="3")
        wire = AwsWire(DeleteEndpoint=throttled)
        session = wire.session()

        def check() -> None:
            if wire.slept:
                raise WithdrawnError("paused instead")

        with standing(check):
            with pytest.raises(ThrottledError):
                session.change("sagemaker", "DeleteEndpoint", EndpointName="demo")
            ask_again()
            with pytest.raises(WithdrawnError):
                session.change("sagemaker", "DeleteEndpoint", EndpointName="demo")
        assert (wire.slept, len(wire.requests)) == ([3.0], 1)


class TestPages:
    def test_all_pages_are_read_past_empty_ones(self) -> None:
        pages: list[dict[str, Any]] = [
            {"Endpoints": [{"EndpointName": "a"}], "NextToken": "1"},
            {"Endpoints": [], "NextToken": "2"},
            {"Endpoints": [{"EndpointName": "b"}]},
        ]
        wire = AwsWire(ListEndpoints=pages)
        found = list(wire.session().pages("sagemaker", "ListEndpoints", "Endpoints"))
        assert [item["EndpointName"] for item in found] == ["a", "b"]
        assert [params.get("NextToken") for _, params in wire.requests] == [None, "1", "2"]

    def test_going_round_in_circles_is_noticed(self) -> None:
        wire = AwsWire(ListEndpoints={"Endpoints": [], "NextToken": "1"})
        with pytest.raises(UnavailableError, match="came back"):
            list(wire.session().pages("sagemaker", "ListEndpoints", "Endpoints"))
        assert len(wire.requests) == 2

    def test_a_page_without_its_list_is_not_an_empty_one(self) -> None:
        wire = AwsWire(ListEndpoints={})
        with pytest.raises(UnavailableError, match="has no Endpoints"):
            list(wire.session().pages("sagemaker", "ListEndpoints", "Endpoints"))

    def test_tags_have_their_own_word_for_the_token(self) -> None:
        pages = [
            {"ResourceTagMappingList": [{"ResourceARN": "a"}], "PaginationToken": "1"},
            {"ResourceTagMappingList": [{"ResourceARN": "b"}], "PaginationToken": ""},
        ]
        wire = AwsWire().on("tagging:GetResources", list(pages))
        found = wire.session().pages(
            "resourcegroupstaggingapi", "GetResources", "ResourceTagMappingList"
        )
        assert len(list(found)) == 2
        assert wire.requests[1][1]["PaginationToken"] == "1"


class TestAccount:
    def test_the_account_is_asked_once(self) -> None:
        wire = AwsWire()
        session = wire.session()
        assert session.account_id == session.account_id == ACCOUNT
        assert wire.asked == {"sts:GetCallerIdentity": 1}

    def test_keys_of_another_account_are_refused(self) -> None:
        wire = AwsWire().on("sts:GetCallerIdentity", caller("999999999999"))
        with pytest.raises(CredentialsError, match="999999999999, not to 123456789012"):
            wire.session().verify_account()

    def test_names_in_arns_are_small(self) -> None:
        session = AwsWire().session()
        assert session.arn("endpoint", "Demo") == (
            "arn:aws:sagemaker:us-east-1:123456789012:endpoint/demo"
        )
        assert session.partition == "aws"

    def test_calls_are_counted_by_attempt_until_asked(self) -> None:
        wire = AwsWire(DescribeEndpoint=[refusal("InternalFailure", status=500), ROW])
        session = wire.session()
        describe(session)
        assert session.calls() == {"sagemaker:DescribeEndpoint": 2}
        assert session.calls() == {}

    def test_it_knows_the_regions_without_a_call(self) -> None:
        wire = AwsWire()
        assert {"us-east-1", "eu-west-1"} <= set(wire.session().regions())
        assert wire.requests == []

    @pytest.mark.parametrize(
        ("region", "expected"),
        [
            ("us-west-2", "us-east-1"),
            ("eu-west-3", "eu-central-1"),
            ("ap-northeast-1", "ap-south-1"),
            ("cn-north-1", "cn-northwest-1"),
            ("sa-east-1", "us-east-1"),
        ],
    )
    def test_prices_are_asked_where_they_are_served(self, region: str, expected: str) -> None:
        assert price_region(region) == expected

    def test_after_closing_it_opens_again(self) -> None:
        wire = AwsWire(DescribeEndpoint=ROW)
        session = wire.session()
        describe(session)
        session.close()
        assert describe(session)["EndpointName"] == "demo"


class TestKeys:
    def test_they_are_resolved_for_every_call(self) -> None:
        keys = iter(["AKIAEXAMPLE1:s", "AKIAEXAMPLE1:s", "AKIAEXAMPLE2:s", "AKIAEXAMPLE2:s"])
        wire = AwsWire(DescribeEndpoint=ROW)
        session = wire.session(resolve=lambda _: next(keys))
        describe(session)
        describe(session)
        signed = [request.headers["authorization"].split("/")[0] for request in wire.raw]
        assert [text[-12:] for text in signed] == ["AKIAEXAMPLE1", "AKIAEXAMPLE2"]

    @pytest.mark.parametrize("text", ["AKIAEXAMPLE", "a:b:c:d", ":secret", "a:", ""])
    def test_another_form_is_named_without_the_text(self, text: str) -> None:
        with pytest.raises(CredentialsError, match="ACCESS_KEY_ID:SECRET") as caught:
            describe(AwsWire().session(resolve=lambda _: text))
        assert "AKIAEXAMPLE" not in str(caught.value)

    def test_a_profile_is_read_from_the_configuration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "credentials"
        path.write_text("[team]\naws_access_key_id=AKIAEXAMPLE9\naws_secret_access_key=s\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
        wire = AwsWire(DescribeEndpoint=ROW)
        describe(wire.session(reference="aws-profile:team"))
        assert "AKIAEXAMPLE9" in wire.raw[0].headers["authorization"]
        with pytest.raises(CredentialsError, match="nobody"):
            describe(wire.session(reference="aws-profile:nobody"))

    def test_a_role_is_assumed_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE0")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        wire = AwsWire(DescribeEndpoint=ROW).on("sts:AssumeRole", assumed_role())
        reference = "aws-role:arn:aws:iam::123456789012:role/watcher?external_id=e-1"
        session = wire.session(reference=reference)
        describe(session)
        describe(session)
        assert wire.asked == {"sts:AssumeRole": 1, "sagemaker:DescribeEndpoint": 2}
        assert wire.requests[0][1]["ExternalId"] == "e-1"
        assert "AKIAEXAMPLE7" in wire.raw[1].headers["authorization"]

    def test_a_role_that_may_not_be_assumed_is_no_doubt(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE0")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        wire = AwsWire().on("sts:AssumeRole", httpx2.Response(500, text="<Error/>"))
        session = wire.session(reference="aws-role:arn:aws:iam::123456789012:role/watcher")
        with pytest.raises(UnavailableError, match="sts:AssumeRole"):
            session.change("sagemaker", "DeleteEndpoint", EndpointName="demo")

    @pytest.mark.parametrize("text", ["aws-profile:", "aws-role:watcher", "aws-role:arn:a?x=1"])
    def test_a_wrong_reference_is_named(self, text: str) -> None:
        with pytest.raises(ValueError, match="credential reference"):
            Reference.read(text)

    def test_nothing_shows_the_keys(self) -> None:
        session = AwsWire(DescribeEndpoint=ROW).session()
        describe(session)
        assert SECRET not in repr([session, vars(session)])


def assumed_role() -> httpx2.Response:
    expires = (NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleResult><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId>"
        "<Arn>arn:aws:sts::123456789012:assumed-role/watcher/b</Arn></AssumedRoleUser>"
        "<Credentials><AccessKeyId>AKIAEXAMPLE7</AccessKeyId><SecretAccessKey>s"
        f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{expires}</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    return httpx2.Response(200, text=text, headers={"date": DATE})


class TestRealTransport:
    def test_botocore_sends_once_so_that_one_place_decides_what_is_sent_again(self) -> None:
        account = ProviderAccount("1", "a", "sagemaker", ACCOUNT, REGION, "env:X")
        hooks = ProviderHooks(AwsWire().clock, resolve=lambda _: "AKIAEXAMPLE:s")
        options = SageMakerOptions.read({"read_timeout_s": "7", "max_attempts": "4"})
        clients = Clients(account, hooks, options)
        reads = clients.get("sts").meta.config
        assert reads.retries == {"mode": "standard", "total_max_attempts": 1}
        assert (reads.connect_timeout, reads.read_timeout) == (5.0, 7.0)
        assert reads.max_pool_connections >= 16
        clients.close()

    def test_a_threads_first_calls_share_one_client(self) -> None:
        account = ProviderAccount("1", "a", "sagemaker", ACCOUNT, REGION, "env:X")
        hooks = ProviderHooks(AwsWire().clock, resolve=lambda _: "AKIAEXAMPLE:s")
        clients, found = Clients(account, hooks, SageMakerOptions()), []
        threads = [
            threading.Thread(target=lambda: found.append(clients.get("sts"))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(client) for client in found}) == 1
        clients.close()
