"""The instances of an endpoint: how many, of which types, with how much disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.providers.sagemaker.billing import Instances
from orchestrator.providers.sagemaker.reading import Facts

# What stands for a type where several are at work, which have different prices.
MIXED = "mixed"
_MOST = 100_000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fleet:
    """All variants together, shadow ones too; `first` is the configuration's first variant."""

    counts: Instances
    instance_type: str
    volume_gb: int | None = None
    serverless: bool = False
    first: Row = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    # The type and disk of the instances of a deployment under way; empty without one.
    next_type: str = ""
    next_volume_gb: int | None = None


def fleet_of(facts: Facts) -> Fleet:
    """Return the instances of an endpoint; what was not told is None and in `gaps`."""
    configured = list(_variants(facts.config))
    described = list(_variants(facts.endpoint))
    pending = facts.endpoint.get("PendingDeploymentSummary") or {}
    beside = list(_variants(pending))
    first: Row = configured[0] if configured else {}
    instance_type, gaps = _type_of(configured, described)
    upcoming = list(_variants(facts.pending_config))
    next_type = _next_type(beside, upcoming) if beside else ""
    serverless = bool(configured) and all(item.get("ServerlessConfig") for item in configured)
    counts = Instances(
        current=_sum(described, "CurrentInstanceCount"),
        desired=_sum(described, "DesiredInstanceCount"),
        top=_top(facts, configured),
        pending=_sum(beside, "CurrentInstanceCount") if beside else 0,
        pending_desired=_sum(beside, "DesiredInstanceCount") if beside else 0,
    )
    if not serverless:
        for name, value in (("Current", counts.current), ("Desired", counts.desired)):
            gaps += [] if value is not None else [f"ProductionVariants.{name}InstanceCount"]
    if len(_volumes(configured)) > 1:
        gaps.append("VolumeSizeInGB: differs between variants")
    volume, next_volume = _volume(configured), _volume(upcoming)
    told = tuple(gaps)
    return Fleet(counts, instance_type, volume, serverless, first, told, next_type, next_volume)


def _volumes(variants: Sequence[Row]) -> set[int | None]:
    return {count_of(item.get("VolumeSizeInGB")) for item in variants}


def _volume(variants: Sequence[Row]) -> int | None:
    found = _volumes(variants)
    return found.pop() if len(found) == 1 else None


def _next_type(beside: Sequence[Row], upcoming: Sequence[Row]) -> str:
    """Return the one type of a deployment under way, `mixed` for several, `?` for none."""
    told = [str(item.get("InstanceType") or "") for item in beside]
    types = list(dict.fromkeys(filter(None, told or map(_configured_type, upcoming))))
    types = types or list(dict.fromkeys(filter(None, map(_configured_type, upcoming))))
    return types[0] if len(types) == 1 else MIXED if types else "?"


def count_of(value: object) -> int | None:
    """Return a whole number of zero or more, None for all else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST else None


def _variants(holder: Row) -> Iterator[Row]:
    for key in ("ProductionVariants", "ShadowProductionVariants"):
        yield from holder.get(key) or ()


def _sum(variants: Sequence[Row], key: str) -> int | None:
    counts = [count_of(item.get(key)) for item in variants]
    if not counts or None in counts:
        return None
    return sum(count or 0 for count in counts)


def _top(facts: Facts, configured: Sequence[Row]) -> int:
    """Return the most instances that configuration and scaling allow, at least one."""
    managed = [
        count_of((item.get("ManagedInstanceScaling") or {}).get("MaxInstanceCount"))
        for item in configured
    ]
    initial = sum(count_of(item.get("InitialInstanceCount")) or 0 for item in configured)
    scaled = [
        count_of(row.get("MaxCapacity"))
        for row in facts.targets
        if str(row.get("ResourceId")).startswith("endpoint/")
    ]
    return max(1, initial, sum(n or 0 for n in managed), sum(n or 0 for n in scaled))


def _type_of(configured: Sequence[Row], described: Sequence[Row]) -> tuple[str, list[str]]:
    """Return the one type at work, `mixed` for several, `?` for none that is known."""
    at_work: Counter[str] = Counter()
    for variant in described:
        for pool in variant.get("InstancePools") or ():
            at_work[str(pool.get("InstanceType"))] += (
                count_of(pool.get("CurrentInstanceCount")) or 0
            )
    working = [name for name, count in at_work.items() if count]
    types = list(dict.fromkeys(working or filter(None, map(_configured_type, configured))))
    gaps = [] if types else ["InstanceType"]
    if len(types) > 1:
        return MIXED, [*gaps, f"InstanceType: {', '.join(types)} together have no one price"]
    return (types[0] if types else "?"), gaps


def _configured_type(variant: Row) -> str:
    """Return the type of a variant, of a pool the one that is tried first."""
    if variant.get("ServerlessConfig"):
        return "serverless"
    pools = sorted(variant.get("InstancePools") or (), key=lambda item: item.get("Priority") or 0)
    return str(variant.get("InstanceType") or (pools[0].get("InstanceType") if pools else "") or "")
