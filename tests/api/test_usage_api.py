"""Recorded use, and quiet hours of policies, as clients meet them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Endpoint, UsageSample
from tests.api.site import NOON, Site, problem

QUIET: dict[str, Any] = {"timezone": "Europe/Berlin", "windows": ["mon-fri 09:00-18:00"]}
IDLE: dict[str, Any] = {
    "name": "idle-30",
    "timeout_minutes": 30,
    "selector": {"account": "lab"},
    "quiet_hours": QUIET,
}
HOUR = timedelta(hours=1)


def test_recorded_use_is_told_with_what_is_known_of_it(lab: Site) -> None:
    lab.seed(
        UsageSample(
            endpoint_id="ep_search",
            start=NOON - 4 * HOUR,
            requests=0,
            covered_s=7200,
            source="last_use",
        ),
        UsageSample(
            endpoint_id="ep_search",
            start=NOON - HOUR,
            requests=7,
            covered_s=300,
            last_request_at=NOON - HOUR + timedelta(minutes=3),
            source="counts",
        ),
    )
    begin = (NOON - 4 * HOUR).isoformat().replace("+00:00", "Z")
    found = lab.get(f"/v1/endpoints/ep_search/usage?from={begin}")
    assert (found["requests"], found["covered_seconds"]) == (7, 7500)
    assert found["coverage"] == round(7500 / (4 * 3600), 4)
    assert len(found["stretches"]) == 13
    assert found["stretches"][-1]["covered_seconds"] == 300
    assert found["last_request_at"] == found["stretches"][-1]["last_request_at"]
    assert lab.get("/v1/endpoints/lab/search/usage")["requests"] == 7
    problem(lab.ask("GET", "/v1/endpoints/nobody/usage"), 404, "not_found")


def test_quiet_hours_are_kept_shown_and_taken_back(lab: Site) -> None:
    made = lab.post("/v1/policies", IDLE).json()
    assert made["quiet_hours"] == QUIET
    where = f"/v1/policies/{made['id']}"
    changed = lab.ask("PUT", where, json={**IDLE, "quiet_hours": None})
    assert changed.json()["quiet_hours"] is None
    assert lab.get("/v1/policies")["items"][0]["quiet_hours"] is None


@pytest.mark.parametrize(
    ("hours", "field"),
    [
        ({**QUIET, "timezone": "Europe/Atlantis"}, "quiet_hours.timezone"),
        ({**QUIET, "windows": []}, "quiet_hours.windows"),
        ({**QUIET, "windows": ["someday 09:00-18:00"]}, "quiet_hours.windows.0.days"),
        ({"windows": QUIET["windows"]}, "quiet_hours.timezone"),
    ],
)
def test_quiet_hours_are_checked(lab: Site, hours: dict[str, Any], field: str) -> None:
    body = problem(lab.post("/v1/policies", {**IDLE, "quiet_hours": hours}), 422, "invalid")
    assert body["field"] == field
    assert lab.get("/v1/policies")["items"] == []


def test_what_is_held_awake_is_shown(lab: Site) -> None:
    assert lab.get("/v1/endpoints/ep_search")["held_awake"] is None
    with lab.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.held_awake = {
            "sign": "even",
            "detail": "24 requests came evenly",
            "every_s": 300,
            "since": NOON.isoformat(),
            "told_at": NOON.isoformat(),
        }
        session.add(row)
    found = lab.get("/v1/endpoints/ep_search")["held_awake"]
    assert (found["sign"], found["every_seconds"]) == ("even", 300)
