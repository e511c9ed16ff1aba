"""Claims of accounts on Postgres: leases, locks, fair shares and take-overs.

An owner may speak for an account while its session is known to hold the account's lock and its
lease has not ended, both by a clock of its own. `taking.py` tells how others take over.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import structlog
from sqlmodel import Session

from orchestrator import __version__
from orchestrator.engine.claims import Claim
from orchestrator.engine.taking import PERMIT_S, Taker
from orchestrator.providers.permit import NotPermittedError
from orchestrator.store.claims import (
    CLAIMS,
    NUDGE,
    Blocked,
    Direct,
    Fault,
    Standing,
    fence,
    lock_key,
)
from orchestrator.store.database import Database

log = structlog.get_logger(__name__)

TICK_S = 0.5
PATIENCE_S = 1.5
UNWELL_AFTER_S = 60.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 5.0


def boot_seconds() -> float:
    """Return a clock that never goes back and counts the time that a machine was suspended."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(slots=True)
class _Owned:
    """One of our claims: permits end at `until`; `busy` counts passes under way."""

    epoch: int
    until: float
    busy: int = 0


def _nothing() -> None:
    """Nobody listens yet."""


class PostgresClaims:
    """The claims of one process, kept by one thread with a connection of its own.

    `step` is one round of that thread; `ticks` is its clock, in seconds.
    """

    def __init__(
        self,
        url: str,
        worker: str,
        *,
        lease_s: float = 15.0,
        ticks: Callable[[], float] = boot_seconds,
    ) -> None:
        self.worker = worker
        self._changed = self._nudged = _nothing
        self._url, self._lease, self._ticks = url, lease_s, ticks
        self._state = threading.Condition()
        self._owned: dict[str, _Owned] = {}
        self._taker = Taker(worker, lease_s, ticks)
        self._direct: Direct | None = None
        self._last_pid: int | None = None
        self._verified = self._renewed = -math.inf
        self._well_at = ticks()
        self._stopping, self._ending = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, changed: Callable[[], None], nudged: Callable[[], None]) -> None:
        """Begin to claim accounts, in a thread, which calls the two."""
        self._changed, self._nudged = changed, nudged
        self._thread = threading.Thread(target=self._run, name="claims", daemon=True)
        self._thread.start()

    def of(self, account_ids: Sequence[str]) -> Collection[str]:
        """Return which of these accounts are ours, none once we stop."""
        if self._stopping.is_set():
            return ()
        with self._state:
            return frozenset(self._owned).intersection(account_ids)

    def claim(self, account_id: str) -> Claim:
        """Return our claim for one pass. Raises NotPermittedError when we have none."""
        with self._state:
            owned = self._owned.get(account_id)
            if owned is None or self._stopping.is_set():
                raise NotPermittedError("the account is not ours")
            owned.busy += 1
            return _PostgresClaim(self, account_id, owned)

    def epochs(self) -> dict[str, int]:
        """Return the epoch of every account that is ours."""
        with self._state:
            return {account_id: owned.epoch for account_id, owned in self._owned.items()}

    def well(self) -> bool:
        """Tell whether the direct connection works, or was lost only just now."""
        return self._ticks() < self._well_at + UNWELL_AFTER_S

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of this process."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Let no further call begin, and give back what no pass works on."""
        self._stopping.set()
        with self._state:
            self._state.notify_all()

    def release(self) -> None:
        """Give back what no pass works on and end the thread, in a few seconds at most."""
        self.stop()
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=LONGEST_PAUSE_S)
        else:
            self._end()

    def check(self, account_id: str, owned: _Owned) -> None:
        """Raise NotPermittedError unless the claim is known to be ours at this instant.

        Waits a little for the thread to verify it, which a busy machine may delay.
        """
        deadline = self._ticks() + PATIENCE_S
        with self._state:
            while True:
                if self._stopping.is_set():
                    raise NotPermittedError("this process is stopping")
                if self._owned.get(account_id) is not owned:
                    raise NotPermittedError("another worker may have the account")
                now = self._ticks()
                if now < min(owned.until, self._verified + PERMIT_S):
                    return
                if now >= deadline or self._thread is None:
                    raise NotPermittedError("the claim could not be verified in time")
                self._state.wait(deadline - now)

    def done(self, owned: _Owned) -> None:
        """Note that a pass has ended."""
        with self._state:
            owned.busy -= 1

    def _run(self) -> None:
        pause = TICK_S
        while not self._ending.is_set():
            try:
                self.step()
                pause = TICK_S
                self._listen()
            except Fault as fault:
                self.lost()
                log.warning("the workers' connection was lost", error=_line(fault))
                self._ending.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            except Exception:
                self.lost()
                log.exception("claims could not be kept; it is tried again")
                self._ending.wait(LONGEST_PAUSE_S)
        self._end()

    def _listen(self) -> None:
        """Wait for the next round, which comes early when somebody calls."""
        assert self._direct is not None  # noqa: S101 - a round has just used it
        pause = min(TICK_S, self._taker.next_end() - self._ticks())
        if NUDGE in self._direct.hear(max(pause, SHORTEST_PAUSE_S)):
            self._nudged()

    def step(self) -> None:
        """Look at all claims once: keep ours, give back what is too much, take what is free.

        Raises Fault when the connection does not work.
        """
        before = self.epochs()
        direct = self._direct or self._connect()
        asked = self._ticks()
        standing = direct.look(self._lease)
        if standing.pid != direct.pid:
            raise Fault("the connection does not keep its session: is a pooler in between?")
        self._verify(standing, asked)
        self._renew(direct, asked)
        self._give_back(direct, self._surplus(standing))
        if not self._stopping.is_set():
            self._take(direct, standing)
        if self.epochs() != before:
            self._changed()

    def _connect(self) -> Direct:
        direct = Direct(self._url, self.worker)
        self._renewed = -math.inf
        try:
            if self._last_pid is not None:
                direct.end_backend(self._last_pid)  # its server may not know yet that it is lost
            direct.begin(socket.gethostname(), os.getpid(), __version__)
            # Where nobody was quicker, a claim goes on as before.
            kept = {one for one in self.epochs() if direct.lock(one)}
        except Fault:
            direct.close()
            raise
        self._drop(set(self.epochs()) - kept)
        self._direct, self._last_pid = direct, direct.pid
        return direct

    def lost(self) -> None:
        """Forget the connection; permits end at once."""
        with self._state:
            self._verified = -math.inf
        if self._direct is not None:
            self._direct.close()
        self._direct = None
        self._taker.clear()

    def _verify(self, standing: Standing, asked: float) -> None:
        """Keep what is ours by row and by lock; our session lived when this was asked."""
        lost = set()
        for account_id, epoch in self.epochs().items():
            row = standing.rows.get(account_id)
            ours = row is not None and (row.owner, row.epoch) == (self.worker, epoch)
            if not ours or standing.holders.get(lock_key("account", account_id)) != standing.pid:
                lost.add(account_id)
        self._drop(lost)
        with self._state:
            self._verified = self._well_at = asked
            self._state.notify_all()

    def _renew(self, direct: Direct, asked: float) -> None:
        if asked < self._renewed + self._lease / 3:
            return
        epochs = self.epochs()
        try:
            direct.seen(stopping=self._stopping.is_set())
            renewed = direct.renew(epochs, self._lease)
        except Blocked:
            log.info("a claim could not be renewed yet: somebody is about to take it over")
            return
        self._drop({one for one, epoch in epochs.items() if renewed.get(one) != epoch})
        self._renewed = asked
        with self._state:
            for account_id in epochs:
                if account_id in self._owned:
                    self._owned[account_id].until = asked + self._lease
            self._state.notify_all()

    def _drop(self, account_ids: Collection[str]) -> None:
        """Forget claims that are ours no more; their passes end at their next call."""
        with self._state:
            for account_id in account_ids:
                if self._owned.pop(account_id, None) is not None:
                    log.warning("a claim was lost", account_id=account_id)
            self._state.notify_all()

    def _share(self, standing: Standing) -> int:
        """Return how many accounts a worker may have, so that all get about as many."""
        return math.ceil(len(standing.rows) / max(1, len(standing.live | {self.worker})))

    def _surplus(self, standing: Standing) -> list[str]:
        with self._state:
            idle = [one for one, owned in self._owned.items() if not owned.busy]
            gone = [one for one in idle if one not in standing.rows]
            if self._stopping.is_set():
                return idle
            rest = [one for one in idle if one in standing.rows]
            return gone + rest[: max(0, len(self._owned) - len(gone) - self._share(standing))]

    def _give_back(self, direct: Direct, account_ids: Collection[str]) -> None:
        given = False
        for account_id in account_ids:
            with self._state:
                owned = self._owned.get(account_id)
                if owned is None or owned.busy:
                    continue
                del self._owned[account_id]
            direct.give_back(account_id, owned.epoch)
            log.info("an account was given back", account_id=account_id)
            given = True
        if given:
            direct.tell(CLAIMS)

    def _take(self, direct: Direct, standing: Standing) -> None:
        mine = self.epochs()
        room = self._share(standing) - len(mine)
        for taken in self._taker.take(direct, standing, mine, room):
            with self._state:
                self._owned[taken.account_id] = _Owned(taken.epoch, taken.until)

    def _end(self) -> None:
        """Give back what no pass works on; the rest ends with the connection, and is taken over."""
        if self._direct is None:
            return
        with self._state:
            idle = [one for one, owned in self._owned.items() if not owned.busy]
        try:
            self._give_back(self._direct, idle)
            self._direct.leave()
        except Fault as fault:
            log.warning("claims could not be given back; they expire", error=_line(fault))
        self.lost()


@dataclass(frozen=True, slots=True)
class _PostgresClaim:
    claims: PostgresClaims
    account_id: str
    owned: _Owned
    _closed: list[bool] = field(default_factory=list)

    def check(self) -> None:
        self.claims.check(self.account_id, self.owned)

    def fenced(self, database: Database) -> Database:
        return database.guarded(self._guard)

    def close(self) -> None:
        if not self._closed:
            self._closed.append(True)
            self.claims.done(self.owned)

    def _guard(self, session: Session) -> None:
        if not fence(session, self.account_id, self.claims.worker, self.owned.epoch):
            raise NotPermittedError("another worker has the account")


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())
