"""Leases: a program's "keep it running while I need it"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.routers.holds import ActorQuery, EndpointQuery
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.holds import LeaseBody, LeaseOut, RenewBody, lease_out
from orchestrator.services import find, leases
from orchestrator.services.context import Context
from orchestrator.services.leases import Bounds, Leased
from orchestrator.store import accounts, endpoints, holds

router = APIRouter(prefix="/leases", tags=["leases"])
LOOK_EVERY_S = 0.5
LONGEST_WAIT_S = 60
Sleep = Callable[[float], Awaitable[None]]
LeaseRef = Annotated[str, Path(alias="id", max_length=60)]


@router.get("", operation_id="list_leases", responses=problems(*READ))
def list_leases(
    *,
    caller: Reader,
    context: Ctx,
    window: WindowDep,
    endpoint: EndpointQuery = None,
    actor: ActorQuery = None,
    state: Annotated[
        Literal["active", "all"], Query(description="Those in force, or also ended ones.")
    ] = "active",
) -> Listing[LeaseOut]:
    """List leases, newest first."""
    del caller
    now = context.clock.now()
    after = window.after("leases", (str,))
    with context.database.read() as session:
        found = holds.page(
            session,
            endpoint_id=None if endpoint is None else find.endpoint(session, endpoint).id,
            active_at=now if state == "active" else None,
            after=after,
            limit=window.limit + 1,
            actor=actor,
            leases=True,
        )
        shown, cursor = window.cut(found, "leases", lambda row: (row.id,))
        of = endpoints.by_ids(session, {row.endpoint_id for row in shown})
        items = [
            _out(session, leases.view(session, row, of[row.endpoint_id], now)) for row in shown
        ]
    return Listing(items=items, next_cursor=cursor)


@router.post(
    "",
    operation_id="acquire_lease",
    status_code=201,
    response_model=LeaseOut,
    responses=problems(*CHANGE),
)
def acquire_lease(body: LeaseBody, caller: Operator, change: ChangeDep) -> Response:
    """Have an endpoint running for a program, and start it where it does not run.

    Wait until it serves with `GET /v1/leases/{id}?wait=30`, renew it before `until`, release it at
    the end. Several leases unite: the endpoint goes back to its rules when the last one ends.
    """

    def work(session: Session) -> Done:
        row = find.endpoint(session, body.endpoint)
        asked = change.asked(caller, body.reason)
        leased = leases.acquire(session, row, body.length(), asked, _bounds(change.context))
        return Done(201, _out(session, leased), f"/v1/leases/{leased.lease.id}")

    return change.run(caller, work)


@router.get("/{id}", operation_id="get_lease", responses=problems(*READ_ONE))
async def get_lease(
    *,
    ref: LeaseRef,
    caller: Reader,
    context: Ctx,
    request: Request,
    wait: Annotated[
        int, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait while it is starting.")
    ] = 0,
) -> LeaseOut:
    """Return a lease as it stands; with `wait` as soon as it is no longer starting."""
    del caller
    sleep: Sleep = request.app.state.sleep
    found = await anyio.to_thread.run_sync(_read, context, ref)
    for _ in range(int(wait / LOOK_EVERY_S)):
        if found.status != "starting" or await request.is_disconnected():
            break
        await sleep(LOOK_EVERY_S)
        found = await anyio.to_thread.run_sync(_read, context, ref)
    return found


@router.post(
    "/{id}/renew",
    operation_id="renew_lease",
    response_model=LeaseOut,
    responses=problems(*CHANGE),
)
def renew_lease(ref: LeaseRef, body: RenewBody, caller: Operator, change: ChangeDep) -> Response:
    """Let a lease go on for so long from now; it never gets shorter."""

    def work(session: Session) -> Done:
        asked, bounds = change.asked(caller), _bounds(change.context)
        leased = leases.renew(session, ref, body.length(), asked, bounds)
        return Done(200, _out(session, leased))

    return change.run(caller, work)


@router.delete(
    "/{id}", operation_id="release_lease", response_model=LeaseOut, responses=problems(*CHANGE)
)
def release_lease(ref: LeaseRef, caller: Operator, change: ChangeDep) -> Response:
    """End a lease; the endpoint goes back to its rules, unless other leases hold it."""

    def work(session: Session) -> Done:
        return Done(200, _out(session, leases.release(session, ref, change.asked(caller))))

    return change.run(caller, work)


def _bounds(context: Context) -> Bounds:
    settings = context.settings
    return Bounds(
        ttl=timedelta(minutes=settings.max_lease_minutes),
        total=timedelta(hours=settings.max_lease_hours),
    )


def _read(context: Context, ref: str) -> LeaseOut:
    with context.database.read() as session:
        lease, endpoint = leases.find(session, ref)
        return _out(session, leases.view(session, lease, endpoint, context.clock.now()))


def _out(session: Session, leased: Leased) -> LeaseOut:
    owner = leased.endpoint.account_id
    return lease_out(leased, accounts.by_ids(session, [owner])[owner])
