"""Cost reports in answers."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.api.schemas.money import Money, money
from orchestrator.costs.report import CostLine, CostReport, DayCost

SECONDS_PER_HOUR = 3600


class DayOut(Answer):
    """The cost of one UTC day."""

    day: date
    money: Money


class CostLineOut(Answer):
    """One group: hours with a replica up, and those times replicas; a disk adds money only."""

    key: str
    name: str
    money: Money
    hours: float
    replica_hours: float
    days: list[DayOut] = Field(default_factory=list)


class UnpricedOut(Answer):
    """Hours of an endpoint's component for which no price is known; they are in no sum."""

    endpoint_id: str
    name: str
    component: str = Field(examples=["compute"])
    hardware_key: str
    hours: float


class CostsOut(Answer):
    """Costs as metered; `measured_until` is up to when all of it is measured."""

    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    group_by: str
    total: Money
    complete: bool = Field(description="Whether every billed second had a price.")
    measured_until: Instant | None
    unpriced: list[UnpricedOut]
    components: list[CostLineOut] = Field(
        description="The total by component: compute, and what is billed beside it such as disk."
    )
    items: list[CostLineOut]
    days: list[DayOut]
    dropped_before: Instant | None = Field(
        None, description="Set where the span reaches before what is kept of the ledger."
    )


def costs_out(report: CostReport) -> CostsOut:
    """Return a report as it is answered."""
    return CostsOut(
        start=report.start,
        end=report.end,
        group_by=report.group_by,
        total=money(report.total),
        complete=report.complete,
        measured_until=report.measured_until,
        unpriced=[
            UnpricedOut(
                endpoint_id=item.endpoint_id,
                name=item.name,
                component=item.component,
                hardware_key=item.hardware_key,
                hours=_hours(item.seconds),
            )
            for item in report.unpriced
        ],
        components=[_line(item) for item in report.components],
        items=[_line(item) for item in report.items],
        days=[_day(item) for item in report.days],
    )


def _line(item: CostLine) -> CostLineOut:
    return CostLineOut(
        key=item.key,
        name=item.name,
        money=money(item.figure),
        hours=_hours(item.billed_seconds),
        replica_hours=_hours(item.replica_seconds),
        days=[_day(day) for day in item.days],
    )


def _day(item: DayCost) -> DayOut:
    return DayOut(day=item.day, money=money(item.figure))


def _hours(seconds: int) -> float:
    return round(seconds / SECONDS_PER_HOUR, 4)
