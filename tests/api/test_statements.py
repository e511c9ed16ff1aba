"""No list needs more statements for more rows: a page is read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.services.tokens import Scope
from orchestrator.store.tables import Binding, Hold, Label, Schedule
from tests.api.site import NOON, Site, endpoint, rate
from tests.support import rows

FEW, MANY = 2, 12


@contextmanager
def counted(site: Site) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(site.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(site.database.engine, "before_cursor_execute", note)


def fill(site: Site, first: int, last: int) -> None:
    """Add endpoints with all that hangs on them, each in an account of its own."""
    for number in range(first, last):
        account, ref = f"acc_a{number}", f"ep_e{number}"
        site.seed(
            rows.account(f"a{number}", health="ok", confirmed_at=NOON, observed_at=NOON),
            rate(id=f"rat_{number}", account_id=account),
            endpoint(f"e{number}", account_id=account),
            Label(endpoint_id=ref, key="team", value=f"t{number}"),
            rows.interval(endpoint_id=ref, account_id=account, started_at=NOON - timedelta(days=1)),
            rows.operation(number, endpoint_id=ref, account_id=account, endpoint_name=f"e{number}"),
            Hold(
                id=f"hld_{number}",
                endpoint_id=ref,
                wish="running",
                starts_at=NOON,
                until=NOON + timedelta(hours=1),
                actor="ada",
                reason="demo",
            ),
            schedule(number),
            Binding(
                rule_id=f"sch_{number}", endpoint_id=ref, rule_kind="schedule", matched_at=NOON
            ),
        )
        site.token(f"t{number}", Scope.READ)


def schedule(number: int) -> Schedule:
    return Schedule(
        id=f"sch_{number}",
        name=f"s{number}",
        timezone="UTC",
        selector={"labels": {"team": f"t{number}"}},
        effective_from=NOON,
        created_at=NOON,
        updated_at=NOON,
        created_by="ada",
    )


def lists(site: Site) -> dict[str, str]:
    """Return the address of every route of the document that answers with many rows."""
    found = {}
    paths = site.get("/openapi.json")["paths"]
    for path, operations in paths.items():
        read = operations.get("get", {})
        if "200" not in read.get("responses", {}):
            continue
        schema = read["responses"]["200"].get("content", {}).get("application/json", {})
        name = schema.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name.startswith("Listing_") or path in ("/v1/overview", "/v1/costs", "/v1/freeze"):
            found[path] = path.replace("{id}", "ep_e0")
    return found


def test_no_list_takes_more_statements_for_more_rows(site: Site) -> None:
    fill(site, 0, FEW)
    few = {path: statements(site, address) for path, address in lists(site).items()}
    assert len(few) >= 10, few
    fill(site, FEW, MANY)
    many = {path: statements(site, address) for path, address in lists(site).items()}
    assert many == few


def statements(site: Site, address: str) -> int:
    site.get(address)  # what is read once in a process does not count
    with counted(site) as seen:
        site.get(address)
    return len(seen)


@pytest.mark.parametrize("query", ["label=team%3Dt1", "status=running", "account=a1", "name=e1"])
def test_no_filter_takes_more_statements_for_more_rows(site: Site, query: str) -> None:
    fill(site, 0, FEW)
    address = f"/v1/endpoints?{query}"
    few = statements(site, address)
    fill(site, FEW, MANY)
    assert statements(site, address) == few
