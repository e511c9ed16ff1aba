"""Chooses whose request counts a pass reads: for idle rules often, for the record of use seldom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from orchestrator.domain.money import to_nano
from orchestrator.engine.evidence import Key, UsageReader, UsageWatch, usage_watch
from orchestrator.engine.observe import Pass
from orchestrator.engine.recording import REACHABLE
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account

# What has stopped is read once more after so long, when its last minutes have been counted, and
# so long after it was read last, or tried; after so long it is given up.
LAST_LOOK, LOOKS_APART, GIVEN_UP = timedelta(minutes=4), timedelta(minutes=10), timedelta(hours=3)
# No reading for the record looks back further, however seldom there is one.
LONGEST_SPAN = timedelta(days=1)


class Counting:
    """Reads the counts of one account's endpoints."""

    def __init__(self, reader: UsageReader) -> None:
        self._reader = reader
        self._counted: set[Key] = set()
        # None until the first reading: what had stopped before is not known yet.
        self._stopped: dict[Key, datetime] | None = None
        # Those to read for the record after this pass has acted, and how often.
        self._owed: tuple[set[Key], timedelta] | None = None

    def read(
        self,
        work: Pass,
        watched: Mapping[Key, timedelta],
        untold: Iterable[ManagedRow],
        now: datetime,
    ) -> None:
        """Read what decisions want, and store how often and at what cost anything is read.

        `watched` are those that idle rules look at, with the span that they want; `untold` all
        managed ones whose use the listing does not tell.
        """
        untold = list(untold)
        serving = {(row.id, row.name) for row in untold if _serves(row)}
        if self._stopped is None:
            self._stopped = _stopped_lately(untold, now)
        plan = _plan(work, len(watched), len(serving - watched.keys()))
        self._reader.refresh(work.provider, watched, plan.every, now)
        self._note_stops(serving | watched.keys(), now)
        records = plan.cap_nano or not work.provider.capabilities.usage_nano_per_reading
        self._owed = (serving - watched.keys(), plan.record_every) if records else None
        _store(work, plan)

    def record(self, work: Pass, now: datetime) -> None:
        """Read what only the record wants: once the pass has acted, which never waits for it."""
        if self._owed is not None:
            self._record(work, *self._owed, now)
            self._owed = None

    def _note_stops(self, counted: set[Key], now: datetime) -> None:
        ended = dict.fromkeys(self._counted - counted, now)
        known = ended | (self._stopped or {})
        self._stopped = {key: at for key, at in known.items() if key not in counted}
        self._counted = counted

    def _record(self, work: Pass, serving: set[Key], every: timedelta, now: datetime) -> None:
        span, reader = min(every, LONGEST_SPAN), self._reader
        stopped = self._stopped or {}
        over = [key for key, at in stopped.items() if now - at >= LAST_LOOK]
        reader.take_turns(work.provider, dict.fromkeys(over, span), LOOKS_APART, now)
        for key in over:
            if key[0] in reader.fresh or now - stopped[key] >= GIVEN_UP:
                del stopped[key]
        reader.take_turns(work.provider, dict.fromkeys(sorted(serving), span), every, now)


def _plan(work: Pass, watched: int, recorded: int) -> UsageWatch:
    cap = to_nano(work.context.settings.usage_budget_usd_per_month)
    price = work.provider.capabilities.usage_nano_per_reading
    return usage_watch(watched, price, cap, recorded)


def _serves(row: ManagedRow) -> bool:
    return row.billed_high > 0 and row.status in REACHABLE


def _stopped_lately(rows: Iterable[ManagedRow], now: datetime) -> dict[Key, datetime]:
    """Return what has stopped so lately that its last use may be unread, and when.

    A process that ended in between took with it what it had read, and that it had to read again.
    """
    return {
        (row.id, row.name): row.status_since
        for row in rows
        if not _serves(row) and now - row.status_since < GIVEN_UP
    }


def _store(work: Pass, plan: UsageWatch) -> None:
    if work.account.usage_watch == plan.to_json():
        return
    with work.context.database.write() as session:
        row = session.get_one(Account, work.account.id)
        row.usage_watch = plan.to_json()
        session.add(row)
