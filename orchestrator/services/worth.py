"""What a course costs: as metered where it really ran, else at the rates of the time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.costs.days import epoch
from orchestrator.costs.figures import Figure
from orchestrator.costs.sums import Sum, until
from orchestrator.costs.tally import Book, Item
from orchestrator.domain.money import amount_for
from orchestrator.domain.rerun import Course, Leg
from orchestrator.services.reruns import Courses
from orchestrator.store import history
from orchestrator.store.ledger import COMPUTE
from orchestrator.store.ledger_reads import SpanFilter
from orchestrator.store.tables import Endpoint

Seconds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RateCard:
    """Nano-dollars per hour of one awake replica and what is billed beside it, since when."""

    since: tuple[int, ...]
    nano: tuple[int | None, ...]

    def cost(self, start: int, end: int, replicas: int) -> Figure:
        """Return what replicas cost over a span of seconds since 1970."""
        total = Figure()
        for first, last, nano in self._pieces(start, end):
            if nano is None:
                total += Figure(unpriced_seconds=last - first)
            else:
                amount = amount_for(nano * replicas, last - first)
                total += Figure(amount, amount, amount)
        return total

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int | None]]:
        place = bisect_right(self.since, start) - 1
        while start < end:
            following = self.since[place + 1] if place + 1 < len(self.since) else end
            yield start, min(following, end), self.nano[place] if place >= 0 else None
            start, place = min(following, end), place + 1


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was metered of one endpoint, and the rates by which other time is priced.

    `measured_until` is up to when it was looked at.
    """

    items: tuple[Item, ...]
    awake: tuple[Seconds, ...]
    card: RateCard
    replicas: int
    measured_until: datetime

    def metered(self, start: datetime, end: datetime) -> Figure:
        """Return what was metered in `[start, end)`."""
        return self._metered(epoch(start), epoch(end))

    def awake_seconds(self, start: datetime, end: datetime) -> int:
        """Return for how many seconds of `[start, end)` it was billed at all."""
        first, last = epoch(start), epoch(end)
        return sum(max(0, min(b, last) - max(a, first)) for a, b in self.awake)

    def cost(self, start: datetime, end: datetime) -> Figure:
        """Return what being awake in `[start, end)` costs: as metered, or at the rates then."""
        return self._metered(epoch(start), epoch(end)) + self.unmetered(start, end)

    def unmetered(self, start: datetime, end: datetime) -> Figure:
        """Return what being awake in that part of `[start, end)` costs in which it slept."""
        total = Figure()
        for begin, stop in self._gaps(epoch(start), epoch(end)):
            total += self.card.cost(begin, stop, self.replicas)
        return total

    def _metered(self, first: int, last: int) -> Figure:
        total = Sum()
        for item in self.items:
            begin, stop = max(first, item.first), min(last, item.last)
            if begin < stop:
                total.add(until(item.span, stop), until(item.span, begin))
        return total.figure()

    def _gaps(self, first: int, last: int) -> Iterator[Seconds]:
        """Yield the parts in which nothing was billed."""
        reached = first
        for begin, stop in self.awake:
            if stop <= reached or begin >= last:
                continue
            if begin > reached:
                yield reached, begin
            reached = max(reached, stop)
        if reached < last:
            yield reached, last


def ledger_of(session: Session, endpoint: Endpoint, start: datetime, end: datetime) -> Ledger:
    """Return what was metered of an endpoint in `[start, end)`, and its rates."""
    book = Book(session, start, end, SpanFilter(endpoint_ids=[endpoint.id]))
    items = tuple(book.items())
    billed = [
        (one.first, one.last) for one in items if one.component == COMPUTE and one.span.replicas
    ]
    return Ledger(
        items,
        tuple(_joined(billed)),
        _card(session, endpoint),
        _replicas(endpoint),
        max(start, min(book.measured_until() or start, end)),
    )


def total_of(ledger: Ledger, course: Course) -> Figure:
    """Return what a course costs."""
    total = Figure()
    for begin, stop in joined_legs(course.legs):
        total += ledger.cost(begin, stop)
    return total


def band(ledger: Ledger, courses: Courses) -> Figure:
    """Return what a course costs, from the least of what may have been to the most."""
    figures = [total_of(ledger, one) for one in (courses.low, courses.expected, courses.high)]
    return Figure(
        figures[1].nano,
        min(one.low for one in figures),
        max(one.high for one in figures),
        max(one.unpriced_seconds for one in figures),
    )


def joined_legs(legs: Iterable[Leg]) -> list[tuple[datetime, datetime]]:
    """Return the time in which it is awake, without seams."""
    found: list[tuple[datetime, datetime]] = []
    for leg in legs:
        if not leg.awake:
            continue
        if found and found[-1][1] == leg.start:
            found[-1] = (found[-1][0], leg.end)
        else:
            found.append((leg.start, leg.end))
    return found


def _joined(spans: Iterable[Seconds]) -> list[Seconds]:
    found: list[Seconds] = []
    for begin, stop in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((begin, stop))
    return found


def _replicas(endpoint: Endpoint) -> int:
    return max(endpoint.min_replicas or 0, 1)


def _card(session: Session, endpoint: Endpoint) -> RateCard:
    """Return the rates over time of a replica of what the endpoint is now made of."""
    units = {endpoint.hardware_key: 1}
    for extra in endpoint.extras:
        units[extra["key"]] = units.get(extra["key"], 0) + int(extra["units"])
    steps: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for rate in history.rates(session, endpoint.account_id, units):
        steps[epoch(rate.effective_at)][rate.hardware_key] = rate.nano_per_hour
    known: dict[str, int] = {}
    since: list[int] = []
    nano: list[int | None] = []
    for at in sorted(steps):
        known |= steps[at]
        since.append(at)
        nano.append(_sum(known, units, endpoint.hardware_key))
    return RateCard(tuple(since), tuple(nano))


def _sum(known: dict[str, int], units: dict[str, int], compute: str) -> int | None:
    if compute not in known:
        return None
    return sum(known.get(key, 0) * count for key, count in units.items())


__all__: Sequence[str] = ("Ledger", "RateCard", "band", "joined_legs", "ledger_of", "total_of")
