"""Problem details (RFC 9457) for every error that leaves the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from orchestrator.api.schemas.texts import message_of
from orchestrator.services.errors import ServiceError

MEDIA_TYPE = "application/problem+json"
# Tags of the forms that a value may take begin so; they are no part of a field's name.
FORM = "form:"
_log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["scaling.min_replicas"])
    message: str = Field(examples=["Input should be greater than or equal to 0"])


class Problem(BaseModel):
    """An error: `code` is stable and for programs, `detail` and `remedy` are for people."""

    type: str = Field(examples=["urn:orchestrator:problem:not_managed"])
    title: str = Field(examples=["Not possible in this state"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["search-prod is only observed."])
    code: str = Field(examples=["not_managed"])
    field: str | None = None
    remedy: str | None = Field(None, examples=["Adopt it first: POST /v1/endpoints/{id}/adopt"])
    errors: list[FieldProblem] | None = None


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    field: str | None = None,
    remedy: str | None = None,
    errors: Sequence[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as a response."""
    body = Problem(
        type=f"urn:orchestrator:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        field=field,
        remedy=remedy,
        errors=None if errors is None else list(errors),
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def of_service_error(error: ServiceError) -> Response:
    """Return the response for an error of a use case."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return problem(
        error.status,
        error.code,
        error.title,
        error.detail,
        field=error.field,
        remedy=error.remedy,
        errors=[FieldProblem(field=one, message=text) for one, text in error.findings] or None,
        headers=headers,
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OperationalError, _store_error)


def _service_error(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, ServiceError):
        raise error
    return of_service_error(error)


def _validation_error(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, RequestValidationError):
        raise error
    found = [_field_problem(item) for item in error.errors()]
    first = found[0]
    return problem(
        422,
        str(error.errors()[0].get("ctx", {}).get("code", "invalid")),
        "Not valid",
        f"{first.field}: {first.message}" if first.field else first.message,
        field=first.field or None,
        remedy="Correct the fields listed in `errors`; see /openapi.json for their meaning.",
        errors=found,
    )


def _field_problem(item: Mapping[str, Any]) -> FieldProblem:
    """Return one finding without the value that was refused: it may be a secret."""
    places = [str(part) for part in item["loc"] if not str(part).startswith(FORM)]
    if places and places[0] in ("body", "query", "path", "header", "cookie"):
        places = places[1:]
    named = item.get("ctx", {}).get("field")
    if named is not None:
        places.append(str(named))
    return FieldProblem(field=".".join(places) or "body", message=message_of(item))


def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    known = {
        404: ("not_found", f"There is nothing at {request.url.path[:200]}."),
        405: ("method_not_allowed", f"{request.method} is not offered here."),
    }
    code, detail = known.get(status, (title.lower().replace(" ", "_"), str(error.detail)))
    remedy = {404: "See /openapi.json for what exists.", 405: "See the header Allow."}.get(status)
    return problem(status, code, title, detail, remedy=remedy, headers=error.headers)


def _store_error(request: Request, error: Exception) -> Response:
    _log.error("store_unavailable", path=request.url.path, error=type(error).__name__)
    return problem(
        503,
        "store_unavailable",
        "Service Unavailable",
        "The database does not answer now; nothing was changed.",
        remedy="Try again shortly; /readyz tells when it answers.",
        headers={"Retry-After": "5"},
    )


def unexpected() -> Response:
    """Return the response for an error that nobody foresaw; it shows nothing of the inside."""
    return problem(
        500,
        "internal",
        "Internal Server Error",
        "Something went wrong on our side; the log has the details.",
        remedy="Try again; if it stays, give the operator the header X-Request-Id.",
    )
