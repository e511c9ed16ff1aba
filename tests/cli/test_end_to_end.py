"""The command line against the real API, engine, driver and a simulated cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.errors import ExitCode
from orchestrator.sandbox.faults import error
from tests.cli.live import Live, house, live
from tests.support.stage import TOKEN

__all__ = ["house", "live"]

EP = "acme/search-api"
KEY = "aws/us-east-1/nvidia-l4/x1"
LARGER = "aws/us-east-1/nvidia-a100/x1"


class TestPower:
    def test_an_observed_endpoint_is_refused_until_it_is_adopted(self, live: Live) -> None:
        refused = live("endpoints", "pause", EP)
        assert refused.code == ExitCode.REFUSED
        assert "adopt" in refused.err.lower()
        assert "it stays running" in live.ok("endpoints", "adopt", EP).out
        assert live.stage.changes() == []

    def test_pause_and_resume_are_followed_to_their_end(self, live: Live) -> None:
        live.ok("endpoints", "adopt", "search-api")
        paused = live.ok("endpoints", "pause", "search-api", "--wait", "--reason", "load test")
        assert "succeeded" in paused.out
        assert live.stage.state("search-api") == "paused"
        resumed = live.ok("endpoints", "resume", EP, "--wait")
        assert "usually 10 min" in resumed.err
        assert live.stage.state("search-api") == "running"
        assert live.stage.changes() == ["search-api pause", "search-api resume"]

    def test_a_dry_run_changes_nothing(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        result = live.ok("endpoints", "pause", EP, "--dry-run")
        assert "nothing is changed" in result.out
        assert live.json("operations", "list")["items"] == []

    def test_an_operation_that_the_cloud_refuses_ends_with_7(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        live.stage.world.faults.add(error(403, "no right to do this"), method="POST")
        result = live("endpoints", "pause", EP, "--wait", "--timeout", "3h")
        assert result.code == ExitCode.FAILED
        assert "operations show" in result.err

    def test_a_name_is_asked_for_before_deleting(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        assert live("endpoints", "delete", EP, "--confirm", "chat").code == ExitCode.USAGE
        live.ok("endpoints", "delete", EP, "--confirm", "search-api", "--wait")
        assert live.stage.changes() == ["search-api pause"]
        live.ok("endpoints", "undelete", EP, "--wait")
        assert live.stage.changes() == ["search-api pause", "search-api resume"]
        at_once = ("--confirm", "search-api", "--grace", "0", "--wait")
        live.ok("endpoints", "delete", EP, *at_once)
        assert live.stage.changes()[2:] == ["search-api DELETE"]

    def test_many_are_adopted_by_account(self, live: Live) -> None:
        assert live("endpoints", "adopt", "--account", "acme").code == ExitCode.USAGE
        out = live.ok("endpoints", "adopt", "--account", "acme", "--yes", "--owner", "dana").out
        assert "adopted acme/search-api" in out
        assert "adopted acme/chat" in out
        items = live.json("endpoints", "list", "--managed")["items"]
        assert {(item["name"], item["owner"]) for item in items} == {
            ("chat", "dana"),
            ("search-api", "dana"),
        }

    def test_freezing_stops_clicks(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        live.ok("freeze", "on", "--reason", "incident")
        assert "incident" in live.ok("freeze", "status").out
        assert live("endpoints", "pause", EP).code == ExitCode.REFUSED
        live.ok("freeze", "off")
        assert "nothing is frozen" in live.ok("freeze", "status").err
        live.ok("endpoints", "pause", EP)


class TestReading:
    def test_the_list_shows_both_with_price_and_cost(self, live: Live) -> None:
        out = live.ok("endpoints", "list").out
        assert EP in out
        assert "acme/chat" in out
        assert "$0.80/h" in out

    def test_one_endpoint_is_shown_by_its_bare_name(self, live: Live) -> None:
        out = live.ok("endpoints", "show", "search-api").out
        assert "no, only observed" in out
        assert KEY in out

    def test_why_names_the_rule(self, live: Live) -> None:
        out = live.ok("endpoints", "why", EP).out
        assert "search-api" in out
        assert "rule" in out

    def test_costs_of_the_month_add_up(self, live: Live) -> None:
        live.stage.run(hours=2)
        report = live.json("costs")
        assert {item["name"] for item in report["items"]} >= {"search-api", "chat"}
        assert "total $" in live.ok("costs", "--by", "account").out

    def test_hardware_events_and_accounts_are_listed(self, live: Live) -> None:
        assert KEY in live.ok("hardware", "--account", "acme").out
        assert "endpoint.discovered" in live.ok("events", "--kind", "endpoint.*").out
        assert "acme" in live.ok("accounts", "list").out
        assert "acme" in live.ok("accounts", "show", "acme").out

    def test_a_long_list_is_read_over_all_pages(self, live: Live) -> None:
        for number in range(25):
            live.stage.add(f"more-{number}")
        live.stage.run(minutes=7)
        assert len(live.json("endpoints", "list")["items"]) == 27
        assert len(live.json("endpoints", "list", "--limit", "5")["items"]) == 5

    def test_unknown_things_end_with_3(self, live: Live) -> None:
        for command in (
            ("endpoints", "show", "acme/none"),
            ("endpoints", "show", "none"),
            ("operations", "show", "op_none"),
            ("accounts", "show", "none"),
            ("schedules", "show", "none"),
            ("policies", "show", "none"),
            ("holds", "end", "hld_none"),
        ):
            assert live(*command).code == ExitCode.NOT_FOUND, command


class TestRules:
    def test_a_schedule_is_made_previewed_changed_and_deleted(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP, "--label", "team=search")
        rule = ("--timezone", "Europe/Berlin", "--window", "mon-fri 08:00-19:00")
        preview = live.ok("schedules", "preview", *rule, "--match", "team=search").out
        assert "available" in preview
        assert "search-api" in preview
        live.ok("schedules", "create", "office", *rule, "--match", "team=search", "--shadow")
        shown = live.ok("schedules", "show", "office").out
        assert "mon,tue,wed,thu,fri 08:00-19:00" in shown
        assert "shadow" in shown
        live.ok("schedules", "update", "office", "--no-shadow", "--drain", "5")
        after = live.json("schedules", "show", "office")
        assert (after["shadow"], after["drain_minutes"]) == (False, 5)
        assert len(after["windows"]) == 1
        assert "paused" in live.ok("schedules", "preview", "office").out
        live.ok("schedules", "delete", "office", "--yes")
        assert live.json("schedules", "list")["items"] == []

    def test_a_bad_window_is_refused_with_the_field(self, live: Live) -> None:
        result = live(
            *("schedules", "create", "x", "--timezone", "Europe/Berlin"),
            *("--window", "mon-fri 8-25", "--account", "acme"),
        )
        assert result.code == ExitCode.REFUSED
        assert "windows" in result.err

    def test_a_policy_is_made_changed_and_deleted(self, live: Live) -> None:
        live.ok("policies", "create", "nap", "--idle", "30", "--account", "acme", "--shadow")
        live.ok("policies", "update", "nap", "--idle", "45", "--no-shadow")
        after = live.json("policies", "show", "nap")
        assert (after["timeout_minutes"], after["shadow"]) == (45, False)
        assert "45 min" in live.ok("policies", "list").out
        live.ok("policies", "delete", "nap", "-y")

    def test_a_click_against_a_rule_is_a_hold_that_can_be_ended(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        live.ok(
            *("schedules", "create", "nights", "--timezone", "UTC", "--endpoint", EP),
            *("--window", "mon-sun 20:00-21:00", "--apply-now", EP, "--drain", "0", "--yes"),
        )
        live.stage.run(hours=1)
        assert live.stage.state("search-api") == "paused"
        resumed = live.ok("endpoints", "resume", EP, "--until", "2h")
        assert "held running until" in resumed.out
        (hold,) = live.json("holds", "list")["items"]
        assert "search-api" in live.ok("holds", "list").out
        live.ok("holds", "end", hold["id"])
        assert live.json("holds", "list")["items"] == []


class TestCreateAndUpdate:
    COMMAND = (
        *("endpoints", "create", "new-one", "--account", "acme", "--hardware", KEY),
        *("--repository", "acme/model", "--task", "text-generation", "--max", "2"),
    )

    def test_a_dry_run_shows_prices_and_creates_nothing(self, live: Live) -> None:
        out = live.ok(*self.COMMAND, "--dry-run").out
        assert "$0.80/h" in out
        assert "/month" in out
        assert live.json("operations", "list")["items"] == []

    def test_creating_is_followed_to_its_end(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_KEY", "a-hidden-value")
        result = live.ok(
            *self.COMMAND, "--yes", "--wait", "--label", "team=x", "--secret", "KEY=env:MY_KEY"
        )
        assert "a-hidden-value" not in result.out + result.err
        assert live.stage.state("new-one") in ("running", "scaledToZero")
        found = live.json("endpoints", "show", "acme/new-one")
        assert found["labels"] == {"team": "x"}
        assert "a-hidden-value" not in str(found)

    def test_labels_are_changed_at_once_and_bounds_by_an_operation(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        live.ok("endpoints", "update", EP, "--label", "team=search", "--owner", "dana")
        assert live.stage.changes() == []
        live.ok("endpoints", "update", EP, "--max", "3", "--wait")
        found = live.json("endpoints", "show", EP)
        assert found["scaling"]["max_replicas"] == 3
        assert found["labels"] == {"team": "search"}

    def test_what_an_update_costs_is_printed_before_it(self, live: Live) -> None:
        live.ok("endpoints", "adopt", EP)
        moved = live.ok("endpoints", "update", EP, "--hardware", LARGER, "--dry-run")
        assert moved.out.splitlines()[:7] == [
            "Dry run, nothing is changed. It would be:",
            "update of search-api",
            "one replica: $2.50/h",
            "price: $2.50/h",
            "per month of 730 h: $1,825.00/month",
            "now: $0.80/h",
            "while it rolls out: up to $3.30/h for usually 10 min: up to $0.4167 more",
        ]
        scaled = live.ok("endpoints", "update", EP, "--min", "2", "--max", "2", "--dry-run").out
        assert {"price: $1.60/h", "now: $0.80/h"} <= set(scaled.splitlines())
        assert "rolls out" not in scaled
        assert live.json("operations", "list")["items"] == []


class TestAccess:
    def test_a_reader_may_look_and_not_touch(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.ok("endpoints", "adopt", EP)
        secret = live.ok("tokens", "create", "watcher", "--scope", "read").out.strip()
        assert "watcher" in live.ok("tokens", "list").out
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", secret)
        live.ok("endpoints", "list")
        assert live("endpoints", "pause", EP).code == ExitCode.AUTH
        monkeypatch.delenv("ORCHESTRATOR_TOKEN")
        (token,) = [t for t in live.json("tokens", "list")["items"] if t["name"] == "watcher"]
        live.ok("tokens", "revoke", token["id"], "--yes")
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", secret)
        refused = live("endpoints", "list")
        assert refused.code == ExitCode.AUTH
        assert secret not in refused.err

    def test_no_command_prints_a_token_of_cloud_or_server(
        self, live: Live, state_dir: Path
    ) -> None:
        admin = (state_dir / "admin-token").read_text().strip()
        commands: tuple[tuple[str, ...], ...] = (
            ("endpoints", "list"),
            ("endpoints", "show", EP),
            ("accounts", "show", "acme"),
            ("tokens", "list"),
            ("events",),
            ("config",),
            ("operations", "list"),
        )
        for command in commands:
            for form in ("table", "json"):
                result = live.ok(*command, "-o", form)
                assert admin not in result.out + result.err
                assert TOKEN not in result.out + result.err
