"""The starts that rules will make in the coming days: which of them will be late, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from orchestrator.api.pages import words
from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.services.mornings import ASSUMPTION, Asked, Morning, mornings

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_NAMED = 100


@router.get("/starts")
def starts_page(page: PageOf, *, days: Annotated[int, Query(ge=1, le=31)] = 7) -> Response:
    """Show what starts together, what of it will be late, and what is paused to make room."""
    paces = page.context.providers.pacing_report()
    end = page.now + timedelta(days=days)
    with page.context.database.read() as session:
        found = mornings(session, page.now, end, paces=paces)
    return page.render(
        "starts.html",
        "/schedules",
        days=days,
        until=found.until,
        cut=found.until < end,
        troubled=[one for one in found.items if _behind(one) or one.yielding],
        quiet=[one for one in found.items if not (_behind(one) or one.yielding)],
        behind=_behind,
        delay=_delay,
        most=MOST_NAMED,
        assumption=ASSUMPTION,
    )


def _behind(morning: Morning) -> list[Asked]:
    """Return what will not start when it is wanted: what does not start, then the latest first."""
    return [*morning.never, *sorted(morning.late, key=_seconds, reverse=True)]


def _seconds(one: Asked) -> float:
    return one.late_by.total_seconds() if one.late_by is not None else 0.0


def _delay(one: Asked) -> str:
    """Return in words how late a start is."""
    seconds = round(_seconds(one))
    return f"{seconds} s" if seconds < 120 else words.hours(seconds)
