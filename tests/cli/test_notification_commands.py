"""`orchestrator notifications` against a server of canned answers."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.conftest import Cli, StubApi, page

TARGETS = "/v1/notification-targets"
HEALTH: dict[str, Any] = {
    "ok": True,
    "delivered_at": "2026-03-02T11:58:00Z",
    "failing_since": None,
    "next_attempt_at": None,
    "error": "",
    "pending": 0,
    "failed": 0,
}
OPS: dict[str, Any] = {
    "id": "tgt_1",
    "name": "ops",
    "kind": "webhook",
    "address": "https://hooks.example.org/in",
    "secret_ref": "env:OPS_SECRET",
    "old_secret_ref": "env:OLD",
    "kinds": ["operation.*"],
    "least_severity": "warning",
    "selector": {"account": None, "endpoint": None, "labels": {"team": "search"}, "owner": ""},
    "enabled": True,
    "per_minute": 10,
    "version": 1,
    "created_at": "2026-03-01T00:00:00Z",
    "created_by": "dana",
    "updated_at": "2026-03-01T00:00:00Z",
    "health": HEALTH,
}
FAILING = {
    **HEALTH,
    "ok": False,
    "failing_since": "2026-03-02T11:00:00Z",
    "error": "HTTP 500",
    "pending": 4,
}
SENT: dict[str, Any] = {
    "id": "dlv_1",
    "message_id": "msg_1",
    "target": {"id": "tgt_1", "name": "ops"},
    "status": "failed",
    "kind": "operation.failed",
    "severity": "critical",
    "message": "pause of search failed",
    "at": "2026-03-02T11:00:00Z",
    "attempts": 3,
    "error": "HTTP 500",
}


def test_targets_are_listed_with_their_health(api_cli: Cli, stub: StubApi) -> None:
    broken = {**OPS, "name": "pager", "health": FAILING}
    off = {**OPS, "name": "old", "enabled": False, "least_severity": "critical"}
    stub.on("GET", TARGETS, page(OPS, broken, off))
    out = api_cli("notifications", "targets").out
    assert "operation.*, warning or graver, of team=search" in out
    assert "failing since 1 h ago: HTTP 500" in out
    assert "switched off" in out


def test_without_a_target_the_next_step_is_named(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", TARGETS, page())
    assert "orchestrator notifications add" in api_cli("notifications", "targets").err


def test_a_webhook_is_added(api_cli: Cli, stub: StubApi) -> None:
    stub.on("POST", TARGETS, OPS, status=201)
    words = ("--webhook", OPS["address"], "--secret", "env:OPS_SECRET", "--kind", "operation.*")
    result = api_cli("notifications", "add", "ops", *words, "--match", "team=search")
    assert result.code == ExitCode.OK
    assert "tells of    operation.*, warning or graver, of team=search" in result.out
    seen = stub.last("POST", TARGETS)
    assert seen.headers["idempotency-key"]
    assert seen.body == {
        "name": "ops",
        "kind": "webhook",
        "address": OPS["address"],
        "secret_ref": "env:OPS_SECRET",
        "old_secret_ref": "",
        "kinds": ["operation.*"],
        "least_severity": "warning",
        "selector": {"labels": {"team": "search"}},
        "per_minute": 10,
    }


@pytest.mark.parametrize("words", [(), ("--webhook", "https://a.test", "--apprise", "env:X")])
def test_a_target_is_of_one_kind(api_cli: Cli, words: tuple[str, ...]) -> None:
    result = api_cli("notifications", "add", "ops", *words)
    assert result.code == ExitCode.USAGE
    assert "--webhook or --apprise" in result.err


def test_an_update_keeps_what_is_not_named(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", f"{TARGETS}/ops", OPS)
    stub.on("PUT", f"{TARGETS}/ops", OPS)
    words = ("--old-secret", "", "--disable", "--kind", "freeze.on")
    assert api_cli("notifications", "update", "ops", *words).code == ExitCode.OK
    body = stub.last("PUT", f"{TARGETS}/ops").body
    assert (body["old_secret_ref"], body["enabled"], body["kinds"]) == ("", False, ["freeze.on"])
    assert body["selector"] == {"labels": {"team": "search"}}
    assert (body["address"], body["secret_ref"]) == (OPS["address"], "env:OPS_SECRET")
    assert "health" not in body


def test_a_test_message_that_is_not_taken_is_a_failure(api_cli: Cli, stub: StubApi) -> None:
    answer = {"delivered": True, "error": "", "message_id": "msg_9"}
    stub.on("POST", f"{TARGETS}/ops/test", answer)
    assert "has taken the test message msg_9" in api_cli("notifications", "test", "ops").out
    stub.on("POST", f"{TARGETS}/ops/test", {**answer, "delivered": False, "error": "HTTP 401"})
    result = api_cli("notifications", "test", "ops")
    assert result.code == ExitCode.FAILED
    assert "ops did not take it: HTTP 401" in result.err


def test_failed_notifications_are_listed_and_sent_again(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", "/v1/notifications", page(SENT))
    out = api_cli("notifications", "list", "--status", "failed", "--status", "pending").out
    assert "dlv_1" in out
    assert "HTTP 500" in out
    assert stub.last("GET", "/v1/notifications").param("status") == ["failed", "pending"]
    stub.on("POST", "/v1/notifications/dlv_1/retry", {**SENT, "status": "pending"})
    result = api_cli("notifications", "retry", "dlv_1")
    assert result.out == "operation.failed is sent to ops again\n"


def test_a_target_is_removed_after_a_yes(api_cli: Cli, stub: StubApi) -> None:
    stub.on("DELETE", f"{TARGETS}/ops", status=204)
    assert api_cli("notifications", "remove", "ops").code == ExitCode.USAGE
    assert api_cli("notifications", "remove", "ops", "--yes").out == "ops is removed\n"
