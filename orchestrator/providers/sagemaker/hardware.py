"""What a replica's hardware is called in the price list of this driver."""

from __future__ import annotations

from orchestrator.domain.endpoints import Hardware
from orchestrator.providers.sagemaker.fleet import Fleet
from orchestrator.providers.sagemaker.instances import accelerator_of
from orchestrator.providers.sagemaker.reading import Facts

VENDOR = "sagemaker"
SIZE = "x1"
# Asynchronous endpoints are billed under another usage type.
ASYNC_SIZE = "async"


def instance_hardware(region: str, instance_type: str, size: str = SIZE) -> Hardware:
    """Return the hardware of an instance type."""
    return Hardware(VENDOR, region, instance_type, size, accelerator_of(instance_type))


def volume_hardware(region: str) -> Hardware:
    """Return what a gigabyte of an instance's disk is looked up by."""
    return Hardware(VENDOR, region, "ebs-gp2", "gb")


def volume_key(region: str) -> str:
    """Return the key of `volume_hardware`."""
    return volume_hardware(region).key


def hardware_of(facts: Facts, fleet: Fleet, region: str) -> Hardware:
    """Return the hardware of an endpoint's instances."""
    asynchronous = bool(
        facts.config.get("AsyncInferenceConfig") or facts.endpoint.get("AsyncInferenceConfig")
    )
    size = ASYNC_SIZE if asynchronous else SIZE
    return instance_hardware(region, fleet.instance_type, size)
