"""One inference component: copies of a model on the instances of an endpoint."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orchestrator.sandbox.aws.demand import Demand
from orchestrator.sandbox.record import decode, encode


@dataclass(frozen=True, slots=True)
class Placement:
    """A stretch of time in which nothing about a component changed; it starts at `at`.

    `revision` tells which of its specifications it has.
    """

    at: int
    status: str
    desired: int
    current: int
    modified_at: int
    failure: str = ""
    revision: int = 0


@dataclass(slots=True)
class Component:
    """An inference component; `document` holds the parameters of its creation, as updated.

    `specifications` are those that it ever had, where it had another one than that of its
    creation. `endpoint_number` tells endpoints of the same name apart. `failed_at` is the last
    request that found no copy and that an alarm has to look at.
    """

    number: int
    account_id: str
    region: str
    name: str
    arn: str
    endpoint_name: str
    endpoint_number: int
    variant: str
    created_at: int
    placements: list[Placement]
    document: dict[str, Any]
    specifications: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    demand: Demand = field(default_factory=Demand)
    startup_s: float | None = None
    deleted_at: int | None = None
    failed_at: int | None = None
    starts: int = 0
    timers: dict[str, int] = field(default_factory=dict)

    @property
    def placement(self) -> Placement:
        """The present stretch."""
        return self.placements[-1]

    @property
    def status(self) -> str:
        """The present status, in AWS's word."""
        return self.placements[-1].status

    @property
    def current(self) -> int:
        """Copies that serve."""
        return self.placements[-1].current

    @property
    def desired(self) -> int:
        """Copies wanted."""
        return self.placements[-1].desired

    def specify(self, at: int, specification: dict[str, Any]) -> None:
        """Take another specification; the one before it is remembered."""
        self.specifications = self.specifications or [self.document["Specification"]]
        self.specifications = [*self.specifications, specification]
        self.document = {**self.document, "Specification": specification}
        self.change(at, revision=len(self.specifications) - 1)

    def fall_back(self, at: int) -> None:
        """Take the specification again that it served with last: its copies still have it."""
        served = (one.revision for one in reversed(self.placements) if one.status == "InService")
        revision = next(served, self.placement.revision)
        if revision != self.placement.revision:
            specification = self.specifications[revision]
            self.document = {**self.document, "Specification": specification}
            self.change(at, revision=revision)

    def specified_in(self, placement: Placement) -> dict[str, Any]:
        """The specification in a stretch of time."""
        if not self.specifications:
            return dict(self.document["Specification"])
        return dict(self.specifications[placement.revision])

    @property
    def resource_id(self) -> str:
        """How Application Auto Scaling calls it."""
        return f"inference-component/{self.name}"

    def change(self, at: int, **values: Any) -> None:
        """Begin a new stretch that differs in these fields; one without length is not kept."""
        fresh = replace(self.placement, at=at, **values)
        if self.placement.at == at:
            self.placements.pop()
        self.placements.append(fresh)

    def placement_at(self, instant: int) -> Placement | None:
        """The stretch that held at an instant; None before the creation and after the deletion."""
        if self.deleted_at is not None and instant >= self.deleted_at:
            return None
        place = bisect_right(self.placements, instant, key=lambda one: one.at)
        return self.placements[place - 1] if place else None

    def pieces(self, low: int, high: int) -> Iterator[tuple[Placement, int, int]]:
        """The stretches within (low, high] with where each begins and ends there."""
        last = high if self.deleted_at is None else min(high, self.deleted_at)
        ends = [one.at for one in self.placements[1:]] + [max(last, self.placements[-1].at)]
        for one, end in zip(self.placements, ends, strict=True):
            begin, stop = max(one.at, low), min(end, last)
            if begin < stop:
                yield one, begin, stop

    def invocations(self, after: int, until: int) -> int:
        """Requests in (after, until] that a copy answered."""
        return self._count(after, until, served=True)

    def no_capacity_failures(self, after: int, until: int) -> int:
        """Requests in (after, until] that found no copy: NoCapacityInvocationFailures."""
        return self._count(after, until, served=False)

    def _count(self, after: int, until: int, *, served: bool) -> int:
        return sum(
            self.demand.count(begin, end)
            for one, begin, end in self.pieces(after, until)
            if one.status != "Creating" and (one.current > 0) is served
        )

    def snapshot(self) -> dict[str, Any]:
        """The component as JSON values."""
        return {
            **{key: getattr(self, key) for key in _PLAIN},
            "placements": [asdict(one) for one in self.placements],
            "document": encode(self.document),
            "specifications": encode(self.specifications),
            "demand": self.demand.snapshot(),
            "timers": dict(sorted(self.timers.items())),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Component:
        """The component that `snapshot` described."""
        return cls(
            **{key: state[key] for key in _PLAIN},
            placements=[Placement(**row) for row in state["placements"]],
            document=decode(state["document"]),
            specifications=decode(state.get("specifications", [])),
            demand=Demand.restore(state["demand"]),
            timers=state["timers"],
        )


_PLAIN = (
    "number",
    "account_id",
    "region",
    "name",
    "arn",
    "endpoint_name",
    "endpoint_number",
    "variant",
    "created_at",
    "tags",
    "startup_s",
    "deleted_at",
    "failed_at",
    "starts",
)
