"""Idempotency keys and dry runs: once, and not at all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.site import NOON, Site, endpoint, opened, problem
from tests.support import rows

POLICY = {
    "name": "idle-30",
    "timeout_minutes": 30,
    "selector": {"account": "lab"},
}


def keyed(
    site: Site, key: str, path: str, body: Any = None, scope: str = "admin"
) -> httpx2.Response:
    return site.post(path, body, headers={"Idempotency-Key": key}, scope=scope)


def operations(site: Site) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = site.get("/v1/operations")["items"]
    return items


def test_the_same_key_and_body_give_the_same_operation(lab: Site) -> None:
    body = {"reason": "night"}
    first = keyed(lab, "k1", "/v1/endpoints/ep_search/pause", body)
    again = keyed(lab, "k1", "/v1/endpoints/ep_search/pause", body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(operations(lab)) == 1
    assert len(lab.events("operation.requested")) == 1


def test_the_order_of_fields_is_no_difference(site: Site) -> None:
    site.seed(rows.account())
    first = keyed(site, "k1", "/v1/policies", POLICY)
    turned = dict(reversed(POLICY.items()))
    assert keyed(site, "k1", "/v1/policies", turned).json() == first.json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/endpoints/ep_search/pause", {"reason": "other"}),
        ("/v1/endpoints/ep_search/resume", {"reason": "night"}),
        ("/v1/policies", POLICY),
    ],
)
def test_the_same_key_for_something_else_is_refused(
    lab: Site, path: str, body: dict[str, Any]
) -> None:
    keyed(lab, "k1", "/v1/endpoints/ep_search/pause", {"reason": "night"})
    refused = problem(keyed(lab, "k1", path, body), 422, "idempotency_conflict")
    assert refused["field"] == "Idempotency-Key"
    assert len(operations(lab)) == 1


def test_a_key_belongs_to_its_actor(lab: Site) -> None:
    keyed(lab, "k1", "/v1/endpoints/ep_search/pause", {})
    other = keyed(lab, "k1", "/v1/endpoints/ep_search/resume", {}, scope="operate")
    assert other.status_code == 202
    assert other.json()["actor"] == "operator"


def test_a_refusal_is_not_kept(lab: Site) -> None:
    lab.ask("PUT", "/v1/freeze", json={"reason": "incident"})
    problem(keyed(lab, "k1", "/v1/endpoints/ep_search/pause", {}), 409, "frozen")
    lab.ask("DELETE", "/v1/freeze")
    assert keyed(lab, "k1", "/v1/endpoints/ep_search/pause", {}).status_code == 202


def test_every_kind_of_change_takes_a_key(lab: Site) -> None:
    key = {"Idempotency-Key": "k1"}
    first = lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search", headers=key)
    assert lab.ask("DELETE", "/v1/endpoints/ep_search?confirm=search", headers=key).json() == (
        first.json()
    )
    key = {"Idempotency-Key": "k2"}
    for _ in range(2):
        response = lab.ask("PUT", "/v1/freeze", json={"reason": "x"}, headers=key)
        assert response.status_code == 200
    assert len(lab.events("freeze.on")) == 1


def test_an_answer_without_a_body_is_repeated(lab: Site) -> None:
    lab.post("/v1/policies", POLICY)
    key = {"Idempotency-Key": "k1"}
    for _ in range(2):
        response = lab.ask("DELETE", "/v1/policies/idle-30", headers=key)
        assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize("key", ["", "with blank", "x" * 201, "ünicode"])
def test_a_key_is_printable_and_short(lab: Site, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode())]
    headers.append((b"Authorization", f"Bearer {lab.secrets['admin']}".encode()))
    response = lab.client.post("/v1/endpoints/ep_search/pause", headers=headers)
    assert problem(response, 422, "invalid")["field"] == "idempotency-key"
    assert operations(lab) == []


def test_keys_are_forgotten_after_a_week(site: Site) -> None:
    site.seed(rows.account())
    keyed(site, "k1", "/v1/policies", POLICY)
    site.clock.set(NOON + timedelta(days=7, seconds=1))
    keyed(site, "k2", "/v1/policies", {**POLICY, "name": "other"})
    problem(keyed(site, "k1", "/v1/policies", POLICY), 409, "name_taken")


@pytest.fixture
def either(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """Return a service over SQLite and over Postgres in turn, with one endpoint."""
    for site in opened(database_url, tmp_path):
        site.seed(rows.account(), endpoint())
        yield site


def test_many_at_once_make_one_operation(either: Site) -> None:
    def ask(number: int) -> httpx2.Response:
        del number
        return keyed(either, "k1", "/v1/endpoints/ep_search/pause", {"reason": "night"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(either.events("operation.requested")) == 1


def test_a_dry_run_answers_and_changes_nothing(lab: Site) -> None:
    lab.get("/v1/me")  # the token's use is noted
    before = lab.dump()
    response = lab.post("/v1/endpoints/ep_search/pause?dry_run=true", {"reason": "night"})
    assert response.status_code == 200
    assert response.headers["dry-run"] == "true"
    body = response.json()
    assert body["dry_run"] is True
    assert body["would"]["kind"] == "pause"
    assert body["would"]["status"] == "pending"
    assert lab.dump() == before
    assert lab.nudges == []


def test_a_dry_run_refuses_what_the_change_would(lab: Site) -> None:
    lab.ask("PUT", "/v1/freeze", json={"reason": "incident"})
    problem(lab.post("/v1/endpoints/ep_search/pause?dry_run=true"), 409, "frozen")


def test_a_dry_run_uses_up_no_key(lab: Site) -> None:
    key = {"Idempotency-Key": "k1"}
    lab.post("/v1/endpoints/ep_search/pause?dry_run=true", {}, headers=key)
    assert lab.post("/v1/endpoints/ep_search/pause", {}, headers=key).status_code == 202
    again = lab.post("/v1/endpoints/ep_search/pause?dry_run=true", {}, headers=key)
    assert again.json()["dry_run"] is True


def test_a_dry_run_shows_no_secret_of_a_token_that_is_not_made(site: Site) -> None:
    response = site.post("/v1/tokens?dry_run=true", {"name": "ci"})
    assert response.json()["would"]["secret"] is None
    assert "ci" not in [token["name"] for token in site.get("/v1/tokens")["items"]]


def test_a_change_nudges_the_engine_after_its_commit(lab: Site) -> None:
    seen: list[int] = []
    lab.context.nudge = lambda: seen.append(len(operations(lab)))
    lab.post("/v1/endpoints/ep_search/pause")
    assert seen == [1]
