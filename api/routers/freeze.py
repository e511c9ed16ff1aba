"""The kill switch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, problems
from orchestrator.api.schemas.accounts import freeze_out
from orchestrator.api.schemas.misc import FreezeBody, FreezeStateOut, FrozenAccountOut
from orchestrator.api.schemas.operations import Ref
from orchestrator.services import freezing

router = APIRouter(prefix="/freeze", tags=["freeze"])
ReasonQuery = Annotated[str, Query(max_length=500, description="Why; kept with the event.")]
AccountQuery = Annotated[str | None, Query(description="Id or name; without it, everywhere.")]


@router.get("", operation_id="get_freeze", responses=problems(*READ))
def get_freeze(caller: Reader, context: Ctx) -> FreezeStateOut:
    """Return whether anything is frozen, since when, by whom and why."""
    del caller
    with context.database.read() as session:
        return _state(session)


@router.put("", operation_id="freeze", response_model=FreezeStateOut, responses=problems(*CHANGE))
def freeze(body: FreezeBody, caller: Operator, change: ChangeDep) -> Response:
    """Stop all changes at once, everywhere or in one account; observing and metering go on."""

    def work(session: Session) -> Done:
        freezing.switch_on(session, body.account, change.asked(caller, body.reason))
        session.flush()
        return Done(200, _state(session))

    return change.run(caller, work)


@router.delete(
    "", operation_id="unfreeze", response_model=FreezeStateOut, responses=problems(*CHANGE)
)
def unfreeze(
    caller: Operator, change: ChangeDep, account: AccountQuery = None, reason: ReasonQuery = ""
) -> Response:
    """Let changes happen again, everywhere or in one account."""

    def work(session: Session) -> Done:
        freezing.switch_off(session, account, change.asked(caller, reason))
        session.flush()
        return Done(200, _state(session))

    return change.run(caller, work)


def _state(session: Session) -> FreezeStateOut:
    everywhere, single = freezing.state(session)
    return FreezeStateOut(
        everywhere=freeze_out(everywhere),
        accounts=[
            FrozenAccountOut(
                account=Ref(id=account.id, name=account.name),
                at=found.at,
                by=found.by,
                reason=found.reason,
            )
            for account, found in single
        ],
    )
