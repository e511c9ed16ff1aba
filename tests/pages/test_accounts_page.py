"""The page of accounts for a cloud with regions, whose calls and counts are limited or paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.store.tables import Offer
from tests.pages.fleet_seed import HOUR, Seed
from tests.pages.visit import NOW, Dashboard

INF2 = "sagemaker/us-east-1/ml.inf2.xlarge/x1"
SOURCE = "a copy of the offer file, as of 2026-09-27"
WATCH = {"endpoints": 12, "every_seconds": 300, "month_nano": 3_150_000_000, "cap_nano": 5 * 10**9}
CALLS = {"sagemaker:DescribeEndpoint": 900, "sagemaker:ListEndpoints": 300}


def seed(dashboard: Dashboard, *, source: str = SOURCE, **changes: Any) -> None:
    values: dict[str, Any] = {
        "provider": "sagemaker",
        "namespace": "123456789012",
        "region": "us-east-1",
        "credential_ref": "aws-default",
        "call_counts": CALLS,
        "calls_since": NOW - 10 * HOUR,
        "usage_watch": WATCH,
    }
    with dashboard.database.write() as session:
        rows = Seed(session, NOW)
        account = rows.account("prod", **{**values, **changes})
        rows.endpoint(account, "chat", hardware=INF2)
        session.add(
            Offer(
                account_id=account.id,
                hardware_key=INF2,
                nano_per_hour=990_000_000,
                source=source,
                read_at=NOW,
            )
        )
    dashboard.sign_in()
    dashboard.go("/accounts")


def card(dashboard: Dashboard) -> str:
    return dashboard.text("#accounts li:has(h2:text-is('prod'))")


def test_region_calls_counting_and_price_source_are_shown(dashboard: Dashboard) -> None:
    seed(dashboard)
    text = card(dashboard)
    for part in (
        "us-east-1",
        "about 120 an hour",
        "requests of 12 endpoints every 5 min, $3.15 a month",
        "at most $5.00",
        SOURCE,
    ):
        assert part in text


def test_what_is_not_known_or_free_takes_no_line(dashboard: Dashboard) -> None:
    seed(dashboard, region="", source="", call_counts={}, calls_since=None, usage_watch={})
    text = card(dashboard)
    for name in ("Region", "Calls", "Counting", "Prices"):
        assert name not in text


def test_the_first_hour_tells_no_rate_of_calls(dashboard: Dashboard) -> None:
    seed(dashboard, calls_since=NOW - timedelta(minutes=5))
    assert "1,200 so far" in card(dashboard)
    assert "an hour" not in card(dashboard)


@pytest.mark.parametrize("width", [320, 390])
def test_long_sources_do_not_widen_a_phone(dashboard: Dashboard, width: int) -> None:
    dashboard.page.set_viewport_size({"width": width, "height": 844})
    seed(dashboard, source="s" * 200, region="r" * 40)
    assert dashboard.overflow() <= 0
