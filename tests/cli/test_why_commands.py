"""`why`, `timeline`, `what-if` and `shadow` as people type them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, StubApi

ID = "ep_01jd2w9k4v8m5r0aq7t3xzbcde"
WHY = f"/v1/endpoints/{ID}/why"
TIMELINE = f"/v1/endpoints/{ID}/timeline"
MONEY = {"amount": "12.5", "low": "12.5", "high": "12.5", "currency": "USD"}
RANGE = {"low": 1.0, "expected": 2.0, "high": 3.0}


def answer(**changes: Any) -> dict[str, Any]:
    window = {"local": "Mon 08:00-Mon 18:00"}
    schedule = {
        "name": "Office",
        "local_time": "Mon 2026-03-02 13:00",
        "timezone": "Europe/Berlin",
        "day_off": False,
        "windows_today": [window],
    }
    return {
        "endpoint": {"id": ID, "name": "chat"},
        "at": "2026-03-02T10:00:00Z",
        "basis": "past",
        "known": True,
        "unknown_because": "",
        "wish": "available",
        "rule": "schedule:sch_1",
        "reason": "inside a window of Office",
        "barrier": "",
        "next_change": None,
        "doubts": ["nobody looked"],
        "considered": [
            {
                "rule": "schedule",
                "outcome": "decided",
                "detail": "inside a window of Office",
                "inputs": {"schedules": [schedule]},
            }
        ],
        "why_not": None,
        **changes,
    }


def test_why_shows_rules_and_what_they_looked_at(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", WHY, answer())
    done = api_cli("why", ID, "--at", "-2h", "--utc")
    assert done.code == 0, done.err
    assert stub.last("GET", WHY).param("at") == ["2026-03-02T10:00:00Z"]
    assert "chat at 2026-03-02 10:00 UTC: available, decided by schedule:sch_1" in done.out
    assert "but: nobody looked" in done.out
    assert "schedule: Office (Mon 2026-03-02 13:00 Europe/Berlin): Mon 08:00-Mon 18:00" in done.out


def test_why_says_what_it_does_not_know(api_cli: Cli, stub: StubApi) -> None:
    stub.on(
        "GET", WHY, answer(known=False, unknown_because="nothing is kept", considered=[], doubts=[])
    )
    done = api_cli("why", ID, "--at", "2020-01-01", "--utc")
    assert done.out == "chat at 2026-03-02 10:00 UTC: not known, because nothing is kept\n"


def test_why_not_shows_the_remedy(api_cli: Cli, stub: StubApi) -> None:
    obstacle = {
        "rule": "hold",
        "reason": "ana holds it paused",
        "until": "2026-03-02T18:00:00Z",
        "remedy": "orchestrator holds end",
        "later_rule": False,
    }
    told = {
        "wanted": "running",
        "is_wanted": False,
        "detail": "hold decides: ana holds it paused",
        "by_itself": "2026-03-02T18:00:00Z",
        "obstacles": [obstacle],
    }
    stub.on("GET", WHY, answer(why_not=told))
    done = api_cli("why", ID, "--not", "running", "--utc")
    assert stub.last("GET", WHY).param("not") == ["running"]
    assert "in the way: hold until 2026-03-02 18:00 UTC: ana holds it paused" in done.out
    assert "orchestrator holds end" in done.out
    assert "by itself: 2026-03-02 18:00 UTC" in done.out
    assert api_cli("endpoints", "why", ID, "--not", "asleep").code == 2


def test_the_timeline_asks_for_a_week_and_two_days(api_cli: Cli, stub: StubApi) -> None:
    span = {
        "phase": "future",
        "start": "2026-03-02T12:00:00Z",
        "end": "2026-03-02T13:30:00Z",
        "status": "running",
        "evidence": "expected",
        "wish": "available",
        "rule": "schedule:sch_1",
        "reason": "inside a window of Office",
        "replicas": 1,
        "cost": MONEY,
        "may_sleep": True,
        "waits": False,
    }
    stub.on(
        "GET",
        TIMELINE,
        {"spans": [span], "past_cost": MONEY, "future_cost": MONEY, "assumption": "no click"},
    )
    done = api_cli("timeline", ID, "--utc")
    assert done.code == 0, done.err
    seen = stub.last("GET", TIMELINE)
    assert seen.param("from") == ["2026-02-23T12:00:00Z"]
    assert seen.param("to") == ["2026-03-04T12:00:00Z"]
    assert "expected: inside a window of Office; sleeps if no request comes" in done.out
    assert "so far $12.50, ahead $12.50" in done.out
    unseen = {**span, "phase": "past", "evidence": "", "reason": "", "cost": None}
    stub.on(
        "GET",
        TIMELINE,
        {"spans": [unseen], "past_cost": None, "future_cost": None, "assumption": ""},
    )
    assert "so far -, ahead -" in api_cli("timeline", ID, "--utc").out


def test_what_if_sends_the_question(api_cli: Cli, stub: StubApi, tmp_path: Path) -> None:
    side = {"hours_awake": RANGE, "cost": MONEY, "cold_starts": RANGE}
    compared = {
        **dict.fromkeys(("metered", "again", "other"), side),
        "saved": MONEY,
        "requests_that_wait": RANGE,
        "requests_refused": RANGE,
        "unknown_hours": 1.5,
    }
    gap = {"start": "2026-02-01T00:00:00Z", "end": "2026-02-02T00:00:00Z", "why": "not kept"}
    item = {"endpoint": {"id": ID, "name": "chat"}, "compared": compared, "not_compared": [gap]}
    found = {
        "metered": MONEY,
        "again": {**MONEY, "amount": "11.5", "low": "11.5", "high": "11.5"},
        "other": MONEY,
        "saved": MONEY,
        "assumptions": ["no click"],
        "items": [item],
    }
    stub.on("POST", "/v1/reports/what-if", found)
    given = ("--from", "-7d", "--idle", "30", "--match", "team=search", "--without", "Nap")
    done = api_cli("what-if", *given, "--window", "mon-fri 08:00-18:00", "--ttl", "14d", "--utc")
    assert done.code == 0, done.err
    assert stub.last("POST", "/v1/reports/what-if").body == {
        "from": "2026-02-23T12:00:00Z",
        "selector": {"labels": {"team": "search"}},
        "schedule": {"timezone": "UTC", "windows": ["mon-fri 08:00-18:00"]},
        "policy": {"timeout_minutes": 30, "action": "scale_to_zero"},
        "expiry": {"ttl": "14d", "timezone": "UTC"},
        "without": ["Nap"],
    }
    assert "2.0 (1.0 to 3.0)" in done.out
    assert "saved $12.50" in done.out
    assert "metered $12.50; the same rules run again $11.50, other rules $12.50" in done.out
    assert "chat: not compared 2026-02-01 00:00 UTC to 2026-02-02 00:00 UTC: not kept" in done.err
    question = tmp_path / "question.json"
    question.write_text(json.dumps({"from": "2026-01-01T00:00:00Z", "instead": True}))
    api_cli("what-if", "--file", str(question), "--utc")
    assert stub.last("POST", "/v1/reports/what-if").body == {
        "from": "2026-01-01T00:00:00Z",
        "instead": True,
    }


@pytest.mark.parametrize("text", ["no JSON", "[1]"])
def test_a_file_that_holds_no_question_is_refused(api_cli: Cli, tmp_path: Path, text: str) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(text)
    done = api_cli("what-if", "--file", str(broken))
    assert done.code == 2
    assert "broken.json" in done.err


def test_shadow_shows_who_would_have_waited(api_cli: Cli, stub: StubApi) -> None:
    item = {
        "rule": {"id": "sch_1", "name": "Office"},
        "endpoint": {"id": ID, "name": "chat"},
        "owner": "priya",
        "hours_in_shadow": 30.0,
        "hours_asleep": 12.25,
        "times_asleep": 2,
        "saved": MONEY,
        "requests_that_wait": RANGE,
        "requests_refused": {"low": 4, "expected": 4, "high": 4},
        "unknown_hours": 0.0,
    }
    stub.on("GET", "/v1/reports/shadow", {"items": [item]})
    done = api_cli("shadow", "--from", "-30d", "--rule", "sch_1", "--utc")
    assert done.code == 0, done.err
    assert stub.last("GET", "/v1/reports/shadow").param("rule") == ["sch_1"]
    assert "2 (1 to 3)" in done.out
    assert "priya" in done.out


@pytest.mark.parametrize(
    ("wish", "told"),
    [("paused", "next: paused at"), ("available", "; it stays so"), (None, "next: no rule at")],
)
def test_why_says_whether_the_next_edge_changes_it(
    api_cli: Cli, stub: StubApi, wish: str | None, told: str
) -> None:
    change = {"at": "2026-03-02T18:00:00Z", "wish": wish}
    stub.on("GET", WHY, answer(basis="now", next_change=change))
    (line,) = [one for one in api_cli("why", ID, "--utc").out.splitlines() if "next: " in one]
    assert told in line
    assert "2026-03-02 18:00 UTC" in line
