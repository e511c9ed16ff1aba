"""Working out changes without the one write lock of SQLite, and writing what was worked out."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, event
from sqlmodel import Session, col, create_engine, select

from orchestrator.store.database import Database
from orchestrator.store.tables import Event

# Only added to, and long: what is tried out needs none of those that are there.
EVENTS = "event"
# The store numbers their rows, of which none is ever changed.
NUMBERED = "rule_revision"
_WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
# Set in the `info` of a session that stands beside the store.
_BESIDE = "beside"
_MAKES = re.compile(r"^CREATE (TABLE |(?:UNIQUE )?INDEX )", re.IGNORECASE)


@contextmanager
def trial(database: Database) -> Iterator[Session]:
    """Yield a session of which nothing stays; what is in the store stays as it is meanwhile.

    On SQLite in a plain file it holds no lock: a table that it writes to is copied beside the
    store first.
    """
    if database.dialect != "sqlite" or not Path(database.url.database or "").is_file():
        with database.write() as session:
            yield session
            session.rollback()
        return
    engine = _beside(Path(database.url.database or ""))
    try:
        with Session(engine, expire_on_commit=False, info={_BESIDE: True}) as session:
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
    if table != EVENTS:
        at.execute(f'INSERT INTO temp."{table}" SELECT * FROM main."{table}"')  # noqa: S608 - \w+


def _in_temp(found: re.Match[str]) -> str:
    kind = found[1].upper()
    return "CREATE TEMP TABLE " if kind == "TABLE " else f"CREATE {kind}temp."


@dataclass(frozen=True, slots=True)
class Rows:
    """What becomes of one table: rows that are gone, by key, and rows as they are to be."""

    keys: Sequence[str]
    columns: Sequence[str]
    gone: Sequence[Sequence[Any]]
    made: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a trial wrote, by table, and its events in their order."""

    tables: Mapping[str, Rows]
    events: Sequence[Event]

    def write(self, session: Session) -> None:
        """Write it all; for a transaction in which what the trial saw is still so."""
        connection = session.connection()
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for table, rows in self.tables.items():
            where = " AND ".join(f"{key} = ?" for key in rows.keys)
            if rows.gone:
                gone = f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - names of our tables
                connection.exec_driver_sql(gone, [tuple(one) for one in rows.gone])
            if rows.made:
                connection.exec_driver_sql(_upsert(table, rows), [tuple(one) for one in rows.made])
        session.add_all(Event(**one.model_dump(exclude={"id"})) for one in self.events)
        session.flush()


def changes(session: Session, tables: Collection[str]) -> Changes | None:
    """Return what a trial wrote, where that is in these tables and beside the store; else None."""
    if not session.info.get(_BESIDE):
        return None
    session.flush()
    known = "SELECT name FROM temp.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    names = {str(row[0]) for row in session.connection().exec_driver_sql(known)}
    if not names <= {*tables, EVENTS, NUMBERED}:
        return None
    made = session.exec(select(Event).order_by(col(Event.id))).all() if EVENTS in names else ()
    return Changes({name: _rows(session, name) for name in sorted(names - {EVENTS})}, made)


def stamp(session: Session, tables: Mapping[str, str]) -> str:
    """Return what stands for the rows of tables, by the columns that are named of each."""
    seen = hashlib.sha256()
    for table, columns in tables.items():
        asked = f"SELECT {columns} FROM {table} ORDER BY rowid"  # noqa: S608 - names of our tables
        for row in session.connection().exec_driver_sql(asked):
            seen.update(repr(tuple(row)).encode())
        seen.update(table.encode())
    return seen.hexdigest()


def _rows(session: Session, table: str) -> Rows:
    connection = session.connection()
    info = connection.exec_driver_sql(f'PRAGMA temp.table_info("{table}")').all()
    keys = [str(one[1]) for one in info if one[5]]
    columns = [str(one[1]) for one in info if not (table == NUMBERED and one[5])]
    if table == NUMBERED:
        added = f"SELECT {', '.join(columns)} FROM temp.{table} WHERE id > (SELECT coalesce(max(id), 0) FROM main.{table}) ORDER BY id"  # noqa: S608, E501 - names of our tables
        return Rows((), columns, (), connection.exec_driver_sql(added).all())
    named = ", ".join(keys)
    gone = f"SELECT {named} FROM main.{table} EXCEPT SELECT {named} FROM temp.{table}"  # noqa: S608 - names of our tables
    made = f"SELECT * FROM temp.{table} EXCEPT SELECT * FROM main.{table}"  # noqa: S608 - as above
    found = connection.exec_driver_sql(gone).all(), connection.exec_driver_sql(made).all()
    return Rows(keys, columns, *found)


def _upsert(table: str, rows: Rows) -> str:
    listed, marks = ", ".join(rows.columns), ", ".join("?" for _ in rows.columns)
    made = f"INSERT INTO {table} ({listed}) VALUES ({marks})"  # noqa: S608 - names of our tables
    if not rows.keys:
        return made
    kept = ", ".join(f"{one} = excluded.{one}" for one in rows.columns)
    return f"{made} ON CONFLICT ({', '.join(rows.keys)}) DO UPDATE SET {kept}"
