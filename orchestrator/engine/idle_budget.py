"""How many endpoints of an account idle policies may still stop in this hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.decide import Rule
from orchestrator.domain.plan import Limits, Wanted, idle_stops_left, needed
from orchestrator.domain.status import AWAKE
from orchestrator.engine.observe import Pass
from orchestrator.store import operations
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Operation

WITHIN = timedelta(hours=1)


class IdleBudget:
    """The budget of one pass; what was stopped is read once, and only where a stop is at hand."""

    def __init__(self, work: Pass, rows: Sequence[ManagedRow], now: datetime) -> None:
        self._work, self._now = work, now
        self._awake = sum(row.status in AWAKE for row in rows)
        self._stopped: int | None = None

    def of(self, limits: Limits, wanted: Sequence[Wanted]) -> Limits:
        """Return the limits with what idle policies have stopped, where they want to stop more."""
        return self._full(limits) if any(_stops(item) for item in wanted) else limits

    def spent(self, limits: Limits) -> bool:
        """Tell whether no more may be stopped now."""
        return idle_stops_left(self._awake, self._full(limits)) == 0

    def _full(self, limits: Limits) -> Limits:
        if self._stopped is None:
            with self._work.context.database.read() as session:
                since = self._now - WITHIN
                self._stopped = operations.idle_stops(session, self._work.account.id, since)
        return replace(limits, idle_stopped=self._stopped)


def not_under_way(wanted: Sequence[Wanted], active: Mapping[str, Operation]) -> list[Wanted]:
    """Leave out those that an idle policy is stopping already: they count as stopped."""
    stopping = {key for key, each in active.items() if each.rule.startswith(f"{Rule.IDLE}:")}
    return [item for item in wanted if item.endpoint_id not in stopping or not _stops(item)]


def _stops(item: Wanted) -> bool:
    by_idleness = item.decision.rule is Rule.IDLE
    return by_idleness and needed(item.status, item.decision, item.billed) is not None
