"""A restore does not take a Postgres store from under a server."""

from __future__ import annotations

from orchestrator.store import backup
from orchestrator.store.database import Database


def test_a_server_without_an_engine_is_seen_by_its_connection(
    postgres_database: Database, postgres_url: str
) -> None:
    assert not backup.is_worked_on(postgres_database)
    server = Database(postgres_url, name="orchestrator:4711")
    server.ping()
    assert backup.is_worked_on(postgres_database)
    server.dispose()
