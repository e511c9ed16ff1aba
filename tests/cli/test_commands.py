from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.answers import ACCOUNT, EP, FROZEN, HOLD, OFFER, POLICY, SCHEDULE, line_with
from tests.cli.conftest import Cli, StubApi, endpoint, money, operation, page


class TestEndpointList:
    def test_the_table_shows_state_price_cost_with_band_and_next_change(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint()))
        line = line_with(api_cli("endpoints", "list").out, EP)
        for part in (
            "running",
            "nvidia-l4 x1",
            "1/1",
            "$0.80/h",
            "$12.30 ±0.10",
            "3 h ago",
            "paused at 2026-03-02 19:00 UTC",
            "team=search",
        ):
            assert part in line

    def test_what_has_no_price_is_shown_as_unpriced_and_never_as_zero(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        unknown = endpoint(burn_per_hour=None, month_to_date=money("0", unpriced=3600))
        stub.on("GET", "/v1/endpoints", page(unknown))
        line = line_with(api_cli("endpoints", "list").out, EP)
        assert line.count("unpriced") == 2
        assert "$0" not in line

    def test_a_disk_without_a_price_does_not_hide_the_rest(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        known = {"amount": "1.410000000", "currency": "USD"}
        both = endpoint(
            burn_per_hour=known,
            components=[
                {"component": "compute", "burn_per_hour": known},
                {"component": "disk", "burn_per_hour": None},
            ],
        )
        stub.on("GET", "/v1/endpoints", page(both))
        stub.on("GET", f"/v1/endpoints/{EP}", both)
        assert "$1.41/h + unpriced" in line_with(api_cli("endpoints", "list").out, EP)
        line = line_with(api_cli("endpoints", "show", EP).out, "costs now")
        assert "$1.41/h + unpriced: compute $1.41/h, disk unpriced" in line

    def test_money_is_aligned_at_its_right(self, api_cli: Cli, stub: StubApi) -> None:
        cheap, dear = (
            endpoint(name, month_to_date=money(amount))
            for name, amount in (("a", "1.50"), ("b", "1234.50"))
        )
        stub.on("GET", "/v1/endpoints", page(cheap, dear))
        out = api_cli("endpoints", "list").out
        first, second = line_with(out, "acme/a"), line_with(out, "acme/b")
        assert first.index("$1.50") + len("$1.50") == second.index("$1,234.50") + len("$1,234.50")

    def test_all_filters_reach_the_server(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page())
        result = api_cli(
            *("endpoints", "list", "--account", "acme", "--status", "running", "--observed"),
            *("--name", "sea", "-l", "team=search", "-l", "stage=prod", "--sort=-burn"),
            *("--hardware", "aws/us-east-1/nvidia-l4/x1", "--deleted"),
        )
        assert result.code == ExitCode.OK
        assert "no endpoints" in result.err
        seen = stub.last("GET", "/v1/endpoints")
        assert seen.param("label") == ["team=search", "stage=prod"]
        expected = {"account": "acme", "managed": "false", "sort": "-burn", "deleted": "true"}
        assert {key: seen.param(key)[0] for key in expected} == expected

    def test_quiet_prints_ids_alone(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint("a"), endpoint("b")))
        result = api_cli("-q", "endpoints", "list")
        assert (result.out, result.err) == ("ep_a\nep_b\n", "")

    def test_what_a_cloud_sent_cannot_steer_the_terminal(self, api_cli: Cli, stub: StubApi) -> None:
        nasty = endpoint(message="\x1b]0;gone\x07 [red]x[/red]", url="a\rb")
        stub.on("GET", f"/v1/endpoints/{EP}", nasty)
        result = api_cli("endpoints", "show", EP)
        assert not set(result.out) & {"\x1b", "\x07", "\r"}
        assert "[red]x[/red]" in result.out

    def test_no_colour_codes_reach_a_pipe(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint(status="failed")))
        assert "\x1b" not in api_cli("endpoints", "list").out

    def test_a_pipe_gets_whole_names(self, api_cli: Cli, stub: StubApi) -> None:
        long = "x" * 120
        stub.on("GET", "/v1/endpoints", page(endpoint(long)))
        assert f"acme/{long}" in api_cli("endpoints", "list").out


class TestJson:
    CASES: tuple[tuple[tuple[str, ...], str, str, Any], ...] = (
        (("endpoints", "list"), "GET", "/v1/endpoints", page(endpoint())),
        (("endpoints", "show", EP), "GET", f"/v1/endpoints/{EP}", endpoint()),
        (("endpoints", "events", EP), "GET", f"/v1/endpoints/{EP}/events", page()),
        (("endpoints", "pause", EP), "POST", f"/v1/endpoints/{EP}/pause", operation()),
        (("endpoints", "adopt", EP), "POST", f"/v1/endpoints/{EP}/adopt", endpoint()),
        (("operations", "list"), "GET", "/v1/operations", page(operation())),
        (("operations", "show", "op_1"), "GET", "/v1/operations/op_1", operation()),
        (("schedules", "list"), "GET", "/v1/schedules", page(SCHEDULE)),
        (("schedules", "show", "sch_1"), "GET", "/v1/schedules/sch_1", SCHEDULE),
        (("policies", "list"), "GET", "/v1/policies", page(POLICY)),
        (("policies", "show", "pol_1"), "GET", "/v1/policies/pol_1", POLICY),
        (("holds", "list"), "GET", "/v1/holds", page(HOLD)),
        (("accounts", "list"), "GET", "/v1/accounts", page(ACCOUNT)),
        (("accounts", "show", "acme"), "GET", "/v1/accounts/acme", ACCOUNT),
        (("events",), "GET", "/v1/events", page()),
        (("hardware",), "GET", "/v1/hardware", page(OFFER)),
        (("freeze", "status"), "GET", "/v1/freeze", FROZEN),
        (("tokens", "list"), "GET", "/v1/tokens", page()),
    )

    @pytest.mark.parametrize("case", CASES, ids=[" ".join(case[0][:2]) for case in CASES])
    def test_json_is_exactly_what_the_server_said_and_nothing_else(
        self, api_cli: Cli, stub: StubApi, case: tuple[tuple[str, ...], str, str, Any]
    ) -> None:
        arguments, method, path, body = case
        stub.on(method, path, body)
        result = api_cli(*arguments, "--output", "json")
        assert result.code == ExitCode.OK
        assert json.loads(result.out) == body
        assert result.err == ""

    @pytest.mark.parametrize("case", CASES, ids=[" ".join(case[0][:2]) for case in CASES])
    def test_every_command_also_has_a_view_for_people(
        self, api_cli: Cli, stub: StubApi, case: tuple[tuple[str, ...], str, str, Any]
    ) -> None:
        arguments, method, path, body = case
        stub.on(method, path, body)
        result = api_cli(*arguments)
        assert result.code == ExitCode.OK
        assert result.out or result.err
        assert "{" not in result.out

    def test_several_changes_are_one_json_list(self, api_cli: Cli, stub: StubApi) -> None:
        for name in ("a", "b"):
            stub.on("POST", f"/v1/endpoints/acme/{name}/resume", operation(id=f"op_{name}"))
        result = api_cli("-o", "json", "endpoints", "resume", "acme/a", "acme/b")
        assert [one["id"] for one in result.json] == ["op_a", "op_b"]


class TestGlobalOptions:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("-o", "json", "endpoints", "list"),
            ("endpoints", "-o", "json", "list"),
            ("endpoints", "list", "-o", "json"),
            ("endpoints", "list", "--output=json"),
        ],
    )
    def test_global_options_may_stand_anywhere(
        self, api_cli: Cli, stub: StubApi, arguments: tuple[str, ...]
    ) -> None:
        stub.on("GET", "/v1/endpoints", page())
        assert api_cli(*arguments).json == page()

    def test_after_two_dashes_everything_is_an_argument(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page())
        result = api_cli("endpoints", "show", "--", "-q")
        assert result.code == ExitCode.NOT_FOUND
        assert stub.last("GET", "/v1/endpoints").param("name") == ["-q"]


class TestWhy:
    WHY: dict[str, Any] = {  # noqa: RUF012 - a canned answer
        "endpoint": {"id": "ep_1", "name": "search-api"},
        "at": "2026-03-02T12:00:00Z",
        "wish": "available",
        "rule": "schedule office",
        "reason": "inside the window mon-fri 08:00-19:00",
        "next_change": {"at": "2026-03-02T19:00:00Z", "wish": "paused"},
        "considered": [
            {"rule": "freeze", "outcome": "no_opinion", "detail": ""},
            {"rule": "schedule office", "outcome": "decided", "detail": "in a window"},
            {"rule": "idle", "outcome": "not_reached", "detail": ""},
        ],
    }

    def test_it_tells_the_rule_the_reason_and_all_that_were_asked(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}/why", self.WHY)
        out = api_cli("endpoints", "why", EP).out
        assert "search-api: available, decided by schedule office" in out
        assert "because inside the window" in out
        assert "paused at 2026-03-02 19:00 UTC" in out
        assert "not reached" in line_with(out, "idle")

    def test_another_instant_can_be_asked_for(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}/why", self.WHY)
        api_cli("endpoints", "why", EP, "--at", "18:00")
        seen = stub.last("GET", f"/v1/endpoints/{EP}/why")
        assert seen.param("at") == ["2026-03-02T18:00:00Z"]


class TestPower:
    def test_a_click_against_a_rule_tells_the_end_and_the_cost_of_its_hold(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", f"/v1/endpoints/{EP}/resume", {**operation(kind="resume"), "hold": HOLD})
        result = api_cli(
            "endpoints", "resume", EP, "--until", "2h", "--reason", "demo for the board"
        )
        assert "until 2026-03-02 16:00 UTC, costs $3.20" in result.out
        body = stub.last("POST", f"/v1/endpoints/{EP}/resume").body
        assert body == {"reason": "demo for the board", "until": "2026-03-02T14:00:00Z"}

    def test_a_dry_run_says_so(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("POST", f"/v1/endpoints/{EP}/pause", {"dry_run": True, "would": operation()})
        result = api_cli("endpoints", "pause", EP, "--dry-run", "--wait")
        assert result.out.startswith("Dry run, nothing is changed.")
        assert stub.seen[0].param("dry_run") == ["true"]
        assert len(stub.seen) == 1

    def test_deleting_needs_exactly_the_name(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint())
        stub.on("DELETE", f"/v1/endpoints/{EP}", operation(kind="delete"), status=202)
        for wrong in ("search", "acme/search-api", "Search-api"):
            result = api_cli("endpoints", "delete", EP, "--confirm", wrong)
            assert result.code == ExitCode.USAGE
        assert api_cli("endpoints", "delete", EP).code == ExitCode.USAGE
        assert [one.method for one in stub.seen].count("DELETE") == 0
        assert api_cli("endpoints", "delete", EP, "--confirm", "search-api").code == ExitCode.OK
        assert stub.last("DELETE", f"/v1/endpoints/{EP}").param("confirm") == ["search-api"]

    def test_adopting_says_that_nothing_changes(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("POST", f"/v1/endpoints/{EP}/adopt", endpoint())
        result = api_cli("endpoints", "adopt", EP, "--owner", "dana", "-l", "team=search")
        assert "is managed; it stays running" in result.out
        body = stub.last("POST", f"/v1/endpoints/{EP}/adopt").body
        assert body == {"labels": {"team": "search"}, "owner": "dana"}

    def test_adopting_many_shows_them_first_and_needs_a_yes(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        done = {
            "adopted": [endpoint("a"), endpoint("b")],
            "skipped": [{"endpoint": {"id": "ep_c", "name": "c"}, "reason": "managed already"}],
        }
        stub.on("POST", "/v1/endpoints/adopt", {"dry_run": True, "would": done})
        command = ("endpoints", "adopt", "--account", "acme", "--match", "team=search")
        refused = api_cli(*command)
        assert refused.code == ExitCode.USAGE
        assert "acme/a, acme/b" in refused.err
        assert [one.param("dry_run") for one in stub.seen] == [["true"]]
        stub.on("POST", "/v1/endpoints/adopt", done)
        adopted = api_cli(*command, "--yes")
        assert "adopted acme/a" in adopted.out
        assert "skipped c: managed already" in adopted.err
        selector = stub.last("POST", "/v1/endpoints/adopt").body["selector"]
        assert selector == {"account": "acme", "labels": {"team": "search"}}
