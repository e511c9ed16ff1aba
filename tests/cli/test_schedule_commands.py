"""`orchestrator schedules` with exceptions, points, files, and the question before acting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from tests.cli.answers import SCHEDULE, line_with
from tests.cli.conftest import Cli, StubApi

BASE = ("schedules", "create", "office", "--timezone", "Europe/Berlin", "--match", "team=search")
COVERED = [
    {"id": "ep_1", "name": "search-api", "managed": True, "protected": False},
    {"id": "ep_2", "name": "chat", "managed": True, "protected": True},
    {"id": "ep_3", "name": "seen", "managed": False, "protected": False},
]


def rehearsal(wish: str | None = "paused") -> dict[str, Any]:
    would = {**SCHEDULE, "endpoints": COVERED, "wish_now": wish, "confirm": "5f0c"}
    return {"dry_run": True, "would": would}


def sent(stub: StubApi, method: str = "POST", path: str = "/v1/schedules") -> dict[str, Any]:
    body = stub.last(method, path).body
    assert isinstance(body, dict)
    return body


def test_every_part_has_an_option(api_cli: Cli, stub: StubApi) -> None:
    stub.on("POST", "/v1/schedules", SCHEDULE, status=201)
    result = api_cli(
        *BASE,
        *("--window", "1st mon,last 08:00-19:00 ready-by", "--point", "stop 0 22 * * *"),
        *("--off", "2026-12-24 # Eve", "--extra", "2026-12-27 10:00-16:00"),
        *("--replace", "2026-12-31 08:00-12:00", "--calendar", "us-holidays"),
    )
    assert result.code == ExitCode.OK
    assert sent(stub) == {
        "name": "office",
        "timezone": "Europe/Berlin",
        "windows": ["1st mon,last 08:00-19:00 ready-by"],
        "points": ["stop 0 22 * * *"],
        "dates": [
            "2026-12-24 off # Eve",
            "2026-12-27 extra 10:00-16:00",
            "2026-12-31 replaced 08:00-12:00",
        ],
        "calendars": ["us-holidays"],
        "selector": {"labels": {"team": "search"}},
    }


def test_a_point_alone_is_a_schedule_and_nothing_is_not(api_cli: Cli, stub: StubApi) -> None:
    stub.on("POST", "/v1/schedules", SCHEDULE, status=201)
    assert api_cli(*BASE, "--point", "stop 0 22 * * *").code == ExitCode.OK
    refused = api_cli(*BASE)
    assert refused.code == ExitCode.USAGE
    assert "a window or a point" in refused.err


def test_a_file_may_be_yaml_and_dates_come_on_top(
    api_cli: Cli, stub: StubApi, tmp_path: Path
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "timezone: UTC\nwindows: [daily 07:00-20:00]\n"
        "dates: [2026-12-24 off, {date: 2026-12-31, kind: off}]\n"
    )
    stub.on("POST", "/v1/schedules", SCHEDULE, status=201)
    api_cli(*BASE, "--file", str(file), "--replace", "2026-12-31 08:00-12:00")
    body = sent(stub)
    assert body["windows"] == ["daily 07:00-20:00"]
    assert body["dates"] == ["2026-12-24 off", "2026-12-31 replaced 08:00-12:00"]


@pytest.mark.parametrize("text", ["- a list", "a: [", ""])
def test_a_file_that_is_no_schedule_is_one_line(
    api_cli: Cli, stub: StubApi, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    result = api_cli(*BASE, "--file", str(file))
    assert result.code == ExitCode.USAGE
    assert "--file" in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert stub.seen == []


def test_acting_now_lists_the_endpoints_and_needs_a_yes(api_cli: Cli, stub: StubApi) -> None:
    stub.on("POST", "/v1/schedules", rehearsal())
    result = api_cli(*BASE, "--window", "daily 08:00-09:00", "--apply-now", "all")
    assert result.code == ExitCode.USAGE
    assert "at once: search-api" in result.err
    assert "protected: only proposed" in line_with(result.err, "chat")
    assert "seen" not in result.err
    assert "Act now on 2 of its endpoints (paused)?" in result.err
    assert [one.param("dry_run") for one in stub.seen] == [["true"]]


def test_what_was_listed_is_what_is_sent(api_cli: Cli, stub: StubApi) -> None:
    stub.on("POST", "/v1/schedules", rehearsal(), {**SCHEDULE, "name": "office"})
    result = api_cli(*BASE, "--window", "daily 08:00-09:00", "--apply-now", "all", "--yes")
    assert result.code == ExitCode.OK
    assert sent(stub)["apply_now"] == ["ep_1", "ep_2"]
    assert sent(stub)["confirm"] == "5f0c"
    assert stub.seen[-1].param("dry_run") == []


def test_an_update_keeps_what_it_does_not_name_and_clears_what_it_does(
    api_cli: Cli, stub: StubApi
) -> None:
    present = {
        **SCHEDULE,
        "points": [{"expression": "0 22 * * *", "action": "stop"}],
        "dates": [{"date": "2026-12-24", "kind": "off", "windows": [], "note": ""}],
        "calendars": ["us-holidays"],
    }
    stub.on("GET", "/v1/schedules/office", present)
    stub.on("PUT", "/v1/schedules/office", present)
    update = ("schedules", "update", "office")
    api_cli(*update, "--off", "2026-12-25", "--clear", "calendars")
    body = sent(stub, "PUT", "/v1/schedules/office")
    assert body["points"] == present["points"]
    assert body["dates"] == [*present["dates"], "2026-12-25 off"]
    assert body["calendars"] == []


def test_it_shows_all_parts(api_cli: Cli, stub: StubApi) -> None:
    times = {"start": "08:00", "end": "12:00", "keep_running": False, "ready_by": True}
    window = {**times, "days": [], "month_days": [15, -1], "nth_weekdays": ["1st mon"]}
    shown = {
        **SCHEDULE,
        "windows": [window],
        "points": [{"expression": "0 22 * * *", "action": "stop"}],
        "dates": [{"date": "2026-12-31", "kind": "replaced", "windows": [times], "note": "eve"}],
        "calendars": ["us-holidays"],
    }
    stub.on("GET", "/v1/schedules/office", shown)
    out = api_cli("schedules", "show", "office").out
    assert "day 15,day -1,1st mon 08:00-12:00 ready by; stop at 0 22 * * *" in out
    assert "2026-12-31 replaced 08:00-12:00 ready by (eve)" in out
    assert "us-holidays" in line_with(out, "calendars")


def test_a_change_of_a_saved_one_is_previewed_in_its_place(api_cli: Cli, stub: StubApi) -> None:
    saved = {
        "id": "sch_1",
        "name": "office",
        "timezone": "Europe/Berlin",
        "drain_minutes": 10,
        "windows": ["mon-fri 08:00-18:00"],
        "points": ["stop 0 22 * * *"],
        "dates": [],
        "calendars": ["us-holidays"],
        "selector": {"labels": {"team": "search"}},
    }
    stub.on("GET", "/v1/schedules/office", saved)
    left = {"name": "chat", "hours_month": 730.5, "unpriced": [], "let_go": True}
    found = {"timezone": "Europe/Berlin", "hours_per_week": 20, "endpoints": [left]}
    stub.on("POST", "/v1/schedules/preview", found)
    change = ("--window", "mon-fri 08:00-12:00", "--clear", "points")
    out = api_cli("schedules", "preview", "office", *change).out
    assert "730.5" in line_with(out, "chat (let go)")
    sent = stub.last("POST", "/v1/schedules/preview").body
    kept = {key: saved[key] for key in saved if key != "id"}
    new = {"windows": ["mon-fri 08:00-12:00"], "points": [], "replaces": "sch_1"}
    assert sent == {**kept, **new}


def test_the_preview_has_points_days_off_early_starts_and_a_sum(
    api_cli: Cli, stub: StubApi
) -> None:
    week = {
        "start": "2026-03-02",
        "edges": [],
        "points": [
            {
                "at_utc": "2026-03-02T21:00:00Z",
                "at_local": "2026-03-02T22:00:00+01:00",
                "action": "stop",
                "expression": "0 22 * * *",
            }
        ],
        "days_off": [{"date": "2026-03-05", "name": "Founders' Day", "windows_removed": 1}],
    }
    cost = {"amount": "190.64", "currency": "USD"}
    effect = {
        "name": "search-api",
        "hours_month": 238.3,
        "cost_month": cost,
        "cost_month_always_on": cost,
        "cost_month_today": cost,
        "start_up": {"minutes": 11, "detail": "measured from its own 5 starts, with a margin"},
    }
    start = {"name": "search-api", "at_local": "2026-03-02T07:49:00+01:00", "remarks": ["late"]}
    body = {
        "timezone": "Europe/Berlin",
        "tzdata": "2026a",
        "weeks": [week],
        "hours_per_week": 55,
        "endpoints": [effect, {**effect, "name": "chat", "start_up": None}],
        "total": {**effect, "hours_month": 476.6, "unpriced": 1},
        "starts": [start],
        "findings": [],
    }
    stub.on("GET", "/v1/schedules/office/preview", body)
    out = api_cli("schedules", "preview", "office").out
    assert "Mon 2026-03-02 22:00" in line_with(out, "stop point 0 22 * * *")
    assert "Thu 2026-03-05" in line_with(out, "day off: Founders' Day")
    assert "476.6" in line_with(out, "all but 1 unpriced")
    assert "search-api starts 11 min early: measured from its own 5 starts" in out
    assert "search-api, Mon 2026-03-02 07:49: late" in out
