"""The contract card of an endpoint, and the leave to stop it by deleting and making it again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ_ONE, problems
from orchestrator.api.routers.endpoints import EndpointRef
from orchestrator.api.schemas.contracts import AllowBody, ContractOut, contract_out
from orchestrator.api.schemas.endpoints import EndpointOut, endpoint_out
from orchestrator.services import contracts, find
from orchestrator.services.context import Context
from orchestrator.services.contracts import Card
from orchestrator.services.views import view
from orchestrator.store import accounts

router = APIRouter(prefix="/endpoints", tags=["endpoints"])


@router.get(
    "/{id:path}/contract", operation_id="get_contract", responses=problems(*READ_ONE, 409, 503)
)
def get_contract(ref: EndpointRef, caller: Reader, context: Ctx) -> ContractOut:
    """Say what a pause would keep and lose, and what forbids it; asks the cloud now."""
    del caller
    return contract_out(_card(context, ref))


@router.put(
    "/{id:path}/allow-recreate",
    operation_id="allow_recreate",
    response_model=EndpointOut,
    responses=problems(*CHANGE, 503),
)
def allow_recreate(
    ref: EndpointRef, body: AllowBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Allow that it be stopped by deleting it and made again, over the card that was seen."""
    card = change.before(caller, lambda: _card(context, ref))

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        asked = change.asked(caller, body.reason)
        contracts.allow_recreate(session, row, asked, card, seen=body.digest, forced=body.forced)
        session.flush()
        return Done(200, endpoint_out(view(session, row, change.now)))

    return change.run(caller, work)


@router.delete(
    "/{id:path}/allow-recreate",
    operation_id="forbid_recreate",
    response_model=EndpointOut,
    responses=problems(*CHANGE),
)
def forbid_recreate(
    ref: EndpointRef,
    caller: Operator,
    change: ChangeDep,
    reason: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Take the leave back."""

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        contracts.forbid_recreate(session, row, change.asked(caller, reason))
        session.flush()
        return Done(200, endpoint_out(view(session, row, change.now)))

    return change.run(caller, work)


def _card(context: Context, ref: str) -> Card:
    with context.database.read() as session:
        row = find.endpoint(session, ref)
        account = accounts.by_ids(session, [row.account_id])[row.account_id]
    return contracts.read_card(context, account, row)
