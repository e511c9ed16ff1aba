"""Which addresses workers may hold their locks over."""

from __future__ import annotations

import re

from sqlalchemy import text

from orchestrator.store.claims import direct_fault
from orchestrator.store.database import Database
from tests.support.pooler import Pooler
from tests.support.postgres import PostgresServer


def name_of(url: str) -> str:
    return re.split(r"[/?]", url)[3]


def test_the_server_itself_will_do(postgres_database: Database, postgres_url: str) -> None:
    assert not direct_fault(postgres_database, postgres_url)


def test_a_pooler_that_lends_sessions_for_a_transaction_will_not(
    postgres_database: Database, postgres_url: str, postgres_server: PostgresServer
) -> None:
    with Pooler(postgres_server.folder, name_of(postgres_url)) as pooler:
        assert "connection pooler" in direct_fault(postgres_database, pooler.url)


def test_a_pooler_that_keeps_sessions_will_do(
    postgres_database: Database, postgres_url: str, postgres_server: PostgresServer
) -> None:
    folder, name = postgres_server.folder, name_of(postgres_url)
    with Pooler(folder, name, session_mode=True) as pooler:
        assert not direct_fault(postgres_database, pooler.url)


def test_another_database_will_not(
    postgres_database: Database, postgres_server: PostgresServer
) -> None:
    with postgres_server.copy_of("template0") as other:
        assert "another database" in direct_fault(postgres_database, other)


def test_an_address_where_nobody_listens_will_not(postgres_database: Database) -> None:
    nowhere = "postgresql://postgres:hidden@127.0.0.1:1/none"
    fault = direct_fault(postgres_database, nowhere)
    assert fault.startswith("it cannot be used")
    assert "hidden" not in fault


def test_statements_are_not_prepared_behind_a_pooler(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with Pooler(postgres_server.folder, name_of(postgres_url)) as pooler:
        one, two = Database(pooler.url), Database(pooler.url)
        for _ in range(8):
            with one.write() as session, two.write() as other:
                for each in (session, other):
                    assert each.connection().scalar(text("SELECT :n + 1"), {"n": 1}) == 2
        one.dispose()
        two.dispose()
