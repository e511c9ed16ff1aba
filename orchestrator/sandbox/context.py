"""What a handler is given, and the table of routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.sandbox.messages import ApiError, Request, Response
from orchestrator.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Context:
    """A request with the parts of its path.

    `instant` is the moment that a read shows; further pages begin `shift` places later.
    """

    world: World
    request: Request
    instant: int
    namespace: str = ""
    name: str = ""
    endpoint_id: str = ""
    rest: str = ""
    shift: int = 0

    @property
    def past(self) -> bool:
        """Whether a read shows an earlier moment."""
        return self.instant < self.world.instant


Handler = Callable[[Context], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A method (`*` for any), a pattern for the whole path, and who answers."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    mutating: bool = False


def route(method: str, path: str, handler: Handler, *, mutating: bool = False) -> Route:
    """A route; `{namespace}`, `{name}` match one part of a path, `{rest}` all that remains."""
    text = path.replace("{rest}", "(?P<rest>.*)")
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text))
    return Route(method, pattern, handler, mutating)


def find(routes: tuple[Route, ...], request: Request) -> tuple[Route, dict[str, str]]:
    """The route of a request and the parts of its path; raises ApiError 404 or 405."""
    known = False
    for entry in routes:
        match = entry.pattern.fullmatch(request.path)
        if match and entry.method in {"*", request.method}:
            return entry, match.groupdict()
        known = known or match is not None
    if known:
        raise ApiError(405, "Method Not Allowed", plain=True)
    raise ApiError(404, "Not Found")
