"""Schedules: windows in which endpoints are up, exceptions, and cron points."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.api.schemas.schedules import (
    PreviewBody,
    PreviewOut,
    ScheduleBody,
    ScheduleOut,
    ScheduleSummary,
    preview_out,
    schedule_out,
    schedule_summary,
)
from orchestrator.services import calendars, scheduling, selectors
from orchestrator.services.context import Context
from orchestrator.services.preview import Wanted, preview
from orchestrator.services.selectors import Selector
from orchestrator.services.windows import windows_of
from orchestrator.store import schedules as rows

router = APIRouter(prefix="/schedules", tags=["schedules"])
ORDER = "schedules"
ScheduleRef = Annotated[str, Path(alias="id", description="Id or name.", max_length=120)]
Weeks = Annotated[int, Query(ge=1, le=52, description="Civil weeks, the present one first.")]


@router.get("", operation_id="list_schedules", responses=problems(*READ))
def list_schedules(caller: Reader, context: Ctx, window: WindowDep) -> Listing[ScheduleSummary]:
    """List schedules by name."""
    del caller
    after = window.after(ORDER, (str, str))
    with context.database.read() as session:
        found = rows.page(session, after, window.limit + 1)
    shown, cursor = window.cut(found, ORDER, lambda row: (row.name, row.id))
    return Listing(items=[schedule_summary(row) for row in shown], next_cursor=cursor)


@router.post(
    "",
    operation_id="create_schedule",
    status_code=201,
    response_model=ScheduleOut,
    responses=problems(*CHANGE),
)
def create_schedule(
    body: ScheduleBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Save a schedule. It acts from its next edge, but on the endpoints in `apply_now` at once."""

    def work(session: Session) -> Done:
        draft = draft_of(session, context, body)
        described = scheduling.create(session, draft, change.asked(caller))
        return Done(201, schedule_out(described), f"/v1/schedules/{described.schedule.id}")

    return change.run(caller, work)


@router.post("/preview", operation_id="preview_schedule", responses=problems(*READ))
def preview_schedule(
    body: PreviewBody, caller: Reader, context: Ctx, weeks: Weeks = 4
) -> PreviewOut:
    """Return what a schedule would do in the coming weeks; nothing is saved."""
    del caller
    now = context.clock.now()
    windows = body.parsed()
    with context.database.read() as session:
        calendars.check_names(session, body.calendars)
        selector = None if body.selector is None else resolved(session, context, body.selector)
        wanted = Wanted(windows, selector, body.calendars)
        paces = context.providers.pacing_report()
        return preview_out(preview(session, wanted, weeks=weeks, now=now, paces=paces))


@router.get("/{id}", operation_id="get_schedule", responses=problems(*READ_ONE))
def get_schedule(ref: ScheduleRef, caller: Reader, context: Ctx) -> ScheduleOut:
    """Return a schedule with what it covers and what is odd about it."""
    del caller
    now = context.clock.now()
    with context.database.read() as session:
        return schedule_out(scheduling.describe(session, scheduling.find(session, ref), now))


@router.get("/{id}/preview", operation_id="preview_saved_schedule", responses=problems(*READ_ONE))
def preview_saved_schedule(
    ref: ScheduleRef, caller: Reader, context: Ctx, weeks: Weeks = 4
) -> PreviewOut:
    """Return what a saved schedule will do in the coming weeks."""
    del caller
    now = context.clock.now()
    with context.database.read() as session:
        row = scheduling.find(session, ref)
        selector = selectors.from_json(row.selector)
        wanted = Wanted(windows_of(row), selector, row.calendars, but=row.id)
        paces = context.providers.pacing_report()
        return preview_out(preview(session, wanted, weeks=weeks, now=now, paces=paces))


@router.put(
    "/{id}",
    operation_id="replace_schedule",
    response_model=ScheduleOut,
    responses=problems(*CHANGE),
)
def replace_schedule(
    ref: ScheduleRef, body: ScheduleBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Save a schedule in place of its former version.

    Where the new windows disagree with the old ones about this instant, it acts from its next
    edge, but on the endpoints in `apply_now` at once.
    """

    def work(session: Session) -> Done:
        row = scheduling.find(session, ref)
        draft = draft_of(session, context, body)
        described = scheduling.replace(session, row, draft, change.asked(caller))
        return Done(200, schedule_out(described))

    return change.run(caller, work)


@router.delete(
    "/{id}", operation_id="delete_schedule", status_code=204, responses=problems(*CHANGE)
)
def delete_schedule(ref: ScheduleRef, caller: Operator, change: ChangeDep) -> Response:
    """Delete a schedule; its endpoints then follow what a person last asked for."""

    def work(session: Session) -> Done:
        scheduling.remove(session, scheduling.find(session, ref), change.asked(caller))
        return Done(204)

    return change.run(caller, work)


def resolved(session: Session, context: Context, body: SelectorBody) -> Selector:
    """Return the selector that a body describes. Raises ServiceError 422."""
    return selectors.resolve(
        session,
        account=body.account,
        endpoint=body.endpoint,
        labels=body.labels,
        allowed_cloud_labels=context.settings.allowed_cloud_labels,
    )


def draft_of(session: Session, context: Context, body: ScheduleBody) -> scheduling.Draft:
    """Return a schedule as a body describes it. Raises ServiceError 422."""
    return scheduling.Draft(
        name=body.name,
        windows=body.parsed(),
        selector=resolved(session, context, body.selector),
        calendars=body.calendars,
        shadow=body.shadow,
        enabled=body.enabled,
        apply_now=body.apply_now,
    )
