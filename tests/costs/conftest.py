"""A store for the ledger, on both databases."""

from __future__ import annotations

import pytest
from sqlmodel import SQLModel

from orchestrator.store.database import Database
from tests.costs.fleet import A100, DOLLAR, L4, START, Fleet


@pytest.fixture
def fleet(empty_database: Database) -> Fleet:
    """Return an empty fleet, on SQLite and on Postgres in turn."""
    SQLModel.metadata.create_all(empty_database.engine)
    return Fleet(empty_database)


@pytest.fixture
def priced(fleet: Fleet) -> Fleet:
    """Return a fleet with one account that has read its price list."""
    fleet.account("acc")
    fleet.prices("acc", START, (L4, DOLLAR), (A100, 4 * DOLLAR))
    return fleet
