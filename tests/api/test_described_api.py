"""Probes, and the API's own description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import ManualClock
from orchestrator.providers.base import Provider
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.tables import Account
from tests.api.site import NOON, Site, opened


def test_the_process_answers(site: Site) -> None:
    response = site.client.get("/healthz")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


def test_ready_with_database_and_schema(site: Site) -> None:
    response = site.client.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {
            "ready": True,
            "database": "ok",
            "schema_revision": "ok",
            "engine": "elsewhere",
            "clock": "ok",
        },
    )


@pytest.mark.parametrize(("works", "status", "engine"), [(True, 200, "ok"), (False, 503, "late")])
def test_ready_with_an_engine_that_works(site: Site, works: bool, status: int, engine: str) -> None:
    site.app.state.engine_ok = lambda: works
    response = site.client.get("/readyz")
    assert (response.status_code, response.json()["engine"]) == (status, engine)


def test_not_ready_before_the_schema_is_there(tmp_path: Path, site: Site) -> None:
    for empty in _empty(tmp_path):
        site.app.state.context = empty
        response = site.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["schema_revision"] == "differs"


def test_not_ready_without_a_database(tmp_path: Path, site: Site) -> None:
    for empty in _empty(tmp_path / "gone"):
        site.app.state.context = empty
        response = site.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"] == "unreachable"


def _empty(folder: Path) -> Iterator[Context]:
    database = Database(f"sqlite:///{folder}/none.db")
    yield Context(database, ManualClock(NOON), Settings(state_dir=folder), ProviderPool(_nothing))
    database.dispose()


def _nothing(account: Account) -> Provider:
    raise AssertionError(f"nobody asks for the cloud of {account.name}")


def operations_of(site: Site) -> dict[str, dict[str, Any]]:
    paths = site.client.get("/openapi.json").json()["paths"]
    return {
        operation["operationId"]: operation
        for methods in paths.values()
        for operation in methods.values()
    }


def test_the_description_is_whole(site: Site) -> None:
    document = site.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for name, operation in operations_of(site).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for status, response in operation["responses"].items():
            if int(status) >= 400 and name != "get_readiness":
                assert list(response["content"]) == ["application/problem+json"], (name, status)
    guarded = [op for name, op in operations_of(site).items() if not name.startswith("get_health")]
    assert all("security" in op for op in guarded if op["tags"] != ["health"])


def test_changes_describe_their_rehearsal_and_their_key(site: Site) -> None:
    for name, operation in operations_of(site).items():
        names = {item["name"] for item in operation.get("parameters", [])}
        if "dry_run" in names:
            assert "idempotency-key" in {one.lower() for one in names}, name
            text = str(operation["responses"]["200"]["content"])
            assert "Rehearsal" in text, name


def test_operation_ids_are_stable(site: Site) -> None:
    """These names are in other people's programs: add to them, and take none away."""
    assert set(operations_of(site)) >= {
        "acquire_lease",
        "adopt_endpoint",
        "adopt_endpoints",
        "cancel_operation",
        "change_account",
        "change_endpoint",
        "connect_account",
        "clear_endpoint_expiry",
        "create_endpoint",
        "create_expiry_policy",
        "create_hold",
        "create_policy",
        "create_schedule",
        "create_token",
        "delete_endpoint",
        "delete_policy",
        "delete_schedule",
        "end_hold",
        "explain_endpoint",
        "extend_endpoint",
        "freeze",
        "get_account",
        "get_costs",
        "get_endpoint",
        "get_endpoint_cost",
        "get_endpoint_timeline",
        "get_freeze",
        "get_me",
        "get_operation",
        "get_overview",
        "get_policy",
        "get_schedule",
        "list_accounts",
        "list_endpoint_events",
        "list_endpoints",
        "list_events",
        "list_hardware",
        "list_holds",
        "list_operations",
        "list_policies",
        "list_schedules",
        "list_tokens",
        "pause_endpoint",
        "preview_saved_schedule",
        "preview_schedule",
        "release_endpoint",
        "release_lease",
        "remove_account",
        "renew_lease",
        "replace_expiry_policy",
        "replace_policy",
        "replace_schedule",
        "resume_endpoint",
        "revoke_token",
        "scale_endpoint_to_zero",
        "set_endpoint_expiry",
        "unfreeze",
    }


def test_no_page_loads_scripts_from_elsewhere(site: Site) -> None:
    for path in ("/docs", "/redoc"):
        assert site.client.get(path).status_code == 404


@pytest.fixture
def bare(sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    yield from opened(sqlite_url, tmp_path, public_url="http://orchestrator.lan:8080")


def test_the_public_name_is_ours(bare: Site) -> None:
    headers = {"Host": "orchestrator.lan:8080"}
    assert bare.ask("GET", "/v1/me", headers=headers).status_code == 200
