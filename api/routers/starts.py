"""The starts that rules will make: which of them will be late, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ, problems
from orchestrator.api.schemas.base import AskedInstant
from orchestrator.api.schemas.starts import MorningsOut, morning_out
from orchestrator.services import find
from orchestrator.services.errors import invalid
from orchestrator.services.mornings import ASSUMPTION, mornings

router = APIRouter(prefix="/reports", tags=["reports"])

USUAL, FARTHEST = timedelta(days=7), timedelta(days=31)
Until = Annotated[AskedInstant | None, Query(alias="to", description="Default: in a week.")]
AccountQuery = Annotated[str | None, Query(description="Id or name.", max_length=120)]


@router.get("/starts", operation_id="report_coming_starts", responses=problems(*READ))
def report_coming_starts(
    caller: Reader, context: Ctx, until: Until = None, account: AccountQuery = None
) -> MorningsOut:
    """Return what rules will start, what of it will be late or finds no room, and why."""
    del caller
    now = context.clock.now()
    end = until or now + USUAL
    if not now < end <= now + FARTHEST:
        raise invalid(
            "to",
            f"It must lie ahead, by {FARTHEST.days} days at most.",
            remedy="Give another instant, or leave `to` out for a week.",
        )
    paces = context.providers.pacing_report()
    with context.database.read() as session:
        asked = None if account is None else find.account(session, account)
        found = mornings(session, now, end, account=asked, paces=paces)
    items = [morning_out(one) for one in found.items]
    return MorningsOut(start=now, end=found.until, assumption=ASSUMPTION, items=items)
