"""Servers that do not answer, or are no orchestrator, and what the command line says of that."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.conftest import Cli, StubApi


@pytest.fixture
def nobody() -> Iterator[str]:
    """Return an address at which nobody listens; its port is kept meanwhile."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{kept.getsockname()[1]}"


def test_doctor_fails_where_the_named_server_does_not_answer(cli: Cli, nobody: str) -> None:
    result = cli("--server", nobody, "doctor", "-o", "json")
    assert result.code == ExitCode.FAILED
    (found,) = [one for one in result.json["items"] if one["name"] == "server"]
    assert found["status"] == "fail"
    assert "--server" in found["remedy"]


def test_doctor_of_another_server_looks_at_no_store_of_this_machine(cli: Cli, nobody: str) -> None:
    result = cli("--server", nobody, "doctor", "--only", "database")
    assert result.code == ExitCode.USAGE
    assert "leave --server out" in result.err


@pytest.mark.parametrize("answer", [["x"], "x", 1, {"hello": "world"}, {"items": "x"}])
def test_an_answer_of_something_else_is_told_in_one_line(
    api_cli: Cli, stub: StubApi, answer: object
) -> None:
    stub.on("GET", "/v1/accounts", answer)
    result = api_cli("accounts", "list")
    assert result.code == ExitCode.UNREACHABLE
    assert "no orchestrator answers there" in result.err
    assert "Traceback" not in result.err


def test_a_remedy_with_a_placeholder_is_told_whole(api_cli: Cli, stub: StubApi) -> None:
    remedy = "Send `Authorization: Bearer <token>`, or sign in at /login."
    stub.refuse("GET", "/v1/accounts", 401, detail="This needs a token.", remedy=remedy)
    assert remedy in api_cli("accounts", "list").err


def test_a_metrics_port_that_is_taken_names_its_setting(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", sqlite_url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ORCHESTRATOR_METRICS_PORT", str(taken.getsockname()[1]))
        result = cli("worker")
    assert result.code == ExitCode.FAILED
    assert "metrics_port" in result.err


def test_freeze_off_takes_a_reason(api_cli: Cli, stub: StubApi) -> None:
    stub.on("DELETE", "/v1/freeze", {"everywhere": None, "accounts": []})
    assert api_cli("freeze", "off", "--reason", "it is over").code == ExitCode.OK
    assert stub.last("DELETE", "/v1/freeze").param("reason") == ["it is over"]
