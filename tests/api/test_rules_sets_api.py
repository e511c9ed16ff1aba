"""Whose rules a file removes, what a confirmation stands for, and what no file may hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from orchestrator.services.rules_yaml import load
from orchestrator.store import calendars
from orchestrator.store.database import Database
from orchestrator.store.tables import Calendar, Endpoint, Operation
from tests.api.rule_files import SCHEDULE, actions, apply, exported, file, one, refused
from tests.api.site import Site, problem
from tests.api.test_rules_endpoints_api import finish, operations

NOW = datetime(2026, 3, 2, tzinfo=UTC)
POLICY: dict[str, Any] = {"timeout_minutes": 30, "selector": {"labels": {"team": "search"}}}


def test_a_file_prunes_what_its_own_set_made(lab: Site) -> None:
    apply(lab, file(set="a", schedules={"team-a": SCHEDULE}))
    other = file(set="b", schedules={"team-b": SCHEDULE})
    answer = apply(lab, other, prune=True)
    assert actions(answer) == {"schedules/team-b": "create", "schedules/team-a": "foreign"}
    assert one(answer, "team-a")["notes"] == ["made by the set a"]
    assert actions(apply(lab, file(schedules={}), prune=True)) == {
        "schedules/team-a": "foreign",
        "schedules/team-b": "foreign",
    }
    assert apply(lab, file(set="a", schedules={}), prune=True)["remove"] == 1
    assert "is no name" in refused(lab, file(set="a/b"))["set"]


def test_a_section_with_nothing_after_it_prunes_nothing(lab: Site) -> None:
    apply(lab, file(schedules={"x": SCHEDULE}))
    assert actions(apply(lab, "version: 1\nschedules:\n", prune=True)) == {}


def test_a_rule_that_was_changed_by_hand_is_not_pruned(lab: Site) -> None:
    apply(lab, file(policies={"p": POLICY}))
    by_hand = {**POLICY, "name": "p", "timeout_minutes": 45}
    assert lab.ask("PUT", "/v1/policies/p", json=by_hand).status_code == 200
    assert actions(apply(lab, file(policies={}), prune=True)) == {"policies/p": "foreign"}
    # The file sets it right, and so it is the file's again; so is what the file changes then.
    apply(lab, file(policies={"p": POLICY}))
    apply(lab, file(policies={"p": {**POLICY, "timeout_minutes": 20}}))
    assert actions(apply(lab, file(policies={}), prune=True)) == {"policies/p": "remove"}


def test_a_confirmation_stands_for_what_is_covered(lab: Site) -> None:
    rules = file(policies={"p": POLICY}, expiry_policies={"e": {"selector": POLICY["selector"]}})
    confirm = apply(lab, rules, dry_run=True)["confirm"]
    assert apply(lab, rules, dry_run=True)["confirm"] == confirm
    apply(lab, file(endpoints={"lab/search": {"labels": {"team": "search"}}}))
    answer = lab.post("/v1/rules/apply", {"text": rules, "confirm": confirm})
    problem(answer, 409, "changed_meanwhile")


def test_a_command_line_holds_no_secret_by_a_file_or_over_rest(lab: Site) -> None:
    words = ["--api-key", "correct-horse"]
    told = refused(lab, file(endpoints={"lab/search": {"spec": {"arguments": words}}}))
    assert "write $NAME" in told["endpoints.lab/search.spec.arguments.1"]
    answer = lab.ask("PATCH", "/v1/endpoints/lab/search", json={"arguments": words})
    assert "horse" not in answer.text
    assert problem(answer, 422, "invalid")["field"] == "arguments.1"
    assert operations(lab) == []


def test_what_was_stored_in_earlier_times_is_not_exported(lab: Site) -> None:
    apply(lab, file(endpoints={"lab/search": {"spec": {"arguments": ["--fast"]}}}))
    with lab.database.write() as session:
        row = session.exec(select(Operation)).one()
        old = {"arguments": ["--api-key", "correct-horse"]}
        row.request = {**row.request, "spec": old}
        session.add(row)
    finish(lab)
    text = exported(lab)
    assert "horse" not in text
    assert "command line of lab/search" in text


def test_a_timer_that_a_file_does_not_speak_of_stays(lab: Site) -> None:
    with lab.database.write() as session:
        row = session.exec(select(Endpoint)).one()
        row.min_replicas, row.scale_to_zero_minutes = 0, 15
        session.add(row)
    bounds = {"min_replicas": 0, "max_replicas": 2}
    same = file(endpoints={"lab/search": {"spec": {"scaling": bounds}}})
    assert one(apply(lab, same), "lab/search")["action"] == "same"
    assert load(exported(lab)).value["endpoints"]["lab/search"]["spec"]["scaling"] == {
        **bounds,
        "scale_to_zero_minutes": 15,
    }
    wider = file(endpoints={"lab/search": {"spec": {"scaling": {**bounds, "max_replicas": 3}}}})
    apply(lab, wider)
    (operation,) = operations(lab)
    assert operation.request["spec"]["scaling"]["scale_to_zero_minutes"] == 15


def test_a_cloud_that_keeps_its_timer_is_asked_once(lab: Site) -> None:
    with lab.database.write() as session:
        row = session.exec(select(Endpoint)).one()
        row.min_replicas, row.scale_to_zero_minutes = 0, 15
        session.add(row)
    scaling = {"min_replicas": 0, "max_replicas": 2, "scale_to_zero_minutes": None}
    none = file(endpoints={"lab/search": {"spec": {"scaling": scaling}}})
    assert one(apply(lab, none), "lab/search")["action"] == "change"
    finish(lab)
    assert one(apply(lab, none), "lab/search")["action"] == "same"


def make_calendar(database: Database) -> None:
    with database.write() as session:
        session.add(
            Calendar(
                id="cal_1",
                name="ours",
                source="dates",
                covers_from="2026-01-01",
                covers_to="2026-12-31",
                created_at=NOW,
                created_by="ada",
                updated_at=NOW,
                updated_by="ada",
            )
        )


def test_a_calendar_is_not_removed_while_a_rule_with_it_is_saved(
    postgres_database: Database,
) -> None:
    database = postgres_database
    make_calendar(database)
    with database.write() as saving, database.write() as removing:
        calendars.keep(saving, ["ours"])
        removing.connection().execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            calendars.lock(removing, "cal_1")
        removing.rollback()
        calendars.keep(removing, ["ours"])
