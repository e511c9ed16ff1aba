"""Operations and holds as people handle them: cancelling the one, ending the other."""

from __future__ import annotations

from sqlmodel import Session

from orchestrator.services.clicks import end_hold, put_back
from orchestrator.services.errors import conflict, not_found
from orchestrator.services.requests import Asked, close
from orchestrator.store import endpoints, holds, operations
from orchestrator.store.tables import Hold, Operation

ENGINE = "engine"


def cancel(session: Session, operation_id: str, asked: Asked) -> Operation:
    """Cancel an operation that nothing was sent for; what its click had asked for is put back.

    Raises ServiceError: 404 for an unknown one, 409 for one that a rule asked for, that was
    sent, or that has ended.
    """
    operation = operations.lock(session, operation_id)
    if operation is None:
        raise not_found("operation", operation_id, "List them with GET /v1/operations.")
    _check_cancellable(operation)
    close(
        session, operation, "cancelled", f"{asked.actor} cancelled it", at=asked.now, by=asked.actor
    )
    _undo_click(session, operation, asked)
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
    if operation.status != "pending":
        raise conflict(
            "already_sent",
            "The cloud has been asked for it; that cannot be called back.",
            remedy="Wait until it has ended and ask for the opposite.",
        )


def _undo_click(session: Session, operation: Operation, asked: Asked) -> None:
    if operation.endpoint_id is None:
        return
    endpoint = endpoints.get(session, operation.endpoint_id)
    if endpoint is None:
        return
    put_back(session, endpoint, operation)
    hold = holds.get(session, operation.request.get("hold", ""))
    if hold is not None and hold.ended_at is None:
        end_hold(session, endpoint, hold, actor=asked.actor, now=asked.now)


def stop_hold(session: Session, hold_id: str, asked: Asked) -> Hold:
    """End a hold before its time; done again it changes nothing. Raises ServiceError 404."""
    hold = holds.get(session, hold_id)
    endpoint = None if hold is None else endpoints.get(session, hold.endpoint_id)
    if hold is None or endpoint is None:
        raise not_found("hold", hold_id, "List them with GET /v1/holds.")
    if hold.ended_at is None and hold.until > asked.now:
        end_hold(session, endpoint, hold, actor=asked.actor, now=asked.now)
    return hold
