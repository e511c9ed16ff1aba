"""Holds asked for by name, and leases of programs: made, refused with a remedy, ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.expiry import Expiry
from orchestrator.providers.registry import CLOUDS
from orchestrator.services.tokens import Scope
from orchestrator.store import expiry
from orchestrator.store.tables import Endpoint, Hold, Operation
from tests.api.site import NOON, Site, problem

HOUR = timedelta(hours=1)
HOLDS = "/v1/holds"
LEASES = "/v1/leases"


def change(site: Site, **values: Any) -> None:
    with site.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def hold(site: Site, wish: str, hours: float = 3, **given: Any) -> Any:
    until = (site.clock.now() + hours * HOUR).isoformat()
    body = {"endpoint": "lab/search", "wish": wish, "until": until, "reason": "demo"}
    return site.post(HOLDS, body, **given)


def lease(site: Site, ttl: str = "10m", **given: Any) -> Any:
    return site.post(LEASES, {"endpoint": "lab/search", "ttl": ttl, "reason": "eval"}, **given)


def expires(site: Site, at: Any) -> None:
    with site.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        expiry.write(row, Expiry(at, NOON - HOUR, "bo", "a trial"), extensions=0)
        session.add(row)


def test_a_hold_tells_its_cost_before_and_begins_at_once(lab: Site) -> None:
    change(lab, status="paused", wish="paused", billed_low=0, billed_expected=0, billed_high=0)
    told = hold(lab, "running", params={"dry_run": "true"}).json()["would"]
    assert (told["cost"]["amount"], told["wish"]) == ("2.400000000", "running")
    assert lab.get(HOLDS)["items"] == []
    made = hold(lab, "running")
    assert made.status_code == 201
    body = made.json()
    assert made.headers["location"] == f"/v1/holds/{body['id']}"
    assert (body["operation"]["kind"], body["source"]) == ("resume", "hold")
    assert lab.get(f"/v1/holds/{body['id']}")["until"] == "2026-03-02T15:00:00Z"
    assert [event.kind for event in lab.events()][-2:] == ["hold.started", "operation.requested"]


def test_a_hold_of_what_is_so_already_begins_nothing(lab: Site) -> None:
    assert hold(lab, "running").json()["operation"] is None


def test_a_pause_under_way_is_turned_back(lab: Site) -> None:
    first = lab.post("/v1/endpoints/ep_search/pause").json()
    assert hold(lab, "running").json()["operation"]["kind"] == "resume"
    assert lab.get(f"/v1/operations/{first['id']}")["status"] == "superseded"


def test_cancelling_what_a_hold_began_ends_the_hold(lab: Site) -> None:
    made = hold(lab, "paused").json()
    lab.post(f"/v1/operations/{made['operation']['id']}/cancel")
    assert lab.get(HOLDS)["items"] == []


def test_among_people_running_outranks_paused(lab: Site) -> None:
    lab.secrets["bo"] = lab.token("bo", Scope.OPERATE)
    running = hold(lab, "running").json()
    body = problem(hold(lab, "paused", scope="bo"), 409, "held_by_person")
    assert "admin holds search running until 2026-03-02 15:00 UTC: demo" in body["detail"]
    assert running["id"] in body["remedy"]
    lab.ask("DELETE", f"/v1/holds/{running['id']}")
    paused = hold(lab, "paused", scope="bo").json()
    outranked = hold(lab, "running").json()["outranks"]
    assert [one["id"] for one in outranked] == [paused["id"]]
    assert lab.get("/v1/endpoints/ep_search/why")["wish"] == "running"
    assert len(lab.get(HOLDS, actor="bo")["items"]) == 1


def test_a_newer_hold_of_the_same_person_takes_the_place_of_the_older(lab: Site) -> None:
    hold(lab, "running")
    hold(lab, "paused", 2)
    (left,) = lab.get(HOLDS)["items"]
    assert left["wish"] == "paused"


@pytest.mark.parametrize(("hours", "told"), [(-1, "past"), (31 * 24, "30 days")])
def test_an_end_is_compulsory_and_within_the_limit(lab: Site, hours: int, told: str) -> None:
    body = problem(hold(lab, "running", hours), 422, "invalid")
    assert told in body["detail"]
    missing = {"endpoint": "lab/search", "wish": "running", "reason": "demo"}
    assert problem(lab.post(HOLDS, missing), 422, "invalid")["field"] == "until"
    would = lab.post(HOLDS, missing | {"for": "90m"}, params={"dry_run": "true"}).json()["would"]
    assert would["until"] == "2026-03-02T13:30:00Z"


@pytest.mark.parametrize("length", ["0", "1s", "59s", "-3h", "soon"])
def test_a_hold_lasts_a_minute_at_least(lab: Site, length: str) -> None:
    body = {"endpoint": "lab/search", "wish": "paused", "for": length, "reason": "demo"}
    told = problem(lab.post(HOLDS, body), 422, "invalid")
    assert (told["field"], "0 for none" in told["remedy"]) == ("for", False)
    until = (lab.clock.now() + timedelta(seconds=59)).isoformat()
    body = {"endpoint": "lab/search", "wish": "paused", "until": until, "reason": "demo"}
    assert problem(lab.post(HOLDS, body), 422, "invalid")["field"] == "until"
    assert lab.get(HOLDS, state="all")["items"] == []


@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": "  "}])
def test_a_hold_has_a_reason(lab: Site, reason: dict[str, str]) -> None:
    body = {"endpoint": "lab/search", "wish": "running", "for": "3h", **reason}
    assert problem(lab.post(HOLDS, body), 422, "invalid")["errors"][0]["field"] == "reason"
    assert lab.get(HOLDS, state="all")["items"] == []


def test_what_sleeps_costs_as_much_as_its_start_at_least(lab: Site) -> None:
    """The account's kind of cloud usually takes longer to start than this hold lasts."""
    change(lab, status="paused", wish="paused", billed_low=0, billed_expected=0, billed_high=0)
    body = {"endpoint": "lab/search", "wish": "running", "for": "1m", "reason": "demo"}
    told = lab.post(HOLDS, body, params={"dry_run": "true"}).json()["would"]
    start_up = CLOUDS["huggingface"].start_up_s
    assert start_up > 60
    assert float(told["cost"]["amount"]) == pytest.approx(0.8 * start_up / 3600)


def test_what_has_expired_is_not_held_running(lab: Site) -> None:
    expires(lab, NOON + HOUR)
    body = problem(hold(lab, "running"), 409, "expires_before")
    assert "/v1/endpoints/ep_search/extend" in body["remedy"]
    lab.clock.set(NOON + 2 * HOUR)
    assert "bo set it: a trial" in problem(hold(lab, "running"), 409, "expired")["detail"]
    problem(lab.post("/v1/endpoints/ep_search/resume"), 409, "expired")
    problem(lease(lab), 409, "expired")
    assert hold(lab, "paused").status_code == 201


def test_a_lease_of_what_runs_serves_at_once(lab: Site) -> None:
    made = lease(lab)
    assert made.status_code == 201
    body = made.json()
    assert (body["status"], body["until"]) == ("serving", "2026-03-02T12:10:00Z")
    assert body["longest_until"] == "2026-03-03T12:00:00Z"
    assert lab.get("/v1/endpoints/ep_search/why")["rule"] == "hold"
    assert lab.get(HOLDS)["items"] == []
    assert [one["id"] for one in lab.get(LEASES)["items"]] == [body["id"]]


def test_the_same_key_acquires_once(lab: Site) -> None:
    key = {"Idempotency-Key": "night-1"}
    first, again = lease(lab, headers=key), lease(lab, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert len(lab.get(LEASES)["items"]) == 1


def test_a_lease_waits_until_what_is_paused_serves(lab: Site) -> None:
    change(lab, status="paused", wish="paused", ready_replicas=0)
    body = lease(lab).json()
    assert (body["status"], body["operation"]["kind"]) == ("starting", "resume")

    async def soon(seconds: float) -> None:
        lab.clock.set(lab.clock.now() + timedelta(seconds=seconds))
        if lab.clock.now() >= NOON + timedelta(seconds=5):
            change(lab, status="running", ready_replicas=1)

    lab.app.state.sleep = soon
    waited = lab.get(f"{LEASES}/{body['id']}", wait=20)
    assert waited["status"] == "serving"
    assert lab.clock.now() == NOON + timedelta(seconds=5)


def test_a_lease_is_not_serving_while_its_endpoint_is_being_paused(lab: Site) -> None:
    made = lease(lab).json()
    with lab.database.write() as session:
        session.add(
            Operation(
                id="op_p", account_id="acc_lab", endpoint_id="ep_search", endpoint_name="search",
                kind="pause", status="confirming", actor="engine", reason="x", created_at=NOON,
            )
        )  # fmt: skip
    assert lab.get(f"{LEASES}/{made['id']}")["status"] == "starting"


def test_renewing_goes_no_further_than_the_longest(lab: Site) -> None:
    where = f"{LEASES}/{lease(lab).json()['id']}"
    lab.clock.set(NOON + timedelta(minutes=5))
    renewed = lab.post(f"{where}/renew", {"ttl": "30m"}).json()
    assert (renewed["until"], renewed["renewals"]) == ("2026-03-02T12:35:00Z", 1)
    assert lab.post(f"{where}/renew", {"ttl": "1m"}).json()["until"] == renewed["until"]
    with lab.database.write() as session:
        row = session.get_one(Hold, renewed["id"])
        row.longest_until = row.until
        session.add(row)
    body = problem(lab.post(f"{where}/renew", {"ttl": "40m"}), 409, "lease_at_its_longest")
    assert "12:35:00" in body["detail"]


@pytest.mark.parametrize("ttl", ["0", "5s", "2h"])
def test_a_lease_has_bounds(lab: Site, ttl: str) -> None:
    body = problem(lease(lab, ttl), 422, "invalid")
    assert (body["field"], "renew" in body["remedy"]) == ("ttl", True)


def test_what_is_over_is_not_renewed(lab: Site) -> None:
    first, second = (lease(lab).json()["id"] for _ in range(2))
    ended = lab.ask("DELETE", f"{LEASES}/{first}").json()
    assert (ended["status"], ended["ended_at"]) == ("released", "2026-03-02T12:00:00Z")
    assert lab.ask("DELETE", f"{LEASES}/{first}").json()["status"] == "released"
    problem(lab.post(f"{LEASES}/{first}/renew", {"ttl": "5m"}), 409, "lease_over")
    assert lab.get("/v1/endpoints/ep_search/why")["rule"] == "hold"
    lab.clock.set(NOON + HOUR)
    assert lab.get(f"{LEASES}/{second}")["status"] == "expired"
    body = problem(lab.post(f"{LEASES}/{second}/renew", {"ttl": "5m"}), 409, "lease_over")
    assert "not renewed before 2026-03-02 12:10:00 UTC" in body["detail"]
    assert lab.get("/v1/endpoints/ep_search/why")["rule"] == "standing"


def test_a_person_outranks_a_program(lab: Site) -> None:
    made = lease(lab).json()
    held = hold(lab, "paused", 1).json()
    assert [one["id"] for one in held["outranks"]] == [made["id"]]
    assert held["operation"]["kind"] == "pause"
    stands = lab.get(f"{LEASES}/{made['id']}")
    assert (stands["status"], "admin holds it paused: demo" in stands["detail"]) == (
        "overruled",
        True,
    )
    refused = problem(
        lab.post(f"{LEASES}/{made['id']}/renew", {"ttl": "5m"}), 409, "held_by_person"
    )
    assert "until 2026-03-02 13:00 UTC: demo" in refused["detail"]
    body = problem(lease(lab), 409, "held_by_person")
    assert held["id"] in body["remedy"]
    lab.ask("DELETE", f"/v1/holds/{held['id']}")
    assert lab.get(f"{LEASES}/{made['id']}")["status"] == "starting"


def test_a_click_to_pause_ends_leases_and_one_to_run_leaves_them(lab: Site) -> None:
    made = lease(lab).json()
    lab.post("/v1/endpoints/ep_search/resume")
    assert lab.get(f"{LEASES}/{made['id']}")["status"] == "serving"
    lab.secrets["bo"] = lab.token("bo", Scope.OPERATE)
    lab.post("/v1/endpoints/ep_search/pause", scope="bo")
    gone = lab.get(f"{LEASES}/{made['id']}")
    assert (gone["status"], gone["detail"]) == ("revoked", "bo ended it at 2026-03-02 12:00:00 UTC")
    assert lab.events("lease.revoked")[0].message == "bo ended admin's lease on search"


def test_a_freeze_takes_no_lease_away(lab: Site) -> None:
    made = lease(lab).json()
    lab.ask("PUT", "/v1/freeze", json={"reason": "incident"})
    assert lab.post(f"{LEASES}/{made['id']}/renew", {"ttl": "20m"}).json()["status"] == "serving"
    problem(lease(lab), 409, "frozen")


def test_a_hold_for_available_is_met_by_a_lease_for_running(lab: Site) -> None:
    hold(lab, "available")
    assert lease(lab).json()["status"] == "serving"
    assert lab.get("/v1/endpoints/ep_search/why")["wish"] == "running"


def test_a_lease_is_no_hold_and_a_hold_no_lease(lab: Site) -> None:
    leased, held = lease(lab).json()["id"], hold(lab, "running").json()["id"]
    problem(lab.ask("GET", f"{LEASES}/{held}"), 404, "not_found")
    problem(lab.ask("GET", f"{HOLDS}/{leased}"), 404, "not_found")
