"""An in-process transport for httpx2: the sandbox without sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import httpx2

from orchestrator.sandbox.exchange import Exchange, Outcome
from orchestrator.sandbox.messages import Request, Response
from orchestrator.sandbox.world import World


class InProcessTransport(httpx2.BaseTransport):
    """Carries requests of any host to a world, and meets its faults as the wire would.

    Before a request the world is advanced to `clock()`, if given. `sleep` is called with the
    virtual seconds that an answer, or the caller's own timeout, takes.
    """

    def __init__(
        self,
        world: World,
        *,
        clock: Callable[[], datetime] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._world = world
        self._exchange = Exchange(world)
        self._clock = clock
        self._sleep = sleep or (lambda _: None)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Serve a request; raises httpx2.ReadTimeout, RemoteProtocolError as a network would."""
        if self._clock is not None:
            self._world.advance_to(self._clock())
        outcome = self._exchange.serve(_inward(request))
        self._wait(request, outcome)
        if outcome.ending == "dropped" or outcome.response is None:
            text = "Server disconnected without sending a response."
            raise httpx2.RemoteProtocolError(text, request=request)
        return _outward(outcome.response, broken=outcome.ending == "truncated")

    def _wait(self, request: httpx2.Request, outcome: Outcome) -> None:
        patience = _read_timeout(request)
        if outcome.ending == "timeout" or (patience is not None and outcome.delay_s > patience):
            self._sleep(patience or outcome.delay_s)
            raise httpx2.ReadTimeout("timed out", request=request)
        if outcome.delay_s:
            self._sleep(outcome.delay_s)


class _BrokenStream(httpx2.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message")


def _inward(request: httpx2.Request) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        query=dict(request.url.params),
        headers={key.lower(): value for key, value in request.headers.items()},
        body=request.read(),
    )


def _outward(response: Response, *, broken: bool) -> httpx2.Response:
    headers = {**response.headers, "content-length": str(len(response.body))}
    if broken:
        stream = _BrokenStream(response.body)
        return httpx2.Response(response.status, headers=headers, stream=stream)
    return httpx2.Response(response.status, headers=headers, content=response.body)


def _read_timeout(request: httpx2.Request) -> float | None:
    limits = request.extensions.get("timeout", {})
    found = limits.get("read") if isinstance(limits, dict) else None
    return found if isinstance(found, int | float) else None
