"""All pages as one router, with their static files."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.staticfiles import StaticFiles

from orchestrator.api.pages import costs, endpoint, fleet

STATIC = Path(__file__).resolve().parent.parent / "static"

router = APIRouter(include_in_schema=False)
_files = StaticFiles(directory=STATIC)


@router.get("/static/{path:path}", include_in_schema=False)
async def static_file(path: str, request: Request) -> Response:
    """Return a script, a sheet or an image; browsers ask each time whether it has changed."""
    response = await _files.get_response(path, request.scope)
    response.headers["Cache-Control"] = "no-cache"
    return response


router.include_router(fleet.router)
router.include_router(endpoint.router)
router.include_router(costs.router)
