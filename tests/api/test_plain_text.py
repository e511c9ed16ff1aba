"""Text that no store can keep, and instants and lengths that are none, are refused by field."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.api.site import NOON, Site, endpoint, problem
from tests.support import rows

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def lab(site: Site) -> Site:
    site.seed(rows.account(health="ok", observed_at=NOON, confirmed_at=NOON))
    site.seed(endpoint("a", managed=True))
    return site


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (r'{"action":"pause","selector":{"account":"\u0000"}}', "selector.account"),
        (r'{"action":"pause","selector":{"ids":["ep_a","x\u0000"]}}', "selector.ids.1"),
        (r'{"action":"pause","selector":{"labels":{"team":"\uD800"}}}', "selector.labels.team"),
        (r'{"action":"pause","selector":{"labels":{"te\udfffam":"x"}}}', "selector.labels.te?am"),
        (r'{"action":"pause","selector":{"all":true},"reason":"a\u0000b"}', "reason"),
        (r'["\u0000"]', "0"),
        (r'"\u0000"', "body"),
    ],
)
def test_a_body_with_such_text_names_its_field(lab: Site, raw: str, field: str) -> None:
    response = lab.ask("POST", "/v1/endpoints/bulk", content=raw, headers=JSON)
    assert problem(response, 422, "unkept_character")["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/v1/endpoints/%00", "path"),
        ("DELETE", "/v1/notification-targets/a%00b", "path"),
        ("GET", "/v1/operations?status=pending&bulk=%00", "bulk"),
        ("POST", "/v1/endpoints/ep_a/undelete?dry%00_run=true", "dry?_run"),
    ],
)
def test_an_address_with_such_text_too(lab: Site, method: str, path: str, field: str) -> None:
    assert problem(lab.ask(method, path), 422, "unkept_character")["field"] == field


def test_a_form_with_such_text_too(lab: Site) -> None:
    response = lab.client.post("/login", content="token=x&next=%00", headers=FORM)
    assert problem(response, 422, "unkept_character")["field"] == "next"


@pytest.mark.parametrize("reason", [r"whole \ud83d\ude00", r"a backslash \\u0000", "é 😀"])
def test_all_other_text_is_taken(lab: Site, reason: str) -> None:
    raw = f'{{"reason":"{reason}"}}'.encode()
    path = "/v1/endpoints/ep_a/pause?dry_run=true"
    assert lab.ask("POST", path, content=raw, headers=JSON).status_code == 200


def test_a_cursor_with_such_text_is_a_bad_cursor(lab: Site) -> None:
    parts: list[Any] = ["id", "\x00"]
    cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    response = lab.ask("GET", "/v1/operations", params={"cursor": cursor})
    assert (response.status_code, response.json()["field"]) == (422, "cursor")


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_an_instant_that_utc_has_not_is_refused(lab: Site, until: str) -> None:
    response = lab.post("/v1/endpoints/ep_a/pause", {"until": until})
    assert problem(response, 422, "invalid")["field"] == "until"


def test_a_length_is_written_in_usual_digits(lab: Site) -> None:
    response = lab.ask("DELETE", "/v1/endpoints/ep_a", params={"confirm": "a", "grace": "\u0661h"})
    assert problem(response, 422, "invalid")["field"] == "grace"


def test_who_ends_a_freeze_may_say_why(lab: Site) -> None:
    lab.ask("PUT", "/v1/freeze", json={"reason": "incident"})
    assert lab.ask("DELETE", "/v1/freeze", params={"reason": "it is over"}).status_code == 200
    (event,) = lab.events("freeze.off")
    assert event.message.endswith("ended the freeze: it is over")
