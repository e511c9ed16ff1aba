"""What is billed beside replicas, in answers: apart, in every sum, and never in a row too many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.status import Wish
from orchestrator.services.hold_rows import cost as hold_cost
from orchestrator.store.tables import Account, Endpoint
from tests.api.site import NOON, Site, endpoint, rate
from tests.support import rows

HOUR = timedelta(hours=1)
DOLLAR = 10**9
KEY = "sagemaker/us-east-1/ebs-gp2/gb"


def burn(nano: int | None) -> dict[str, int | None]:
    return {"burn_low": nano, "burn": nano, "burn_high": nano}


def disk(name: str, nano: int | None, **more: Any) -> Any:
    """Return an interval of 500 gigabytes."""
    size = {"units": 500, "replicas_low": 500, "replicas": 500, "replicas_high": 500}
    given = {"component": "disk", "hardware_key": KEY, **size, **burn(nano)}
    return rows.interval(endpoint_id=f"ep_{name}", started_at=NOON - HOUR, **given, **more)


def compute(name: str, nano: int, **more: Any) -> Any:
    """Return an interval of one replica."""
    return rows.interval(
        endpoint_id=f"ep_{name}", started_at=NOON - HOUR, rate_id="rat_l4", **burn(nano), **more
    )


@pytest.fixture
def beside(lab: Site) -> Site:
    """Return three endpoints at $2, one with a disk of $0.10, one with an unpriced disk."""
    lab.seed(
        endpoint("both"),
        endpoint("odd"),
        endpoint("bare"),
        compute("both", 2 * DOLLAR),
        compute("odd", 2 * DOLLAR),
        compute("bare", 2 * DOLLAR),
        disk("both", DOLLAR // 10),
        disk("odd", None),
    )
    with lab.database.write() as session:
        account = session.get_one(Account, "acc_lab")
        account.confirmed_at = NOON
        session.add(account)
    return lab


def test_an_endpoint_costs_now_what_its_components_do(beside: Site) -> None:
    found = beside.get("/v1/endpoints/ep_both")
    assert found["burn_per_hour"]["amount"] == "2.100000000"
    assert [
        (one["component"], one["units"], one["burn_per_hour"]["amount"])
        for one in found["components"]
    ] == [("compute", 1, "2.000000000"), ("disk", 500, "0.100000000")]


def test_a_disk_without_a_price_hides_nothing(beside: Site) -> None:
    found = beside.get("/v1/endpoints/ep_odd")
    assert found["burn_per_hour"]["amount"] == "2.000000000"
    assert found["components"][1]["burn_per_hour"] is None
    month = found["month_to_date"]
    assert (month["amount"], month["unpriced_seconds"]) == ("2.000000000", 3600)


def test_pages_in_the_order_of_cost_hold_each_endpoint_once(beside: Site) -> None:
    params: dict[str, Any] = {"sort": "-burn", "limit": 1}
    seen: list[str] = []
    for _ in range(4):
        page = beside.get("/v1/endpoints", **params)
        seen += [item["name"] for item in page["items"]]
        params["cursor"] = page["next_cursor"]
    assert params["cursor"] is None
    assert seen == ["both", "bare", "odd", "search"]


def test_the_cost_of_an_endpoint_is_told_by_component(beside: Site) -> None:
    found = beside.get("/v1/endpoints/ep_both/cost")
    assert found["total"]["amount"] == "2.100000000"
    parts = [(one["key"], one["money"]["amount"], one["hours"]) for one in found["components"]]
    assert parts == [("compute", "2.000000000", 1.0), ("disk", "0.100000000", 1.0)]
    assert [(item["key"], item["hours"]) for item in found["items"]] == [("ep_both", 1.0)]


def test_costs_by_component(beside: Site) -> None:
    found = beside.get("/v1/costs?group_by=component")
    items = [(item["key"], item["money"]["amount"]) for item in found["items"]]
    assert items == [("compute", "6.000000000"), ("disk", "0.100000000")]
    assert found["total"]["amount"] == "6.100000000"
    assert [(one["name"], one["component"], one["hardware_key"]) for one in found["unpriced"]] == [
        ("odd", "disk", KEY)
    ]


def test_a_timeline_tells_components_apart(beside: Site) -> None:
    found = beside.get("/v1/endpoints/ep_both/timeline")["intervals"]
    assert [(one["component"], one["units"], one["replicas"]) for one in found] == [
        ("compute", 1, 1),
        ("disk", 500, 500),
    ]


@pytest.mark.parametrize(
    ("key", "amount", "unpriced"),
    [("priced", "657.450000000", []), (KEY, "584.400000000", ["disk"])],
)
def test_a_preview_counts_the_disk(lab: Site, key: str, amount: str, unpriced: list[str]) -> None:
    """730.5 hours at $0.80, and with 100 gigabytes at $0.001 each where that price is known."""
    lab.seed(rate(id="rat_gb", hardware_key="priced", nano_per_hour=DOLLAR // 1000))
    with lab.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.extras = [{"component": "disk", "key": key, "units": 100}]
        session.add(row)
    body = {
        "timezone": "UTC",
        "windows": ["mon-sun 00:00-24:00"],
        "selector": {"endpoint": "ep_search"},
    }
    response = lab.post("/v1/schedules/preview", body)
    (effect,) = response.json()["endpoints"]
    assert (effect["cost_month_always_on"]["amount"], effect["unpriced"]) == (amount, unpriced)


@pytest.mark.parametrize(("key", "cost"), [("priced", 9 * DOLLAR // 10), (KEY, None)])
def test_a_hold_costs_what_its_replica_and_disk_do(lab: Site, key: str, cost: int | None) -> None:
    """Where one of the two has no price, what it will cost is not known."""
    lab.seed(rate(id="rat_gb", hardware_key="priced", nano_per_hour=DOLLAR // 1000))
    with lab.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        row.extras = [{"component": "disk", "key": key, "units": 100}]
        assert hold_cost(session, row, Wish.RUNNING, NOON, NOON + HOUR) == cost
        row.hardware_key = "nobody/knows/this/x1"
        assert hold_cost(session, row, Wish.RUNNING, NOON, NOON + HOUR) is None
