"""What a rehearsal showed is what is done at once: a digest of it refuses anything else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Binding, Endpoint, Label
from tests.api.site import NOON, Site, endpoint, problem

BODY: dict[str, Any] = {
    "name": "office",
    "timezone": "UTC",
    "windows": ["mon-fri 08:00-18:00"],
    "selector": {"labels": {"team": "search"}},
}
MANY = [f"n{number}" for number in range(6)]


@pytest.fixture
def team(lab: Site) -> Site:
    """Return a service with a team of six managed endpoints."""
    labels = [Label(endpoint_id=f"ep_{name}", key="team", value="search") for name in MANY]
    lab.seed(*(endpoint(name) for name in MANY), *labels)
    return lab


def _shown(site: Site, method: str = "POST", path: str = "/v1/schedules", **change: Any) -> str:
    response = site.ask(method, f"{path}?dry_run=true", json={**BODY, **change})
    assert response.status_code == 200, response.text
    return str(response.json()["would"]["confirm"])


def _save(site: Site, confirm: str, **change: Any) -> Any:
    ids = [f"ep_{name}" for name in MANY]
    return site.post("/v1/schedules", {**BODY, "apply_now": ids, "confirm": confirm, **change})


def test_many_are_acted_on_at_once_only_as_they_were_shown(team: Site) -> None:
    refused = problem(_save(team, ""), 409, "confirmation_needed")
    assert refused["field"] == "confirm"
    assert "dry_run=true" in refused["remedy"]
    assert team.get("/v1/schedules")["items"] == []
    assert [one.kind for one in team.events()][-1] == "request.refused"
    made = _save(team, _shown(team))
    assert made.status_code == 201
    with team.database.read() as session:
        found = [session.get(Binding, (made.json()["id"], f"ep_{name}")) for name in MANY]
    assert [one.acts_from for one in found if one is not None] == [None] * 6


def test_a_few_may_be_named_without_a_rehearsal(team: Site) -> None:
    assert _save(team, "", apply_now=["ep_n0"]).status_code == 201


def _protect(site: Site) -> None:
    with site.database.write() as session:
        session.get_one(Endpoint, "ep_n3").protected = True


def _join(site: Site) -> None:
    site.seed(endpoint("late"), Label(endpoint_id="ep_late", key="team", value="search"))


def _evening(site: Site) -> None:
    site.clock.set(NOON + timedelta(hours=7))


@pytest.mark.parametrize("meanwhile", [_protect, _join, _evening])
def test_what_differs_from_what_was_shown_is_refused(team: Site, meanwhile: Any) -> None:
    confirm = _shown(team)
    meanwhile(team)
    assert problem(_save(team, confirm), 409, "changed_meanwhile")["field"] == "confirm"
    assert team.get("/v1/schedules")["items"] == []


def test_other_windows_are_not_what_was_confirmed(team: Site) -> None:
    confirm = _shown(team)
    other = _save(team, confirm, windows=["mon-fri 09:00-18:00"])
    assert problem(other, 409, "changed_meanwhile")


def test_what_somebody_else_saved_is_not_overwritten_unseen(team: Site) -> None:
    where = f"/v1/schedules/{_save(team, _shown(team)).json()['id']}"
    shorter = {"windows": ["mon-fri 10:00-18:00"]}
    confirm = _shown(team, "PUT", where, **shorter)
    assert team.ask("PUT", where, json={**BODY, "shadow": True}).status_code == 200
    late = {**BODY, **shorter, "confirm": confirm}
    assert problem(team.ask("PUT", where, json=late), 409, "changed_meanwhile")
    again = {**late, "confirm": _shown(team, "PUT", where, **shorter)}
    assert team.ask("PUT", where, json=again).status_code == 200


def test_a_preview_says_what_it_leaves_aside(team: Site) -> None:
    found = team.post("/v1/schedules/preview", BODY).json()
    assert "expiry" in found["left_aside"]
