"""Metrics of endpoints and inference components, worked out from their traffic and history.

Metrics of requests have a datapoint only where there were requests; those of machines have one for
every minute in which an instance was up. A metric is known by exactly its dimensions: a name of an
endpoint without its variant names nothing. Latencies and utilisation follow from load by a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Stretch, Variant
from orchestrator.sandbox.aws.hardware import instance
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.instants import MINUTE, SECOND

SAGEMAKER = "AWS/SageMaker"
MACHINES = "/aws/sagemaker/Endpoints"
COPIES = "/aws/sagemaker/InferenceComponents"

_REQUEST_S = 2.0
_PER_MINUTE_FULL = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A statistic set: how many values, their sum, the least and the greatest."""

    count: int
    total: float
    low: float
    high: float

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.count + other.count,
            self.total + other.total,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    def statistic(self, word: str) -> float:
        """One statistic of the set; percentiles of it are its maximum."""
        match word:
            case "Sum":
                return self.total
            case "SampleCount":
                return float(self.count)
            case "Average":
                return self.total / self.count
            case "Minimum":
                return self.low
        return self.high


class Load(NamedTuple):
    """What happened to one subject in a stretch of `seconds`.

    Requests that were answered and that found no copy; whole minutes with an instance or copy up,
    added up over these; the greatest number of them.
    """

    seconds: float
    requests: int
    refused: int
    minutes: int
    units: int

    @property
    def utilisation(self) -> float:
        """Load of an instance or a copy, from 0 to 1."""
        return min(self.requests / max(self.minutes, 1) / _PER_MINUTE_FULL, 1.0)


Loads = Callable[[int, int], Load]
Rule = Callable[[Load], Sample | None]


def _each(value: float) -> Rule:
    """Every answered request brings the same value."""
    return lambda load: (
        Sample(load.requests, load.requests * value, value, value) if load.requests else None
    )


def _per_unit(load: Load) -> Sample | None:
    return _each(1 / max(load.units, 1))(load)


def _concurrent(load: Load) -> Sample | None:
    peak = 1.0 + int(load.requests * _REQUEST_S / max(load.seconds, 1.0))
    return _each(peak)(load)


def _refused(load: Load) -> Sample | None:
    return Sample(load.refused, float(load.refused), 1.0, 1.0) if load.refused else None


def _machine(floor: float, span: float) -> Rule:
    """A utilisation in percent, for every minute that an instance is up."""

    def rule(load: Load) -> Sample | None:
        value = floor + span * load.utilisation
        return Sample(load.minutes, load.minutes * value, value, value) if load.minutes else None

    return rule


_REQUESTS: dict[str, tuple[str, Rule]] = {
    "Invocations": ("None", _each(1.0)),
    "ModelLatency": ("Microseconds", _each(1_000_000 * _REQUEST_S)),
    "OverheadLatency": ("Microseconds", _each(3000.0)),
    "Invocation4XXErrors": ("None", _each(0.0)),
    "Invocation5XXErrors": ("None", _each(0.0)),
    "InvocationModelErrors": ("None", _each(0.0)),
}
_OF_VARIANTS = _REQUESTS | {
    "InvocationsPerInstance": ("None", _per_unit),
    "ConcurrentRequestsPerModel": ("Count", _concurrent),
}
_OF_COMPONENTS = _REQUESTS | {
    "InvocationsPerCopy": ("None", _per_unit),
    "ConcurrentRequestsPerCopy": ("Count", _concurrent),
    "NoCapacityInvocationFailures": ("Count", _refused),
}
_OF_MACHINES: dict[str, tuple[str, Rule]] = {
    "CPUUtilization": ("Percent", _machine(1.5, 60.0)),
    "MemoryUtilization": ("Percent", _machine(35.0, 5.0)),
    "DiskUtilization": ("Percent", _machine(20.0, 0.0)),
}
_OF_GPUS: dict[str, tuple[str, Rule]] = {
    "GPUUtilization": ("Percent", _machine(0.0, 95.0)),
    "GPUMemoryUtilization": ("Percent", _machine(85.0, 0.0)),
}
_OF_COPIES: dict[str, tuple[str, Rule]] = {
    "CPUUtilizationNormalized": ("Percent", _machine(1.0, 40.0)),
    "MemoryUtilizationNormalized": ("Percent", _machine(30.0, 5.0)),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name and dimensions, and what it was in any stretch of time."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str
    rule: Rule
    loads: tuple[Loads, ...]

    def sample(self, after: int, until: int) -> Sample | None:
        """Its values in (after, until], None without any."""
        found = [sample for one in self.loads if (sample := self.rule(one(after, until)))]
        sums = list(accumulate(found))
        return sums[-1] if sums else None


def metrics(place: Place) -> Iterator[Metric]:
    """Every metric that something in a place has, or had before it was deleted."""
    variants: dict[tuple[str, str], list[AwsEndpoint]] = {}
    for endpoint in place.all_endpoints():
        for name in {one.name for stretch in endpoint.stretches for one in stretch.variants}:
            variants.setdefault((endpoint.name, name), []).append(endpoint)
    for (endpoint_name, variant), endpoints in variants.items():
        yield from _variant_metrics(endpoint_name, variant, endpoints)
    components: dict[str, list[Component]] = {}
    for component in place.all_components():
        components.setdefault(component.name, []).append(component)
    for name, same in components.items():
        yield from _component_metrics(name, same)


def _variant_metrics(name: str, variant: str, endpoints: list[AwsEndpoint]) -> Iterator[Metric]:
    dimensions = (("EndpointName", name), ("VariantName", variant))
    loads = tuple(_variant_load(one, variant) for one in endpoints)
    tables = {SAGEMAKER: _OF_VARIANTS, MACHINES: _OF_MACHINES}
    if any(_has_gpu(one, variant) for one in endpoints):
        tables[MACHINES] = _OF_MACHINES | _OF_GPUS
    for namespace, table in tables.items():
        for metric, (unit, rule) in table.items():
            yield Metric(namespace, metric, dimensions, unit, rule, loads)


def _component_metrics(name: str, components: list[Component]) -> Iterator[Metric]:
    dimensions = (("InferenceComponentName", name),)
    loads = tuple(_component_load(one) for one in components)
    for namespace, table in ((SAGEMAKER, _OF_COMPONENTS), (COPIES, _OF_COPIES)):
        for metric, (unit, rule) in table.items():
            yield Metric(namespace, metric, dimensions, unit, rule, loads)


def _has_gpu(endpoint: AwsEndpoint, variant: str) -> bool:
    return any(
        one.name == variant and instance(one.instance_type).kind == "gpu"
        for one in endpoint.variants
    )


def _variant_load(endpoint: AwsEndpoint, variant: str) -> Loads:
    def load(after: int, until: int) -> Load:
        requests = minutes = units = 0
        for stretch, begin, end in endpoint.pieces(after, until):
            up = max((_up(one) for one in _fleets(stretch) if one.name == variant), default=0)
            minutes += up * _marks(begin, end)
            units = max(units, up)
            if stretch.serves:
                requests += _share(endpoint.demand.count(begin, end), stretch, variant)
        return Load((until - after) / SECOND, requests, 0, minutes, units)

    return load


def _component_load(component: Component) -> Loads:
    def load(after: int, until: int) -> Load:
        pieces = list(component.pieces(after, until))
        return Load(
            seconds=(until - after) / SECOND,
            requests=component.invocations(after, until),
            refused=component.no_capacity_failures(after, until),
            minutes=sum(one.current * _marks(begin, end) for one, begin, end in pieces),
            units=max((one.current for one, _, _ in pieces), default=0),
        )

    return load


def _fleets(stretch: Stretch) -> tuple[Variant, ...]:
    return (*stretch.variants, *stretch.incoming)


def _up(variant: Variant) -> int:
    return max(variant.instances, variant.current) if variant.instance_type else 0


def _marks(begin: int, end: int) -> int:
    """Whole minutes of the clock that begin in [begin, end)."""
    return -(-end // MINUTE) - -(-begin // MINUTE)


def _share(requests: int, stretch: Stretch, variant: str) -> int:
    """The requests of one variant: by weight, such that all shares add up."""
    rows = [one for one in stretch.variants if one.model]
    total = sum(one.weight for one in rows)
    before = 0.0
    for one in rows:
        if one.name == variant:
            if len(rows) == 1 or not total:
                return requests if one is rows[0] else 0
            return int(requests * (before + one.weight) / total) - int(requests * before / total)
        before += one.weight
    return 0
