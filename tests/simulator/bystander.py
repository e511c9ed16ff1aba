"""The store as a bystander reads it: plain SQL, beside the service and faster than it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
ACTIVE = ("pending", "running", "confirming")


class Bystander:
    """Reads a SQLite store, also while a pass is under way."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def rows(self, query: str, *values: Any) -> list[Row]:
        """Return the rows that a query finds."""
        found = self._connection.execute(query, values)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def value(self, query: str, *values: Any) -> Any:
        """Return the first column of the first row, None without any."""
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()


def instant(text: str) -> datetime:
    """Return an instant of the store."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
