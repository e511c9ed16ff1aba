"""Metrics for Prometheus, as sensitive as anything else that may be read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from orchestrator.api.deps import Ctx, read_access
from orchestrator.api.openapi import READ, problems
from orchestrator.services import metrics

router = APIRouter(tags=["health"])
own_router = APIRouter(tags=["health"])
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="An API token.")
EXAMPLE = (
    "# HELP orchestrator_frozen 1 while everything is frozen, else 0.\n"
    "# TYPE orchestrator_frozen gauge\n"
    "orchestrator_frozen 0.0\n"
)
TEXT = {
    "description": "The metrics of this process and of the store.",
    "content": {"text/plain": {"example": EXAMPLE}},
}


def scrape_access(
    request: Request,
    context: Ctx,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Let in who may read, or everybody where `metrics_public` says so. Raises ServiceError."""
    if not context.settings.metrics_public:
        read_access(request, context, bearer, None)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    response_class=Response,
    responses={200: TEXT, **problems(*READ)},
    dependencies=[Depends(scrape_access)],
)
def get_metrics(context: Ctx, request: Request) -> Response:
    """Return metrics in Prometheus' text format, or as OpenMetrics where that is accepted."""
    body, kind = metrics.exposition(context, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": kind})


@own_router.get("/metrics", dependencies=[Depends(scrape_access)])
def get_own_metrics(context: Ctx, request: Request) -> Response:
    """Return the metrics of this process alone."""
    body, kind = metrics.own_exposition(context, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": kind})
