"""`starts` as people type it."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import Cli, StubApi

PATH = "/v1/reports/starts"


def start(name: str, late: int | None, why: str) -> dict[str, Any]:
    begins = None if late is None else f"2026-03-02T09:00:{late:02}Z"
    return {
        "endpoint": {"id": None, "name": name},
        "wanted_at": "2026-03-02T09:00:00Z",
        "begins_at": begins,
        "late_seconds": late,
        "why": why,
        "paused_first": [],
        "rule": "schedule",
        "reason": "inside a window of Office",
    }


def test_starts_show_what_is_late_and_why(api_cli: Cli, stub: StubApi) -> None:
    items = [start("chat", 0, ""), start("rank", 10, "many"), start("draw", None, "no quota")]
    morning = {"account": {"name": "acme"}, "starts": 3, "late": 1, "never": 1, "items": items}
    stub.on("GET", PATH, {"items": [morning], "assumption": "no click"})
    done = api_cli("starts", "--to", "2d", "--account", "acme", "--utc")
    assert done.code == 0, done.err
    seen = stub.last("GET", PATH)
    assert seen.param("to") == ["2026-03-04T12:00:00Z"]
    assert seen.param("account") == ["acme"]
    chat, rank, draw = [line for line in done.out.splitlines() if "2026-03-02 09:00" in line]
    assert chat.split()[-2:] == ["-", "inside"] or " - " in chat
    assert "10 s" in rank
    assert "does not start" in draw
    assert "3 starts, 1 late, 1 without room" in done.out
    late = api_cli("starts", "--late", "--utc").out
    assert "chat" not in late
    assert "rank" in late
