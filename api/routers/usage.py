"""Recorded use of endpoints: what was read of their requests, and how much of it is known."""

from __future__ import annotations

from fastapi import APIRouter

from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ_ONE, problems
from orchestrator.api.routers.endpoints import EndpointRef
from orchestrator.api.schemas.usage import UsageOut, usage_out
from orchestrator.api.spans import From, To, span
from orchestrator.services import find
from orchestrator.store import usage

router = APIRouter(prefix="/endpoints", tags=["endpoints"])
MOST_STRETCHES = 5000


@router.get("/{id:path}/usage", operation_id="get_endpoint_usage", responses=problems(*READ_ONE))
def get_endpoint_usage(
    ref: EndpointRef, caller: Reader, context: Ctx, start: From = None, end: To = None
) -> UsageOut:
    """Return the requests that were recorded, by ten minutes, this month unless told otherwise."""
    del caller
    begin, until = span(start, end, context.clock.now())
    with context.database.read() as session:
        row = find.endpoint(session, ref)
        found = usage.samples(session, [row.id], begin, until).get(row.id, [])
        return usage_out(found, begin, until, most=MOST_STRETCHES)
