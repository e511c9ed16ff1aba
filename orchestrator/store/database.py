"""One door to SQLite or Postgres: short transactions, told apart by reading and writing."""

from __future__ import annotations

import copy
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Connection, Engine, event, make_url, text
from sqlmodel import Session, create_engine

WAL_ATTEMPTS, WAL_PAUSE_S = 40, 0.05
SQLITE_BUSY_MS = 30_000
# A process that is frozen or lost in a transaction holds its locks for so long, and nobody waits
# longer for a lock. A `LASTING` transaction, such as a backup, knows no such limit.
IDLE_MS, LOCK_WAIT_MS = 15_000, 10_000
LASTING = "orchestrator_lasting"
_POOLED = "pooled"
# Seconds until a silent connection is asked for, between two such questions, and how many.
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_LIMITS = (
    "SELECT set_config('idle_in_transaction_session_timeout', '{idle}', {local}), "
    "set_config('lock_timeout', '{wait}', {local})"
)


class Database:
    """A pool of connections to the store.

    `read()` and `write()` yield sessions; `write()` commits once at the end, or rolls all back.
    On SQLite a write takes the lock at its start, so that two writers wait rather than fail.
    A store that is not `durable` may lose its last seconds when the machine, not the process,
    dies: for a store that can be made again. `name` is what Postgres shows of its connections.
    """

    def __init__(self, url: str, *, durable: bool = True, name: str = "orchestrator") -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.dialect = parsed.get_backend_name()
        if self.dialect not in ("sqlite", "postgresql"):
            raise ValueError(
                f"database_url: {self.dialect} is not supported; use sqlite:///file or postgresql://"
            )
        self.url = parsed
        self.url_redacted = parsed.render_as_string(hide_password=True)
        self._synchronous = "FULL" if durable else "OFF"
        self._name = name
        self.guard: Callable[[Session], None] | None = None
        self.engine = self._connect()

    def _connect(self) -> Engine:
        if self.dialect == "sqlite":
            engine = create_engine(self.url, connect_args={"check_same_thread": False})
            event.listen(engine, "connect", self._prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(
            self.url,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            connect_args=self._connect_args(),
        )
        event.listen(engine, "connect", _prepare_postgres)
        event.listen(engine, "begin", _begin_postgres)
        return engine

    def _connect_args(self) -> dict[str, Any]:
        given = self.url.query
        kept = {name: value for name, value in _KEEPALIVES.items() if name not in given}
        return {"application_name": self._name, **kept}

    def guarded(self, guard: Callable[[Session], None]) -> Self:
        """Return the same store whose writes begin with `guard`, which raises to refuse one."""
        other = copy.copy(self)
        other.guard = guard
        return other

    def _prepare_sqlite(self, connection: Any, record: object) -> None:
        del record
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
        _use_wal(cursor)
        for pragma in (f"synchronous={self._synchronous}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session whose work is never committed; its objects stay readable after it."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session that is committed when the block ends without an error."""
        with self.engine.connect() as raw:
            connection = raw.execution_options(orchestrator_writes=True)
            with Session(connection, expire_on_commit=False) as session:
                if self.guard is not None:
                    self.guard(session)
                yield session
                session.commit()

    def ping(self) -> None:
        """Raise the driver's error when the store does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _prepare_postgres(connection: Any, record: Any) -> None:
    """Set limits for the session; behind a pooler, which may change it, for each transaction.

    No statements are prepared there, because the next one may run in another session.
    """
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if found is None or found[0] != connection.info.backend_pid:
        connection.prepare_threshold = None
        record.info[_POOLED] = True
        return
    connection.execute(_LIMITS.format(idle=IDLE_MS, wait=LOCK_WAIT_MS, local="false"))
    connection.commit()


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get(LASTING, False):
        connection.exec_driver_sql(_LIMITS.format(idle=0, wait=0, local="true"))
    elif connection.info.get(_POOLED, False):
        limits = _LIMITS.format(idle=IDLE_MS, wait=LOCK_WAIT_MS, local="true")
        connection.exec_driver_sql(limits)


def _use_wal(cursor: Any) -> None:
    """Switch a new file to WAL; SQLite does not wait where two processes do that at once."""
    for _ in range(WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(WAL_PAUSE_S)
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("orchestrator_writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # it neither waits nor fails, so that nothing has to be made of an error
        connection.connection.cursor().execute("BEGIN")
