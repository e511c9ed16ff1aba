"""Which actions make sense for an endpoint as it is; the use case has the last word."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.status import Status
from orchestrator.store.tables import Endpoint, Operation

_DOWN = frozenset({Status.PAUSED, Status.PAUSING})
_TEXTS = {
    "pause": "Pause",
    "resume": "Resume",
    "scale-to-zero": "Scale to zero",
    "hold-running": "Keep running until…",
    "hold-paused": "Keep paused until…",
    "adopt": "Adopt",
    "release": "Release",
    "delete": "Delete",
}


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person may ask for; `name` is what the scripts know it by."""

    name: str
    text: str


def actions_for(endpoint: Endpoint, operation: Operation | None) -> list[Action]:
    """Return the actions that fit, the most likely first; none for what cannot be managed."""
    return [Action(name, _TEXTS[name]) for name in _names(endpoint, operation)]


def _names(endpoint: Endpoint, operation: Operation | None) -> list[str]:
    if endpoint.deleted_at is not None or (endpoint.observe_only and not endpoint.managed):
        return []
    if not endpoint.managed:
        return ["adopt"]
    wanted = _switches(Status(endpoint.status), operation)
    return [*wanted, "release", "delete"]


def _switches(status: Status, operation: Operation | None) -> list[str]:
    kind = operation.kind if operation is not None else ""
    if kind in {"create", "delete"}:
        return []
    if kind == "pause" or (not kind and status in _DOWN):
        return ["resume", "hold-paused", "hold-running"]
    if status is Status.SCALED_TO_ZERO:
        return ["resume", "pause", "hold-running", "hold-paused"]
    return ["pause", "scale-to-zero", "hold-running", "hold-paused"]
