"""One engine per store: a lock file beside SQLite, a session-level advisory lock on Postgres."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.store.database import Database

# Any fixed number will do, as long as nothing else in this database uses it.
ADVISORY_KEY = 4_611_201_735_021
_HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND pid = pg_backend_pid()"
)

log = structlog.get_logger(__name__)


class EngineBusyError(Exception):
    """Another process runs the engine on this store."""


class Exclusive(Protocol):
    """Held while this process may act."""

    def verify(self) -> None:
        """Raise EngineBusyError when the lock is not ours any more."""
        ...

    def release(self) -> None:
        """Give the lock back; the end of the process does so too."""
        ...


def acquire(database: Database) -> Exclusive:
    """Return the lock of the engine. Raises EngineBusyError when another process holds it."""
    if database.dialect == "postgresql":
        return _AdvisoryLock(database)
    path = database.url.database
    if not path or path == ":memory:":
        return _Unshared()
    return _FileLock(Path(path))


class _Unshared:
    """A store in memory has no other process."""

    def verify(self) -> None:
        """Nothing can be lost."""

    def release(self) -> None:
        """Nothing is held."""


class _FileLock:
    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file: IO[str] = self._path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise EngineBusyError(
                f"process {holder} runs the engine on {database}; SQLite serves one process: "
                "stop that one, or use Postgres"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def verify(self) -> None:
        """The kernel keeps the lock for as long as the file is open."""

    def release(self) -> None:
        self._file.close()


class _AdvisoryLock:
    """Lives as long as its connection; a lost one is replaced if no other worker was quicker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = self._connect()

    def _connect(self) -> Connection:
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        held = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY})
        if not held:
            connection.close()
            raise EngineBusyError("another worker runs the engine on this database")
        return connection

    def verify(self) -> None:
        """Raise EngineBusyError when the lock went to another worker."""
        try:
            if self._connection.scalar(text(_HELD)):
                return
        except SQLAlchemyError:
            log.warning("the connection that holds the engine's lock was lost")
        self.release()
        self._connection = self._connect()

    def release(self) -> None:
        """End the session, and the lock with it."""
        with suppress(SQLAlchemyError):  # it may be broken already
            self._connection.invalidate()
            self._connection.close()
