"""Named calendars: days off that schedules leave out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from orchestrator.api.changes import Change, ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.calendars import (
    CalendarBody,
    CalendarOut,
    CalendarSummary,
    calendar_out,
    calendar_summary,
)
from orchestrator.services import calendar_sources as sources
from orchestrator.services import calendars
from orchestrator.services.errors import conflict
from orchestrator.services.tokens import Caller
from orchestrator.store import calendars as rows

router = APIRouter(prefix="/calendars", tags=["calendars"])
ORDER = "calendars"
CalendarRef = Annotated[str, Path(alias="id", description="Id or name.", max_length=120)]


@router.get("", operation_id="list_calendars", responses=problems(*READ))
def list_calendars(caller: Reader, context: Ctx, window: WindowDep) -> Listing[CalendarSummary]:
    """List calendars by name."""
    del caller
    after = window.after(ORDER, (str, str))
    with context.database.read() as session:
        found = rows.page(session, after, window.limit + 1)
    shown, cursor = window.cut(found, ORDER, lambda row: (row.name, row.id))
    return Listing(items=[calendar_summary(row) for row in shown], next_cursor=cursor)


@router.post(
    "",
    operation_id="create_calendar",
    status_code=201,
    response_model=CalendarOut,
    responses=problems(*CHANGE),
)
def create_calendar(body: CalendarBody, caller: Operator, change: ChangeDep) -> Response:
    """Save a calendar. Its dates are made now and kept; those of holidays grow year by year."""
    kept = change.earlier(caller)
    if kept is not None:
        return kept
    draft = _draft(body, caller, change)

    def work(session: Session) -> Done:
        found = calendars.create(session, draft, change.asked(caller))
        return Done(201, calendar_out(found), f"/v1/calendars/{found.calendar.id}")

    return change.run(caller, work)


@router.get("/{id}", operation_id="get_calendar", responses=problems(*READ_ONE))
def get_calendar(ref: CalendarRef, caller: Reader, context: Ctx) -> CalendarOut:
    """Return a calendar with its dates and what uses it."""
    del caller
    now = context.clock.now()
    with context.database.read() as session:
        return calendar_out(calendars.describe(session, calendars.find(session, ref), now))


@router.put(
    "/{id}",
    operation_id="replace_calendar",
    response_model=CalendarOut,
    responses=problems(*CHANGE),
)
def replace_calendar(
    ref: CalendarRef, body: CalendarBody, caller: Operator, change: ChangeDep
) -> Response:
    """Save a calendar in place of its former version; rehearse it to see what schedules do.

    A schedule that would say otherwise at this instant acts from its next edge.
    """
    kept = change.earlier(caller)
    if kept is not None:
        return kept
    draft = _draft(body, caller, change)

    def work(session: Session) -> Done:
        row = calendars.find(session, ref)
        return Done(200, calendar_out(calendars.replace(session, row, draft, change.asked(caller))))

    return change.run(caller, work)


@router.post(
    "/{id}/refresh",
    operation_id="refresh_calendar",
    response_model=CalendarOut,
    responses=problems(*CHANGE),
)
def refresh_calendar(
    ref: CalendarRef, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Take the dates that the source gives now, from today on; the past stays as it was."""
    with context.database.read() as session:
        known = calendars.find(session, ref)
    source = calendars.source_of(known)
    made = change.before(caller, lambda: sources.make(source, change.now.date()))

    def work(session: Session) -> Done:
        row = calendars.find(session, ref)
        if row.version != known.version:
            raise conflict(
                "changed_meanwhile", f"{row.name} was changed meanwhile.", remedy="Try again."
            )
        return Done(200, calendar_out(calendars.refresh(session, row, made, change.asked(caller))))

    return change.run(caller, work)


@router.delete(
    "/{id}", operation_id="delete_calendar", status_code=204, responses=problems(*CHANGE)
)
def delete_calendar(ref: CalendarRef, caller: Operator, change: ChangeDep) -> Response:
    """Delete a calendar that nothing uses."""

    def work(session: Session) -> Done:
        calendars.remove(session, calendars.find(session, ref), change.asked(caller))
        return Done(204)

    return change.run(caller, work)


def _draft(body: CalendarBody, caller: Caller, change: Change) -> calendars.Draft:
    """Return a draft with its dates, which are made before the transaction."""

    def read() -> calendars.Draft:
        source = body.source.value()
        return calendars.Draft(body.name, source, sources.make(source, change.now.date()))

    return change.before(caller, read)
