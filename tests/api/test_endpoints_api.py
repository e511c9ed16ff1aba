"""Endpoints as they are read: one, many, searched, paged, and in few statements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.store import events
from orchestrator.store.tables import Hold, Label, Offer
from tests.api.site import L4, NOON, Site, endpoint, problem
from tests.support import rows

HOUR = timedelta(hours=1)


def names(site: Site, **params: Any) -> list[str]:
    return [item["name"] for item in site.get("/v1/endpoints", **params)["items"]]


def test_one_endpoint_in_full(lab: Site) -> None:
    lab.clock.set(NOON + 2 * HOUR)
    with lab.database.write() as session:
        account = session.get_one(type(rows.account()), "acc_lab")
        account.confirmed_at = NOON + 2 * HOUR
        session.add(account)
    found = lab.get("/v1/endpoints/ep_search")
    assert found["account"] == {"id": "acc_lab", "name": "lab"}
    assert found["hardware"] == {
        "key": L4,
        "vendor": "aws",
        "region": "us-east-1",
        "instance_type": "nvidia-l4",
        "instance_size": "x1",
        "accelerator": "gpu",
    }
    assert found["replicas"] == {
        "ready": 1,
        "target": 1,
        "billed": {"low": 1, "expected": 1, "high": 1},
    }
    assert found["scaling"] == {
        "min_replicas": 1,
        "max_replicas": 2,
        "scale_to_zero_minutes": None,
    }
    assert found["burn_per_hour"] == {"amount": "0.800000000", "currency": "USD"}
    assert found["month_to_date"]["amount"] == "1.600000000"
    assert found["month_to_date"]["basis"] == "metered"
    assert found["wish"]["wish"] == "running"
    assert (found["holds"], found["operation"], found["decision"]) == ([], None, None)


def test_an_endpoint_is_found_by_account_and_name(lab: Site) -> None:
    assert lab.get("/v1/endpoints/lab/search")["id"] == "ep_search"
    assert lab.get("/v1/endpoints/lab%2Fsearch")["id"] == "ep_search"


@pytest.mark.parametrize("ref", ["ep_none", "lab/none", "none/search", "search"])
def test_an_unknown_endpoint(lab: Site, ref: str) -> None:
    body = problem(lab.ask("GET", f"/v1/endpoints/{ref}"), 404, "not_found")
    assert "account-name/endpoint-name" in body["remedy"]


def test_a_name_that_was_deleted_and_made_again_is_the_new_one(lab: Site) -> None:
    lab.seed(
        endpoint("twice", id="ep_1", deleted_at=NOON, status="deleted"),
        endpoint("twice", id="ep_2", generation=2),
    )
    assert lab.get("/v1/endpoints/lab/twice")["id"] == "ep_2"


def test_an_unknown_price_is_null_and_never_zero(lab: Site) -> None:
    lab.seed(
        endpoint("odd"),
        rows.interval(endpoint_id="ep_odd", hardware_key="aws/?/?/?"),
        endpoint("asleep", status="paused", billed_low=0, billed_expected=0, billed_high=0),
        endpoint("unmetered"),
    )
    burns = {item["name"]: item["burn_per_hour"] for item in lab.get("/v1/endpoints")["items"]}
    assert burns["odd"] is None
    assert burns["unmetered"] is None
    assert burns["asleep"] == {"amount": "0.000000000", "currency": "USD"}


def test_unpriced_time_is_told_beside_the_sum(lab: Site) -> None:
    lab.seed(endpoint("odd"), rows.interval(endpoint_id="ep_odd", hardware_key="a/b/c/d"))
    with lab.database.write() as session:
        account = session.get_one(type(rows.account()), "acc_lab")
        account.confirmed_at = NOON + HOUR
        session.add(account)
    lab.clock.set(NOON + HOUR)
    month = lab.get("/v1/endpoints/ep_odd")["month_to_date"]
    assert (month["amount"], month["unpriced_seconds"]) == ("0.000000000", 3600)


@pytest.fixture
def fleet(lab: Site) -> Site:
    """Return a service with endpoints that differ in all that can be searched."""
    lab.seed(
        rows.account("acme"),
        endpoint("chat", account_id="acc_acme", hardware_key="gcp/us-east4/nvidia-t4/x1"),
        endpoint("chat-test", status="paused", managed=False),
        endpoint("gone", status="deleted", deleted_at=NOON),
        Label(endpoint_id="ep_search", key="team", value="search"),
        Label(endpoint_id="ep_search", key="stage", value="prod"),
        Label(endpoint_id="ep_chat", key="team", value="chat"),
        Label(endpoint_id="ep_chat", key="stage", value="prod"),
        Label(endpoint_id="ep_chat", key="cloud:stage", value="beta", source="cloud"),
    )
    return lab


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["chat", "chat-test", "search"]),
        ({"account": "acme"}, ["chat"]),
        ({"account": "acc_lab"}, ["chat-test", "search"]),
        ({"status": "paused"}, ["chat-test"]),
        ({"status": ["paused", "running"]}, ["chat", "chat-test", "search"]),
        ({"managed": "false"}, ["chat-test"]),
        ({"name": "CHAT"}, ["chat", "chat-test"]),
        ({"name": "%"}, []),
        ({"hardware": "nvidia-t4"}, ["chat"]),
        ({"label": "team=search"}, ["search"]),
        ({"label": "stage"}, ["chat", "search"]),
        ({"label": ["stage=prod", "team=chat"]}, ["chat"]),
        ({"label": "cloud:stage=beta"}, ["chat"]),
        ({"label": "stage=beta"}, []),
        ({"deleted": "true", "name": "gone"}, ["gone"]),
        ({"sort": "-name"}, ["search", "chat-test", "chat"]),
        ({"sort": "status"}, ["chat-test", "chat", "search"]),
        ({"sort": "-burn", "status": "running"}, ["search", "chat"]),
    ],
)
def test_searching(fleet: Site, params: dict[str, Any], expected: list[str]) -> None:
    assert names(fleet, **params) == expected


def test_our_labels_and_those_of_the_cloud_stay_apart(fleet: Site) -> None:
    found = fleet.get("/v1/endpoints/ep_chat")
    assert found["labels"] == {"stage": "prod", "team": "chat"}
    assert found["cloud_labels"] == {"stage": "beta"}


def test_an_unknown_account_to_search_in(fleet: Site) -> None:
    problem(fleet.ask("GET", "/v1/endpoints?account=nowhere"), 404, "not_found")


@pytest.fixture
def crowd(site: Site) -> Site:
    """Return a service with 200 endpoints, each with labels, a hold and a meter."""
    site.seed(rows.account(confirmed_at=NOON))
    with site.database.write() as session:
        for number in range(200):
            name = f"e{number:03}"
            session.add(endpoint(name, status="running" if number % 3 else "paused"))
            session.flush()
            session.add(Label(endpoint_id=f"ep_{name}", key="team", value=str(number % 4)))
            session.add(rows.interval(endpoint_id=f"ep_{name}", burn=number % 7, hardware_key=L4))
            session.add(hold(f"ep_{name}", f"hld_{number}"))
    return site


def hold(endpoint_id: str, hold_id: str, **values: Any) -> Hold:
    given: dict[str, Any] = {
        "wish": "running",
        "starts_at": NOON,
        "until": NOON + HOUR,
        "actor": "ada",
        "reason": "test",
    }
    return Hold(id=hold_id, endpoint_id=endpoint_id, **{**given, **values})


def test_paging_shows_each_once_in_every_order(crowd: Site) -> None:
    for sort in ("name", "-name", "status", "-status", "burn", "-burn"):
        _check_paging(crowd, sort)


def _check_paging(crowd: Site, sort: str) -> None:
    seen: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 73, "sort": sort}
    for _ in range(3):
        page = crowd.get("/v1/endpoints", **params)
        seen += page["items"]
        params["cursor"] = page["next_cursor"]
    assert params["cursor"] is None
    assert len({item["id"] for item in seen}) == len(seen) == 200
    read: dict[str, Callable[[dict[str, Any]], Any]] = {
        "name": lambda item: item["name"],
        "status": lambda item: item["status"],
        "burn": lambda item: item["burn_per_hour"]["amount"],
    }
    values = [read[sort.removeprefix("-")](item) for item in seen]
    assert values == sorted(values, reverse=sort.startswith("-"))


def test_a_row_that_goes_moves_no_other(crowd: Site) -> None:
    first = crowd.get("/v1/endpoints", limit=10)
    with crowd.database.write() as session:
        gone = session.get_one(type(endpoint()), "ep_e003")
        gone.deleted_at = NOON
        session.add(gone)
    second = crowd.get("/v1/endpoints", limit=10, cursor=first["next_cursor"])
    assert second["items"][0]["name"] == "e010"


@pytest.mark.parametrize("cursor", ["x", "eA==", "WyJlIiwxXQ==", "bnVsbA==", "é"])
def test_a_damaged_cursor_is_refused(crowd: Site, cursor: str) -> None:
    response = crowd.ask("GET", "/v1/endpoints", params={"cursor": cursor})
    assert problem(response, 422, "invalid_cursor")["field"] == "cursor"


def test_a_cursor_of_another_order_is_refused(crowd: Site) -> None:
    cursor = crowd.get("/v1/endpoints", limit=1)["next_cursor"]
    response = crowd.ask("GET", "/v1/endpoints", params={"cursor": cursor, "sort": "-burn"})
    problem(response, 422, "invalid_cursor")


def statements(site: Site, path: str) -> int:
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    site.get("/v1/me")
    event.listen(site.database.engine, "before_cursor_execute", note)
    site.get(path)
    event.remove(site.database.engine, "before_cursor_execute", note)
    return count


def test_a_list_of_200_takes_as_many_statements_as_a_list_of_two(crowd: Site) -> None:
    assert len(crowd.get("/v1/endpoints?limit=200")["items"]) == 200
    few = statements(crowd, "/v1/endpoints?limit=2")
    assert statements(crowd, "/v1/endpoints?limit=200") == few
    assert few <= 14


@pytest.mark.parametrize("path", ["/v1/holds", "/v1/operations", "/v1/events", "/v1/accounts"])
def test_other_lists_take_a_fixed_number_of_statements(crowd: Site, path: str) -> None:
    assert statements(crowd, f"{path}?limit=1") == statements(crowd, f"{path}?limit=200")


def test_why_names_every_rule_in_order(lab: Site) -> None:
    found = lab.get("/v1/endpoints/ep_search/why")
    assert (found["wish"], found["rule"]) == ("running", "standing")
    assert found["endpoint"] == {"id": "ep_search", "name": "search"}
    assert [item["rule"] for item in found["considered"]] == [
        "not_managed",
        "frozen",
        "deletion",
        "hold",
        "expired",
        "schedule",
        "idle",
        "standing",
    ]
    assert found["considered"][-1]["outcome"] == "decided"


def test_why_stops_at_the_rule_that_decides(lab: Site) -> None:
    lab.seed(hold("ep_search", "hld_1", wish="paused"))
    found = lab.get("/v1/endpoints/lab/search/why")
    assert (found["wish"], found["rule"]) == ("paused", "hold")
    assert found["next_change"] == {"at": "2026-03-02T13:00:00Z", "wish": "running"}
    outcomes = {item["rule"]: item["outcome"] for item in found["considered"]}
    assert outcomes["hold"] == "decided"
    assert outcomes["standing"] == "not_reached"


def test_why_at_another_instant(lab: Site) -> None:
    lab.seed(hold("ep_search", "hld_1", wish="paused"))
    found = lab.get("/v1/endpoints/ep_search/why", at="2026-03-02T15:30:00+02:00")
    assert (found["at"], found["wish"]) == ("2026-03-02T13:30:00Z", "running")


def test_why_of_an_observed_endpoint(lab: Site) -> None:
    lab.seed(endpoint("seen", managed=False, wish=""))
    found = lab.get("/v1/endpoints/ep_seen/why")
    assert (found["wish"], found["rule"]) == (None, "not_managed")


def test_events_of_one_endpoint_newest_first(lab: Site) -> None:
    with lab.database.write() as session:
        for number in range(5):
            events.record(
                session,
                at=NOON + timedelta(minutes=number),
                kind="endpoint.status_changed",
                actor="cloud",
                message=f"number {number}",
                endpoint_id="ep_search" if number != 2 else None,
            )
    first = lab.get("/v1/endpoints/ep_search/events", limit=3)
    assert [item["message"] for item in first["items"]] == ["number 4", "number 3", "number 1"]
    rest = lab.get("/v1/endpoints/ep_search/events", limit=3, cursor=first["next_cursor"])
    assert [item["message"] for item in rest["items"]] == ["number 0"]
    assert rest["next_cursor"] is None


def test_the_timeline_shows_metered_stretches(lab: Site) -> None:
    lab.seed(
        rows.interval(started_at=NOON - 3 * HOUR, ended_at=NOON - HOUR, burn=5, cause="schedule")
    )
    lab.clock.set(NOON + HOUR)
    found = lab.get("/v1/endpoints/ep_search/timeline")
    assert [(item["start"], item["end"]) for item in found["intervals"]] == [
        ("2026-03-02T09:00:00Z", "2026-03-02T11:00:00Z"),
        ("2026-03-02T12:00:00Z", None),
    ]
    assert found["intervals"][1]["burn_per_hour"]["amount"] == "0.800000000"
    assert found["truncated"] is False
    params = {"from": "2026-03-02T11:30:00Z", "to": "2026-03-02T12:00:00Z"}
    assert lab.get("/v1/endpoints/ep_search/timeline", **params)["intervals"] == []


def test_the_cost_of_one_endpoint_by_day(lab: Site) -> None:
    lab.seed(
        endpoint("other"),
        rows.interval(
            started_at=NOON - 24 * HOUR,
            ended_at=NOON - 22 * HOUR,
            burn_low=10**9,
            burn=10**9,
            burn_high=10**9,
            rate_id="rat_l4",
        ),
    )
    found = lab.get("/v1/endpoints/ep_search/cost", by="day")
    assert found["total"]["amount"] == "2.000000000"
    assert [(day["day"], day["money"]["amount"]) for day in found["days"]] == [
        ("2026-03-01", "2.000000000"),
        ("2026-03-02", "0.000000000"),
    ]
    assert lab.get("/v1/endpoints/ep_other/cost")["total"]["amount"] == "0.000000000"


def test_a_span_runs_forward(lab: Site) -> None:
    params = {"from": "2026-03-02T12:00:00Z", "to": "2026-03-01T12:00:00Z"}
    response = lab.ask("GET", "/v1/endpoints/ep_search/cost", params=params)
    assert problem(response, 422, "invalid")["field"] == "from"


def test_hardware_with_prices_and_quota(fleet: Site) -> None:
    fleet.seed(
        Offer(
            account_id="acc_lab",
            hardware_key=L4,
            accelerator="gpu",
            accelerators=1,
            status="available",
            nano_per_hour=800_000_000,
            quota_max=4,
            quota_used=1,
            read_at=NOON,
        ),
        Offer(account_id="acc_acme", hardware_key=L4, read_at=NOON),
    )
    (mine,) = fleet.get("/v1/hardware", account="lab")["items"]
    assert (mine["key"], mine["account"]["name"]) == (L4, "lab")
    assert mine["price_per_hour"]["amount"] == "0.800000000"
    assert mine["quota"] == {"max": 4, "used": 1}
    both = fleet.get("/v1/hardware", limit=1)
    assert both["items"][0]["price_per_hour"] is None
    assert fleet.get("/v1/hardware", cursor=both["next_cursor"])["items"] == [mine]
