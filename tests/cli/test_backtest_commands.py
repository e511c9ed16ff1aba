"""`orchestrator backtest` and `advise`, from files and from what a server recorded."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.api.schemas.schedules import ScheduleBody
from orchestrator.cli.errors import ExitCode
from tests.cli.conftest import NOW, Cli, StubApi

HEAD = "client,window_start_s,requests,cv"


@pytest.fixture
def traffic(tmp_path: Path) -> str:
    """Two weeks: one client by day, one always, one now and then, one only in the second week."""
    rows = [HEAD]
    for place in range(2016):
        day, minute = divmod(place, 144)
        rows += [f"always,{place * 600},40,1"]
        rows += [f"daily,{place * 600},90,1.5"] if 54 <= minute < 102 else []
        rows += [f"rare,{place * 600},30,2"] if minute == day * 9 else []
        rows += [f"new,{place * 600},20,1"] if day > 8 and minute % 40 == 3 else []
    file = tmp_path / "traffic.csv.gz"
    file.write_bytes(gzip.compress("\n".join(rows).encode()))
    return str(file)


def _by_policy(payload: dict[str, Any]) -> dict[str, Any]:
    return {one["policy"]: one for one in payload["policies"]}


def test_a_table_and_an_export(cli: Cli, traffic: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ran = cli("backtest", "--traffic", traffic, "--export", str(file))
    assert ran.code == ExitCode.OK
    assert "s of CPU, from the start of the program" in ran.err
    found = json.loads(file.read_text())
    lines = _by_policy(found)
    assert list(lines) == [
        "always-on",
        *(f"idle-{minutes}" for minutes in (5, 15, 30, 60, 120)),
        "windows",
        "windows+idle-30",
        "clairvoyant",
    ]
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == list(lines)
    assert lines["always-on"]["billed_hours"] == 4 * 336
    assert lines["always-on"]["cost"]["amount"] == f"{Decimal('0.80') * 4 * 336:.9f}"
    assert lines["clairvoyant"]["delayed_requests"] == 0
    sums = [Decimal(one["policies"][1]["cost"]["amount"]) for one in found["endpoints"]]
    assert sum(sums) == Decimal(lines["idle-5"]["cost"]["amount"])


def test_own_rules_price_and_start_up(cli: Cli, traffic: str) -> None:
    asked = ("--idle", "10", "--window", "daily 09:00-17:00", "--price", "2", "--startup", "90s")
    ran = cli("backtest", "--traffic", traffic, *asked, "--endpoint", "daily", "-o", "json").json
    lines = _by_policy(ran)
    assert list(lines) == ["always-on", "idle-10", "windows", "windows+idle-10", "clairvoyant"]
    assert lines["always-on"]["cost"]["amount"] == "672.000000000"
    assert lines["windows"]["planned_starts"] == 14
    assert lines["windows"]["delayed_requests"] == 0
    assert ran["terms"]["startup_seconds"] == 90
    assert [one["endpoint"] for one in ran["endpoints"]] == ["daily"]


def test_each_endpoint_is_shown_when_asked_for(cli: Cli, traffic: str) -> None:
    ran = cli("backtest", "--traffic", traffic, "--by-endpoint", "--idle", "30")
    assert ran.out.count("clairvoyant") == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--traffic", "none.csv"), "none.csv cannot be read"),
        (("--price", "x"), "--price: 'x' is no amount"),
        (("--price", "0"), "--price: must be above zero"),
        (("--price", "nan"), "--price"),
        (("--startup", "soon"), "'soon' is no length of time"),
        (("--startup", "25h"), "--startup: at most 24h"),
        (("--window", "later"), "--window"),
        (("--timezone", "Mars/Base"), "Mars/Base"),
        (("--endpoint", "nobody"), "no traffic of 'nobody'"),
    ],
)
def test_bad_input_is_named_in_one_line(
    cli: Cli, traffic: str, arguments: tuple[str, ...], told: str
) -> None:
    ran = cli("backtest", "--traffic", traffic, *arguments)
    assert ran.code in (ExitCode.USAGE, ExitCode.NOT_FOUND)
    assert told in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("content", [b"a,b\n", b"\x1f\x8b broken", b"\xff\xfe\x00", b""])
def test_a_file_of_something_else(cli: Cli, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.csv"
    file.write_bytes(content)
    ran = cli("backtest", "--traffic", str(file))
    assert (ran.code, ran.err.count("\n")) == (ExitCode.USAGE, 1)


def test_advice_with_rules_to_apply(cli: Cli, traffic: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    asked = ("--traffic", traffic, "--waiting", "0.01", "--rules", str(file))
    ran = cli("advise", *asked)
    assert ran.code == ExitCode.OK
    wrong = cli("advise", *asked[:2], "--refused", "x")
    assert (wrong.code, "--refused: 'x' is no amount" in wrong.err) == (ExitCode.USAGE, True)
    for name in ("always", "daily", "rare", "new"):
        assert f"\n{name}: " in ran.out
    row = re.search(
        r"^rare +idle-\d+ +\$(\S+) .* (\S+) \(\S+ to \S+\) +(\S+) +0$", ran.out, re.MULTILINE
    )
    assert row is not None
    saved = Decimal("134.40") - Decimal(row[1])
    told = f"save ${saved} a week against always on, with {row[2]} cold starts and {row[3]} min of"
    assert told in re.split(r"^rare: ", ran.out, flags=re.MULTILINE)[1].splitlines()[0]
    assert "next week, all together: $" in ran.out
    document = yaml.safe_load(file.read_text())
    assert document["version"] == 1
    for body in document.get("schedules", {}).values():
        assert ScheduleBody.model_validate({**body, "name": "x"}).parsed().windows
    found = cli("advise", *asked[:4], "-o", "json").json
    costs = [Decimal(one["week"]["cost"]["expected"]["amount"]) for one in found["endpoints"]]
    assert sum(costs) == Decimal(found["week"]["cost"]["expected"]["amount"])
    assert all(one["why"] for one in found["endpoints"])
    assert found["price_per_refused_request"]["amount"] == "14.400000000"


def test_a_busy_endpoint_beside_a_silent_one_is_promised_what_it_costs(
    cli: Cli, tmp_path: Path
) -> None:
    """Two endpoints, from a file as spreadsheets write it: neither is pulled to the other."""
    rows = [HEAD]
    for place in range(2016):
        rows += [f"prod,{place * 600},100,1"]
        rows += [f"staging,{place * 600},100,1"] if place % 144 == 80 else []
    file = tmp_path / "traffic.csv"
    file.write_text("\r\n".join(rows), encoding="utf-8-sig")
    found = cli("advise", "--traffic", str(file), "-o", "json").json
    costs = {
        one["endpoint"]: [
            Decimal(one["week"]["cost"][end]["amount"]) for end in one["week"]["cost"]
        ]
        for one in found["endpoints"]
    }
    assert all(abs(one - Decimal("134.40")) < Decimal("0.01") for one in costs["prod"])
    assert costs["staging"][2] < 2
    whole = [Decimal(one["amount"]) for one in found["week"]["cost"].values()]
    assert whole[0] <= costs["prod"][1] + costs["staging"][1] <= whole[2] < whole[0] + 2


def test_a_number_of_another_kind_is_named_by_its_column(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "float.csv"
    file.write_text(f"{HEAD}\na,0.0,3,1\n")
    ran = cli("backtest", "--traffic", str(file))
    assert ran.code == ExitCode.USAGE
    assert "line 2: window_start_s is '0.0', where a whole number like 600 is expected" in ran.err


def test_advice_is_judged_on_the_second_week(cli: Cli, traffic: str) -> None:
    ran = cli("advise", "--traffic", traffic, "--calibrate", "-o", "json")
    rows = ran.json["items"]
    assert {row["who"] for row in rows} == {"all", "unseen, a week", "unseen, a day", "unseen"}
    assert all(row["low_hours"] <= row["high_hours"] for row in rows)
    assert all(row["beyond_best_timeout"] <= row["beyond_best_single"] for row in rows)
    assert all(row["best_timeout"].startswith("idle-") for row in rows)
    for row in rows:
        unsure = row["endpoints"] - row["rules"].get("always-on", 0)
        assert row["unsure_endpoints"] == unsure
        certain = row["endpoints"] - unsure
        inside = (row["unsure_costs_inside"] + certain) / row["endpoints"]
        assert row["covered_costs"] == pytest.approx(inside, abs=0.001)


def test_too_short_a_trace_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text(f"{HEAD}\na,0,5,1\na,600,5,1\n")
    for more in ((), ("--calibrate",)):
        ran = cli("advise", "--traffic", str(file), *more)
        assert ran.code == ExitCode.USAGE
        assert "give more traffic" in ran.err


def test_a_sparse_file_is_read_as_the_format_says(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "sparse.csv"
    file.write_text(f"{HEAD}\na,0,10,1.0\na,86400,10,1.0\na,259200,10,1.0\n")
    ask = ("backtest", "--traffic", str(file), "--idle", "10")
    ran = cli(*ask)
    assert "ends with the last row of the file, after 72.2 hours; --days says otherwise" in ran.err
    lines = _by_policy(cli(*ask, "-o", "json").json)
    assert lines["idle-10"]["cold_starts"] == 3
    assert lines["idle-10"]["billed_hours"] < 1.3
    assert lines["always-on"]["billed_hours"] == pytest.approx(72 + 1 / 6)
    assert (lines["windows"]["refused_requests"], lines["windows"]["delayed_requests"]) == (30, 0)
    told = cli(*ask, "--days", "4", "--stretch", "1h", "-o", "json")
    assert _by_policy(told.json)["always-on"]["billed_hours"] == 96
    assert "--days" not in told.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--stretch", "1h"), "line 4: window_start_s 600 is no multiple of 3600 seconds"),
        (("--stretch", "1h"), "--stretch says how long they are"),
        (("--stretch", "0s"), "--stretch: must be above zero"),
        (("--stretch", "long"), "'long' is no length of time"),
    ],
)
def test_stretches_that_do_not_fit_are_refused(
    cli: Cli, traffic: str, arguments: tuple[str, ...], told: str
) -> None:
    ran = cli("backtest", "--traffic", traffic, *arguments)
    assert ran.code == ExitCode.USAGE
    assert told in ran.err


def test_options_of_a_file_are_refused_for_a_server(api_cli: Cli) -> None:
    ran = api_cli("backtest", "--stretch", "10m")
    assert (ran.code, "--stretch is of a file" in ran.err) == (ExitCode.USAGE, True)
    ran = api_cli("backtest", "--days", "32")
    assert (ran.code, "--days: at most 31 of a server" in ran.err) == (ExitCode.USAGE, True)


def test_what_costs_nothing_is_left_out_of_advice_by_name(api_cli: Cli, stub: StubApi) -> None:
    place = {"id": "acc_lab", "name": "lab"}
    rows, offers = [], []
    for name, amount in (("free", "0.000000000"), ("paid", "1.5")):
        row = {"id": f"ep_{name}", "name": name, "account": place, "hardware": {"key": name}}
        rows.append(row | {"stops": {"by": "zero", "to_zero": True}})
        offers.append({"account": place, "key": name, "price_per_hour": {"amount": amount}})
        seen = {"covered_seconds": 600, "last_request_at": None, "source": "both"}
        first = NOW - timedelta(days=4)
        stretches = [
            {"start": (first + timedelta(minutes=10 * one)).isoformat(), **seen}
            | {"requests": 0 if one % 36 else 5}
            for one in range(4 * 144)
        ]
        stub.on("GET", f"/v1/endpoints/ep_{name}/usage", {"stretches": stretches})
    stub.on("GET", "/v1/endpoints", {"items": rows, "next_cursor": None})
    stub.on("GET", "/v1/hardware", {"items": offers, "next_cursor": None})
    ran = api_cli("advise", "--days", "4", "-o", "json")
    assert ran.code == ExitCode.OK
    assert [one["endpoint"] for one in ran.json["endpoints"]] == ["lab/paid"]
    assert ran.err == "left out: lab/free, an hour of it costs nothing\n"
    alone = api_cli("advise", "--days", "4", "--endpoint", "lab/free")
    assert alone.code == ExitCode.REFUSED
    assert "an hour of each endpoint costs nothing, so no rule saves anything" in alone.err
    whole = api_cli("backtest", "--days", "4", "--endpoint", "lab/free", "-o", "json").json
    assert {one["cost"]["amount"] for one in whole["policies"]} == {"0.000000000"}


def test_recorded_use_with_the_prices_of_the_server(api_cli: Cli, stub: StubApi) -> None:
    hardware = {"key": "aws/us-east-1/nvidia-l4/x1"}
    place = {"id": "acc_lab", "name": "lab"}
    stops = {"by": "pause", "to_zero": False}
    endpoint = {"id": "ep_1", "name": "chat", "account": place, "hardware": hardware}
    endpoint["stops"] = stops
    stub.on("GET", "/v1/endpoints", {"items": [endpoint], "next_cursor": None})
    offer = {"account": place, "key": hardware["key"], "price_per_hour": {"amount": "1.5"}}
    stub.on("GET", "/v1/hardware", {"items": [offer], "next_cursor": None})
    busy = {"requests": 9, "covered_seconds": 60, "last_request_at": None, "source": "last_use"}
    idle = {"requests": 0, "covered_seconds": 600, "last_request_at": None, "source": "both"}
    stretches = [{"start": f"2026-03-0{day}T10:20:00Z", **busy} for day in (1, 2)]
    stretches += [{"start": f"2026-03-01T{hour:02}:00:00Z", **idle} for hour in range(24)]
    stub.on("GET", "/v1/endpoints/ep_1/usage", {"stretches": stretches})
    ran = api_cli("backtest", "--days", "2", "--idle", "10", "-o", "json")
    assert ran.code == ExitCode.OK
    found = ran.json
    assert found["traffic"]["requests"] == 18
    assert found["traffic"]["start"] == "2026-02-28T12:00:00Z"
    lines = _by_policy(found)
    assert lines["always-on"]["cost"]["amount"] == "72.000000000"
    assert lines["idle-10"]["cold_starts"] == 2
    assert "lab/chat: requests are known for 9% of the time" in ran.err
    assert "lab/chat: only last uses are known" in ran.err
    assert "cannot go to zero as they are, so timeouts would do nothing: lab/chat\n" in ran.err
    refused = api_cli("advise", "--days", "4")
    assert refused.code == ExitCode.REFUSED
    assert "left out: lab/chat, its requests are known for 5% of the time" in refused.err
    asked = stub.last("GET", "/v1/endpoints/ep_1/usage")
    assert asked.param("to") == [NOW.isoformat().replace("+00:00", "Z")]
