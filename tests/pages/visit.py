"""A visitor of the dashboard: signs in, looks, clicks, and notes what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Page, Request, Response, expect
from sqlmodel import col, select

from orchestrator.api.app import LOGIN_ATTEMPTS, LOGIN_SPAN
from orchestrator.api.deps import COOKIE
from orchestrator.clock import ManualClock
from orchestrator.services import tokens, web_sessions
from orchestrator.services.context import Context
from orchestrator.services.throttle import Throttle
from orchestrator.services.tokens import Scope
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, Operation

NOW = datetime(2026, 11, 19, 15, 2, 30, tzinfo=UTC)  # a Thursday


@dataclass
class Dashboard:
    """The application over one store, and one browser; `refused` are statuses of 400 and more."""

    database: Database
    clock: ManualClock
    url: str
    screen: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    @classmethod
    def open(cls, context: Context, server: tuple[FastAPI, str], screen: BrowserContext) -> Self:
        """Return the dashboard over what `context` holds; its clock must be a manual one."""
        app, url = server
        app.state.context = context
        app.state.login_throttle = Throttle(LOGIN_ATTEMPTS, LOGIN_SPAN)
        assert isinstance(context.clock, ManualClock)
        made = cls(context.database, context.clock, url, screen, screen.new_page())
        made.page.on("console", lambda said: made._heard(said.type, said.text))
        made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
        made.page.on("request", made._asked)
        made.page.on("response", made._answered)
        return made

    def _heard(self, kind: str, text: str) -> None:
        # The browser reports refusals of its own accord; those are kept in `refused`.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self.url):
            self.foreign.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.refused.append((response.status, response.url))

    def check_quiet(self) -> None:
        """Fail when a page complained, asked another host, or was refused unexpectedly."""
        assert self.complaints == []
        assert self.foreign == []
        assert [one for one in self.refused if one[0] not in self.expected] == []

    def token(self, scope: Scope = Scope.ADMIN, name: str = "mia") -> str:
        """Make a token and return its secret."""
        with self.database.write() as session:
            made = tokens.issue(
                session, name=name, scope=scope, expires_at=None, actor="test", now=self.clock.now()
            )
        return made.secret

    def sign_in(self, scope: Scope = Scope.ADMIN, name: str = "mia") -> None:
        """Give the browser a session, without the form."""
        login = web_sessions.log_in(self.database, self.clock, self.token(scope, name))
        assert login is not None
        self.screen.add_cookies([{"name": COOKIE, "value": login.secret, "url": self.url}])

    def go(self, path: str = "/") -> Page:
        """Open a page; when it has loaded, its scripts have run."""
        self.page.goto(path)
        return self.page

    def text(self, selector: str) -> str:
        """Return what an element says, on one line."""
        return " ".join(self.page.inner_text(selector).split())

    def row(self, name: str) -> str:
        """Return a selector for the row of an endpoint."""
        return f'#fleet tr:has(a.name:text-is("{name}"))'

    def names(self) -> list[str]:
        """Return the names in the table, in their order."""
        return self.page.locator("#fleet a.name").all_inner_texts()

    def wait_for_rows(self, count: int) -> None:
        """Wait until the table has so many rows."""
        expect(self.page.locator("#fleet a.name")).to_have_count(count)

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint from the store."""
        with self.database.read() as session:
            return session.exec(select(Endpoint).where(Endpoint.name == name)).one()

    def operations(self, name: str) -> Sequence[Operation]:
        """Return the operations of an endpoint, oldest first."""
        query = select(Operation).where(Operation.endpoint_name == name).order_by(col(Operation.id))
        with self.database.read() as session:
            return session.exec(query).all()

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a function returns in the page."""
        return self.page.evaluate(script, *arguments)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.run(script))
