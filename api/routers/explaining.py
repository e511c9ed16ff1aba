"""Why an endpoint is so, why not otherwise, and what it was and will be."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ_ONE, problems
from orchestrator.api.routers.endpoints import EndpointRef
from orchestrator.api.schemas.base import AskedInstant
from orchestrator.api.schemas.timeline import TimelineOut, timeline_out
from orchestrator.api.schemas.why import WhyOut, why_out
from orchestrator.api.spans import From, span
from orchestrator.services import find
from orchestrator.services.errors import invalid
from orchestrator.services.timeline import timeline
from orchestrator.services.why import explain
from orchestrator.services.why_not import Wanted, why_not
from orchestrator.store import ledger

router = APIRouter(prefix="/endpoints", tags=["endpoints"])
NotQuery = Annotated[
    Wanted | None,
    Query(alias="not", description="Also say what would have to change for it to be so."),
]
AtQuery = Annotated[
    AskedInstant | None,
    Query(description="Default: now. Earlier as it was known then, later by the rules of today."),
]
ToAhead = Annotated[
    AskedInstant | None,
    Query(alias="to", description="Default: now. Later: what the rules will do until then."),
]
FARTHEST = timedelta(days=92)


@router.get("/{id:path}/why", operation_id="explain_endpoint", responses=problems(*READ_ONE))
def explain_endpoint(
    *, ref: EndpointRef, caller: Reader, context: Ctx, at: AtQuery = None, wanted: NotQuery = None
) -> WhyOut:
    """Say which rule decides about an endpoint at an instant, and why, or why not otherwise."""
    del caller
    now = context.clock.now()
    with context.database.read() as session:
        row = find.endpoint(session, ref)
        why = explain(session, row, at or now, now)
        return why_out(row, why, why_not(row, why, wanted) if wanted else None)


@router.get(
    "/{id:path}/timeline", operation_id="get_endpoint_timeline", responses=problems(*READ_ONE)
)
def get_endpoint_timeline(
    ref: EndpointRef, caller: Reader, context: Ctx, start: From = None, end: ToAhead = None
) -> TimelineOut:
    """Return what was metered and decided, this month by default, and what the rules will do."""
    del caller
    now = context.clock.now()
    begin, until = span(start, end, now)
    if until > now + FARTHEST:
        remedy = "Give an earlier end."
        raise invalid("to", f"That is more than {FARTHEST.days} days ahead.", remedy=remedy)
    with context.database.read() as session:
        row = find.endpoint(session, ref)
        intervals = ledger.timeline(session, row.id, begin, min(until, now))
        paces = context.providers.pacing_report()
        return timeline_out(timeline(session, row, begin, until, now, paces=paces), intervals)
