"""Every write of the API takes an Idempotency-Key, as the OpenAPI document tells."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.store import operations
from orchestrator.store.tables import Endpoint
from tests.api.site import Site, endpoint, problem
from tests.support import rows

POLICY = {"name": "idle-30", "timeout_minutes": 30, "selector": {"account": "lab"}}
WRITES = ("post", "put", "patch", "delete")
# They read, although they are asked with a body, or make a session instead of a change.
NO_CHANGE = {"preview_schedule", "login", "logout", "preview_bulk", "compare_other_rules"}


def writes(site: Site) -> dict[str, dict[str, Any]]:
    """Return every write by operation id, as the document describes it."""
    document = site.app.openapi()
    return {
        operation["operationId"]: {**operation, "path": path, "method": method}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in WRITES
    }


def test_every_write_takes_a_key(lab: Site) -> None:
    found = writes(lab)
    assert len(found) > 20
    without = {
        name
        for name, operation in found.items()
        if "idempotency-key" not in {p["name"].lower() for p in operation.get("parameters", [])}
    }
    assert without <= NO_CHANGE


@pytest.mark.parametrize(
    ("method", "path", "body", "other"),
    [
        ("POST", "/v1/endpoints/ep_search/pause", {"reason": "a"}, {"reason": "b"}),
        ("POST", "/v1/endpoints/ep_search/release", {"reason": "a"}, {"handover": True}),
        ("POST", "/v1/endpoints/ep_search/adopt", {"reason": "a"}, {"reason": "b"}),
        ("PATCH", "/v1/endpoints/ep_search", {"owner": "a"}, {"owner": "b"}),
        ("PUT", "/v1/freeze", {"reason": "a"}, {"reason": "b"}),
        ("POST", "/v1/tokens", {"name": "a", "scope": "read"}, {"name": "b", "scope": "read"}),
        ("POST", "/v1/policies", POLICY, {"name": "other"}),
    ],
)
def test_a_repeat_is_answered_alike_and_another_body_refused(
    lab: Site, method: str, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "k1"}
    first = lab.ask(method, path, json=body, headers=key)
    assert first.status_code < 300, first.text
    again = lab.ask(method, path, json=body, headers=key)
    assert again.status_code == first.status_code
    assert again.headers["idempotency-replayed"] == "true"
    shown = {**first.json(), "secret": None} if "secret" in first.json() else first.json()
    assert again.json() == shown
    third = lab.ask(method, path, json={**body, **other}, headers=key)
    problem(third, 422, "idempotency_conflict")


def test_a_deletion_is_asked_for_once(lab: Site) -> None:
    key = {"Idempotency-Key": "k1"}
    path = "/v1/endpoints/ep_search?confirm=search&grace=24h"
    first = lab.ask("DELETE", path, headers=key)
    assert (first.status_code, first.json()["kind"]) == (202, "pause")
    assert lab.ask("DELETE", path, headers=key).json() == first.json()
    changed = lab.ask("DELETE", f"{path}&reason=x", headers=key)
    problem(changed, 422, "idempotency_conflict")
    assert len(lab.events("endpoint.deletion_announced")) == 1


class TestGrace:
    def test_the_server_says_how_long_a_grace_is(self, lab: Site) -> None:
        answer = lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search").json()
        assert answer["kind"] == "pause"
        shown = lab.get("/v1/endpoints/ep_search")
        assert shown["deletion"]["after"] == "2026-03-03T12:00:00Z"
        assert shown["deletion"]["actor"] == "admin"

    def test_none_deletes_at_once(self, lab: Site) -> None:
        answer = lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search&grace=0").json()
        assert answer["kind"] == "delete"

    @pytest.mark.parametrize("grace", ["soon", "-1h", "91d", ""])
    def test_a_length_that_is_none_is_refused(self, lab: Site, grace: str) -> None:
        where = f"/v1/endpoints/ep_search?confirm=search&grace={grace}"
        refused = problem(lab.ask("DELETE", where), 422, "invalid")
        assert refused["field"] == "grace"
        assert lab.get("/v1/endpoints/ep_search")["deletion"] is None

    def test_it_can_be_brought_back(self, lab: Site) -> None:
        lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search&grace=7d&reason=old")
        problem(lab.post("/v1/endpoints/ep_search/resume"), 409, "being_deleted")
        problem(lab.post("/v1/endpoints/ep_search/release"), 409, "being_deleted")
        operation = lab.get("/v1/operations")["items"][0]
        problem(lab.post(f"/v1/operations/{operation['id']}/cancel"), 409, "being_deleted")
        back = lab.post("/v1/endpoints/ep_search/undelete", {"reason": "needed"})
        assert back.status_code == 200
        assert (back.json()["deletion"], back.json()["holds_not_revived"]) == (None, [])
        problem(lab.post("/v1/endpoints/ep_search/undelete"), 409, "not_being_deleted")

    def test_a_protected_one_is_not_deleted(self, lab: Site) -> None:
        lab.ask("PATCH", "/v1/endpoints/ep_search", json={"protected": True})
        refused = lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search&grace=0")
        assert "protected" in problem(refused, 409, "protected")["remedy"]


class TestReleasing:
    def test_what_the_cloud_has_accepted_goes_on_there(self, lab: Site) -> None:
        lab.seed(rows.operation(1, status="confirming", kind="resume", cloud_state="initializing"))
        released = lab.post("/v1/endpoints/ep_search/release").json()
        assert (released["managed"], released["operation"]) == (False, None)
        assert "goes on with the resume" in released["cloud_goes_on"]
        assert "initializing" in released["cloud_goes_on"]
        assert lab.get("/v1/operations/op_1")["status"] == "superseded"

    def test_what_waits_is_cancelled(self, lab: Site) -> None:
        lab.seed(rows.operation(1, status="pending"))
        assert lab.post("/v1/endpoints/ep_search/release").json()["cloud_goes_on"] == ""
        assert lab.get("/v1/operations/op_1")["status"] == "cancelled"

    def test_what_is_in_doubt_is_waited_for(self, lab: Site) -> None:
        lab.seed(rows.operation(1, status="running"))
        problem(lab.post("/v1/endpoints/ep_search/release"), 409, "operation_in_progress")

    def test_what_was_deleted_to_pause_it_has_two_ways_out(self, lab: Site) -> None:
        lab.seed(
            endpoint(
                "away",
                status="paused",
                stop="recreate",
                stop_sent_at=rows.NOON,
                kept={"version": 1},
            )
        )
        refused = lab.post("/v1/endpoints/ep_away/release")
        remedy = problem(refused, 409, "paused_by_deletion")["remedy"]
        assert "/resume" in remedy
        assert "handover=true" in remedy
        with lab.database.read() as session:
            assert session.get_one(Endpoint, "ep_away").stop_sent_at is not None


def test_a_stuck_operation_is_told_and_filtered(lab: Site) -> None:
    lab.seed(
        rows.operation(
            1,
            status="confirming",
            stuck_since=rows.NOON,
            usual_s=240,
            cloud_state="initializing",
            cloud_message="pulling the image",
        ),
        endpoint("chat"),
        rows.operation(2, endpoint_id="ep_chat", endpoint_name="chat"),
    )
    (found,) = lab.get("/v1/operations?stuck=true")["items"]
    assert (found["id"], found["usual_seconds"]) == ("op_1", 240)
    assert found["cloud"] == {"state": "initializing", "message": "pulling the image"}
    assert [one["id"] for one in lab.get("/v1/operations?stuck=false")["items"]] == ["op_2"]


def test_a_long_poll_answers_at_the_next_step(lab: Site) -> None:
    lab.seed(rows.operation(1))
    version = lab.get("/v1/operations/op_1")["version"]
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            with lab.database.write() as session:
                row = operations.lock(session, "op_1")
                assert row is not None
                operations.add_step(row, "pause", rows.NOON, "begun", "attempt 1")
                session.add(row)

    lab.app.state.sleep = sleep
    found = lab.get(f"/v1/operations/op_1?wait=60&version={version}")
    assert ([step["state"] for step in found["steps"]], len(naps)) == (["begun"], 3)
    assert lab.get("/v1/operations/op_1?wait=60&version=0")["version"] != version
    assert len(naps) == 3
