"""A tiny cloud with a true bill, random looks at it, and the ledger that they make.

All instants are milliseconds of true time; what the ledger hears are readings of a local clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from orchestrator.costs.observe import Look, Observation, observe, streams
from orchestrator.costs.rates import PriceNews, reprice
from orchestrator.costs.stretch import next_second, whole_second
from orchestrator.domain.endpoints import NOT_BILLED, BilledReplicas, Extra
from orchestrator.domain.status import Status
from orchestrator.store.ledger import Price, Stretch

T0 = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
Repricer = Callable[[Sequence[Stretch], PriceNews], list[Stretch]]
Planner = Callable[[Sequence[Stretch], Observation, Price | None, Look], list[Stretch]]


@dataclass(frozen=True)
class Change:
    """From `at` on the endpoint is so; `traced` changes move the cloud's `updated_at`."""

    at: int
    status: Status
    replicas: int
    hardware: str = "a"
    traced: bool = True


@dataclass(frozen=True)
class LookAt:
    """A look: asked, reading the state at `seen`, answered; `lost` looks never reach the ledger."""

    asked: int
    seen: int
    answered: int
    lost: bool = False
    twice: bool = False


@dataclass(frozen=True)
class Scenario:
    """A true history and the looks at it; `prices` maps hardware to (since, nano per hour)."""

    changes: tuple[Change, ...]
    looks: tuple[LookAt, ...]
    prices: dict[str, tuple[tuple[int, int], ...]]
    deleted: int | None = None
    readings: tuple[int, ...] = ()
    rounding: str = "none"
    max_replicas: int = 3
    gap_limit_s: int = 180
    starting_is_billed: bool = True
    cloud_skew_ms: int = 0
    steps: tuple[tuple[int, int], ...] = ()

    def local(self, ms: int) -> datetime:
        """Return what our clock shows."""
        offset = sum(by for at, by in self.steps if at <= ms)
        return T0 + timedelta(milliseconds=ms + offset)

    def cloud(self, ms: int) -> datetime:
        """Return what the cloud's clock shows."""
        return T0 + timedelta(milliseconds=ms + self.cloud_skew_ms)

    def at(self, ms: int) -> Change | None:
        """Return the true state, None before it was created and once it is deleted."""
        if self.deleted is not None and ms >= self.deleted:
            return None
        index = bisect_right([each.at for each in self.changes], ms) - 1
        return self.changes[index] if index >= 0 else None

    def price(self, hardware: str, ms: int) -> int:
        """Return the true price of a replica."""
        return [nano for since, nano in self.prices[hardware] if since <= ms][-1]

    def billed(self, change: Change) -> int:
        """Return the replicas that are truly billed in a state."""
        starting = change.status is Status.INITIALIZING
        return 0 if starting and not self.starting_is_billed else change.replicas

    def updated(self, ms: int) -> int:
        """Return when the last traced change was."""
        return max(
            each.at
            for index, each in enumerate(self.changes)
            if each.at <= ms and (each.traced or index == 0)
        )

    def observation(self, ms: int, last_updated: int | None) -> Observation:
        """Return what a look sees that reads the state at `ms`."""
        now = self.at(ms)
        if now is None:
            return Observation(
                endpoint_id="ep",
                status=Status.DELETED,
                deleted=True,
                max_replicas=self.max_replicas,
            )
        updated = self.updated(ms)
        low = 0 if now.status is Status.INITIALIZING else now.replicas
        return Observation(
            endpoint_id="ep",
            status=now.status,
            billed=BilledReplicas(low, now.replicas, now.replicas) if now.replicas else NOT_BILLED,
            hardware_key=now.hardware,
            max_replicas=self.max_replicas,
            moved=last_updated is not None and updated != last_updated,
            created_at=self.cloud(self.changes[0].at),
            updated_at=self.cloud(updated),
        )


@dataclass
class Books:
    """The ledger of one endpoint in memory, kept as the store keeps it."""

    scenario: Scenario
    planner: Planner = observe
    repricer: Repricer = reprice
    rows: list[Stretch] = field(default_factory=list)
    prices: dict[str, Price] = field(default_factory=dict)
    confirmed: int | None = None
    updated: int | None = None
    read_at: int | None = None
    _next_id: int = 1

    def run(self) -> None:
        """Live through the scenario: price lists first, looks after."""
        happenings: list[tuple[int, int, LookAt | None]] = [
            (at, 0, None) for at in self.scenario.readings
        ]
        happenings += [(look.asked, 1, look) for look in self.scenario.looks]
        for at, _, look in sorted(happenings, key=lambda each: each[:2]):
            if look is None:
                self._read_prices(at)
            elif not look.lost:
                self._look(look)

    def _look(self, at: LookAt) -> None:
        scenario = self.scenario
        seen = scenario.observation(at.seen, self.updated)
        exists = bool(self.rows) and self.rows[-1].ended_at is None
        if exists or not seen.deleted:
            look = Look(
                confirmed_at=None if self.confirmed is None else scenario.local(self.confirmed),
                seen_at=scenario.local(at.answered),
                gap_limit=timedelta(seconds=scenario.gap_limit_s),
            )
            self._observe(seen, look)
            if at.twice:
                before = list(self.rows)
                self._observe(seen, look)
                assert self.rows == before, "the same observation twice wrote something"
        self.confirmed = at.asked
        self.updated = None if seen.deleted else scenario.updated(at.seen)

    def _observe(self, seen: Observation, look: Look) -> None:
        kept, tail = self._tail(look.confirmed_at)
        price = self.prices.get(seen.hardware_key)
        self._save(kept, self.planner(tail, seen, price, look))

    def _tail(self, since: datetime | None) -> tuple[list[Stretch], list[Stretch]]:
        def late(each: Stretch) -> bool:
            return each.ended_at is None or (since is not None and each.ended_at > since)

        return [each for each in self.rows if not late(each)], [
            each for each in self.rows if late(each)
        ]

    def _save(self, kept: list[Stretch], revised: list[Stretch]) -> None:
        self.rows = list(kept)
        for each in revised:
            if each.id is None:
                self._next_id += 1
                self.rows.append(replace(each, id=self._next_id))
            else:
                self.rows.append(each)

    def _read_prices(self, at: int) -> None:
        until = self.scenario.local(at)
        for hardware in self.scenario.prices:
            nano = self.scenario.price(hardware, at)
            old = self.prices.get(hardware)
            if old is not None and old.nano_per_hour == nano:
                continue
            new = Price(f"rat_{hardware}_{at}", nano, until, old.nano_per_hour if old else None)
            self.prices[hardware] = new
            since = until if self.read_at is None else self.scenario.local(self.read_at)
            news = PriceNews(
                hardware_key=hardware,
                price=new,
                since=next_second(until) if old is None else whole_second(since),
                until=next_second(until),
            )
            kept, tail = self._tail(news.since)
            if tail and any(each.hardware_key == hardware for each in tail):
                self._save(kept, self.repricer(tail, news))
        self.read_at = at


@dataclass(frozen=True)
class Disks:
    """How many gigabytes each replica has on each hardware; `alike`: all by the price of "a"."""

    sizes: dict[str, int]
    alike: bool

    def extras(self, hardware: str) -> tuple[Extra, ...]:
        """Return the disk of a replica on this hardware, where it has one."""
        size = self.sizes.get(hardware, 0)
        return (Extra("disk", self.key(hardware), size),) if size else ()

    def key(self, hardware: str) -> str:
        """Return what the price of a gigabyte is found under."""
        return "a" if self.alike else hardware

    def history(self, scenario: Scenario) -> Scenario:
        """Return the true history of the disks: a gigabyte stands for a replica."""
        return replace(
            scenario,
            max_replicas=scenario.max_replicas * max(self.sizes.values()),
            changes=tuple(
                replace(
                    each,
                    replicas=each.replicas * self.sizes[each.hardware],
                    hardware=self.key(each.hardware),
                )
                for each in scenario.changes
            ),
        )


@dataclass
class DiskBooks(Books):
    """The ledger of the disks of one endpoint, out of looks at the whole endpoint."""

    disks: Disks = field(default_factory=lambda: Disks({}, alike=True))

    def _observe(self, seen: Observation, look: Look) -> None:
        standing = [("disk", each) for each in self.rows[-1:] if each.ended_at is None]
        whole = replace(seen, extras=self.disks.extras(seen.hardware_key))
        for each in streams(whole, standing):
            if each.component == "disk":
                super()._observe(each, look)


def bill(scenario: Scenario, start: int, end: int) -> Fraction:
    """Return the true bill of what ran in `[start, end)`, each replica's runs rounded."""
    total = Fraction(0)
    for layer in range(1, scenario.max_replicas + 1):
        for begin, stop, hardware in _runs(scenario, layer, start, end):
            cost = _exact(scenario, hardware, begin, stop)
            if stop < end:
                last = scenario.price(hardware, stop - 1)
                cost += Fraction(_rounded(scenario.rounding, stop - begin) * last, HOUR_MS)
            total += max(cost, Fraction(0))
    return total


def _rounded(how: str, duration: int) -> int:
    """Return by how many milliseconds a bill differs from a run."""
    down = duration // MINUTE_MS * MINUTE_MS
    up = -(-duration // MINUTE_MS) * MINUTE_MS
    nearest = up if 2 * (duration - down) >= MINUTE_MS else down
    return {"none": duration, "up": up, "down": down, "nearest": nearest}[how] - duration


def _runs(scenario: Scenario, layer: int, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    open_run: tuple[int, str] | None = None
    marks = sorted({start, end, *(each.at for each in scenario.changes), scenario.deleted or end})
    for mark in (each for each in marks if start <= each <= end):
        now = scenario.at(mark)
        up = now.hardware if now and mark < end and scenario.billed(now) >= layer else None
        if open_run is not None and open_run[1] != up:
            yield open_run[0], mark, open_run[1]
            open_run = None
        if up is not None and open_run is None:
            open_run = (mark, up)


def _exact(scenario: Scenario, hardware: str, begin: int, stop: int) -> Fraction:
    cuts = [begin, *(at for at, _ in scenario.prices[hardware] if begin < at < stop), stop]
    return sum(
        (
            Fraction((late - early) * scenario.price(hardware, early), HOUR_MS)
            for early, late in pairwise(cuts)
        ),
        Fraction(0),
    )


def to_ms(instant: datetime) -> int:
    """Return the true time of a local instant, for a clock that was never set."""
    return (instant - T0) // timedelta(milliseconds=1)


def ceil_second_ms(ms: int) -> int:
    """Return the next whole second in milliseconds."""
    return to_ms(next_second(T0 + timedelta(milliseconds=ms)))
