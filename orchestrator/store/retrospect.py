"""What a span of the past is run again from, read as plain columns: there are many rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, or_
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


# Built once: building a statement takes longer than running it.
_ended = col(MeterInterval.ended_at)
_USAGE = (
    select(
        UsageSample.start,
        UsageSample.requests,
        UsageSample.covered_s,
        UsageSample.last_request_at,
    )
    .where(UsageSample.endpoint_id == bindparam("endpoint_id"))
    .where(col(UsageSample.start) > bindparam("start"), col(UsageSample.start) < bindparam("stop"))
    .order_by(col(UsageSample.start))
)
_METERED = (
    select(MeterInterval)
    .with_only_columns(
        col(MeterInterval.started_at),
        _ended,
        col(MeterInterval.status),
        col(MeterInterval.evidence),
        col(MeterInterval.replicas),
    )
    .where(col(MeterInterval.endpoint_id) == bindparam("endpoint_id"))
    .where(
        col(MeterInterval.component) == COMPUTE, col(MeterInterval.started_at) < bindparam("stop")
    )
    .where(or_(_ended.is_(None), _ended > bindparam("start")))
    .order_by(col(MeterInterval.started_at))
)
_ASKED = (
    select(Operation.kind, Operation.created_at)
    .where(Operation.endpoint_id == bindparam("endpoint_id"))
    .where(col(Operation.kind).in_(bindparam("kinds", expanding=True)))
    .where(col(Operation.created_at) >= bindparam("start"))
    .where(col(Operation.created_at) < bindparam("stop"))
)


def usage_rows(
    session: Session, endpoint_id: str, start: datetime, end: datetime
) -> list[UsageRow]:
    """Return the rows of requests that may meet `[start, end)`, in order."""
    since = start - LONGEST_RUN - STRETCH
    params = {"endpoint_id": endpoint_id, "start": since, "stop": end}
    return [UsageRow(*row) for row in session.execute(_USAGE, params)]


def metered(session: Session, endpoint_id: str, start: datetime, end: datetime) -> list[MeterRow]:
    """Return the metered stretches of compute that meet `[start, end)`, in order."""
    params = {"endpoint_id": endpoint_id, "start": start, "stop": end}
    return [MeterRow(*row) for row in session.execute(_METERED, params)]


def asked_for(
    session: Session, endpoint_id: str, kinds: Collection[str], start: datetime, end: datetime
) -> Sequence[tuple[str, datetime]]:
    """Return kind and time of the changes of some kinds that were begun in `[start, end)`."""
    params = {"endpoint_id": endpoint_id, "kinds": sorted(kinds), "start": start, "stop": end}
    return [(row[0], row[1]) for row in session.execute(_ASKED, params)]
