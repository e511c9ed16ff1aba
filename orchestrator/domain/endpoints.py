"""Endpoints as one pass of observation saw them, the same for every cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
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

    @property
    def known(self) -> bool:
        """Tell whether the cloud named the type of machine at all."""
        return self.instance_type != "?"


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

    def without(self, part: BilledReplicas) -> BilledReplicas:
        """Return what is left of it without a part that may not be billed at all."""
        return BilledReplicas(self.low, self.expected - part.expected, self.high - part.high)


NOT_BILLED = BilledReplicas(0, 0, 0)


class Stop(StrEnum):
    """What it takes to stop all replicas of an endpoint so that no request wakes it."""

    PAUSE = "pause"
    """The cloud stops it and keeps it."""
    RECREATE = "recreate"
    """It has to be deleted and made again: only with its owner's leave."""
    NONE = "none"
    """It cannot be stopped from here."""


@dataclass(frozen=True, slots=True)
class Extra:
    """What a cloud bills beside the replica itself, such as its disk.

    `component` is the cost component ("disk"), `hardware_key` what its rate is looked up by, and
    `units` how many units of that rate each billed replica has (gigabytes of disk).
    """

    component: str
    hardware_key: str
    units: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """The new fleet of an update under way, which may be billed beside the one that serves.

    `billed` is its part of the snapshot's. An empty `hardware_key` means that the snapshot's own
    hardware is that of the new fleet, and that the cloud does not tell what still serves.
    `extras` are those of its replicas.
    """

    billed: BilledReplicas
    hardware_key: str = ""
    extras: tuple[Extra, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """What an endpoint will show once an update is done, for clouds that may go back from one.

    `spec` are fields of a snapshot's `spec`, `replicas` its target, None where others move it.
    `parts` tells that its status says nothing of the change: `moving` and `broken` do.
    """

    spec: JsonObject = field(default_factory=dict)
    replicas: int | None = None
    parts: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept with an operation."""
        return {"spec": dict(self.spec), "replicas": self.replicas, "parts": self.parts}

    @classmethod
    def read(cls, kept: JsonObject) -> Goal:
        """Return what `to_json` has made."""
        return cls(kept["spec"], kept["replicas"], kept["parts"])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One endpoint as the cloud described it; a field that was missing is None and in `gaps`.

    `spec` is an allow-list of the cloud's answer without secret values, enough to compare and
    to create the endpoint again together with secrets kept elsewhere. `to_zero` tells whether
    its replicas may go to zero and a request wakes it, `restless` that its replicas change while
    its row in a listing stands still. `row` is the digest that this row has where it agrees with
    what was read here; empty: that is not told. `unfinished` says in words what a creation in
    several steps still lacks, empty when it is whole. `ours` tells whether it bears the mark that
    its driver puts on what this installation makes, None where that is not told. `billed` counts
    the replicas of a `rollout` too. `moving` says in words which part of it the cloud still
    changes, `broken` which has failed and why, while its status need tell nothing of that.
    `goal` is only in the answer to an update.
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
    stop: Stop = Stop.PAUSE
    to_zero: bool = True
    restless: bool = False
    row: str = ""
    extras: tuple[Extra, ...] = ()
    rollout: Rollout | None = None
    unfinished: str = ""
    ours: bool | None = None
    gaps: tuple[str, ...] = ()
    moving: str = ""
    broken: str = ""
    goal: Goal | None = None
    spec: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HardwareOffer:
    """One row of a cloud's price list: nano-dollars per replica-hour and accelerator quota.

    For an `Extra`, whose `component` it bears, the price is that of one unit for an hour. `source`
    names where the price is from, with its date if it was not read just now; empty: the cloud's
    own list of this moment.
    `quota_max` and `quota_used` count what the cloud counts, of which a replica takes
    `quota_each` (0: as many as it has accelerators). Quotas that could not be read now are not
    `quota_told`: what was told last stands.
    """

    hardware: Hardware
    nano_per_hour: int | None
    status: str
    accelerators: int
    memory_gb: str = ""
    accelerator_memory_gb: str = ""
    architecture: str = ""
    quota_max: int | None = None
    quota_used: int | None = None
    quota_each: int = 0
    quota_told: bool = True
    source: str = ""
    component: str = "compute"


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What a person asks a cloud to create; `environment` values may be secrets, never stored.

    An empty `image` is the cloud's usual one. `options` are settings that only this cloud has,
    checked by its driver, never secret.
    """

    name: str
    repository: str
    hardware: Hardware
    scaling: Scaling
    task: str | None = None
    revision: str | None = None
    framework: str = "pytorch"
    access: str = "authenticated"
    image: JsonObject = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    options: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """A partial change of an endpoint: None leaves a field as it is.

    `scaling` is sent whole, its idle timer too, so that null clears it. Of `options` only the
    named ones change.
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
    options: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """What a pause of one endpoint means, read from the cloud now; see `Provider.contract`.

    `document` is all that is needed to make the endpoint again, as JSON without secret values;
    empty where the cloud keeps it by itself. `obstacles` forbid the pause; `foreign` forbids it
    unless it is forced (another tool manages the endpoint). `minutes_to_return` is the usual
    time until it serves again, before anything was measured.
    """

    document: JsonObject = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    quota: str = ""
    minutes_to_return: int | None = None
    obstacles: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """An endpoint that was deleted to pause it, as what is left of it at its cloud tells.

    `document` is what a resume needs, as far as it can be told from that.
    """

    snapshot: Snapshot
    document: JsonObject


@dataclass(frozen=True, slots=True)
class Handover:
    """What makes an endpoint again that was deleted to pause it, for somebody else to do.

    `commands` of the cloud's own tool in order, `remains` at the cloud, `lacks` what is not kept.
    """

    document: JsonObject = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back after a resume, and in words what could not be or differs now."""

    done: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Requests counted in ten minutes that begin at `start`, in `covered_s` of their seconds."""

    start: datetime
    requests: int
    covered_s: int
    last_request_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests that a cloud counted in `[start, end)`.

    `covered_seconds` is the part of the span for which the cloud returned data; requests outside
    of it are unknown, not zero. Where counts come late, `end` is where they end, before the
    instant that was asked for, by `late`. From `known_since` to `end` there is no hole in the
    data; None where that is not told. `stretches` are the same counts by tens of minutes.
    """

    start: datetime
    end: datetime
    requests: int
    covered_seconds: int
    last_request_at: datetime | None = None
    in_flight: int | None = None
    known_since: datetime | None = None
    stretches: tuple[Stretch, ...] = ()
    late: timedelta = timedelta(0)

    @property
    def whole_since(self) -> datetime | None:
        """Return since when all requests up to `end` are known, None where they are not."""
        if self.known_since is not None:
            return self.known_since
        whole = self.covered_seconds >= (self.end - self.start).total_seconds()
        return self.start if whole else None
