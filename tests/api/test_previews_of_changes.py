"""Previews of changes of saved schedules: against what they cost today, and not beside it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.store.tables import Endpoint, Label
from tests.api.site import Site, endpoint, problem

OFFICE: dict[str, Any] = {
    "name": "office",
    "timezone": "Europe/Berlin",
    "windows": ["mon-fri 08:00-19:00"],
    "selector": {"labels": {"team": "search"}},
}


@pytest.fixture
def team(lab: Site) -> Site:
    """Return a service with an endpoint of each of two teams."""
    lab.seed(
        endpoint("other"),
        Label(endpoint_id="ep_search", key="team", value="search"),
        Label(endpoint_id="ep_other", key="team", value="chat"),
    )
    return lab


def save(site: Site, **change: Any) -> dict[str, Any]:
    response = site.post("/v1/schedules", {**OFFICE, **change})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def test_a_saved_schedule_is_previewed_without_counting_itself_twice(team: Site) -> None:
    made = save(team)
    mine = team.get(f"/v1/schedules/{made['id']}/preview?weeks=3")
    new = team.post("/v1/schedules/preview?weeks=3", {**OFFICE, "name": "x"}).json()
    assert mine["weeks"] == new["weeks"]
    (search,), (other,) = mine["endpoints"], new["endpoints"]
    assert search["hours_month"] == other["hours_month"]
    assert search["cost_month_today"] == search["cost_month"]
    assert float(search["cost_month"]["amount"]) == pytest.approx(191.32, abs=0.01)


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_change_is_previewed_in_place_of_what_is_saved(team: Site, by: str) -> None:
    body = {**OFFICE, "windows": ["mon-fri 06:00-07:00"], "replaces": save(team)[by]}
    found = team.post("/v1/schedules/preview", body).json()
    (search,) = found["endpoints"]
    assert search["hours_month"] == pytest.approx(730.5 * 5 / 168, abs=0.1)
    assert float(search["cost_month"]["amount"]) == pytest.approx(17.39, abs=0.01)
    assert float(search["cost_month_today"]["amount"]) == pytest.approx(191.32, abs=0.01)


@pytest.mark.parametrize("change", [{"shadow": True}, {"enabled": False}])
def test_what_does_not_act_is_not_paid_today(team: Site, change: dict[str, bool]) -> None:
    body = {**OFFICE, "replaces": save(team, **change)["id"]}
    found = team.post("/v1/schedules/preview", body).json()
    (search,) = found["endpoints"]
    assert search["cost_month_today"]["amount"] == "584.400000000"
    assert search["hours_month"] == pytest.approx(239.2, abs=0.1)


def test_what_a_change_lets_go_is_as_a_person_left_it(team: Site) -> None:
    made = save(team)
    with team.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.status, row.wish = "paused", "running"  # its window is over for today
        session.add(row)
    chat = {**OFFICE, "selector": {"labels": {"team": "chat"}}, "replaces": made["id"]}
    found = team.post("/v1/schedules/preview", chat).json()
    covered, left = found["endpoints"]
    assert [(one["name"], one["let_go"]) for one in (covered, left)] == [
        ("other", False),
        ("search", True),
    ]
    assert (left["hours_month"], left["cost_month"]["amount"]) == (730.5, "584.400000000")
    assert float(left["cost_month_today"]["amount"]) == pytest.approx(191.32, abs=0.01)
    assert {one["name"] for one in found["starts"]} == {"other"}
    same = team.post("/v1/schedules/preview", {**OFFICE, "replaces": made["id"]}).json()
    assert not any(one["let_go"] for one in same["endpoints"])


def test_what_no_rule_may_stop_is_paid_all_month(team: Site) -> None:
    made = save(team)
    with team.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.stop = "none"
        session.add(row)
    (search,) = team.get(f"/v1/schedules/{made['id']}/preview")["endpoints"]
    assert search["cost_month"]["amount"] == "584.400000000"
    assert search["cost_month_today"] == search["cost_month"]


def test_a_preview_of_a_change_names_what_there_is(team: Site) -> None:
    response = team.post("/v1/schedules/preview", {**OFFICE, "replaces": "nightly"})
    assert problem(response, 422, "invalid")["field"] == "replaces"
