"""Idle policies: saved, bound, replaced, removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Binding
from tests.api.rule_files import apply, file, one
from tests.api.site import NOON, Site, endpoint, problem

HOUR = timedelta(hours=1)
IDLE: dict[str, Any] = {
    "name": "idle-30",
    "timeout_minutes": 30,
    "selector": {"account": "lab"},
}


def test_a_policy_is_saved_and_starts_its_clocks(lab: Site) -> None:
    response = lab.post("/v1/policies", IDLE)
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == f"/v1/policies/{made['id']}"
    assert (made["kind"], made["action"], made["min_awake_minutes"]) == (
        "idle",
        "scale_to_zero",
        0,
    )
    assert made["endpoints"] == [
        {
            "id": "ep_search",
            "name": "search",
            "managed": True,
            "protected": False,
            "acts": True,
            "acts_from": None,
        }
    ]
    assert lab.get("/v1/policies/idle-30") == made
    with lab.database.read() as session:
        binding = session.get_one(Binding, (made["id"], "ep_search"))
    assert (binding.rule_kind, binding.matched_at) == ("idle", NOON)


@pytest.mark.parametrize(
    ("action", "bars", "code"),
    [
        ("scale_to_zero", {"to_zero": False}, "cannot_scale_to_zero"),
        ("pause", {"stop": "recreate"}, "cannot_pause"),
        ("pause", {"stop": "none"}, "cannot_pause"),
    ],
)
def test_a_policy_says_what_it_can_never_put_to_sleep(
    lab: Site, action: str, bars: dict[str, Any], code: str
) -> None:
    lab.seed(endpoint("stuck", **bars))
    body = {**IDLE, "action": action}
    told = lab.post("/v1/policies", body, params={"dry_run": "true"}).json()["would"]
    made = lab.post("/v1/policies", body).json()
    for answer in (told, made, lab.get("/v1/policies/idle-30")):
        assert {one["name"]: one["acts"] for one in answer["endpoints"]} == {
            "search": True,
            "stuck": False,
        }
        (finding,) = answer["findings"]
        assert (finding["code"], "never" in finding["message"]) == (code, True)
        assert finding["message"].endswith(": stuck")


def test_a_file_says_what_its_policy_can_never_put_to_sleep(lab: Site) -> None:
    lab.seed(endpoint("stuck", to_zero=False))
    policies = {"idle": {key: IDLE[key] for key in ("timeout_minutes", "selector")}}
    notes = one(apply(lab, file(policies=policies), dry_run=True), "idle")["notes"]
    assert notes[0] == "begins to cover search; acts at once"
    assert "never sent to zero by it" in notes[1]
    assert notes[1].endswith(": stuck")


def test_a_policy_is_replaced_and_removed(lab: Site) -> None:
    made = lab.post("/v1/policies", IDLE).json()
    where = f"/v1/policies/{made['id']}"
    changed = lab.ask("PUT", where, json={**IDLE, "action": "pause", "timeout_minutes": 60})
    assert (changed.json()["action"], changed.json()["version"]) == ("pause", 2)
    assert [item["name"] for item in lab.get("/v1/policies")["items"]] == ["idle-30"]
    assert lab.ask("DELETE", where).status_code == 204
    problem(lab.ask("GET", where), 404, "not_found")
    with lab.database.read() as session:
        assert session.get(Binding, (made["id"], "ep_search")) is None
    assert lab.post("/v1/policies", IDLE).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timeout_minutes": 0}, "timeout_minutes"),
        ({"min_awake_minutes": -1}, "min_awake_minutes"),
        ({"action": "delete"}, "action"),
        ({"kind": "budget"}, "kind"),
        ({"selector": {}}, "selector"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_a_policy_is_checked(lab: Site, change: dict[str, Any], field: str) -> None:
    body = problem(lab.post("/v1/policies", {**IDLE, **change}), 422, "invalid")
    assert body["field"] == field


def test_policy_names_are_taken_once(lab: Site) -> None:
    lab.post("/v1/policies", IDLE)
    problem(lab.post("/v1/policies", IDLE), 409, "name_taken")
    other = lab.post("/v1/policies", {**IDLE, "name": "other"}).json()
    problem(lab.ask("PUT", f"/v1/policies/{other['id']}", json=IDLE), 409, "name_taken")
