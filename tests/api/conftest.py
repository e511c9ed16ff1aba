"""The service under test over a fresh store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.site import L4, NOON, Site, endpoint, opened, rate
from tests.support import rows


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    """Return a service over SQLite."""
    yield from opened(sqlite_url, tmp_path)


@pytest.fixture
def lab(site: Site) -> Site:
    """Return a service with one account and a managed endpoint that runs at $0.80 an hour."""
    burn = 800_000_000
    site.seed(
        rows.account(health="ok", observed_at=NOON, confirmed_at=NOON),
        rate(),
        endpoint(),
        rows.interval(hardware_key=L4, rate_id="rat_l4", burn_low=burn, burn=burn, burn_high=burn),
    )
    return site
