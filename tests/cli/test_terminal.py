"""What differs when a person sits at a terminal: colours, a spinner, questions."""

from __future__ import annotations

import io
import sys

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.conftest import Cli, Result, StubApi, endpoint, money, operation, page

EP = "acme/search-api"
ESCAPE = "\x1b["


def sit_at_terminal(monkeypatch: pytest.MonkeyPatch, width: int = 200) -> None:
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def seated(api_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs a command line whose output goes to a terminal."""

    def call(*arguments: str, width: int = 200) -> Result:
        sit_at_terminal(
            monkeypatch, width
        )  # the streams of a test differ from those of its fixtures
        return api_cli(*arguments)

    return call


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    stdin = io.StringIO("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)


class TestColours:
    def test_a_terminal_gets_colours(self, seated: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint(status="failed")))
        assert ESCAPE in seated("endpoints", "list").out

    def test_no_color_is_heeded(self, seated: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint(status="failed")))
        assert ESCAPE not in seated("--no-color", "endpoints", "list").out

    def test_the_environment_may_say_so_too(
        self, api_cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sit_at_terminal(monkeypatch)
        monkeypatch.setenv("NO_COLOR", "1")
        stub.on("GET", "/v1/endpoints", page(endpoint(status="failed")))
        assert ESCAPE not in api_cli("endpoints", "list").out

    def test_json_is_never_coloured(self, seated: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint(status="failed")))
        assert ESCAPE not in seated("endpoints", "list", "-o", "json").out

    def test_a_word_says_what_a_colour_says(self, seated: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint(status="failed")))
        assert "failed" in seated("endpoints", "list").out


class TestWidth:
    @pytest.mark.parametrize("width", [70, 90, 120])
    def test_on_a_narrow_terminal_columns_give_way_and_no_amount_is_cut(
        self, seated: Cli, stub: StubApi, width: int
    ) -> None:
        dear = endpoint("a-rather-long-name-for-an-endpoint", month_to_date=money("12345.67"))
        stub.on("GET", "/v1/endpoints", page(dear))
        result = seated("--no-color", "endpoints", "list", width=width)
        lines = result.out.splitlines()
        assert max(map(len, lines)) <= width
        assert "$12,345.67" in result.out
        assert "$0.80/h" in result.out
        assert "no room for: " in result.err
        assert "labels" in result.err

    def test_a_wide_terminal_shows_all(self, seated: Cli, stub: StubApi) -> None:
        stub.on("GET", "/v1/endpoints", page(endpoint()))
        result = seated("endpoints", "list", width=250)
        assert "team=search" in result.out
        assert result.err == ""


class TestSpinner:
    def test_waiting_shows_the_step_on_standard_error_alone(
        self, seated: Cli, stub: StubApi
    ) -> None:
        odd = operation("running", steps=[{"name": "[pause]", "at": "", "state": "x"}])
        stub.on("POST", f"/v1/endpoints/{EP}/pause", odd, status=202)
        stub.on("GET", "/v1/operations/op_1", operation("succeeded"))
        result = seated("endpoints", "pause", EP, "--wait", "-o", "json")
        assert result.json["status"] == "succeeded"
        assert "pause of search-api: running" in result.err


class TestQuestions:
    def test_no_stops_and_nothing_is_sent(
        self, api_cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer(monkeypatch, "n")
        result = api_cli("schedules", "delete", "office")
        assert result.code == ExitCode.UNEXPECTED
        assert "Delete office?" in result.err
        assert (result.out, stub.seen) == ("", [])

    def test_the_end_of_input_is_a_no(
        self, api_cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer(monkeypatch)
        assert api_cli("schedules", "delete", "office").code == ExitCode.UNEXPECTED
        assert stub.seen == []

    def test_yes_goes_on(
        self, api_cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub.on("DELETE", "/v1/schedules/office", status=204)
        answer(monkeypatch, "y")
        assert api_cli("schedules", "delete", "office").code == ExitCode.OK

    def test_deleting_an_endpoint_asks_for_its_name(
        self, api_cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub.on("GET", f"/v1/endpoints/{EP}", endpoint())
        stub.on("DELETE", f"/v1/endpoints/{EP}", operation(kind="delete"), status=202)
        answer(monkeypatch, "y", "search")
        assert api_cli("endpoints", "delete", EP).code == ExitCode.USAGE
        answer(monkeypatch, "y", "search-api")
        assert api_cli("endpoints", "delete", EP).code == ExitCode.OK
        assert [one.method for one in stub.seen].count("DELETE") == 1
