"""Holds: a person's "keep it so until then"."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.holds import HoldBody, HoldMadeOut, held_out
from orchestrator.api.schemas.operations import HoldOut, hold_out
from orchestrator.services import find, holding, running
from orchestrator.store import accounts, endpoints, holds

router = APIRouter(prefix="/holds", tags=["holds"])
HoldRef = Annotated[str, Path(alias="id", max_length=60)]
EndpointQuery = Annotated[str | None, Query(description="Id, or account/name.", max_length=250)]
ActorQuery = Annotated[str | None, Query(max_length=120, description="Who made it.")]


@router.get("", operation_id="list_holds", responses=problems(*READ))
def list_holds(
    *,
    caller: Reader,
    context: Ctx,
    window: WindowDep,
    endpoint: EndpointQuery = None,
    actor: ActorQuery = None,
    state: Annotated[
        Literal["active", "all"], Query(description="Those in force, or also ended ones.")
    ] = "active",
) -> Listing[HoldOut]:
    """List holds, newest first; those of programs are at /v1/leases."""
    del caller
    after = window.after("holds", (str,))
    with context.database.read() as session:
        found = holds.page(
            session,
            endpoint_id=None if endpoint is None else find.endpoint(session, endpoint).id,
            active_at=context.clock.now() if state == "active" else None,
            after=after,
            limit=window.limit + 1,
            actor=actor,
        )
        shown, cursor = window.cut(found, "holds", lambda row: (row.id,))
        names = endpoints.by_ids(session, {row.endpoint_id for row in shown})
    items = [hold_out(row, names[row.endpoint_id].name) for row in shown]
    return Listing(items=items, next_cursor=cursor)


@router.post(
    "",
    operation_id="create_hold",
    status_code=201,
    response_model=HoldMadeOut,
    responses=problems(*CHANGE),
)
def create_hold(body: HoldBody, caller: Operator, change: ChangeDep) -> Response:
    """Keep an endpoint running, available or paused until an instant, from now on.

    `cost` is what that costs; `dry_run=true` tells it before. Another hold of yours on the same
    endpoint ends. Among people running outranks available, and that outranks paused.
    """
    longest = timedelta(days=change.context.settings.max_hold_days)

    def work(session: Session) -> Done:
        row = find.endpoint(session, body.endpoint)
        asked = change.asked(caller, body.reason)
        until = body.end(change.now)
        held = holding.request_hold(session, row, body.wanted(), until, asked, longest=longest)
        account = accounts.by_ids(session, [row.account_id])[row.account_id]
        return Done(201, held_out(held, row.name, account), f"/v1/holds/{held.hold.id}")

    return change.run(caller, work)


@router.get("/{id}", operation_id="get_hold", responses=problems(*READ_ONE))
def get_hold(ref: HoldRef, caller: Reader, context: Ctx) -> HoldOut:
    """Return a hold, also one that has ended."""
    del caller
    with context.database.read() as session:
        hold, endpoint = holding.find(session, ref)
        return hold_out(hold, endpoint.name)


@router.delete(
    "/{id}", operation_id="end_hold", response_model=HoldOut, responses=problems(*CHANGE)
)
def end_hold(ref: HoldRef, caller: Operator, change: ChangeDep) -> Response:
    """End a hold before its time; the rules decide again at once."""

    def work(session: Session) -> Done:
        hold = running.stop_hold(session, ref, change.asked(caller))
        row = endpoints.by_ids(session, [hold.endpoint_id])[hold.endpoint_id]
        return Done(200, hold_out(hold, row.name))

    return change.run(caller, work)
