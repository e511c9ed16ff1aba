"""When endpoints expire: set, extended, taken off."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Operator
from orchestrator.api.openapi import CHANGE, problems
from orchestrator.api.routers.endpoints import EndpointRef
from orchestrator.api.schemas.endpoints import endpoint_out
from orchestrator.api.schemas.expiry import ExtendBody, ExtendedOut
from orchestrator.api.schemas.lifetimes import ExpiryBody
from orchestrator.services import expiry, find
from orchestrator.services.expiry import Extended
from orchestrator.services.views import view
from orchestrator.store.tables import Endpoint

router = APIRouter(prefix="/endpoints", tags=["expiry"])


@router.put(
    "/{id:path}/expiry",
    operation_id="set_endpoint_expiry",
    response_model=ExtendedOut,
    responses=problems(*CHANGE),
)
def set_endpoint_expiry(
    ref: EndpointRef, body: ExpiryBody, caller: Operator, change: ChangeDep
) -> Response:
    """Say when an endpoint expires. It is paused then, after warnings, and never deleted at once.

    Later than before is an extension, which expiry policies may limit.
    """

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        wanted, asked = body.wanted(), change.asked(caller, body.reason)
        return _done(session, row, change, expiry.set_expiry(session, row, wanted, asked))

    return change.run(caller, work)


@router.post(
    "/{id:path}/extend",
    operation_id="extend_endpoint",
    response_model=ExtendedOut,
    responses=problems(*CHANGE),
)
def extend_endpoint(
    ref: EndpointRef, body: ExtendBody, caller: Operator, change: ChangeDep
) -> Response:
    """Put the expiry of an endpoint off. What has expired comes back as it was wished for."""

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        wanted, asked = body.wanted(), change.asked(caller, body.reason)
        return _done(session, row, change, expiry.extend(session, row, wanted, asked))

    return change.run(caller, work)


@router.delete(
    "/{id:path}/expiry",
    operation_id="clear_endpoint_expiry",
    response_model=ExtendedOut,
    responses=problems(*CHANGE),
)
def clear_endpoint_expiry(
    ref: EndpointRef,
    caller: Operator,
    change: ChangeDep,
    reason: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Let an endpoint never expire, where no expiry policy wants that it does."""

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        asked = change.asked(caller, reason)
        return _done(session, row, change, expiry.clear(session, row, asked))

    return change.run(caller, work)


def _done(session: Session, row: Endpoint, change: ChangeDep, done: Extended) -> Done:
    session.flush()
    shown = endpoint_out(view(session, row, change.now)).model_dump()
    return Done(200, ExtendedOut(**shown, expired_before=done.before))
