"""Costs, price lists and events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ, problems
from orchestrator.api.routers.endpoints import LabelFilter, parse_label
from orchestrator.api.schemas.base import AskedInstant, Listing
from orchestrator.api.schemas.costs import CostsOut, costs_out
from orchestrator.api.schemas.misc import EventsOut, OfferOut, event_out, offer_out
from orchestrator.api.spans import DayGrouping, From, To, check_days, span
from orchestrator.costs.report import check_grouping, cost_report
from orchestrator.services import find
from orchestrator.services.errors import invalid
from orchestrator.store import accounts, events, retention
from orchestrator.store.events import EventFilter
from orchestrator.store.ledger_reads import SpanFilter

router = APIRouter()
GROUPS_TEXT = "endpoint, account, day, hardware, component or label:<key>"
AccountQuery = Annotated[str | None, Query(description="Id or name.", max_length=120)]


@router.get("/costs", operation_id="get_costs", tags=["costs"], responses=problems(*READ))
def get_costs(
    *,
    caller: Reader,
    context: Ctx,
    start: From = None,
    end: To = None,
    group_by: Annotated[
        str,
        Query(max_length=80, description=f"{GROUPS_TEXT}."),
    ] = "endpoint",
    by: DayGrouping = None,
    account: AccountQuery = None,
    label: LabelFilter = None,
) -> CostsOut:
    """Return what was spent, dearest first, as far as measured; this month by default."""
    del caller
    now = context.clock.now()
    begin, until = span(start, end, now)
    check_days(by, begin, until)
    _check_group(group_by)
    with context.database.read() as session:
        report = cost_report(
            session,
            start=begin,
            end=until,
            now=now,
            group_by=group_by,
            filters=SpanFilter(
                account_id=None if account is None else find.account(session, account).id,
                labels=_labels(label or []),
            ),
            by_day=by is not None,
        )
        dropped = retention.dropped_before(session, "meter_interval")
    reaches = dropped is not None and begin < dropped
    return costs_out(report).model_copy(update={"dropped_before": dropped if reaches else None})


@router.get("/hardware", operation_id="list_hardware", tags=["costs"], responses=problems(*READ))
def list_hardware(
    caller: Reader, context: Ctx, window: WindowDep, account: AccountQuery = None
) -> Listing[OfferOut]:
    """List what accounts can run on, with prices per replica-hour and quota."""
    del caller
    after = window.after("hardware", (str, str))
    with context.database.read() as session:
        account_id = None if account is None else find.account(session, account).id
        found = accounts.offers(session, account_id, after, window.limit + 1)
        shown, cursor = window.cut(
            found, "hardware", lambda row: (row.account_id, row.hardware_key)
        )
        names = accounts.by_ids(session, {row.account_id for row in shown})
    items = [offer_out(row, names[row.account_id].name) for row in shown]
    return Listing(items=items, next_cursor=cursor)


@router.get("/events", operation_id="list_events", tags=["events"], responses=problems(*READ))
def list_events(
    *,
    caller: Reader,
    context: Ctx,
    window: WindowDep,
    account: AccountQuery = None,
    endpoint: Annotated[str | None, Query(description="Id, or account/name.")] = None,
    kind: Annotated[
        str | None, Query(max_length=80, description="`operation.failed`, or `hold.*`.")
    ] = None,
    since: AskedInstant | None = None,
) -> EventsOut:
    """List what happened, newest first."""
    del caller
    after = window.after("events", (int,))
    with context.database.read() as session:
        wanted = EventFilter(
            account_id=None if account is None else find.account(session, account).id,
            endpoint_id=None if endpoint is None else find.endpoint(session, endpoint).id,
            kind=kind,
            since=since,
            before_id=None if after is None else after[0],
        )
        found = events.newest(session, wanted, window.limit + 1)
        dropped = retention.dropped_before(session, "event")
    shown, cursor = window.cut(found, "events", lambda event: (event.id,))
    reaches = dropped is not None and (since is None or since < dropped)
    return EventsOut(
        items=[event_out(event) for event in shown],
        next_cursor=cursor,
        dropped_before=dropped if reaches else None,
    )


def _check_group(group_by: str) -> None:
    try:
        check_grouping(group_by)
    except ValueError as error:
        remedy = f"Use {GROUPS_TEXT}."
        raise invalid("group_by", f"{group_by!r} is no grouping.", remedy=remedy) from error


def _labels(texts: list[str]) -> dict[str, str]:
    labels = {}
    for text in texts:
        key, value = parse_label(text)
        if value is None:
            raise invalid("label", f"{text!r} has no value.", remedy="Write it like team=search.")
        labels[key] = value
    return labels
