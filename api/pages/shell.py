"""What every page needs: a visitor, the templates, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from orchestrator import __version__
from orchestrator.api.deps import COOKIE, Ctx
from orchestrator.api.pages import words
from orchestrator.api.schemas.texts import message_of
from orchestrator.services import web_sessions
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError
from orchestrator.services.tokens import Scope
from orchestrator.services.web_sessions import Visit
from orchestrator.store import freeze

LIVE_HEADER = "X-Live"
LIVE = frozenset({"1", "light"})
_FILTERS = (
    *("ago", "absolute", "when", "day", "iso", "span", "hours"),
    *("money", "price", "dollars", "plural"),
    *("state", "doing", "next_verb"),
)
TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


class NotSignedIn(Exception):  # noqa: N818 - a turn to the login page, not an error
    """The visitor has no session; `back` is where they wanted to go."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


def _static(path: str) -> str:
    return f"/static/{path}"


def environment() -> Environment:
    """Return the templates: escaped by default, and loud about a name that is missing."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=_static, version=__version__)
    for name in _FILTERS:
        made.filters[name] = getattr(words, name)
    made.filters["wish"] = words.wish_words
    return made


_environment = environment()


def visitor(request: Request, context: Ctx) -> Visit:
    """Return the browser's session. Raises NotSignedIn, which leads to the login page."""
    cookie = request.cookies.get(COOKIE)
    visit = web_sessions.visit(context.database, context.clock, cookie) if cookie else None
    if visit is None:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise NotSignedIn(target)
    request.state.caller = visit.caller
    return visit


Visitor = Annotated[Visit, Depends(visitor)]


@dataclass(frozen=True, slots=True)
class Page:
    """One request for a page: who asks, when, and whether only the fresh parts are wanted."""

    request: Request
    context: Context
    visit: Visit
    now: datetime

    @property
    def live(self) -> bool:
        """Whether this is a refresh of a page that is shown already."""
        return self.request.headers.get(LIVE_HEADER) in LIVE

    @property
    def light(self) -> bool:
        """Whether what is slow to gather and slow to change may be left out."""
        return self.request.headers.get(LIVE_HEADER) == "light"

    def render(self, template: str, here: str = "", status: int = 200, **values: Any) -> Response:
        """Return a template as a page, or without its frame for a refresh in place."""
        with self.context.database.read() as session:
            frozen = freeze.everywhere(session)
        caller = self.visit.caller
        text = _environment.get_template(template).render(
            layout="bare.html" if self.live else "base.html",
            here=here,
            me=caller,
            may_operate=caller.scope.allows(Scope.OPERATE),
            may_administer=caller.scope.allows(Scope.ADMIN),
            csrf=self.visit.csrf,
            now=self.now,
            frozen=frozen,
            **values,
        )
        return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def page(request: Request, context: Ctx, visit: Visitor) -> Page:
    """Return the page to be rendered, with the instant that all of it speaks of."""
    return Page(request, context, visit, context.clock.now())


PageOf = Annotated[Page, Depends(page)]


def render_plain(template: str, status: int = 200, **values: Any) -> Response:
    """Return a template that needs no session, such as the login page."""
    text = _environment.get_template(template).render(**values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


class PageRoute(APIRoute):
    """A route whose errors are pages, and which sends strangers to the login page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with errors turned into pages."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except NotSignedIn as stranger:
                return _to_login(request, stranger.back)
            except ServiceError as error:
                return _error(error.status, error.title, error.detail, error.remedy)
            except RequestValidationError as error:
                first = error.errors()[0]
                told = f"{first['loc'][-1]}: {message_of(first)}"
                return _error(422, "Not valid", told, "Correct the address.")
            except HTTPException as error:
                title = HTTPStatus(error.status_code).phrase
                return _error(error.status_code, title, str(error.detail), None)
            except OperationalError:
                detail = "The database does not answer now; nothing was changed."
                return _error(503, "Service Unavailable", detail, "Try again shortly.")

        return handled


def _to_login(request: Request, back: str) -> Response:
    if request.headers.get(LIVE_HEADER) in LIVE:
        return HTMLResponse("", 401)
    where = "" if back == "/" else f"?next={quote(back, safe='')}"
    return RedirectResponse(f"/login{where}", 303)


def _error(status: int, title: str, detail: str, remedy: str | None) -> Response:
    return render_plain("error.html", status, title=title, detail=detail, remedy=remedy)
