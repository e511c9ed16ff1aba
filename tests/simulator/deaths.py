"""Where a process may die: at every commit and every call, before, in the middle, or after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import httpx2
from sqlalchemy import event
from sqlmodel import Session

from orchestrator.store.database import Database
from tests.simulator.tally import TALLY
from tests.support.stage import Killed

POINTS = (
    "call before",
    "call middle",
    "call after",
    "change before",
    "change middle",
    "change after",
    "commit before",
    "commit middle",
    "commit after",
)
_WRITES = ("INSERT", "UPDATE", "DELETE")
_MIDDLES = ("change middle", "call middle")
Hook = Callable[[], None]


class Watch(Protocol):
    """Looks at every call: as it leaves for a cloud, and once that has served it."""

    def leave(self, request: httpx2.Request) -> None:
        """See a change off."""

    def look(self, request: httpx2.Request | None) -> None:
        """See what was served; None for what its sender waits for no more."""


Lost = Callable[[httpx2.Request], None]


def _nobody(what: str) -> None:
    del what


class Reaper:
    """Counts down to points at which the process dies; `change …` counts changing calls alone."""

    def __init__(self) -> None:
        self._armed: dict[str, int] = {}
        self.deaths = 0
        # Told of every use of the store, of a cloud and of the clock: pure rules make none.
        self.touched: Callable[[str], None] = _nobody

    def arm(self, point: str, number: int) -> None:
        """Let the process die at the `number`-th such point from now on."""
        self._armed[point] = number

    def disarm(self) -> None:
        """Let it live."""
        self._armed.clear()

    def waits(self, points: Iterable[str]) -> bool:
        """Tell whether it is to die at one of some points."""
        return not self._armed.keys().isdisjoint(points)

    def due(self, point: str) -> bool:
        """Count a point; True when the process dies at it."""
        left = self._armed.get(point)
        if left is None:
            return False
        if left > 1:
            self._armed[point] = left - 1
            return False
        del self._armed[point]
        return True

    def die(self, point: str) -> None:
        """Die, and have it counted."""
        self.deaths += 1
        TALLY.add("deaths", point)
        raise Killed

    def reach(self, point: str) -> None:
        """Count a point, and die at it if that is due."""
        if self.due(point):
            self.die(point)


class MortalDatabase(Database):
    """A store at whose commits the process may die."""

    def __init__(self, url: str, reaper: Reaper) -> None:
        super().__init__(url, durable=False)
        self.reaper = reaper
        event.listen(self.engine, "before_cursor_execute", self._count)

    @contextmanager
    def read(self) -> Iterator[Session]:
        self.reaper.touched("the store")
        with super().read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        self.reaper.touched("the store")
        with super().write() as session:
            yield session
            self.reaper.reach("commit before")
        self.reaper.reach("commit after")

    def _count(self, connection: object, cursor: object, statement: str, *_: object) -> None:
        del connection, cursor
        if statement.startswith(_WRITES):
            self.reaper.reach("commit middle")


class Wire(httpx2.BaseTransport):
    """Carries calls to the clouds; the process may die at one, and others may act meanwhile.

    A change that is late has no answer, and reaches the cloud when it lands.
    """

    def __init__(self, inner: httpx2.BaseTransport, reaper: Reaper, watch: Watch) -> None:
        self._inner, self._reaper, self._watch = inner, reaper, watch
        self.calls = 0
        self._meanwhile: tuple[int, Hook] | None = None
        self._late: tuple[int, Lost] | None = None

    def delay(self, number: int, lost: Lost) -> None:
        """Give the `number`-th change from now on to `lost`, in place of the cloud."""
        self._late = (number, lost)

    def land(self, request: httpx2.Request) -> None:
        """Let the cloud serve a change whose sender waits no more."""
        with suppress(httpx2.TransportError):
            self._inner.handle_request(request)
        self._watch.look(None)

    def arm(self, number: int, hook: Hook) -> None:
        """Let `hook` run while the `number`-th call from now on is on its way."""
        self._meanwhile = (number, hook)

    def disarm(self) -> None:
        """Let nothing happen meanwhile, and no change be late."""
        self._meanwhile = self._late = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._reaper.touched("a cloud")
        change = changes(request)
        if change:
            self._watch.leave(request)
        self._happen()
        self._point("before", change=change)
        if change and self._is_late(request):
            raise httpx2.ReadTimeout("timed out", request=request)
        try:
            response = self._inner.handle_request(request)
        finally:
            self._watch.look(request)
        self._point("after", change=change)
        if self._reaper.waits(_MIDDLES):
            response.read()  # one that a fault has cut off is nobody's death
        point = self._broken(change=change)
        if point:
            broken = _DyingStream(response.read(), self._reaper, point)
            return httpx2.Response(response.status_code, headers=response.headers, stream=broken)
        return response

    def _is_late(self, request: httpx2.Request) -> bool:
        if self._late is None:
            return False
        left, lost = self._late
        self._late = (left - 1, lost) if left > 1 else None
        if left == 1:
            lost(request)
        return left == 1

    def _happen(self) -> None:
        self.calls += 1
        if self._meanwhile is None:
            return
        left, hook = self._meanwhile
        self._meanwhile = (left - 1, hook) if left > 1 else None
        if left == 1:
            hook()

    def _point(self, which: str, *, change: bool) -> None:
        self._reaper.reach(f"call {which}")
        if change:
            self._reaper.reach(f"change {which}")

    def _broken(self, *, change: bool) -> str:
        """Return the point at which the reader of this answer dies; empty if it lives."""
        points = _MIDDLES if change else ("call middle",)
        return next((point for point in points if self._reaper.due(point)), "")


class _DyingStream(httpx2.SyncByteStream):
    """An answer in the middle of which the reader dies."""

    def __init__(self, body: bytes, reaper: Reaper, point: str) -> None:
        self._body, self._reaper, self._point = body, reaper, point

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        self._reaper.die(self._point)


def changes(request: httpx2.Request) -> bool:
    """Tell whether a request asks a cloud for a change."""
    target = request.headers.get("x-amz-target", "")
    if not target and b"amz" not in request.headers.get("authorization", "").encode()[:8]:
        return request.method != "GET"
    verb: Any = target.rsplit(".", 1)[-1]
    return not verb.startswith(("List", "Describe", "Get", "Search"))
