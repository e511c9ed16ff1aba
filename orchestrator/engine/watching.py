"""Sees what is held awake by somebody's poller, and tells of it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.endpoints import Stretch, Usage
from orchestrator.domain.pollers import FEWEST_STRETCHES, Awake, Held, held_awake
from orchestrator.domain.usage import STRETCH
from orchestrator.engine.apply import ENGINE
from orchestrator.engine.recording import Recorder
from orchestrator.providers.base import Provider, ProviderError
from orchestrator.services.context import Context
from orchestrator.store import awake, events, locks
from orchestrator.store.awake import AwakeRow
from orchestrator.store.tables import Endpoint, Json

# Counts of those whose listing tells enough are read this seldom, and of so many in one pass.
COUNT_EVERY = timedelta(hours=2)
MOST_COUNTED = 10
# Before it has been up for so long nothing is said of it.
LEAST_UP = timedelta(hours=1)
SPAN = (FEWEST_STRETCHES + 1) * STRETCH
# Two times between requests that differ by no more than this share are the same pace.
SAME_PACE = 0.2
# What went and came back within this time is not told to people again; what lasts is, so often.
TOLD_FOR = timedelta(days=7)


class AwakeWatch:
    """Watches the endpoints of one account that a policy or their cloud should put to sleep."""

    def __init__(self) -> None:
        self._counted: dict[str, tuple[datetime, Usage | None]] = {}

    def look(
        self, context: Context, account_id: str, provider: Provider, recorder: Recorder
    ) -> None:
        """Judge every endpoint anew, and store and tell what has changed."""
        now = context.clock.now()
        with context.database.read() as session:
            rows = awake.watched(session, account_id)
        up = [row for row in rows if _is_up(row, recorder, now)]
        self._count(provider, up, recorder, now)
        found = {row.id: self._judge(row, recorder, now) for row in up}
        changed = [row for row in rows if _is_news(row.held_awake, found.get(row.id), now)]
        if changed:
            with context.database.write() as session:
                locked = locks.endpoints(session, [row.id for row in changed])
                for row in changed:
                    _store(session, locked[row.id], found.get(row.id), now)

    def _judge(self, row: AwakeRow, recorder: Recorder, now: datetime) -> Held | None:
        assert row.up_since is not None  # noqa: S101 - chosen by the only caller
        usage = self._counted.get(row.id, (now, None))[1]
        counted: Sequence[Stretch] = recorder.counts(row.id)
        if usage is not None and not counted:
            counted = usage.stretches
        return held_awake(
            Awake(
                up_since=row.up_since,
                last_used_at=row.last_used_at,
                timer=row.timer,
                uses=[use for use in recorder.uses(row.id) if use.at >= row.up_since],
                counted=[one for one in counted if one.start >= row.up_since],
                usage=usage,
                wakes=recorder.wakes(row.id),
            ),
            now,
        )

    def _count(
        self, provider: Provider, rows: Sequence[AwakeRow], recorder: Recorder, now: datetime
    ) -> None:
        """Read counts, where they cost nothing, of those whose time of last use moves."""
        if provider.capabilities.usage_nano_per_reading:
            return
        ids = {row.id for row in rows}
        self._counted = {key: held for key, held in self._counted.items() if key in ids}
        due = [row for row in rows if self._is_due(row, recorder, now)]
        for row in due[:MOST_COUNTED]:
            told = _read(provider, row.name, now)
            self._counted[row.id] = (now, told.get(row.name))

    def _is_due(self, row: AwakeRow, recorder: Recorder, now: datetime) -> bool:
        held = self._counted.get(row.id)
        moves = len(recorder.uses(row.id)) > 1
        return moves and (held is None or now - held[0] >= COUNT_EVERY)


def _is_up(row: AwakeRow, recorder: Recorder, now: datetime) -> bool:
    """Tell whether an endpoint has been up for long, or wakes again and again."""
    if row.up_since is None:
        return False
    return now - row.up_since >= LEAST_UP or bool(recorder.wakes(row.id))


def _read(provider: Provider, name: str, now: datetime) -> Mapping[str, Usage | None]:
    try:
        return provider.usage([name], now - SPAN, now)
    except ProviderError:
        return {}  # not known now: the other signs are left


def _is_news(stored: Json, held: Held | None, now: datetime) -> bool:
    """Tell whether something has changed, or lasts so long that people are reminded of it."""
    told = stored.get("told_at") if held is not None else None
    if told is not None and now - datetime.fromisoformat(told) >= TOLD_FOR:
        return True
    return _differs(stored, held)


def _differs(stored: Json, held: Held | None) -> bool:
    """Tell whether another sign shows, or requests come at quite another pace."""
    if held is None or str(stored.get("sign", "")) != held.sign:
        return str(stored.get("sign", "")) != ("" if held is None else str(held.sign))
    before, every = int(stored.get("every_s") or 0), held.every_s or 0
    return abs(before - every) > SAME_PACE * max(before, every)


def _store(session: Session, endpoint: Endpoint, held: Held | None, now: datetime) -> None:
    told = endpoint.held_awake.get("told_at")
    if held is None:
        endpoint.held_awake = {"told_at": told}
        kind, message, data = "endpoint.held_awake_over", "nothing holds it awake any more", {}
    else:
        fresh = told is None or now - datetime.fromisoformat(told) >= TOLD_FOR
        kind = "endpoint.held_awake" if fresh else "endpoint.held_awake_again"
        told = now.isoformat() if fresh else told
        data = held.to_json()
        lasting = endpoint.held_awake.get("sign") == held.sign
        since = endpoint.held_awake["since"] if lasting else now.isoformat()
        endpoint.held_awake = {**data, "since": since, "told_at": told}
        message = f"seems to be held awake by somebody's poller: {held.detail}; nothing is done"
        if lasting:
            message += f"; so since {datetime.fromisoformat(since):%Y-%m-%d %H:%M} UTC"
    session.add(endpoint)
    events.record(
        session,
        at=now,
        kind=kind,
        actor=ENGINE,
        message=f"{endpoint.name} {message}" if held else f"{endpoint.name}: {message}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data=data,
    )
