"""All pages as one router, with their static files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from orchestrator.api.deps import COOKIE, Ctx
from orchestrator.api.pages import (
    calendars,
    costs,
    endpoint,
    expiry_policies,
    fleet,
    history,
    notifications,
    records,
    rules,
    shadow,
    starts,
    whatif,
)
from orchestrator.api.pages.shell import render_plain
from orchestrator.services import web_sessions

STATIC = Path(__file__).resolve().parent.parent / "static"

router = APIRouter(include_in_schema=False)
_files = StaticFiles(directory=STATIC)


@router.get("/static/{path:path}", include_in_schema=False)
async def static_file(path: str, request: Request) -> Response:
    """Return a script, a sheet or an image; browsers ask each time whether it has changed."""
    response = await _files.get_response(path, request.scope)
    response.headers["Cache-Control"] = "no-cache"
    return response


@router.get("/login", include_in_schema=False)
def login_page(
    request: Request, context: Ctx, target: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Show the form to sign in; who has a session needs none."""
    cookie = request.cookies.get(COOKIE)
    if cookie and web_sessions.visit(context.database, context.clock, cookie) is not None:
        return RedirectResponse("/", 303)
    return render_plain("login.html", problem="", remedy="", next=target)


for part in (
    *(fleet, endpoint, costs, rules, calendars, expiry_policies, whatif),
    *(notifications, records, history, shadow, starts),
):
    router.include_router(part.router)
