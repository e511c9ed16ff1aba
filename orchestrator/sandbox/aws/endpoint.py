"""One SageMaker endpoint: the history of its status and of its instances."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orchestrator.sandbox.aws.demand import Demand
from orchestrator.sandbox.record import decode, encode

SERVING = frozenset(
    {"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"}
)


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant: `instances` exist (and may cost money), `current` of them serve.

    `model` is empty for a variant that hosts inference components, `instance_type` for a
    serverless one; `volume_gb` is the disk of each instance; `floor` and `ceiling` are the bounds
    of managed instance scaling, None without it.
    """

    name: str
    instance_type: str
    model: str = ""
    current: int = 0
    desired: int = 0
    instances: int = 0
    weight: float = 1.0
    desired_weight: float = 1.0
    volume_gb: int = 0
    floor: int | None = None
    ceiling: int | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in which nothing about an endpoint changed; it starts at `at`.

    During an update `incoming` is the new fleet, of the configuration `incoming_config`.
    """

    at: int
    status: str
    config: str
    variants: tuple[Variant, ...]
    modified_at: int
    incoming: tuple[Variant, ...] = ()
    incoming_config: str = ""
    failure: str = ""

    @property
    def serves(self) -> bool:
        """Whether requests are answered by a classic variant."""
        return self.status in SERVING and any(one.model and one.current for one in self.variants)


@dataclass(slots=True)
class AwsEndpoint:
    """An endpoint; `documents` are the configurations that it uses or used, by name."""

    number: int
    account_id: str
    region: str
    name: str
    arn: str
    created_at: int
    stretches: list[Stretch]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    deployment: dict[str, Any] | None = None
    demand: Demand = field(default_factory=Demand)
    startup_s: float | None = None
    deleted_at: int | None = None
    starts: int = 0
    timers: dict[str, int] = field(default_factory=dict)

    @property
    def stretch(self) -> Stretch:
        """The present stretch."""
        return self.stretches[-1]

    @property
    def status(self) -> str:
        """The present status, in AWS's word."""
        return self.stretches[-1].status

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that serve, or will after a creation."""
        return self.stretches[-1].variants

    @property
    def is_async(self) -> bool:
        """Whether it takes asynchronous requests only."""
        return "AsyncInferenceConfig" in self.documents[self.stretch.config]

    @property
    def hosts_components(self) -> bool:
        """Whether it has a variant without a model."""
        return any(one.instance_type and not one.model for one in self.variants)

    def change(self, at: int, **values: Any) -> None:
        """Begin a new stretch that differs in these fields; one without length is not kept."""
        fresh = replace(self.stretch, at=at, **values)
        if self.stretch.at == at:
            self.stretches.pop()
        self.stretches.append(fresh)

    def resize(self, at: int, name: str, **values: Any) -> None:
        """Change fields of one variant."""
        rows = [replace(one, **values) if one.name == name else one for one in self.variants]
        self.change(at, variants=tuple(rows))

    def stretch_at(self, instant: int) -> Stretch | None:
        """The stretch that held at an instant; None before the creation and after the deletion."""
        if self.deleted_at is not None and instant >= self.deleted_at:
            return None
        place = bisect_right(self.stretches, instant, key=lambda one: one.at)
        return self.stretches[place - 1] if place else None

    def pieces(self, low: int, high: int) -> Iterator[tuple[Stretch, int, int]]:
        """The stretches within (low, high] with where each begins and ends there."""
        last = high if self.deleted_at is None else min(high, self.deleted_at)
        ends = [one.at for one in self.stretches[1:]] + [max(last, self.stretches[-1].at)]
        for one, end in zip(self.stretches, ends, strict=True):
            begin, stop = max(one.at, low), min(end, last)
            if begin < stop:
                yield one, begin, stop

    def invocations(self, after: int, until: int) -> int:
        """Requests in (after, until] that a classic variant answered."""
        return sum(
            self.demand.count(begin, end)
            for one, begin, end in self.pieces(after, until)
            if one.serves
        )

    def snapshot(self) -> dict[str, Any]:
        """The endpoint as JSON values."""
        return {
            **{key: getattr(self, key) for key in _PLAIN},
            "stretches": [asdict(one) for one in self.stretches],
            "documents": encode(self.documents),
            "deployment": encode(self.deployment),
            "demand": self.demand.snapshot(),
            "timers": dict(sorted(self.timers.items())),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> AwsEndpoint:
        """The endpoint that `snapshot` described."""
        return cls(
            **{key: state[key] for key in _PLAIN},
            stretches=[_stretch(row) for row in state["stretches"]],
            documents=decode(state["documents"]),
            deployment=decode(state["deployment"]),
            demand=Demand.restore(state["demand"]),
            timers=state["timers"],
        )


_PLAIN = (
    "number",
    "account_id",
    "region",
    "name",
    "arn",
    "created_at",
    "tags",
    "startup_s",
    "deleted_at",
    "starts",
)


def _stretch(row: dict[str, Any]) -> Stretch:
    fleets = {key: tuple(Variant(**one) for one in row[key]) for key in ("variants", "incoming")}
    return Stretch(**{**row, **fleets})
