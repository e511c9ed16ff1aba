"""Every refusal is a problem document that names the field and the remedy, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from orchestrator.api import middleware
from orchestrator.api.schemas.texts import message_of
from orchestrator.store import accounts
from tests.api.site import Site, problem

CREATE = {
    "account": "lab",
    "name": "fresh",
    "repository": "acme/model",
    "hardware": {
        "vendor": "aws",
        "region": "us-east-1",
        "instance_type": "nvidia-l4",
        "instance_size": "x1",
    },
    "scaling": {"min_replicas": 0, "max_replicas": 1},
}


def test_an_unknown_field_names_the_nearest(site: Site) -> None:
    response = site.post("/v1/tokens", {"name": "ci", "scoop": "read"})
    body = problem(response, 422, "unknown_field")
    assert body["field"] == "scoop"
    assert "'scope'" in body["errors"][0]["message"]


def test_an_unknown_nested_field_is_named_with_its_place(site: Site) -> None:
    scaling = {"min_replicas": 0, "max_replica": 1}
    body = problem(site.post("/v1/endpoints", {**CREATE, "scaling": scaling}), 422, "unknown_field")
    assert body["field"] == "scaling.max_replica"
    assert "'max_replicas'" in body["errors"][0]["message"]


def test_every_wrong_field_is_listed(site: Site) -> None:
    body = problem(site.post("/v1/tokens", {"name": "-", "scope": "root"}), 422, "invalid")
    assert [item["field"] for item in body["errors"]] == ["name", "scope"]
    assert body["field"] == "name"
    assert body["remedy"]


@pytest.mark.parametrize(
    ("path", "name", "near"),
    [
        ("/v1/endpoints?limt=3", "limt", "limit"),
        ("/v1/endpoints?Statuss=running", "Statuss", "status"),
        ("/v1/costs?form=2026-01-01T00:00:00Z", "form", "from"),
        ("/v1/operations/op_1?waits=3", "waits", "wait"),
    ],
)
def test_an_unknown_query_parameter_names_the_nearest(
    site: Site, path: str, name: str, near: str
) -> None:
    body = problem(site.ask("GET", path), 422, "unknown_parameter")
    assert body["field"] == name
    assert f"'{near}'" in body["remedy"]


def test_a_route_without_parameters_says_so(site: Site) -> None:
    body = problem(site.ask("GET", "/v1/me?verbose=1"), 422, "unknown_parameter")
    assert body["remedy"] == "None are accepted here."


NAMED = {
    "/v1/schedules": {"name": "über", "timezone": "UTC", "windows": [], "selector": {}},
    "/v1/policies": {"name": "über", "timeout_minutes": 5, "selector": {}},
    "/v1/expiry-policies": {"name": "über", "selector": {}},
    "/v1/calendars": {"name": "über", "source": {"kind": "dates", "dates": {}}},
    "/v1/notification-targets": {"name": "über"},
    "/v1/accounts": {"name": "über", "credential_ref": "env:X"},
    "/v1/tokens": {"name": "über"},
}


@pytest.mark.parametrize("path", sorted(NAMED))
def test_a_name_is_refused_in_words_with_an_example(site: Site, path: str) -> None:
    found = problem(site.post(path, NAMED[path]), 422, "invalid")["errors"]
    (told,) = [one["message"] for one in found if one["field"] == "name"]
    assert "begins with a letter from a to z or a digit" in told
    assert "63 characters at most, such as " in told


def test_no_pattern_is_told_without_words(site: Site) -> None:
    """Every pattern that requests are held against, by what is said of a value it refuses."""
    patterns = set(_patterns(site.get("/openapi.json")))
    assert len(patterns) >= 8
    for pattern in patterns:
        item = {"type": "string_pattern_mismatch", "ctx": {"pattern": pattern}, "msg": pattern}
        assert "such as " in message_of(item), pattern


def _patterns(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        found = document.get("pattern")
        if isinstance(found, str):
            yield found
        names = document.get("patternProperties")
        yield from names if isinstance(names, dict) else ()
        for part in document.values():
            yield from _patterns(part)
    elif isinstance(document, list):
        for part in document:
            yield from _patterns(part)


def test_a_key_of_requests_is_refused_in_words(site: Site) -> None:
    headers = {"Idempotency-Key": "two words"}
    body = problem(site.post("/v1/tokens", {"name": "ci"}, headers=headers), 422, "invalid")
    assert "without spaces, such as" in body["errors"][0]["message"]


@pytest.mark.parametrize(
    "path",
    ["/v1/endpoints?limit=0", "/v1/endpoints?limit=501", "/v1/endpoints?status=asleep"],
)
def test_a_wrong_query_parameter_is_named(site: Site, path: str) -> None:
    body = problem(site.ask("GET", path), 422, "invalid")
    assert body["field"].split(".")[0] in ("limit", "status")


def test_an_instant_needs_a_zone(site: Site) -> None:
    body = problem(site.ask("GET", "/v1/events?since=2026-03-01T00:00:00"), 422, "invalid")
    assert body["field"] == "since"


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/v1"])
def test_what_is_not_there(site: Site, path: str) -> None:
    assert "/openapi.json" in problem(site.ask("GET", path), 404, "not_found")["remedy"]


def test_a_method_that_is_not_offered(site: Site) -> None:
    response = site.ask("POST", "/v1/me")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("text", ["{", "[1]", '"text"', "null", ""])
def test_a_body_that_is_no_object(site: Site, text: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = site.ask("POST", "/v1/tokens", content=text, headers=headers)
    assert problem(response, 422, "invalid")["errors"]


def test_a_refused_value_is_not_repeated(site: Site) -> None:
    pasted = "hf_" + "a" * 20
    body = {"name": "x", "namespace": "lab", "credential_ref": pasted}
    with capture_logs() as logs:
        response = site.post("/v1/accounts", body)
    assert problem(response, 422, "invalid")["field"] == "credential_ref"
    assert "env:NAME" in response.text
    assert pasted not in response.text
    assert pasted not in json.dumps(logs, default=str)


@pytest.fixture
def broken(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    def fail(*_: Any) -> None:
        raise RuntimeError("password=hunter2 at /srv/secret.py")

    monkeypatch.setattr(accounts, "page", fail)
    return site


def test_an_unforeseen_error_shows_nothing_of_the_inside(broken: Site) -> None:
    with capture_logs() as logs:
        response = broken.ask("GET", "/v1/accounts")
    problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert "Runtime" not in response.text
    assert [line["event"] for line in logs] == ["unexpected_error", "request"]
    assert "RuntimeError" in logs[0]["exception"]
    assert broken.secrets["admin"] not in json.dumps(logs, default=str)
    assert not any("exc_info" in line for line in logs)
    assert "content-security-policy" in response.headers
    assert response.headers["x-request-id"] == logs[1]["request_id"]


def test_a_store_that_does_not_answer_is_told_apart(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("SELECT secret", {}, Exception("disk I/O error"))

    monkeypatch.setattr(accounts, "page", fail)
    response = site.ask("GET", "/v1/accounts")
    problem(response, 503, "store_unavailable")
    assert response.headers["retry-after"] == "5"
    assert "SELECT" not in response.text


def test_a_body_that_says_it_is_too_long(site: Site) -> None:
    big = b" " * (middleware.MAX_BODY_BYTES + 1)
    problem(site.ask("POST", "/v1/tokens", content=big), 413, "body_too_large")


def test_a_body_that_turns_out_too_long(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(1025):
            yield b" " * 1024

    problem(site.ask("POST", "/v1/tokens", content=chunks()), 413, "body_too_large")


def test_a_body_of_the_largest_size_is_read(site: Site) -> None:
    padded = b'{"name":"ci"}'.ljust(middleware.MAX_BODY_BYTES)
    headers = {"Content-Type": "application/json"}
    assert site.ask("POST", "/v1/tokens", content=padded, headers=headers).status_code == 201


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "10.0.0.1"])
def test_a_rebound_host_name_is_refused(site: Site, host: str) -> None:
    response = site.ask("GET", "/v1/me", headers={"Host": host})
    body = problem(response, 400, "host_not_allowed")
    assert "public_url" in body["remedy"]


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_loopback_names_are_ours(site: Site, host: str) -> None:
    assert site.ask("GET", "/v1/me", headers={"Host": host}).status_code == 200


def test_probes_answer_under_any_host_name(site: Site) -> None:
    assert site.client.get("/healthz", headers={"Host": "10.1.2.3:8080"}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/me", "/nothing", "/healthz", "/openapi.json"])
def test_every_answer_has_security_headers(site: Site, path: str) -> None:
    headers = site.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


def test_each_request_is_logged_once_without_what_it_carries(site: Site) -> None:
    with capture_logs() as logs:
        response = site.ask("GET", "/v1/endpoints?name=hush")
    lines = [line for line in logs if line["event"] == "request"]
    assert len(lines) == 1
    assert lines[0]["actor"] == "admin"
    assert (lines[0]["method"], lines[0]["path"], lines[0]["status"]) == (
        "GET",
        "/v1/endpoints",
        200,
    )
    assert lines[0]["request_id"] == response.headers["x-request-id"]
    text = json.dumps(lines, default=str)
    assert "hush" not in text
    assert site.secrets["admin"] not in text


def test_refusals_are_logged_too(site: Site) -> None:
    with capture_logs() as logs:
        site.client.get("/v1/me", headers={"Host": "evil.example"})
        site.client.get("/healthz")
    assert [(line["path"], line["status"]) for line in logs] == [("/v1/me", 400)]
