"""Connecting accounts from the terminal: whose credentials, which regions, and the first look."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.answers import ACCOUNT, line_with
from tests.cli.conftest import Cli, StubApi, page

NEW: dict[str, Any] = {**ACCOUNT, "health": "new", "observed_at": None, "endpoint_count": 0}
REGIONS = [
    {**NEW, "id": f"acc_{n}", "name": f"prod-{region}", "provider": "sagemaker", "region": region}
    for n, region in enumerate(("eu-west-1", "us-east-1"))
]
SEEN: dict[str, Any] = {"health": "ok", "observed_at": ACCOUNT["observed_at"]}


class TestAdding:
    @pytest.mark.parametrize(
        ("words", "provider", "credential"),
        [
            ((), "huggingface", "env:HF_TOKEN"),
            (("--provider", "sagemaker"), "sagemaker", "aws-default"),
            (("--credential", "aws-profile:prod"), "sagemaker", "aws-profile:prod"),
            (("--credential", "hf-cli"), "huggingface", "hf-cli"),
            (("--credential", "file:/run/keys"), "huggingface", "file:/run/keys"),
            (
                ("--provider", "sagemaker", "--credential", "env:KEYS"),
                "sagemaker",
                "env:KEYS",
            ),
        ],
    )
    def test_kind_and_credential_complete_each_other(
        self,
        api_cli: Cli,
        stub: StubApi,
        words: tuple[str, ...],
        provider: str,
        credential: str,
    ) -> None:
        stub.on("POST", "/v1/accounts", ACCOUNT, status=201)
        assert api_cli("accounts", "add", "acme", *words).code == ExitCode.OK
        body = stub.last("POST", "/v1/accounts").body
        assert (body["provider"], body["credential_ref"]) == (provider, credential)
        assert body["namespace"] == ""

    def test_a_kind_that_only_the_server_knows_needs_a_credential(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        result = api_cli("accounts", "add", "acme", "--provider", "azure")
        assert result.code == ExitCode.USAGE
        assert stub.seen == []

    def test_it_waits_for_the_first_look_and_says_what_was_found(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", "/v1/accounts", NEW, status=201)
        stub.on("GET", "/v1/accounts/acc_1", NEW, NEW, {**NEW, **SEEN, "endpoint_count": 7})
        result = api_cli("accounts", "add", "acme")
        assert result.code == ExitCode.OK
        assert "7 endpoints found" in result.err
        assert line_with(result.out, "endpoints").split() == ["endpoints", "7"]
        asked = [seen for seen in stub.seen if seen.method == "GET"]
        assert len(asked) == 3

    def test_a_first_look_that_fails_ends_the_wait_with_the_reason(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", "/v1/accounts", NEW, status=201)
        refused = {**NEW, "health": "no_access", "health_detail": "the token may not list"}
        stub.on("GET", "/v1/accounts/acc_1", refused)
        result = api_cli("accounts", "add", "acme")
        assert "warning: the first look at acme did not go well: the token may not list" in (
            result.err
        )
        assert len(stub.seen) == 2

    def test_without_an_engine_it_stops_waiting_and_says_so(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", "/v1/accounts", NEW, status=201)
        stub.on("GET", "/v1/accounts/acc_1", NEW)
        result = api_cli("accounts", "add", "acme")
        assert result.code == ExitCode.OK
        assert "is an engine running?" in result.err
        assert len(stub.seen) == 61

    @pytest.mark.parametrize("words", [("--no-wait",), ("--dry-run",)])
    def test_it_does_not_wait_when_told_not_to(
        self, api_cli: Cli, stub: StubApi, words: tuple[str, ...]
    ) -> None:
        answer = {"dry_run": True, "would": {"name": "acme"}} if "--dry-run" in words else NEW
        stub.on("POST", "/v1/accounts", answer, status=201)
        assert api_cli("accounts", "add", "acme", *words).code == ExitCode.OK
        assert [seen.method for seen in stub.seen] == ["POST"]


class TestRegions:
    def test_all_regions_are_connected_at_once_and_waited_for(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", "/v1/accounts/regions", page(*REGIONS), status=201)
        for number, account in enumerate(REGIONS):
            seen = {**account, **SEEN, "endpoint_count": number + 2}
            stub.on("GET", f"/v1/accounts/{account['id']}", seen)
        result = api_cli("accounts", "add", "prod", "--provider", "sagemaker", "--region", "all")
        assert result.code == ExitCode.OK
        assert "region" not in stub.last("POST", "/v1/accounts/regions").body
        assert line_with(result.out, "prod-eu-west-1").split()[3:5] == ["eu-west-1", "2"]
        assert "5 endpoints found in 2 accounts" in result.err

    def test_one_region_is_sent_as_it_is(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("POST", "/v1/accounts", {**ACCOUNT, "region": "eu-west-1"}, status=201)
        words = ("--provider", "sagemaker", "--region", "eu-west-1")
        result = api_cli("accounts", "add", "prod", *words)
        assert stub.last("POST", "/v1/accounts").body["region"] == "eu-west-1"
        assert line_with(result.out, "eu-west-1").split() == ["region", "eu-west-1"]

    def test_all_regions_cannot_be_found_unasked(self, api_cli: Cli, stub: StubApi) -> None:
        words = ("--provider", "sagemaker", "--region", "all", "--no-verify")
        assert api_cli("accounts", "add", "prod", *words).code == ExitCode.USAGE
        assert stub.seen == []


class TestShowing:
    def test_calls_and_the_cost_of_counting_are_shown(self, api_cli: Cli, stub: StubApi) -> None:
        calls = {"ListEndpoints": 10, "DescribeEndpoint": 1200, "ListTags": 5, "Get": 7}
        usage = {
            "endpoints": 12,
            "every_seconds": 300,
            "price_per_month": {"amount": "3.150000000", "currency": "USD"},
            "cap_per_month": {"amount": "5.000000000", "currency": "USD"},
        }
        told = {"calls": calls, "calls_since": "2026-03-01T00:00:00Z", "usage": usage}
        stub.on("GET", "/v1/accounts/acme", {**ACCOUNT, **told})
        out = api_cli("accounts", "show", "acme").out
        line = line_with(out, "1,222 since")
        assert line.endswith("most: DescribeEndpoint 1,200, ListEndpoints 10, Get 7")
        assert "requests of 12 endpoints every 5 min, $3.15 a month, most $5.00" in out

    def test_a_long_health_text_is_cut_in_the_list_and_whole_when_shown(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        told = {**ACCOUNT, "health": "no_access", "health_detail": "refused " * 20 + "at last"}
        stub.on("GET", "/v1/accounts", page(told))
        stub.on("GET", "/v1/accounts/acme", told)
        listed = api_cli("accounts", "list").out
        assert "no_access: refused" in listed
        assert "at last" not in listed
        assert "at last" in api_cli("accounts", "show", "acme").out

    def test_regions_are_a_column_only_where_there_are_some(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", "/v1/accounts", page({**ACCOUNT, "region": ""}), page(*REGIONS))
        assert "region" not in api_cli("accounts", "list").out
        assert "us-east-1" in api_cli("accounts", "list").out
