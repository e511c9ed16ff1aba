"""No instant, date, length or number at the ends of what can be written breaks a route."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.api.site import Site, problem

Json = Any
# What stands in the path for each kind of thing; `full` makes those of them that are rules.
NAMES = {
    "endpoints": "ep_search",
    "accounts": "acc_lab",
    "schedules": "office",
    "policies": "idle",
    "expiry-policies": "trials",
    "calendars": "ours",
    "notification-targets": "tgt_1",
    "notifications": "dlv_1",
    "operations": "op_1",
    "tokens": "tok_1",
    "holds": "hld_1",
}
HERE = {"account": "lab"}
WINDOW = {"days": ["mon"], "start": "08:00", "end": "19:00", "month_days": [1]}
PARTS = {
    "timezone": "Europe/Berlin",
    "windows": ["mon-fri 08:00-19:00 ready-by", WINDOW],
    "points": ["stop 0 19 * * *", {"expression": "0 7 1 * *", "action": "start"}],
    "dates": [
        "2026-12-24 extra 22:00-06:00",
        {"date": "2026-12-31", "kind": "off"},
        {
            "date": "2026-12-30",
            "kind": "extra",
            "windows": [{"start": "22:00", "end": "06:00"}],
        },
    ],
    "drain_minutes": 30,
}
IDLE = {"timeout_minutes": 30, "min_awake_minutes": 5}
HARDWARE = {
    "vendor": "aws",
    "region": "us-east-1",
    "instance_type": "nvidia-l4",
    "instance_size": "x1",
    "accelerator": "gpu",
}
SCALING = {"min_replicas": 0, "max_replicas": 2, "scale_to_zero_minutes": 15}
SCHEDULE = {"name": "office", "selector": HERE, **PARTS}
POLICY = {
    "name": "idle",
    "selector": HERE,
    **IDLE,
    "quiet_hours": {"timezone": "UTC", "windows": ["mon 01:00-02:00"]},
}
LIVES = {
    "name": "trials",
    "selector": HERE,
    "default_ttl": "14d",
    "max_ttl": "30d",
    "max_extension": "7d",
    "max_extensions": 3,
    "warn_before": ["3d"],
    "delete_grace": "7d",
    "timezone": "UTC",
}
CALENDAR = {"name": "ours", "source": {"kind": "dates", "dates": {"2026-12-24": "Eve"}}}
HOLIDAYS = {"name": "days", "source": {"kind": "holidays", "country": "DE"}}
EXPIRY = {"expires": "2026-03-20", "timezone": "UTC", "delete_grace": "2d"}
CLICK = {"until": "2026-03-02T18:00:00Z", "reason": "x"}
HOLD = {"endpoint": "ep_search", "wish": "running", "reason": "x"}
BODIES: Mapping[str, list[Json]] = {
    "POST /v1/tokens": [{"name": "new", "expires_at": "2027-01-01T00:00:00Z"}],
    "POST /v1/endpoints/bulk": [{"action": "pause", "selector": HERE, "until": CLICK["until"]}],
    "PUT /v1/endpoints/{id}/expiry": [EXPIRY],
    "POST /v1/endpoints/{id}/extend": [{"for": "2d", "timezone": "UTC"}],
    "POST /v1/endpoints": [
        {
            "account": "lab",
            "name": "new",
            "repository": "acme/model",
            "hardware": HARDWARE,
            "scaling": SCALING,
            "expiry": EXPIRY,
        }
    ],
    "POST /v1/endpoints/{id}/pause": [CLICK],
    "POST /v1/endpoints/{id}/resume": [CLICK],
    "POST /v1/endpoints/{id}/scale-to-zero": [CLICK],
    "PATCH /v1/endpoints/{id}": [{"scaling": SCALING}],
    "POST /v1/holds": [HOLD | {"for": "3h"}, HOLD | {"until": CLICK["until"]}],
    "POST /v1/leases": [{"endpoint": "ep_search", "ttl": "10m"}],
    "POST /v1/leases/{id}/renew": [{"ttl": "10m"}],
    "POST /v1/expiry-policies": [LIVES | {"name": "lives"}],
    "PUT /v1/expiry-policies/{id}": [LIVES],
    "POST /v1/schedules/preview": [SCHEDULE],
    "POST /v1/schedules": [SCHEDULE | {"name": "new"}],
    "PUT /v1/schedules/{id}": [SCHEDULE],
    "POST /v1/calendars": [CALENDAR | {"name": "new"}, HOLIDAYS],
    "PUT /v1/calendars/{id}": [CALENDAR],
    "POST /v1/policies": [POLICY | {"name": "new"}],
    "PUT /v1/policies/{id}": [POLICY],
    "POST /v1/reports/what-if": [
        {
            "from": "2026-02-01T00:00:00Z",
            "to": "2026-02-03T00:00:00Z",
            "selector": HERE,
            "schedule": PARTS,
            "policy": IDLE,
            "expiry": {"ttl": "14d"},
        }
    ],
}
# Bodies without an instant, a date, a length or a number.
WITHOUT = {
    *("POST /v1/accounts", "POST /v1/accounts/regions", "PATCH /v1/accounts/{id}"),
    *("PUT /v1/endpoints/{id}/allow-recreate", "POST /v1/endpoints/{id}/release"),
    *("POST /v1/endpoints/adopt", "POST /v1/endpoints/{id}/adopt", "PUT /v1/freeze"),
    *("POST /v1/endpoints/{id}/undelete", "POST /v1/rules/apply"),
    *("POST /v1/notification-targets", "PUT /v1/notification-targets/{id}"),
}
READING = ("/v1/schedules/preview", "/v1/reports/what-if")
ENDS = ("0001-01-01", "9999-12-31")
INSTANTS = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00")
LENGTHS = ("99999999d", "9999d23h")
NUMBERS = (10**30, -(2**63))
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def extremes(value: Json) -> Iterator[Json]:
    """Yield what is put in the place of a value: its like, at the ends of what can be written."""
    if isinstance(value, str) and _DATE.search(value):
        yield from (_DATE.sub(end, value) for end in ENDS)
        yield from (*ENDS, *INSTANTS)
    elif isinstance(value, str) and re.search(r"\d", value):
        yield from (re.sub(r"\d+", "99999999999999999999", value), *LENGTHS, *ENDS)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from NUMBERS


def variants(body: Json) -> Iterator[Json]:
    """Yield a body again and again, each time with one extreme in it, also as a key."""
    if not isinstance(body, dict | list):
        yield from extremes(body)
        return
    for key, value in body.items() if isinstance(body, dict) else enumerate(body):
        for other in variants(value):
            changed: Json = body.copy()
            changed[key] = other
            yield changed
        if isinstance(body, dict):
            for name in extremes(key):
                yield {**{k: v for k, v in body.items() if k != key}, name: value}


@pytest.fixture
def full(lab: Site) -> Site:
    """Return a service with a rule of each kind, all of which act on its endpoint."""
    kinds = {"calendars": CALENDAR, "schedules": SCHEDULE, "policies": POLICY}
    for kind, body in {**kinds, "expiry-policies": LIVES}.items():
        assert lab.post(f"/v1/{kind}", body).status_code == 201
    assert lab.ask("PUT", "/v1/endpoints/ep_search/expiry", json=EXPIRY).status_code == 200
    assert lab.post("/v1/leases", {"endpoint": "ep_search", "ttl": "10m"}).status_code == 201
    return lab


def operations(site: Site) -> Iterator[tuple[str, str, Json]]:
    for path, methods in site.app.openapi()["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1/"):
                yield method.upper(), path, operation


def placed(site: Site, path: str) -> str:
    kind = path.split("/")[2]
    if kind == "leases":
        return path.replace("{id}", str(site.get("/v1/leases")["items"][0]["id"]))
    return path.replace("{id}", NAMES.get(kind, "x"))


def rehearsed(path: str) -> dict[str, str]:
    """Return how to ask for a rehearsal, where a route changes anything."""
    return {} if path in READING else {"dry_run": "true"}


def queries(operation: Json) -> Iterator[dict[str, str]]:
    """Yield each parameter that takes an instant, a length or a number, with each extreme."""
    for one in operation.get("parameters", ()):
        forms = one["schema"].get("anyOf", [one["schema"]])
        taken = {form.get("format") or form.get("type") for form in forms}
        found = [value for kind, value in KINDS if kind in taken]
        if one["in"] == "query" and (found or one["name"] == "grace"):
            yield from ({one["name"]: str(value)} for value in (found or LENGTHS))


KINDS = (
    *(("date-time", value) for value in INSTANTS),
    *(("integer", value) for value in NUMBERS),
)


def test_no_parameter_of_a_read_breaks_at_its_ends(full: Site) -> None:
    asked = 0
    for method, path, operation in operations(full):
        for params in queries(operation) if method == "GET" else ():
            answer = full.ask(method, placed(full, path), params=params)
            assert answer.status_code < 500, (path, params, answer.text)
            asked += 1
    assert asked > 60


def test_the_ends_of_a_span_that_can_be_named_are_answered(full: Site) -> None:
    for path in ("usage", "cost", "timeline"):
        params = {"from": "1900-01-01T00:00:00+14:00"}
        answer = full.ask("GET", f"/v1/endpoints/ep_search/{path}", params=params)
        assert answer.status_code == 200, answer.text
    for path in ("/v1/costs", "/v1/endpoints/ep_search/cost"):
        answer = full.ask("GET", path, params={"from": "1900-01-01T00:00:00Z", "by": "day"})
        assert problem(answer, 422, "invalid")["field"] == "by"
    for at in ("1900-01-01T00:00:00Z", "2200-12-31T23:59:59Z"):
        assert full.get("/v1/endpoints/ep_search/why", at=at)


def test_no_field_of_a_change_breaks_at_its_ends(full: Site) -> None:
    with_bodies = set()
    for method, path, operation in operations(full):
        if "requestBody" not in operation:
            continue
        with_bodies.add(f"{method} {path}")
        for body in BODIES.get(f"{method} {path}", ()):
            where = placed(full, path)
            for changed in variants(body):
                answer = full.ask(method, where, json=changed, params=rehearsed(path))
                assert answer.status_code < 500, (path, changed, answer.text)
    assert with_bodies == set(BODIES) | WITHOUT


def test_each_body_is_taken_as_it_is(full: Site) -> None:
    """Else its variants would be refused for something else."""
    for place, bodies in BODIES.items():
        method, path = place.split(" ")
        for body in bodies:
            where = placed(full, path)
            answer = full.ask(method, where, json=body, params=rehearsed(path))
            assert answer.status_code < 300, (place, answer.text)


@pytest.mark.parametrize("end", ENDS)
def test_a_file_of_rules_names_the_line_of_a_date_too_far_away(lab: Site, end: str) -> None:
    text = (
        "version: 1\nschedules:\n  office:\n    timezone: UTC\n    windows: [mon 08:00-19:00]\n"
        f'    dates: ["{end} off"]\n    selector: {{account: lab}}\n'
    )
    answer = lab.post("/v1/rules/apply", {"text": text}).json()
    assert answer["code"] == "rules_refused"
    assert "line 6" in answer["detail"]
    assert "1900 to 2200" in answer["detail"]


@pytest.mark.parametrize("end", ENDS)
def test_a_date_too_far_away_is_refused_with_its_field(lab: Site, end: str) -> None:
    answer = lab.ask("PUT", "/v1/endpoints/ep_search/expiry", json={"expires": end}).json()
    assert (answer["status"], answer["field"]) == (422, "expires")
    assert "1900 to 2200" in answer["detail"] + answer["remedy"]
    body = {**SCHEDULE, "dates": [f"{end} extra 22:00-06:00"]}
    answer = lab.post("/v1/schedules", body).json()
    assert (answer["status"], answer["field"]) == (422, "dates.0.date")
