"""Endpoints: giving them back, deleting them, and bringing them back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Operator
from orchestrator.api.openapi import CHANGE, problems
from orchestrator.api.routers.endpoints import EndpointRef
from orchestrator.api.schemas.endpoint_bodies import (
    HandoverOut,
    ReleaseBody,
    ReleasedOut,
    UndeleteBody,
    UndeletedOut,
)
from orchestrator.api.schemas.endpoints import endpoint_out
from orchestrator.api.schemas.operations import OperationOut, Ref, hold_out, operation_out
from orchestrator.services import deletion, find, lengths, releasing, running
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError
from orchestrator.services.requests import Asked
from orchestrator.services.views import view
from orchestrator.store import accounts
from orchestrator.store.tables import Operation

router = APIRouter(prefix="/endpoints", tags=["endpoints"])


@router.post(
    "/{id:path}/release",
    operation_id="release_endpoint",
    response_model=ReleasedOut,
    responses=problems(*CHANGE),
)
def release_endpoint(
    ref: EndpointRef, caller: Operator, change: ChangeDep, body: ReleaseBody | None = None
) -> Response:
    """Only observe an endpoint from now on, and leave it as it is.

    One that was deleted to pause it has to be resumed first, or handed over.
    """
    given = body or ReleaseBody()

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        asked = change.asked(caller, given.reason)
        released = releasing.release(change.context, session, row, asked, handover=given.handover)
        session.flush()
        shown = endpoint_out(view(session, row, change.now)).model_dump()
        paper = released.handover
        handed = None
        if paper is not None:
            handed = HandoverOut(
                endpoint=Ref(id=row.id, name=row.name),
                commands=list(paper.commands),
                remains=list(paper.remains),
                lacks=list(paper.lacks),
                document=dict(paper.document),
            )
        out = ReleasedOut(**shown, handover=handed, cloud_goes_on=released.cloud_goes_on)
        return Done(200, out)

    return change.run(caller, work)


@router.post(
    "/{id:path}/undelete",
    operation_id="undelete_endpoint",
    response_model=UndeletedOut,
    responses=problems(*CHANGE),
)
def undelete_endpoint(
    ref: EndpointRef, caller: Operator, change: ChangeDep, body: UndeleteBody | None = None
) -> Response:
    """Call a deletion with grace off: the endpoint comes back as it was wished for before.

    `operation` is what brings it back, if anything has to be done. Holds that the deletion ended
    stay ended.
    """
    reason = "" if body is None else body.reason

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        undone = deletion.undelete(session, row, change.asked(caller, reason))
        session.flush()
        shown = endpoint_out(view(session, row, change.now)).model_dump()
        gone = [hold_out(hold, row.name) for hold in undone.not_revived]
        return Done(200, UndeletedOut(**shown, holds_not_revived=gone))

    return change.run(caller, work)


@router.delete(
    "/{id:path}",
    operation_id="delete_endpoint",
    status_code=202,
    response_model=OperationOut,
    responses=problems(*CHANGE),
)
def delete_endpoint(
    *,
    ref: EndpointRef,
    caller: Operator,
    change: ChangeDep,
    confirm: Annotated[str, Query(max_length=120, description="The endpoint's name.")] = "",
    reason: Annotated[str, Query(max_length=500)] = "",
    grace: Annotated[
        str | None,
        Query(
            max_length=20,
            description="For how long it is only paused and can be brought back, such as 24h or "
            "7d; 0 deletes it at once. Else as the server is set.",
            examples=["24h"],
        ),
    ] = None,
) -> Response:
    """Delete an endpoint for good, after a grace in which it is paused and can be brought back.

    The operation is the pause that begins the grace, or without a grace the deletion itself.
    """
    length = _grace(change.context, grace)

    def work(session: Session) -> Done:
        asked = change.asked(caller, reason)
        operation = _delete(session, ref, asked, confirm, length)
        owner = accounts.by_ids(session, [operation.account_id])[operation.account_id]
        where = f"/v1/operations/{operation.id}"
        return Done(202, operation_out(operation, owner.name), where)

    return change.run(caller, work)


def _delete(session: Session, ref: str, asked: Asked, confirm: str, grace: timedelta) -> Operation:
    try:
        row = find.endpoint(session, ref)
    except ServiceError:
        unborn = _unborn(session, ref, asked, confirm)
        if unborn is None:
            raise
        return unborn
    return deletion.request_delete(session, row, asked, confirm=confirm, grace=grace)


def _unborn(session: Session, ref: str, asked: Asked, confirm: str) -> Operation | None:
    """Cancel the create of an endpoint that nobody has seen yet, by its future name."""
    place, slash, name = ref.partition("/")
    if not slash or name != confirm:
        return None
    return running.cancel_create(session, find.account(session, place).id, name, asked)


def _grace(context: Context, text: str | None) -> timedelta:
    if text is None:
        return timedelta(hours=context.settings.delete_grace_hours)
    return lengths.parse(text, "grace")
