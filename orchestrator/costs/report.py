"""Cost reports over the ledger: what was measured, by whom, where and when.

A report never counts what was not measured: an open interval ends at the last look that vouches
for it, and `measured_until` says when that was. Labels are those of today, also for the past.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from orchestrator.costs.days import DAY, days_of, midnight, month_start
from orchestrator.costs.figures import Burn, Figure
from orchestrator.costs.sums import Sum
from orchestrator.costs.tally import Book, Item, Tally
from orchestrator.domain.schedules.walls import wall_at
from orchestrator.store import ledger_reads
from orchestrator.store.ledger import COMPUTE
from orchestrator.store.ledger_reads import SpanFilter

UTC_ZONE = ZoneInfo("UTC")
NO_LABEL = "(none)"
GROUPINGS = ("endpoint", "account", "day", "hardware", "component")
_SINGLE = ("hardware", "component")  # groupings in which a group is of one component
LABEL = "label:"


@dataclass(frozen=True, slots=True)
class DayCost:
    """The cost of one civil day."""

    day: date
    figure: Figure


@dataclass(frozen=True, slots=True)
class CostLine:
    """One group: `billed_seconds` with a replica up, `replica_seconds` those times replicas.

    Where a group holds several components, its time is that of compute alone.
    """

    key: str
    name: str
    figure: Figure
    billed_seconds: int
    replica_seconds: int
    days: tuple[DayCost, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Seconds for which a component of an endpoint had no known price."""

    endpoint_id: str
    name: str
    hardware_key: str
    seconds: int
    component: str = COMPUTE


@dataclass(frozen=True, slots=True)
class CostReport:
    """Costs in `[start, end)`, as far as measured; dearest group first, days in order.

    `measured_until` is the instant up to which all endpoints in question are measured; None where
    one of their accounts was never read. `components` split the total, compute first.
    """

    start: datetime
    end: datetime
    group_by: str
    total: Figure
    measured_until: datetime | None
    items: tuple[CostLine, ...]
    days: tuple[DayCost, ...] = ()
    unpriced: tuple[Unpriced, ...] = ()
    components: tuple[CostLine, ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether every billed second had a price."""
        return self.total.complete


@dataclass(frozen=True, slots=True)
class MonthToDate:
    """Costs of the civil month so far, by endpoint; endpoints without any are left out."""

    start: datetime
    total: Figure
    endpoints: Mapping[str, Figure]
    measured_until: datetime | None


@dataclass(frozen=True, slots=True)
class BurnNow:
    """What is being spent per hour as of the last look, in all and by endpoint."""

    total: Burn
    endpoints: Mapping[str, Burn] = field(default_factory=dict)


def cost_report(
    session: Session,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    group_by: str = "endpoint",
    filters: SpanFilter | None = None,
    zone: ZoneInfo = UTC_ZONE,
    by_day: bool = False,
) -> CostReport:
    """Return costs grouped by endpoint, account, day, hardware, component or `label:<key>`.

    `by_day` adds a series of civil days of `zone` to the total and to each group. Raises
    ValueError for an unknown grouping or an end before the start.
    """
    check_grouping(group_by)
    if end < start:
        raise ValueError("a report cannot end before it starts")
    stop = max(start, min(end, now))
    book = Book(session, start, stop, filters or SpanFilter())
    split = by_day or group_by == "day"
    tally = Tally(
        days_of(start, stop, zone) if split else None,
        each_group=by_day and group_by != "day",
        single=group_by in _SINGLE,
    )
    keys = _keys(session, group_by, book)
    for item in book.items():
        tally.add(keys(item), item)
    return CostReport(
        start=start,
        end=end,
        group_by=group_by,
        total=tally.total.figure(),
        measured_until=book.measured_until(),
        items=_lines(tally, group_by, book, with_days=by_day),
        days=_day_costs(tally, tally.days_total),
        unpriced=_unpriced(tally, book),
        components=tuple(_line(key, key, each) for key, each in tally.components().items()),
    )


def check_grouping(group_by: str) -> None:
    """Raise ValueError unless a report can be grouped so."""
    labelled = group_by.startswith(LABEL) and len(group_by) > len(LABEL)
    if group_by not in GROUPINGS and not labelled:
        raise ValueError(f"group_by: {group_by}; use {', '.join(GROUPINGS)} or label:<key>")


def month_to_date(
    session: Session,
    now: datetime,
    *,
    endpoint_ids: Collection[str] | None = None,
    zone: ZoneInfo = UTC_ZONE,
) -> MonthToDate:
    """Return what each endpoint cost since the civil month of `zone` began."""
    start = month_start(now, zone)
    report = cost_report(
        session, start=start, end=now, now=now, filters=SpanFilter(endpoint_ids=endpoint_ids)
    )
    figures = {line.key: line.figure for line in report.items}
    return MonthToDate(start, report.total, figures, report.measured_until)


def daily_series(
    session: Session,
    days: int,
    now: datetime,
    *,
    filters: SpanFilter | None = None,
    zone: ZoneInfo = UTC_ZONE,
) -> tuple[DayCost, ...]:
    """Return the last `days` civil days, today included, oldest first."""
    return last_days(session, days, now, group_by="day", filters=filters, zone=zone).days


def last_days(
    session: Session,
    days: int,
    now: datetime,
    *,
    group_by: str,
    filters: SpanFilter | None = None,
    zone: ZoneInfo = UTC_ZONE,
) -> CostReport:
    """Return a report of the last `days` civil days, today included, with each day."""
    today = wall_at(zone, now).date()
    return cost_report(
        session,
        start=midnight(today - DAY * (days - 1), zone),
        end=now,
        now=now,
        group_by=group_by,
        filters=filters,
        zone=zone,
        by_day=True,
    )


def burn_now(session: Session, *, account_id: str | None = None) -> BurnNow:
    """Return what is being spent per hour, as of the last look at each account."""
    endpoints: dict[str, Burn] = {}
    for endpoint_id, low, burn, high in ledger_reads.open_burns(session, account_id):
        known = Burn(unpriced=1) if high is None else Burn(burn, low, high)
        others = endpoints.get(endpoint_id)
        endpoints[endpoint_id] = known if others is None else others.beside(known)
    return BurnNow(sum(endpoints.values(), Burn()), endpoints)


def _keys(session: Session, group_by: str, book: Book) -> Callable[[Item], str]:
    if group_by == "endpoint":
        return lambda item: item.endpoint_id
    if group_by == "account":
        return lambda item: book.looks[item.endpoint_id].account_id
    if group_by == "hardware":
        return lambda item: item.hardware_key
    if group_by == "component":
        return lambda item: item.component
    if group_by == "day":
        return lambda _: ""
    labels = ledger_reads.labels_of(session, group_by.removeprefix(LABEL))
    return lambda item: labels.get(item.endpoint_id) or NO_LABEL


def _lines(tally: Tally, group_by: str, book: Book, *, with_days: bool) -> tuple[CostLine, ...]:
    if group_by == "day":
        return tuple(
            _line(day.isoformat(), day.isoformat(), total)
            for day, total in zip(tally.dates, tally.days_total, strict=True)
        )
    lines = [
        _line(
            key,
            book.name(group_by, key),
            total,
            _day_costs(tally, tally.days_of(key)) if with_days else (),
        )
        for key, total in tally.groups.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.figure.nano, line.name, line.key)))


def _line(key: str, name: str, total: Sum, days: tuple[DayCost, ...] = ()) -> CostLine:
    return CostLine(key, name, total.figure(), total.billed, total.replica_seconds, days)


def _day_costs(tally: Tally, totals: Sequence[Sum]) -> tuple[DayCost, ...]:
    return tuple(
        DayCost(day, total.figure()) for day, total in zip(tally.dates, totals, strict=True)
    )


def _unpriced(tally: Tally, book: Book) -> tuple[Unpriced, ...]:
    return tuple(
        Unpriced(endpoint_id, book.name("endpoint", endpoint_id), hardware_key, seconds, component)
        for (endpoint_id, component, hardware_key), seconds in sorted(tally.unpriced.items())
    )
