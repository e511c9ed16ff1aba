"""The sandbox over HTTP: an ASGI application, and a server for it in a thread."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime, timedelta
from threading import Thread
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from orchestrator.sandbox.exchange import Exchange, Outcome
from orchestrator.sandbox.messages import Request, Response
from orchestrator.sandbox.world import World

_ABORT = "orchestrator.abort"
_TICK_S = 0.01
_LONGEST_HANG_S = 600.0

Clock = Callable[[], datetime]


class _Sandbox:
    """The ASGI application of one world."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._exchange = Exchange(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await _inward(HttpRequest(scope, receive))
        self._world.advance_to(self._clock())
        outcome = self._exchange.serve(request)
        await self._delay(outcome)
        if outcome.ending == "timeout":
            await _until_gone(receive)
        elif outcome.response is None:
            await _drop(scope, receive)
        else:
            await _answer(send, outcome.response, broken=outcome.ending == "truncated")
            if outcome.ending == "truncated":
                await _drop(scope, receive)

    async def _delay(self, outcome: Outcome) -> None:
        """Wait until virtual time has moved on, or as long in real time if it stands still."""
        if not outcome.delay_s:
            return
        until = self._world.now + timedelta(seconds=outcome.delay_s)
        ticks = 0
        while self._clock() < until and ticks * _TICK_S < outcome.delay_s:
            await asyncio.sleep(_TICK_S)
            ticks += 1


def create_app(world: World, clock: Clock) -> Starlette:
    """The application; before every request the world is advanced to `clock()`."""
    return Starlette(routes=[Mount("/", app=_Sandbox(world, clock))])


async def _inward(request: HttpRequest) -> Request:
    return Request(
        method=request.method,
        path=request.scope["path"],
        query=dict(request.query_params),
        headers={key.lower(): value for key, value in request.headers.items()},
        body=await request.body(),
    )


async def _answer(send: Send, response: Response, *, broken: bool) -> None:
    length = str(len(response.body))
    headers = {**response.headers, "content-length": length}
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    body = response.body[: len(response.body) // 2] if broken else response.body
    await send({"type": "http.response.body", "body": body, "more_body": broken})


async def _until_gone(receive: Receive) -> None:
    """Never answer: wait until the caller has lost patience."""
    async with asyncio.timeout(_LONGEST_HANG_S):
        while (await receive())["type"] != "http.disconnect":
            pass


async def _drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without (the rest of) an answer."""
    scope["extensions"][_ABORT]()
    await _until_gone(receive)


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets the application cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the parent
        """A client has connected."""
        super().connection_made(transport)
        inner = self.app

        async def with_abort(
            scope: MutableMapping[str, Any],
            receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
            send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        ) -> None:
            scope.setdefault("extensions", {})[_ABORT] = lambda: _cut(transport)
            await inner(scope, receive, send)

        self.app = with_abort


def _cut(transport: asyncio.Transport) -> None:
    transport.close()


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio switches Nagle's delay off on accepted connections.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


class SandboxServer:
    """Serves a world on 127.0.0.1 from a thread; a context manager.

    `port` 0 takes a free one. The world's data-plane addresses point to this server.
    """

    def __init__(self, world: World, clock: Clock | None = None, *, port: int = 0) -> None:
        self._world = world
        self._socket = _listen(port)
        config = uvicorn.Config(
            create_app(world, clock or (lambda: world.now)),
            http=_Protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._run, name="sandbox", daemon=True)

    @property
    def url(self) -> str:
        """The address, without a trailing slash."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Begin to serve; connections are accepted from now on."""
        self._world.renderer.base_url = self.url
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it; open requests are cut."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> SandboxServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
