"""What wraps every request: host check, size limit, security headers, one log line."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Iterable
from email.utils import format_datetime
from time import perf_counter
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.problems import problem, unexpected
from orchestrator.clock import Clock

MAX_BODY_BYTES = 1024 * 1024
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked often, under any host name
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, never bound
REQUEST_ID = "X-Request-Id"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_log = structlog.get_logger("orchestrator.api")


def allowed_hosts(host: str, public_url: str | None) -> frozenset[str]:
    """Return the host names under which the server answers, in small letters."""
    names = set(LOOPBACK)
    if host not in ANY_ADDRESS:
        names.add(host.lower())
    if public_url is not None:
        names.add((urlsplit(public_url).hostname or "").lower())
    return frozenset(names - {""})


class LastResort:
    """Turns an error that nobody foresaw into a problem document, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; once an answer has begun, an error can only end it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception:
            # As text: a renderer that shows local variables would show the caller's token.
            trace = traceback.format_exc()
            path = scope["path"][:300]
            _log.error("unexpected_error", method=scope["method"], path=path, exception=trace)
            if begun:
                raise
            await unexpected()(scope, receive, send)


class ServerTime:
    """Dates every answer by the service's own clock, which figures and ages refer to."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the `Date` header."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(self.clock.now(), usegmt=True)
                MutableHeaders(scope=message)["Date"] = now
            await send(message)

        await self.app(scope, receive, send_dated)


class HostGuard:
    """Refuses requests for a host name that is not ours, as rebound DNS names would send."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when its Host header names us."""
        if scope["type"] != "http" or scope["path"] in PROBES or self._known(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        refusal = problem(
            400,
            "host_not_allowed",
            "Bad Request",
            "This server does not answer under that host name.",
            remedy="Use the address in the setting public_url, or set public_url to this one.",
        )
        await refusal(scope, receive, send)

    def _known(self, headers: Headers) -> bool:
        try:
            name = urlsplit(f"//{headers.get('host', '')}").hostname
        except ValueError:
            return False
        return name is not None and name.rstrip(".") in self.hosts


class BodyLimit:
    """Refuses request bodies of more than `limit` bytes, whether or not they say so first."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a body up to the limit, then pass the request on."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        body = await self._read(Headers(scope=scope), receive)
        if body is None:
            await self._refuse(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        """Return the body, or None when it is too long."""
        said = headers.get("content-length", "0")
        if not said.isdigit() or int(said) > self.limit:
            return None
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.limit:
                return None
            chunks.append(chunk)
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return b"".join(chunks)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = problem(
            413,
            "body_too_large",
            "Content Too Large",
            f"A request body may have at most {self.limit} bytes.",
            headers={"Connection": "close"},
        )
        await refusal(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


class SecurityHeaders:
    """Adds the headers that tell browsers what not to do."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = dict(SECURITY_HEADERS)
        if https:
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the headers of its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class RequestLog:
    """Writes one line per request: never a query, a header or a body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with an id, and log how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        began = perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self._write(scope, status, request_id, perf_counter() - began)

    def _write(self, scope: Scope, status: int, request_id: str, seconds: float) -> None:
        if scope["path"] in PROBES and status < 400:
            return
        caller = scope.get("state", {}).get("caller")
        _log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:300],
            status=status,
            duration_ms=round(seconds * 1000, 1),
            actor="" if caller is None else caller.name,
            request_id=request_id,
        )
