"""Expiry: set, extended within what policies allow, shown, and found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Calendar, Endpoint, Label
from tests.api.site import NOON, Site, problem

EXPIRY = "/v1/endpoints/ep_search/expiry"
EXTEND = "/v1/endpoints/ep_search/extend"
POLICIES = "/v1/expiry-policies"
TRIALS = {
    "name": "trials",
    "selector": {"labels": {"stage": "trial"}},
    "default_ttl": "14d",
    "max_ttl": "30d",
    "max_extension": "7d",
    "max_extensions": 2,
    "warn_before": ["2d", "12h"],
    "delete_grace": "7d",
}


def put(site: Site, expires: str, **body: Any) -> Any:
    return site.ask("PUT", EXPIRY, json={"expires": expires, "reason": "a trial", **body})


def extend(site: Site, by: str, **body: Any) -> Any:
    return site.post(EXTEND, {"for": by, "reason": "not done yet", **body})


@pytest.fixture
def trials(lab: Site) -> Site:
    """Return a lab whose endpoint is a trial, under a policy."""
    lab.seed(Label(endpoint_id="ep_search", key="stage", value="trial"))
    assert lab.post(POLICIES, TRIALS).status_code == 201
    return lab


def test_it_is_set_shown_found_and_taken_off(lab: Site) -> None:
    rehearsed = lab.ask("PUT", EXPIRY, json={"expires": "5d"}, params={"dry_run": "true"})
    assert rehearsed.json()["would"]["expiry"]["at"] == "2026-03-07T12:00:00Z"
    assert lab.get("/v1/endpoints/ep_search")["expiry"] is None
    made = put(lab, "5d", delete_grace="7d").json()
    assert made["expired_before"] is None
    assert made["expiry"] == {
        "at": "2026-03-07T12:00:00Z",
        "actor": "admin",
        "reason": "a trial",
        "set_at": "2026-03-02T12:00:00Z",
        "extensions": 0,
        "pauses_at": None,
        "next_warning_at": "2026-03-04T12:00:00Z",
        "warned_at": None,
        "delete_grace_seconds": 7 * 86_400,
    }
    assert "deleted 7 d after that" in lab.events("endpoint.expiry_set")[0].message
    why = lab.get("/v1/endpoints/ep_search/why")["considered"]
    (line,) = [one for one in why if one["rule"] == "expired"]
    assert (line["outcome"], line["detail"]) == ("not_yet", "it expires at 2026-03-07 12:00 UTC")
    soon = lab.get("/v1/endpoints", expiring_before="2026-03-08T00:00:00Z")["items"]
    assert [one["name"] for one in soon] == ["search"]
    assert lab.get("/v1/endpoints", expiring_before="2026-03-07T00:00:00Z")["items"] == []
    gone = lab.ask("DELETE", EXPIRY, params={"reason": "it stays"}).json()
    assert (gone["expiry"], gone["expired_before"]) == (None, "2026-03-07T12:00:00Z")
    problem(lab.ask("DELETE", EXPIRY), 409, "never_expires")
    problem(extend(lab, "3d"), 409, "never_expires")


def test_working_days_go_by_zone_and_calendar(lab: Site) -> None:
    lab.seed(
        Calendar(
            id="cal_1",
            name="Plant",
            source="dates",
            dates={"2026-03-03": "inventory"},
            covers_from="2026-01-01",
            covers_to="2026-12-31",
            created_at=NOON,
            created_by="ada",
            updated_at=NOON,
            updated_by="ada",
        )
    )
    made = put(lab, "2wd", timezone="Europe/Berlin", calendars=["Plant"]).json()
    assert made["expiry"]["at"] == "2026-03-05T12:00:00Z"
    refused = problem(put(lab, "2wd", calendars=["Plont"]), 422, "invalid")
    assert (refused["field"], "Plant" in refused["remedy"]) == ("calendars.0", True)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"expires": "soon"}, "expires"),
        ({"expires": "2026-03-01"}, "expires"),
        ({"expires": "5d", "timezone": "Europe/Berlyn"}, "timezone"),
        ({"expires": "5d", "delete_grace": "5m"}, "delete_grace"),
        ({"expires": "5d", "delete_grace": "soon"}, "delete_grace"),
    ],
)
def test_what_cannot_be_read_changes_nothing(lab: Site, given: Any, field: str) -> None:
    assert problem(lab.ask("PUT", EXPIRY, json=given), 422, "invalid")["field"] == field
    assert lab.get("/v1/endpoints/ep_search")["expiry"] is None


def test_an_extension_counts_from_the_end(lab: Site) -> None:
    put(lab, "5d", delete_grace="7d")
    made = extend(lab, "3d").json()
    assert made["expiry"]["at"] == "2026-03-10T12:00:00Z"
    assert (made["expiry"]["extensions"], made["operation"]) == (1, None)
    assert made["expiry"]["delete_grace_seconds"] == 7 * 86_400
    told = lab.events("endpoint.expiry_extended")[0].message
    assert told == (
        "admin extended search from 2026-03-07 12:00 UTC to 2026-03-10 12:00 UTC: not done yet"
    )
    body = problem(extend(lab, "2026-03-08"), 422, "invalid")
    assert "no earlier" in body["detail"]


def test_an_extension_goes_by_the_zone_and_calendars_it_was_set_with(lab: Site) -> None:
    """In Tokyo it is nine hours later, and the plant is closed on a Thursday."""
    plant = {"name": "Plant", "source": {"kind": "dates", "dates": {"2026-03-05": "inventory"}}}
    assert lab.post("/v1/calendars", plant).status_code == 201
    made = put(lab, "1wd", timezone="Asia/Tokyo", calendars=["Plant"]).json()
    assert made["expiry"]["at"] == "2026-03-03T12:00:00Z"
    # From Tuesday on: Wednesday is the first, Thursday is off, Friday the second.
    extended = extend(lab, "2wd").json()["expiry"]["at"]
    assert extended == "2026-03-06T12:00:00Z"
    # A date lasts to its end in that zone.
    assert extend(lab, "2026-03-10").json()["expiry"]["at"] == "2026-03-10T15:00:00Z"
    # What is named takes their place, and stays.
    assert extend(lab, "2026-03-12", timezone="UTC", calendars=[]).json()["expiry"]["at"] == (
        "2026-03-13T00:00:00Z"
    )
    assert extend(lab, "1wd").json()["expiry"]["at"] == "2026-03-16T00:00:00Z"


def test_an_extension_does_without_a_calendar_that_is_gone_and_says_so(lab: Site) -> None:
    plant = {"name": "Plant", "source": {"kind": "dates", "dates": {"2026-03-04": "inventory"}}}
    assert lab.post("/v1/calendars", plant).status_code == 201
    put(lab, "1wd", calendars=["Plant"])
    assert lab.ask("DELETE", "/v1/calendars/Plant").status_code in (200, 204)
    assert extend(lab, "1wd").json()["expiry"]["at"] == "2026-03-04T12:00:00Z"
    assert "without the calendar Plant" in lab.events("endpoint.expiry_extended")[0].message


def test_what_has_expired_counts_from_now_and_comes_back(lab: Site) -> None:
    put(lab, "1d")
    lab.clock.set(NOON + timedelta(days=3))
    with lab.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.status, row.billed_low, row.billed_expected, row.billed_high = "paused", 0, 0, 0
        session.add(row)
    made = extend(lab, "12h").json()
    assert made["expiry"]["at"] == "2026-03-06T00:00:00Z"
    assert made["operation"]["kind"] == "resume"


def test_policies_limit_what_is_asked(trials: Site) -> None:
    body = problem(put(trials, "40d"), 409, "expiry_limited")
    assert "policy trials: 30d" in body["detail"]
    assert "2026-04-01 12:00 UTC" in body["remedy"]
    made = put(trials, "10d").json()["expiry"]
    assert (made["delete_grace_seconds"], made["next_warning_at"]) == (
        7 * 86_400,
        "2026-03-10T12:00:00Z",
    )
    body = problem(extend(trials, "8d"), 409, "expiry_limited")
    assert "no later than 2026-03-19 12:00 UTC" in body["remedy"]
    problem(put(trials, "18d"), 409, "expiry_limited")  # by the other door it is one as well
    assert put(trials, "16d").json()["expiry"]["extensions"] == 1
    assert extend(trials, "7d").json()["expiry"]["extensions"] == 2
    body = problem(extend(trials, "1h"), 409, "expiry_limited")
    assert "2 extensions is as many as the expiry policy trials allows" in body["detail"]
    assert put(trials, "2d").status_code == 200  # shorter is always allowed
    assert (
        "wants that search expires"
        in problem(trials.ask("DELETE", EXPIRY), 409, "expiry_limited")["detail"]
    )
    refusals = trials.events("request.refused")
    assert len(refusals) == 5


def adopt_anew(site: Site) -> Any:
    assert site.post("/v1/endpoints/ep_search/release", {}).status_code == 200
    adopted = site.post("/v1/endpoints/ep_search/adopt", {})
    assert adopted.status_code == 200
    return site.get("/v1/endpoints/ep_search")["expiry"]


def test_release_and_adoption_are_no_way_around_a_policy(trials: Site) -> None:
    put(trials, "10d")
    extend(trials, "7d")
    before = extend(trials, "7d").json()["expiry"]
    again = adopt_anew(trials)
    assert (again["at"], again["extensions"]) == (before["at"], 2)
    assert again["delete_grace_seconds"] == before["delete_grace_seconds"]
    problem(extend(trials, "1h"), 409, "expiry_limited")
    problem(trials.ask("DELETE", EXPIRY), 409, "expiry_limited")
    (told, *_) = trials.events("endpoint.adopted")
    assert "as before, put off 2 times so far: the expiry policy trials wants" in told.message


def test_an_end_that_came_while_it_was_observed_is_warned_of_anew(trials: Site) -> None:
    put(trials, "10d")
    with trials.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        told = (NOON - timedelta(days=1)).isoformat()
        row.expires_at = NOON - timedelta(hours=2)
        row.expiry = {**row.expiry, "first_warned_at": told, "warned_at": told, "expired_at": told}
        session.add(row)
    assert trials.get("/v1/endpoints/ep_search/why")["wish"] == "paused"
    adopt_anew(trials)
    assert trials.get("/v1/endpoints/ep_search/why")["wish"] != "paused"


@pytest.mark.parametrize("change", [{"selector": {"labels": {"stage": "other"}}}, {"limits": None}])
def test_where_no_policy_limits_adoption_forgets_the_expiry(
    trials: Site, change: dict[str, Any]
) -> None:
    put(trials, "10d")
    none = dict.fromkeys(("max_ttl", "max_extension"), "")
    less = (
        {**TRIALS, **none, "max_extensions": None} if "limits" in change else {**TRIALS, **change}
    )
    assert trials.ask("PUT", f"{POLICIES}/trials", json=less).status_code == 200
    assert adopt_anew(trials) is None


def test_a_policy_is_saved_shown_changed_and_removed(trials: Site) -> None:
    (kept,) = trials.get(POLICIES)["items"]
    shown = trials.get(f"{POLICIES}/trials")
    assert [one["name"] for one in shown["endpoints"]] == ["search"]
    changed = trials.ask("PUT", f"{POLICIES}/trials", json=TRIALS | {"max_extensions": 0}).json()
    assert (changed["version"], changed["id"]) == (2, kept["id"])
    assert trials.ask("DELETE", f"{POLICIES}/trials").status_code == 204
    assert trials.get(POLICIES)["items"] == []
    assert put(trials, "400d").status_code == 200
    kinds = [event.kind for event in trials.events() if event.kind.startswith("policy.")]
    assert kinds == ["policy.saved", "policy.saved", "policy.removed"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"default_ttl": "60d"}, "default_ttl"),
        ({"max_ttl": "2026-12-24"}, "max_ttl"),
        ({"max_extension": "often"}, "max_extension"),
        ({"warn_before": ["1d", "early"]}, "warn_before.1"),
        ({"delete_grace": "1m"}, "delete_grace"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"calendars": ["None"]}, "calendars.0"),
    ],
)
def test_a_policy_that_cannot_be_read_is_not_saved(lab: Site, given: Any, field: str) -> None:
    body = problem(lab.post(POLICIES, TRIALS | given), 422, "invalid")
    assert body["field"] == field
    assert lab.get(POLICIES)["items"] == []


def test_an_observed_endpoint_does_not_expire(lab: Site) -> None:
    with lab.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.managed = False
        session.add(row)
    problem(put(lab, "5d"), 409, "not_managed")
