"""What was read of requests, kept in stretches of ten minutes (see `UsageSample`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from orchestrator.store.tables import UsageSample

# The length of a stretch; each starts at a multiple of it since 1970 UTC.
STRETCH = timedelta(minutes=10)


def stretch_of(instant: datetime) -> datetime:
    """Return the start of the stretch that an instant lies in."""
    seconds = int(instant.timestamp())
    return instant - timedelta(
        seconds=seconds % int(STRETCH.total_seconds()), microseconds=instant.microsecond
    )


def samples(
    session: Session, endpoint_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[UsageSample]]:
    """Return what is known of the stretches that meet `[start, end)`, by endpoint, in order."""
    found: dict[str, list[UsageSample]] = defaultdict(list)
    query = select(UsageSample).where(
        col(UsageSample.endpoint_id).in_(endpoint_ids),
        col(UsageSample.start) > start - STRETCH,
        col(UsageSample.start) < end,
    )
    for row in session.exec(query.order_by(col(UsageSample.start))):
        found[row.endpoint_id].append(row)
    return found


def put(session: Session, rows: Sequence[UsageSample]) -> None:
    """Store stretches, in place of what was known of them."""
    for row in rows:
        session.merge(row)
