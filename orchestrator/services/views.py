"""Endpoints with all that is shown of them, gathered in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.costs.figures import Figure
from orchestrator.costs.report import month_to_date
from orchestrator.store import accounts, endpoints, holds, operations
from orchestrator.store.ledger import COMPUTE
from orchestrator.store.tables import Account, Endpoint, Hold, Label, MeterInterval, Operation


@dataclass(frozen=True, slots=True)
class ComponentBurn:
    """What one component of an endpoint costs now; `burn` is None where no price is known.

    `units` are those of each replica: 1 for compute, gigabytes for a disk.
    """

    component: str
    hardware_key: str
    units: int
    burn: int | None


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint; `burn` is nano-dollars per hour, None where it runs at an unknown price.

    It is the sum of the `components` with a price: one without makes it the less, not unknown.
    """

    endpoint: Endpoint
    account: Account
    labels: Sequence[Label]
    holds: Sequence[Hold]
    operation: Operation | None
    burn: int | None
    month: Figure
    components: Sequence[ComponentBurn] = ()


def views(session: Session, rows: Sequence[Endpoint], now: datetime) -> list[EndpointView]:
    """Return endpoints with what is shown of them, in the order given."""
    ids = [row.id for row in rows]
    owners = accounts.by_ids(session, {row.account_id for row in rows})
    labels = endpoints.labels_of(session, ids)
    held = holds.active_of(session, ids, now)
    active = operations.active_of(session, ids)
    metered = endpoints.open_intervals(session, ids)
    months = month_to_date(session, now, endpoint_ids=ids).endpoints if ids else {}
    return [
        EndpointView(
            endpoint=row,
            account=owners[row.account_id],
            labels=labels.get(row.id, []),
            holds=held.get(row.id, []),
            operation=active.get(row.id),
            burn=_burn(row, metered.get(row.id, [])),
            month=months.get(row.id, Figure()),
            components=burning_components(metered.get(row.id, [])),
        )
        for row in rows
    ]


def view(session: Session, row: Endpoint, now: datetime) -> EndpointView:
    """Return one endpoint with what is shown of it."""
    return views(session, [row], now)[0]


def _burn(row: Endpoint, intervals: Sequence[MeterInterval]) -> int | None:
    """An endpoint that is known to be asleep burns nothing; one that runs unmetered is unknown."""
    known = [each.burn for each in intervals if each.burn is not None]
    if intervals:
        return sum(known) if known else None
    return 0 if row.billed_high == 0 else None


def burning_components(intervals: Sequence[MeterInterval]) -> list[ComponentBurn]:
    """Return what the open intervals of one endpoint cost now, compute first."""
    ordered = sorted(intervals, key=lambda one: (one.component != COMPUTE, one.component))
    return [ComponentBurn(one.component, one.hardware_key, one.units, one.burn) for one in ordered]
