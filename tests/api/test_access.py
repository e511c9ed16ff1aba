"""Who may do what: tokens, scopes, and what is kept of a secret."""

from __future__ import annotations

import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.clock import ManualClock
from orchestrator.services import tokens
from orchestrator.services.tokens import Scope
from orchestrator.store.database import Database
from tests.api.site import NOON, Site, problem

ADMIN_CHANGES = [
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/tok_1"),
    ("POST", "/v1/accounts"),
    ("POST", "/v1/accounts/regions"),
    ("PATCH", "/v1/accounts/lab"),
    ("DELETE", "/v1/accounts/lab"),
    ("POST", "/v1/notification-targets"),
    ("PUT", "/v1/notification-targets/tgt_1"),
    ("DELETE", "/v1/notification-targets/tgt_1"),
    ("POST", "/v1/notification-targets/tgt_1/test"),
]
OPERATOR_CHANGES = [
    ("POST", "/v1/endpoints"),
    ("POST", "/v1/endpoints/adopt"),
    ("POST", "/v1/endpoints/bulk"),
    ("PATCH", "/v1/endpoints/ep_search"),
    ("DELETE", "/v1/endpoints/ep_search"),
    *(
        ("POST", f"/v1/endpoints/ep_search/{verb}")
        for verb in ("adopt", "release", "pause", "resume", "scale-to-zero", "undelete")
    ),
    ("PUT", "/v1/endpoints/ep_search/allow-recreate"),
    ("DELETE", "/v1/endpoints/ep_search/allow-recreate"),
    ("POST", "/v1/operations/op_1/cancel"),
    ("PUT", "/v1/endpoints/ep_search/expiry"),
    ("DELETE", "/v1/endpoints/ep_search/expiry"),
    ("POST", "/v1/endpoints/ep_search/extend"),
    ("POST", "/v1/holds"),
    ("DELETE", "/v1/holds/hld_1"),
    ("POST", "/v1/leases"),
    ("POST", "/v1/leases/hld_1/renew"),
    ("DELETE", "/v1/leases/hld_1"),
    ("POST", "/v1/calendars"),
    ("PUT", "/v1/calendars/cal_1"),
    ("DELETE", "/v1/calendars/cal_1"),
    ("POST", "/v1/calendars/cal_1/refresh"),
    ("POST", "/v1/expiry-policies"),
    ("PUT", "/v1/expiry-policies/pol_1"),
    ("DELETE", "/v1/expiry-policies/pol_1"),
    ("POST", "/v1/rules/apply"),
    ("POST", "/v1/schedules"),
    ("PUT", "/v1/schedules/sch_1"),
    ("DELETE", "/v1/schedules/sch_1"),
    ("POST", "/v1/policies"),
    ("PUT", "/v1/policies/pol_1"),
    ("DELETE", "/v1/policies/pol_1"),
    ("PUT", "/v1/freeze"),
    ("DELETE", "/v1/freeze"),
    ("POST", "/v1/notifications/dlv_1/retry"),
]
READING_POSTS = {"/v1/schedules/preview", "/v1/reports/what-if"}


def api_routes(site: Site) -> set[tuple[str, str]]:
    """Return (method, path) of everything under /v1, from the API's own description."""
    paths = site.app.openapi()["paths"]
    return {
        (method.upper(), path)
        for path, operations in paths.items()
        if path.startswith("/v1")
        for method in operations
    }


def test_every_route_asks_for_a_token(site: Site) -> None:
    for method, path in api_routes(site):
        response = site.client.request(method, path.replace("{id}", "x"))
        body = problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in body["remedy"]


@pytest.mark.parametrize("header", ["Bearer ", "Bearer orc_wrong", "Basic YTpi", "orc_wrong"])
def test_a_wrong_credential_is_refused(site: Site, header: str) -> None:
    response = site.client.get("/v1/me", headers={"Authorization": header})
    problem(response, 401, "unauthenticated")


def test_me_tells_name_and_scope(site: Site) -> None:
    response = site.ask("GET", "/v1/me", scope="operate")
    assert response.json() == {"name": "operator", "scope": "operate"}


@pytest.mark.parametrize(("method", "path"), ADMIN_CHANGES)
def test_an_operator_may_not_administer(site: Site, method: str, path: str) -> None:
    body = problem(site.ask(method, path, scope="operate", json={}), 403, "forbidden")
    assert "admin" in body["remedy"]


@pytest.mark.parametrize(("method", "path"), ADMIN_CHANGES + OPERATOR_CHANGES)
def test_a_reader_may_change_nothing(lab: Site, method: str, path: str) -> None:
    problem(lab.ask(method, path, scope="read", json={}), 403, "forbidden")


def test_the_tables_above_name_every_change(site: Site) -> None:
    shapes = {(method, _shape(path)) for method, path in ADMIN_CHANGES + OPERATOR_CHANGES}
    changes = {
        (method, path)
        for method, path in api_routes(site)
        if method != "GET" and path not in READING_POSTS
    }
    assert shapes == changes


def _shape(path: str) -> str:
    return re.sub(r"/(tok|ep|op|hld|sch|pol|tgt|dlv|cal)_\w+|(?<=accounts)/lab", "/{id}", path)


def test_tokens_are_listed_to_admins_alone(site: Site) -> None:
    names = [token["name"] for token in site.get("/v1/tokens")["items"]]
    assert names == ["admin", "operator", "reader"]
    problem(site.ask("GET", "/v1/tokens", scope="operate"), 403, "forbidden")


def test_a_new_token_works_and_shows_its_secret_once(site: Site) -> None:
    made = site.post("/v1/tokens", {"name": "ci", "scope": "operate"})
    assert made.status_code == 201
    secret = made.json()["secret"]
    response = site.client.get("/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert response.json() == {"name": "ci", "scope": "operate"}
    assert secret not in site.ask("GET", "/v1/tokens").text
    assert secret not in site.dump()


def test_a_repeated_answer_hides_the_secret(site: Site) -> None:
    key = {"Idempotency-Key": "once"}
    first = site.post("/v1/tokens", {"name": "ci"}, headers=key)
    again = site.post("/v1/tokens", {"name": "ci"}, headers=key)
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}
    assert first.json()["secret"] not in site.dump()


@pytest.mark.parametrize("name", ["engine", "Cloud", "admin"])
def test_names_that_would_mislead_are_refused(site: Site, name: str) -> None:
    response = site.post("/v1/tokens", {"name": name})
    assert response.status_code in (409, 422)
    assert response.json()["field"] == "name"


def test_a_token_ends_when_it_is_revoked(site: Site) -> None:
    tokens_by_name = {t["name"]: t["id"] for t in site.get("/v1/tokens")["items"]}
    gone = site.ask("DELETE", f"/v1/tokens/{tokens_by_name['operator']}")
    assert gone.json()["revoked_at"] == "2026-03-02T12:00:00Z"
    problem(site.ask("GET", "/v1/me", scope="operate"), 401, "unauthenticated")
    assert site.events("token.revoked")[0].actor == "admin"


def test_a_token_ends_when_it_expires(site: Site) -> None:
    end = NOON + timedelta(hours=1)
    secret = site.token("brief", Scope.READ, expires_at=end)
    site.secrets["brief"] = secret
    assert site.ask("GET", "/v1/me", scope="brief").status_code == 200
    site.clock.set(end)
    problem(site.ask("GET", "/v1/me", scope="brief"), 401, "unauthenticated")


def test_a_token_cannot_end_in_the_past(site: Site) -> None:
    past = {"name": "late", "expires_at": "2026-03-02T11:59:59Z"}
    assert problem(site.post("/v1/tokens", past), 422, "invalid")["field"] == "expires_at"


def test_the_last_admin_stays(site: Site) -> None:
    admin = next(t for t in site.get("/v1/tokens")["items"] if t["scope"] == "admin")
    body = problem(site.ask("DELETE", f"/v1/tokens/{admin['id']}"), 409, "last_admin")
    assert "another token" in body["remedy"]
    assert site.ask("GET", "/v1/me").status_code == 200


def test_use_is_noted_at_most_once_a_minute(site: Site) -> None:
    def last_used() -> str:
        items = site.get("/v1/tokens")["items"]
        return str(next(t["last_used_at"] for t in items if t["name"] == "admin"))

    last_used()
    site.clock.set(NOON + timedelta(seconds=59))
    assert last_used() == "2026-03-02T12:00:00Z"
    site.clock.set(NOON + timedelta(seconds=60))
    last_used()
    assert last_used() == "2026-03-02T12:01:00Z"


def test_the_first_token_is_private_and_stays(sqlite_url: str, tmp_path: Path) -> None:
    database, clock = Database(sqlite_url), ManualClock(NOON)
    path = tokens.ensure_first_token(database, clock, tmp_path / "state")
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    caller = tokens.authenticate(database, clock, secret)
    assert caller is not None
    assert (caller.name, caller.scope) == ("admin", Scope.ADMIN)
    assert tokens.ensure_first_token(database, clock, tmp_path / "state") == path
    assert path.read_text().strip() == secret
    database.dispose()


def test_a_lost_first_token_is_made_anew_once_it_has_ended(sqlite_url: str, tmp_path: Path) -> None:
    database, clock = Database(sqlite_url), ManualClock(NOON)
    with database.write() as session:
        end = NOON + timedelta(hours=1)
        tokens.issue(
            session, name="admin", scope=Scope.ADMIN, expires_at=end, actor="test", now=NOON
        )
    assert tokens.ensure_first_token(database, clock, tmp_path) is None
    clock.set(NOON + timedelta(hours=1))
    path = tokens.ensure_first_token(database, clock, tmp_path)
    assert path is not None
    caller = tokens.authenticate(database, clock, path.read_text().strip())
    assert caller is not None
    assert caller.name == "admin-2"
    database.dispose()


def test_no_first_token_where_an_admin_exists(site: Site) -> None:
    path = site.settings.state_dir / tokens.FIRST_FILE
    assert tokens.ensure_first_token(site.database, site.clock, site.settings.state_dir) is None
    assert not path.exists()
