"""Pause, resume, scale to zero, delete: wishes, holds, and refusals with a remedy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.status import Status
from orchestrator.store.tables import (
    Account,
    Binding,
    Endpoint,
    Hold,
    IdlePolicy,
    Operation,
    Schedule,
)
from tests.api.site import NOON, Site, endpoint, problem
from tests.support import rows

HOUR = timedelta(hours=1)
PAUSE = "/v1/endpoints/ep_search/pause"
RESUME = "/v1/endpoints/ep_search/resume"
TO_ZERO = "/v1/endpoints/ep_search/scale-to-zero"


def bind(site: Site, start: str, end: str, **values: Any) -> None:
    """Let a daily window in UTC rule over the endpoint; noon is the present."""
    kept = values.pop("keep_running", False)
    window = {"days": list(range(7)), "start": start, "end": end, "keep_running": kept}
    schedule = Schedule(
        id="sch_1",
        name="hours",
        timezone="UTC",
        windows=[window],
        drain_minutes=0,
        selector={"endpoint": "ep_search"},
        effective_from=NOON - 24 * HOUR,
        created_at=NOON,
        created_by="ada",
        updated_at=NOON,
        **values,
    )
    binding = Binding(
        rule_id="sch_1", endpoint_id="ep_search", rule_kind="schedule", matched_at=NOON
    )
    site.seed(schedule, binding)


def change(site: Site, **values: Any) -> None:
    with site.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def stored(site: Site, model: type[Any], ref: str) -> Any:
    with site.database.read() as session:
        return session.get_one(model, ref)


def test_a_pause_is_an_operation_and_a_wish(lab: Site) -> None:
    response = lab.post(PAUSE, {"reason": "night"})
    assert response.status_code == 202
    made = response.json()
    assert response.headers["location"] == f"/v1/operations/{made['id']}"
    assert (made["kind"], made["status"], made["actor"]) == ("pause", "pending", "admin")
    assert made["endpoint"] == {"id": "ep_search", "name": "search"}
    assert made["reason"] == "night"
    assert made["hold"] is None
    row = stored(lab, Endpoint, "ep_search")
    assert (row.wish, row.wish_actor, row.wish_reason) == ("paused", "admin", "night")
    told = lab.events("operation.requested")[0]
    assert (told.operation_id, told.endpoint_id) == (made["id"], "ep_search")
    assert lab.get("/v1/endpoints/ep_search")["operation"]["id"] == made["id"]


def test_a_click_needs_no_body(lab: Site) -> None:
    made = lab.post(PAUSE).json()
    assert made["reason"] == "no reason given"


@pytest.mark.parametrize(("least", "wish"), [(1, "running"), (0, "available"), (None, "running")])
def test_what_running_means_depends_on_the_least_replicas(
    lab: Site, least: int | None, wish: str
) -> None:
    change(lab, status="paused", wish="paused", min_replicas=least)
    lab.post(RESUME)
    assert stored(lab, Endpoint, "ep_search").wish == wish


def test_a_resume_against_a_schedule_is_a_hold_for_four_hours(lab: Site) -> None:
    bind(lab, "20:00", "23:00")
    change(lab, status="paused", wish="running", min_replicas=2)
    made = lab.post(RESUME, {"reason": "demo"}).json()
    assert made["hold"]["wish"] == "running"
    assert made["hold"]["until"] == "2026-03-02T16:00:00Z"
    assert made["hold"]["cost"] == {"amount": "6.400000000", "currency": "USD"}
    assert stored(lab, Endpoint, "ep_search").wish_actor == "ada"
    assert "until 2026-03-02 16:00 UTC" in lab.events("hold.started")[0].message


def test_a_resume_against_a_schedule_ends_at_the_next_edge(lab: Site) -> None:
    bind(lab, "14:30", "18:00")
    change(lab, status="paused")
    hold = lab.post(RESUME).json()["hold"]
    assert hold["until"] == "2026-03-02T14:30:00Z"
    assert hold["cost"]["amount"] == "2.000000000"


def test_a_pause_against_a_schedule_lasts_until_the_next_start(lab: Site) -> None:
    bind(lab, "08:00", "18:00")
    hold = lab.post(PAUSE).json()["hold"]
    assert (hold["wish"], hold["until"]) == ("paused", "2026-03-03T08:00:00Z")
    assert hold["cost"]["amount"] == "0.000000000"


def test_a_click_that_agrees_with_the_schedule_is_no_hold(lab: Site) -> None:
    bind(lab, "08:00", "18:00")
    change(lab, status="paused")
    assert lab.post(RESUME).json()["hold"] is None


def test_the_person_may_say_until_when(lab: Site) -> None:
    bind(lab, "20:00", "23:00")
    change(lab, status="paused")
    hold = lab.post(RESUME, {"until": "2026-03-03T12:00:00+01:00"}).json()["hold"]
    assert hold["until"] == "2026-03-03T11:00:00Z"
    assert hold["cost"]["amount"] == "18.400000000"


def test_an_end_makes_a_hold_without_any_rule(lab: Site) -> None:
    made = lab.post(PAUSE, {"until": "2026-03-02T18:00:00Z"}).json()
    assert made["hold"]["until"] == "2026-03-02T18:00:00Z"
    assert stored(lab, Endpoint, "ep_search").wish == "running"


@pytest.mark.parametrize("until", ["2026-03-02T12:00:00Z", "2026-04-02T12:00:00Z"])
def test_an_end_lies_ahead_and_not_too_far(lab: Site, until: str) -> None:
    body = problem(lab.post(PAUSE, {"until": until}), 422, "invalid")
    assert body["field"] == "until"
    assert body["remedy"]


def test_the_cost_of_a_hold_is_null_without_a_price(lab: Site) -> None:
    bind(lab, "20:00", "23:00")
    change(lab, status="paused", hardware_key="aws/x/y/z")
    assert lab.post(RESUME).json()["hold"]["cost"] is None


def test_a_protected_endpoint_obeys_people_not_schedules(lab: Site) -> None:
    bind(lab, "08:00", "18:00")
    change(lab, protected=True)
    assert lab.post(PAUSE).json()["hold"] is None
    assert stored(lab, Endpoint, "ep_search").wish == "paused"


@pytest.mark.parametrize("shade", [{"shadow": True}, {"enabled": False}])
def test_a_schedule_that_does_not_act_makes_no_hold(lab: Site, shade: dict[str, bool]) -> None:
    bind(lab, "08:00", "18:00", **shade)
    assert lab.post(PAUSE).json()["hold"] is None


def test_a_newer_click_takes_the_place_of_an_older_one(lab: Site) -> None:
    bind(lab, "20:00", "23:00")
    change(lab, status="paused")
    first = lab.post(RESUME).json()
    lab.clock.set(NOON + HOUR)
    second = lab.post(PAUSE).json()
    assert second["hold"] is None
    old = lab.get(f"/v1/operations/{first['id']}")
    assert (old["status"], old["superseded_by"]) == ("superseded", second["id"])
    assert lab.get("/v1/holds")["items"] == []
    ended = stored(lab, Hold, first["hold"]["id"])
    assert (ended.ended_at, ended.ended_by) == (NOON + HOUR, "admin")
    kinds = [event.kind for event in lab.events()]
    assert kinds[-3:] == ["hold.ended", "operation.superseded", "operation.requested"]


def test_a_second_click_joins_the_operation_under_way(lab: Site) -> None:
    first, second = lab.post(PAUSE).json(), lab.post(PAUSE).json()
    assert first["id"] == second["id"]


def test_scaling_to_zero_against_a_kept_window_is_a_hold(lab: Site) -> None:
    bind(lab, "08:00", "18:00", keep_running=True)
    hold = lab.post(TO_ZERO).json()["hold"]
    assert (hold["wish"], hold["until"]) == ("available", "2026-03-03T08:00:00Z")


def test_scaling_to_zero_inside_a_plain_window_is_a_wish(lab: Site) -> None:
    bind(lab, "08:00", "18:00")
    made = lab.post(TO_ZERO).json()
    assert (made["kind"], made["hold"]) == ("scale_to_zero", None)
    assert stored(lab, Endpoint, "ep_search").wish == "available"


def test_scaling_to_zero_does_not_wake_what_is_paused(lab: Site) -> None:
    change(lab, status="paused", wish="paused")
    body = problem(lab.post(TO_ZERO), 409, "already_paused")
    assert "resume" in body["remedy"].lower()


def test_a_resume_that_an_idle_policy_would_undo_at_once_is_refused(lab: Site) -> None:
    earlier = NOON - 5 * HOUR
    change(lab, managed_since=earlier, ready_at=earlier, last_used_at=NOON - 2 * HOUR)
    lab.seed(
        IdlePolicy(
            id="pol_1",
            name="idle-30",
            timeout_minutes=30,
            action="pause",
            selector={"endpoint": "ep_search"},
            effective_from=earlier,
            created_at=earlier,
            created_by="ada",
            updated_at=earlier,
        ),
        Binding(rule_id="pol_1", endpoint_id="ep_search", rule_kind="idle", matched_at=earlier),
    )
    body = problem(lab.post(RESUME), 409, "would_be_undone")
    assert "idle-30" in body["detail"]
    assert "`until`" in body["remedy"]
    assert stored(lab, Endpoint, "ep_search").wish_actor == "ada"
    held = lab.post(RESUME, {"until": "2026-03-02T13:00:00Z"})
    assert held.json()["hold"]["wish"] == "running"


def test_an_observed_endpoint_is_not_touched(lab: Site) -> None:
    change(lab, managed=False, observe_only="it has several variants")
    body = problem(lab.post(PAUSE), 409, "not_managed")
    assert "/v1/endpoints/ep_search/adopt" in body["remedy"]
    assert "several variants" in body["detail"]
    assert lab.get("/v1/operations")["items"] == []


def test_a_deleted_endpoint_is_not_touched(lab: Site) -> None:
    change(lab, deleted_at=NOON, managed=False)
    problem(lab.post(RESUME), 409, "deleted")


@pytest.mark.parametrize("account", [None, "lab"])
def test_a_freeze_stops_clicks(lab: Site, account: str | None) -> None:
    body = {"reason": "incident", "account": account}
    lab.ask("PUT", "/v1/freeze", json=body)
    refused = problem(lab.post(PAUSE), 409, "frozen")
    assert "incident" in refused["detail"]
    assert "DELETE /v1/freeze" in refused["remedy"]


def test_a_removed_account_stops_clicks(lab: Site) -> None:
    with lab.database.write() as session:
        row = session.get_one(Account, "acc_lab")
        row.removed_at = NOON
        session.add(row)
    problem(lab.post(PAUSE), 409, "account_removed")


def test_an_update_that_may_have_been_sent_is_settled_before_a_start(lab: Site) -> None:
    lab.seed(rows.operation(kind="update", status="running"))
    body = problem(lab.post(RESUME), 409, "operation_in_progress")
    assert "/v1/operations/op_1?wait=60" in body["remedy"]
    assert stored(lab, Endpoint, "ep_search").wish == "running"


def test_a_stop_does_not_wait_for_an_update(lab: Site) -> None:
    lab.seed(rows.operation(kind="update", status="running"))
    made = lab.post(PAUSE).json()
    overtaken = stored(lab, Operation, "op_1")
    assert (overtaken.status, overtaken.superseded_by) == ("superseded", made["id"])
    assert "it may have been sent" in overtaken.outcome


def test_deleting_asks_for_the_name(lab: Site) -> None:
    where = "/v1/endpoints/ep_search"
    for confirm in ("", "?confirm=Search", "?confirm=ep_search"):
        body = problem(lab.ask("DELETE", where + confirm), 422, "invalid")
        assert (body["field"], body["remedy"]) == ("confirm", "Repeat with confirm=search.")
    made = lab.ask("DELETE", f"{where}?confirm=search&reason=old&grace=0")
    assert made.status_code == 202
    assert (made.json()["kind"], made.json()["reason"]) == ("delete", "old")
    assert stored(lab, Endpoint, "ep_search").wish == "deleted"


def test_what_is_being_deleted_takes_no_other_click(lab: Site) -> None:
    made = lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search&grace=0").json()
    body = problem(lab.post(RESUME), 409, "being_deleted")
    assert f"/v1/operations/{made['id']}/cancel" in body["remedy"]


def test_cancelling_takes_the_click_back(lab: Site) -> None:
    made = lab.post(PAUSE).json()
    gone = lab.post(f"/v1/operations/{made['id']}/cancel")
    assert gone.status_code == 200
    assert (gone.json()["status"], gone.json()["finished_at"]) == (
        "cancelled",
        "2026-03-02T12:00:00Z",
    )
    row = stored(lab, Endpoint, "ep_search")
    assert (row.wish, row.wish_actor, row.wish_at) == ("running", "ada", NOON)
    assert lab.events("operation.cancelled")[0].actor == "admin"


def test_cancelling_ends_the_hold_of_the_click(lab: Site) -> None:
    bind(lab, "20:00", "23:00")
    change(lab, status="paused")
    made = lab.post(RESUME).json()
    lab.post(f"/v1/operations/{made['id']}/cancel")
    assert lab.get("/v1/holds")["items"] == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"status": "running"}, "already_sent"),
        ({"status": "confirming"}, "already_sent"),
        ({"status": "succeeded"}, "already_ended"),
        ({"actor": "engine", "rule": "schedule:sch_1"}, "asked_by_rule"),
    ],
)
def test_what_cannot_be_cancelled(lab: Site, values: dict[str, Any], code: str) -> None:
    lab.seed(rows.operation(**values))
    problem(lab.post("/v1/operations/op_1/cancel"), 409, code)
    assert stored(lab, Operation, "op_1").status == values.get("status", "pending")


def test_an_unknown_operation_cannot_be_cancelled(lab: Site) -> None:
    problem(lab.post("/v1/operations/op_9/cancel"), 404, "not_found")


def test_adopting_changes_nothing_but_the_wish(lab: Site) -> None:
    lab.seed(endpoint("seen", managed=False, wish="", status="scaled_to_zero", min_replicas=0))
    body = {"labels": {"team": "search"}, "owner": "ada"}
    found = lab.post("/v1/endpoints/ep_seen/adopt", body).json()
    assert (found["managed"], found["status"]) == (True, "scaled_to_zero")
    assert (found["wish"]["wish"], found["wish"]["actor"]) == ("available", "admin")
    assert (found["labels"], found["owner"]) == ({"team": "search"}, "ada")
    assert lab.get("/v1/operations")["items"] == []
    assert lab.events("endpoint.adopted")[0].endpoint_id == "ep_seen"


@pytest.mark.parametrize(
    ("status", "least", "wish"),
    [
        (Status.RUNNING, 1, "running"),
        (Status.RUNNING, 0, "available"),
        (Status.INITIALIZING, 1, "running"),
        (Status.SCALED_TO_ZERO, 0, "available"),
        (Status.PAUSED, 1, "paused"),
        (Status.PAUSING, 1, "paused"),
        (Status.FAILED, 1, "running"),
    ],
)
def test_adoption_wishes_for_what_is(lab: Site, status: Status, least: int, wish: str) -> None:
    lab.seed(endpoint("seen", managed=False, wish="", status=status, min_replicas=least))
    assert lab.post("/v1/endpoints/ep_seen/adopt").json()["wish"]["wish"] == wish


def test_adopting_again_changes_nothing(lab: Site) -> None:
    lab.post(PAUSE)
    assert lab.post("/v1/endpoints/ep_search/adopt").json()["wish"]["wish"] == "paused"
    assert lab.events("endpoint.adopted") == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"observe_only": "serverless"}, "observe_only"),
        ({"status": "unknown", "cloud_state": "hovering"}, "status_unknown"),
        ({"deleted_at": NOON}, "deleted"),
    ],
)
def test_what_cannot_be_adopted(lab: Site, values: dict[str, Any], code: str) -> None:
    lab.seed(endpoint("seen", managed=False, **values))
    problem(lab.post("/v1/endpoints/ep_seen/adopt"), 409, code)


def test_what_stood_down_may_be_adopted_again(lab: Site) -> None:
    bind(lab, "20:00", "23:00")
    change(lab, managed=False, observe_only="stood down: others undid its rules")
    found = lab.post("/v1/endpoints/ep_search/adopt").json()
    assert (found["managed"], found["observe_only"]) == (True, "")
    with lab.database.read() as session:
        binding = session.get_one(Binding, ("sch_1", "ep_search"))
    assert binding.acts_from == NOON + 8 * HOUR


def test_many_are_adopted_by_selector(lab: Site) -> None:
    lab.seed(
        endpoint("a", managed=False),
        endpoint("b", managed=False, observe_only="serverless"),
        rows.account("acme"),
        endpoint("c", managed=False, account_id="acc_acme"),
    )
    body = {"selector": {"account": "lab"}, "labels": {"team": "x"}}
    rehearsed = lab.post("/v1/endpoints/adopt?dry_run=true", body).json()["would"]
    done = lab.post("/v1/endpoints/adopt", body).json()
    assert [item["name"] for item in rehearsed["adopted"]] == ["a"]
    assert [item["name"] for item in done["adopted"]] == ["a"]
    assert done["adopted"][0]["labels"] == {"team": "x"}
    assert [(item["endpoint"]["name"], item["reason"]) for item in done["skipped"]] == [
        ("b", "b is not handled: serverless.")
    ]
    assert stored(lab, Endpoint, "ep_c").managed is False


def test_many_are_adopted_by_id(lab: Site) -> None:
    lab.seed(endpoint("a", managed=False), endpoint("b", managed=False))
    done = lab.post("/v1/endpoints/adopt", {"ids": ["ep_b", "ep_a", "ep_b"]}).json()
    assert [item["id"] for item in done["adopted"]] == ["ep_b", "ep_a"]
    body = problem(lab.post("/v1/endpoints/adopt", {"ids": ["ep_z"]}), 422, "invalid")
    assert body["field"] == "ids"


@pytest.mark.parametrize("body", [{}, {"ids": [], "selector": {"account": "lab"}}])
def test_a_bulk_adoption_says_which(lab: Site, body: dict[str, Any]) -> None:
    assert problem(lab.post("/v1/endpoints/adopt", body), 422, "invalid")["field"] == "selector"


def test_releasing_leaves_it_as_it_is(lab: Site) -> None:
    bind(lab, "08:00", "18:00")
    lab.seed(
        Hold(
            id="hld_1",
            endpoint_id="ep_search",
            wish="running",
            starts_at=NOON,
            until=NOON + HOUR,
            actor="ada",
            reason="x",
        )
    )
    found = lab.post("/v1/endpoints/ep_search/release", {"reason": "mine"}).json()
    assert (found["managed"], found["status"], found["wish"]) == (False, "running", None)
    assert found["holds"] == []
    with lab.database.read() as session:
        assert session.get(Binding, ("sch_1", "ep_search")) is None
    assert lab.post("/v1/endpoints/ep_search/release").status_code == 200
    (told,) = lab.events("endpoint.released")
    assert (told.data["reason"], told.message[-6:]) == ("mine", "; mine")


def test_nothing_is_released_under_an_operation_in_doubt(lab: Site) -> None:
    lab.seed(rows.operation(status="running"))
    problem(lab.post("/v1/endpoints/ep_search/release"), 409, "operation_in_progress")
