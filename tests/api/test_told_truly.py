"""What is told of an endpoint's last look, and of the time that an operation usually takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Account, Endpoint, Operation
from tests.api.site import NOON, Site, problem
from tests.support import rows

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SEARCH = "/v1/endpoints/ep_search"


def seen(site: Site, **changes: Any) -> str:
    """Return what is told of an endpoint last read itself today, its account two days later."""
    site.clock.set(NOON + 2 * DAY)
    with site.database.write() as session:
        account, row = session.get_one(Account, "acc_lab"), session.get_one(Endpoint, "ep_search")
        account.confirmed_at, row.confirmed_at = NOON + 2 * DAY, NOON
        for name, value in changes.items():
            setattr(row, name, value)
        session.add_all([account, row])
    found = site.get(SEARCH)["confirmed_at"]
    (listed,) = site.get("/v1/endpoints")["items"]
    assert listed["confirmed_at"] == found
    return str(found)


def test_a_listing_vouches_for_what_it_shows(lab: Site) -> None:
    assert seen(lab) == "2026-03-04T12:00:00Z"


@pytest.mark.parametrize("change", [{"missing_since": NOON}, {"restless": True}])
def test_a_listing_vouches_for_nothing_that_it_does_not_tell(
    lab: Site, change: dict[str, Any]
) -> None:
    assert seen(lab, **change) == "2026-03-02T12:00:00Z"


def test_nobody_looks_at_what_is_gone(lab: Site) -> None:
    lab.clock.set(NOON)
    with lab.database.write() as session:
        account, row = session.get_one(Account, "acc_lab"), session.get_one(Endpoint, "ep_search")
        account.confirmed_at = NOON + 2 * DAY
        row.deleted_at, row.status = NOON, "deleted"
        session.add_all([account, row])
    assert lab.get(SEARCH)["confirmed_at"] == "2026-03-02T12:00:00Z"


def test_the_document_says_what_confirmed_means(lab: Site) -> None:
    fields = lab.get("/openapi.json")["components"]["schemas"]["EndpointOut"]["properties"]
    assert "last whole listing" in fields["confirmed_at"]["description"]


def under_way(site: Site, **values: Any) -> None:
    given: dict[str, Any] = {
        "kind": "update",
        "status": "confirming",
        "endpoint_id": "ep_search",
        "endpoint_name": "search",
        "started_at": NOON,
        "accepted_at": NOON,
    }
    site.seed(rows.operation(1, **{**given, **values}))


def ended(number: int, took: timedelta) -> Operation:
    return rows.operation(
        number,
        kind="update",
        status="succeeded",
        endpoint_id="ep_search",
        started_at=NOON,
        accepted_at=NOON,
        finished_at=NOON + took,
        steps=[{"name": "cloud", "at": NOON.isoformat(), "state": "updating", "detail": ""}],
    )


def test_who_waits_is_told_what_is_usual(lab: Site) -> None:
    under_way(lab)
    assert lab.get("/v1/operations/op_1")["usual_seconds"] == 600
    assert lab.get("/v1/operations/op_1?wait=0&version=x")["usual_seconds"] == 600
    (listed,) = lab.get("/v1/operations")["items"]
    assert listed["usual_seconds"] is None


def test_what_ran_here_tells_better(lab: Site) -> None:
    under_way(lab)
    lab.seed(*(ended(number, 20 * MINUTE) for number in range(2, 8)))
    assert lab.get("/v1/operations/op_1")["usual_seconds"] == 1200


@pytest.mark.parametrize(
    ("values", "usual"),
    [
        ({"kind": "pause"}, None),
        ({"status": "succeeded", "finished_at": NOON}, None),
        ({"stuck_since": NOON, "usual_s": 240}, 240),
        ({"usual_s": 120}, 600),
    ],
)
def test_what_is_not_known_or_flagged(lab: Site, values: dict[str, Any], usual: int | None) -> None:
    under_way(lab, **values)
    assert lab.get("/v1/operations/op_1")["usual_seconds"] == usual


@pytest.mark.parametrize("key", ["", " ", "\t", "two words"])
def test_an_empty_key_is_no_key_and_is_refused(lab: Site, key: str) -> None:
    answer = lab.post(f"{SEARCH}/pause", {}, headers={"Idempotency-Key": key})
    assert problem(answer, 422, "invalid")["field"] == "idempotency-key"
    assert lab.get("/v1/operations")["items"] == []
