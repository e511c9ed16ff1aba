"""Options that commands share: each command takes them, and sends what was given alone."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.conftest import Cli, StubApi

PATH = "/v1/expiry-policies/trials"
TRIALS: dict[str, Any] = {
    "name": "trials",
    "selector": {"labels": {"stage": "trial"}},
    "default_ttl": "14d",
    "max_ttl": "30d",
    "max_extension": "",
    "max_extensions": None,
    "warn_before": ["1d"],
    "delete_grace": "",
    "timezone": "UTC",
    "calendars": [],
    "enabled": True,
}
ANSWER = {**TRIALS, "id": "exp_1", "version": 2, "endpoints": []}


def test_an_expiry_policy_is_changed_in_part(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", PATH, ANSWER)
    stub.on("PUT", PATH, ANSWER)
    given = ("--longest", "60d", "--times", "0", "--warn", "2d", "--disable")
    done = api_cli("expiry-policies", "update", "trials", *given)
    assert done.code == ExitCode.OK, done.err
    changed = {"max_ttl": "60d", "max_extensions": 0, "warn_before": ["2d"], "enabled": False}
    assert stub.last("PUT", PATH).body == {**TRIALS, **changed}


def test_a_calendar_takes_the_same_options_when_it_is_made_and_replaced(
    api_cli: Cli, stub: StubApi
) -> None:
    stub.on("GET", "/v1/calendars/ours", {"name": "ours"})
    stub.on("POST", "/v1/calendars", {"dry_run": True, "would": {}})
    stub.on("PUT", "/v1/calendars/ours", {"dry_run": True, "would": {}})
    options = ("--country", "DE", "--subdivision", "BY", "--dry-run", "-o", "json")
    for command in ("create", "replace"):
        assert api_cli("calendars", command, "ours", *options).code == ExitCode.OK
    source = {"kind": "holidays", "country": "DE", "subdivision": "BY"}
    for method, path in (("POST", "/v1/calendars"), ("PUT", "/v1/calendars/ours")):
        assert stub.last(method, path).body == {"name": "ours", "source": source}


@pytest.mark.parametrize("command", ["policies", "expiry-policies"])
def test_a_policy_says_which_endpoints_it_is_for(api_cli: Cli, stub: StubApi, command: str) -> None:
    given = ("--idle", "30") if command == "policies" else ("--default", "14d")
    done = api_cli(command, "create", "all", *given)
    assert (done.code, stub.seen) == (ExitCode.USAGE, [])
    assert "a policy for what?" in done.err
