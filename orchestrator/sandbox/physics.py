"""How long things take in the simulated cloud: seeded, in whole seconds.

Fitted to published observations of 2026: 18 GB on an L40S ran after 21 s, an embedder on a T4
after 84 s, 63 GB on an H200 after 42 s and answered after 93 s; a bad configuration failed in 21 s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from orchestrator.sandbox.endpoint import Endpoint, Spec
from orchestrator.sandbox.instants import SECOND, between, draw

REQUESTS_PER_REPLICA = 1200  # in ten minutes: a replica serves two requests per second
_NEVER = 1 << 62
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)b\b", re.IGNORECASE)


@dataclass(slots=True)
class Conditions:
    """What is wrong in the cloud: no capacity by instance type, and starts that will go wrong."""

    no_capacity_until: dict[str, int] = field(default_factory=dict)
    broken_starts: dict[str, list[str]] = field(default_factory=dict)

    def out_of_capacity(self, instance_type: str, now: int) -> int | None:
        """The instant at which capacity returns, None if there is some now."""
        until = self.no_capacity_until.get(instance_type, 0)
        return until if until > now else None

    def exhaust(self, instance_type: str, until: int | None) -> None:
        """No capacity for new replicas until then; None means until it is restored."""
        self.no_capacity_until[instance_type] = _NEVER if until is None else until

    def outcome(self, endpoint: Endpoint) -> str:
        """How the start or update that begins now ends: `ok`, `fail` or `stuck`."""
        planned = self.broken_starts.get(f"{endpoint.namespace}/{endpoint.name}", [])
        return planned.pop(0) if planned else "ok"

    def snapshot(self) -> dict[str, Any]:
        """The conditions as JSON values."""
        broken = {key: list(plan) for key, plan in self.broken_starts.items() if plan}
        return {"no_capacity_until": self.no_capacity_until, "broken_starts": broken}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Conditions:
        """The conditions that `snapshot` described."""
        return cls(dict(state["no_capacity_until"]), dict(state["broken_starts"]))


def model_gb(spec: Spec) -> float:
    """Weights of the model: two bytes per parameter, read from the name of the repository."""
    found = _BILLIONS.search(spec["model"]["repository"])
    return 2 * float(found.group(1)) if found else 0.5


def startup_seconds(seed: int, endpoint: Endpoint) -> float:
    """Seconds from `initializing` to `running`: image pull plus 2.2 s per GB, with jitter."""
    if endpoint.startup_s is not None:
        return endpoint.startup_s
    base = {"cpu": 20.0, "neuron": 90.0}.get(endpoint.spec["compute"]["accelerator"], 35.0)
    jitter = between(0.8, 1.4, _chance(seed, endpoint, "startup"))
    return min(base + 2.2 * model_gb(endpoint.spec), 480) * jitter


def warmup_seconds(seed: int, endpoint: Endpoint) -> float:
    """Seconds from `running` until the container answers (`running` does not mean loaded)."""
    if endpoint.startup_s is not None:
        return 0
    return 0.4 * model_gb(endpoint.spec) * between(0.5, 1.5, _chance(seed, endpoint, "warm"))


def scheduling_seconds(seed: int, endpoint: Endpoint) -> float:
    """Seconds in `pending`: 1 to 5."""
    return between(1, 5, _chance(seed, endpoint, "schedule"))


def drain_seconds(seed: int, endpoint: Endpoint) -> float:
    """Seconds from `paused` until no replica is ready: 4 to 20."""
    return between(4, 20, _chance(seed, endpoint, "drain"))


def failure_seconds(seed: int, endpoint: Endpoint) -> float:
    """Seconds until a bad configuration is given up: 18 to 40."""
    return between(18, 40, _chance(seed, endpoint, "failure"))


def _chance(seed: int, endpoint: Endpoint, purpose: str) -> float:
    return draw(seed, endpoint.id, purpose, endpoint.starts, len(endpoint.frames))


def after(now: int, seconds: float) -> int:
    """The first whole second at least `seconds` after now."""
    return ceil((now + seconds * SECOND) / SECOND) * SECOND


def wanted_replicas(endpoint: Endpoint, requests: int) -> int:
    """Replicas for this many requests in ten minutes, within the scaling bounds and at least 1."""
    low, high = replica_bounds(endpoint)
    return min(max(low, ceil(requests / REQUESTS_PER_REPLICA)), high)


def replica_bounds(endpoint: Endpoint) -> tuple[int, int]:
    """The fewest and the most replicas while the endpoint is up."""
    low = max(endpoint.scaling["minReplica"], 1)
    return low, max(endpoint.scaling["maxReplica"], low)


def instance_type(spec: Spec) -> str:
    """`compute.instanceType` of settings."""
    found: str = spec["compute"]["instanceType"]
    return found
