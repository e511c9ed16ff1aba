"""Endpoints in a file of rules: specs asked for once, created once, secrets nowhere."""

from __future__ import annotations

from sqlmodel import select

from orchestrator.services.rules_yaml import load
from orchestrator.store.tables import Operation
from tests.api.rule_files import SPEC, apply, exported, file, one, refused
from tests.api.site import Site, problem


def operations(site: Site) -> list[Operation]:
    with site.database.read() as session:
        return list(session.exec(select(Operation)).all())


def finish(site: Site, status: str = "succeeded") -> None:
    with site.database.write() as session:
        for row in session.exec(select(Operation)):
            row.status = status
            session.add(row)


def test_a_spec_is_exported_as_it_is_and_changed_by_an_operation(lab: Site) -> None:
    written = load(exported(lab)).value["endpoints"]["lab/search"]
    assert written == {"spec": SPEC}
    wider = {**SPEC, "scaling": {"min_replicas": 0, "max_replicas": 3}}
    text = file(endpoints={"lab/search": {"spec": wider}})
    shown = one(apply(lab, text, dry_run=True), "lab/search")
    assert shown["operation"] is None
    assert operations(lab) == []
    changed = one(apply(lab, text), "lab/search")
    assert {change["field"] for change in changed["fields"]} == {
        "spec.scaling.min_replicas",
        "spec.scaling.max_replicas",
    }
    (operation,) = operations(lab)
    assert (operation.kind, operation.id) == ("update", changed["operation"])
    # Only what differs is asked for, and once: while it is under way, it is as if it were so.
    assert set(operation.request["spec"]) == {"scaling"}
    again = one(apply(lab, text), "lab/search")
    assert (again["action"], again["operation"]) == ("under_way", operation.id)
    finish(lab, "failed")
    assert one(apply(lab, text), "lab/search")["action"] == "change"


def test_what_a_listing_does_not_tell_is_compared_with_what_was_asked_for(lab: Site) -> None:
    spec = {"environment": {"MODE": "fast", "TOKEN": "env:SEARCH_TOKEN"}, "arguments": ["--x"]}
    text = file(endpoints={"lab/search": {"spec": spec}})
    assert one(apply(lab, text), "lab/search")["action"] == "change"
    finish(lab)
    assert one(apply(lab, text), "lab/search")["action"] == "same"
    assert load(exported(lab)).value["endpoints"]["lab/search"]["spec"] == {**SPEC, **spec}
    other = file(endpoints={"lab/search": {"spec": {"arguments": ["--y"]}}})
    (change,) = one(apply(lab, other), "lab/search")["fields"]
    assert change == {"field": "spec.arguments", "old": ["--x"], "new": ["--y"]}


def test_an_endpoint_is_created_once_and_its_price_is_told(lab: Site) -> None:
    text = file(endpoints={"lab/new": {"labels": {"team": "x"}, "spec": SPEC}})
    shown = one(apply(lab, text, dry_run=True), "lab/new")
    assert shown["action"] == "create"
    assert any("price" in note or "costs" in note for note in shown["notes"])
    assert one(apply(lab, text), "lab/new")["action"] == "create"
    assert one(apply(lab, text), "lab/new")["action"] == "under_way"
    assert [row.kind for row in operations(lab)] == ["create"]
    other = file(endpoints={"lab/new": {"spec": {**SPEC, "repository": "acme/other"}}})
    assert "under way" in refused(lab, other, 409)["endpoints.lab/new"]


def test_values_that_are_kept_nowhere_are_said_to_be_missing(lab: Site) -> None:
    body = {"environment": {"API_TOKEN": "s3same-open", "MODE": "fast"}}
    assert lab.ask("PATCH", "/v1/endpoints/lab/search", json=body).status_code == 202
    finish(lab)
    text = exported(lab)
    assert "s3same" not in text
    assert "kept nowhere or secret: environment, secrets or command line of lab/search" in text
    assert "environment" not in load(text).value["endpoints"]["lab/search"]["spec"]
    assert apply(lab, text)["changed"] is False


def test_references_to_secrets_take_an_admin_and_readers_change_nothing(lab: Site) -> None:
    spec = {"secrets": {"KEY": "env:SEARCH_TOKEN"}}
    body = {"text": file(endpoints={"lab/search": {"spec": spec}})}
    answer = lab.post("/v1/rules/apply", body, scope="operate")
    problem(answer, 403, "reference_not_allowed")
    assert lab.post("/v1/rules/apply", body, scope="read").status_code == 403
    assert lab.post("/v1/rules/apply", body).status_code == 200
