"""When a worker may take an account that it does not have.

A take-over always holds the account's lock, which is free only once the owner's session has ended.
An owner whose session ended may not have noticed yet: its permits last PERMIT_S from the last time
its session was known to live, so whoever finds a lock free holds it for longer than that first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from orchestrator.store.claims import Blocked, Direct, Row, Standing, lock_key

log = structlog.get_logger(__name__)

PERMIT_S = 2.0
GRACE_S = 2.5
# A backend that was told to end is gone some milliseconds later.
ENDING_TRIES, ENDING_PAUSE_S = 10, 0.02


@dataclass(frozen=True, slots=True)
class Taken:
    """A claim that is ours now; its lease ends at `until` of our clock."""

    account_id: str
    epoch: int
    until: float


@dataclass(slots=True)
class _Watched:
    """Another's claim: as it is, since when it is unchanged, and whether its lock was free.

    `held_at` is when we took that lock to wait out the permits of its owner.
    """

    row: Row | None
    since: float
    free: bool = False
    held_at: float = math.inf

    @property
    def held(self) -> bool:
        return self.held_at < math.inf


class Taker:
    """Watches the claims of others and takes those that nobody can be at work on."""

    def __init__(self, worker: str, lease_s: float, ticks: Callable[[], float]) -> None:
        self._worker, self._lease, self._ticks = worker, lease_s, ticks
        self._watched: dict[str, _Watched] = {}

    def clear(self) -> None:
        """Forget all: the connection was lost, and our locks with it."""
        self._watched.clear()

    def next_end(self) -> float:
        """Return when the next wait for an owner's permits is over, by our clock."""
        return min((one.held_at for one in self._watched.values()), default=math.inf) + GRACE_S

    def take(
        self, direct: Direct, standing: Standing, mine: Collection[str], room: int
    ) -> list[Taken]:
        """Take what may be taken, at most `room` accounts, and return it."""
        self._watch(direct, standing, mine)
        found = []
        for account_id, watched in sorted(self._watched.items(), key=_held_first):
            if room <= 0:
                self._let_go(direct, account_id, watched)
            elif self._may_take(direct, standing, account_id, watched):
                taken = self._take_one(direct, account_id, watched)
                found += [taken] if taken is not None else []
                room -= taken is not None or watched.held
            else:
                room -= watched.held
        return found

    def _watch(self, direct: Direct, standing: Standing, mine: Collection[str]) -> None:
        """Note, by our own clock, since when each claim of others has not changed."""
        now = self._ticks()
        for account_id, watched in list(self._watched.items()):
            row = standing.rows.get(account_id)
            ours = account_id in mine
            if ours or account_id not in standing.rows or _moved(watched.row, row):
                if not ours:
                    self._let_go(direct, account_id, watched)
                del self._watched[account_id]
            else:
                watched.row = row
        for account_id, row in standing.rows.items():
            if account_id not in mine and account_id not in self._watched:
                self._watched[account_id] = _Watched(row, now)

    def _may_take(
        self, direct: Direct, standing: Standing, account_id: str, watched: _Watched
    ) -> bool:
        """Tell whether nobody can be at work on an account; its lock is ours then."""
        row, now = watched.row, self._ticks()
        if row is None or row.owner in ("", self._worker):
            return self._hold(direct, account_id, watched)
        if self._has_expired(row, now - watched.since):
            return watched.held or self._end_owner(direct, account_id, watched, row)
        was_free = watched.free
        watched.free = lock_key("account", account_id) not in standing.holders
        # Seen free twice: an owner that only lost its connection gets the chance to return.
        if not watched.held and not (watched.free and was_free):
            return False
        return self._hold(direct, account_id, watched) and now >= watched.held_at + GRACE_S

    def _end_owner(self, direct: Direct, account_id: str, watched: _Watched, row: Row) -> bool:
        """End the connections of an owner that does not renew; tell whether its lock is ours."""
        log.warning("a worker did not renew its claim; it is ended", worker=row.owner)
        direct.end_backends(row.owner)
        for _ in range(ENDING_TRIES):
            if self._hold(direct, account_id, watched):
                return True
            time.sleep(ENDING_PAUSE_S)
        return False

    def _has_expired(self, row: Row, unchanged_s: float) -> bool:
        """Tell whether a lease has ended by our clock too, as the database's may be set."""
        return unchanged_s > self._lease and (row.expired or unchanged_s > 2 * self._lease)

    def _hold(self, direct: Direct, account_id: str, watched: _Watched) -> bool:
        if not watched.held and direct.lock(account_id):
            watched.held_at = self._ticks()
        return watched.held

    def _let_go(self, direct: Direct, account_id: str, watched: _Watched) -> None:
        if watched.held:
            direct.unlock(account_id)
            watched.held_at = math.inf

    def _take_one(self, direct: Direct, account_id: str, watched: _Watched) -> Taken | None:
        asked = self._ticks()
        try:
            epoch = direct.take(account_id, watched.row, self._lease)
        except Blocked:  # by a transaction that it left open; the next round tries again
            if watched.row is not None and watched.row.owner:
                direct.end_backends(watched.row.owner)
            return None
        if epoch is None:
            self._let_go(direct, account_id, watched)
            return None
        del self._watched[account_id]
        log.info("an account is ours", account_id=account_id, epoch=epoch)
        return Taken(account_id, epoch, asked + self._lease)


def _moved(before: Row | None, after: Row | None) -> bool:
    if before is None or after is None:
        return before is not after
    one, other = (before.owner, before.epoch), (after.owner, after.epoch)
    return one != other or before.expires_at != after.expires_at


def _held_first(item: tuple[str, _Watched]) -> tuple[float, str]:
    return item[1].held_at, item[0]
