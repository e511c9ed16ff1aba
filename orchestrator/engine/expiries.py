"""What time itself brings: warnings before expiry, deletions after it, holds that have ended.

Level-triggered, in short transactions before the decisions of a pass: each thing is written once,
with what it says, and a process that dies between two of them goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.decide import Rule, decide
from orchestrator.domain.expiry import Expiry
from orchestrator.domain.status import Status
from orchestrator.engine.apply import ENGINE
from orchestrator.services import clicks, deletion, hold_rows
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError
from orchestrator.services.expiry import RULE, obstacle
from orchestrator.services.lengths import brief
from orchestrator.services.requests import Asked
from orchestrator.store import endpoints, events, holds, locks
from orchestrator.store import expiry as rows
from orchestrator.store.tables import Account, Endpoint, Hold

# The causes for which a deletion was refused, each told once.
_REFUSALS = "refusals"


def settle(context: Context, account: Account) -> datetime | None:
    """Write down what is due of an account: ended holds, warnings, expiries, and deletions.

    Returns when the next warning is due.
    """
    now = context.clock.now()
    with context.database.read() as session:
        lapsed = holds.lapsed(session, account.id, now)
        expiring = rows.expiring(session, account.id)
        owing = [row for row in expiring if _owes(row, now)]
        going = [row for row in expiring if _is_to_go(session, row, now)]
    if lapsed:
        _note_lapsed(context, lapsed, now)
    if owing:
        with context.database.write() as session:
            for endpoint in locks.endpoints(session, [row.id for row in owing]).values():
                _tell(session, endpoint, now)
    for row in going:
        _bury(context, row.id, now)
    ahead = [at for row in expiring for at in _warnings(row) if at > now]
    return min(ahead, default=None)


def _warnings(row: Endpoint) -> Sequence[datetime]:
    expiry = rows.read(row)
    return () if expiry is None else expiry.warnings()


def _owes(row: Endpoint, now: datetime) -> bool:
    expiry = rows.read(row)
    if expiry is None:
        return False
    return _warns(expiry, now) or _expires(row, expiry, now)


def _warns(expiry: Expiry, now: datetime) -> bool:
    due = expiry.next_warning(now)
    return due is not None and due <= now


def _expires(row: Endpoint, expiry: Expiry, now: datetime) -> bool:
    pauses_at = expiry.pauses_at()
    return pauses_at is not None and pauses_at <= now and "expired_at" not in row.expiry


def _is_to_go(session: Session, row: Endpoint, now: datetime) -> bool:
    """Tell whether it may go, and the rules of this moment want it asleep for its expiry."""
    if not _may_go(row, now):
        return False
    account = session.get_one(Account, row.account_id)
    return decide(clicks.facts_of(session, account, row, now), now).rule is Rule.EXPIRED


def _may_go(row: Endpoint, now: datetime) -> bool:
    """Tell whether it has expired, is asleep, and is to be deleted after a grace."""
    expiry = rows.read(row)
    if expiry is None or expiry.grace is None or row.protected or row.delete_after is not None:
        return False
    pauses_at = expiry.pauses_at()
    asleep = row.status == Status.PAUSED and row.billed_high == 0
    return asleep and pauses_at is not None and pauses_at <= now


def _tell(session: Session, endpoint: Endpoint, now: datetime) -> None:
    """Warn of an end to come, or tell that it has come, as the row is now."""
    expiry = rows.read(endpoint)
    if expiry is None or not endpoint.managed or endpoint.delete_after is not None:
        return
    if _warns(expiry, now):
        _warn(session, endpoint, expiry, now)
    elif _expires(endpoint, expiry, now):
        endpoint.expiry = {**endpoint.expiry, "expired_at": now.isoformat()}
        session.add(endpoint)
        then = obstacle(endpoint) or "it is to be paused"
        then = "it is protected, and stays" if endpoint.protected else then
        told = f"{endpoint.name} has expired, as {expiry.actor} set it: {expiry.reason}; {then}"
        _record(session, endpoint, "endpoint.expired", told, now)


def _warn(session: Session, endpoint: Endpoint, expiry: Expiry, now: datetime) -> None:
    warned = expiry.warned(now)
    rows.write(endpoint, warned, extensions=rows.extensions(endpoint))
    session.add(endpoint)
    pauses_at = max(warned.pauses_at() or expiry.at, now)
    what = "protected, and only proposed to be paused" if endpoint.protected else "paused"
    told = (
        f"{endpoint.name} is {what} in {brief(pauses_at - now)}, at {pauses_at:%Y-%m-%d %H:%M} "
        f"UTC: it expires, as {expiry.actor} set it ({expiry.reason})"
    )
    against = "" if endpoint.protected else obstacle(endpoint)
    if against:
        told += f"; {against}"
    elif expiry.grace is not None:
        told += f"; {brief(expiry.grace)} after that it is deleted"
    told += f". Who needs it extends it: `orchestrator endpoints extend {endpoint.name} --for 3d`"
    _record(session, endpoint, "endpoint.expiry_warned", told, now)


def _bury(context: Context, endpoint_id: str, now: datetime) -> None:
    """Begin the deletion with grace; where that is refused, say why once and try again."""
    try:
        with context.database.write() as session:
            endpoint = locks.endpoint(session, endpoint_id)
            if endpoint is None or not endpoint.managed or not _is_to_go(session, endpoint, now):
                return
            expiry = rows.read(endpoint)
            if expiry is None or expiry.grace is None:
                return
            why = f"it expired at {expiry.at:%Y-%m-%d %H:%M} UTC, as {expiry.actor} set it"
            asked = Asked(ENGINE, now, f"{why}: {expiry.reason}")
            deletion.request_delete(
                session, endpoint, asked, confirm=endpoint.name, grace=expiry.grace
            )
            endpoint.tombstone = {**endpoint.tombstone, "rule": RULE}
            endpoint.expiry = {k: v for k, v in endpoint.expiry.items() if k != _REFUSALS}
            session.add(endpoint)
    except ServiceError as error:
        _note_refusal(context, endpoint_id, error, now)


def _note_refusal(context: Context, endpoint_id: str, error: ServiceError, now: datetime) -> None:
    with context.database.write() as session:
        endpoint = locks.endpoint(session, endpoint_id)
        if endpoint is None or error.code in endpoint.expiry.get(_REFUSALS, ()):
            return
        told_before = endpoint.expiry.get(_REFUSALS, ())
        endpoint.expiry = {**endpoint.expiry, _REFUSALS: [*told_before, error.code]}
        session.add(endpoint)
        told = f"{endpoint.name} has expired and is not deleted: {error.detail}"
        _record(session, endpoint, "endpoint.expiry_refused", told, now)


def _note_lapsed(context: Context, lapsed: Sequence[Hold], now: datetime) -> None:
    with context.database.write() as session:
        held = locks.endpoints(session, [hold.endpoint_id for hold in lapsed])
        for found in lapsed:
            hold = session.get(Hold, found.id, populate_existing=True)
            renewed = hold is None or hold.until > now
            if hold is None or renewed or hold.ended_at is not None or hold.noted_at is not None:
                continue
            hold.noted_at = now
            session.add(hold)
            endpoint = held.get(hold.endpoint_id) or endpoints.get(session, hold.endpoint_id)
            if endpoint is not None:
                _note(session, endpoint, hold, now)


def _note(session: Session, endpoint: Endpoint, hold: Hold, now: datetime) -> None:
    lease = hold.source == holds.LEASE
    what = f"lease of {hold.actor} on" if lease else f"hold {hold.wish} by {hold.actor} of"
    hold_rows.record(
        session,
        endpoint,
        hold,
        Asked(ENGINE, now),
        kind="lease.expired" if lease else "hold.expired",
        message=f"the {what} {endpoint.name} ended by itself at {hold.until:%Y-%m-%d %H:%M} UTC"
        f"{hold_rows.times_renewed(hold)}",
    )


def _record(session: Session, endpoint: Endpoint, kind: str, message: str, now: datetime) -> None:
    at = endpoint.expires_at
    events.record(
        session,
        at=now,
        kind=kind,
        actor=ENGINE,
        message=message,
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"expires_at": None if at is None else at.isoformat()},
    )
