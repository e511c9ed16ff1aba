"""Endpoints: reading."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ, READ_ONE, problems
from orchestrator.api.schemas.base import AskedInstant, Listing
from orchestrator.api.schemas.costs import CostsOut, costs_out
from orchestrator.api.schemas.endpoints import EndpointOut, endpoint_out
from orchestrator.api.schemas.misc import EventOut, event_out
from orchestrator.api.spans import DayGrouping, From, To, check_days, span
from orchestrator.costs.report import cost_report
from orchestrator.domain.status import Status
from orchestrator.services import find
from orchestrator.services.views import view, views
from orchestrator.store import endpoints, events
from orchestrator.store.endpoints import EndpointFilter, Sort
from orchestrator.store.events import EventFilter
from orchestrator.store.ledger_reads import SpanFilter

router = APIRouter(prefix="/endpoints", tags=["endpoints"])
EndpointRef = Annotated[
    str,
    Path(alias="id", description="Id, or account-name/endpoint-name.", max_length=250),
]
LabelFilter = Annotated[
    list[str] | None,
    Query(
        max_length=20,
        description="`team=search`, or a key alone; repeat it, all must match. "
        "Labels from the cloud have the prefix `cloud:`.",
        examples=[["team=search"]],
    ),
]


@router.get("", operation_id="list_endpoints", responses=problems(*READ))
def list_endpoints(
    *,
    caller: Reader,
    context: Ctx,
    window: WindowDep,
    account: Annotated[str | None, Query(description="Id or name.")] = None,
    status: Annotated[list[Status] | None, Query()] = None,
    managed: bool | None = None,
    name: Annotated[str | None, Query(max_length=120, description="Part of the name.")] = None,
    label: LabelFilter = None,
    hardware: Annotated[str | None, Query(max_length=120, description="Part of its key.")] = None,
    deleted: Annotated[bool, Query(description="Also those that were deleted.")] = False,
    expiring_before: Annotated[
        AskedInstant | None, Query(description="Only those that expire before then.")
    ] = None,
    sort: Sort = Sort.NAME,
) -> Listing[EndpointOut]:
    """List endpoints with status, price and cost of the month."""
    del caller
    now = context.clock.now()
    kinds = (int if sort in (Sort.BURN, Sort.BURN_DOWN) else str, str)
    after = window.after(f"endpoints:{sort}", kinds)
    with context.database.read() as session:
        wanted = EndpointFilter(
            account_id=None if account is None else find.account(session, account).id,
            statuses=tuple(status or ()),
            managed=managed,
            name=name,
            labels=tuple(parse_label(text) for text in label or ()),
            hardware=hardware,
            deleted=deleted,
            expiring_before=expiring_before,
        )
        found = endpoints.search(session, wanted, sort=sort, after=after, limit=window.limit + 1)
        shown, cursor = window.cut(found, f"endpoints:{sort}", lambda one: one.position)
        gathered = views(session, [one.endpoint for one in shown], now)
    return Listing(items=[endpoint_out(one) for one in gathered], next_cursor=cursor)


@router.get("/{id:path}/events", operation_id="list_endpoint_events", responses=problems(*READ_ONE))
def list_endpoint_events(
    ref: EndpointRef, caller: Reader, context: Ctx, window: WindowDep
) -> Listing[EventOut]:
    """List what happened to an endpoint, newest first."""
    del caller
    after = window.after("events", (int,))
    with context.database.read() as session:
        row = find.endpoint(session, ref)
        wanted = EventFilter(endpoint_id=row.id, before_id=None if after is None else after[0])
        found = events.newest(session, wanted, window.limit + 1)
    shown, cursor = window.cut(found, "events", lambda event: (event.id,))
    return Listing(items=[event_out(event) for event in shown], next_cursor=cursor)


@router.get("/{id:path}/cost", operation_id="get_endpoint_cost", responses=problems(*READ_ONE))
def get_endpoint_cost(
    *,
    ref: EndpointRef,
    caller: Reader,
    context: Ctx,
    start: From = None,
    end: To = None,
    by: DayGrouping = None,
) -> CostsOut:
    """Return what an endpoint cost, this month unless told otherwise."""
    del caller
    now = context.clock.now()
    begin, until = span(start, end, now)
    check_days(by, begin, until)
    with context.database.read() as session:
        row = find.endpoint(session, ref)
        report = cost_report(
            session,
            start=begin,
            end=until,
            now=now,
            filters=SpanFilter(endpoint_ids=[row.id]),
            by_day=by is not None,
        )
    return costs_out(report)


@router.get("/{id:path}", operation_id="get_endpoint", responses=problems(*READ_ONE))
def get_endpoint(ref: EndpointRef, caller: Reader, context: Ctx) -> EndpointOut:
    """Return all that is known of an endpoint."""
    del caller
    now = context.clock.now()
    with context.database.read() as session:
        return endpoint_out(view(session, find.endpoint(session, ref), now))


def parse_label(text: str) -> tuple[str, str | None]:
    """Return key and value of `team=search`; a key alone has no value."""
    key, equals, value = text.partition("=")
    return key, value if equals else None
