"""Models and containers without their secrets: what they serve, by which server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.providers.redaction import Redactor
from orchestrator.providers.sagemaker.dialects import NAMES, dialect_of, repository_of
from orchestrator.providers.sagemaker.naming import FOREIGN

# Settings that say what is served; they are shown even where nothing else may be.
_PUBLIC = frozenset(
    name for names in NAMES.values() for name in (names.model, names.revision) if name
)


@dataclass(frozen=True, slots=True)
class Model:
    """What a model or container says, its environment redacted.

    `images` are those of all its containers, the first one serves. `dialect` goes by the image.
    """

    name: str
    image: str = ""
    images: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    model_data: str = ""
    repository: str = ""
    execution_role: str = ""
    network_isolation: bool = False
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()


def described_model(
    raw: Mapping[str, Any], redactor: Redactor, secrets: frozenset[str] | None
) -> Model:
    """Return a model as DescribeModel told it.

    `secrets` names settings that are secret whatever they look like; None: any may be.
    """
    primary = raw.get("PrimaryContainer")
    containers = [primary] if isinstance(primary, Mapping) else list(raw.get("Containers") or ())
    first: Mapping[str, Any] = containers[0] if containers else {}
    network = raw.get("VpcConfig") or {}
    found = _container(str(raw.get("ModelName") or ""), first, redactor, secrets)
    return Model(
        name=found.name,
        image=found.image,
        images=tuple(str(item.get("Image") or "") for item in containers),
        environment=found.environment,
        model_data=found.model_data,
        repository=found.repository,
        execution_role=str(raw.get("ExecutionRoleArn") or ""),
        network_isolation=raw.get("EnableNetworkIsolation") is True,
        subnets=tuple(network.get("Subnets") or ()),
        security_groups=tuple(network.get("SecurityGroupIds") or ()),
    )


def model_of_component(component: Mapping[str, Any], redactor: Redactor) -> Model | None:
    """Return what an inference component with a container of its own serves, None for others."""
    specification = component.get("Specification")
    container = specification.get("Container") if isinstance(specification, Mapping) else None
    if not isinstance(container, Mapping):
        return None
    deployed = container.get("DeployedImage") or {}
    flat = {
        "Image": deployed.get("SpecifiedImage") or deployed.get("ResolvedImage"),
        "Environment": container.get("Environment"),
        "ModelDataUrl": container.get("ArtifactUrl"),
    }
    name = str(component.get("InferenceComponentName") or "")
    return _container(name, flat, redactor, FOREIGN)


def _container(
    name: str, raw: Mapping[str, Any], redactor: Redactor, secrets: frozenset[str] | None
) -> Model:
    image = str(raw.get("Image") or "")
    environment = {str(key): str(value) for key, value in (raw.get("Environment") or {}).items()}
    data = _data_of(raw)
    return Model(
        name=name,
        image=image,
        images=(image,),
        environment={
            key: _shown(key, value, redactor, secrets) for key, value in environment.items()
        },
        model_data=data,
        repository=repository_of(image, environment, data),
    )


def _shown(key: str, value: str, redactor: Redactor, secrets: frozenset[str] | None) -> str:
    if key in _PUBLIC:
        return redactor.setting(key, value)
    if secrets == FOREIGN:
        return redactor.foreign(key, value)
    if secrets is None or key in secrets:
        return redactor.marker(key, value)
    return redactor.setting(key, value)


def _data_of(raw: Mapping[str, Any]) -> str:
    source = (raw.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return str(raw.get("ModelDataUrl") or source.get("S3Uri") or "")


def engine_of(model: Model, accelerator: str) -> str:
    """Return the dialect of a model's server, "" without an image."""
    return str(dialect_of(model.image, accelerator)) if model.image else ""
