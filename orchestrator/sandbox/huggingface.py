"""The simulated service: the door through which every request goes."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.sandbox import data_plane, hub, management, metrics
from orchestrator.sandbox.accounts import token_id
from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.context import Context, Route, find
from orchestrator.sandbox.instants import SECOND, hex_id, http_date
from orchestrator.sandbox.messages import ApiError, Request, Response
from orchestrator.sandbox.world import World

_ROUTES: tuple[Route, ...] = (
    *management.ROUTES,
    *metrics.ROUTES,
    *hub.ROUTES,
    *data_plane.ROUTES,
)
_MANAGED = ("/v2/endpoint/", "/v2/provider")


class HuggingFaceApi:
    """Answers requests from a world at its present instant; it does not move time."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request) -> Response:
        """The answer to a request, which is also written to the call log."""
        return self.answer(request)

    def answer(self, request: Request, *, seconds_ago: float = 0.0, shift: int = 0) -> Response:
        """Like `handle`, with faults of reading.

        Endpoints are shown as they were so many seconds ago; pages after the first begin `shift`
        places later.
        """
        with self.world.lock:
            instant = self.world.instant - round(seconds_ago * SECOND)
            parts: dict[str, str] = {}
            limits: dict[str, str] = {}
            mutating = False
            try:
                entry, parts = find(_ROUTES, request)
                mutating = entry.mutating
                limits = self._admit(request)
                context = Context(self.world, request, instant, shift=shift, **parts)
                response = entry.handler(context)
            except ApiError as error:
                response = error.response()
            self._log(request, response, parts, mutating=mutating)
            return self._finish(replace(response, headers={**limits, **response.headers}))

    def _admit(self, request: Request) -> dict[str, str]:
        """The rate-limit headers of a management call; raises ApiError 429."""
        if not request.path.startswith(_MANAGED):
            return {}
        world, token = self.world, request.token or ""
        return world.management_limit.hit(world.switches, token, world.instant)

    def _log(
        self, request: Request, response: Response, parts: dict[str, str], *, mutating: bool
    ) -> None:
        endpoint = self.world.shelf.by_id(parts.get("endpoint_id", ""))
        self.world.calls.add(
            Call(
                at=self.world.now,
                method=request.method,
                path=request.path,
                namespace=endpoint.namespace if endpoint else parts.get("namespace", ""),
                name=endpoint.name if endpoint else parts.get("name", ""),
                token_id=token_id(request.token),
                status=response.status,
                mutating=mutating,
                committed=mutating and response.status < 300,
            )
        )

    def _finish(self, response: Response) -> Response:
        headers = {
            "date": http_date(self.world.instant + self.world.renderer.skew),
            "x-request-id": hex_id(self.world.seed, "request", len(self.world.calls), digits=16),
            **response.headers,
        }
        return Response(response.status, headers, response.body, response.wait_s)
