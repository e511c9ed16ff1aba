"""`export`, `apply` and `calendars`, against the real API, engine and a simulated cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.errors import ExitCode
from orchestrator.services.rules_yaml import dump, load
from tests.cli.live import Live, house, live

__all__ = ["house", "live"]

RULES = """\
version: 1
calendars:
  ours:
    dates: {2026-12-24: Christmas Eve}
schedules:
  office-hours:
    timezone: Europe/Berlin
    windows: [mon-fri 08:00-19:00]
    calendars: [ours]
    selector: {labels: {team: search}}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_a_file_is_shown_then_applied_and_then_is_so(live: Live, rules: Path) -> None:
    shown = live("apply", str(rules), "--dry-run", "--exit-code")
    assert shown.code == ExitCode.DIFFERS
    assert "+ schedules: office-hours" in shown.out
    assert '    windows: ["mon-fri 08:00-19:00"]' in shown.out
    assert "2 to create" in shown.out
    assert live.ok("apply", str(rules), "--dry-run").code == ExitCode.OK
    assert live("apply", str(rules)).code == ExitCode.USAGE
    assert live.json("schedules", "list")["items"] == []
    assert "applied" in live.ok("apply", str(rules), "--yes").out
    again = live.ok("apply", str(rules), "--dry-run", "--exit-code").out
    assert again == "nothing to change; 2 as they are\n"


def test_what_is_exported_can_be_changed_and_applied(
    live: Live, rules: Path, tmp_path: Path
) -> None:
    live.ok("endpoints", "adopt", "search-api")
    live.ok("apply", str(rules), "--yes")
    live.ok("export", "--file", str(rules))
    assert rules.read_text() == live.ok("export").out
    assert "nothing to change" in live.ok("apply", str(rules), "--yes").out
    rules.write_text(rules.read_text().replace("08:00-19:00", "07:30-19:00"))
    out = live.ok("apply", str(rules), "--yes").out
    assert "~ schedules: office-hours" in out
    assert 'windows: ["mon-fri 08:00-19:00"] -> ["mon-fri 07:30-19:00"]' in out
    less = tmp_path / "less.yaml"
    less.write_text("version: 1\nschedules: {}\n")
    assert "--prune removes it" in live.ok("apply", str(less)).out
    assert "- schedules: office-hours" in live.ok("apply", str(less), "--prune", "--yes").out
    assert live.json("schedules", "list")["items"] == []


def test_a_spec_is_carried_out_and_then_is_as_the_file_says(live: Live, rules: Path) -> None:
    live.ok("endpoints", "adopt", "search-api")
    document = load(live.ok("export").out).value
    spec = document["endpoints"]["acme/search-api"]["spec"]
    spec["scaling"] = {"min_replicas": 0, "max_replicas": 3, "scale_to_zero_minutes": 30}
    spec["environment"] = {"MODE": "fast"}
    document["endpoints"]["acme/newer"] = {"spec": {**spec, "repository": "acme/model"}}
    rules.write_text(dump(document))
    out = live.ok("apply", str(rules), "--yes").out
    assert "spec.scaling.max_replicas: " in out
    assert "+ endpoints: acme/newer" in out
    assert "an hour with the least replicas" in out
    assert len(live.json("operations", "list")["items"]) == 2
    live.stage.run(minutes=40)
    assert live.stage.state("newer") in ("running", "scaledToZero", "initializing")
    again = live.ok("apply", str(rules), "--dry-run", "--exit-code").out
    assert again.startswith("nothing to change")
    assert live.ok("export").out.count("MODE: fast") == 2


def test_a_mistake_is_one_line_with_its_place(live: Live, rules: Path) -> None:
    rules.write_text(RULES.replace("Europe/Berlin", "Europe/Berlni"))
    refused = live("apply", str(rules), "--yes")
    assert refused.code == ExitCode.REFUSED
    assert refused.err.count("\n") == 1
    assert "schedules.office-hours.timezone: line 7: " in refused.err
    assert "Europe/Berlin" in refused.err
    assert live.json("calendars", "list")["items"] == []
    rules.write_text(RULES.replace("timezone", "zone").replace("2026-12-24", "2026-02-30"))
    several = live("apply", str(rules), "--yes")
    assert several.code == ExitCode.REFUSED
    places = [line.removeprefix(str(rules)) for line in several.err.splitlines()]
    assert places[0].startswith(": calendars.ours.dates: line 4: ")
    assert places[-1] == "error: 2 mistakes, nothing was changed"
    assert live("apply", str(rules.parent / "none.yaml")).code == ExitCode.USAGE


def test_calendars_are_made_of_three_sources(live: Live, tmp_path: Path) -> None:
    made = live.ok("calendars", "create", "bavaria", "--country", "DE", "--subdivision", "BY").out
    assert "holidays of DE-BY" in made
    file = tmp_path / "ours.ics"
    event = "BEGIN:VEVENT\nUID:1\nSUMMARY:Closed\nDTSTART;VALUE=DATE:20261224\nEND:VEVENT\n"
    file.write_text(f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{event}END:VCALENDAR\n")
    live.ok("calendars", "create", "ours", "--file", str(file))
    live.ok("calendars", "create", "more", "--date", "2026-12-31=Eve", "--date", "2027-01-02")
    listed = live.ok("calendars", "list").out
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["bavaria", "more", "ours"]
    would = live.ok("calendars", "replace", "ours", "--date", "2026-12-23=Other", "--dry-run").out
    assert "+ 2026-12-23 Other" in would
    assert "- 2026-12-24 Closed" in would
    assert "2026-12-24  Closed" in live.ok("calendars", "show", "ours").out
    live.ok("calendars", "refresh", "bavaria")
    live.ok("calendars", "delete", "ours", "--yes")
    assert live("calendars", "show", "ours").code == ExitCode.NOT_FOUND


def test_a_calendar_needs_one_source(live: Live) -> None:
    for given in (
        (),
        ("--country", "DE", "--date", "2026-12-24"),
        ("--subdivision", "BY"),
        ("--skip-partial",),
        ("--file", "/nowhere.ics"),
    ):
        assert live("calendars", "create", "x", *given).code == ExitCode.USAGE
    refused = live("calendars", "create", "x", "--country", "Germany")
    assert refused.code == ExitCode.REFUSED
    assert "'DE' (Germany)" in refused.err


def test_a_change_at_the_end_of_a_long_list_is_shown(live: Live, rules: Path) -> None:
    windows = [f"mon {hour:02d}:00-{hour:02d}:30" for hour in range(6, 18)]
    rules.write_text(RULES.replace("mon-fri 08:00-19:00", ", ".join(windows)))
    out = live.ok("apply", str(rules), "--yes").out
    assert all(f"+ {window}" in out for window in windows)
    rules.write_text(rules.read_text().replace("17:00-17:30", "17:00-17:59"))
    out = live.ok("apply", str(rules), "--dry-run").out
    told = "    windows:\n      - mon 17:00-17:30\n      + mon 17:00-17:59\n"
    assert told in out
    assert "mon 06:00" not in out


def test_a_day_off_that_moves_is_as_many_hours(live: Live, rules: Path) -> None:
    live.ok("apply", str(rules), "--yes")
    rules.write_text(RULES.replace("2026-12-24", "2026-12-23"))
    told = "is up as many hours in a year, first other on 2026-12-23"
    assert f"the schedule office-hours {told}" in live.ok("apply", str(rules), "--dry-run").out
    moved = ("calendars", "replace", "ours", "--date", "2026-12-23=Eve", "--dry-run")
    assert f"office-hours {told}" in live.ok(*moved).out
