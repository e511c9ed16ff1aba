"""Probes: is the process there, and can it work?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from orchestrator import __version__
from orchestrator.api.deps import Ctx
from orchestrator.api.schemas.base import Answer
from orchestrator.services import clocks
from orchestrator.services.context import Context
from orchestrator.store import migrate

router = APIRouter(tags=["health"])
EngineOk = Callable[[], bool]


class HealthOut(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyOut(Answer):
    """Whether it can work; `engine` is "elsewhere" where another process runs it.

    `clock` is "ok", or says how this machine's clock differs from the database's.
    """

    ready: bool
    database: Literal["ok", "unreachable"]
    schema_revision: Literal["ok", "differs", "unknown"]
    engine: Literal["ok", "late", "elsewhere"]
    clock: str = "ok"


@router.get("/healthz", operation_id="get_health")
def get_health() -> HealthOut:
    """Tell that the process answers."""
    return HealthOut(version=__version__)


@router.get(
    "/readyz",
    operation_id="get_readiness",
    response_model=ReadyOut,
    responses={503: {"model": ReadyOut, "description": "It cannot work now"}},
)
def get_readiness(context: Ctx, request: Request) -> Response:
    """Tell whether database, schema, engine and clock are as they should be."""
    engine_ok: EngineOk | None = request.app.state.engine_ok
    found = readiness(context, engine_ok)
    return JSONResponse(found.model_dump(), status_code=200 if found.ready else 503)


def readiness(context: Context, engine_ok: EngineOk | None) -> ReadyOut:
    """Return what stands in the way of work, if anything."""
    engine: Literal["ok", "late", "elsewhere"] = "elsewhere"
    if engine_ok is not None:
        engine = "ok" if engine_ok() else "late"
    try:
        at = migrate.current_revision(context.database)
        with context.database.read() as session:
            doubt = clocks.differs(session, context.clock)
    except SQLAlchemyError:
        return ReadyOut(
            ready=False, database="unreachable", schema_revision="unknown", engine=engine
        )
    same = at == migrate.head_revision()
    return ReadyOut(
        ready=same and engine != "late" and not doubt,
        database="ok",
        schema_revision="ok" if same else "differs",
        engine=engine,
        clock=doubt or "ok",
    )
