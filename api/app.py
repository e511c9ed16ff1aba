"""Puts the HTTP side together: routers, pages, errors, and what wraps every request."""

from __future__ import annotations

from datetime import timedelta

import anyio
from fastapi import APIRouter, Depends, FastAPI

from orchestrator import __version__
from orchestrator.api import changes, middleware, openapi, plain_text, problems
from orchestrator.api.deps import read_access, refuse_unknown_query
from orchestrator.api.pages import routes as pages
from orchestrator.api.routers import (
    accounts,
    bulk,
    calendars,
    contracts,
    endpoint_changes,
    endpoint_ends,
    endpoints,
    expiry,
    expiry_policies,
    explaining,
    freeze,
    health,
    holds,
    leases,
    login,
    metrics,
    notifications,
    operations,
    overview,
    policies,
    reports,
    retrospect,
    rules,
    schedules,
    starts,
    tokens,
    usage,
)
from orchestrator.services.context import Context
from orchestrator.services.throttle import Throttle
from orchestrator.settings import Settings

LOGIN_ATTEMPTS = 5
LOGIN_SPAN = timedelta(minutes=5)


def create_app(
    context: Context, settings: Settings, *, engine_ok: health.EngineOk | None = None
) -> FastAPI:
    """Return the application; `engine_ok` tells whether this process's engine works, if it has one.

    It serves the OpenAPI document, and no pages that load scripts from elsewhere.
    """
    app = FastAPI(title="Endpoint Orchestrator", version=__version__, docs_url=None, redoc_url=None)
    https = (settings.public_url or "").startswith("https://")
    app.state.context = context
    app.state.engine_ok = engine_ok
    app.state.sleep = anyio.sleep
    app.state.secure_cookies = https
    app.state.login_throttle = Throttle(LOGIN_ATTEMPTS, LOGIN_SPAN)
    _add_routes(app)
    problems.install(app)
    changes.install(app)
    openapi.install(app)
    # The one that is added last is the outermost.
    app.add_middleware(plain_text.PlainText)
    app.add_middleware(middleware.LastResort)
    app.add_middleware(middleware.BodyLimit)
    hosts = middleware.allowed_hosts(settings.host, settings.public_url)
    app.add_middleware(middleware.HostGuard, hosts=hosts)
    app.add_middleware(middleware.SecurityHeaders, https=https)
    app.add_middleware(middleware.ServerTime, clock=context.clock)
    app.add_middleware(middleware.RequestLog)
    return app


def _add_routes(app: FastAPI) -> None:
    v1 = APIRouter(prefix="/v1", dependencies=[Depends(read_access), Depends(refuse_unknown_query)])
    for module in (
        tokens,
        accounts,
        contracts,
        bulk,
        expiry,
        endpoint_changes,
        endpoint_ends,
        usage,
        explaining,
        endpoints,
        operations,
        holds,
        leases,
        expiry_policies,
        schedules,
        calendars,
        rules,
        policies,
        reports,
        retrospect,
        starts,
        freeze,
        overview,
        notifications,
    ):
        v1.include_router(module.router)
    app.include_router(v1)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(login.router)
    app.include_router(pages.router)
