"""The OpenAPI document: problem responses, rehearsals, and stable operation ids."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from orchestrator.api.problems import MEDIA_TYPE, Problem

DESCRIPTION = """
Tracks, schedules and prices managed model endpoints.

- Authenticate with `Authorization: Bearer <token>`; scopes are read, operate and admin.
- Errors are problem details (RFC 9457): `code` is stable, `remedy` says what would help.
- Lists are paged by `limit` and `cursor`.
- Changes take `Idempotency-Key` (the same key gives the same answer, once) and `dry_run=true`
  (answers with what would happen, and changes nothing).
- Instants are RFC 3339 in UTC; amounts of money are exact decimals in dollars, as text.
"""

Responses = dict[int | str, dict[str, Any]]
_TITLES = {
    400: "The request cannot be read",
    401: "Not signed in",
    403: "The token's scope does not allow it",
    404: "There is no such thing",
    409: "The present state forbids it",
    413: "The body is too large",
    422: "A field, parameter or key is not valid",
    429: "Too many attempts",
    503: "The database or the cloud does not answer now",
}
READ = (401, 403, 422)
READ_ONE = (401, 403, 404, 422)
CHANGE = (401, 403, 404, 409, 422)


def problems(*statuses: int) -> Responses:
    """Return the problem responses of a route, for its documentation."""
    return {status: {"model": Problem, "description": _TITLES[status]} for status in statuses}


def install(app: FastAPI) -> None:
    """Make `app` describe itself with problem documents instead of the framework's errors."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign] # the documented way to extend it


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    for path in document["paths"].values():
        for operation in path.values():
            _as_problems(operation)
            _with_rehearsal(operation)
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def _as_problems(operation: dict[str, Any]) -> None:
    reference = {"$ref": "#/components/schemas/Problem"}
    for status, response in operation["responses"].items():
        if int(status) >= 400 and "content" in response:
            response["content"] = {MEDIA_TYPE: {"schema": reference}}


def _with_rehearsal(operation: dict[str, Any]) -> None:
    """Describe what `dry_run=true` answers: what the change itself would."""
    names = [parameter["name"] for parameter in operation.get("parameters", [])]
    if "dry_run" not in names:
        return
    success = next(key for key in operation["responses"] if key.startswith("2"))
    would = operation["responses"][success].get("content", {}).get("application/json", {})
    rehearsal = {
        "type": "object",
        "title": "Rehearsal",
        "required": ["dry_run", "would"],
        "properties": {
            "dry_run": {"const": True, "type": "boolean"},
            "would": would.get("schema", {"type": "null"}),
        },
    }
    if success != "200":
        operation["responses"]["200"] = {
            "description": "With dry_run=true: what would happen; nothing is changed",
            "content": {"application/json": {"schema": rehearsal}},
        }
    else:
        both = [would.get("schema", {}), rehearsal]
        operation["responses"]["200"]["content"] = {"application/json": {"schema": {"anyOf": both}}}
