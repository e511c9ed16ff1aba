"""What a span of the past is run again from, read as plain columns: there are many rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_
from sqlmodel import Session, col, select

from orchestrator.store.ledger import COMPUTE
from orchestrator.store.tables import MeterInterval, Operation, UsageSample
from orchestrator.store.usage import LONGEST_RUN, STRETCH


class UsageRow(NamedTuple):
    """A row of requests as it is kept: without any it may stand for many stretches on end."""

    start: datetime
    requests: int
    covered_s: int
    last_request_at: datetime | None


class MeterRow(NamedTuple):
    """A metered stretch of compute; open while `ended_at` is None."""

    started_at: datetime
    ended_at: datetime | None
    status: str
    evidence: str
    replicas: int


def usage_rows(
    session: Session, endpoint_id: str, start: datetime, end: datetime
) -> list[UsageRow]:
    """Return the rows of requests that may meet `[start, end)`, in order."""
    query = (
        select(
            UsageSample.start,
            UsageSample.requests,
            UsageSample.covered_s,
            UsageSample.last_request_at,
        )
        .where(UsageSample.endpoint_id == endpoint_id)
        .where(col(UsageSample.start) > start - LONGEST_RUN - STRETCH)
        .where(col(UsageSample.start) < end)
        .order_by(col(UsageSample.start))
    )
    return [UsageRow(*row) for row in session.exec(query)]


def metered(session: Session, endpoint_id: str, start: datetime, end: datetime) -> list[MeterRow]:
    """Return the metered stretches of compute that meet `[start, end)`, in order."""
    ended = col(MeterInterval.ended_at)
    query = (
        select(MeterInterval)
        .with_only_columns(
            col(MeterInterval.started_at),
            ended,
            col(MeterInterval.status),
            col(MeterInterval.evidence),
            col(MeterInterval.replicas),
        )
        .where(MeterInterval.endpoint_id == endpoint_id, MeterInterval.component == COMPUTE)
        .where(col(MeterInterval.started_at) < end, or_(ended.is_(None), ended > start))
        .order_by(col(MeterInterval.started_at))
    )
    return [MeterRow(*row) for row in session.execute(query)]


def asked_for(
    session: Session, endpoint_id: str, kinds: Collection[str], start: datetime, end: datetime
) -> Sequence[tuple[str, datetime]]:
    """Return kind and time of the changes of some kinds that were begun in `[start, end)`."""
    query = (
        select(Operation.kind, Operation.created_at)
        .where(Operation.endpoint_id == endpoint_id, col(Operation.kind).in_(list(kinds)))
        .where(col(Operation.created_at) >= start, col(Operation.created_at) < end)
    )
    return [(row[0], row[1]) for row in session.exec(query)]
