"""Checks a spec, or a change of an endpoint, before any call is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, JsonObject
from orchestrator.providers.base import SpecError
from orchestrator.providers.redaction import is_redacted, looks_secret
from orchestrator.providers.sagemaker.choices import Choices
from orchestrator.providers.sagemaker.dialects import (
    built_environment,
    dialect_of,
    task_entry,
    with_twins,
)
from orchestrator.providers.sagemaker.images import image_region, image_uri
from orchestrator.providers.sagemaker.instances import instance_of
from orchestrator.providers.sagemaker.limits import (
    check_environment,
    check_hardware,
    check_name,
    check_scaling,
    check_tags,
)
from orchestrator.providers.sagemaker.shapes import Container, check_container

# What a change of makes a new model or a new configuration necessary.
_OF_THE_CONTAINER = (
    "hardware",
    "repository",
    "revision",
    "image",
    "environment",
    "secrets",
    "task",
)


@dataclass(frozen=True, slots=True)
class Place:
    """The account in which an endpoint lives; `role` is its default execution role or ""."""

    account_id: str
    region: str
    role: str = ""


def check(
    place: Place, given: EndpointSpec | EndpointChange, current: JsonObject
) -> tuple[str, ...]:
    """Return warnings on a spec, or on a change of what `Snapshot.spec` calls `current`.

    Raises SpecError for what AWS would refuse or what could not start.
    """
    if isinstance(given, EndpointSpec):
        return tuple(_check_spec(place, given))
    return tuple(_check_change(place, given, current))


def choices_of(spec: EndpointSpec) -> Choices:
    """Return the options of a spec; a repository in S3 is where the weights are."""
    choices = Choices.read(spec.options)
    if not spec.repository.startswith("s3://"):
        return choices
    Choices.read({"model_data": spec.repository})
    if choices.model_data not in ("", spec.repository):
        raise SpecError(
            "options.model_data",
            "the repository is in S3 already",
            remedy="give one of the two",
        )
    return replace(choices, model_data=spec.repository)


def container_of(place: Place, spec: EndpointSpec) -> Container:
    """Return the container that a spec stands for. Raises SpecError."""
    choices = choices_of(spec)
    image = image_uri(spec.image, place.region)
    instance = instance_of(spec.hardware.instance_type)
    dialect = dialect_of(image, instance.accelerator)
    environment = built_environment(
        dialect,
        spec.repository,
        spec.revision,
        {**spec.environment, **spec.secrets},
        local=bool(choices.model_data),
        task=spec.task,
    )
    return Container(
        image=image,
        dialect=dialect,
        environment=environment,
        instance_type=spec.hardware.instance_type,
        instance=instance,
        choices=choices,
        model=spec.repository,
    )


def _check_spec(place: Place, spec: EndpointSpec) -> Iterator[str]:
    check_name(spec.name)
    check_hardware(spec.hardware, place.region)
    _check_unknown(spec.access, [*spec.command], [*spec.arguments])
    container = container_of(place, spec)
    check_environment(container.environment)
    check_tags(spec.tags)
    check_scaling(spec.scaling, components=container.choices.inference_components)
    _check_role(place, container.choices)
    _check_components(container.choices)
    yield from check_container(container)
    yield from _about_image(place, container.image)
    yield from _about_secrets({**spec.environment, **spec.secrets}, spec.secrets)


def _check_change(place: Place, change: EndpointChange, current: JsonObject) -> Iterator[str]:
    _check_unknown(
        change.access or "authenticated", [*(change.command or ())], [*(change.arguments or ())]
    )
    components = current.get("kind") == "components"
    if change.hardware is not None:
        check_hardware(change.hardware, place.region)
        _check_fixed(change.hardware, current)
    if change.scaling is not None:
        check_scaling(change.scaling, components=components)
    if change.scaling is not None and components:
        yield (
            "new bounds are a new configuration: AWS brings up new instances beside the old ones, "
            "and bills both until the new ones serve"
        )
    if change.tags is not None:
        check_tags(change.tags)
    options = Choices.read(change.options or {})
    if options.inference_components and not components:
        raise SpecError(
            "options.inference_components",
            "an endpoint cannot be turned into one with inference components",
            remedy="create another endpoint",
        )
    if change.options or any(getattr(change, name) is not None for name in _OF_THE_CONTAINER):
        yield from _check_changed_container(place, change, current)
    given = {**(change.environment or {}), **(change.secrets or {})}
    yield from _about_secrets(given, change.secrets or {})


def _check_fixed(hardware: Hardware, current: JsonObject) -> None:
    """Refuse another type for a range of instances: only a scalable target makes one of them.

    AWS fails such an update. A target whose bounds are equal is found out at the call.
    """
    low, high = current.get("min_replicas"), current.get("max_replicas")
    ranged = current.get("kind") == "classic" and low is not None and low != high
    if ranged and hardware.instance_type != current.get("instance_type"):
        raise SpecError(
            "hardware.instance_type",
            f"the endpoint is scaled automatically from {low} to {high} instances, and AWS "
            "changes no instance type then",
            remedy="set max_replicas to min_replicas first, and raise it again afterwards; where "
            "others made its scaling policies, deregister its scalable target at AWS instead",
        )


def _check_changed_container(
    place: Place, change: EndpointChange, current: JsonObject
) -> Iterator[str]:
    instance_type = (
        change.hardware.instance_type if change.hardware else str(current.get("instance_type", ""))
    )
    given_image: Mapping[str, Any] = {"uri": str(current.get("image", "")) or "unknown"}
    image = image_uri(change.image or given_image, place.region)
    instance = instance_of(instance_type)
    dialect = dialect_of(image, instance.accelerator)
    kept = {str(name): str(value) for name, value in dict(current.get("environment", {})).items()}
    environment = {**(kept if change.environment is None else {}), **(change.environment or {})}
    known = {name: value for name, value in environment.items() if not is_redacted(value)}
    check_environment({**known, **(change.secrets or {})})
    container = Container(
        image=image,
        dialect=dialect,
        environment=with_twins(environment, dialect) | task_entry(dialect, change.task),
        instance_type=instance_type,
        instance=instance,
        choices=_changed_choices(change, current),
        model=change.repository or str(current.get("repository", "")),
    )
    yield from check_container(container)
    if change.image is not None:
        yield from _about_image(place, image)


def _changed_choices(change: EndpointChange, current: JsonObject) -> Choices:
    names = ("volume_gb", "health_check_timeout_s", "ami_version", "model_data")
    kept = {name: current[name] for name in names if current.get(name) is not None}
    return Choices.read({**kept, **(change.options or {})})


def _check_unknown(access: str, command: list[str], arguments: list[str]) -> None:
    if access not in ("authenticated", "iam"):
        raise SpecError(
            "access",
            f"{access!r} is not possible: SageMaker endpoints are called with IAM rights",
            remedy="leave it out",
        )
    for name, words in (("command", command), ("arguments", arguments)):
        if words:
            raise SpecError(
                name,
                "SageMaker runs the image's own command",
                remedy="set the environment instead, or build an image of your own",
            )


def _check_role(place: Place, choices: Choices) -> None:
    if not (choices.execution_role or place.role):
        raise SpecError(
            "options.execution_role",
            "SageMaker needs a role that the containers run with",
            remedy="give its ARN here, or as the account's option execution_role",
        )


def _check_components(choices: Choices) -> None:
    if choices.inference_components and choices.min_memory_mb is None:
        raise SpecError(
            "options.min_memory_mb",
            "an inference component must say how much memory a copy needs",
            remedy="give it in MiB, below what one instance has left",
        )
    if choices.subnets and not choices.security_groups:
        raise SpecError(
            "options.security_groups", "subnets need security groups", remedy="give at least one"
        )


def _about_image(place: Place, image: str) -> Iterator[str]:
    region = image_region(image)
    if region and region != place.region:
        yield f"the image is in {region}: SageMaker pulls from its own region {place.region}"
    if not region:
        yield (
            "the image is not in a private registry of AWS: SageMaker pulls from others only "
            "within a VPC"
        )


def _about_secrets(given: Mapping[str, str], secrets: Mapping[str, str]) -> Iterator[str]:
    names = sorted(
        name for name, value in given.items() if name in secrets or looks_secret(name, value)
    )
    if names:
        yield (
            f"{', '.join(names)}: everyone who may call DescribeModel can read the environment of "
            "a model. Ways around: put the weights into S3 and name them by options.model_data, "
            "so that no token is needed; or limit sagemaker:DescribeModel. Give the value by "
            "reference (env:NAME or file:/path), so that it is at least never stored here"
        )
