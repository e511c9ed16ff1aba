"""Which actions make sense for an endpoint as it is; the use case has the last word."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.endpoints import Stop
from orchestrator.domain.status import Status
from orchestrator.store.tables import Endpoint, Operation

_DOWN = frozenset({Status.PAUSED, Status.PAUSING})
_TEXTS = {
    "pause": "Pause",
    "resume": "Resume",
    "scale-to-zero": "Scale to zero",
    "hold-running": "Keep running until…",
    "hold-paused": "Keep paused until…",
    "allow-recreate": "Allow stopping it…",
    "forbid-recreate": "Forbid stopping it",
    "adopt": "Adopt",
    "release": "Release",
    "delete": "Delete",
    "undelete": "Undelete",
    "extend": "Extend",
    "expire": "Set when it expires…",
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
    expired = bool(endpoint.expiry.get("expired_at"))
    if endpoint.delete_after is not None:
        return ["extend", "undelete"] if expired else ["undelete"]
    if not endpoint.managed:
        return ["adopt"]
    wanted = _possible(endpoint, _switches(Status(endpoint.status), operation))
    # One that was deleted to pause it would be lost if it were released.
    kept = [] if endpoint.stop_sent_at else ["release"]
    if expired:  # a resume would be refused
        held = [name for name in wanted if name not in ("resume", "hold-running")]
        return ["extend", *held, "expire", *kept, "delete"]
    return [*wanted, "extend" if endpoint.expires_at else "expire", *kept, "delete"]


def _possible(endpoint: Endpoint, names: list[str]) -> list[str]:
    """Leave out the stops that its cloud has not or its owner has not allowed."""
    barred = set() if endpoint.to_zero else {"scale-to-zero"}
    if endpoint.stop == Stop.PAUSE or endpoint.stop_sent_at is not None:
        return [name for name in names if name not in barred]
    leave = "forbid-recreate" if endpoint.allow_recreate else "allow-recreate"
    if not endpoint.allow_recreate:
        barred |= {"pause", "hold-paused"}
    kept = [name for name in names if name not in barred]
    return [*kept, leave] if endpoint.stop == Stop.RECREATE else kept


def _switches(status: Status, operation: Operation | None) -> list[str]:
    kind = operation.kind if operation is not None else ""
    if kind in {"create", "delete"}:
        return []
    if kind == "pause" or (not kind and status in _DOWN):
        return ["resume", "hold-paused", "hold-running"]
    if status is Status.SCALED_TO_ZERO:
        return ["resume", "pause", "hold-running", "hold-paused"]
    return ["pause", "scale-to-zero", "hold-running", "hold-paused"]
