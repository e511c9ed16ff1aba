"""Recorded use of an endpoint in answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.store.tables import UsageSample


class UsageStretchOut(Answer):
    """Ten minutes of an endpoint; `requests` is a least number where not all of it is covered."""

    start: Instant
    requests: int
    covered_seconds: int = Field(description="Of its 600 seconds, so many are known.")
    last_request_at: Instant | None
    source: Literal["counts", "last_use", "both"]


class UsageOut(Answer):
    """What was recorded of an endpoint's requests; a stretch that is missing is unknown.

    `truncated` tells that there were more, earlier stretches.
    """

    start: Instant
    end: Instant
    requests: int
    covered_seconds: int
    coverage: float = Field(description="The part of the asked time that is known, from 0 to 1.")
    last_request_at: Instant | None
    stretches: list[UsageStretchOut]
    truncated: bool


def usage_out(
    rows: Sequence[UsageSample], start: datetime, end: datetime, *, most: int
) -> UsageOut:
    """Return recorded use with the newest `most` stretches; sums are over all of them."""
    covered = sum(row.covered_s for row in rows)
    asked = (end - start).total_seconds()
    times = [row.last_request_at for row in rows if row.last_request_at is not None]
    return UsageOut(
        start=start,
        end=end,
        requests=sum(row.requests for row in rows),
        covered_seconds=covered,
        coverage=round(min(covered / asked, 1.0), 4) if asked else 0.0,
        last_request_at=max(times, default=None),
        stretches=[_stretch(row) for row in rows[-most:]],
        truncated=len(rows) > most,
    )


def _stretch(row: UsageSample) -> UsageStretchOut:
    return UsageStretchOut.model_validate(
        {
            "start": row.start,
            "requests": row.requests,
            "covered_seconds": row.covered_s,
            "last_request_at": row.last_request_at,
            "source": row.source,
        }
    )
