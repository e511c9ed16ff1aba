from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.answers import ACCOUNT, EP, FROZEN, HOLD, OFFER, POLICY, SCHEDULE, line_with
from tests.cli.conftest import Cli, StubApi, endpoint, money, operation, page


class TestCreate:
    COMMAND = (
        *("endpoints", "create", "chat", "-a", "acme", "--repository", "acme/model"),
        *("--hardware", OFFER["key"], "--idle", "15", "-l", "team=search"),
    )

    def prepare(self, stub: StubApi) -> None:
        stub.on("GET", "/v1/hardware", page(OFFER))
        price = OFFER["price_per_hour"]
        estimate = {
            "price_per_replica_hour": price,
            "price_per_hour": {**price, "amount": "0"},
            "price_per_hour_most": price,
            "price_per_month": None,
            "price_per_month_most": None,
            "payload": {"task": "text-generation"},
            "warnings": ["the quota is nearly used up"],
        }
        would = {**operation(kind="create"), **estimate}
        stub.on("POST", "/v1/endpoints", {"dry_run": True, "would": would})

    def test_a_dry_run_shows_the_price_and_creates_nothing(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        self.prepare(stub)
        result = api_cli(*self.COMMAND, "--dry-run")
        assert "price: $0.00/h to $0.80/h" in result.out
        assert "per month of 730 h: unpriced" in result.out
        assert "warning: the quota is nearly used up" in result.out
        assert "op_1" not in result.out
        assert [one.param("dry_run") for one in stub.seen if one.method == "POST"] == [["true"]]

    def test_without_a_yes_the_price_is_shown_and_nothing_is_created(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        self.prepare(stub)
        result = api_cli(*self.COMMAND)
        assert result.code == ExitCode.USAGE
        assert "$0.80" in result.err
        assert [one.param("dry_run") for one in stub.seen if one.method == "POST"] == [["true"]]

    def test_the_body_holds_what_was_asked_and_nothing_empty(
        self, api_cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.prepare(stub)
        stub.on("POST", "/v1/endpoints", operation(kind="create"), status=202)
        monkeypatch.setenv("MY_KEY", "hidden-value")
        result = api_cli(*self.COMMAND, "--yes", "--secret", "KEY=env:MY_KEY", "--env", "A=1")
        assert result.code == ExitCode.OK
        assert stub.last("POST", "/v1/endpoints").body == {
            "account": "acme",
            "name": "chat",
            "repository": "acme/model",
            "hardware": {
                "vendor": "aws",
                "region": "us-east-1",
                "instance_type": "nvidia-l4",
                "instance_size": "x1",
                "accelerator": "gpu",
            },
            "scaling": {"min_replicas": 0, "max_replicas": 1, "scale_to_zero_minutes": 15},
            "labels": {"team": "search"},
            "environment": {"A": "1"},
            "secrets": {"KEY": "hidden-value"},
        }
        assert "hidden-value" not in result.out + result.err

    def test_a_secret_of_the_server_is_passed_on_as_a_reference(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        self.prepare(stub)
        stub.on("POST", "/v1/endpoints", operation(kind="create"), status=202)
        api_cli(*self.COMMAND, "--yes", "--server-secret", "KEY=env:THERE")
        assert stub.last("POST", "/v1/endpoints").body["secrets"] == {"KEY": "env:THERE"}
        assert api_cli(*self.COMMAND, "--server-secret", "KEY=abc").code == ExitCode.USAGE

    @pytest.mark.parametrize("value", ["hunter2-value", "env:NOT_SET_ANYWHERE", "file:/nowhere"])
    def test_a_secret_on_the_command_line_is_refused(
        self, api_cli: Cli, stub: StubApi, value: str
    ) -> None:
        self.prepare(stub)
        result = api_cli(*self.COMMAND, "--yes", "--secret", f"KEY={value}")
        assert result.code == ExitCode.USAGE
        assert "hunter2-value" not in result.err
        assert [one for one in stub.seen if one.method == "POST"] == []

    def test_unknown_hardware_names_the_nearest(self, api_cli: Cli, stub: StubApi) -> None:
        self.prepare(stub)
        command = [part.replace("us-east-1", "us-eest-1") for part in self.COMMAND]
        result = api_cli(*command)
        assert result.code == ExitCode.USAGE
        assert OFFER["key"] in result.err


class TestUpdate:
    def test_scaling_is_sent_whole_with_only_the_asked_part_replaced(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint())
        stub.on("PATCH", f"/v1/endpoints/{EP}", operation(kind="update"), status=202)
        api_cli("endpoints", "update", EP, "--max", "4", "--label", "stage=prod")
        body = stub.last("PATCH", f"/v1/endpoints/{EP}").body
        assert body == {
            "labels": {"team": "search", "stage": "prod"},
            "scaling": {"min_replicas": 1, "max_replicas": 4, "scale_to_zero_minutes": None},
        }

    def test_one_that_shall_not_go_to_zero_loses_its_timer(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        timed = {"min_replicas": 0, "max_replicas": 2, "scale_to_zero_minutes": 15}
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint(scaling=timed))
        stub.on("PATCH", f"/v1/endpoints/{EP}", operation(kind="update"), status=202)
        for given, timer in ((("--max", "3"), 15), (("--min", "1"), None)):
            api_cli("endpoints", "update", EP, *given)
            scaling = stub.last("PATCH", f"/v1/endpoints/{EP}").body["scaling"]
            assert scaling["scale_to_zero_minutes"] == timer

    def test_unknown_hardware_names_the_nearest_in_its_own_region(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        away = {**OFFER, "key": "gcp/us-east4/nvidia-l4/x4"}
        larger = {**OFFER, "key": OFFER["key"].replace("x1", "x4")}
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint())
        stub.on("GET", "/v1/hardware", page(away, larger, OFFER))
        result = api_cli("endpoints", "update", EP, "--hardware", "nvidia-l4")
        assert result.code == ExitCode.USAGE
        assert f"did you mean {OFFER['key']}?" in result.err

    def test_labels_can_be_removed(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint())
        stub.on("PATCH", f"/v1/endpoints/{EP}", endpoint())
        api_cli("endpoints", "update", EP, "--unlabel", "team", "--no-protected")
        body = stub.last("PATCH", f"/v1/endpoints/{EP}").body
        assert body == {"labels": {}, "protected": False}

    def test_labels_have_a_command_of_their_own(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint(labels={"team": "a", "stage": "b"}))
        stub.on("PATCH", f"/v1/endpoints/{EP}", endpoint(labels={"team": "search"}))
        result = api_cli("endpoints", "label", EP, "team=search", "--remove", "stage")
        assert stub.last("PATCH", f"/v1/endpoints/{EP}").body == {"labels": {"team": "search"}}
        assert "team=search" in result.out
        assert api_cli("endpoints", "label", EP).code == ExitCode.USAGE

    def test_unknown_bounds_are_not_invented(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint(scaling=None))
        result = api_cli("endpoints", "update", EP, "--max", "4")
        assert result.code == ExitCode.USAGE
        assert "min_replicas" in result.err


class TestSchedules:
    def test_a_schedule_is_described_by_options(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("POST", "/v1/schedules", SCHEDULE, status=201)
        result = api_cli(
            *("schedules", "create", "office", "--timezone", "Europe/Berlin", "--shadow"),
            *("--window", "mon-fri 08:00-19:00", "--match", "team=search", "--drain", "10"),
        )
        assert stub.last("POST", "/v1/schedules").body == {
            "name": "office",
            "timezone": "Europe/Berlin",
            "windows": ["mon-fri 08:00-19:00"],
            "drain_minutes": 10,
            "selector": {"labels": {"team": "search"}},
            "shadow": True,
        }
        assert "the window of Sunday changes nothing" in result.out
        assert "mon,fri 08:00-19:00 keep running" in result.out

    def test_a_schedule_is_read_from_a_file_and_options_win(
        self, api_cli: Cli, stub: StubApi, tmp_path: Path
    ) -> None:
        file = tmp_path / "s.json"
        file.write_text(json.dumps({"timezone": "UTC", "windows": ["daily 00:00-24:00"]}))
        stub.on("POST", "/v1/schedules", SCHEDULE)
        api_cli("schedules", "create", "x", "--file", str(file), "--timezone", "Asia/Tokyo")
        body = stub.last("POST", "/v1/schedules").body
        assert (body["timezone"], body["windows"]) == ("Asia/Tokyo", ["daily 00:00-24:00"])

    def test_a_preview_shows_edges_in_both_clocks_and_the_costs(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        edge = {
            "at_utc": "2026-03-02T07:00:00Z",
            "at_local": "2026-03-02T08:00:00+01:00",
            "wish": "available",
        }
        costs = {
            "name": "search-api",
            "hours_month": "238.3",
            "cost_month": {"amount": "190.64", "currency": "USD"},
            "cost_month_always_on": {"amount": "584.00", "currency": "USD"},
            "cost_month_today": None,
        }
        body = {
            "timezone": "Europe/Berlin",
            "tzdata": "2026a",
            "weeks": [{"start": "2026-03-02", "edges": [edge]}],
            "hours_per_week": 55,
            "endpoints": [costs],
            "findings": [{"message": "touches a clock change"}],
        }
        stub.on("GET", "/v1/schedules/office/preview", body)
        result = api_cli("schedules", "preview", "office", "--weeks", "4")
        assert "Mon 2026-03-02 08:00" in line_with(result.out, "Mon 2026-03-02 07:00")
        assert "unpriced" in line_with(result.out, "$190.64")
        assert "touches a clock change" in result.err
        assert stub.last("GET", "/v1/schedules/office/preview").param("weeks") == ["4"]

    def test_an_unsaved_schedule_is_previewed_without_saving(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", "/v1/schedules/preview", {"weeks": [], "endpoints": []})
        command = ("schedules", "preview", "--timezone", "UTC", "--window", "daily 08:00-09:00")
        assert api_cli(*command).code == ExitCode.OK
        assert [one.path for one in stub.seen] == ["/v1/schedules/preview"]

    def test_deleting_asks(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("DELETE", "/v1/schedules/office", status=204)
        assert api_cli("schedules", "delete", "office").code == ExitCode.USAGE
        assert stub.seen == []
        assert "is deleted" in api_cli("schedules", "delete", "office", "-y").out

    def test_an_update_sends_the_whole_schedule_with_the_asked_parts_changed(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", "/v1/schedules/office", SCHEDULE)
        stub.on("PUT", "/v1/schedules/office", SCHEDULE)
        api_cli("schedules", "update", "office", "--disable", "--drain", "0")
        kept = ("name", "timezone", "windows", "selector", "shadow")
        assert stub.last("PUT", "/v1/schedules/office").body == {
            **{key: SCHEDULE[key] for key in kept},
            "enabled": False,
            "drain_minutes": 0,
        }

    def test_it_shows_from_when_a_schedule_acts_and_on_what_it_does_not(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", "/v1/schedules/office", SCHEDULE)
        out = api_cli("schedules", "show", "office").out
        assert "search-api (from 2026-03-03 07:00 UTC), legacy (not acted on)" in out


class TestPoliciesAndHolds:
    def test_a_policy_is_described_by_options(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("POST", "/v1/policies", POLICY, status=201)
        result = api_cli(
            *("policies", "create", "idle-30", "--idle", "30", "--min-awake", "10"),
            *("--account", "acme", "--shadow"),
        )
        assert stub.last("POST", "/v1/policies").body == {
            "name": "idle-30",
            "kind": "idle",
            "timeout_minutes": 30,
            "min_awake_minutes": 10,
            "action": "scale_to_zero",
            "quiet_hours": None,
            "selector": {"account": "acme"},
            "shadow": True,
        }
        assert "30 min without a request" in result.out

    def test_a_hold_shows_its_end_and_its_cost(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/holds", page(HOLD))
        line = line_with(api_cli("holds", "list").out, "hld_1")
        assert "2026-03-02 16:00 UTC" in line
        assert "$3.20" in line

    def test_a_hold_is_ended(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("DELETE", "/v1/holds/hld_1", {**HOLD, "ended_by": "dana"})
        assert "hld_1 is ended" in api_cli("holds", "end", "hld_1").out


class TestCosts:
    REPORT: dict[str, Any] = {  # noqa: RUF012 - a canned answer
        "from": "2026-03-01T00:00:00Z",
        "to": "2026-03-02T12:00:00Z",
        "total": money("30.50", "0.20", unpriced=3600),
        "complete": False,
        "unpriced": [{"name": "odd-one"}],
        "items": [
            {
                "key": "search",
                "name": "search",
                "money": money("30.50", "0.20"),
                "hours": "36.5",
                "replica_hours": "40.25",
            }
        ],
    }

    def test_by_default_it_is_this_month_up_to_now(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/costs", self.REPORT)
        result = api_cli("costs", "--by", "label:team")
        seen = stub.last("GET", "/v1/costs")
        assert seen.param("from") == ["2026-03-01T00:00:00Z"]
        assert seen.param("to") == ["2026-03-02T12:00:00Z"]
        assert seen.param("group_by") == ["label:team"]
        assert "$30.50 ±0.20" in line_with(result.out, "36.5")
        assert "total $30.50 ±0.20 + 1 h unpriced" in result.out

    def test_what_is_beside_compute_is_told_apart(self, api_cli: Cli, stub: StubApi) -> None:
        parts = [
            {"key": "compute", "name": "compute", "money": money("30.00")},
            {"key": "disk", "name": "disk", "money": money("0.50", unpriced=3600)},
        ]
        missing = [{"name": "odd-one", "component": "disk", "hardware_key": "a/b/ssd/gb"}]
        answer = {**self.REPORT, "components": parts, "unpriced": missing}
        stub.on("GET", "/v1/costs", answer)
        shown = api_cli("costs")
        assert "compute $30.00, disk $0.50 + 1 h unpriced" in shown.out
        assert "no price is known for the disk of odd-one" in shown.err

    def test_an_incomplete_total_is_loud(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/costs", self.REPORT)
        assert "warning: the total is incomplete" in api_cli("costs").err
        assert "odd-one" in api_cli("costs").err

    def test_a_past_month_is_whole(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/costs", self.REPORT)
        api_cli("costs", "--month", "2026-02")
        seen = stub.last("GET", "/v1/costs")
        assert (*seen.param("from"), *seen.param("to")) == (
            "2026-02-01T00:00:00Z",
            "2026-03-01T00:00:00Z",
        )


class TestAccountsFreezeTokens:
    def test_an_account_is_added_by_reference_and_never_with_a_secret(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", "/v1/accounts", ACCOUNT, status=201)
        result = api_cli(
            *("accounts", "add", "acme", "--namespace", "acme-corp"),
            *("--credential", "env:HF_TOKEN", "--option", "api_url=http://x", "--no-verify"),
        )
        seen = stub.last("POST", "/v1/accounts")
        assert seen.body == {
            "name": "acme",
            "provider": "huggingface",
            "namespace": "acme-corp",
            "credential_ref": "env:HF_TOKEN",
            "options": {"api_url": "http://x"},
        }
        assert seen.param("verify") == ["false"]
        assert "env:HF_TOKEN" in result.out

    def test_freezing_needs_a_reason_and_no_yes(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("PUT", "/v1/freeze", {"frozen": True})
        assert api_cli("freeze", "on").code == ExitCode.USAGE
        assert "is frozen" in api_cli("freeze", "on", "--reason", "fire").out
        assert stub.last("PUT", "/v1/freeze").body == {"reason": "fire"}

    def test_what_is_frozen_is_told_with_who_and_why(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/freeze", FROZEN)
        line = line_with(api_cli("freeze", "status").out, "acme")
        for part in ("dana", "fire", "2026-03-02 11:00 UTC"):
            assert part in line

    def test_one_account_is_thawed(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("DELETE", "/v1/freeze", status=204)
        assert "acme is no longer frozen" in api_cli("freeze", "off", "--account", "acme").out
        assert stub.last("DELETE", "/v1/freeze").param("account") == ["acme"]

    def test_a_new_token_is_alone_on_standard_output(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on(
            "POST",
            "/v1/tokens",
            {"id": "tok_1", "name": "ci", "secret": "orc_shown-once"},
            status=201,
        )
        result = api_cli("tokens", "create", "ci", "--scope", "operate", "--expires", "90d")
        assert result.out == "orc_shown-once\n"
        assert stub.last("POST", "/v1/tokens").body == {
            "name": "ci",
            "scope": "operate",
            "expires_at": "2026-05-31T12:00:00Z",
        }


def test_release_sends_the_reason_where_there_is_one(api_cli: Cli, stub: StubApi) -> None:
    stub.on("POST", f"/v1/endpoints/{EP}/release", endpoint(managed=False, handover=None))
    api_cli("endpoints", "release", EP, "--reason", "back to its owner")
    api_cli("endpoints", "release", EP)
    sent = [one.body for one in stub.seen if one.method == "POST"]
    assert sent == [{"reason": "back to its owner"}, None]
