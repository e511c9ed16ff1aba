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
        self._connection.row_factory = _as_dict

    def rows(self, query: str, *values: Any) -> list[Row]:
        """Return the rows that a query finds."""
        return self._connection.execute(query, values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """Return the first column of the first row, None without any."""
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else next(iter(row.values()))

    def close(self) -> None:
        self._connection.close()


def instant(text: str) -> datetime:
    """Return an instant of the store."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
