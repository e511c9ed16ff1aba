"""How many copies of inference components the instances of an endpoint hold."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.core import Core
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Variant
from orchestrator.sandbox.aws.hardware import instance


def copies_per_instance(component: Component, instance_type: str) -> int:
    """Copies that fit on an empty instance, by devices and memory."""
    machine = instance(instance_type)
    wanted = component.document["Specification"].get("ComputeResourceRequirements", {})
    devices = wanted.get("NumberOfAcceleratorDevicesRequired", 0)
    memory = wanted.get("MinMemoryRequiredInMb", 128)
    by_memory = machine.component_mb // memory
    return min(by_memory, int(machine.devices // devices)) if devices else int(by_memory)


def needed(core: Core, endpoint: AwsEndpoint, variant: Variant) -> int:
    """Instances of a variant that all its components need together."""
    share = Fraction(0)
    for one in core.home(endpoint).components_of(endpoint):
        room = copies_per_instance(one, variant.instance_type)
        if one.variant == variant.name and room and one.status not in {"Failed", "Deleting"}:
            share += Fraction(max(one.desired, one.current), room)
    return ceil(share)


def ceiling(variant: Variant) -> int:
    """The most instances that a variant may have for its components."""
    return variant.desired if variant.ceiling is None else variant.ceiling
