"""What people may do while an update was refused so far, and while one is in doubt."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.store import operations
from orchestrator.store.tables import Operation
from tests.api.rule_files import SPEC, apply, file, one
from tests.api.site import NOON, Site, problem
from tests.support import rows

SEARCH = "/v1/endpoints/ep_search"
CANCEL = "/v1/operations/op_1/cancel"
UNTOUCHED = ("begun", "posted", "not received")
NOTHING = "nothing of it was carried out"


def under_way(site: Site, states: Sequence[str] = UNTOUCHED) -> None:
    """Let an update of the endpoint be under way that has come so far."""
    steps = [
        {"name": "update", "at": NOON.isoformat(), "state": state, "detail": ""} for state in states
    ]
    site.seed(rows.operation(kind="update", status="running", attempts=1, steps=steps))


def overtaken(site: Site) -> Operation:
    with site.database.read() as session:
        return session.get_one(Operation, "op_1")


def test_what_was_refused_so_far_can_be_cancelled(lab: Site) -> None:
    under_way(lab)
    gone = lab.post(CANCEL)
    assert (gone.status_code, gone.json()["status"]) == (200, "cancelled")
    assert gone.json()["outcome"] == f"admin cancelled it; {NOTHING}"
    assert lab.events("operation.cancelled")[0].message.endswith(NOTHING)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", SEARCH, {"scaling": {"min_replicas": 1, "max_replicas": 1}}),
        ("POST", f"{SEARCH}/resume", {}),
        ("POST", f"{SEARCH}/pause", {}),
    ],
)
def test_what_was_refused_so_far_gives_way(
    lab: Site, method: str, path: str, body: dict[str, object]
) -> None:
    under_way(lab)
    made = lab.ask(method, path, json=body)
    assert made.status_code == 202, made.text
    row = overtaken(lab)
    assert (row.status, row.superseded_by) == ("superseded", made.json()["id"])
    assert NOTHING in row.outcome


def test_what_was_refused_so_far_ends_with_a_release(lab: Site) -> None:
    under_way(lab)
    assert lab.post(f"{SEARCH}/release").status_code == 200
    assert overtaken(lab).outcome == f"admin released the endpoint; {NOTHING}"
    assert overtaken(lab).status == "cancelled"


@pytest.mark.parametrize(
    "states",
    [
        ("begun", "posted"),
        ("begun", "posted", "unknown", "posted", "not received"),
        ("begun", "unknown", "posted", "not received"),
        ("begun",),
    ],
)
def test_a_doubt_is_told_as_one(lab: Site, states: tuple[str, ...]) -> None:
    under_way(lab, states)
    body = problem(lab.post(CANCEL), 409, "already_sent")
    assert "may have been asked" in body["detail"]
    assert "pause the endpoint" in body["remedy"]
    problem(lab.ask("PATCH", SEARCH, json={"tags": ["a"]}), 409, "operation_in_progress")
    problem(lab.post(f"{SEARCH}/resume"), 409, "operation_in_progress")
    problem(lab.post(f"{SEARCH}/release"), 409, "operation_in_progress")
    assert overtaken(lab).status == "running"


def test_a_corrected_file_asks_for_all_that_was_not_carried_out(lab: Site) -> None:
    spec = {"environment": {"MODE": "fast"}, "scaling": {"min_replicas": 1, "max_replicas": 30}}
    text = file(endpoints={"lab/search": {"spec": spec}})
    first = one(apply(lab, text), "lab/search")["operation"]
    with lab.database.write() as session:
        row = session.get_one(Operation, first)
        row.status = "running"
        for state in UNTOUCHED:
            operations.add_step(row, "update", NOON, state, "")
        session.add(row)
    assert one(apply(lab, text), "lab/search")["action"] == "under_way"
    other = file(endpoints={"lab/search": {"spec": {**spec, "scaling": SPEC["scaling"]}}})
    item = one(apply(lab, other), "lab/search")
    assert item["action"] == "change"
    second = item["operation"]
    with lab.database.read() as session:
        assert session.get_one(Operation, first).superseded_by == second
        assert set(session.get_one(Operation, second).request["spec"]) == {"environment"}


def test_what_the_cloud_has_accepted_cannot_be_called_back(lab: Site) -> None:
    lab.seed(rows.operation(kind="update", status="confirming"))
    body = problem(lab.post(CANCEL), 409, "already_sent")
    assert "cannot be called back" in body["detail"]
