"""One process per SQLite store: a lock file beside it, which its end frees in any case."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from orchestrator.store.database import Database


class EngineBusyError(Exception):
    """Another process works on this store."""


class FileLock:
    """Held while this process may work on a SQLite store; a store in memory needs none."""

    def __init__(self, database: Database) -> None:
        path = database.url.database
        self._file: IO[str] | None = None
        if path and path != ":memory:":
            self._file = _locked(Path(path))

    def release(self) -> None:
        """Give the lock back; the end of the process does so too."""
        if self._file is not None:
            self._file.close()


def acquire(database: Database) -> FileLock | None:
    """Return the lock of a SQLite store, None on Postgres, where processes share the accounts.

    Raises EngineBusyError, which names the process that holds it.
    """
    return FileLock(database) if database.dialect == "sqlite" else None


def _locked(database: Path) -> IO[str]:
    file = database.with_name(database.name + ".lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise EngineBusyError(
            f"process {holder} works on {database}, and SQLite serves one process"
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
