"""Signing in from a browser: the cookie, forged requests, guessing, and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from orchestrator.api.deps import COOKIE
from orchestrator.services.tokens import Scope
from orchestrator.services.web_sessions import csrf_of
from orchestrator.store import tokens as rows
from tests.api.site import NOON, ORIGIN, Site, opened, problem


def sign_in(site: Site, token: str | None = None, **form: str) -> httpx2.Response:
    secret = site.secrets["operate"] if token is None else token
    return site.client.post("/login", data={"token": secret, **form}, follow_redirects=False)


def change(site: Site, **headers: str) -> httpx2.Response:
    body = {"reason": "incident"}
    return site.client.put("/v1/freeze", json=body, headers=headers)


def csrf(site: Site) -> str:
    return csrf_of(site.client.cookies[COOKIE])


def test_a_token_opens_a_session(site: Site) -> None:
    response = sign_in(site)
    assert response.status_code == 303
    assert response.headers["location"] == "/"
    assert site.client.get("/v1/me").json() == {"name": "operator", "scope": "operate"}


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    cookie = sign_in(site).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "max-age=43200" in cookie
    assert "secure" not in cookie


def test_neither_cookie_nor_token_is_stored_in_the_clear(site: Site) -> None:
    sign_in(site)
    stored = site.dump()
    assert site.client.cookies[COOKIE] not in stored
    assert csrf(site) not in stored
    assert site.secrets["operate"] not in stored


@pytest.fixture
def public(sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    yield from opened(sqlite_url, tmp_path, public_url="https://orchestrator.example.org")


def test_under_https_the_cookie_is_secure(public: Site) -> None:
    public.client.base_url = httpx2.URL("https://orchestrator.example.org")
    response = sign_in(public)
    assert "secure" in response.headers["set-cookie"].lower()
    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert public.client.get("/v1/me").status_code == 200


def test_a_change_by_cookie_repeats_the_csrf_token(site: Site) -> None:
    sign_in(site)
    problem(change(site), 403, "csrf")
    problem(change(site, **{"X-CSRF-Token": "0" * 64}), 403, "csrf")
    assert site.get("/v1/freeze")["everywhere"] is None
    assert change(site, **{"X-CSRF-Token": csrf(site)}).status_code == 200


def test_a_csrf_token_belongs_to_one_session(site: Site) -> None:
    sign_in(site)
    foreign = csrf(site)
    sign_in(site)
    problem(change(site, **{"X-CSRF-Token": foreign}), 403, "csrf")


def test_reading_needs_no_csrf_token(site: Site) -> None:
    sign_in(site)
    assert site.client.get("/v1/endpoints").status_code == 200


def test_a_bearer_token_needs_no_csrf_token(site: Site) -> None:
    assert site.ask("PUT", "/v1/freeze", json={"reason": "x"}).status_code == 200


def test_a_session_has_the_scope_of_its_token(site: Site) -> None:
    sign_in(site, site.secrets["read"])
    problem(change(site, **{"X-CSRF-Token": csrf(site)}), 403, "forbidden")


def test_a_wrong_token_opens_nothing(site: Site) -> None:
    response = sign_in(site, "orc_wrong")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "unknown, revoked or expired" in response.text
    assert "orc_wrong" not in response.text


def test_guessing_is_slowed(site: Site) -> None:
    for _ in range(5):
        assert sign_in(site, "orc_wrong").status_code == 401
    barred = sign_in(site)
    assert barred.status_code == 429
    assert barred.headers["retry-after"] == "300"
    assert "set-cookie" not in barred.headers
    site.clock.set(NOON + timedelta(minutes=5))
    assert sign_in(site).status_code == 303


def test_a_success_forgives_earlier_failures(site: Site) -> None:
    for _ in range(4):
        sign_in(site, "orc_wrong")
    sign_in(site)
    assert sign_in(site, "orc_wrong").status_code == 401
    assert sign_in(site).status_code == 303


def test_a_session_ends_after_twelve_hours(site: Site) -> None:
    sign_in(site)
    site.clock.set(NOON + timedelta(hours=12))
    problem(site.client.get("/v1/me"), 401, "unauthenticated")


def test_a_session_ends_with_its_token(site: Site) -> None:
    sign_in(site)
    tokens = {t["name"]: t["id"] for t in site.get("/v1/tokens")["items"]}
    assert site.ask("DELETE", f"/v1/tokens/{tokens['operator']}").status_code == 200
    problem(site.client.get("/v1/me"), 401, "unauthenticated")


def test_a_session_that_was_left_behind_does_not_outlive_its_token(site: Site) -> None:
    sign_in(site)
    with site.database.write() as session:
        token = rows.by_name(session, "operator")
        assert token is not None
        token.revoked_at = NOON
        session.add(token)
    problem(site.client.get("/v1/me"), 401, "unauthenticated")


def test_a_session_does_not_outlive_a_token_that_expires(site: Site) -> None:
    brief = site.token("brief", Scope.READ, expires_at=NOON + timedelta(hours=1))
    sign_in(site, brief)
    site.clock.set(NOON + timedelta(minutes=59))
    assert site.client.get("/v1/me").status_code == 200
    site.clock.set(NOON + timedelta(hours=1))
    problem(site.client.get("/v1/me"), 401, "unauthenticated")


def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    sign_in(site)
    kept = site.client.cookies[COOKIE]
    response = site.client.post("/logout", data={"csrf": csrf(site)}, follow_redirects=False)
    assert response.status_code == 303
    assert response.headers["location"] == "/login"
    site.client.cookies.set(COOKIE, kept)
    problem(site.client.get("/v1/me"), 401, "unauthenticated")


def test_nobody_is_signed_out_by_another_site(site: Site) -> None:
    sign_in(site)
    problem(site.client.post("/logout", data={}, follow_redirects=False), 403, "csrf")
    assert site.client.get("/v1/me").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_nobody_is_signed_in_by_another_site(site: Site, headers: dict[str, str]) -> None:
    form = {"token": site.secrets["admin"]}
    response = site.client.post("/login", data=form, headers=headers, follow_redirects=False)
    problem(response, 403, "foreign_origin")
    assert "set-cookie" not in response.headers


def test_the_own_form_may_sign_in(site: Site) -> None:
    headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    form = {"token": site.secrets["admin"]}
    response = site.client.post("/login", data=form, headers=headers, follow_redirects=False)
    assert response.status_code == 303


@pytest.mark.parametrize(
    ("wanted", "went"),
    [
        ("/schedules?page=2", "/schedules?page=2"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/ok\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_nowhere_else(site: Site, wanted: str, went: str) -> None:
    assert sign_in(site, next=wanted).headers["location"] == went
