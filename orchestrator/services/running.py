"""Operations and holds as people handle them: cancelling the one, ending the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Wish
from orchestrator.services.adoption import wish_as_is
from orchestrator.services.clicks import remember
from orchestrator.services.errors import conflict, not_found
from orchestrator.services.hold_rows import end as end_hold
from orchestrator.services.requests import Asked, close
from orchestrator.store import endpoints, events, holds, operations
from orchestrator.store.tables import Endpoint, Hold, Json, Operation

ENGINE = "engine"


def cancel(session: Session, operation_id: str, asked: Asked) -> Operation:
    """Cancel an operation that nothing came of yet; what its click had asked for is put back.

    A create that may have been sent goes on until it is known what came of it: what appears is
    deleted. Raises ServiceError: 404 for an unknown one, 409 for one that a rule asked for, that
    was sent (but an update of which the cloud has certainly done nothing), or that has ended.
    """
    operation = operations.lock(session, operation_id)
    if operation is None:
        raise not_found("operation", operation_id, "List them with GET /v1/operations.")
    if _is_unborn(operation) and operation.status == "running":
        return _abandon(session, operation, asked)
    _check_cancellable(operation)
    why = f"{asked.actor} cancelled it"
    if operations.is_untouched(operation):
        why = f"{why}; nothing of it was carried out"
    close(session, operation, "cancelled", why, at=asked.now, by=asked.actor)
    _undo_click(session, operation, asked)
    return operation


def cancel_create(session: Session, account_id: str, name: str, asked: Asked) -> Operation | None:
    """Cancel the create of an endpoint of that name which nobody has seen yet, if one is."""
    operation = operations.active_create(session, account_id, name)
    if operation is None or not _is_unborn(operation):
        return None
    return cancel(session, operation.id, asked)


def _is_unborn(operation: Operation) -> bool:
    """Tell whether it creates an endpoint that has not been seen yet."""
    return operation.kind == Kind.CREATE and operation.endpoint_id is None


def _abandon(session: Session, operation: Operation, asked: Asked) -> Operation:
    """Have what a create under way may bring into being deleted; asked again it changes nothing."""
    if "cancel" in operation.request:
        return operation
    if operations.first_posted(operation) is None:
        why = f"{asked.actor} cancelled it; nothing was sent"
        close(session, operation, "cancelled", why, at=asked.now, by=asked.actor)
        return operation
    order = {"actor": asked.actor, "reason": asked.why}
    operation.request = {**operation.request, "cancel": order}
    operation.next_attempt_at = None
    told = "it may have been sent: what comes of it is deleted"
    operations.add_step(operation, operation.kind, asked.now, "cancelling", told)
    session.add(operation)
    events.record(
        session,
        at=asked.now,
        kind="operation.cancelling",
        actor=asked.actor,
        message=f"{asked.actor} cancels the create of {operation.endpoint_name}; {told}",
        account_id=operation.account_id,
        operation_id=operation.id,
    )
    return operation


def _check_cancellable(operation: Operation) -> None:
    if operation.status not in operations.ACTIVE:
        raise conflict("already_ended", f"It has {operation.status} already.")
    if operation.actor == ENGINE:
        raise conflict(
            "asked_by_rule",
            f"A rule asked for it and would ask again: {operation.reason}.",
            remedy="Pause or resume the endpoint yourself: that makes a hold.",
        )
    if operation.request.get("deletion"):
        raise conflict(
            "being_deleted",
            "It is the pause of a deletion with grace.",
            remedy=f"Call that off: POST /v1/endpoints/{operation.endpoint_id}/undelete.",
        )
    if operation.status != "pending" and not operations.is_untouched(operation):
        raise conflict("already_sent", _sent(operation), remedy=_instead(operation))


def _sent(operation: Operation) -> str:
    if operation.kind == Kind.UPDATE and operation.status == "running":
        return "The cloud may have been asked for it, and its answer is awaited or was lost."
    return "The cloud has been asked for it; that cannot be called back."


def _instead(operation: Operation) -> str:
    match Kind(operation.kind):
        case Kind.CREATE:
            return f"Delete the endpoint: DELETE /v1/endpoints/{operation.endpoint_id}."
        case Kind.UPDATE:
            return "Wait until it has ended, or pause the endpoint: that takes its place."
        case Kind.DELETE:
            return "Wait until it has ended."
        case _:
            return "Ask for the opposite: that takes its place."


def _undo_click(session: Session, operation: Operation, asked: Asked) -> None:
    if operation.endpoint_id is None:
        return
    endpoint = endpoints.get(session, operation.endpoint_id)
    if endpoint is None:
        return
    hold = holds.get(session, operation.request.get("hold", ""))
    replaced = hold is not None and hold.ended_at is not None
    if hold is not None and hold.ended_at is None:
        end_hold(session, endpoint, hold, actor=asked.actor, now=asked.now)
    if replaced or remember(endpoint) != operation.request.get("after"):
        return  # somebody has asked for something else since
    _put_wish_back(session, endpoint, operation.request["before"], asked)
    _put_holds_back(session, endpoint, operation.request["ended"], asked)


def _put_wish_back(session: Session, endpoint: Endpoint, before: Json, asked: Asked) -> None:
    """Restore the wish from before a click; never a deletion, which would be carried out."""
    if before["wish"] == Wish.DELETED:
        endpoint.wish, endpoint.wish_reason = wish_as_is(endpoint), "its deletion was cancelled"
        endpoint.wish_actor, endpoint.wish_at = asked.actor, asked.now
    else:
        endpoint.wish, endpoint.wish_reason = before["wish"], before["reason"]
        endpoint.wish_actor = before["actor"]
        at = before["at"]
        endpoint.wish_at = None if at is None else datetime.fromisoformat(at)
    session.add(endpoint)


def _put_holds_back(
    session: Session, endpoint: Endpoint, ended: Sequence[str], asked: Asked
) -> None:
    """Restore the holds that a click ended, unless they are over or another one is in force."""
    session.flush()
    if holds.active_of(session, [endpoint.id], asked.now):
        return
    for hold in [found for ref in ended if (found := holds.get(session, ref)) is not None]:
        if hold.until > asked.now:
            _restore_hold(session, endpoint, hold, asked)


def _restore_hold(session: Session, endpoint: Endpoint, hold: Hold, asked: Asked) -> None:
    hold.ended_at, hold.ended_by = None, ""
    session.add(hold)
    events.record(
        session,
        at=asked.now,
        kind="hold.restored",
        actor=asked.actor,
        message=f"{asked.actor} restored the hold of {endpoint.name} ({hold.wish}) until "
        f"{hold.until:%Y-%m-%d %H:%M} UTC",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"hold": hold.id, "wish": hold.wish},
    )


def stop_hold(session: Session, hold_id: str, asked: Asked) -> Hold:
    """End a hold before its time; done again it changes nothing. Raises ServiceError 404."""
    hold = holds.get(session, hold_id)
    endpoint = None if hold is None else endpoints.get(session, hold.endpoint_id)
    if hold is None or endpoint is None:
        raise not_found("hold", hold_id, "List them with GET /v1/holds.")
    if hold.ended_at is None and hold.until > asked.now:
        end_hold(session, endpoint, hold, actor=asked.actor, now=asked.now)
    return hold
