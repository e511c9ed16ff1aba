"""The queue of coming events; an endpoint, or a part of one, has one timer of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """What has timers: instants by kind; no two share a number."""

    number: int
    timers: dict[str, int]


T = TypeVar("T", bound=Timed)


class Timeline(Generic[T]):
    """Virtual time and what happens in it, ordered by instant, endpoint and kind."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._heap: list[tuple[int, int, str]] = []

    def set(self, endpoint: T, kind: str, at: int) -> None:
        """(Re)arm a timer; an instant in the past means now."""
        at = max(at, self.now)
        endpoint.timers[kind] = at
        heappush(self._heap, (at, endpoint.number, kind))

    def clear(self, endpoint: T, kinds: Iterable[str] | None = None) -> None:
        """Disarm these timers, or all of an endpoint."""
        for kind in list(endpoint.timers) if kinds is None else kinds:
            endpoint.timers.pop(kind, None)

    def rearm(self, endpoints: Iterable[T]) -> None:
        """Rebuild the queue from the timers of the endpoints."""
        self._heap.clear()
        for endpoint in endpoints:
            for kind, at in endpoint.timers.items():
                heappush(self._heap, (at, endpoint.number, kind))

    def due(self, until: int, endpoints: dict[int, T]) -> Iterator[tuple[T, str]]:
        """Each timer up to `until` in order, with `now` at its instant; then `now` is `until`."""
        while self._heap and self._heap[0][0] <= until:
            at, number, kind = heappop(self._heap)
            endpoint = endpoints[number]
            if endpoint.timers.get(kind) == at:
                del endpoint.timers[kind]
                self.now = at
                yield endpoint, kind
        self.now = max(self.now, until)
