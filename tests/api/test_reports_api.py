"""The freeze, costs, events and the overview."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.store import events
from orchestrator.store.tables import Label
from tests.api.site import NOON, Site, endpoint, problem
from tests.support import rows

HOUR = timedelta(hours=1)


def test_freezing_everything_and_one_account(lab: Site) -> None:
    lab.ask("PUT", "/v1/freeze", json={"reason": "incident"})
    lab.ask("PUT", "/v1/freeze", json={"reason": "audit", "account": "lab"}, scope="operate")
    at = "2026-03-02T12:00:00Z"
    assert lab.get("/v1/freeze") == {
        "everywhere": {"at": at, "by": "admin", "reason": "incident"},
        "accounts": [
            {
                "account": {"id": "acc_lab", "name": "lab"},
                "at": at,
                "by": "operator",
                "reason": "audit",
            }
        ],
    }
    left = lab.ask("DELETE", "/v1/freeze").json()
    assert (left["everywhere"], len(left["accounts"])) == (None, 1)
    assert lab.ask("DELETE", "/v1/freeze?account=acc_lab").json()["accounts"] == []
    assert [event.kind for event in lab.events() if event.kind.startswith("freeze")] == [
        "freeze.on",
        "freeze.on",
        "freeze.off",
        "freeze.off",
    ]


@pytest.mark.parametrize("query", ["", "?account=lab"])
def test_ending_a_freeze_that_is_not_on(lab: Site, query: str) -> None:
    problem(lab.ask("DELETE", f"/v1/freeze{query}"), 404, "not_found")


def test_a_freeze_has_a_reason(lab: Site) -> None:
    problem(lab.ask("PUT", "/v1/freeze", json={"reason": ""}), 422, "invalid")
    problem(lab.ask("PUT", "/v1/freeze", json={"reason": "x", "account": "no"}), 404, "not_found")


@pytest.fixture
def spent(lab: Site) -> Site:
    """Return a service that has metered two teams, $2 and $1, and an unpriced hour."""
    one = {"burn_low": 10**9, "burn": 10**9, "burn_high": 10**9, "rate_id": "rat_l4"}
    lab.seed(
        endpoint("chat"),
        endpoint("odd"),
        Label(endpoint_id="ep_search", key="team", value="search"),
        Label(endpoint_id="ep_chat", key="team", value="chat"),
        rows.interval(started_at=NOON - 3 * HOUR, ended_at=NOON - HOUR, **one),
        rows.interval(
            endpoint_id="ep_chat", started_at=NOON - 2 * HOUR, ended_at=NOON - HOUR, **one
        ),
        rows.interval(
            endpoint_id="ep_odd",
            hardware_key="aws/x/y/z",
            started_at=NOON - 2 * HOUR,
            ended_at=NOON - HOUR,
        ),
    )
    return lab


@pytest.mark.parametrize(
    ("query", "items"),
    [
        ("", [("ep_search", "2.0"), ("ep_chat", "1.0"), ("ep_odd", "0.0")]),
        ("?group_by=account", [("acc_lab", "3.0")]),
        ("?group_by=label:team", [("search", "2.0"), ("chat", "1.0"), ("(none)", "0.0")]),
        ("?group_by=day", [("2026-03-01", "0.0"), ("2026-03-02", "3.0")]),
        ("?label=team=chat", [("ep_chat", "1.0")]),
        ("?account=lab&label=team=search", [("ep_search", "2.0")]),
        (
            "?from=2026-03-02T10:30:00Z&to=2026-03-02T11:00:00Z&label=team=chat",
            [("ep_chat", "0.5")],
        ),
    ],
)
def test_costs_by_group(spent: Site, query: str, items: list[tuple[str, str]]) -> None:
    report = spent.get(f"/v1/costs{query}")
    found = [(item["key"], item["money"]["amount"][:3]) for item in report["items"]]
    assert found == items


def test_a_report_says_what_is_missing(spent: Site) -> None:
    report = spent.get("/v1/costs?by=day")
    assert (report["from"], report["to"]) == ("2026-03-01T00:00:00Z", "2026-03-02T12:00:00Z")
    assert report["total"]["amount"] == "3.000000000"
    assert report["total"]["unpriced_seconds"] == 3600
    assert report["complete"] is False
    assert [(item["name"], item["hours"]) for item in report["unpriced"]] == [("odd", 1.0)]
    assert report["items"][0]["hours"] == 2.0
    assert [day["day"] for day in report["days"]] == ["2026-03-01", "2026-03-02"]
    assert spent.get("/v1/costs?label=team=chat")["complete"] is True


@pytest.mark.parametrize(
    ("query", "field"),
    [("?group_by=team", "group_by"), ("?label=team", "label"), ("?by=hour", "by")],
)
def test_a_wrong_report_is_refused(spent: Site, query: str, field: str) -> None:
    assert problem(spent.ask("GET", f"/v1/costs{query}"), 422, "invalid")["field"] == field


def test_events_are_filtered_and_paged(lab: Site) -> None:
    with lab.database.write() as session:
        for number in range(6):
            events.record(
                session,
                at=NOON + number * HOUR,
                kind="hold.started" if number % 2 else "hold.ended",
                actor="ada",
                message=f"number {number}",
                account_id="acc_lab",
                endpoint_id="ep_search" if number < 4 else None,
                data={"n": number},
            )

    def seen(query: str) -> list[int]:
        return [item["data"]["n"] for item in lab.get(f"/v1/events?{query}")["items"]]

    assert seen("kind=hold.*") == [5, 4, 3, 2, 1, 0]
    assert seen("kind=hold.started") == [5, 3, 1]
    assert seen("endpoint=lab/search&kind=hold.*") == [3, 2, 1, 0]
    assert seen("account=lab&since=2026-03-02T16:00:00Z") == [5, 4]
    first = lab.get("/v1/events?kind=hold.*&limit=4")
    rest = lab.get("/v1/events", kind="hold.*", limit=4, cursor=first["next_cursor"])
    assert [item["data"]["n"] for item in rest["items"]] == [1, 0]


def test_the_overview_sums_up(spent: Site) -> None:
    found = spent.get("/v1/overview")
    assert found["now"] == "2026-03-02T12:00:00Z"
    assert found["burn_per_hour"]["amount"] == "0.800000000"
    assert found["month_to_date"]["amount"] == "3.000000000"
    assert found["counts"] == {"running": 3}
    assert (found["endpoints"], found["unmanaged"]) == (3, 0)
    teams = {line["team"]: line["month_to_date"]["amount"][:3] for line in found["by_team"]}
    assert teams == {"search": "2.0", "chat": "1.0", "": "0.0"}
    assert found["accounts"][0]["observed_at"] == "2026-03-02T12:00:00Z"
    assert found["frozen"] is None
