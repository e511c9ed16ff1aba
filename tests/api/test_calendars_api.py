"""Named calendars: saved from three sources, used by schedules, changed, removed."""

from __future__ import annotations

from typing import Any

from tests.api.site import Site, problem

DATES: dict[str, Any] = {
    "name": "ours",
    "source": {"kind": "dates", "dates": {"2026-03-03": "Founders' day", "2026-12-24": ""}},
}
BAVARIA: dict[str, Any] = {
    "name": "bavaria",
    "source": {"kind": "holidays", "country": "de", "subdivision": "Bayern", "language": "en_US"},
}
OFFICE: dict[str, Any] = {
    "name": "office-hours",
    "timezone": "Europe/Berlin",
    "windows": ["mon-fri 08:00-19:00"],
    "calendars": ["ours"],
    "selector": {"account": "lab"},
}


def with_dates(*days: str) -> dict[str, Any]:
    return {"name": "ours", "source": {"kind": "dates", "dates": dict.fromkeys(days, "closed")}}


def icalendar(*events: str, **more: Any) -> dict[str, Any]:
    body = "".join(
        f"BEGIN:VEVENT\r\nUID:{number}\r\n{event}\r\nEND:VEVENT\r\n"
        for number, event in enumerate(events)
    )
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{body}END:VCALENDAR\r\n"
    return {"name": "file", "source": {"kind": "icalendar", "text": text, **more}}


def test_a_list_of_dates_is_kept_with_the_years_that_it_speaks_of(lab: Site) -> None:
    response = lab.post("/v1/calendars", DATES)
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == f"/v1/calendars/{made['id']}"
    assert made["dates"] == [
        {"date": "2026-03-03", "name": "Founders' day"},
        {"date": "2026-12-24", "name": "day off"},
    ]
    assert (made["covers_from"], made["covers_to"], made["extends"]) == (
        "2026-01-01",
        "2026-12-31",
        False,
    )
    assert {one["code"] for one in made["findings"]} == {"ends", "unused"}
    got = lab.get("/v1/calendars/ours")
    assert {**got, "changes": made["changes"]} == made
    assert [one["name"] for one in lab.get("/v1/calendars")["items"]] == ["ours"]


def test_holidays_are_kept_for_years_ahead(lab: Site) -> None:
    made = lab.post("/v1/calendars", BAVARIA).json()
    assert made["parameters"] == {
        "country": "DE",
        "subdivision": "BY",
        "categories": [],
        "language": "en_US",
        "observed": True,
    }
    assert (made["covers_from"], made["covers_to"], made["extends"]) == (
        "2024-01-01",
        "2030-12-31",
        True,
    )
    assert {"date": "2026-06-04", "name": "Corpus Christi"} in made["dates"]
    assert made["made_with"].startswith("holidays ")


def test_a_file_counts_whole_days(lab: Site) -> None:
    made = lab.post(
        "/v1/calendars",
        icalendar(
            "SUMMARY:Closed\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227",
            "SUMMARY:Gone\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20260501",
        ),
    ).json()
    assert [one["date"] for one in made["dates"]] == ["2026-12-24", "2026-12-25", "2026-12-26"]
    assert "text" not in made["parameters"]


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "holidays", "country": "germny"}, "source.country", "'DE' (Germany)"),
    ({"kind": "holidays", "country": "DE", "subdivision": "XX"}, "source.subdivision", "BY"),
    ({"kind": "holidays", "country": "DE", "language": "xx"}, "source.language", "en_US"),
    (
        {"kind": "holidays", "country": "DE", "categories": ["publc"]},
        "source.categories",
        "'public'",
    ),
    ({"kind": "dates", "dates": {}}, "source.dates", "2026-12-24"),
    ({"kind": "dates", "dates": {"2026-02-30": ""}}, "source.dates", "2026-12-24"),
    ({"kind": "dates", "dates": {"20261224": ""}}, "source.dates", "2026-12-24"),
    ({"kind": "icalendar", "text": "x", "timezone": "Mars"}, "source.timezone", "Europe"),
    ({"kind": "moon"}, "source", "`errors`"),
    ({}, "source", "`errors`"),
]


def test_a_source_is_checked(lab: Site) -> None:
    for source, field, told in MISTAKES:
        answer = lab.post("/v1/calendars", {"name": "x", "source": source})
        body = problem(answer, 422, "invalid")
        assert body["field"] == field
        assert told in body["remedy"]
    assert lab.get("/v1/calendars")["items"] == []


def test_a_schedule_leaves_its_days_off_out_and_follows_a_change(lab: Site) -> None:
    lab.post("/v1/calendars", DATES)
    found = lab.post("/v1/schedules", OFFICE).json()["findings"]
    (ends,) = [one["message"] for one in found if one["code"] == "calendar_ends"]
    assert ends == "the calendar ours knows days off from 2026-01-01 to 2026-12-31 only"
    answer = lab.ask("PUT", "/v1/calendars/ours", json=with_dates("2026-03-04", "2026-03-07"))
    made = answer.json()
    assert made["used_by"] == {"schedules": ["office-hours"], "expiry_policies": []}
    assert [one["date"] for one in made["changes"]["added"]] == ["2026-03-04", "2026-03-07"]
    assert [one["date"] for one in made["changes"]["removed"]] == ["2026-03-03", "2026-12-24"]
    (effect,) = made["effects"]
    # The Wednesday is lost, the Tuesday and the Thursday are won, the Saturday was off anyway.
    assert (effect["schedule"], effect["hours"], effect["acts_from"]) == (
        "office-hours",
        11.0,
        None,
    )
    assert made["version"] == 2


def test_a_rehearsal_tells_the_effect_and_changes_nothing(lab: Site) -> None:
    before = lab.post("/v1/calendars", DATES).json()
    lab.post("/v1/schedules", OFFICE)
    count = len(lab.events())
    body = with_dates("2026-03-02", "2026-03-03")
    answer = lab.ask("PUT", "/v1/calendars/ours?dry_run=true", json=body).json()["would"]
    # Today is Monday noon, inside of the window: what would end it at once waits for its end.
    (effect,) = answer["effects"]
    assert effect["dates"] == ["2026-03-02", "2026-12-24"]
    assert effect["acts_from"] is not None
    assert lab.get("/v1/calendars/ours")["dates"] == before["dates"]
    assert len(lab.events()) == count


def test_saving_the_same_again_is_no_change(lab: Site) -> None:
    lab.post("/v1/calendars", BAVARIA)
    count = len(lab.events())
    again = lab.ask("PUT", "/v1/calendars/bavaria", json=BAVARIA).json()
    assert (again["version"], again["changes"]) == (1, None)
    fresh = lab.post("/v1/calendars/bavaria/refresh", None)
    assert (fresh.status_code, fresh.json()["version"]) == (200, 1)
    assert len(lab.events()) == count


def test_a_calendar_in_use_is_neither_removed_nor_renamed(lab: Site) -> None:
    lab.post("/v1/calendars", DATES)
    made = lab.post("/v1/schedules", OFFICE).json()
    body = problem(lab.ask("DELETE", "/v1/calendars/ours"), 409, "in_use")
    assert "the schedule office-hours" in body["detail"]
    problem(lab.ask("PUT", "/v1/calendars/ours", json={**DATES, "name": "other"}), 409, "in_use")
    lab.ask("DELETE", f"/v1/schedules/{made['id']}")
    assert lab.ask("DELETE", "/v1/calendars/ours").status_code == 204
    problem(lab.ask("GET", "/v1/calendars/ours"), 404, "not_found")
    assert lab.post("/v1/calendars", DATES).status_code == 201


def test_names_are_taken_once_and_keys_repeat(lab: Site) -> None:
    first = lab.ask("POST", "/v1/calendars", json=DATES, headers={"Idempotency-Key": "k"})
    again = lab.ask("POST", "/v1/calendars", json=DATES, headers={"Idempotency-Key": "k"})
    assert again.json() == first.json()
    problem(lab.post("/v1/calendars", DATES), 409, "name_taken")


def test_readers_change_nothing(lab: Site) -> None:
    for method, path in (
        ("POST", "/v1/calendars"),
        ("PUT", "/v1/calendars/ours"),
        ("POST", "/v1/calendars/ours/refresh"),
        ("DELETE", "/v1/calendars/ours"),
    ):
        body = DATES if path.endswith(("calendars", "ours")) and method != "DELETE" else None
        assert lab.ask(method, path, scope="read", json=body).status_code == 403
