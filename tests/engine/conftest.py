"""A stage per test."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.store.database import Database
from tests.support.stage import BRISK, Stage, open_stage


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    """Return a stage over SQLite with nothing in the cloud yet."""
    return open_stage(sqlite_database, cadence=BRISK)


@pytest.fixture
def calm(sqlite_database: Database) -> Stage:
    """Return a stage that is looked at every fifteen minutes, for tests over days."""
    return open_stage(
        sqlite_database, cadence=Cadence(rest=timedelta(minutes=15), rates=timedelta(days=1))
    )
