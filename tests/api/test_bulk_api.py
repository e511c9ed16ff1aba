"""Many endpoints changed at once: previewed, confirmed, and each with an outcome of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store.tables import Label
from tests.api.site import L4, NOON, Site, endpoint, opened, problem, rate
from tests.support import rows

SEARCH = {"labels": {"team": "search"}}
BURN = 800_000_000


def running(name: str, **values: Any) -> list[Any]:
    """Return a managed endpoint of the team `search` that runs at $0.80 an hour."""
    return [
        endpoint(name, **{"managed": True, "wish": "running", "billed_high": 1} | values),
        Label(endpoint_id=f"ep_{name}", key="team", value="search"),
        rows.interval(
            endpoint_id=f"ep_{name}",
            hardware_key=L4,
            rate_id="rat_l4",
            burn_low=BURN,
            burn=BURN,
            burn_high=BURN,
        ),
    ]


def paused(name: str, **values: Any) -> list[Any]:
    given = {"managed": True, "status": "paused", "wish": "paused", "wish_at": NOON}
    return [
        endpoint(name, **given | {"hardware_key": L4, "billed_high": 0} | values),
        Label(endpoint_id=f"ep_{name}", key="team", value="search"),
    ]


@pytest.fixture
def fleet(site: Site) -> Site:
    """Return a service with two running endpoints, a paused one, and one that is only observed."""
    return seeded(site)


@pytest.fixture
def postgres_fleet(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    """Return the same over Postgres."""
    yield from (seeded(site) for site in opened(postgres_url, tmp_path))


def seeded(site: Site) -> Site:
    site.seed(
        rows.account(health="ok", observed_at=NOON, confirmed_at=NOON),
        rate(),
        *running("a"),
        *running("b"),
        *paused("c"),
        *running("d", managed=False, wish=""),
    )
    return site


def preview(site: Site, action: str, selector: Any = None, **given: Any) -> dict[str, Any]:
    body = {"action": action, "selector": SEARCH if selector is None else selector, **given}
    response = site.post("/v1/endpoints/bulk?dry_run=true", body)
    assert response.status_code == 200, response.text
    assert response.json()["dry_run"] is True
    would: dict[str, Any] = response.json()["would"]
    return would


def outcomes(answer: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["endpoint"]["name"]: (one["outcome"], one["code"]) for one in answer["items"]}


def many(site: Site, count: int) -> None:
    site.seed(*[row for number in range(count) for row in running(f"more-{number}")])


def test_a_preview_lists_each_outcome_with_its_cost_and_changes_nothing(fleet: Site) -> None:
    before = fleet.dump().splitlines()
    would = preview(fleet, "pause")
    assert outcomes(would) == {
        "a": ("accepted", None),
        "b": ("accepted", None),
        "c": ("unchanged", None),
        "d": ("refused", "not_managed"),
    }
    costs = {one["endpoint"]["name"]: one["cost_change"]["amount"] for one in would["items"]}
    assert costs == {
        "a": "-0.800000000",
        "b": "-0.800000000",
        "c": "0.000000000",
        "d": "0.000000000",
    }
    assert "adopt" in would["items"][3]["remedy"].lower()
    blast = would["blast_radius"]
    assert (blast["changed"], blast["share_of_managed"], blast["share_of_awake"]) == (2, 67, 100)
    assert blast["stopped_per_hour"]["amount"] == "1.600000000"
    assert would["id"] is None
    added = [line for line in set(fleet.dump().splitlines()) - set(before) if "ep_" in line]
    assert [would["confirm"] in line for line in added] == [True]  # the preview is all that is kept


def test_a_refusal_undoes_no_other_on_postgres_either(postgres_fleet: Site) -> None:
    carried_out(postgres_fleet)


def test_a_confirmed_list_is_carried_out_and_one_refusal_undoes_no_other(fleet: Site) -> None:
    carried_out(fleet)


def carried_out(fleet: Site) -> None:
    confirm = preview(fleet, "pause")["confirm"]
    body = {"action": "pause", "selector": SEARCH, "reason": "over", "confirm": confirm}
    answer = fleet.post("/v1/endpoints/bulk", body).json()
    assert (answer["accepted"], answer["unchanged"], answer["refused"]) == (2, 1, 1)
    found = fleet.get("/v1/operations", bulk=answer["id"])["items"]
    assert {one["endpoint"]["name"] for one in found} == {"a", "b"}
    assert {one["reason"] for one in found} == {"over"}
    assert {one["bulk_id"] for one in found} == {answer["id"]}
    assert {one["id"] for one in found} == {
        one["operation"] for one in answer["items"] if one["operation"]
    }
    (asked,) = fleet.events("bulk.requested")
    assert asked.data["outcomes"] == {"accepted": 2, "unchanged": 1, "refused": 1}
    (refused,) = fleet.events("bulk.refused")
    assert (refused.endpoint_id, refused.data["code"]) == ("ep_d", "not_managed")


@pytest.mark.parametrize(
    ("count", "selector", "why"),
    [
        (5, {"labels": {"team": "search"}, "managed": True}, "more than 5"),
        (0, SEARCH, "30 %"),
    ],
)
def test_a_long_list_or_a_large_share_needs_its_preview(
    fleet: Site, count: int, selector: Any, why: str
) -> None:
    many(fleet, count)
    body = {"action": "pause", "selector": selector}
    refusal = problem(fleet.post("/v1/endpoints/bulk", body), 409, "confirmation_needed")
    assert why in refusal["detail"]
    assert fleet.get("/v1/operations")["items"] == []
    assert fleet.events("request.refused")


def test_one_endpoint_is_never_too_large_a_share(fleet: Site) -> None:
    body = {"action": "pause", "selector": {"ids": ["ep_a"]}}
    assert fleet.post("/v1/endpoints/bulk", body).json()["accepted"] == 1


def test_a_deletion_always_needs_its_preview(fleet: Site) -> None:
    body = {"action": "delete", "selector": {"ids": ["ep_a"]}, "grace": "0"}
    problem(fleet.post("/v1/endpoints/bulk", body), 409, "confirmation_needed")
    confirm = preview(fleet, "delete", {"ids": ["ep_a"]}, grace="0")["confirm"]
    answer = fleet.post("/v1/endpoints/bulk", {**body, "confirm": confirm}).json()
    (found,) = fleet.get("/v1/operations", bulk=answer["id"])["items"]
    assert (found["kind"], found["endpoint"]["name"]) == ("delete", "a")


def test_a_deletion_with_grace_is_a_pause_first(fleet: Site) -> None:
    given: dict[str, Any] = {
        "action": "delete",
        "selector": {"ids": ["ep_a", "ep_b"]},
        "grace": "7d",
    }
    confirm = preview(fleet, given["action"], given["selector"], grace="7d")["confirm"]
    at_once = {**given, "grace": "0", "confirm": confirm}
    problem(fleet.post("/v1/endpoints/bulk", at_once), 409, "list_changed")
    answer = fleet.post("/v1/endpoints/bulk", {**given, "confirm": confirm}).json()
    kinds = {one["kind"] for one in fleet.get("/v1/operations", bulk=answer["id"])["items"]}
    assert kinds == {"pause"}
    again = preview(fleet, "delete", given["selector"], grace="7d")
    assert again["unchanged"] == 2


def test_a_list_that_has_changed_is_refused_with_what_differs(fleet: Site) -> None:
    confirm = preview(fleet, "pause")["confirm"]
    fleet.seed(*running("e"))
    assert fleet.ask("DELETE", "/v1/endpoints/ep_a?confirm=a&grace=0").status_code == 202
    body = {"action": "pause", "selector": SEARCH, "confirm": confirm}
    refusal = problem(fleet.post("/v1/endpoints/bulk", body), 409, "list_changed")
    assert "e is new (accepted)" in refusal["detail"]
    assert "a was accepted and is refused, being_deleted" in refusal["detail"]
    assert "dry_run" in refusal["remedy"]
    kinds = [one["kind"] for one in fleet.get("/v1/operations")["items"]]
    assert kinds == ["delete"]


def test_a_confirmation_of_nothing_known_is_refused(fleet: Site) -> None:
    body = {"action": "pause", "selector": SEARCH, "confirm": "0" * 32}
    refusal = problem(fleet.post("/v1/endpoints/bulk", body), 409, "list_changed")
    assert "no preview" in refusal["detail"]


def test_the_same_key_gives_the_same_answer_and_nothing_twice(fleet: Site) -> None:
    confirm = preview(fleet, "pause")["confirm"]
    body = {"action": "pause", "selector": SEARCH, "confirm": confirm}
    headers = {"Idempotency-Key": "night-1"}
    first = fleet.post("/v1/endpoints/bulk", body, headers=headers)
    again = fleet.post("/v1/endpoints/bulk", body, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(fleet.get("/v1/operations")["items"]) == 2
    assert len(fleet.events("bulk.requested")) == 1
    other = fleet.post("/v1/endpoints/bulk", {**body, "action": "resume"}, headers=headers)
    problem(other, 422, "idempotency_conflict")


def test_a_death_before_the_commit_leaves_nothing_and_the_repetition_does_all(
    fleet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm = preview(fleet, "pause")["confirm"]
    body = {"action": "pause", "selector": SEARCH, "confirm": confirm}
    headers = {"Idempotency-Key": "night-2"}

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.services.bulk._record", die)
        assert fleet.post("/v1/endpoints/bulk", body, headers=headers).status_code == 500
    assert fleet.get("/v1/operations")["items"] == []
    assert fleet.post("/v1/endpoints/bulk", body, headers=headers).json()["accepted"] == 2


def test_resuming_tells_what_it_will_cost_and_which_price_is_missing(fleet: Site) -> None:
    fleet.seed(*paused("e", hardware_key="aws/us-east-1/unknown/x1"), *paused("f", min_replicas=2))
    would = preview(fleet, "resume", {"labels": {"team": "search"}, "statuses": ["paused"]})
    costs = {one["endpoint"]["name"]: one["cost_change"] for one in would["items"]}
    assert costs["c"]["amount"] == "0.800000000"
    assert costs["e"] is None
    assert costs["f"]["amount"] == "1.600000000"
    assert would["blast_radius"]["started_per_hour"]["amount"] == "2.400000000"
    assert would["blast_radius"]["unpriced"] == 1


def test_a_pause_until_an_instant_is_a_hold(fleet: Site) -> None:
    until = (NOON + timedelta(hours=6)).isoformat()
    body = {"action": "pause", "selector": {"ids": ["ep_a"]}, "until": until}
    (item,) = fleet.post("/v1/endpoints/bulk", body).json()["items"]
    assert item["held_until"] == "2026-03-02T18:00:00Z"
    (hold,) = fleet.get("/v1/holds")["items"]
    assert (hold["wish"], hold["until"]) == ("paused", "2026-03-02T18:00:00Z")


def test_labels_and_protection_are_ours_and_change_at_once(fleet: Site) -> None:
    body = {"action": "label", "selector": SEARCH, "set_labels": {"stage": "dev"}}
    assert fleet.post("/v1/endpoints/bulk", body).json()["accepted"] == 4
    assert fleet.post("/v1/endpoints/bulk", body).json()["unchanged"] == 4
    labels = fleet.get("/v1/endpoints/ep_a")["labels"]
    assert {"stage": "dev", "team": "search"}.items() <= labels.items()
    protect = {"action": "protect", "selector": SEARCH}
    assert fleet.post("/v1/endpoints/bulk", protect).json()["accepted"] == 4
    assert preview(fleet, "delete")["refused"] == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "pause", "selector": {}}, "selector"),
        ({"action": "pause", "selector": {"managed": True}}, "selector"),
        ({"action": "pause", "selector": {"all": True, "account": "lab"}}, "all"),
        ({"action": "pause", "selector": {"labels": {"team": "nobody"}}}, "selector"),
        ({"action": "pause", "selector": {"account": "nowhere"}}, "selector.account"),
        ({"action": "pause", "selector": {"ids": ["ep_nowhere"]}}, "selector.ids"),
        ({"action": "label", "selector": SEARCH}, "set_labels"),
        ({"action": "pause", "selector": SEARCH, "grace": "7d"}, "grace"),
        ({"action": "protect", "selector": SEARCH, "until": "2026-03-02T18:00:00Z"}, "until"),
        ({"action": "pause", "selector": {"labels": {"cloud:x": "y"}}}, "selector.labels"),
    ],
)
def test_what_names_nothing_or_does_not_belong_is_refused(
    fleet: Site, body: Any, field: str
) -> None:
    refusal = problem(fleet.post("/v1/endpoints/bulk", body), 422, "invalid")
    assert refusal["field"] == field
    assert not fleet.events("bulk.requested")


def test_all_has_to_be_said(fleet: Site) -> None:
    would = preview(fleet, "pause", {"all": True})
    assert len(would["items"]) == 4


def test_readers_may_not(fleet: Site) -> None:
    body = {"action": "pause", "selector": SEARCH}
    response = fleet.post("/v1/endpoints/bulk?dry_run=true", body, scope="read")
    assert response.status_code == 403
