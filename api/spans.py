"""Stretches of time in queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Query

from orchestrator.api.schemas.base import AskedInstant
from orchestrator.services.errors import invalid

From = Annotated[
    AskedInstant | None, Query(alias="from", description="Default: when this UTC month began.")
]
To = Annotated[AskedInstant | None, Query(alias="to", description="Default: now.")]
DayGrouping = Annotated[Literal["day"] | None, Query(description="Also as a series of UTC days.")]

MOST_DAYS = 3700


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return the stretch that is asked for. Raises ServiceError 422 when it is empty."""
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begin, until = start or min(month, end or now), end or now
    if begin > until:
        raise invalid("from", "It lies after `to`.", remedy="Swap them, or leave `from` out.")
    return begin, until


def check_days(by: str | None, begin: datetime, until: datetime) -> None:
    """Raise ServiceError 422 where a series of days would be longer than ten years."""
    if by is not None and until - begin > timedelta(days=MOST_DAYS):
        raise invalid(
            "by",
            f"A series has {MOST_DAYS:,} days at most.",
            remedy="Give a later `from`, or leave `by` out.",
        )
