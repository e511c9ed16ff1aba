"""Ledger rows for one report: read, clipped to what was asked and measured, and added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from sqlmodel import Session

from orchestrator.costs.days import Days, epoch, from_epoch
from orchestrator.costs.sums import Part, Span, Sum, until
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
    """The intervals that touch `[start, stop)`; open ones end at the last look."""

    def __init__(
        self, session: Session, start: datetime, stop: datetime, wanted: SpanFilter
    ) -> None:
        self.looks = {
            each.endpoint_id: each for each in ledger_reads.last_looks(session, wanted.account_id)
        }
        self._session = session
        self._start = start
        self._stop = stop
        self._wanted = wanted
        self._measured: int | None = epoch(stop)
        self._until = {
            each.endpoint_id: None if each.until is None else epoch(each.until)
            for each in self.looks.values()
        }

    def items(self) -> Iterator[Item]:
        """Yield every interval that a report counts a part of."""
        lower, upper = epoch(self._start), epoch(self._stop)
        for row in self._rows():
            endpoint_id, component, hardware_key, units, started, ended, billed, *amounts = row
            first = int(started)
            last = self._vouched(endpoint_id) if ended is None else int(ended)
            span = Span(first, billed // units if units > 1 else billed, *amounts)
            first, last = max(first, lower), min(last, upper)
            if first < last:
                yield Item(endpoint_id, component, hardware_key, span, first, last)

    def measured_until(self) -> datetime | None:
        """Return up to when all was measured, once the items were read."""
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

    def _vouched(self, endpoint_id: str) -> int:
        """Return the end of an open interval, and remember the earliest."""
        known = self._until[endpoint_id]
        if known is None or self._measured is None:
            self._measured = None
            return 0
        self._measured = min(self._measured, known)
        return known


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
        self.days_total = [Sum() for _ in self.dates]
        self._each_group = each_group
        self._group_days: dict[str, list[Sum]] = {}

    def days_of(self, key: str) -> list[Sum]:
        """Return the days of one group."""
        return self._group_days[key]

    def add(self, key: str, item: Item) -> None:
        """Add one interval to its group."""
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Sum()
            if self._each_group:
                self._group_days[key] = [Sum() for _ in self.dates]
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

    def _add_days(self, days: Days, group: list[Sum] | None, item: Item) -> None:
        less = until(item.span, item.first)
        if item.component != COMPUTE:
            less = _timeless(less)
        second, index = item.first, days.first(item.first)
        while second < item.last:
            ends = days.bounds[index + 1] if index + 1 < len(days.bounds) else item.last
            second = min(item.last, ends)
            part = until(item.span, second)
            if item.component != COMPUTE:
                part = _timeless(part)
            if group is not None:
                group[index].add(part, less)
            self.days_total[index].add(part, less)
            less, index = part, index + 1


def _timeless(part: Part) -> Part:
    """Return the money of a part without its time, which replicas count already."""
    return part._replace(billed=0, replica_seconds=0)
