"""Schedules: windows in which endpoints are up, exceptions, and cron points."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session

from orchestrator.api.changes import Change
from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
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
from orchestrator.api.shelves import RuleRef, Shelf, Words, mount, resolved
from orchestrator.services import calendars, scheduling, selectors, shown
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError, invalid
from orchestrator.services.preview import Wanted, preview
from orchestrator.services.tokens import Caller
from orchestrator.services.windows import windows_of
from orchestrator.store import schedules as rows

router = APIRouter(prefix="/schedules", tags=["schedules"])
Weeks = Annotated[int, Query(ge=1, le=52, description="Civil weeks, the present one first.")]


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
        confirm=body.confirm,
    )


def check_shown(change: Change, caller: Caller, body: ScheduleBody) -> None:
    """Refuse to act at once on many endpoints that were not shown before. Raises ServiceError."""

    def check() -> None:
        above = change.context.settings.bulk_confirm_above
        shown.check_needed(body.apply_now, body.confirm, above)

    if not change.dry_run:
        change.before(caller, check)


SHELF = Shelf(
    path="/schedules",
    order="schedules",
    page=rows.page,
    find=scheduling.find,
    draft=draft_of,
    create=scheduling.create,
    replace=scheduling.replace,
    remove=scheduling.remove,
    describe=scheduling.describe,
    row=lambda told: told.schedule,
    summary=schedule_summary,
    answer=schedule_out,
    check=check_shown,
)


def _replaced(session: Session, ref: str | None) -> str | None:
    """Return the id of the schedule that a preview is a change of. Raises ServiceError 422."""
    try:
        return None if ref is None else scheduling.find(session, ref).id
    except ServiceError as error:
        raise invalid("replaces", error.detail, remedy=error.remedy) from error


@router.post("/preview", operation_id="preview_schedule", responses=problems(*READ))
def preview_schedule(
    body: PreviewBody, caller: Reader, context: Ctx, weeks: Weeks = 4
) -> PreviewOut:
    """Return what a schedule would do in the coming weeks; nothing is saved.

    A change of a saved one names it in `replaces`, so that the two are not counted together.
    """
    del caller
    now = context.clock.now()
    windows = body.parsed()
    with context.database.read() as session:
        calendars.check_names(session, body.calendars)
        selector = None if body.selector is None else resolved(session, context, body.selector)
        wanted = Wanted(windows, selector, body.calendars, but=_replaced(session, body.replaces))
        paces = context.providers.pacing_report()
        return preview_out(preview(session, wanted, weeks=weeks, now=now, paces=paces))


@router.get("/{id}/preview", operation_id="preview_saved_schedule", responses=problems(*READ_ONE))
def preview_saved_schedule(
    ref: RuleRef, caller: Reader, context: Ctx, weeks: Weeks = 4
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


mount(
    router,
    SHELF,
    Words(
        one="schedule",
        many="schedules",
        body=ScheduleBody,
        listing=Listing[ScheduleSummary],
        full=ScheduleOut,
        listed="List schedules by name.",
        created="Save a schedule. It acts from its next edge, but on the endpoints in `apply_now` "
        "at once.",
        got="Return a schedule with what it covers and what is odd about it.",
        replaced="Save a schedule in place of its former version.\n\n"
        "Where the new windows disagree with the old ones about this instant, it acts from its "
        "next\nedge, but on the endpoints in `apply_now` at once.",
        removed="Delete a schedule; its endpoints then follow what a person last asked for.",
    ),
)
