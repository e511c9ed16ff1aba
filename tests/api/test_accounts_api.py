"""Connecting accounts: asked first, stored then, and never with a secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.providers.base import (
    CredentialsError,
    Identity,
    ProviderError,
    RefusedError,
    UnavailableError,
)
from orchestrator.store.tables import Account
from tests.api.site import NOON, Site, problem
from tests.support import rows

NUMBER = "123456789012"
PROD = {"name": "prod", "provider": "sagemaker", "credential_ref": "aws-default"}
LAB = {"name": "lab", "namespace": "lab", "credential_ref": "env:LAB_TOKEN"}


def test_connecting_asks_who_the_credentials_are(site: Site) -> None:
    response = site.post("/v1/accounts", LAB)
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == f"/v1/accounts/{made['id']}"
    assert (made["provider"], made["health"], made["frozen"]) == ("huggingface", "new", None)
    assert made["credential_ref"] == "env:LAB_TOKEN"
    assert site.cloud.asked == ["env:LAB_TOKEN"]
    assert site.events("account.connected")[0].actor == "admin"
    assert site.nudges == ["nudged"]


def test_an_account_is_found_by_id_and_by_name(site: Site) -> None:
    made = site.post("/v1/accounts", LAB).json()
    assert site.get(f"/v1/accounts/{made['id']}") == made
    assert site.get("/v1/accounts/lab") == made
    body = problem(site.ask("GET", "/v1/accounts/nowhere"), 404, "not_found")
    assert "GET /v1/accounts" in body["remedy"]


@pytest.mark.parametrize(
    ("answer", "status", "code", "field"),
    [
        (CredentialsError("the token is invalid"), 422, "credentials_refused", "credential_ref"),
        (UnavailableError("no route"), 503, "provider_unavailable", None),
        (RefusedError("odd"), 503, "provider_refused", None),
        (Identity("bob", "user", ("bob",)), 422, "invalid", "namespace"),
    ],
)
def test_nothing_is_stored_when_the_cloud_objects(
    site: Site, answer: Identity | ProviderError, status: int, code: str, field: str | None
) -> None:
    site.cloud.answer = answer
    body = problem(site.post("/v1/accounts", LAB), status, code)
    assert body.get("field") == field
    assert body["remedy"]
    assert site.get("/v1/accounts")["items"] == []


def test_the_check_can_be_left_out(site: Site) -> None:
    site.cloud.answer = UnavailableError("no route")
    assert site.post("/v1/accounts?verify=false", LAB).status_code == 201
    assert site.cloud.asked == []


def test_a_repeated_connect_asks_the_cloud_once(site: Site) -> None:
    key = {"Idempotency-Key": "k"}
    first = site.post("/v1/accounts", LAB, headers=key)
    site.cloud.answer = UnavailableError("gone meanwhile")
    assert site.post("/v1/accounts", LAB, headers=key).json() == first.json()


def test_a_dry_run_checks_and_stores_nothing(site: Site) -> None:
    body = site.post("/v1/accounts?dry_run=true", LAB).json()
    assert body["would"]["name"] == "lab"
    assert site.cloud.asked == ["env:LAB_TOKEN"]
    assert site.get("/v1/accounts")["items"] == []


def test_a_place_is_connected_once(site: Site) -> None:
    site.post("/v1/accounts", LAB)
    other = {**LAB, "name": "lab2"}
    assert "twice" in problem(site.post("/v1/accounts", other), 409, "already_connected")["remedy"]
    same = {**LAB, "namespace": "acme"}
    assert problem(site.post("/v1/accounts", same), 409, "name_taken")["field"] == "name"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "azure"),
        ("name", "a/b"),
        ("namespace", ""),
        ("credential_ref", "env:"),
        ("credential_ref", "env:A B"),
        ("credential_ref", "file:relative"),
        ("options", {"a": 1}),
    ],
)
def test_wrong_fields_are_named(site: Site, field: str, value: Any) -> None:
    body = problem(site.post("/v1/accounts", {**LAB, field: value}), 422, "invalid")
    assert body["field"].split(".")[0] == field


def test_a_change_of_credentials_is_checked_with_the_new_ones(site: Site) -> None:
    site.post("/v1/accounts", LAB)
    changed = site.ask("PATCH", "/v1/accounts/lab", json={"credential_ref": "file:/run/token"})
    assert changed.json()["credential_ref"] == "file:/run/token"
    assert site.cloud.asked[-1] == "file:/run/token"
    site.cloud.answer = CredentialsError("expired")
    body = {"credential_ref": "env:OLD"}
    problem(site.ask("PATCH", "/v1/accounts/lab", json=body), 422, "credentials_refused")
    assert site.get("/v1/accounts/lab")["credential_ref"] == "file:/run/token"


def test_a_check_does_not_touch_the_driver_in_use(site: Site) -> None:
    made = site.post("/v1/accounts", LAB).json()
    with site.database.read() as session:
        account = session.get_one(Account, made["id"])
    used = site.context.provider_for(account)
    site.cloud.closed.clear()
    site.ask("PATCH", "/v1/accounts/lab", json={"credential_ref": "env:NEW"})
    assert made["id"] not in site.cloud.closed
    assert site.context.provider_for(account) is used


def test_renaming_asks_nobody(site: Site) -> None:
    site.post("/v1/accounts", LAB)
    site.post("/v1/accounts", {"name": "b", "namespace": "acme", "credential_ref": "hf-cli"})
    site.cloud.answer = UnavailableError("no route")
    problem(site.ask("PATCH", "/v1/accounts/lab", json={"name": "b"}), 409, "name_taken")
    assert site.ask("PATCH", "/v1/accounts/lab", json={"name": "c"}).json()["name"] == "c"


def test_a_removed_account_is_gone_and_its_name_free(lab: Site) -> None:
    assert lab.ask("DELETE", "/v1/accounts/lab").status_code == 204
    problem(lab.ask("GET", "/v1/accounts/lab"), 404, "not_found")
    problem(lab.ask("GET", "/v1/accounts/acc_lab"), 404, "not_found")
    assert lab.get("/v1/endpoints")["items"] == []
    assert lab.post("/v1/accounts", LAB).status_code == 201
    assert "left as they are" in lab.events("account.removed")[0].message


def test_an_account_is_not_removed_under_an_operation(lab: Site) -> None:
    lab.post("/v1/endpoints/ep_search/pause")
    body = problem(lab.ask("DELETE", "/v1/accounts/lab"), 409, "operation_in_progress")
    assert "/v1/operations?account=lab" in body["remedy"]
    assert lab.get("/v1/accounts/lab")["name"] == "lab"


def test_accounts_are_paged_by_name(site: Site) -> None:
    site.seed(*(rows.account(name) for name in ("c", "a", "e", "b", "d")))
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    for _ in range(3):
        page = site.get("/v1/accounts", **params)
        seen += [item["name"] for item in page["items"]]
        params["cursor"] = page["next_cursor"]
    assert params["cursor"] is None
    assert seen == ["a", "b", "c", "d", "e"]


def test_an_account_tells_how_it_fares(site: Site) -> None:
    site.seed(
        rows.account(
            health="unreachable",
            health_detail="timed out",
            health_since=NOON - timedelta(minutes=5),
            observed_at=NOON - timedelta(minutes=6),
            endpoint_count=3,
            frozen_at=NOON,
            frozen_by="ada",
            frozen_reason="audit",
        )
    )
    found = site.get("/v1/accounts/lab")
    assert (found["health"], found["health_detail"]) == ("unreachable", "timed out")
    assert found["observed_at"] == "2026-03-02T11:54:00Z"
    assert found["endpoint_count"] == 3
    assert found["frozen"] == {"at": "2026-03-02T12:00:00Z", "by": "ada", "reason": "audit"}


def test_an_account_tells_what_looking_and_counting_take(site: Site) -> None:
    watch = {"endpoints": 3, "every_seconds": 300, "month_nano": 788_400_000, "cap_nano": 5 * 10**9}
    site.seed(
        rows.account(
            call_counts={"ListTags": 2, "DescribeEndpoint": 9}, calls_since=NOON, usage_watch=watch
        )
    )
    found = site.get("/v1/accounts/lab")
    assert found["calls"] == {"DescribeEndpoint": 9, "ListTags": 2}
    assert found["calls_since"] == "2026-03-02T12:00:00Z"
    assert (found["usage"]["endpoints"], found["usage"]["every_seconds"]) == (3, 300)
    assert found["usage"]["price_per_month"]["amount"] == "0.788400000"
    assert found["usage"]["cap_per_month"]["amount"] == "5.000000000"


class TestRegions:
    @pytest.fixture
    def aws(self, site: Site) -> Site:
        regions = ("eu-west-1", "us-east-1")
        site.cloud.answer = Identity("ops", "role", (NUMBER,), regions=regions)
        return site

    def test_every_region_becomes_an_account_of_its_own(self, aws: Site) -> None:
        made = aws.post("/v1/accounts/regions", PROD)
        assert made.status_code == 201
        found = {item["name"]: item for item in made.json()["items"]}
        assert set(found) == {"prod-eu-west-1", "prod-us-east-1"}
        assert {item["namespace"] for item in found.values()} == {NUMBER}
        assert found["prod-eu-west-1"]["region"] == "eu-west-1"
        assert aws.cloud.asked == ["aws-default"]

    def test_a_region_that_is_connected_already_is_left_alone(self, aws: Site) -> None:
        one = {**PROD, "name": "mine", "region": "us-east-1"}
        assert aws.post("/v1/accounts", one).json()["namespace"] == NUMBER
        (made,) = aws.post("/v1/accounts/regions", PROD).json()["items"]
        assert made["region"] == "eu-west-1"
        again = aws.post("/v1/accounts/regions", PROD)
        problem(again, 409, "already_connected")
        assert len(aws.get("/v1/accounts")["items"]) == 2

    def test_two_regions_of_one_account_are_two_places(self, aws: Site) -> None:
        for region in ("eu-west-1", "us-east-1"):
            body = {**PROD, "name": region, "region": region}
            assert aws.post("/v1/accounts", body).status_code == 201
        same = {**PROD, "name": "again", "region": "us-east-1"}
        found = problem(aws.post("/v1/accounts", same), 409, "already_connected")
        assert f"{NUMBER} in us-east-1" in found["detail"]

    def test_a_cloud_without_regions_has_none_to_connect(self, site: Site) -> None:
        assert problem(site.post("/v1/accounts/regions", LAB), 422, "invalid")["field"] == "region"

    def test_refused_credentials_connect_nothing(self, aws: Site) -> None:
        aws.cloud.answer = CredentialsError("expired")
        problem(aws.post("/v1/accounts/regions", PROD), 422, "credentials_refused")
        assert aws.get("/v1/accounts")["items"] == []

    def test_references_of_another_cloud_are_refused_unread(self, aws: Site) -> None:
        wrong = {**PROD, "credential_ref": "hf-cli"}
        found = problem(aws.post("/v1/accounts", wrong), 422, "invalid")
        assert found["field"] == "credential_ref"
        assert "aws-profile:NAME" in found["remedy"]
        assert aws.cloud.asked == []
