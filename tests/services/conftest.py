"""A fresh store with one account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import Session

from orchestrator.store.database import Database
from tests.support import rows


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Database]:
    """Return a SQLite store with the account `lab`."""
    database = Database(sqlite_url)
    with database.write() as session:
        session.add(rows.account())
    yield database
    database.dispose()


@pytest.fixture
def session(store: Database) -> Iterator[Session]:
    """Return one transaction over the store, rolled back at the end."""
    with store.write() as open_session:
        yield open_session
        open_session.rollback()
