"""Reads a cloud's answer without ever failing on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_MOST = 1_000_000


def instant_of(value: object) -> datetime | None:
    """Return an RFC 3339 timestamp with up to 9 fractional digits as UTC; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def count_of(value: object) -> int | None:
    """Return a JSON number that counts something, up to a million; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MOST and value == value // 1 else None


class Fields:
    """Fields of an answer by dotted path; needed ones that are missing or odd go to `gaps`."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self.gaps: list[str] = []

    def value(self, path: str) -> object | None:
        """Return what is at a path, or None."""
        here: object = self._raw
        for part in path.split("."):
            here = here.get(part) if isinstance(here, Mapping) else None
        return here

    def text(self, path: str, *, needed: bool = True) -> str:
        """Return a text, "" when there is none."""
        value = self.value(path)
        if isinstance(value, str) and value:
            return value
        self._gap(path, needed=needed)
        return ""

    def count(self, path: str, *, needed: bool = True) -> int | None:
        """Return a whole number of zero or more."""
        count = count_of(self.value(path))
        if count is None:
            self._gap(path, needed=needed)
        return count

    def instant(self, path: str, *, needed: bool = True) -> datetime | None:
        """Return an instant in UTC."""
        instant = instant_of(self.value(path))
        if instant is None:
            self._gap(path, needed=needed)
        return instant

    def mapping(self, path: str) -> Mapping[str, Any]:
        """Return an object, empty when there is none."""
        value = self.value(path)
        return value if isinstance(value, Mapping) else {}

    def texts(self, path: str) -> tuple[str, ...]:
        """Return the texts in a list."""
        value = self.value(path)
        if not isinstance(value, list):
            return ()
        return tuple(item for item in value if isinstance(item, str))

    def _gap(self, path: str, *, needed: bool) -> None:
        if needed:
            self.gaps.append(path)
