"""Exceptions, calendars, cron points and other dates of schedules, over REST."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from orchestrator.store.tables import Binding, Label, Operation, Schedule
from tests.api.site import NOON, Site, endpoint, problem

RULE: dict[str, Any] = {
    "name": "hours",
    "timezone": "Europe/Berlin",
    "windows": ["mon-fri 08:00-19:00"],
    "selector": {"labels": {"team": "search"}},
}


@pytest.fixture
def team(lab: Site) -> Site:
    """Return a service with two endpoints of one team; one of them sleeps."""
    lab.seed(
        endpoint("night", status="paused"),
        *(Label(endpoint_id=f"ep_{name}", key="team", value="search") for name in TEAM),
    )
    made = lab.post(
        "/v1/calendars",
        {"name": "closed", "source": {"kind": "dates", "dates": {"2026-03-05": "Founders' Day"}}},
    )
    assert made.status_code == 201, made.text
    return lab


TEAM = ("search", "night")


def save(site: Site, **change: Any) -> dict[str, Any]:
    response = site.post("/v1/schedules", {**RULE, **change})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def preview(site: Site, weeks: int = 2, **change: Any) -> dict[str, Any]:
    response = site.post(f"/v1/schedules/preview?weeks={weeks}", {**RULE, **change})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


EVERYTHING: dict[str, Any] = {
    "windows": ["mon-fri 08:00-19:00 ready-by", "1st sat,15th,last 10:00-14:00"],
    "points": ["stop 0 22 * * *", {"expression": "30 6 * * mon", "action": "start"}],
    "dates": [
        "2026-12-24 off # Christmas Eve",
        {
            "date": "2026-12-27",
            "kind": "extra",
            "windows": [{"start": "10:00", "end": "24:00", "ready_by": True}],
        },
        "2026-12-31 replaced 08:00-12:00, 14:00-15:00",
    ],
    "calendars": ["closed"],
}


def test_all_parts_are_kept_and_go_back_in_as_they_came_out(team: Site) -> None:
    made = save(team, **EVERYTHING)
    assert made["windows"][0]["ready_by"] is True
    window = made["windows"][1]
    assert (window["days"], window["month_days"]) == ([], [15, -1])
    assert window["nth_weekdays"] == ["1st sat"]
    assert made["points"] == [
        {"expression": "0 22 * * *", "action": "stop"},
        {"expression": "30 6 * * mon", "action": "start"},
    ]
    assert [(one["date"], one["kind"]) for one in made["dates"]] == [
        ("2026-12-24", "off"),
        ("2026-12-27", "extra"),
        ("2026-12-31", "replaced"),
    ]
    assert made["dates"][0]["note"] == "Christmas Eve"
    assert made["dates"][1]["windows"][0] == {
        "start": "10:00",
        "end": "00:00",
        "keep_running": False,
        "ready_by": True,
    }
    assert len(made["dates"][2]["windows"]) == 2
    parts = {key: made[key] for key in EVERYTHING}
    again = team.ask("PUT", "/v1/schedules/hours", json={**RULE, **parts}).json()
    assert {key: again[key] for key in EVERYTHING} == parts
    assert again["version"] == 2


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        ({"points": ["stop 0 19 30 2 *"]}, "points.0.expression", "never fires"),
        ({"points": ["stop 0 19 * * * *"]}, "points.0.expression", "seconds"),
        ({"points": ["stop * * * * *"]}, "points.0.expression", "5 min"),
        ({"points": ["halt 0 19 * * *"]}, "points.0", "stop 0 19"),
        ({"dates": ["2026-02-30 off"]}, "dates.0.date", "calendar"),
        ({"dates": ["2026-12-24 shut"]}, "dates.0", "2026-12-24 off"),
        ({"dates": [{"date": "2026-12-27", "kind": "extra"}]}, "dates.0.windows", "10:00-16:00"),
        (
            {"dates": ["2026-12-27 replaced 08:00-09:00", "2026-12-27 replaced 10:00-11:00"]},
            "dates.1.date",
            "replaced twice",
        ),
        ({"windows": ["6th mon 08:00-09:00"]}, "windows.0.days", "1 to 5"),
        (
            {"windows": [{"month_days": [32], "start": "08:00", "end": "09:00"}]},
            "windows.0.month_days",
            "1 to 31",
        ),
        (
            {"windows": [{"nth_weekdays": ["mon"], "start": "08:00", "end": "09:00"}]},
            "windows.0.nth_weekdays",
            "1st mon",
        ),
        ({"calendars": ["closd"]}, "calendars.0", "closed"),
    ],
)
def test_what_cannot_be_is_named_and_nothing_is_saved(
    team: Site, change: dict[str, Any], field: str, hint: str
) -> None:
    for path in ("/v1/schedules", "/v1/schedules/preview"):
        body = problem(team.post(path, {**RULE, **change}), 422, "invalid")
        assert body["field"] == field
        assert hint in body["detail"] + (body.get("remedy") or "")
    assert team.get("/v1/schedules")["items"] == []


def test_a_point_is_read_with_its_action_behind_it_too(team: Site) -> None:
    made = save(team, windows=[], points=["0 19 * * mon-fri stop"])
    assert made["points"] == [{"expression": "0 19 * * mon-fri", "action": "stop"}]
    assert made["wish_now"] is None


def test_a_schedule_of_points_acts_from_its_first_point(team: Site) -> None:
    made = save(team, windows=[], points=["stop 0 19 * * *"])
    assert {one["acts_from"] for one in made["endpoints"]} == {"2026-03-02T18:00:00Z"}


def test_points_that_stay_keep_since_when_they_stand(team: Site) -> None:
    save(team, points=["stop 0 22 * * *"])
    team.clock.set(NOON.replace(hour=13))
    body = {**RULE, "points": ["stop 0 22 * * *", "stop 0 23 * * *"]}
    assert team.ask("PUT", "/v1/schedules/hours", json=body).status_code == 200
    with team.database.read() as session:
        (row,) = session.exec(select(Schedule))
    assert [one["since"] for one in row.points] == [
        NOON.isoformat(),
        NOON.replace(hour=13).isoformat(),
    ]


def test_the_preview_names_points_days_off_and_both_clocks(team: Site) -> None:
    found = preview(team, points=["stop 0 22 * * *"], calendars=["closed"])
    first = found["weeks"][0]
    assert first["days_off"] == [
        {"date": "2026-03-05", "name": "Founders' Day", "windows_removed": 1}
    ]
    assert not [edge for edge in first["edges"] if edge["at_utc"].startswith("2026-03-05")]
    assert first["points"][0] == {
        "at_utc": "2026-03-02T21:00:00Z",
        "at_local": "2026-03-02T22:00:00+01:00",
        "action": "stop",
        "expression": "0 22 * * *",
        "until_utc": "2026-03-03T07:00:00Z",
    }
    assert found["tzdata"]


def test_the_preview_sums_up_against_today(team: Site) -> None:
    found = preview(team)
    by_name = {one["name"]: one for one in found["endpoints"]}
    total = found["total"]
    hours = sum(one["hours_month"] for one in by_name.values())
    assert total["hours_month"] == pytest.approx(hours, abs=0.2)
    assert float(total["cost_month_today"]["amount"]) == pytest.approx(0.8 * 730.5)
    assert float(by_name["night"]["cost_month_today"]["amount"]) == 0
    # 55 of 168 hours, twice.
    assert float(total["cost_month"]["amount"]) == pytest.approx(2 * 0.8 * 730.5 * 55 / 168)
    assert total["unpriced"] == 0


def test_a_stop_point_alone_leaves_it_down_for_good(team: Site) -> None:
    """Nothing starts it again: the hours until the first stop do not come each month."""
    found = preview(team, windows=[], points=["stop 0 19 * * *"])
    hours = {one["name"]: one["hours_month"] for one in found["endpoints"]}
    assert hours == {"search": 0, "night": 0}
    assert found["starts"] == []


def test_a_stop_point_cuts_a_window_until_the_next_edge(team: Site) -> None:
    found = preview(team, windows=["daily 08:00-18:00"], points=["stop 0 12 * * *"])
    hours = {one["name"]: one["hours_month"] for one in found["endpoints"]}
    # From 08:00 to 12:00 of each day, although it is 13:00 in Berlin, inside of the window.
    assert hours["night"] == pytest.approx(4 * 730.5 / 24, abs=0.1)


POINTS_ALONE = [
    (["start 0 8 * * mon-fri", "stop 0 19 * * mon-fri"], 730.5 * 55 / 168),
    (["stop 0 19 * * mon-fri"], 0),
    # A day of each month.
    (["start 0 8 1 * *", "stop 0 8 2 * *"], 24),
    # More firings than are looked at in a year.
    (["start 0 8-18 * * *", "stop 0 19 * * *"], 730.5 * 11 / 24),
]


@pytest.mark.parametrize(("points", "hours"), POINTS_ALONE)
def test_hours_of_points_do_not_depend_on_how_far_one_looks(
    team: Site, points: list[str], hours: float
) -> None:
    for weeks in (1, 4, 26):
        found = preview(team, weeks=weeks, timezone="UTC", windows=[], points=points)
        for one in found["endpoints"]:
            assert one["hours_month"] == pytest.approx(hours, abs=0.06)


def test_the_preview_says_which_starts_are_early_and_why(team: Site) -> None:
    seeded = [
        Operation(
            id=f"op_{number}",
            account_id="acc_lab",
            endpoint_id="ep_search",
            endpoint_name="search",
            kind="resume",
            status="succeeded",
            actor="ada",
            reason="test",
            created_at=NOON.replace(day=1, hour=number),
            accepted_at=NOON.replace(day=1, hour=number),
            finished_at=NOON.replace(day=1, hour=number, minute=8),
        )
        for number in range(5)
    ]
    team.seed(*seeded)
    found = preview(team, windows=["mon-fri 08:00-19:00 ready-by"])
    early = {one["name"]: one["start_up"] for one in found["endpoints"]}
    assert early["search"]["minutes"] == 11
    assert (early["search"]["source"], early["search"]["measured"]) == ("own", 5)
    first = next(one for one in found["starts"] if one["name"] == "search")
    assert first["opens_at_utc"] == "2026-03-03T07:00:00Z"
    assert (first["at_utc"], first["early_minutes"]) == ("2026-03-03T06:49:00Z", 11)
    assert first["remarks"] == []
    made = save(team, windows=["mon-fri 08:00-19:00 ready-by"], points=[])
    with team.database.read() as session:
        assert session.get(Binding, (made["id"], "ep_search")) is not None


def test_apply_now_takes_the_list_that_was_rehearsed_and_no_more(team: Site) -> None:
    """An endpoint that matches only after the rehearsal acts from its next edge."""
    rehearsed = team.post("/v1/schedules?dry_run=true", RULE).json()["would"]
    assert rehearsed["wish_now"] == "available"
    listed = [one["id"] for one in rehearsed["endpoints"]]
    team.seed(endpoint("late"), Label(endpoint_id="ep_late", key="team", value="search"))
    made = save(team, apply_now=listed)
    acts = {one["id"]: one["acts_from"] for one in made["endpoints"]}
    assert {acts[one] for one in listed} == {None}
    assert acts["ep_late"] == "2026-03-02T18:00:00Z"


def test_a_day_off_of_a_calendar_decides_from_when_it_acts(team: Site) -> None:
    team.clock.set(NOON.replace(day=4, hour=20))
    made = save(team, calendars=["closed"])
    assert {one["acts_from"] for one in made["endpoints"]} == {"2026-03-06T07:00:00Z"}
