"""What is kept of an endpoint's description: an allow-list without secret values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.sagemaker.fleet import Fleet
from orchestrator.providers.sagemaker.models import Model
from orchestrator.providers.sagemaker.reading import Facts

CLASSIC, COMPONENTS, OTHER = "classic", "components", "other"
# Settings of the first variant by our names.
_VARIANT = {
    "volume_gb": "VolumeSizeInGB",
    "health_check_timeout_s": "ContainerStartupHealthCheckTimeoutInSeconds",
    "download_timeout_s": "ModelDataDownloadTimeoutInSeconds",
    "ami_version": "InferenceAmiVersion",
}
_STARTUP = {name: _VARIANT[name] for name in ("health_check_timeout_s", "download_timeout_s")}
_RESOURCES = {
    "min_memory_mb": "MinMemoryRequiredInMb",
    "accelerators": "NumberOfAcceleratorDevicesRequired",
}


def kept_spec(facts: Facts, fleet: Fleet) -> JsonObject:
    """Return the fields that are kept of an endpoint; what it does not have is left out."""
    model = facts.models[0] if facts.models else Model("")
    kept: dict[str, Any] = {
        "kind": _kind(facts),
        "config": facts.endpoint.get("EndpointConfigName"),
        "model": model.name,
        "models": [item.name for item in facts.models] if len(facts.models) > 1 else None,
        "image": model.image,
        "images": list(model.images) if len(model.images) > 1 else None,
        "repository": model.repository,
        "environment": dict(sorted(model.environment.items())),
        "model_data": model.model_data,
        "execution_role": model.execution_role or facts.config.get("ExecutionRoleArn"),
        "network_isolation": model.network_isolation or None,
        "subnets": list(model.subnets),
        "security_groups": list(model.security_groups),
        "instance_type": fleet.instance_type,
        "instance_pools": [
            item.get("InstanceType") for item in fleet.first.get("InstancePools") or ()
        ],
        "variants": [
            item.get("VariantName") for item in facts.config.get("ProductionVariants") or ()
        ],
        **_picked(fleet.first, _VARIANT),
        **_of_component(facts),
    }
    return {name: value for name, value in kept.items() if value not in (None, "", [])}


def _kind(facts: Facts) -> str:
    if facts.hosts_components:
        return COMPONENTS
    return CLASSIC if facts.config.get("ProductionVariants") else OTHER


def _of_component(facts: Facts) -> dict[str, Any]:
    """Return what a copy of the only component needs; several have only their names kept."""
    names = [item.get("InferenceComponentName") for item in facts.components]
    if len(names) != 1:
        return {"components": names}
    return {"components": names, **specified(facts.components[0].get("Specification") or {})}


def specified(specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of the specification of an only component."""
    needs = specification.get("ComputeResourceRequirements") or {}
    startup = specification.get("StartupParameters") or {}
    return {
        **_picked(specification, {"model": "ModelName"}),
        **_picked(needs, _RESOURCES),
        **_picked(startup, _STARTUP),
    }


def _picked(raw: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: _whole(raw[its]) for ours, its in names.items() if raw.get(its) is not None}


def _whole(value: object) -> object:
    """AWS answers counts of devices as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
