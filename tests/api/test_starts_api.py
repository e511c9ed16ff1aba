"""The coming starts, as the API answers."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from orchestrator.services import tokens
from orchestrator.services.tokens import Scope
from orchestrator.store.database import Database
from tests.api.site import ORIGIN, application, problem
from tests.support.crowd import giving_way

PATH = "/v1/reports/starts"


@pytest.fixture
def client(sqlite_database: Database) -> TestClient:
    """Return a client, with a token, of a service before a crowded morning."""
    stage = giving_way(sqlite_database)
    with sqlite_database.write() as session:
        now = stage.clock.now()
        made = tokens.issue(
            session, name="ana", scope=Scope.READ, expires_at=None, actor="test", now=now
        )
    app = application(stage.context, fresh=False)
    headers = {"Authorization": f"Bearer {made.secret}"}
    return TestClient(app, base_url=ORIGIN, headers=headers)


def test_starts_are_answered_with_what_is_late_and_why(client: TestClient) -> None:
    found = client.get(PATH, params={"to": "2026-11-16T20:00:00Z", "account": "acme"}).json()
    assert (found["start"], found["end"]) == ("2026-11-16T07:00:00Z", "2026-11-16T20:00:00Z")
    (morning,) = found["items"]
    assert (morning["starts"], morning["late"], morning["never"]) == (2, 1, 1)
    assert morning["paused_first"] == ["spare"]
    other, third = morning["items"]
    assert (other["endpoint"]["name"], other["late_seconds"]) == ("other", 10)
    assert (other["wanted_at"], other["begins_at"]) == (
        "2026-11-16T09:00:00Z",
        "2026-11-16T09:00:10Z",
    )
    assert (third["begins_at"], third["late_seconds"]) == (None, None)
    assert "is used up" in third["why"]
    week = client.get(PATH).json()
    assert len(week["items"]) == 5


def test_a_span_that_is_over_or_too_long_is_refused(client: TestClient) -> None:
    for to in ("2026-11-16T07:00:00Z", "2027-11-16T07:00:00Z"):
        refused = client.get(PATH, params={"to": to})
        assert problem(refused, 422, "invalid")["field"] == "to"
    assert client.get(PATH, params={"account": "nobody"}).status_code == 404
