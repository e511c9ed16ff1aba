"""Rules as one file: written, shown as a difference, applied once, all or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlmodel import select

from orchestrator.api.rules_file import BODIES
from orchestrator.api.rules_kinds import LEFT_OUT, rule_sections
from orchestrator.api.schemas.expiry import ExpiryPolicySummary
from orchestrator.api.schemas.rules import PolicySummary
from orchestrator.api.schemas.schedules import ScheduleSummary
from orchestrator.services.rules_yaml import dump, load
from orchestrator.store.tables import Binding
from tests.api.rule_files import (
    FILE,
    SCALING,
    SCHEDULE,
    SPEC,
    actions,
    apply,
    exported,
    file,
    one,
    refused,
)
from tests.api.site import Site, problem

ROOT = Path(__file__).parents[2]


def test_a_file_is_applied_once(lab: Site) -> None:
    answer = apply(lab, FILE)
    assert actions(answer) == {
        "calendars/ours": "create",
        "calendars/bavaria": "create",
        "endpoints/lab/search": "change",
        "schedules/office-hours": "create",
        "policies/idle-30": "create",
        "expiry_policies/trials": "create",
    }
    assert (answer["create"], answer["change"], answer["remove"]) == (5, 1, 0)
    (event,) = lab.events("rules.applied")
    assert event.data["counts"] == {"create": 5, "change": 1, "remove": 0}
    count = len(lab.events())
    again = apply(lab, FILE)
    assert set(actions(again).values()) == {"same"}
    assert again["changed"] is False
    assert len(lab.events()) == count
    assert lab.get("/v1/schedules/office-hours")["version"] == 1


def test_what_is_exported_says_what_is_so_and_is_easy_to_read(lab: Site) -> None:
    apply(lab, FILE)
    text = exported(lab)
    assert set(actions(apply(lab, text)).values()) == {"same"}
    assert exported(lab) == text
    written = load(text).value
    assert list(written) == [
        "version",
        "calendars",
        "schedules",
        "policies",
        "expiry_policies",
        "endpoints",
    ]
    assert written["schedules"]["office-hours"] == load(FILE).value["schedules"]["office-hours"]
    assert written["policies"] == load(FILE).value["policies"]
    assert text.startswith("# Rules of an Endpoint Orchestrator")


def test_a_file_makes_the_same_rules_elsewhere(lab: Site) -> None:
    apply(lab, FILE)
    text = exported(lab)
    for name in ("schedules/office-hours", "policies/idle-30", "expiry-policies/trials"):
        assert lab.ask("DELETE", f"/v1/{name}").status_code == 204
    for name in ("ours", "bavaria"):
        assert lab.ask("DELETE", f"/v1/calendars/{name}").status_code == 204
    assert exported(lab) != text
    apply(lab, text)
    assert exported(lab) == text


def test_a_dry_run_shows_the_difference_and_the_effect_and_changes_nothing(lab: Site) -> None:
    apply(lab, FILE)
    before = (exported(lab), len(lab.events()))
    other = FILE.replace("19:00 ready-by", "20:00 ready-by").replace("owner: ada", "owner: bob")
    answer = apply(lab, other, dry_run=True)
    changed = one(answer, "office-hours")
    (field,) = changed["fields"]
    assert field["field"] == "windows"
    assert (field["old"][0], field["new"][0]) == (
        "mon-fri 08:00-19:00 ready-by",
        "mon-fri 08:00-20:00 ready-by",
    )
    assert one(answer, "lab/search")["fields"] == [{"field": "owner", "old": "ada", "new": "bob"}]
    assert (exported(lab), len(lab.events())) == before


def test_the_effect_says_what_is_covered_and_from_when(lab: Site) -> None:
    def notes(name: str, *, prune: bool = False, **sections: Any) -> list[str]:
        return list(one(apply(lab, file(**sections), prune=prune), name)["notes"])

    monday = "acts from 2026-03-02 18:00 UTC"
    assert notes("x", schedules={"x": SCHEDULE})[0] == f"begins to cover search; {monday}"
    earlier = {**SCHEDULE, "windows": ["tue-fri 08:00-19:00"]}
    tuesday = "what is new acts from 2026-03-03 07:00 UTC on search"
    assert notes("x", schedules={"x": earlier})[0] == tuesday
    by_team = {"timeout_minutes": 5, "selector": {"labels": {"team": "a"}}}
    apply(lab, file(policies={"naps": by_team}))
    labelled = {"lab/search": {"labels": {"team": "a"}}}
    assert notes("lab/search", endpoints=labelled) == ["naps begins to cover it, acts at once"]
    unlabelled: dict[str, Any] = {"lab/search": {"labels": {}}}
    assert notes("lab/search", endpoints=unlabelled) == ["naps covers it no longer"]
    assert notes("x", prune=True, schedules={}) == ["covers 1 endpoint no longer"]


def test_a_new_rule_acts_from_its_next_edge(lab: Site) -> None:
    apply(lab, FILE)
    with lab.database.read() as session:
        bindings = session.exec(select(Binding).where(Binding.rule_kind == "schedule")).all()
    assert [one.acts_from is not None for one in bindings] == [True]


def test_what_was_confirmed_is_what_is_applied(lab: Site) -> None:
    confirm = apply(lab, FILE, dry_run=True)["confirm"]
    lab.post("/v1/schedules", {**SCHEDULE, "name": "office-hours"})
    answer = lab.post("/v1/rules/apply", {"text": FILE, "confirm": confirm})
    problem(answer, 409, "changed_meanwhile")
    assert lab.get("/v1/calendars")["items"] == []
    fresh = apply(lab, FILE, dry_run=True)["confirm"]
    assert apply(lab, FILE, confirm=fresh)["confirm"] == fresh


def test_only_what_a_file_made_is_pruned(lab: Site) -> None:
    apply(lab, FILE)
    lab.post("/v1/schedules", {**SCHEDULE, "name": "by-hand"})
    less = file(schedules={}, policies={}, expiry_policies={}, calendars={})
    left = actions(apply(lab, less))
    assert left["schedules/office-hours"] == "left"
    assert left["schedules/by-hand"] == "foreign"
    # A section that a file does not have is none of its business.
    assert apply(lab, file(policies={}), prune=True)["remove"] == 1
    pruned = apply(lab, file(schedules={}, expiry_policies={}), prune=True)
    assert actions(pruned) == {
        "schedules/by-hand": "foreign",
        "schedules/office-hours": "remove",
        "expiry_policies/trials": "remove",
    }
    assert apply(lab, less, prune=True)["remove"] == 2
    assert apply(lab, less, prune=True)["changed"] is False
    assert [item["name"] for item in lab.get("/v1/schedules")["items"]] == ["by-hand"]
    assert len(lab.get("/v1/endpoints")["items"]) == 1


def test_a_calendar_in_use_is_not_pruned(lab: Site) -> None:
    apply(lab, FILE)
    told = refused(lab, file(calendars={}), 409, prune=True)
    assert set(told) == {"calendars.ours", "calendars.bavaria"}
    assert "the schedule office-hours" in told["calendars.ours"]


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"version": 2}, "version", "version: 1"),
    ({"schedule": {}}, "schedule", "Did you mean 'schedules'?"),
    ({"schedules": [1]}, "schedules", "names with values"),
    ({"schedules": {"x": 1}}, "schedules.x", "names with values"),
    ({"schedules": {"a/b": SCHEDULE}}, "schedules.a/b", "is no name"),
    ({"schedules": {"x": {**SCHEDULE, "draining": 1}}}, "schedules.x.draining", "not a field"),
    ({"schedules": {"x": {**SCHEDULE, "apply_now": []}}}, "schedules.x.apply_now", "a file"),
    ({"schedules": {"x": {**SCHEDULE, "shadow": "perhaps"}}}, "schedules.x.shadow", "boolean"),
    (
        {"schedules": {"x": {**SCHEDULE, "windows": ["mon 08:00-19:00", "mon 8-25"]}}},
        "schedules.x.windows.1.start",
        "08:00",
    ),
    (
        {"schedules": {"x": {**SCHEDULE, "timezone": "Europe/Berlni"}}},
        "schedules.x.timezone",
        "Europe/Berlin",
    ),
    (
        {"schedules": {"x": {**SCHEDULE, "calendars": ["nope"]}}},
        "schedules.x.calendars.0",
        "nope",
    ),
    (
        {"schedules": {"x": {**SCHEDULE, "selector": {"account": "nope"}}}},
        "schedules.x.selector.account",
        "nope",
    ),
    ({"policies": {"x": {"selector": {"account": "lab"}}}}, "policies.x.timeout_minutes", ""),
    ({"calendars": {"x": {}}}, "calendars.x", "one of holidays"),
    (
        {"calendars": {"x": {"holidays": {"country": "germny"}}}},
        "calendars.x.holidays.country",
        "'DE' (Germany)",
    ),
    ({"calendars": {"x": {"dates": {"2026-02-30": ""}}}}, "calendars.x.dates", "no date"),
    ({"calendars": {"x": {"icalendar": {"text": "?"}}}}, "calendars.x.icalendar.text", ""),
    ({"endpoints": {"search": {}}}, "endpoints.search", "account-name/endpoint-name"),
    ({"endpoints": {"lba/search": {}}}, "endpoints.lba/search", "Did you mean 'lab'?"),
    ({"endpoints": {"lab/new": {"owner": "ada"}}}, "endpoints.lab/new", "repository, hardware"),
    (
        {"endpoints": {"lab/search": {"spec": {"labels": {}}}}},
        "endpoints.lab/search.spec.labels",
        "no part of a spec",
    ),
    (
        {"endpoints": {"lab/search": {"spec": {"scaling": {**SCALING, "min_replicas": -1}}}}},
        "endpoints.lab/search.spec.scaling.min_replicas",
        "",
    ),
    (
        {"endpoints": {"lab/search": {"spec": {"secrets": {"KEY": "s3same"}}}}},
        "endpoints.lab/search.spec.secrets.KEY",
        "env:NAME",
    ),
]


def test_a_mistake_is_named_with_its_line_and_nothing_is_changed(lab: Site) -> None:
    good = {"policies": {"fine": {"timeout_minutes": 5, "selector": {"account": "lab"}}}}
    for sections, field, told in MISTAKES:
        found = refused(lab, dump({"version": 1, **good, **sections}))
        assert list(found) == [field]
        assert found[field].startswith("line ")
        assert told in found[field]
        assert "s3same" not in str(found)


def test_all_mistakes_are_named_at_once(lab: Site) -> None:
    text = (
        "version: 1\nschedules:\n  a:\n    timezone: Mars\n    windows: [mon 08:00-09:00]\n"
        "    selector: {account: lab}\n  b:\n    timezone: UTC\n    windows: [mon 08:00-09:00]\n"
        "    selector: {account: nope}\n"
    )
    found = refused(lab, text)
    assert found["schedules.a.timezone"].startswith("line 4: ")
    assert found["schedules.b.selector.account"].startswith("line 10: ")
    assert refused(lab, "a: [1\n")["the file"].startswith("line 2: ")


def test_mistakes_are_named_beside_those_of_references_and_none_twice(lab: Site) -> None:
    """What is wrong as such, what its cloud would refuse, and what only the store can tell."""
    trials = {"selector": {"account": "lab"}, "calendars": ["ours"]}
    sections: dict[str, Any] = {
        "calendars": {"ours": {"holidays": {"country": "germny"}}},
        "schedules": {
            "mars": {**SCHEDULE, "timezone": "Mars/Base"},
            "fine": {**SCHEDULE, "calendars": ["ours"]},
            "lost": {**SCHEDULE, "calendars": ["theirs"]},
            "typo": {**SCHEDULE, "windoes": []},
        },
        "policies": {"nap": {"timeout_minutes": 5, "selector": {"account": "nope"}}},
        "expiry_policies": {"trials": trials},
        "endpoints": {"lab/nope": {"labels": {"a": "b"}}, "lab/search": {"labels": {"ü": "x"}}},
    }
    found = refused(lab, file(**sections))
    assert list(found) == [
        "calendars.ours.holidays.country",
        "schedules.mars.timezone",
        "schedules.lost.calendars.0",
        "schedules.typo.windoes",
        "policies.nap.selector.account",
        "endpoints.lab/nope",
        "endpoints.lab/search.labels.ü.[key]",
    ]
    assert all(told.startswith("line ") for told in found.values())


def test_what_is_wrong_is_not_taken_as_gone(lab: Site) -> None:
    """Pruning would remove what is not in the file; a rule that is wrong there is in it."""
    apply(lab, FILE)
    text = file(schedules={"office-hours": {**SCHEDULE, "windoes": []}}, calendars={})
    assert list(refused(lab, text, prune=True)) == ["schedules.office-hours.windoes"]
    used = file(calendars={"ours": {"dates": {"2026-02-30": ""}}, "bavaria": {}})
    assert list(refused(lab, used, prune=True)) == ["calendars.ours.dates", "calendars.bavaria"]
    assert list(refused(lab, file(schedules=5, calendars=[1]), prune=True)) == [
        "schedules",
        "calendars",
    ]


def test_names_are_not_taken_from_what_is_not_in_the_file(lab: Site) -> None:
    refused(lab, "version: 1\nschedules:\n  a: {}\n  a: {}\n")


def test_a_key_gives_the_same_answer(lab: Site) -> None:
    headers = {"Idempotency-Key": "k"}
    text = file(endpoints={"lab/new": {"spec": SPEC}, "lab/newer": {"spec": SPEC}})
    first = lab.post("/v1/rules/apply", {"text": text}, headers=headers)
    assert first.status_code == 200, first.text
    again = lab.post("/v1/rules/apply", {"text": text}, headers=headers)
    assert again.json() == first.json()


def test_no_field_of_a_rule_is_left_out_of_a_file() -> None:
    """What a body takes and no answer tells would be lost at every export."""
    told: dict[str, type[BaseModel]] = {
        "schedules": ScheduleSummary,
        "policies": PolicySummary,
        "expiry_policies": ExpiryPolicySummary,
    }
    assert set(BODIES) == set(told)
    for section, body in BODIES.items():
        assert set(body.model_fields) - LEFT_OUT <= set(told[section].model_fields)


def test_the_example_of_the_document_can_be_applied(lab: Site) -> None:
    text = (ROOT / "docs/rules-as-code.md").read_text().split("```yaml\n")[1].split("```")[0]
    answer = apply(lab, text.replace("acme/search-prod", "lab/search").replace("acme", "lab"))
    assert (answer["create"], answer["change"]) == (5, 1)
    changed = {change["field"] for change in one(answer, "lab/search")["fields"]}
    assert {"owner", "spec.scaling.max_replicas", "spec.environment.API_KEY"} <= changed


def test_a_calendar_of_a_file_round_trips(lab: Site) -> None:
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:t\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Closed\r\n"
    )
    text += "DTSTART;VALUE=DATE:20261224\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    source = {"text": text, "timezone": "Europe/Berlin", "skip_partial": True}
    answer = apply(lab, file(calendars={"x": {"icalendar": source}}))
    assert actions(answer) == {"calendars/x": "create"}
    written = exported(lab)
    assert apply(lab, written)["changed"] is False
    assert exported(lab) == written
    assert load(written).value["calendars"]["x"]["icalendar"]["timezone"] == "Europe/Berlin"


def test_the_sections_are_those_of_the_document(lab: Site) -> None:
    found = [section.section for section in rule_sections(lab.context)]
    assert found == ["calendars", "schedules", "policies", "expiry_policies"]
