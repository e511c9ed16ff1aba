"""Ledger rows for one report: read, clipped to what was asked and measured, and added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from sqlmodel import Session

from orchestrator.costs.days import DAY_S, Days, epoch, from_epoch
from orchestrator.costs.sums import NOTHING, Part, Span, Sum, until
from orchestrator.store import ledger_reads
from orchestrator.store.ledger import COMPUTE
from orchestrator.store.ledger_reads import AnyRow, SpanFilter

MANY_IDS = 500  # from here on it is cheaper to read all rows than to name the endpoints


class Item(NamedTuple):
    """One interval and the part of it, in seconds since 1970, that a report counts."""

    endpoint_id: str
    component: str
    hardware_key: str
    span: Span
    first: int
    last: int


class Book:
    """The intervals that touch `[start, stop)`; each open one ends at the last look at it."""

    def __init__(
        self, session: Session, start: datetime, stop: datetime, wanted: SpanFilter
    ) -> None:
        few = wanted.endpoint_ids if len(wanted.endpoint_ids or ()) <= MANY_IDS else None
        self.looks = {
            each.endpoint_id: each
            for each in ledger_reads.last_looks(session, wanted.account_id, few)
        }
        self._session = session
        self._start = start
        self._stop = stop
        self._wanted = wanted
        self._measured: int | None = epoch(stop)
        self._vouched = {
            each.endpoint_id: (epoch(each.until), None if each.whole is None else epoch(each.whole))
            for each in self.looks.values()
        }

    def items(self) -> Iterator[Item]:
        """Yield every interval that a report counts a part of."""
        lower, upper = epoch(self._start), epoch(self._stop)
        for row in self._rows():
            endpoint_id, component, hardware_key, units, started, ended, billed, *amounts = row
            first = int(started)
            last = self._last_look(endpoint_id) if ended is None else int(ended)
            span = Span(first, billed // units if units > 1 else billed, *amounts)
            first, last = max(first, lower), min(last, upper)
            if first < last:
                yield Item(endpoint_id, component, hardware_key, span, first, last)

    def measured_until(self) -> datetime | None:
        """Return up to when all was measured, once the items were read.

        What an incomplete look has shown is counted beyond that.
        """
        return None if self._measured is None else from_epoch(self._measured)

    def name(self, group_by: str, key: str) -> str:
        """Return what people call a group."""
        if group_by == "endpoint":
            return self.looks[key].name
        if group_by == "account":
            return next(each.account_name for each in self.looks.values() if each.account_id == key)
        return key

    def _rows(self) -> Iterator[AnyRow]:
        ids = self._wanted.endpoint_ids
        many = ids is not None and len(ids) > MANY_IDS
        wanted = replace(self._wanted, endpoint_ids=None) if many else self._wanted
        named = None if ids is None else set(ids)
        for row in ledger_reads.spans(self._session, self._start, self._stop, wanted):
            if named is None or row[0] in named:
                yield row

    def _last_look(self, endpoint_id: str) -> int:
        """Return the end of an open interval, and remember the earliest."""
        until, whole = self._vouched[endpoint_id]
        if whole is None or self._measured is None:
            self._measured = None
        else:
            self._measured = min(self._measured, whole, until)
        return until


class Tally:
    """Totals of a report: of all, of each group and, where days are wanted, of each day.

    `extras` are the totals of components but compute. Time is that of replicas, so what is billed
    beside them adds none, except to groups that hold one component each (`single`).
    """

    def __init__(self, days: Days | None, *, each_group: bool, single: bool = False) -> None:
        self.total = Sum()
        self.groups: dict[str, Sum] = {}
        self.extras: dict[str, Sum] = {}
        self.unpriced: dict[tuple[str, str, str], int] = {}
        self._single = single
        self._days = days
        self.dates: tuple[date, ...] = () if days is None else days.dates
        self._total_days = DayRow(len(self.dates))
        self._each_group = each_group
        self._group_days: dict[str, DayRow] = {}

    @property
    def days_total(self) -> list[Sum]:
        """Return the days of all groups together."""
        return self._total_days.sums()

    def days_of(self, key: str) -> list[Sum]:
        """Return the days of one group."""
        return self._group_days[key].sums()

    def add(self, key: str, item: Item) -> None:
        """Add one interval to its group."""
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Sum()
            if self._each_group:
                self._group_days[key] = DayRow(len(self.dates))
        if item.span.idle:
            return
        less, part = until(item.span, item.first), until(item.span, item.last)
        if item.component == COMPUTE:
            self.total.add(part, less)
            group.add(part, less)
        else:
            self._add_extra(group, item.component, part, less)
        if part.unpriced > less.unpriced:
            whose = (item.endpoint_id, item.component, item.hardware_key)
            self.unpriced[whose] = self.unpriced.get(whose, 0) + part.unpriced - less.unpriced
        if self._days is not None:
            self._add_days(self._days, self._group_days.get(key), item)

    def components(self) -> dict[str, Sum]:
        """Return the totals of all components: compute is what is not of any other."""
        compute = replace(self.total)
        for extra in self.extras.values():
            compute.nano -= extra.nano
            compute.low -= extra.low
            compute.high -= extra.high
            compute.unpriced -= extra.unpriced
        return {COMPUTE: compute, **self.extras}

    def _add_extra(self, group: Sum, component: str, part: Part, less: Part) -> None:
        self.extras.setdefault(component, Sum()).add(part, less)
        self.total.add(_timeless(part), _timeless(less))
        if self._single:
            group.add(part, less)
        else:
            group.add(_timeless(part), _timeless(less))

    def _add_days(self, days: Days, group: DayRow | None, item: Item) -> None:
        timed = item.component == COMPUTE
        rows = [self._total_days] if group is None else [self._total_days, group]
        less = _part(item.span, item.first, timed=timed)
        second, index = item.first, days.first(item.first)
        while second < item.last:
            end = days.whole_until(index, item.last) if second == days.bounds[index] else index
            if end - index > 1 and (not item.span.rounding or less.low):
                for row in rows:
                    row.repeat(index, end, _day_of(item.span, timed=timed))
                second, index = days.bounds[end], end
                less = _part(item.span, second, timed=timed)
                continue
            ends = days.bounds[index + 1] if index + 1 < len(days.bounds) else item.last
            second = min(item.last, ends)
            part = _part(item.span, second, timed=timed)
            for row in rows:
                row.days[index].add(part, less)
            less, index = part, index + 1


class DayRow:
    """Totals of days; what is the same on each of many days is added once, by its ends."""

    def __init__(self, count: int) -> None:
        self.days = [Sum() for _ in range(count)]
        self._steps: dict[int, Sum] = {}

    def repeat(self, first: int, end: int, part: Part) -> None:
        """Add a part to every day from `first` to before `end`."""
        self._steps.setdefault(first, Sum()).add(part)
        self._steps.setdefault(end, Sum()).add(NOTHING, part)

    def sums(self) -> list[Sum]:
        """Return the totals, one of a day."""
        level, out = Sum(), []
        for index, day in enumerate(self.days):
            step = self._steps.get(index)
            if step is not None:
                level.join(step)
            total = replace(day)
            total.join(level)
            out.append(total)
        return out


def _part(span: Span, second: int, *, timed: bool) -> Part:
    part = until(span, second)
    return part if timed else _timeless(part)


def _day_of(span: Span, *, timed: bool) -> Part:
    """Return what any whole day of 24 hours within a span costs: no rounding differs by day."""
    if span.burn_high is None:
        part = Part(0, 0, 0, DAY_S, DAY_S if span.replicas else 0, DAY_S * span.replicas)
    else:
        least, burn, most = (
            (each or 0) * 24 for each in (span.burn_low, span.burn, span.burn_high)
        )
        part = Part(burn, least, most, 0, DAY_S if span.replicas else 0, DAY_S * span.replicas)
    return part if timed else _timeless(part)


def _timeless(part: Part) -> Part:
    """Return the money of a part without its time, which replicas count already."""
    return part._replace(billed=0, replica_seconds=0)
