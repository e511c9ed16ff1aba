"""Schedules: what is written, what is found odd, whom it covers, and from when it acts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store.tables import Binding, Endpoint, Label
from tests.api.site import NOON, Site, endpoint, opened, problem
from tests.support import rows

OFFICE: dict[str, Any] = {
    "name": "office",
    "timezone": "Europe/Berlin",
    "windows": ["mon-fri 08:00-19:00"],
    "selector": {"labels": {"team": "search"}},
}
PLAIN: dict[str, Any] = {"ready_by": False, "month_days": [], "nth_weekdays": []}


@pytest.fixture
def team(lab: Site) -> Site:
    """Return a service with a team of one managed, one observed, one protected endpoint."""
    lab.seed(
        endpoint("seen", managed=False),
        endpoint("shield", protected=True),
        endpoint("other"),
        *(Label(endpoint_id=f"ep_{n}", key="team", value="search") for n in NAMES),
        Label(endpoint_id="ep_other", key="team", value="chat"),
        Label(endpoint_id="ep_other", key="cloud:team", value="search", source="cloud"),
    )
    return lab


NAMES = ("search", "seen", "shield")


def save(site: Site, **change: Any) -> dict[str, Any]:
    response = site.post("/v1/schedules", {**OFFICE, **change})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def bound(site: Site, rule: str) -> dict[str, datetime | None]:
    with site.database.read() as session:
        found = [session.get(Binding, (rule, f"ep_{name}")) for name in (*NAMES, "other")]
    return {b.endpoint_id: b.acts_from for b in found if b is not None}


def test_a_schedule_is_saved_with_what_it_covers(team: Site) -> None:
    response = team.post("/v1/schedules", OFFICE)
    made = response.json()
    assert response.headers["location"] == f"/v1/schedules/{made['id']}"
    assert made["windows"] == [
        {
            "days": ["mon", "tue", "wed", "thu", "fri"],
            "start": "08:00",
            "end": "19:00",
            "keep_running": False,
            **PLAIN,
        }
    ]
    assert [item["name"] for item in made["endpoints"]] == ["search", "seen", "shield"]
    assert made["selector"] == {"account": None, "endpoint": None, "labels": {"team": "search"}}
    assert (made["version"], made["created_by"]) == (1, "admin")
    assert team.get(f"/v1/schedules/{made['id']}") == made
    assert team.get("/v1/schedules/office") == made
    assert team.events("schedule.saved")[0].data["schedule"] == made["id"]


def test_a_new_schedule_acts_from_its_next_edge(team: Site) -> None:
    made = save(team)
    covered = {item["name"]: item for item in made["endpoints"]}
    assert (covered["search"]["acts"], covered["search"]["acts_from"]) == (
        True,
        "2026-03-02T18:00:00Z",
    )
    assert (covered["seen"]["acts"], covered["seen"]["managed"]) == (False, False)
    assert (covered["shield"]["acts"], covered["shield"]["protected"]) == (False, True)
    assert set(bound(team, made["id"])) == {"ep_search", "ep_shield"}


def test_apply_now_acts_at_once_where_it_was_confirmed(team: Site) -> None:
    made = save(team, apply_now=["ep_search"])
    assert bound(team, made["id"]) == {
        "ep_search": None,
        "ep_shield": NOON.replace(hour=18),
    }


@pytest.mark.parametrize("stranger", ["ep_other", "ep_seen", "ep_none"])
def test_apply_now_names_managed_endpoints_that_it_covers(team: Site, stranger: str) -> None:
    body = {**OFFICE, "apply_now": ["ep_search", stranger]}
    assert problem(team.post("/v1/schedules", body), 422, "invalid")["field"] == "apply_now"
    assert team.get("/v1/schedules")["items"] == []


def test_windows_may_be_objects_and_come_back_as_they_go_in(team: Site) -> None:
    window = {"days": ["fri", "sat"], "start": "22:00", "end": "24:00", "keep_running": True}
    made = save(team, windows=[window])
    assert made["windows"] == [{**window, "end": "00:00", **PLAIN}]
    sent = {**OFFICE, "windows": made["windows"]}
    again = team.ask("PUT", f"/v1/schedules/{made['id']}", json=sent).json()
    assert again["windows"] == made["windows"]


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        ({"timezone": "Europe/Berlyn"}, "timezone", "Europe/Berlin"),
        ({"windows": ["mon-fri 8-19"]}, "windows.0.start", "08:00"),
        ({"windows": [{"days": ["mon"], "start": "08:00"}]}, "windows.0.end", "required"),
        ({"windows": [7]}, "windows.0", "string"),
        ({"windows": ["workdays"]}, "windows.0", "mon-fri 08:00-19:00"),
        ({"windows": ["sat 09:00-12:00", "mun 09:00-12:00"]}, "windows.1.days", "mon-fri"),
        ({"windows": ["mon 25:00-26:00"]}, "windows.0.start", "00:00 to 23:59"),
        (
            {"windows": [{"days": ["mon"], "start": "24:00", "end": "09:00"}]},
            "windows.0.start",
            "next day",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_the_remedy(
    team: Site, change: dict[str, Any], field: str, hint: str
) -> None:
    body = problem(team.post("/v1/schedules", {**OFFICE, **change}), 422, "invalid")
    assert body["field"] == field
    assert hint in body["detail"] + body["remedy"]


def test_an_unknown_field_of_a_window_names_the_nearest(team: Site) -> None:
    window = {"days": ["mon"], "begin": "08:00", "end": "19:00"}
    body = problem(
        team.post("/v1/schedules", {**OFFICE, "windows": [window]}), 422, "unknown_field"
    )
    assert body["field"] == "windows.0.begin"


@pytest.mark.parametrize(
    ("selector", "field"),
    [
        ({}, "selector"),
        ({"account": "nowhere"}, "selector.account"),
        ({"endpoint": "lab/none"}, "selector.endpoint"),
        ({"labels": {"cloud:team": "search"}}, "selector.labels"),
    ],
)
def test_a_selector_names_what_exists_and_what_is_ours(
    team: Site, selector: dict[str, Any], field: str
) -> None:
    body = problem(team.post("/v1/schedules", {**OFFICE, "selector": selector}), 422, "invalid")
    assert body["field"] == field
    assert body["remedy"]


@pytest.fixture
def trusting(sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    for site in opened(sqlite_url, tmp_path, allowed_cloud_labels=("team",)):
        site.seed(
            rows.account(),
            endpoint(),
            Label(endpoint_id="ep_search", key="cloud:team", value="search", source="cloud"),
        )
        yield site


def test_an_allowed_label_of_the_cloud_may_bind(trusting: Site) -> None:
    made = save(trusting, selector={"labels": {"cloud:team": "search"}})
    assert [item["name"] for item in made["endpoints"]] == ["search"]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"account": "lab"}, ["other", "search", "seen", "shield"]),
        ({"endpoint": "lab/other"}, ["other"]),
        ({"account": "lab", "labels": {"team": "chat"}}, ["other"]),
        ({"labels": {"team": "search", "stage": "prod"}}, []),
    ],
)
def test_all_conditions_of_a_selector_must_hold(
    team: Site, selector: dict[str, Any], names: list[str]
) -> None:
    made = save(team, selector=selector)
    assert [item["name"] for item in made["endpoints"]] == names


def codes(answer: dict[str, Any]) -> list[str]:
    return [item["code"] for item in answer["findings"]]


def test_findings_warn_of_what_changes_nothing(team: Site) -> None:
    made = save(team, windows=["mon-fri 08:00-19:00", "tue 09:00-10:00"])
    found = {item["code"]: item for item in made["findings"]}
    assert found["window_covered"]["window"] == 1
    assert "seen" in found["not_managed"]["message"]
    assert "shield" in found["protected"]["message"]


def test_findings_warn_of_a_schedule_without_edges(team: Site) -> None:
    made = save(team, windows=[], selector={"endpoint": "ep_search"})
    assert codes(made) == ["never_on", "never_acts"]
    assert (made["endpoints"][0]["acts"], made["endpoints"][0]["acts_from"]) == (False, None)
    sent = {**OFFICE, "windows": [], "selector": {"endpoint": "ep_search"}}
    sent["apply_now"] = ["ep_search"]
    now = team.ask("PUT", "/v1/schedules/office", json=sent).json()
    assert (now["endpoints"][0]["acts"], codes(now)) == (True, ["never_on"])


def test_findings_look_at_the_other_schedules_of_what_is_covered(team: Site) -> None:
    """A stop at 22:00 changes nothing beside office hours, but does beside a night of another."""
    stops = {"name": "stops", "points": ["stop 0 22 * * *"]}

    def found(**change: Any) -> list[str]:
        body = {**OFFICE, **stops, **change}
        would = team.post("/v1/schedules?dry_run=true", body).json()["would"]
        shown = team.post("/v1/schedules/preview", body).json()
        codes = [one["code"] for one in would["findings"] if "point" in one["code"]]
        assert codes == [one["code"] for one in shown["findings"] if "point" in one["code"]]
        return codes

    night = {"name": "night", "windows": ["daily 20:00-24:00"], "timezone": "Europe/Berlin"}
    save(team, **night, selector={"labels": {"team": "chat"}})
    save(team, **night | {"name": "idle"}, shadow=True)
    save(team, **night | {"name": "off"}, enabled=False)
    assert found() == ["point_repeats"]
    beside = save(team, **night | {"name": "beside"}, selector={"endpoint": "ep_search"})
    assert [one["code"] for one in beside["findings"]] == []
    assert found() == ["point_stops_beside"]
    saved = save(team, **stops)
    assert "point_repeats" not in [one["code"] for one in saved["findings"]]
    told = team.get("/v1/schedules/beside")["findings"]
    assert [one["code"] for one in told] == ["stopped_beside"]
    assert "of the schedule stops" in told[0]["message"]


def test_findings_warn_of_covering_nothing(team: Site) -> None:
    assert codes(save(team, selector={"labels": {"team": "x"}})) == ["covers_nothing"]


def test_a_change_that_agrees_about_now_stays_in_force(team: Site) -> None:
    made = save(team, apply_now=["ep_search"])
    longer = {**OFFICE, "windows": ["mon-fri 08:00-20:00"]}
    again = team.ask("PUT", f"/v1/schedules/{made['id']}", json=longer).json()
    assert again["version"] == 2
    assert bound(team, made["id"])["ep_search"] is None


def test_a_change_that_disagrees_about_now_waits_for_its_edge(team: Site) -> None:
    made = save(team, apply_now=["ep_search"])
    shorter = {**OFFICE, "windows": ["mon-fri 08:00-12:00"]}
    team.ask("PUT", f"/v1/schedules/{made['id']}", json=shorter)
    assert bound(team, made["id"])["ep_search"] == NOON + timedelta(hours=19)
    shorter["apply_now"] = ["ep_search"]
    team.ask("PUT", f"/v1/schedules/{made['id']}", json=shorter)
    assert bound(team, made["id"])["ep_search"] is None


def test_what_is_no_longer_covered_is_let_go(team: Site) -> None:
    made = save(team)
    chat = {**OFFICE, "selector": {"labels": {"team": "chat"}}}
    team.ask("PUT", f"/v1/schedules/{made['id']}", json=chat)
    assert set(bound(team, made["id"])) == {"ep_other"}


def test_a_schedule_that_is_off_binds_nothing(team: Site) -> None:
    assert bound(team, save(team, enabled=False)["id"]) == {}


def test_labels_bind_and_unbind(team: Site) -> None:
    made = save(team)
    team.ask("PATCH", "/v1/endpoints/ep_other", json={"labels": {"team": "search"}})
    assert bound(team, made["id"])["ep_other"] == NOON.replace(hour=18)
    team.ask("PATCH", "/v1/endpoints/ep_other", json={"labels": {}})
    assert "ep_other" not in bound(team, made["id"])


def test_adoption_binds_from_the_next_edge(team: Site) -> None:
    made = save(team)
    team.post("/v1/endpoints/ep_seen/adopt")
    assert bound(team, made["id"])["ep_seen"] == NOON.replace(hour=18)


def test_a_removed_schedule_lets_go_and_frees_its_name(team: Site) -> None:
    made = save(team)
    assert team.ask("DELETE", f"/v1/schedules/{made['id']}").status_code == 204
    assert bound(team, made["id"]) == {}
    problem(team.ask("GET", f"/v1/schedules/{made['id']}"), 404, "not_found")
    problem(team.ask("DELETE", "/v1/schedules/office"), 404, "not_found")
    assert save(team)["name"] == "office"


def test_names_are_taken_once(team: Site) -> None:
    save(team)
    other = save(team, name="other")
    problem(team.post("/v1/schedules", OFFICE), 409, "name_taken")
    problem(team.ask("PUT", f"/v1/schedules/{other['id']}", json=OFFICE), 409, "name_taken")
    assert [item["name"] for item in team.get("/v1/schedules")["items"]] == ["office", "other"]


def test_a_dry_run_lists_whom_it_would_cover(team: Site) -> None:
    would = team.post("/v1/schedules?dry_run=true", OFFICE).json()["would"]
    assert [item["name"] for item in would["endpoints"]] == ["search", "seen", "shield"]
    assert team.get("/v1/schedules")["items"] == []


def test_a_preview_shows_edges_in_both_clocks(team: Site) -> None:
    found = team.post("/v1/schedules/preview?weeks=1", OFFICE).json()
    assert (found["timezone"], found["hours_per_week"]) == ("Europe/Berlin", 55.0)
    assert found["tzdata"]
    (week,) = found["weeks"]
    assert week["start"] == "2026-03-02"
    assert week["edges"][:2] == [
        {
            "at_utc": "2026-03-02T18:00:00Z",
            "at_local": "2026-03-02T19:00:00+01:00",
            "wish": "paused",
        },
        {
            "at_utc": "2026-03-03T07:00:00Z",
            "at_local": "2026-03-03T08:00:00+01:00",
            "wish": "available",
        },
    ]
    assert len(week["edges"]) == 9
    assert team.get("/v1/schedules")["items"] == []


def test_a_preview_crosses_a_change_of_the_clocks(team: Site) -> None:
    found = team.post("/v1/schedules/preview?weeks=5", OFFICE).json()
    assert [week["start"] for week in found["weeks"]][-2:] == ["2026-03-23", "2026-03-30"]
    assert found["weeks"][3]["edges"][0]["at_utc"] == "2026-03-23T07:00:00Z"
    assert found["weeks"][4]["edges"][0] == {
        "at_utc": "2026-03-30T06:00:00Z",
        "at_local": "2026-03-30T08:00:00+02:00",
        "wish": "available",
    }


def test_a_preview_prices_each_endpoint(team: Site) -> None:
    """55 of 168 hours of a month of 730.5 hours at $0.80, up to the minute."""
    found = team.post("/v1/schedules/preview?weeks=3", OFFICE).json()
    search = next(item for item in found["endpoints"] if item["name"] == "search")
    assert search["hours_month"] == pytest.approx(239.2, abs=0.1)
    assert float(search["cost_month"]["amount"]) == pytest.approx(191.32, abs=0.01)
    assert search["cost_month_always_on"]["amount"] == "584.400000000"
    assert search["cost_month_today"]["amount"] == "584.400000000"


def test_a_preview_compares_with_what_is(team: Site) -> None:
    with team.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.status, row.min_replicas = "paused", 2
        session.add(row)
        row = session.get_one(Endpoint, "ep_seen")
        row.hardware_key = "aws/x/y/z"
        session.add(row)
    found = team.post("/v1/schedules/preview", OFFICE).json()
    search, seen, _ = found["endpoints"]
    assert search["cost_month_today"]["amount"] == "0.000000000"
    assert search["cost_month_always_on"]["amount"] == "1168.800000000"
    assert (seen["cost_month"], seen["cost_month_always_on"]) == (None, None)
    assert seen["hours_month"] > 200


def test_a_preview_counts_the_other_schedules(team: Site) -> None:
    save(team, name="weekend", windows=["sat,sun 00:00-24:00"])
    found = team.post("/v1/schedules/preview?weeks=3", OFFICE).json()
    search = next(item for item in found["endpoints"] if item["name"] == "search")
    assert search["hours_month"] == pytest.approx(730.5 * (55 + 48) / 168, abs=0.1)
    today = 730.5 * 48 / 168 * 0.8
    assert float(search["cost_month_today"]["amount"]) == pytest.approx(today, abs=0.01)


def test_a_preview_needs_no_selector_and_no_right_to_change(team: Site) -> None:
    body = {"timezone": "UTC", "windows": ["daily 00:00-24:00"]}
    found = team.post("/v1/schedules/preview", body, scope="read").json()
    assert found["endpoints"] == []
    assert found["hours_per_week"] == 168.0
    assert "always_on" in codes(found)
    assert all(week["edges"] == [] for week in found["weeks"])


@pytest.mark.parametrize("weeks", [0, 53])
def test_a_preview_has_bounds(team: Site, weeks: int) -> None:
    problem(team.post(f"/v1/schedules/preview?weeks={weeks}", OFFICE), 422, "invalid")
