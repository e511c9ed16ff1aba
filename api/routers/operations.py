"""Operations and holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.operations import (
    OperationOut,
    OperationStatus,
    operation_out,
)
from orchestrator.domain.plan import Kind
from orchestrator.services import find, running, usual_times
from orchestrator.services.context import Context
from orchestrator.store import accounts, operations
from orchestrator.store.operations import OperationFilter

router = APIRouter(tags=["operations"])
LOOK_EVERY_S = 0.5
LONGEST_WAIT_S = 60
Sleep = Callable[[float], Awaitable[None]]
OperationRef = Annotated[str, Path(alias="id", max_length=60)]


@router.get("/operations", operation_id="list_operations", responses=problems(*READ))
def list_operations(
    *,
    caller: Reader,
    context: Ctx,
    window: WindowDep,
    endpoint: Annotated[str | None, Query(description="Id, or account/name.")] = None,
    account: Annotated[str | None, Query(description="Id or name.")] = None,
    status: Annotated[list[OperationStatus] | None, Query()] = None,
    kind: Kind | None = None,
    stuck: Annotated[
        bool | None, Query(description="Only those whose step lasts longer than usual, or not.")
    ] = None,
    bulk: Annotated[
        str | None, Query(max_length=60, description="Id of the bulk request they belong to.")
    ] = None,
) -> Listing[OperationOut]:
    """List operations, newest first."""
    del caller
    after = window.after("operations", (str,))
    with context.database.read() as session:
        wanted = OperationFilter(
            endpoint_id=None if endpoint is None else find.endpoint(session, endpoint).id,
            account_id=None if account is None else find.account(session, account).id,
            statuses=tuple(status or ()),
            kind=kind,
            stuck=stuck,
            bulk_id=bulk,
        )
        found = operations.page(session, wanted, after, window.limit + 1)
        shown, cursor = window.cut(found, "operations", lambda row: (row.id,))
        names = accounts.by_ids(session, {row.account_id for row in shown})
    items = [operation_out(row, names[row.account_id].name) for row in shown]
    return Listing(items=items, next_cursor=cursor)


@router.get("/operations/{id}", operation_id="get_operation", responses=problems(*READ_ONE))
async def get_operation(
    *,
    ref: OperationRef,
    caller: Reader,
    context: Ctx,
    request: Request,
    wait: Annotated[
        int, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait until it has ended.")
    ] = 0,
    version: Annotated[
        str | None,
        Query(
            max_length=40,
            description="With `wait`: the version that is known; any other is answered at once.",
        ),
    ] = None,
) -> OperationOut:
    """Return an operation; with `wait` as soon as it has ended, at the latest after so long.

    With `version` also as soon as it has come further than that.
    """
    del caller
    sleep: Sleep = request.app.state.sleep
    found = await anyio.to_thread.run_sync(_read, context, ref)
    for _ in range(int(wait / LOOK_EVERY_S)):
        if found.status not in operations.ACTIVE or version not in (None, found.version):
            break
        if await request.is_disconnected():
            break
        await sleep(LOOK_EVERY_S)
        found = await anyio.to_thread.run_sync(_read, context, ref)
    return await anyio.to_thread.run_sync(_with_usual, context, found)


@router.post(
    "/operations/{id}/cancel",
    operation_id="cancel_operation",
    response_model=OperationOut,
    responses=problems(*CHANGE),
)
def cancel_operation(
    ref: OperationRef, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Cancel an operation that the cloud has not been asked for; its click is taken back.

    So may an update be that the cloud has certainly carried nothing out of, however often it tried.
    """

    def work(session: Session) -> Done:
        operation = running.cancel(session, ref, change.asked(caller))
        owner = accounts.by_ids(session, [operation.account_id])[operation.account_id]
        return Done(200, operation_out(operation, owner.name))

    response = change.run(caller, work)
    if not change.dry_run:
        context.vault.drop(ref)
    return response


def _with_usual(context: Context, found: OperationOut) -> OperationOut:
    """Add how long it usually takes to one under way; not stored, and too dear for each look."""
    if found.status not in operations.ACTIVE:
        return found
    with context.database.read() as session:
        row = find.operation(session, found.id)
    told = usual_times.usual_seconds(context, row)
    return found.model_copy(update={"usual_seconds": told})


def _read(context: Context, ref: str) -> OperationOut:
    with context.database.read() as session:
        row = find.operation(session, ref)
        owner = accounts.by_ids(session, [row.account_id])[row.account_id]
        return operation_out(row, owner.name)
