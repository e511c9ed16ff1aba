"""The overview."""

from __future__ import annotations

from fastapi import APIRouter

from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ, problems
from orchestrator.api.schemas.overview import OverviewOut, overview_out
from orchestrator.services.overview import overview
from orchestrator.store.overview import FleetQuery

router = APIRouter(tags=["overview"])


@router.get("/overview", operation_id="get_overview", responses=problems(*READ))
def get_overview(caller: Reader, context: Ctx) -> OverviewOut:
    """Return what runs, what it costs, by team, and how fresh that is."""
    del caller
    with context.database.read() as session:
        return overview_out(overview(session, context.clock.now(), FleetQuery()))
