"""Pages by cursor: opaque text that holds an order and a position in it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query

from orchestrator.services.errors import ServiceError

MOST = 500
USUAL = 50
Position = tuple[Any, ...]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Window:
    """How many items a request wants, and after which position."""

    limit: int
    cursor: str | None

    def after(self, order: str, kinds: Sequence[type]) -> Position | None:
        """Return the position to go on from; its parts are of `kinds`.

        Raises ServiceError for a cursor that is damaged or belongs to another order.
        """
        if self.cursor is None:
            return None
        try:
            tag, *parts = json.loads(base64.urlsafe_b64decode(self.cursor.encode()))
        except (binascii.Error, ValueError, TypeError):
            raise _bad_cursor() from None
        odd = any(isinstance(part, str) and not part.isprintable() for part in parts)
        fits = (
            not odd
            and len(parts) == len(kinds)
            and all(type(part) is kind for part, kind in zip(parts, kinds, strict=False))
        )
        if tag != order or not fits:
            raise _bad_cursor()
        return tuple(parts)

    def cut(
        self, rows: Sequence[Row], order: str, position: Callable[[Row], Position]
    ) -> tuple[Sequence[Row], str | None]:
        """Return the rows of this page, of one more than `limit`, and the cursor of the next."""
        if len(rows) <= self.limit:
            return rows, None
        shown = rows[: self.limit]
        text = json.dumps([order, *position(shown[-1])], separators=(",", ":"))
        return shown, base64.urlsafe_b64encode(text.encode()).decode()


def get_window(
    limit: Annotated[int, Query(ge=1, le=MOST, description="Items per page.")] = USUAL,
    cursor: Annotated[
        str | None, Query(max_length=1000, description="`next_cursor` of the page before.")
    ] = None,
) -> Window:
    """Return which page a request wants."""
    return Window(limit, cursor)


WindowDep = Annotated[Window, Depends(get_window)]


def _bad_cursor() -> ServiceError:
    return ServiceError(
        "invalid_cursor",
        422,
        "Not valid",
        "This cursor does not belong to this list and order.",
        field="cursor",
        remedy="Start again without `cursor`.",
    )
