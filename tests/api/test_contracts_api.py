"""The contract card and the leave to stop an endpoint by deleting it, over HTTP."""

from __future__ import annotations

import pytest

from orchestrator.domain.endpoints import Contract
from orchestrator.providers.base import UnavailableError
from orchestrator.store.tables import Endpoint
from tests.api.site import Site, problem

CARD = "/v1/endpoints/ep_search/contract"
LEAVE = "/v1/endpoints/ep_search/allow-recreate"
PAUSE = "/v1/endpoints/ep_search/pause"


@pytest.fixture
def classic(lab: Site) -> Site:
    """A managed endpoint that its cloud can only stop by deleting it."""
    with lab.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.stop, row.to_zero = "recreate", False
        session.add(row)
    lab.cloud.contract = Contract(
        document={"digest": "abc"},
        kept=("model", "configuration"),
        lost=("its place in the queue",),
        alarms=("p99-latency",),
        minutes_to_return=35,
    )
    return lab


def test_the_card_says_what_a_pause_means(classic: Site) -> None:
    card = classic.get(CARD)
    assert card["stops_by"] == "recreate"
    assert card["kept"] == ["model", "configuration"]
    assert card["lost"] == ["its place in the queue"]
    assert card["alarms"] == ["p99-latency"]
    assert (card["minutes_to_return"], card["measured"]) == (35, False)


def test_without_the_leave_a_pause_is_refused_with_the_way_to_it(classic: Site) -> None:
    told = problem(classic.ask("POST", PAUSE, json={}), 409, "recreate_not_allowed")
    assert "/contract" in told["remedy"]
    assert "allow-recreate" in told["remedy"]
    assert classic.get("/v1/endpoints/ep_search")["stops"]["allowed"] is False


def test_the_leave_is_given_over_the_card_that_was_seen(classic: Site) -> None:
    digest = classic.get(CARD)["digest"]
    answer = classic.ask("PUT", LEAVE, json={"digest": digest, "reason": "nights"})
    assert answer.status_code == 200
    assert answer.json()["stops"] == {
        "by": "recreate",
        "to_zero": False,
        "allowed": True,
        "allowed_by": "admin",
        "away_since": None,
    }
    assert classic.ask("POST", PAUSE, json={}).status_code == 202
    kinds = [event["kind"] for event in classic.get("/v1/endpoints/ep_search/events")["items"]]
    assert "endpoint.recreate_allowed" in kinds


def test_another_card_than_the_one_seen_is_refused(classic: Site) -> None:
    digest = classic.get(CARD)["digest"]
    classic.cloud.contract = Contract(document={"digest": "abc"}, kept=("model",), lost=("tags",))
    problem(classic.ask("PUT", LEAVE, json={"digest": digest}), 409, "contract_changed")
    assert classic.get("/v1/endpoints/ep_search")["stops"]["allowed"] is False


def test_an_obstacle_forbids_the_leave(classic: Site) -> None:
    classic.cloud.contract = Contract(obstacles=("the right sagemaker:CreateEndpoint is missing",))
    digest = classic.get(CARD)["digest"]
    told = problem(classic.ask("PUT", LEAVE, json={"digest": digest}), 409, "contract_obstacle")
    assert "sagemaker:CreateEndpoint" in told["detail"]


def test_what_another_tool_manages_needs_force(classic: Site) -> None:
    classic.cloud.contract = Contract(kept=("model",), foreign=("made by CloudFormation",))
    body = {"digest": classic.get(CARD)["digest"]}
    problem(classic.ask("PUT", LEAVE, json=body), 409, "managed_elsewhere")
    assert classic.ask("PUT", LEAVE, json={**body, "forced": True}).status_code == 200


def test_the_leave_can_be_taken_back(classic: Site) -> None:
    classic.ask("PUT", LEAVE, json={"digest": classic.get(CARD)["digest"]})
    answer = classic.ask("DELETE", LEAVE)
    assert answer.json()["stops"]["allowed"] is False
    problem(classic.ask("POST", PAUSE, json={}), 409, "recreate_not_allowed")


def test_where_the_cloud_keeps_a_paused_endpoint_no_leave_is_needed(lab: Site) -> None:
    digest = lab.get(CARD)["digest"]
    problem(lab.ask("PUT", LEAVE, json={"digest": digest}), 409, "no_contract_needed")
    assert lab.get("/v1/endpoints/ep_search")["stops"]["allowed"] is True


def test_what_cannot_go_to_zero_is_refused(classic: Site) -> None:
    told = problem(
        classic.ask("POST", "/v1/endpoints/ep_search/scale-to-zero", json={}), 409, "not_possible"
    )
    assert "no request could wake it" in told["detail"]


def test_a_cloud_that_does_not_answer_is_said_so(
    classic: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> Contract:
        raise UnavailableError("no answer")

    monkeypatch.setattr("tests.api.site.Driver.contract", down)
    problem(classic.ask("GET", CARD), 503, "provider_unavailable")


def test_an_endpoint_that_is_away_is_neither_changed_nor_released(classic: Site) -> None:
    with classic.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.status, row.kept, row.stop_sent_at = "paused", {"digest": "abc"}, classic.clock.now()
        session.add(row)
    problem(classic.ask("GET", CARD), 409, "paused_by_deletion")
    scaling = {"min_replicas": 1, "max_replicas": 2}
    problem(
        classic.ask("PATCH", "/v1/endpoints/ep_search", json={"scaling": scaling}),
        409,
        "paused_by_deletion",
    )
    problem(classic.ask("POST", "/v1/endpoints/ep_search/release"), 409, "paused_by_deletion")
    assert classic.get("/v1/endpoints/ep_search")["stops"]["away_since"] is not None
