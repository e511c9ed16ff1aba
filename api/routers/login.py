"""Signing in with a token, and out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from orchestrator.api.deps import COOKIE, CSRF_HEADER, Ctx, csrf_refused
from orchestrator.api.pages.shell import render_plain
from orchestrator.services import web_sessions
from orchestrator.services.errors import ServiceError
from orchestrator.services.throttle import Throttle

router = APIRouter(include_in_schema=False)


@router.post("/login")
def log_in(
    request: Request,
    context: Ctx,
    token: Annotated[str, Form(max_length=400)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002 - the form's public name
) -> Response:
    """Make a browser session from a token, and go to where the visitor was bound."""
    _check_origin(request)
    throttle: Throttle = request.app.state.login_throttle
    address = "" if request.client is None else request.client.host
    now = context.clock.now()
    wait = throttle.wait(address, now)
    if wait is not None:
        seconds = max(1, int(wait.total_seconds()))
        response = _again(429, "Too many attempts.", f"Wait {seconds} seconds.", next)
        response.headers["Retry-After"] = str(seconds)
        return response
    login = web_sessions.log_in(context.database, context.clock, token.strip())
    if login is None:
        throttle.failed(address, now)
        problem = "This token is unknown, revoked or expired."
        return _again(401, problem, "Check that it was copied whole.", next)
    throttle.succeeded(address)
    response = RedirectResponse(own_path(next), 303)
    response.set_cookie(
        COOKIE,
        login.secret,
        max_age=int(web_sessions.LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.app.state.secure_cookies,
    )
    return response


@router.post("/logout")
def log_out(
    request: Request, context: Ctx, csrf: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """End the browser session. Raises ServiceError 403 for a forged request."""
    secret = request.cookies.get(COOKIE)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    visit = web_sessions.visit(context.database, context.clock, secret) if secret else None
    if secret is None or visit is None:
        return response
    if not visit.confirms(csrf or request.headers.get(CSRF_HEADER)):
        raise csrf_refused()
    web_sessions.log_out(context.database, secret)
    return response


def own_path(target: str) -> str:
    """Return where to go after signing in: a path of ours, never another site."""
    parts = urlsplit(target)
    odd = not target.startswith("/") or target.startswith(("//", "/\\")) or parts.netloc
    return "/" if odd or "\\" in target or any(ord(char) < 32 for char in target) else target


def _again(status: int, problem: str, remedy: str, target: str) -> Response:
    return render_plain("login.html", status, problem=problem, remedy=remedy, next=own_path(target))


def _check_origin(request: Request) -> None:
    """Refuse a form that another site has sent: nobody is signed in without wanting it."""
    origin = request.headers.get("origin")
    if origin in (None, "null"):
        foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    else:
        foreign = urlsplit(origin or "").netloc.lower() != request.headers.get("host", "").lower()
    if foreign:
        raise ServiceError(
            "foreign_origin", 403, "Not allowed", "This form was sent by another site."
        )
