"""The small application of a worker: its own metrics and probes, nothing else."""

from __future__ import annotations

from fastapi import FastAPI

from orchestrator import __version__
from orchestrator.api import middleware, problems
from orchestrator.api.routers import health, metrics
from orchestrator.services.context import Context


def create_own_metrics_app(context: Context, engine_ok: health.EngineOk | None) -> FastAPI:
    """Return the application; it serves /metrics, /healthz and /readyz."""
    app = FastAPI(version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = context
    app.state.engine_ok = engine_ok
    app.include_router(health.router)
    app.include_router(metrics.own_router)
    problems.install(app)
    # The one that is added last is the outermost.
    app.add_middleware(middleware.LastResort)
    app.add_middleware(middleware.BodyLimit)
    app.add_middleware(middleware.HostGuard, hosts=middleware.LOOPBACK)
    app.add_middleware(middleware.SecurityHeaders, https=False)
    app.add_middleware(middleware.ServerTime, clock=context.clock)
    app.add_middleware(middleware.RequestLog)
    return app
