"""What handlers ask for: context, caller, page, change; one class per right."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from orchestrator.services import tokens, web_sessions
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError, nearest
from orchestrator.services.tokens import Caller, Scope

COOKIE = "orchestrator_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="An API token.")
_cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="browser",
    description="A browser session; changes also need the header X-CSRF-Token.",
)


def get_context(request: Request) -> Context:
    """Return what the process was started with."""
    context = request.app.state.context
    if not isinstance(context, Context):
        raise TypeError("the application was made without a context")
    return context


Ctx = Annotated[Context, Depends(get_context)]


class Require:
    """A caller with at least a scope, by bearer token, or by cookie and CSRF token."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(
        self,
        request: Request,
        context: Ctx,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        cookie: Annotated[str | None, Depends(_cookie)],
    ) -> Caller:
        """Return the caller. Raises ServiceError 401 or 403."""
        known: Caller | None = getattr(request.state, "caller", None)
        caller = known or _authenticate(request, context, bearer, cookie)
        if caller is None:
            raise unauthenticated()
        request.state.caller = caller
        tokens.require(caller, self.scope)
        return caller


def _authenticate(
    request: Request,
    context: Context,
    bearer: HTTPAuthorizationCredentials | None,
    cookie: str | None,
) -> Caller | None:
    if bearer is not None:
        return tokens.authenticate(context.database, context.clock, bearer.credentials)
    visit = web_sessions.visit(context.database, context.clock, cookie) if cookie else None
    if visit is None:
        return None
    changes = request.method not in SAFE_METHODS
    if changes and not visit.confirms(request.headers.get(CSRF_HEADER)):
        raise csrf_refused()
    return visit.caller


def unauthenticated() -> ServiceError:
    """Return the error for a request without valid credentials."""
    return ServiceError(
        "unauthenticated",
        401,
        "Not signed in",
        "This needs a valid API token or browser session.",
        remedy="Send `Authorization: Bearer <token>`, or sign in at /login.",
    )


def csrf_refused() -> ServiceError:
    """Return the error for a change by cookie that does not repeat the session's CSRF token."""
    return ServiceError(
        "csrf",
        403,
        "Not allowed",
        "A change made with a browser session must repeat the session's CSRF token.",
        remedy=f"Reload the page, or send the header {CSRF_HEADER}.",
    )


read_access, operate_access, admin_access = (Require(scope) for scope in Scope)
Reader = Annotated[Caller, Depends(read_access)]
Operator = Annotated[Caller, Depends(operate_access)]
Admin = Annotated[Caller, Depends(admin_access)]


def refuse_unknown_query(request: Request) -> None:
    """Refuse query parameters that the route does not know, naming the nearest that it does."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = {
        field.alias
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, Query)
    }
    for name in request.query_params:
        if name not in known:
            raise ServiceError(
                "unknown_parameter",
                422,
                "Not valid",
                f"{name[:80]!r} is not a query parameter here.",
                field=name[:80],
                remedy=nearest(name[:80], known),
            )
