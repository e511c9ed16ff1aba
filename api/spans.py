"""Stretches of time in queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query

from orchestrator.api.schemas.base import AskedInstant
from orchestrator.services.errors import invalid

From = Annotated[
    AskedInstant | None, Query(alias="from", description="Default: when this UTC month began.")
]
To = Annotated[AskedInstant | None, Query(alias="to", description="Default: now.")]
DayGrouping = Annotated[Literal["day"] | None, Query(description="Also as a series of UTC days.")]


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return the stretch that is asked for. Raises ServiceError 422 when it is empty."""
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begin, until = start or min(month, end or now), end or now
    if begin > until:
        raise invalid("from", "It lies after `to`.", remedy="Swap them, or leave `from` out.")
    return begin, until
