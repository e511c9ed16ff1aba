"""Reading whole tables for an export: one instant of the store, in a stable order, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Select, select
from sqlmodel import col

from orchestrator.store.database import LASTING, Database
from orchestrator.store.metadata import metadata
from orchestrator.store.tables import Account, Endpoint

BATCH = 1_000
Row = Mapping[str, Any]


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """Yield a connection that sees one instant of the store, and keeps no writer waiting."""
    options: dict[str, Any] = {}
    if database.dialect == "postgresql":
        options = {
            "isolation_level": "REPEATABLE READ",
            "postgresql_readonly": True,
            LASTING: True,
        }
    with database.engine.connect() as raw:
        connection = raw.execution_options(**options)
        with connection.begin():
            yield connection


def rows(connection: Connection, table: str, order: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table with the names of account and endpoint beside their ids."""
    source = metadata.tables[table]
    query: Select[Any] = select(source)
    if table != "endpoint" and "endpoint_id" in source.c:
        query = query.outerjoin(Endpoint, col(Endpoint.id) == source.c.endpoint_id)
        query = query.add_columns(col(Endpoint.name).label("endpoint"))
    if "account_id" in source.c:
        query = query.outerjoin(Account, col(Account.id) == source.c.account_id)
        query = query.add_columns(col(Account.name).label("account"))
    query = query.order_by(*(source.c[name] for name in order))
    found = connection.execution_options(stream_results=True, yield_per=BATCH).execute(query)
    for row in found.mappings():
        yield dict(row)
