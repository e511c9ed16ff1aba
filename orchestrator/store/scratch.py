"""Trying out changes without the one write lock of SQLite."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, event
from sqlmodel import Session, create_engine

from orchestrator.store.database import Database

# Only ever added to, and long: what is tried out needs none of what is there.
BEGUN_EMPTY = frozenset({"event"})
_WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
_MAKES = re.compile(r"^CREATE (TABLE |(?:UNIQUE )?INDEX )", re.IGNORECASE)


@contextmanager
def trial(database: Database) -> Iterator[Session]:
    """Yield a session of which nothing stays; what is in the store stays as it is meanwhile.

    On SQLite it holds no lock: a table that it writes to is copied beside the store first.
    """
    if database.dialect != "sqlite" or not Path(database.url.database or "").is_file():
        with database.write() as session:
            yield session
            session.rollback()
        return
    engine = _beside(Path(database.url.database or ""))
    try:
        with Session(engine, expire_on_commit=False) as session:
            yield session
    finally:
        engine.dispose()


def _beside(path: Path) -> Engine:
    address = f"file:{quote(str(path.absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        made = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        made.execute("PRAGMA temp_store=MEMORY")
        return made  # without foreign keys: the tables that copies point to are elsewhere

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_cursor_execute", _copy_first)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _copy_first(connection: Connection, cursor: Any, statement: str, *others: object) -> None:
    """Copy the table that a statement writes to, unless it is copied: its name means the copy."""
    del connection, others
    writes = _WRITES.match(statement)
    if writes is None:
        return
    table, at = writes[1], cursor.connection
    if at.execute("SELECT 1 FROM temp.sqlite_master WHERE name = ?", [table]).fetchone():
        return
    known = "SELECT sql FROM main.sqlite_master WHERE tbl_name = ? AND sql > '' ORDER BY type DESC"
    for (made,) in at.execute(known, [table]).fetchall():
        at.execute(_MAKES.sub(_in_temp, made))
    if table not in BEGUN_EMPTY:
        at.execute(f'INSERT INTO temp."{table}" SELECT * FROM main."{table}"')  # noqa: S608 - \w+


def _in_temp(found: re.Match[str]) -> str:
    kind = found[1].upper()
    return "CREATE TEMP TABLE " if kind == "TABLE " else f"CREATE {kind}temp."
