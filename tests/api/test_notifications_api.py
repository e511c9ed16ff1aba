"""Notification targets: saved, refused, tried; deliveries: listed, sent again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.channels.message import Outcome
from orchestrator.engine.courier import Courier
from orchestrator.store import events
from tests.api.site import NOON, Site, endpoint, opened, problem
from tests.support import rows
from tests.support.receiver import SECRET, Receiver, receiving

OPS: dict[str, Any] = {
    "name": "ops",
    "kind": "webhook",
    "address": "https://hooks.example.org/in",
    "secret_ref": "env:OPS_SECRET",
}
TARGETS = "/v1/notification-targets"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    """Return a service that may speak to receivers on its own machine."""
    yield from opened(sqlite_url, tmp_path, allow_private_webhooks=True)


def tell(site: Site, *messages: str) -> None:
    with site.database.write() as session:
        for message in messages:
            events.record(
                session,
                at=site.clock.now(),
                kind="operation.failed",
                actor="engine",
                message=message,
                account_id="acc_lab",
                endpoint_id="ep_search",
            )


def carry(site: Site, outcome: Outcome) -> None:
    Courier(site.context, lambda _, __: outcome).run(site.clock.now())


def test_a_target_is_saved_replaced_and_removed(lab: Site) -> None:
    selector = {"account": "lab", "labels": {"team": "search"}, "owner": "ada"}
    made = lab.post(TARGETS, {**OPS, "kinds": ["operation.*"], "selector": selector})
    assert made.status_code == 201
    body = made.json()
    assert made.headers["location"] == f"{TARGETS}/{body['id']}"
    assert body["selector"] == {
        "account": "acc_lab",
        "endpoint": None,
        "labels": {"team": "search"},
        "owner": "ada",
    }
    assert (body["least_severity"], body["health"]["ok"]) == ("warning", True)
    assert lab.get(f"{TARGETS}/ops") == body
    changed = lab.ask("PUT", f"{TARGETS}/ops", json={**OPS, "enabled": False}).json()
    assert (changed["version"], changed["enabled"], changed["kinds"]) == (2, False, [])
    assert lab.ask("DELETE", f"{TARGETS}/ops").status_code == 204
    assert lab.get(TARGETS)["items"] == []
    problem(lab.ask("GET", f"{TARGETS}/ops"), 404, "not_found")
    assert [one.kind for one in lab.events() if one.kind.startswith("notification.")] == [
        "notification.target_saved",
        "notification.target_saved",
        "notification.target_removed",
    ]
    assert lab.post(TARGETS, OPS).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "https://hooks.example.org/services/" + "aB3x" * 6}, "address"),
        ({"address": "https://ada:pw@example.org/in"}, "address"),
        ({"address": "http://example.org/in"}, "address"),
        ({"address": "https://169.254.169.254/latest"}, "address"),
        ({"address": "just-a-text"}, "address"),
        ({"secret_ref": ""}, "secret_ref"),
        ({"secret_ref": "pasted-by-mistake"}, "secret_ref"),
        ({"old_secret_ref": "pasted-by-mistake"}, "old_secret_ref"),
        ({"kind": "apprise", "address": "slack://pasted/by/mistake"}, "address"),
        ({"kind": "apprise", "address": "env:CHAT"}, "secret_ref"),
        ({"kinds": ["operatoin.*"]}, "kinds"),
        ({"kinds": ["hold.started"]}, "kinds"),
        ({"selector": {"account": "nowhere"}}, "selector.account"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy(
    lab: Site, change: dict[str, Any], field: str
) -> None:
    response = lab.post(TARGETS, {**OPS, **change})
    body = problem(response, 422, "invalid")
    assert body["field"] == field
    assert body["remedy"]
    assert "mistake" not in response.text
    assert lab.get(TARGETS)["items"] == []


def test_a_name_is_taken_once(lab: Site) -> None:
    lab.post(TARGETS, OPS)
    assert problem(lab.post(TARGETS, OPS), 409, "name_taken")["field"] == "name"


def test_a_rehearsal_saves_nothing_and_a_key_saves_once(lab: Site) -> None:
    would = lab.post(TARGETS, OPS, params={"dry_run": True}).json()["would"]
    assert would["name"] == "ops"
    assert lab.get(TARGETS)["items"] == []
    key = {"Idempotency-Key": "once"}
    first, again = (lab.post(TARGETS, OPS, headers=key).json() for _ in range(2))
    assert first == again


def test_a_test_message_is_sent_now_and_once_per_key(
    house: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_SECRET", SECRET)
    house.post(TARGETS, {**OPS, "address": receiver.url})
    where, key = f"{TARGETS}/ops/test", {"Idempotency-Key": "once"}
    house.post(where, params={"dry_run": True})
    assert receiver.seen == []
    first = house.post(where, headers=key).json()
    assert (first["delivered"], first["error"]) == (True, "")
    assert house.post(where, headers=key).json() == first
    (got,) = receiver.seen
    assert got.headers["webhook-id"] == first["message_id"]
    assert b"notification.test" in got.body
    receiver.status = 401
    answer = house.post(where).json()
    assert (answer["delivered"], answer["error"]) == (False, "HTTP 401 Unauthorized")
    assert len(house.events("notification.tested")) == 2


def test_a_reference_that_leads_nowhere_is_told(lab: Site) -> None:
    lab.post(TARGETS, OPS)
    answer = lab.post(f"{TARGETS}/ops/test").json()
    assert not answer["delivered"]
    assert "OPS_SECRET is not set" in answer["error"]


def test_secrets_are_stored_nowhere(
    house: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = f"{receiver.url}/pathThatIsSecret"
    monkeypatch.setenv("OPS_SECRET", SECRET)
    monkeypatch.setenv("OPS_ADDRESS", hidden)
    house.seed(rows.account(), endpoint())
    house.post(TARGETS, {**OPS, "address": "env:OPS_ADDRESS"})
    receiver.status, receiver.text = 500, hidden.encode()
    house.post(f"{TARGETS}/ops/test")
    tell(house, "it failed")
    Courier(house.context).run(NOON)
    assert len(receiver.seen) == 2
    assert house.get(f"{TARGETS}/ops")["health"]["error"].startswith("HTTP 500")
    assert "pathThatIsSecret" not in house.dump()
    assert SECRET not in house.dump()


def test_notifications_are_listed_filtered_and_paged(lab: Site) -> None:
    lab.post(TARGETS, OPS)
    tell(lab, "first", "second", "third")
    carry(lab, Outcome())
    lab.clock.set(NOON + timedelta(minutes=1))
    tell(lab, "fourth")
    carry(lab, Outcome("HTTP 500 Internal Server Error"))
    found = lab.get("/v1/notifications", limit=2)
    assert [one["message"] for one in found["items"]] == ["fourth", "third"]
    rest = lab.get("/v1/notifications", limit=2, cursor=found["next_cursor"])
    assert [one["message"] for one in rest["items"]] == ["second", "first"]
    assert rest["next_cursor"] is None
    (waiting,) = lab.get("/v1/notifications", status="pending", target="ops")["items"]
    assert (waiting["error"], waiting["attempts"]) == ("HTTP 500 Internal Server Error", 1)
    assert waiting["next_attempt_at"] is not None
    assert lab.get("/v1/notifications", kind="freeze.*")["items"] == []
    assert len(lab.get("/v1/notifications", endpoint="lab/search")["items"]) == 4
    health = lab.get(f"{TARGETS}/ops")["health"]
    assert (health["ok"], health["pending"], health["failed"]) == (False, 1, 0)


def test_what_has_failed_is_sent_again(lab: Site) -> None:
    lab.post(TARGETS, OPS)
    tell(lab, "first")
    carry(lab, Outcome("HTTP 500 Internal Server Error"))
    lab.clock.set(NOON + timedelta(days=4))
    carry(lab, Outcome("HTTP 500 Internal Server Error"))
    (failed,) = lab.get("/v1/notifications", status="failed")["items"]
    where = f"/v1/notifications/{failed['id']}/retry"
    assert lab.ask("POST", where, scope="operate").json()["status"] == "pending"
    carry(lab, Outcome())
    (again,) = lab.get("/v1/notifications")["items"]
    assert (again["status"], again["message_id"]) == ("delivered", failed["message_id"])
    problem(lab.post(where), 409, "notification_delivered")
    problem(lab.post("/v1/notifications/dlv_none/retry"), 404, "not_found")
