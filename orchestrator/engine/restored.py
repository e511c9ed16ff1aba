"""Notices that the store is an older one: by a mark kept beside it, and by what a cloud shows.

A store that `db restore` has loaded says so itself. One that was put back by other means (a copy
of the file, the database's own tools) is known by the mark: the number of its newest event.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlmodel import Session

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.status import Status
from orchestrator.engine.apply import Sight
from orchestrator.engine.closer import Closer
from orchestrator.providers.base import Listing, Provider, ProviderError
from orchestrator.services import restores
from orchestrator.services.context import Context
from orchestrator.store import observation, restorations
from orchestrator.store.database import Database
from orchestrator.store.observation import Known
from orchestrator.store.tables import Account, Endpoint

log = structlog.get_logger(__name__)

MARK_FILE = "high-water.json"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a store had come: its newest event, and when it was last replaced, by id."""

    store: str
    branch: str
    event: int


class HighWater:
    """The mark of a store in the state folder of this machine."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / MARK_FILE
        self._written: Mark | None = None

    def check(self, database: Database, clock: Clock) -> bool:
        """Freeze everything when the store is older than its mark, and write the mark anew.

        Call it before the engine starts. Returns whether the store was found to be older.
        """
        before, now = self._read(), clock.now()
        with database.write() as session:
            restorations.ensure_name(session, now)
            session.flush()
            older = before is not None and _is_older(session, before)
            if older:
                as_of = restorations.newest_instant(session)
                restores.mark_store(session, "mark", as_of, now)
        if older:
            log.error("the store is an older one than ran here before; everything is frozen")
        self.write(database)
        return older

    def write(self, database: Database) -> None:
        """Write how far the store has come; a mark that cannot be written is a warning."""
        with database.read() as session:
            mark = _mark_of(session)
        if mark == self._written:
            return
        partial = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        text = json.dumps({"store": mark.store, "branch": mark.branch, "event": mark.event})
        try:
            partial.write_text(text, encoding="utf-8")
            partial.chmod(0o600)
            partial.replace(self._file)
        except OSError as error:
            log.warning("the mark of the store cannot be written", reason=error.strerror)
            return
        self._written = mark

    def _read(self) -> Mark | None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return Mark(str(found["store"]), str(found["branch"]), int(found["event"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the mark of the store cannot be read", reason=str(error))
            return None


def _mark_of(session: Session) -> Mark:
    branches = restorations.whole(session)
    branch = branches[-1].id if branches else ""
    return Mark(restorations.name_of(session), branch, restorations.newest_event(session))


def _is_older(session: Session, before: Mark) -> bool:
    here = _mark_of(session)
    if here.store != before.store:
        return False
    if here.branch == before.branch:
        return here.event < before.event
    # A replacement that this store knows of has been told already; one that it does not know of
    # has happened to a younger store than this one.
    return before.branch not in ("", *(one.id for one in restorations.whole(session)))


def is_missed(
    account: Account,
    provider: Provider,
    listing: Listing,
    known: Mapping[str, Known],
    gap_limit: timedelta,
) -> bool:
    """Tell whether an endpoint that went during a gap may have been paused by us, unknown to us."""
    if not provider.capabilities.contracts or not _after_gap(account, listing, gap_limit):
        return False
    listed = {sighting.name for sighting in listing.sightings}
    return any(not item.away and item.name not in listed for item in known.values())


def freeze(
    session: Session, account: Account, why: str, forgotten: Sequence[str], at: datetime
) -> None:
    """Freeze an account of which the cloud shows more than the store knows."""
    if forgotten and not _is_told(session, account):
        why = why or (
            f"{', '.join(forgotten[:3])} of {account.name} was paused by this service, which this "
            "store does not know: it seems to be an older one"
        )
    if why:
        restores.mark_account(session, account, why, at)


def _after_gap(account: Account, listing: Listing, gap_limit: timedelta) -> bool:
    last = account.observed_at
    return last is not None and listing.asked_at - last > gap_limit


def told_by_cloud(
    context: Context, account: Account, provider: Provider, seen: Closer, gap_limit: timedelta
) -> str:
    """Return how the cloud shows that we have acted after all that this store knows, or nothing.

    Asked after a gap between looks alone, and only of changes that an endpoint does not make by
    itself. Where people use the same identity it proves nothing, and nothing is said.
    """
    last = account.observed_at
    if last is None or not _after_gap(account, seen.listing, gap_limit):
        return ""
    with context.database.read() as session:
        if _is_told(session, account):
            return ""
        suspects = [s for s in seen.sights.values() if _is_later(s.snapshot, last)]
        known = observation.by_names(session, account.id, [s.snapshot.name for s in suspects])
        unexplained = [
            s.snapshot
            for s in suspects
            if _was_changed(known.get(s.snapshot.name), s)
            and not restorations.explained(session, account.id, s.snapshot.name, last)
        ]
    return _by_us(context, account, provider, unexplained, last) if unexplained else ""


def _is_told(session: Session, account: Account) -> bool:
    """Tell whether a person still has to look at what the store does not know."""
    return bool(restorations.open_of(session, None) or restorations.open_of(session, account.id))


def _is_later(snapshot: Snapshot, last: datetime) -> bool:
    updated = snapshot.updated_at
    return bool(snapshot.updated_by) and updated is not None and updated > last


def _was_changed(row: Endpoint | None, sight: Sight) -> bool:
    """Tell whether somebody made this change: a new one, a pause, a resume, or another spec."""
    if row is None:
        return True
    paused = row.status in (Status.PAUSED, Status.PAUSING)
    pauses = sight.snapshot.status in (Status.PAUSED, Status.PAUSING)
    return paused != pauses or row.spec != dict(sight.snapshot.spec)


def _by_us(
    context: Context,
    account: Account,
    provider: Provider,
    changed: Sequence[Snapshot],
    last: datetime,
) -> str:
    try:
        ours = provider.identity().name
    except ProviderError as error:
        log.warning("it cannot be told who has changed endpoints meanwhile", reason=str(error))
        return ""
    names = sorted(one.name for one in changed if one.updated_by == ours)
    if not names:
        return ""
    with context.database.read() as session:
        if restorations.used_by_others(session, account.id, ours):
            return ""
    shown = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    return (
        f"{account.name} was changed as {ours}, which acts for this service alone, after the "
        f"newest instant that this store knows ({last:%Y-%m-%d %H:%M:%S}Z): {shown}. "
        "The store seems to be an older one"
    )
