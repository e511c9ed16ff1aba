"""Bulk requests where something goes wrong: deleted ids, lost races, faults of the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from orchestrator.domain.status import Status
from orchestrator.services import bulk_selection, rulebook
from orchestrator.store.tables import Account, Endpoint
from tests.api.site import NOON, Site, endpoint, opened
from tests.support import rows

PATH = "/v1/endpoints/bulk"
SELECTED = "orchestrator.services.bulk.selected"


def seeded(site: Site) -> Site:
    awake = {"managed": True, "wish": "running", "billed_high": 1}
    site.seed(rows.account(health="ok", observed_at=NOON, confirmed_at=NOON))
    site.seed(endpoint("a", **awake), endpoint("b", **awake))
    return site


@pytest.fixture
def pair(site: Site) -> Site:
    """Return a service with two managed endpoints."""
    return seeded(site)


@pytest.fixture
def postgres_pair(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    yield from (seeded(site) for site in opened(postgres_url, tmp_path))


def body(action: str, *names: str, **given: Any) -> dict[str, Any]:
    return {"action": action, "selector": {"ids": [f"ep_{name}" for name in names]}, **given}


def preview(site: Site, asked: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = site.post(f"{PATH}?dry_run=true", asked).json()["would"]
    return found


@pytest.mark.parametrize("action", ["protect", "pause"])
def test_an_id_of_a_deleted_endpoint_is_refused_by_name(pair: Site, action: str) -> None:
    pair.seed(endpoint("gone", managed=True, status=Status.DELETED, deleted_at=NOON))
    found = preview(pair, body(action, "a", "gone"))["items"]
    assert [(one["outcome"], one["code"]) for one in found] == [
        ("accepted", None),
        ("refused", "deleted"),
    ]


def test_an_endpoint_never_gets_more_than_fifty_labels(pair: Site) -> None:
    first = {f"k{number}": "v" for number in range(50)}
    assert pair.post(PATH, body("label", "a", set_labels=first)).json()["accepted"] == 1
    (refused,) = pair.post(PATH, body("label", "a", set_labels={"more": "v"})).json()["items"]
    assert (refused["outcome"], refused["code"]) == ("refused", "invalid")
    assert "50 are the most" in refused["detail"]
    assert "more" not in pair.get("/v1/endpoints/ep_a")["labels"]


def test_the_same_key_at_two_servers_at_once_is_one_request(
    postgres_pair: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = body("label", "a", "b", set_labels={"stage": "dev"})
    asked["confirm"] = preview(postgres_pair, asked)["confirm"]
    headers = {"Idempotency-Key": "night-3"}
    quicker: list[Any] = []
    usual = bulk_selection.selected

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(SELECTED, usual)
        quicker.append(postgres_pair.post(PATH, asked, headers=headers).json())
        return usual(*given)

    monkeypatch.setattr(SELECTED, overtaken)
    slower = postgres_pair.post(PATH, asked, headers=headers)
    assert (slower.status_code, slower.json()) == (200, quicker[0])
    assert slower.headers["Idempotency-Replayed"] == "true"
    assert not postgres_pair.events("request.refused")


class FaultError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize("sqlstate", ["23505", "40001", "40P01", "55P03"])
def test_a_lost_race_is_an_outcome(
    pair: Site, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    fail_with(monkeypatch, sqlstate)
    (item,) = pair.post(PATH, body("pause", "a")).json()["items"]
    assert (item["outcome"], item["code"]) == ("refused", "changed_meanwhile")


@pytest.mark.parametrize("sqlstate", ["22P05", "23502", "57014"])
def test_any_other_fault_of_the_store_is_none(
    pair: Site, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    fail_with(monkeypatch, sqlstate)
    assert pair.post(PATH, body("pause", "a")).status_code == 503
    assert not pair.events("bulk.requested")


def fail_with(monkeypatch: pytest.MonkeyPatch, sqlstate: str) -> None:
    def fail(session: Session, row: Endpoint, *rest: object) -> None:
        del session, row, rest
        raise OperationalError("UPDATE", {}, FaultError(sqlstate))

    monkeypatch.setattr("orchestrator.services.bulk_acts.act", fail)


def test_a_rehearsal_in_parts_lists_all_and_reads_the_rules_once(
    pair: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.services.bulk._AT_ONCE", 2)
    pair.seed(*(endpoint(f"m{number}", managed=number > 0) for number in range(5)))
    reads: list[str | None] = []
    load = rulebook.Rulebook.load

    def counted(session: Session, account: Account, now: datetime, only: str | None = None) -> Any:
        reads.append(only)
        return load(session, account, now, only)

    monkeypatch.setattr(rulebook.Rulebook, "load", counted)
    would = preview(pair, {"action": "pause", "selector": {"all": True}})
    assert (would["accepted"], would["refused"]) == (6, 1)
    assert [one["endpoint"]["name"] for one in would["items"]] == [
        *("a", "b", "m0", "m1", "m2", "m3", "m4")
    ]
    assert reads == [None]
    assert pair.get("/v1/operations")["items"] == []
    asked = {"action": "pause", "selector": {"all": True}, "confirm": would["confirm"]}
    assert pair.post(PATH, asked).json()["accepted"] == 6
