"""Deleting for good, at once or after a grace in which all can come back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.decide import decide
from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.plan import NO_LEAVE, Kind, needed
from orchestrator.domain.status import Status, Wish
from orchestrator.services import clicks, hold_rows
from orchestrator.services.errors import ServiceError, conflict, invalid
from orchestrator.services.requests import (
    Asked,
    check_changeable,
    close,
    open_operation,
    under_way,
)
from orchestrator.services.rulebook import means_of
from orchestrator.store import accounts, events, holds, locks, operations
from orchestrator.store.tables import Account, Endpoint, Hold, Json, Operation

LONGEST_GRACE = timedelta(days=90)
AT_ONCE = timedelta(0)
_DELETIONS_READ = 50
_DOWN = (Status.PAUSED, Status.PAUSING, Status.STOPPING)
_NOW = "or delete it at once, for good: grace=0"


@dataclass(frozen=True, slots=True)
class Undeleted:
    """The operation that brings it back, where one is needed, and the holds that stay ended."""

    operation: Operation | None
    not_revived: tuple[Hold, ...]


def request_delete(
    session: Session,
    endpoint: Endpoint,
    asked: Asked,
    *,
    confirm: str,
    grace: timedelta = AT_ONCE,
) -> Operation:
    """Ask that it be deleted for good, after a grace in which it is paused and can come back.

    `confirm` must be its name. Asked again, the deletion under way is returned, or its grace
    begins anew. Raises ServiceError 422 for another name or too long a grace, 409 when it may not
    be changed, is protected, or cannot be paused for the grace.
    """
    _check(endpoint, confirm, grace)
    account = check_changeable(session, endpoint)
    if endpoint.protected:
        raise conflict(
            "protected",
            f"{endpoint.name} is protected, also from being deleted.",
            remedy="Take the protection off first: PATCH /v1/endpoints/"
            f'{endpoint.id} {{"protected": false}}, or '
            f"`orchestrator endpoints update {endpoint.name} --no-protected`.",
        )
    if grace > AT_ONCE:
        return _entomb(session, account, endpoint, asked, grace)
    active = under_way(session, endpoint, Kind.DELETE)
    if active is not None:
        return active
    memory = _memory(session, endpoint, asked)
    _clear(endpoint)
    clicks.set_wish(session, endpoint, Wish.DELETED, asked)
    request = memory | {"after": clicks.remember(endpoint)}
    return open_operation(session, account, endpoint, Kind.DELETE, asked, request=request)


def undelete(session: Session, endpoint: Endpoint, asked: Asked) -> Undeleted:
    """Call a deletion with grace off: what was wished for before holds again.

    Holds that the deletion ended are not revived. Raises ServiceError 409 where there is none, or
    the deletion itself has begun.
    """
    account = _check_undelete(session, endpoint)
    active = operations.lock_active(session, endpoint.id)
    if active is not None:
        _end_for_undelete(session, endpoint, active, asked)
    ended = [holds.get(session, ref) for ref in endpoint.tombstone["ended"]]
    gone = tuple(hold for hold in ended if hold is not None and hold.until > asked.now)
    before = endpoint.tombstone["before"]
    _put_back(endpoint, before)
    _clear(endpoint)
    _spare(endpoint)
    endpoint.not_before = None
    session.add(endpoint)
    told = f"; {len(gone)} holds that it ended stay ended" if gone else ""
    _record(
        session,
        endpoint,
        asked,
        kind="endpoint.undeleted",
        message=f"{asked.actor} called the deletion of {endpoint.name} off: it is to be "
        f"{endpoint.wish or 'as it is'} as before{told}",
        data={"wish": endpoint.wish, "not_revived": [hold.id for hold in gone]},
    )
    session.flush()
    return Undeleted(begin_return(session, account, endpoint, asked), gone)


def call_off(session: Session, endpoint: Endpoint, asked: Asked) -> None:
    """Forget a deletion with grace because somebody else evidently needs the endpoint."""
    if endpoint.delete_after is None:
        return
    _clear(endpoint)
    _spare(endpoint)
    session.add(endpoint)
    message = f"the deletion of {endpoint.name} is called off: {asked.why}"
    _record(session, endpoint, asked, kind="endpoint.undeleted", message=message, data={})


def give_grace(session: Session, endpoint: Endpoint, asked: Asked, grace: timedelta) -> None:
    """Turn a deletion at once, of which nothing may be sent any more, into one with grace."""
    stone = {
        "actor": endpoint.wish_actor,
        "reason": endpoint.wish_reason,
        "at": asked.now.isoformat(),
        "grace_s": int(grace.total_seconds()),
        "told": False,
    }
    memory = _wish_before(session, endpoint)
    _put_back(endpoint, memory["before"])
    endpoint.delete_after, endpoint.tombstone = asked.now + grace, memory | stone
    session.add(endpoint)
    _record(
        session,
        endpoint,
        asked,
        kind="endpoint.deletion_postponed",
        message=f"{endpoint.name} is deleted no earlier than "
        f"{endpoint.delete_after:%Y-%m-%d %H:%M}Z: {asked.why}",
        data={"delete_after": endpoint.delete_after.isoformat()},
    )


def take_back(session: Session, endpoint: Endpoint, asked: Asked) -> None:
    """Forget a deletion at once, of which nothing may be sent any more: the wish before holds."""
    _put_back(endpoint, _wish_before(session, endpoint)["before"])
    session.add(endpoint)
    message = f"the deletion of {endpoint.name} is called off: {asked.why}"
    _record(session, endpoint, asked, kind="endpoint.undeleted", message=message, data={})


def _check(endpoint: Endpoint, confirm: str, grace: timedelta) -> None:
    if confirm != endpoint.name:
        raise invalid(
            "confirm",
            "Deleting needs a confirmation, and this one is not the endpoint's name.",
            remedy=f"Repeat with confirm={endpoint.name}.",
        )
    if not AT_ONCE <= grace <= LONGEST_GRACE:
        raise invalid(
            "grace",
            f"A grace lasts {LONGEST_GRACE.days} days at most.",
            remedy="Write 24h, 7d, or 0 for at once.",
        )


def _entomb(
    session: Session, account: Account, endpoint: Endpoint, asked: Asked, grace: timedelta
) -> Operation:
    active = operations.active_for(session, endpoint.id)
    if endpoint.wish == Wish.DELETED or (active is not None and active.kind == Kind.DELETE):
        raise clicks.deleting(session, endpoint)
    _check_stop(endpoint)
    try:
        pause = under_way(session, endpoint, Kind.PAUSE)
    except ServiceError as error:
        error.remedy = f"{(error.remedy or '').rstrip('.')}; {_NOW}."
        raise
    memory = _memory(session, endpoint, asked)
    endpoint.delete_after, endpoint.not_before = asked.now + grace, None
    endpoint.tombstone = memory | {
        "actor": asked.actor,
        "reason": asked.why,
        "at": asked.now.isoformat(),
        "grace_s": int(grace.total_seconds()),
        "told": False,
    }
    session.add(endpoint)
    _record(
        session,
        endpoint,
        asked,
        kind="endpoint.deletion_announced",
        message=f"{asked.actor} asked for the deletion of {endpoint.name}: it is paused, and "
        f"deleted for good after {endpoint.delete_after:%Y-%m-%d %H:%M} UTC unless somebody "
        f"brings it back ({asked.why})",
        data={
            "delete_after": endpoint.delete_after.isoformat(),
            "grace_seconds": int(grace.total_seconds()),
        },
    )
    if pause is not None:
        return pause
    return open_operation(session, account, endpoint, Kind.PAUSE, asked, request={"deletion": True})


def _check_stop(endpoint: Endpoint) -> None:
    barrier = means_of(endpoint).barrier(Kind.PAUSE)
    if not barrier or endpoint.status in _DOWN:
        return
    remedy = f"{_NOW[3:].capitalize()}."
    if barrier == NO_LEAVE:
        remedy = (
            f"Read GET /v1/endpoints/{endpoint.id}/contract and allow it: `orchestrator endpoints "
            f"allow-recreate {endpoint.name}`; {_NOW}."
        )
    raise conflict(
        "grace_not_possible",
        f"{endpoint.name} would have to be paused for its grace: {barrier}.",
        remedy=remedy,
        field="grace",
    )


def _memory(session: Session, endpoint: Endpoint, asked: Asked) -> Json:
    """Return what to remember of the wish before, and end the holds; the first deletion counts."""
    before = clicks.remember(endpoint)
    ended = hold_rows.end_all(session, endpoint, asked, leases=True)
    memory: Json = {"before": before, "ended": ended}
    if endpoint.delete_after is not None:
        return {key: endpoint.tombstone[key] for key in memory}
    if endpoint.wish == Wish.DELETED:
        return memory | _earlier(session, endpoint)
    return memory


def _earlier(session: Session, endpoint: Endpoint) -> Json:
    """Return what was wished for before the deletion that is being asked for once more."""
    wanted = operations.OperationFilter(endpoint_id=endpoint.id, kind=Kind.DELETE)
    for operation in operations.page(session, wanted, None, _DELETIONS_READ):
        before = operation.request.get("before")
        if before is not None and before["wish"] != Wish.DELETED:
            return {key: operation.request[key] for key in ("before", "ended")}
    return {}


def _wish_before(session: Session, endpoint: Endpoint) -> Json:
    none = {"wish": "", "reason": "", "actor": "", "at": None}
    return {"before": none, "ended": []} | _earlier(session, endpoint)


def _check_undelete(session: Session, endpoint: Endpoint) -> Account:
    locks.refresh(session, endpoint)
    account = accounts.get(session, endpoint.account_id)
    if endpoint.deleted_at is not None or account is None:
        raise conflict("deleted", f"{endpoint.name} is gone, or its account is not connected.")
    if endpoint.delete_after is None:
        if endpoint.wish == Wish.DELETED:
            raise clicks.deleting(session, endpoint)
        raise conflict("not_being_deleted", f"Nobody asked for the deletion of {endpoint.name}.")
    return account


def _end_for_undelete(
    session: Session, endpoint: Endpoint, locked: Operation, asked: Asked
) -> None:
    """End what the deletion has begun, as far as nothing was sent for it."""
    if locked.kind == Kind.DELETE and locked.status != "pending":
        raise conflict(
            "being_deleted",
            f"The grace of {endpoint.name} is over, and the cloud was asked to delete it.",
        )
    if locked.status == "pending" and locked.kind in (Kind.DELETE, Kind.PAUSE):
        why = f"{asked.actor} called the deletion off"
        close(session, locked, "cancelled", why, at=asked.now, by=asked.actor)
        session.flush()


def begin_return(
    session: Session, account: Account, endpoint: Endpoint, asked: Asked
) -> Operation | None:
    """Begin at once the start that the rules and the standing wish want of it now, if any."""
    decision = decide(clicks.facts_of(session, account, endpoint, asked.now), asked.now)
    billed = BilledReplicas(endpoint.billed_low, endpoint.billed_expected, endpoint.billed_high)
    kind = needed(Status(endpoint.status), decision, billed)
    if kind is not Kind.RESUME or means_of(endpoint).barrier(kind):
        return operations.active_for(session, endpoint.id)
    return under_way(session, endpoint, kind) or open_operation(
        session, account, endpoint, kind, asked
    )


def _put_back(endpoint: Endpoint, before: Json) -> None:
    at = before["at"]
    endpoint.wish, endpoint.wish_reason = before["wish"], before["reason"]
    endpoint.wish_actor = before["actor"]
    endpoint.wish_at = None if at is None else datetime.fromisoformat(at)


def _spare(endpoint: Endpoint) -> None:
    """What was brought back is not deleted again because it has expired; it stays paused."""
    if endpoint.expiry:
        endpoint.expiry = {**endpoint.expiry, "grace_s": None}


def _clear(endpoint: Endpoint) -> None:
    endpoint.delete_after, endpoint.tombstone = None, {}


def _record(
    session: Session, endpoint: Endpoint, asked: Asked, *, kind: str, message: str, data: Json
) -> None:
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=message,
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data=data,
    )
