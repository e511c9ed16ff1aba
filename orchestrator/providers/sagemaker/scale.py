"""The bounds of an endpoint's replicas: instances of a classic one, copies of a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestrator.domain.endpoints import Scaling
from orchestrator.providers.sagemaker.fleet import Fleet, count_of
from orchestrator.providers.sagemaker.limits import (
    CLASSIC_METRICS,
    COMPONENT_METRICS,
    IDLE_MINUTES,
)
from orchestrator.providers.sagemaker.reading import Facts

_METRICS = {word: name for name, word in (*CLASSIC_METRICS.items(), *COMPONENT_METRICS.items())}

Row = Mapping[str, Any]


def scaling_of(facts: Facts, fleet: Fleet) -> Scaling | None:
    """Return the bounds, None where they were not told.

    Those of one scalable target; else of managed instance scaling; else the count as it is.
    """
    low, high = _target_bounds(facts) or _managed_bounds(facts) or _fixed(facts, fleet)
    if low is None or high is None:
        return None
    metric, threshold, policy = _load(facts.policies)
    timer = IDLE_MINUTES if low == 0 and policy and _goes_to_zero(facts, policy) else None
    return Scaling(low, high, timer, metric, threshold)


def managed_minimum(facts: Facts) -> int | None:
    """Return the fewest instances that managed scaling keeps, None where it is not on."""
    lows = [low for low, _ in _managed(facts)]
    return sum(lows) if lows and len(lows) == len(_variants(facts)) else None


def _target_bounds(facts: Facts) -> tuple[int | None, int | None] | None:
    if len(facts.targets) != 1 or len(facts.components) > 1:
        return None
    (target,) = facts.targets
    return count_of(target.get("MinCapacity")), count_of(target.get("MaxCapacity"))


def _managed_bounds(facts: Facts) -> tuple[int | None, int | None] | None:
    found = _managed(facts)
    if not found or not facts.hosts_components:
        return None
    return sum(low for low, _ in found), sum(high for _, high in found)


def _managed(facts: Facts) -> list[tuple[int, int]]:
    bounds = []
    for variant in _variants(facts):
        managed = variant.get("ManagedInstanceScaling") or {}
        low = count_of(managed.get("MinInstanceCount"))
        high = count_of(managed.get("MaxInstanceCount"))
        if managed.get("Status") == "ENABLED" and low is not None and high is not None:
            bounds.append((low, high))
    return bounds


def _fixed(facts: Facts, fleet: Fleet) -> tuple[int | None, int | None]:
    """Without any scaling the wanted count is both bounds; the configured one before it is told."""
    if fleet.counts.desired is not None and not fleet.serverless:
        return fleet.counts.desired, fleet.counts.desired
    counts = [count_of(item.get("InitialInstanceCount")) for item in _variants(facts)]
    if not counts or None in counts:
        return None, None
    total = sum(count or 0 for count in counts)
    return total, total


def _variants(facts: Facts) -> Sequence[Row]:
    return facts.config.get("ProductionVariants") or ()


def _load(policies: Sequence[Row]) -> tuple[str | None, str | None, Row | None]:
    """Return metric, threshold and policy of the first that tracks a target."""
    tracking = [row for row in policies if row.get("PolicyType") == "TargetTrackingScaling"]
    if not tracking:
        return None, None, None
    policy = tracking[0].get("TargetTrackingScalingPolicyConfiguration") or {}
    predefined = policy.get("PredefinedMetricSpecification") or {}
    custom = policy.get("CustomizedMetricSpecification") or {}
    word = str(predefined.get("PredefinedMetricType") or custom.get("MetricName") or "")
    return _METRICS.get(word, word) or None, _number(policy.get("TargetValue")), policy


def _number(value: object) -> str | None:
    """Return a number as people write it: 5, not 5.0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return f"{Decimal(str(value)).normalize():f}"
    except InvalidOperation:
        return None


def _goes_to_zero(facts: Facts, policy: Row) -> bool:
    """The tracking policy takes the last copy away, unless scaling in is switched off."""
    suspended = any(
        (row.get("SuspendedState") or {}).get("DynamicScalingInSuspended") is True
        for row in facts.targets
    )
    return policy.get("DisableScaleIn") is not True and not suspended
