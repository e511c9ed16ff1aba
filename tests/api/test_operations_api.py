"""Operations and holds: lists, waiting, ending."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Hold, Operation
from tests.api.site import NOON, Site, endpoint, problem
from tests.support import rows

HOUR = timedelta(hours=1)


@pytest.fixture
def busy(lab: Site) -> Site:
    """Return a service with operations of two endpoints."""
    lab.seed(
        rows.account("acme"),
        endpoint("chat", account_id="acc_acme"),
        rows.operation(1, status="succeeded", created_at=NOON - HOUR, finished_at=NOON),
        rows.operation(2, kind="resume", steps=[step("sent"), step("accepted")]),
        rows.operation(
            3,
            account_id="acc_acme",
            endpoint_id="ep_chat",
            endpoint_name="chat",
            actor="engine",
            rule="schedule:sch_1",
        ),
    )
    return lab


def step(state: str) -> dict[str, str]:
    return {"name": "resume", "at": NOON.isoformat(), "state": state, "detail": "attempt 1"}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["op_3", "op_2", "op_1"]),
        ("?endpoint=ep_search", ["op_2", "op_1"]),
        ("?endpoint=acme/chat", ["op_3"]),
        ("?account=acme", ["op_3"]),
        ("?status=pending&status=succeeded", ["op_3", "op_2", "op_1"]),
        ("?status=succeeded", ["op_1"]),
        ("?kind=resume", ["op_2"]),
    ],
)
def test_operations_newest_first(busy: Site, query: str, ids: list[str]) -> None:
    assert [item["id"] for item in busy.get(f"/v1/operations{query}")["items"]] == ids


def test_operations_are_paged(busy: Site) -> None:
    first = busy.get("/v1/operations?limit=2")
    rest = busy.get("/v1/operations", limit=2, cursor=first["next_cursor"])
    assert [item["id"] for item in rest["items"]] == ["op_1"]
    assert rest["next_cursor"] is None


def test_one_operation_in_full(busy: Site) -> None:
    found = busy.get("/v1/operations/op_2")
    assert found["account"] == {"id": "acc_lab", "name": "lab"}
    assert [(item["state"], item["at"]) for item in found["steps"]] == [
        ("sent", "2026-03-02T12:00:00Z"),
        ("accepted", "2026-03-02T12:00:00Z"),
    ]
    assert busy.get("/v1/operations/op_3")["rule"] == "schedule:sch_1"


def test_an_unknown_operation(busy: Site) -> None:
    problem(busy.ask("GET", "/v1/operations/op_9"), 404, "not_found")


class Waiting:
    """Stands in for sleeping; the operation ends during the nap of that number."""

    def __init__(self, site: Site, ends_in: int) -> None:
        self.site, self.ends_in, self.naps = site, ends_in, 0

    async def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        self.naps += 1
        if self.naps == self.ends_in:
            with self.site.database.write() as session:
                operation = session.get_one(Operation, "op_2")
                operation.status, operation.outcome = "succeeded", "it is running"
                session.add(operation)


def test_waiting_answers_as_soon_as_it_has_ended(busy: Site) -> None:
    waiting = Waiting(busy, ends_in=3)
    busy.app.state.sleep = waiting.sleep
    found = busy.get("/v1/operations/op_2?wait=60")
    assert (found["status"], found["outcome"]) == ("succeeded", "it is running")
    assert waiting.naps == 3


def test_waiting_ends_with_what_is(busy: Site) -> None:
    waiting = Waiting(busy, ends_in=1000)
    busy.app.state.sleep = waiting.sleep
    assert busy.get("/v1/operations/op_2?wait=10")["status"] == "pending"
    assert waiting.naps == 20


@pytest.mark.parametrize("ref", ["op_1", "op_2"])
def test_without_a_wait_or_after_the_end_nobody_sleeps(busy: Site, ref: str) -> None:
    waiting = Waiting(busy, ends_in=0)
    busy.app.state.sleep = waiting.sleep
    busy.get(f"/v1/operations/{ref}" + ("?wait=60" if ref == "op_1" else ""))
    assert waiting.naps == 0


def test_a_wait_has_a_limit(busy: Site) -> None:
    problem(busy.ask("GET", "/v1/operations/op_2?wait=61"), 422, "invalid")


@pytest.fixture
def held(lab: Site) -> Site:
    """Return a service with a hold in force, one that has ended and one that was ended."""
    lab.seed(
        endpoint("chat"),
        hold("hld_1"),
        hold("hld_2", starts_at=NOON - 2 * HOUR, until=NOON - HOUR),
        hold("hld_3", ended_at=NOON, ended_by="bob"),
        hold("hld_4", endpoint_id="ep_chat", wish="paused", cost_nano=0),
    )
    return lab


def hold(ref: str, **values: Any) -> Hold:
    given: dict[str, Any] = {
        "endpoint_id": "ep_search",
        "wish": "running",
        "starts_at": NOON,
        "until": NOON + HOUR,
        "actor": "ada",
        "reason": "demo",
        "cost_nano": 800_000_000,
    }
    return Hold(id=ref, **{**given, **values})


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["hld_4", "hld_1"]),
        ("?state=all", ["hld_4", "hld_3", "hld_2", "hld_1"]),
        ("?endpoint=lab/search", ["hld_1"]),
        ("?endpoint=ep_search&state=all", ["hld_3", "hld_2", "hld_1"]),
    ],
)
def test_holds_in_force(held: Site, query: str, ids: list[str]) -> None:
    assert [item["id"] for item in held.get(f"/v1/holds{query}")["items"]] == ids


def test_a_hold_tells_its_end_and_cost(held: Site) -> None:
    found = held.get("/v1/holds?endpoint=ep_search")["items"][0]
    assert found["endpoint"] == {"id": "ep_search", "name": "search"}
    assert (found["until"], found["cost"]["amount"]) == ("2026-03-02T13:00:00Z", "0.800000000")
    assert held.get("/v1/endpoints/ep_search")["holds"] == [found]


def test_ending_a_hold(held: Site) -> None:
    found = held.ask("DELETE", "/v1/holds/hld_1").json()
    assert (found["ended_at"], found["ended_by"]) == ("2026-03-02T12:00:00Z", "admin")
    assert held.events("hold.ended")[0].endpoint_id == "ep_search"
    assert held.get("/v1/endpoints/ep_search")["holds"] == []
    assert held.nudges == ["nudged"]


@pytest.mark.parametrize("ref", ["hld_2", "hld_3"])
def test_ending_what_has_ended_changes_nothing(held: Site, ref: str) -> None:
    assert held.ask("DELETE", f"/v1/holds/{ref}").status_code == 200
    assert held.events("hold.ended") == []


def test_an_unknown_hold(held: Site) -> None:
    problem(held.ask("DELETE", "/v1/holds/hld_9"), 404, "not_found")
