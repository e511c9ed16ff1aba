"""What people and programs have asked of an endpoint, and which of it counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.status import Wish


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person last asked for."""

    wish: Wish
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deletion with grace: paused until `due`, then deleted for good.

    `held_back` says why it has to wait nevertheless, empty where nothing holds it back.
    """

    due: datetime
    actor: str
    reason: str
    held_back: str = ""


@dataclass(frozen=True, slots=True)
class HoldFact:
    """A person's (or, as a lease, a program's) "keep it so until T".

    `point_at` is when the cron point fired that made it, None where people or programs did.
    """

    wish: Wish
    until: datetime
    actor: str
    reason: str
    by_program: bool = False
    point_at: datetime | None = None


def foremost(holds: Sequence[HoldFact]) -> HoldFact:
    """Return the hold that counts: a person's before a program's, running before paused.

    Among the same the longer one. What runs is available too: a program's wish for running does
    not contradict a person's for available, and counts then.
    """
    order = (Wish.RUNNING, Wish.AVAILABLE, Wish.PAUSED, Wish.DELETED)
    ranked = sorted(holds, key=lambda h: (h.by_program, order.index(h.wish), -h.until.timestamp()))
    if ranked[0].wish is not Wish.AVAILABLE:
        return ranked[0]
    return next((hold for hold in ranked if hold.wish is Wish.RUNNING), ranked[0])
