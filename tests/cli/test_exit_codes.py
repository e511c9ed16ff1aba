from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.conftest import TOKEN, Cli, Reply, SteppingClock, StubApi, endpoint, operation, page

SHOW = ("endpoints", "show", "acme/search-api")
SHOW_PATH = "/v1/endpoints/acme/search-api"
PAUSE_PATH = "/v1/endpoints/acme/search-api/pause"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, ExitCode.REFUSED),
            (401, ExitCode.AUTH),
            (403, ExitCode.AUTH),
            (404, ExitCode.NOT_FOUND),
            (409, ExitCode.REFUSED),
            (412, ExitCode.REFUSED),
            (422, ExitCode.REFUSED),
            (429, ExitCode.REFUSED),
            (500, ExitCode.UNEXPECTED),
            (503, ExitCode.UNREACHABLE),
        ],
    )
    def test_every_problem_is_one_line_with_its_remedy_and_its_own_exit_code(
        self, api_cli: Cli, stub: StubApi, status: int, code: ExitCode
    ) -> None:
        stub.refuse("GET", SHOW_PATH, status, detail="It cannot be so.", remedy="Do it better.")
        result = api_cli(*SHOW)
        assert result.code == code
        assert result.err == "error: It cannot be so. (Do it better.)\n"
        assert result.out == ""

    def test_refused_fields_are_named_once_each(self, api_cli: Cli, stub: StubApi) -> None:
        errors = [{"field": "a", "message": "too big"}, {"field": "b", "message": "too small"}]
        stub.refuse("GET", SHOW_PATH, 422, detail="a: too big", errors=errors)
        assert api_cli(*SHOW).err == "error: a: too big; b: too small\n"

    def test_the_one_field_is_named_where_the_sentence_does_not(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.refuse("GET", SHOW_PATH, 422, detail="'8' is no time.", field="windows.0.start")
        assert api_cli(*SHOW).err == "error: windows.0.start: '8' is no time.\n"

    def test_a_problem_cannot_steer_the_terminal_nor_span_lines(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.refuse("GET", SHOW_PATH, 409, detail="one\n\x1b[2Jtwo")
        assert api_cli(*SHOW).err == "error: one \ufffd[2Jtwo\n"

    def test_a_secret_in_a_problem_is_not_repeated(self, api_cli: Cli, stub: StubApi) -> None:
        secret = "hf_" + "Leak" * 8
        stub.refuse("GET", SHOW_PATH, 409, detail=f"{secret} is bad", remedy=f"not {secret}")
        result = api_cli(*SHOW)
        assert secret not in result.out + result.err
        assert "is bad" in result.err

    def test_without_a_token_the_remedy_says_where_to_put_one(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.refuse("GET", SHOW_PATH, 401, detail="Not signed in.")
        assert "ORCHESTRATOR_TOKEN" in api_cli(*SHOW).err


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("endpoint", "list"),
            ("endpoints", "pause"),
            ("endpoints", "list", "--no-such-option"),
            ("endpoints", "list", "-o", "yaml"),
            ("endpoints", "pause", "acme/x", "--until", "soon"),
            ("endpoints", "pause", "acme/x", "--timeout", "soon"),
            ("endpoints", "list", "--server", "not-a-url"),
            ("endpoints", "adopt"),
            ("endpoints", "adopt", "acme/x", "--label", "team"),
            ("costs", "--month", "March"),
            ("costs", "--month", "2026-03", "--from", "2026-03-01"),
            ("costs", "--from", "2026-03-02", "--to", "2026-03-01"),
            ("schedules", "create", "x", "--timezone", "Europe/Berlin"),
            ("policies", "create", "x", "--idle", "30"),
            ("endpoints", "update", "acme/x"),
        ],
    )
    def test_wrong_usage_ends_with_2_and_sends_no_change(
        self, api_cli: Cli, stub: StubApi, arguments: tuple[str, ...]
    ) -> None:
        result = api_cli(*arguments)
        assert result.code == ExitCode.USAGE
        assert result.err
        assert [one for one in stub.seen if one.method != "GET"] == []

    def test_a_bad_setting_ends_with_2_and_names_it(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_PROT", "1")
        result = cli("endpoints", "list")
        assert result.code == ExitCode.USAGE
        assert "ORCHESTRATOR_PORT" in result.err

    def test_a_wrong_sub_command_suggests_the_right_one(self, cli: Cli) -> None:
        assert "'endpoints'" in cli("endpoint").err


class TestReachability:
    def test_no_server_is_told_with_how_to_start_one(self, cli: Cli) -> None:
        result = cli("--server", f"http://127.0.0.1:{free_port()}", *SHOW)
        assert result.code == ExitCode.UNREACHABLE
        assert result.err.count("\n") == 1
        assert "orchestrator serve" in result.err

    def test_something_else_at_the_address_is_told(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", SHOW_PATH, Reply(body="<html>", content_type="text/html"))
        result = api_cli(*SHOW)
        assert result.code == ExitCode.UNREACHABLE
        assert "--server" in result.err

    def test_a_redirect_is_not_followed_so_the_token_stays(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", SHOW_PATH, Reply(status=302))
        assert api_cli(*SHOW).code == ExitCode.UNREACHABLE
        assert len(stub.seen) == 1

    def test_a_change_whose_answer_was_lost_is_sent_again_with_the_same_key(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", PAUSE_PATH, Reply(drop=True), operation(), status=202)
        assert api_cli("endpoints", "pause", "acme/search-api").code == ExitCode.OK
        first, second = (one.headers["idempotency-key"] for one in stub.seen)
        assert first == second

    def test_two_runs_use_two_keys(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("POST", PAUSE_PATH, operation(), status=202)
        for _ in range(2):
            api_cli("endpoints", "pause", "acme/search-api")
        first, second = (one.headers["idempotency-key"] for one in stub.seen)
        assert first != second

    def test_a_server_that_always_drops_is_given_up(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", SHOW_PATH, Reply(drop=True))
        assert api_cli(*SHOW).code == ExitCode.UNREACHABLE
        assert len(stub.seen) == 3


class TestWaiting:
    def pause(self, api_cli: Cli, *more: str, **kwargs: Any) -> Any:
        return api_cli("endpoints", "pause", "acme/search-api", "--wait", *more, **kwargs)

    def test_wait_follows_the_operation_by_long_polls_to_its_success(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", PAUSE_PATH, operation(), status=202)
        done = operation("succeeded", outcome="paused")
        stub.on("GET", "/v1/operations/op_1", operation("running"), done)
        result = self.pause(api_cli)
        assert result.code == ExitCode.OK
        assert "succeeded" in result.out
        assert stub.last("GET", "/v1/operations/op_1").param("wait") == ["30"]
        assert "running" in result.err

    @pytest.mark.parametrize("status", ["failed", "superseded", "cancelled"])
    def test_an_operation_that_does_not_succeed_ends_with_7_and_its_reason(
        self, api_cli: Cli, stub: StubApi, status: str
    ) -> None:
        stub.on("POST", PAUSE_PATH, operation(), status=202)
        stub.on("GET", "/v1/operations/op_1", operation(status, outcome="no capacity"))
        result = self.pause(api_cli)
        assert result.code == ExitCode.FAILED
        assert "no capacity" in result.err
        assert "operations show op_1" in result.err

    def test_a_wait_that_is_too_long_ends_with_8_and_the_operation_goes_on(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", PAUSE_PATH, operation(), status=202)
        stub.on("GET", "/v1/operations/op_1", operation("running"))
        clock = SteppingClock(timedelta(seconds=20))
        result = self.pause(api_cli, "--timeout", "1m", clock=clock)
        assert result.code == ExitCode.TIMED_OUT
        assert "it goes on" in result.err
        assert [one.method for one in stub.seen].count("POST") == 1

    def test_several_are_all_asked_for_before_the_first_is_waited_for(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        for name in ("a", "b"):
            asked = operation(id=f"op_{name}")
            stub.on("POST", f"/v1/endpoints/acme/{name}/pause", asked, status=202)
        stub.on("GET", "/v1/operations/op_a", operation("succeeded", id="op_a"))
        stub.on("GET", "/v1/operations/op_b", operation("failed", id="op_b", outcome="broken"))
        result = api_cli("endpoints", "pause", "acme/a", "acme/b", "--wait")
        assert [one.method for one in stub.seen] == ["POST", "POST", "GET", "GET"]
        assert result.code == ExitCode.FAILED

    def test_with_json_the_ended_operation_is_the_only_output(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("POST", PAUSE_PATH, operation(), status=202)
        stub.on("GET", "/v1/operations/op_1", operation("failed", outcome="no"))
        result = self.pause(api_cli, "-o", "json")
        assert result.json["status"] == "failed"
        assert result.code == ExitCode.FAILED


class TestNames:
    def test_a_bare_name_is_looked_up_and_must_be_exact(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint("search-api"), endpoint("search-api-2")))
        stub.on("GET", "/v1/endpoints/ep_search-api", endpoint("search-api"))
        assert api_cli("endpoints", "show", "search-api").code == ExitCode.OK
        assert stub.last("GET", "/v1/endpoints").param("name") == ["search-api"]

    def test_an_unknown_name_ends_with_3_and_names_the_nearest(
        self, api_cli: Cli, stub: StubApi
    ) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint("search-api")))
        result = api_cli("endpoints", "show", "search")
        assert result.code == ExitCode.NOT_FOUND
        assert "acme/search-api" in result.err

    def test_a_name_in_two_accounts_has_to_be_told_apart(self, api_cli: Cli, stub: StubApi) -> None:
        other = endpoint("search-api", account={"id": "acc_2", "name": "beta"})
        stub.on("GET", "/v1/endpoints", page(endpoint("search-api"), other))
        result = api_cli("endpoints", "pause", "search-api")
        assert result.code == ExitCode.USAGE
        assert "beta/search-api" in result.err
        assert [one.method for one in stub.seen] == ["GET"]


class TestTokens:
    def test_the_token_of_the_environment_is_sent(self, api_cli: Cli, stub: StubApi) -> None:
        stub.on("GET", SHOW_PATH, endpoint())
        api_cli(*SHOW)
        assert stub.seen[0].headers["authorization"] == f"Bearer {TOKEN}"

    def test_a_server_on_this_machine_gets_the_admin_token_of_the_state_dir(
        self, cli: Cli, stub: StubApi, state_dir: Any
    ) -> None:
        state_dir.mkdir()
        (state_dir / "admin-token").write_text("orc_from-the-file\n")
        stub.on("GET", SHOW_PATH, endpoint())
        cli("--server", stub.url, *SHOW)
        assert stub.seen[0].headers["authorization"] == "Bearer orc_from-the-file"

    def test_without_any_token_none_is_sent(self, cli: Cli, stub: StubApi) -> None:
        stub.on("GET", SHOW_PATH, endpoint())
        cli("--server", stub.url, *SHOW)
        assert "authorization" not in stub.seen[0].headers
