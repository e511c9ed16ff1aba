"""Changes that meet others over the same rows, a nudge that fails, an engine elsewhere."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from orchestrator.api.routers.health import readiness
from orchestrator.services import clicks, clocks
from tests.api.site import Site, problem

PAUSE = "/v1/endpoints/ep_search/pause"


@pytest.mark.parametrize("kind", [OperationalError, IntegrityError])
def test_a_change_is_made_even_if_the_engine_cannot_be_nudged(
    lab: Site, kind: type[OperationalError] | type[IntegrityError]
) -> None:
    def fail() -> None:
        raise kind("nudge", {}, Exception("the server closed the connection"))

    lab.context.nudge = fail
    assert lab.ask("POST", PAUSE, json={}).status_code == 202
    assert [one["kind"] for one in lab.get("/v1/operations")["items"]] == ["pause"]


@pytest.mark.parametrize(("times", "status"), [(1, 202), (2, 409)])
def test_a_deadlock_is_tried_once_more(
    lab: Site, monkeypatch: pytest.MonkeyPatch, times: int, status: int
) -> None:
    left, real = [None] * times, clicks.request_pause

    def meet(*arguments: Any) -> clicks.Clicked:
        if left:
            left.pop()
            raise OperationalError("update", {}, psycopg.errors.DeadlockDetected("deadlock"))
        return real(*arguments)

    monkeypatch.setattr(clicks, "request_pause", meet)
    response = lab.ask("POST", PAUSE, json={})
    assert response.status_code == status
    if status == 409:
        problem(response, 409, "changed_meanwhile")


def test_secret_values_are_taken_where_their_account_is_worked(lab: Site) -> None:
    body = {"secrets": {"API_KEY": "v" * 12}}
    lab.context.engine_here = lambda account_id: account_id != "acc_lab"
    refused = lab.ask("PATCH", "/v1/endpoints/ep_search", json=body)
    found = problem(refused, 409, "engine_elsewhere")
    assert "env:NAME or file:/path" in found["remedy"]
    lab.context.engine_here = lambda account_id: account_id == "acc_lab"
    assert lab.ask("PATCH", "/v1/endpoints/ep_search", json=body).status_code == 202


def test_a_process_with_a_wrong_clock_is_not_ready(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "this machine's clock and the database's differ by -120 s"
    monkeypatch.setattr(clocks, "differs", lambda *_: told)
    found = readiness(site.context, None)
    assert (found.ready, found.clock) == (False, told)
