"""What happens to one inference request."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.sandbox.endpoint import Endpoint
from orchestrator.sandbox.instants import SECOND
from orchestrator.sandbox.lifecycle import Lifecycle

_SERVING = frozenset({"running", "updating", "updateFailed"})


@dataclass(frozen=True, slots=True)
class DataPlaneAnswer:
    """Status and text of the answer; `waited_s` is how long the proxy held the request back."""

    status: int
    text: str
    waited_s: float = 0.0
    woke: bool = False


def answer(
    endpoint: Endpoint, lifecycle: Lifecycle, *, hold_s: float = 0.0, counts: bool = True
) -> DataPlaneAnswer:
    """Pass one request; it wakes a sleeping endpoint and is activity, unless `counts` is False."""
    now = lifecycle.timeline.now
    if counts:
        endpoint.touch(now)
    if endpoint.state == "paused":
        return DataPlaneAnswer(400, "Bad Request: Invalid state")
    woke = counts and endpoint.state == "scaledToZero"
    if woke:
        lifecycle.wake(endpoint)
    else:
        lifecycle.watch_load(endpoint)
    opens_at = _opens_at(endpoint, now)
    if opens_at is None or opens_at - now > hold_s * SECOND:
        return DataPlaneAnswer(503, "Service Unavailable", hold_s, woke)
    return DataPlaneAnswer(200, "OK", (opens_at - now) / SECOND, woke)


def _opens_at(endpoint: Endpoint, now: int) -> int | None:
    """The instant from which a request is served; None if nobody knows."""
    if endpoint.state in _SERVING and endpoint.ready:
        return max(now, endpoint.frame.warm_at)
    return endpoint.timers.get("ready")
