"""Creating and changing endpoints: checks, prices, and secret values that go nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from orchestrator.services.context import Secrets
from orchestrator.store.tables import Endpoint, Offer, Operation
from tests.api.site import L4, NOON, Site, problem

HARDWARE = {
    "vendor": "aws",
    "region": "us-east-1",
    "instance_type": "nvidia-l4",
    "instance_size": "x1",
    "accelerator": "gpu",
}
FRESH: dict[str, Any] = {
    "account": "lab",
    "name": "fresh",
    "repository": "acme/model",
    "hardware": HARDWARE,
    "scaling": {"min_replicas": 1, "max_replicas": 3},
}
SECRET = "correct-horse-battery"
SEARCH = "/v1/endpoints/ep_search"


@pytest.fixture
def shop(lab: Site) -> Site:
    """Return the service with a price list."""
    lab.seed(
        offer(L4, 800_000_000, quota_max=4, quota_used=2),
        offer("aws/us-east-1/nvidia-l4/x4", 3_800_000_000, accelerators=4),
        offer("aws/us-east-1/nvidia-t4/x1", None, status="low_availability"),
    )
    return lab


def offer(key: str, nano: int | None, **values: Any) -> Offer:
    given: dict[str, Any] = {
        "account_id": "acc_lab",
        "accelerators": 1,
        "status": "available",
        "read_at": NOON,
    }
    return Offer(hardware_key=key, nano_per_hour=nano, **{**given, **values})


def stored(site: Site, ref: str) -> Operation:
    with site.database.read() as session:
        return session.get_one(Operation, ref)


def test_creating_answers_with_an_operation_and_its_price(shop: Site) -> None:
    body = {**FRESH, "labels": {"team": "search"}, "owner": "ada", "reason": "launch"}
    response = shop.post("/v1/endpoints", body)
    assert response.status_code == 202
    made = response.json()
    assert response.headers["location"] == f"/v1/operations/{made['id']}"
    assert made["endpoint"] == {"id": None, "name": "fresh"}
    assert (made["kind"], made["reason"]) == ("create", "launch")
    assert made["price_per_replica_hour"]["amount"] == "0.800000000"
    assert made["price_per_hour"]["amount"] == "0.800000000"
    assert made["price_per_hour_most"]["amount"] == "2.400000000"
    assert made["price_per_month"]["amount"] == "584.000000000"
    assert made["price_per_month_most"]["amount"] == "1752.000000000"
    assert made["payload"]["repository"] == "acme/model"
    request = stored(shop, made["id"]).request
    assert (request["labels"], request["owner"]) == ({"team": "search"}, "ada")
    assert shop.events("operation.requested")[0].actor == "admin"


def test_a_dry_run_shows_the_price_and_makes_nothing(shop: Site) -> None:
    would = shop.post("/v1/endpoints?dry_run=true", FRESH).json()["would"]
    assert would["price_per_month"]["amount"] == "584.000000000"
    assert shop.get("/v1/operations")["items"] == []


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({}, "The quota has 2 accelerators left"),
        ({"hardware": {**HARDWARE, "instance_type": "nvidia-t4"}}, "low_availability"),
        ({"hardware": {**HARDWARE, "instance_type": "nvidia-t4"}}, "price is not known"),
    ],
)
def test_doubts_are_warnings(shop: Site, change: dict[str, Any], warning: str) -> None:
    made = shop.post("/v1/endpoints", {**FRESH, **change}).json()
    assert any(warning in text for text in made["warnings"])


def test_an_unknown_price_is_null(shop: Site) -> None:
    body = {**FRESH, "hardware": {**HARDWARE, "instance_type": "nvidia-t4"}}
    made = shop.post("/v1/endpoints", body).json()
    assert made["price_per_hour"] is None
    assert made["price_per_month_most"] is None


def test_without_a_price_list_the_hardware_is_unchecked(lab: Site) -> None:
    made = lab.post("/v1/endpoints", FRESH).json()
    assert "has not been read yet" in made["warnings"][0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Fresh"}, "name"),
        ({"name": "a" * 33}, "name"),
        ({"name": "-a"}, "name"),
        ({"repository": "a b"}, "repository"),
        ({"scaling": {"min_replicas": 3, "max_replicas": 1}}, "scaling.min_replicas"),
        ({"scaling": {"min_replicas": -1, "max_replicas": 1}}, "scaling.min_replicas"),
        (
            {"scaling": {"min_replicas": 1, "max_replicas": 1, "scale_to_zero_minutes": 15}},
            "scaling.scale_to_zero_minutes",
        ),
        ({"hardware": {**HARDWARE, "instance_size": "x3"}}, "hardware"),
        ({"access": "protected"}, "access"),
        ({"image": {}}, "image"),
        ({"image": {"custom": {"url": "x", "credentials": {"password": SECRET}}}}, "image"),
        ({"labels": {"cloud:team": "x"}}, "labels"),
        ({"environment": {"1A": "x"}}, "environment"),
    ],
)
def test_what_the_cloud_would_refuse_is_refused_here(
    shop: Site, change: dict[str, Any], field: str
) -> None:
    response = shop.post("/v1/endpoints", {**FRESH, **change})
    body = problem(response, 422, "invalid")
    assert body["field"].startswith(field)
    assert body["remedy"]
    assert SECRET not in response.text


def test_near_hardware_is_named(shop: Site) -> None:
    body = {**FRESH, "hardware": {**HARDWARE, "instance_size": "x2"}}
    assert "nvidia-l4/x" in problem(shop.post("/v1/endpoints", body), 422, "invalid")["remedy"]


def test_a_name_is_taken_by_an_endpoint_or_a_create_under_way(shop: Site) -> None:
    problem(shop.post("/v1/endpoints", {**FRESH, "name": "search"}), 409, "name_taken")
    shop.post("/v1/endpoints", FRESH)
    problem(shop.post("/v1/endpoints", FRESH), 409, "operation_in_progress")


def test_a_freeze_stops_creating(shop: Site) -> None:
    shop.ask("PUT", "/v1/freeze", json={"reason": "x"})
    problem(shop.post("/v1/endpoints", FRESH), 409, "frozen")


def test_an_unknown_account(shop: Site) -> None:
    problem(shop.post("/v1/endpoints", {**FRESH, "account": "nowhere"}), 404, "not_found")


@pytest.mark.parametrize("name", ["environment", "secrets"])
def test_secret_values_are_kept_in_memory_alone(shop: Site, name: str) -> None:
    body = {**FRESH, name: {"API_KEY": SECRET}}
    with capture_logs() as logs:
        response = shop.post("/v1/endpoints", body, headers={"Idempotency-Key": "k1"})
    made = response.json()
    assert SECRET not in response.text
    assert SECRET not in shop.dump()
    assert SECRET not in json.dumps(logs, default=str)
    assert made["payload"][name] == {"references": {}, "values": ["API_KEY"]}
    assert shop.context.vault.look(made["id"]) == Secrets(**{name: {"API_KEY": SECRET}})


def test_a_plain_environment_value_is_stored(shop: Site) -> None:
    made = shop.post("/v1/endpoints", {**FRESH, "environment": {"MODE": "fast"}}).json()
    assert stored(shop, made["id"]).request["spec"]["environment"]["plain"] == {"MODE": "fast"}
    assert shop.context.vault.look(made["id"]) is None


@pytest.mark.parametrize("name", ["environment", "secrets"])
@pytest.mark.parametrize("update", [False, True])
def test_without_an_engine_here_secret_values_are_refused(
    shop: Site, name: str, update: bool
) -> None:
    shop.context.engine_here = lambda _: False
    where = ("PATCH", SEARCH) if update else ("POST", "/v1/endpoints")
    body: dict[str, Any] = {} if update else FRESH
    response = shop.ask(*where, json={**body, name: {"API_KEY": SECRET}})
    found = problem(response, 409, "engine_elsewhere")
    assert found["field"] == f"{name}.API_KEY"
    assert "env:NAME or file:/path" in found["remedy"]
    assert SECRET not in response.text
    assert shop.get("/v1/operations")["items"] == []


@pytest.mark.parametrize("update", [False, True])
def test_without_an_engine_here_plain_values_and_references_pass(shop: Site, update: bool) -> None:
    shop.context.engine_here = lambda _: False
    where = ("PATCH", SEARCH) if update else ("POST", "/v1/endpoints")
    body: dict[str, Any] = {} if update else FRESH
    given = {"environment": {"MODE": "fast"}, "secrets": {"API_KEY": "env:SEARCH_KEY"}}
    assert shop.ask(*where, json={**body, **given}).status_code == 202


def test_a_repetition_with_another_secret_is_another_request(shop: Site) -> None:
    key = {"Idempotency-Key": "k1"}
    first = shop.post("/v1/endpoints", {**FRESH, "secrets": {"A": SECRET}}, headers=key)
    again = shop.post("/v1/endpoints", {**FRESH, "secrets": {"A": SECRET}}, headers=key)
    assert again.json() == first.json()
    other = shop.post("/v1/endpoints", {**FRESH, "secrets": {"A": "x"}}, headers=key)
    problem(other, 422, "idempotency_conflict")


def test_a_dry_run_leaves_nothing_in_memory(shop: Site) -> None:
    body = {**FRESH, "secrets": {"A": SECRET}}
    would = shop.post("/v1/endpoints?dry_run=true", body).json()["would"]
    assert shop.context.vault.look(would["id"]) is None


def test_a_cancelled_create_forgets_its_secrets(shop: Site) -> None:
    made = shop.post("/v1/endpoints", {**FRESH, "secrets": {"A": SECRET}}).json()
    assert shop.post(f"/v1/operations/{made['id']}/cancel").json()["status"] == "cancelled"
    assert shop.context.vault.look(made["id"]) is None


def test_a_reference_is_stored_and_needs_an_admin(shop: Site) -> None:
    body = {**FRESH, "secrets": {"API_KEY": "env:SEARCH_KEY"}}
    refused = shop.post("/v1/endpoints", body, scope="operate")
    assert problem(refused, 403, "reference_not_allowed")["field"] == "API_KEY"
    made = shop.post("/v1/endpoints", body).json()
    assert made["payload"]["secrets"] == {
        "references": {"API_KEY": "env:SEARCH_KEY"},
        "values": [],
    }
    assert shop.context.vault.look(made["id"]) is None


def test_what_is_ours_changes_at_once(shop: Site) -> None:
    body = {"labels": {"team": "search"}, "owner": "ada", "protected": True}
    response = shop.ask("PATCH", SEARCH, json=body)
    assert response.status_code == 200
    found = response.json()
    assert (found["labels"], found["owner"], found["protected"]) == (
        {"team": "search"},
        "ada",
        True,
    )
    assert shop.ask("PATCH", SEARCH, json={"labels": {}}).json()["labels"] == {}
    assert shop.get("/v1/operations")["items"] == []
    assert "labels, owner, protected" in shop.events("endpoint.changed")[0].message


def test_an_observed_endpoint_may_be_labelled(shop: Site) -> None:
    with shop.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.managed = False
        session.add(row)
    found = shop.ask("PATCH", SEARCH, json={"labels": {"team": "x"}})
    assert found.json()["labels"] == {"team": "x"}
    scaling = {"scaling": {"min_replicas": 1, "max_replicas": 2}}
    problem(shop.ask("PATCH", SEARCH, json=scaling), 409, "not_managed")


def test_the_clouds_part_is_an_operation(shop: Site) -> None:
    body = {
        "owner": "ada",
        "scaling": {"min_replicas": 0, "max_replicas": 2, "scale_to_zero_minutes": 15},
        "secrets": {"A": SECRET},
    }
    response = shop.ask("PATCH", SEARCH, json=body)
    assert response.status_code == 202
    made = response.json()
    assert (made["kind"], made["endpoint"]["id"]) == ("update", "ep_search")
    assert made["price_per_hour"]["amount"] == "0.000000000"
    assert made["price_per_hour_most"]["amount"] == "1.600000000"
    assert made["payload"]["scaling"]["scale_to_zero_minutes"] == 15
    assert "repository" not in made["payload"]
    assert SECRET not in shop.dump()
    assert shop.get(SEARCH)["owner"] == "ada"


def test_a_refused_change_of_the_clouds_part_leaves_ours_too(shop: Site) -> None:
    shop.post(f"{SEARCH}/pause")
    body = {"owner": "bob", "revision": "main"}
    problem(shop.ask("PATCH", SEARCH, json=body), 409, "operation_in_progress")
    assert shop.get(SEARCH)["owner"] == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"hardware": {**HARDWARE, "region": "eu-west-1"}}, "hardware"),
        ({"hardware": {**HARDWARE, "instance_size": "x9"}}, "hardware"),
        ({"scaling": {"min_replicas": 2, "max_replicas": 1}}, "scaling.min_replicas"),
        ({"image": {"custom": {"credentials": {}}}}, "image"),
    ],
)
def test_an_update_is_checked(shop: Site, body: dict[str, Any], field: str) -> None:
    found = problem(shop.ask("PATCH", SEARCH, json=body), 422, "invalid")
    assert found["field"] == field


def test_moving_to_other_hardware_is_priced(shop: Site) -> None:
    body = {"hardware": {**HARDWARE, "instance_size": "x4"}}
    made = shop.ask("PATCH", SEARCH, json=body).json()
    assert made["price_per_replica_hour"]["amount"] == "3.800000000"


def test_an_empty_change_changes_nothing(shop: Site) -> None:
    assert shop.ask("PATCH", SEARCH, json={}).status_code == 200
    assert shop.events("endpoint.changed") == []
