"""The pace of calls: one lane per account and API, shared by all threads of this process.

The order of every call is: wait for the pace, ask the permit (providers/permit.py), send. Lanes
outlive the drivers, so that what was learnt of a limit is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.clock import Clock
from orchestrator.domain.pace import Bounds, Pace, Quota
from orchestrator.providers.base import ThrottledError
from orchestrator.providers.permit import check_permit

# One wait is never longer than this: the caller is told when to come back instead.
LONGEST_WAIT = timedelta(seconds=15)
# So many changes may pass a waiting read before it has its turn.
MOST_OVERTAKING = 8
_UNTIL: ContextVar[datetime | None] = ContextVar("patience", default=None)


class HeldBackError(ThrottledError):
    """The call was not sent: its pace would have made the caller wait longer than it may."""


@contextmanager
def patient(until: datetime) -> Iterator[None]:
    """Let the calls of the block wait for their pace until that instant, and then be refused.

    Within another such block the earlier instant counts. A thread that the block starts inherits
    it only through `contextvars.copy_context`.
    """
    outer = _UNTIL.get()
    token = _UNTIL.set(until if outer is None else min(outer, until))
    try:
        yield
    finally:
        _UNTIL.reset(token)


@dataclass(frozen=True, slots=True)
class PaceReport:
    """What one lane has come to since the process began; `rate` is in calls a second."""

    account: str
    api: str
    calls: int
    throttled: int
    waited_seconds: float
    rate: float


class Lane:
    """The calls of one account to one API. Safe for threads."""

    def __init__(self, account: str, api: str, bounds: Bounds) -> None:
        self.account, self.api = account, api
        self._lock = threading.Lock()
        self._pace = Pace(bounds)
        self._calls = self._throttled = 0
        self._waited_s = 0.0
        self._waiting = {False: 0, True: 0}
        self._overtaken = 0

    def report(self) -> PaceReport:
        """Return its counts and its present rate."""
        with self._lock:
            counts = self._calls, self._throttled, self._waited_s
            return PaceReport(self.account, self.api, *counts, self._pace.rate)

    def try_take(self, now: float, *, change: bool) -> tuple[int, float]:
        """Return the number of a call that may go now, or 0 and the seconds to wait."""
        with self._lock:
            delay = self._pace.delay(now, change=change)
            if delay == 0.0 and not change and self._must_yield():
                delay = 1 / self._pace.rate
            if delay > 0.0:
                return 0, delay
            return self._take(now, change=change), 0.0

    def force(self, now: float, *, change: bool) -> int:
        """Count a call whose wait is over although the clock does not show it."""
        with self._lock:
            self._pace.waited_out(now)
            return self._take(now, change=change)

    @contextmanager
    def waiting(self, *, change: bool) -> Iterator[None]:
        """Count somebody who waits here, so that reads let changes pass."""
        with self._lock:
            self._waiting[change] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[change] -= 1

    def waited(self, seconds: float) -> None:
        """Count time spent waiting."""
        with self._lock:
            self._waited_s += seconds

    def answered(
        self, number: int, now: float, *, refused: bool, wait: float | None, quota: Quota | None
    ) -> None:
        """Learn from an answer."""
        with self._lock:
            if quota is not None:
                self._pace.told(now, quota)
            if refused:
                self._throttled += 1
                self._pace.refused(now, number, wait)
            else:
                self._pace.succeeded(now)

    def _must_yield(self) -> bool:
        return self._waiting[True] > 0 and self._overtaken < MOST_OVERTAKING

    def _take(self, now: float, *, change: bool) -> int:
        self._calls += 1
        if not change:
            self._overtaken = 0
        elif self._waiting[False]:
            self._overtaken += 1
        return self._pace.take(now, change=change)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A call that was let through; its answer is told to the pacer with it."""

    lane: Lane
    number: int


class Pacer:
    """Paces the calls of one driver, on its clock and with its sleep."""

    def __init__(
        self,
        lane: Callable[[str], Lane],
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._lane, self._clock, self._sleep = lane, clock, sleep

    def admit(self, api: str, *, change: bool) -> Ticket:
        """Wait until a call may go, and count it.

        Raises HeldBackError, with the time to come back, when that takes longer than the caller
        may wait; then nothing is sent. NotPermittedError passes through.
        """
        lane = self._lane(api)
        number, delay = lane.try_take(self._seconds(), change=change)
        if number:
            return Ticket(lane, number)
        with lane.waiting(change=change):
            return Ticket(lane, self._wait(lane, delay, change=change))

    def answered(
        self,
        ticket: Ticket,
        *,
        refused: bool = False,
        wait: timedelta | None = None,
        quota: Quota | None = None,
    ) -> None:
        """Learn from an answer: whether it was a refusal for the rate, and what it told."""
        seconds = None if wait is None else wait.total_seconds()
        ticket.lane.answered(
            ticket.number, self._seconds(), refused=refused, wait=seconds, quota=quota
        )

    def _wait(self, lane: Lane, delay: float, *, change: bool) -> int:
        while True:
            self._check_patience(lane, delay)
            check_permit()
            before = self._seconds()
            self._sleep(delay)
            now = self._seconds()
            lane.waited(max(now - before, 0.0))
            check_permit()
            if now - before < delay / 2:  # the sleep ended early, or the clock stands still
                return lane.force(now, change=change)
            number, delay = lane.try_take(now, change=change)
            if number:
                return number

    def _check_patience(self, lane: Lane, delay: float) -> None:
        wait, until = timedelta(seconds=delay), _UNTIL.get()
        if wait <= LONGEST_WAIT and (until is None or self._clock.now() + wait <= until):
            return
        raise HeldBackError(
            f"{lane.api} of {lane.account} is at its rate limit: nothing was sent, the next call "
            f"may go in {delay:.0f} s",
            retry_after=wait,
        )

    def _seconds(self) -> float:
        return self._clock.now().timestamp()


class Pacing:
    """All lanes of this process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str], Lane] = {}

    def lane(self, place: str, account: str, api: str, bounds: Bounds) -> Lane:
        """Return the lane of an API at a place where endpoints live, shown as `account`."""
        with self._lock:
            found = self._lanes.get((place, api))
            if found is None:
                found = self._lanes[place, api] = Lane(account, api, bounds)
            found.account = account
            return found

    def report(self) -> tuple[PaceReport, ...]:
        """Return what every lane has come to, by account and API."""
        with self._lock:
            lanes = list(self._lanes.values())
        return tuple(sorted((lane.report() for lane in lanes), key=lambda r: (r.account, r.api)))
