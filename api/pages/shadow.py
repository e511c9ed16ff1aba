"""What rules in shadow would have done."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.costs.figures import Figure
from orchestrator.services import shadow_report, whatif
from orchestrator.store import endpoints

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/shadow")
def shadow_page(
    page: PageOf,
    *,
    days: Annotated[int, Query(ge=1, le=92)] = 30,
    rule: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """Show by rule and endpoint what shadow mode would have saved, and who would have waited."""
    start = page.now - timedelta(days=days)
    with page.context.database.read() as session:
        rows = endpoints.managed(session)
        lines = shadow_report.report(session, rows, start=start, end=page.now, rule=rule or None)
    total = sum((line.compared.saved for line in lines), Figure())
    return page.render(
        "shadow.html",
        "/policies",
        days=days,
        rule=rule,
        lines=lines,
        total=total,
        assumptions=whatif.ASSUMPTIONS,
    )
