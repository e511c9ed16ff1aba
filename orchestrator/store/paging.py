"""Pages by position, not by number: a row that comes or goes moves no other row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, UnaryExpression, and_, or_

Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One column of an order; the last of an order must be unique."""

    column: SQLColumnExpression[Any]
    descending: bool = False

    def ordering(self) -> UnaryExpression[Any]:
        """Return the column for ORDER BY."""
        return self.column.desc() if self.descending else self.column.asc()

    def beyond(self, value: Any) -> ColumnElement[bool]:
        """Return the condition that a row comes after `value`."""
        condition: ColumnElement[bool] = (
            self.column < value if self.descending else self.column > value
        )
        return condition


def beyond(keys: Sequence[Key], position: Position) -> ColumnElement[bool]:
    """Return the condition that a row comes after `position` in the order of `keys`."""
    ways = []
    for place, (key, value) in enumerate(zip(keys, position, strict=True)):
        same = [
            earlier.column == known
            for earlier, known in zip(keys[:place], position[:place], strict=True)
        ]
        ways.append(and_(*same, key.beyond(value)))
    return or_(*ways)
