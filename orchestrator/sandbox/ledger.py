"""The cloud's own bill: what it charges, to the second, from the history of the states.

A transition at any fraction of a second counts from the whole second below it. Billed replicas:
running: those ready, and with `initializing_billed` also those that start to reach the target;
initializing: the target, if `initializing_billed`; updating and updateFailed: the old replicas,
and while updating also the new ones, if `update_doubles_billing`; pending and failed: the target,
if their switches say so; paused: none, or those that still drain, if `draining_billed`;
scaledToZero: none. Every replica is one run from its start to its stop (the newest stops first);
with `minute_rounding="up"` each run is rounded up to whole minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from orchestrator.sandbox.catalog import NANO, Catalog
from orchestrator.sandbox.endpoint import Endpoint, Frame, hardware_id
from orchestrator.sandbox.instants import SECOND, to_datetime
from orchestrator.sandbox.switches import Switches


@dataclass(frozen=True, slots=True)
class BillLine:
    """One stretch of one endpoint on one product at one price.

    `stopped_at` is None while it runs; `nano_usd` is a whole number of 1e-9 USD.
    """

    endpoint_id: str
    name: str
    product: str
    started_at: datetime
    stopped_at: datetime | None
    replica_seconds: int
    usd_per_hour: Decimal
    nano_usd: int


@dataclass(slots=True)
class _Line:
    hardware_id: str
    price: Decimal
    start: int
    stop: int | None = None
    open: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)

    def resize(self, second: int, replicas: int) -> None:
        while len(self.open) > replicas:
            self.runs.append((self.open.pop(), second))
        self.open.extend([second] * (replicas - len(self.open)))

    def close(self, second: int) -> None:
        self.resize(second, 0)
        self.stop = second


def billed_replicas(frame: Frame, switches: Switches) -> list[tuple[int, int]]:
    """(number of the settings, replicas) that cost money in a stretch."""
    old, new = (frame.serving, frame.ready), (frame.spec, frame.target)
    starting = frame.target if switches.initializing_billed else 0
    charged = {
        "running": [(frame.serving, max(frame.ready, starting))],
        "initializing": [new] if switches.initializing_billed else [],
        "updating": [old, new] if switches.update_doubles_billing else [old],
        "updateFailed": [old],
        "pending": [new] if switches.pending_billed else [],
        "failed": [new] if switches.failed_billed else [],
        "paused": [old] if switches.draining_billed else [],
    }
    return charged.get(frame.state, [])


@dataclass(slots=True)
class _Fold:
    """Lines of one endpoint while its history is read from the beginning."""

    catalog: Catalog
    running: dict[str, _Line] = field(default_factory=dict)
    done: list[_Line] = field(default_factory=list)

    def stretch(self, begin: int, end: int, replicas: dict[str, int]) -> None:
        for key in [key for key in self.running if not replicas.get(key)]:
            self._close(key, begin)
        for key, count in replicas.items():
            changes = self.catalog.price_changes(key, begin * SECOND, end * SECOND)
            for second in (begin, *(at // SECOND for at in changes)):
                self._charge(key, count, second)

    def _charge(self, key: str, count: int, second: int) -> None:
        price = self.catalog.price_at(key, second * SECOND)
        if key in self.running and self.running[key].price != price:
            self._close(key, second)
        if key not in self.running:
            self.running[key] = _Line(key, price, second)
        self.running[key].resize(second, count)

    def _close(self, key: str, second: int) -> None:
        line = self.running.pop(key)
        line.close(second)
        self.done.append(line)

    def close(self, second: int) -> None:
        for key in list(self.running):
            self._close(key, second)

    def lines(self) -> list[_Line]:
        every = [*self.done, *self.running.values()]
        return sorted(every, key=lambda line: (line.start, line.hardware_id))


class Ledger:
    """Prices the history of endpoints."""

    def __init__(self, catalog: Catalog, switches: Switches) -> None:
        self._catalog = catalog
        self._switches = switches

    def lines(
        self, endpoint: Endpoint, now: int, start: int | None = None, end: int | None = None
    ) -> Iterator[BillLine]:
        """The bill of one endpoint up to now, or the part of it between two instants."""
        low = 0 if start is None else start // SECOND
        high = (1 << 62) if end is None else end // SECOND
        for line in self._fold(endpoint, now):
            amount = sum(
                self._length(run, min(high, 1 << 62)) - self._length(run, low)
                for run in (*line.runs, *((begun, now // SECOND) for begun in line.open))
            )
            if amount or (start is None and end is None):
                yield self._bill(endpoint, line, amount)

    def _length(self, run: tuple[int, int], until: int) -> int:
        """Billed seconds of a run that lie before `until`."""
        seconds = run[1] - run[0]
        if self._switches.minute_rounding == "up":
            seconds = -(-seconds // 60) * 60
        return min(max(until - run[0], 0), seconds)

    def _bill(self, endpoint: Endpoint, line: _Line, seconds: int) -> BillLine:
        cost = seconds * line.price * NANO / 3600
        return BillLine(
            endpoint_id=endpoint.id,
            name=endpoint.name,
            product=self._catalog.offer(line.hardware_id).sku,
            started_at=to_datetime(line.start * SECOND),
            stopped_at=None if line.stop is None else to_datetime(line.stop * SECOND),
            replica_seconds=seconds,
            usd_per_hour=line.price,
            nano_usd=int(cost.quantize(Decimal(1), ROUND_HALF_EVEN)),
        )

    def _fold(self, endpoint: Endpoint, now: int) -> list[_Line]:
        fold = _Fold(self._catalog)
        for begin, end, replicas in self._stretches(endpoint, now):
            fold.stretch(begin, end, replicas)
        if endpoint.deleted_at is not None:
            fold.close(endpoint.deleted_at // SECOND)
        return fold.lines()

    def _stretches(self, endpoint: Endpoint, now: int) -> Iterator[tuple[int, int, dict[str, int]]]:
        """(first second, end, billed replicas by hardware) of each stretch that is not empty."""
        last = now if endpoint.deleted_at is None else endpoint.deleted_at
        ends = [frame.at for frame in endpoint.frames[1:]] + [last]
        for frame, end in zip(endpoint.frames, ends, strict=True):
            begin, stop = frame.at // SECOND, end // SECOND
            if begin < stop or frame is endpoint.frame:
                replicas: dict[str, int] = {}
                for number, count in billed_replicas(frame, self._switches):
                    if count:
                        key = hardware_id(endpoint.specs[number])
                        replicas[key] = replicas.get(key, 0) + count
                yield begin, stop, replicas
