"""Endpoints as one pass of observation saw them, the same for every cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.domain.status import Status

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where and on what a replica runs; `key` is what a rate is looked up by.

    `key` reads `vendor/region/instance_type/instance_size`, for example
    `aws/us-east-1/nvidia-l4/x1`; unknown parts read `?`.
    """

    vendor: str
    region: str
    instance_type: str
    instance_size: str
    accelerator: str = ""

    @property
    def key(self) -> str:
        """Return the identity of this hardware in the price list."""
        return f"{self.vendor}/{self.region}/{self.instance_type}/{self.instance_size}"


@dataclass(frozen=True, slots=True)
class Scaling:
    """Bounds of replicas and the cloud's own idle timer in minutes (None: switched off)."""

    min_replicas: int
    max_replicas: int
    scale_to_zero_minutes: int | None = None
    metric: str | None = None
    threshold: str | None = None


@dataclass(frozen=True, slots=True)
class BilledReplicas:
    """How many replicas the cloud bills now, with bounds where its documents leave it open."""

    low: int
    expected: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.expected <= self.high:
            raise ValueError(f"billed replicas must be 0 <= low <= expected <= high: {self}")


NOT_BILLED = BilledReplicas(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One endpoint as the cloud described it; a field that was missing is None and in `gaps`.

    `spec` is an allow-list of the cloud's answer without secret values, enough to compare and
    to create the endpoint again together with secrets kept elsewhere.
    """

    name: str
    status: Status
    cloud_state: str
    hardware: Hardware
    billed: BilledReplicas
    scaling: Scaling | None = None
    ready_replicas: int | None = None
    target_replicas: int | None = None
    message: str = ""
    url: str | None = None
    access: str = ""
    repository: str = ""
    revision: str = ""
    task: str = ""
    engine: str = ""
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    created_by: str = ""
    updated_at: datetime | None = None
    updated_by: str = ""
    last_used_at: datetime | None = None
    observe_only: str | None = None
    gaps: tuple[str, ...] = ()
    spec: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HardwareOffer:
    """One row of a cloud's price list: nano-dollars per replica-hour and accelerator quota."""

    hardware: Hardware
    nano_per_hour: int | None
    status: str
    accelerators: int
    memory_gb: str = ""
    accelerator_memory_gb: str = ""
    architecture: str = ""
    quota_max: int | None = None
    quota_used: int | None = None


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What a person asks a cloud to create; `environment` values may be secrets, never stored."""

    name: str
    repository: str
    hardware: Hardware
    scaling: Scaling
    task: str | None = None
    revision: str | None = None
    framework: str = "pytorch"
    access: str = "authenticated"
    image: JsonObject = field(default_factory=lambda: {"huggingface": {}})
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """A partial change of an endpoint: None leaves a field as it is.

    `scaling` is sent whole, its idle timer too, so that null clears it.
    """

    hardware: Hardware | None = None
    scaling: Scaling | None = None
    repository: str | None = None
    revision: str | None = None
    task: str | None = None
    image: JsonObject | None = None
    environment: Mapping[str, str] | None = None
    secrets: Mapping[str, str] | None = None
    command: tuple[str, ...] | None = None
    arguments: tuple[str, ...] | None = None
    access: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests that a cloud counted in `[start, end)`.

    `covered` is the part of the span, in seconds, for which the cloud returned data; requests
    outside of it are unknown, not zero.
    """

    start: datetime
    end: datetime
    requests: int
    covered_seconds: int
    last_request_at: datetime | None = None
    in_flight: int | None = None
