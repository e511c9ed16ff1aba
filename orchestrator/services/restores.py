"""After a restore: nothing is changed until a person has seen what the store does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import Session

from orchestrator.domain.plan import Kind
from orchestrator.domain.status import AWAKE, Status, Wish
from orchestrator.services import clicks, deletion
from orchestrator.services.requests import Asked, close
from orchestrator.store import accounts, events, freeze, operations, restorations
from orchestrator.store.freeze import Freeze
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, Operation, Restoration

FREEZER = "engine:restore"
MOST_LISTED, MOST_REPORTED = 1_000, 20
# A deletion that was asked for before a restore may have been taken back after it.
DELETION_GRACE = timedelta(hours=24)
UNKNOWN_SINCE = (
    "holds, changes, rules and tokens made or taken back since then are not known here; "
    "see `orchestrator db restored`, then `orchestrator freeze off`"
)
Source = Literal["restore", "mark", "cloud"]
Fate = Literal["new", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class Touched:
    """An endpoint that came, changed or went in its cloud while the store knew nothing of it."""

    endpoint: Endpoint
    account: str
    fate: Fate

    def as_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        row = self.endpoint
        at = {"gone": row.deleted_at, "new": row.first_seen_at}.get(self.fate, row.cloud_updated_at)
        return {
            "name": row.name,
            "account": self.account,
            "finding": f"{self.fate}, {row.status}",
            "at": _text(at),
            "by": row.cloud_updated_by,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a person should look at before the engine may act again.

    `unseen` names the accounts that were not looked at since, of which nothing is known yet, and
    `seen` those that were.
    """

    found: Restoration
    touched: Sequence[Touched]
    operations: Sequence[Operation]
    deletions: Sequence[Endpoint]
    unseen: Sequence[str]
    seen: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs; `at` is when the cloud or the store says it happened."""
        found = self.found
        return {
            "id": found.id,
            "source": found.source,
            "account_id": found.account_id,
            "as_of": _text(found.as_of),
            "found_at": _text(found.found_at),
            "reason": found.reason,
            "thawed_at": _text(found.thawed_at),
            "thawed_by": found.thawed_by,
            "unseen": list(self.unseen),
            "seen": list(self.seen),
            "endpoints": [one.as_json() for one in self.touched],
            "operations": [
                {
                    "name": one.endpoint_name,
                    "finding": f"{one.kind} was {one.status}",
                    "at": _text(one.created_at),
                    "by": one.actor,
                }
                for one in self.operations
            ],
            "deletions": [
                {"name": one.name, "finding": "waits to be deleted", "at": _text(one.delete_after)}
                for one in self.deletions
            ],
        }


def note_backup(session: Session, rows: int, now: datetime) -> None:
    """Record that a backup was taken, for those who ask when the last one was."""
    restorations.note_backup(session, now, rows)
    message = f"a backup was taken: {rows} rows"
    events.record(session, at=now, kind="backup.taken", actor="cli", message=message)


def mark_store(
    session: Session, source: Source, as_of: datetime | None, now: datetime
) -> Restoration:
    """Record that the whole store is an older one, and freeze everything until a person thaws it.

    A freeze that is on already stays, and its reason is kept in the new one.
    """
    since = "an unknown instant" if as_of is None else f"{as_of:%Y-%m-%d %H:%M:%S}Z"
    how = {
        "restore": f"restored from a backup of {since}",
        "mark": f"this store was replaced by an older one, of {since}",
    }.get(source, f"this store is from {since}")
    reason = f"{how}: {UNKNOWN_SINCE}"
    earlier = freeze.everywhere(session)
    if earlier is not None and earlier.by != FREEZER:
        reason = f"{reason} (before that frozen by {earlier.by}: {earlier.reason})"
    found = _add(session, None, _Finding(source, as_of, now, reason))
    freeze.set_everywhere(session, Freeze(now, FREEZER, reason))
    restorations.ask_again(session)
    return found


def mark_account(session: Session, account: Account, why: str, now: datetime) -> None:
    """Record that what is stored of an account is older than its cloud shows, and freeze it."""
    reason = f"{why}: {UNKNOWN_SINCE} --account {account.name}"
    _add(session, account, _Finding("cloud", account.observed_at, now, reason))
    earlier = freeze.of_account(account)
    if earlier is None or earlier.by.startswith("engine:"):
        freeze.set_account(account, Freeze(now, FREEZER, reason))
        session.add(account)


def thaw(session: Session, account: Account | None, asked: Asked) -> None:
    """A person ends a freeze after a restore: what was under way looks before it sends again."""
    account_id = None if account is None else account.id
    for found in restorations.open_of(session, account_id):
        found.thawed_at, found.thawed_by = asked.now, asked.actor
        session.add(found)
        for operation in restorations.active_before(session, account_id, found.found_at):
            _doubt(session, operation, found, asked)
        for endpoint in restorations.meant_deleted(session, account_id):
            _spare(session, endpoint, found, asked)
        for endpoint in restorations.to_be_deleted(session, account_id):
            _postpone(session, endpoint, asked)
        _leave_as_it_is(session, found, asked)


def reports(session: Session, now: datetime) -> list[Report]:
    """Return the reports of the last restorations, newest first."""
    return [report(session, found, now) for found in restorations.newest(session, MOST_REPORTED)]


def _leave_as_it_is(session: Session, found: Restoration, asked: Asked) -> None:
    """Take what was changed meanwhile as a click of whoever thaws: an old wish does not undo it."""
    since = found.as_of or found.found_at
    live = {account.id: account for account in accounts.live(session)}
    for row in restorations.touched_since(session, found.account_id, since, asked.now, MOST_LISTED):
        wish = _present_wish(row)
        account = live.get(row.account_id)
        if wish is None or account is None or _fate(row, since) != "changed":
            continue
        clicks.outside_click(
            session,
            account,
            row,
            wish,
            now=asked.now,
            actor=asked.actor,
            reason="it was changed after the backup that was restored, and is left as it is",
        )


def _present_wish(row: Endpoint) -> Wish | None:
    if not row.managed or row.deleted_at is not None:
        return None
    if row.status in AWAKE:
        return clicks.awake_wish(row)
    return Wish.PAUSED if row.status == Status.PAUSED else None


def report(session: Session, found: Restoration, now: datetime) -> Report:
    """Return what is known by now of the time between the backup and the thaw."""
    since, until = found.as_of or found.found_at, found.thawed_at or now
    live = accounts.live(session)
    names = {account.id: account.name for account in live}
    rows = restorations.touched_since(session, found.account_id, since, until, MOST_LISTED)
    mine = [account for account in live if found.account_id in (None, account.id)]
    unseen = [account.name for account in mine if not _is_seen(account, found)]
    return Report(
        found,
        [
            Touched(row, names.get(row.account_id, row.account_id), _fate(row, since))
            for row in rows
        ],
        restorations.active_before(session, found.account_id, found.found_at),
        [
            *restorations.meant_deleted(session, found.account_id),
            *restorations.to_be_deleted(session, found.account_id),
        ],
        unseen,
        [account.name for account in mine if _is_seen(account, found)],
    )


def _is_seen(account: Account, found: Restoration) -> bool:
    """Tell whether all of an account was looked at since the store was found to be older."""
    return account.confirmed_at is not None and account.confirmed_at >= found.found_at


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was found, and how old the store is by that."""

    source: Source
    as_of: datetime | None
    at: datetime
    reason: str


def _add(session: Session, account: Account | None, found: _Finding) -> Restoration:
    account_id = None if account is None else account.id
    row = Restoration(
        id=new_id("rst", found.at),
        account_id=account_id,
        source=found.source,
        as_of=found.as_of,
        found_at=found.at,
        reason=found.reason,
    )
    session.add(row)
    events.record(
        session,
        at=found.at,
        kind="store.restored",
        actor=FREEZER,
        message=f"{'everything' if account is None else account.name} is frozen: {found.reason}",
        account_id=account_id,
    )
    session.flush()
    return row


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _fate(row: Endpoint, since: datetime) -> Fate:
    if row.deleted_at is not None:
        return "gone"
    return "new" if row.first_seen_at > since else "changed"


def _doubt(session: Session, operation: Operation, found: Restoration, asked: Asked) -> None:
    """Let an operation of before look first; one whose endpoint has changed since is over."""
    held = operations.lock(session, operation.id)
    if held is None or held.status not in operations.ACTIVE:
        return
    endpoint = None if held.endpoint_id is None else session.get(Endpoint, held.endpoint_id)
    changed = endpoint is not None and _changed(endpoint, found)
    what = "it looks before it acts"
    if held.kind == Kind.DELETE:
        what = "it ends: the deletion may have been taken back after that"
    elif changed:
        what = "it ends: its endpoint was changed after that"
    message = f"{held.kind} of {held.endpoint_name} is from before the restore; {what}"
    if changed or held.kind == Kind.DELETE:
        close(session, held, "superseded", message, at=asked.now, by=asked.actor)
        return
    # As after a lost answer: the cloud is asked before anything is sent.
    held.attempts = max(held.attempts, 1)
    operations.add_step(held, "restored", asked.now, "doubtful", what)
    if held.kind == Kind.UPDATE:  # it may have been sent after the backup
        operations.add_step(held, held.kind, asked.now, operations.POSTED, "")
    session.add(held)
    events.record(
        session,
        at=asked.now,
        kind="operation.doubted",
        actor=asked.actor,
        message=message,
        account_id=held.account_id,
        endpoint_id=held.endpoint_id,
        operation_id=held.id,
    )


def _changed(endpoint: Endpoint, found: Restoration) -> bool:
    if endpoint.deleted_at is not None:
        return True
    updated = endpoint.cloud_updated_at
    return found.as_of is not None and updated is not None and updated > found.as_of


def _spare(session: Session, endpoint: Endpoint, found: Restoration, asked: Asked) -> None:
    """Nothing is deleted at once by a wish from before; not at all where it was changed since."""
    if _changed(endpoint, found):
        why = "it is from before the restore, and the endpoint was changed after that"
        deletion.take_back(session, endpoint, replace(asked, reason=why))
    else:
        why = "its deletion is from before the restore and may have been taken back since"
        deletion.give_grace(session, endpoint, replace(asked, reason=why), DELETION_GRACE)


def _postpone(session: Session, endpoint: Endpoint, asked: Asked) -> None:
    at = asked.now + DELETION_GRACE
    if endpoint.delete_after is None or endpoint.delete_after >= at:
        return
    endpoint.delete_after = at
    session.add(endpoint)
    events.record(
        session,
        at=asked.now,
        kind="endpoint.deletion_postponed",
        actor=asked.actor,
        message=f"{endpoint.name} is deleted no earlier than {at:%Y-%m-%d %H:%M}Z: its deletion is "
        "from before the restore and may have been taken back since",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
    )
