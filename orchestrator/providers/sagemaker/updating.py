"""Applies a change to an endpoint: by a new model and configuration, or by cheaper calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.endpoints import EndpointChange, Hardware, Scaling
from orchestrator.providers.base import ConflictError, RefusedError, SpecError
from orchestrator.providers.redaction import looks_secret
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.bodies import machine, model_data, times
from orchestrator.providers.sagemaker.choices import Choices
from orchestrator.providers.sagemaker.components import name_of, scale_component
from orchestrator.providers.sagemaker.creating import ensure
from orchestrator.providers.sagemaker.desk import (
    Answer,
    Desk,
    has_components,
    model_names,
    require_still,
    variants,
)
from orchestrator.providers.sagemaker.dialects import (
    NAMES,
    Dialect,
    dialect_of,
    with_twins,
)
from orchestrator.providers.sagemaker.images import image_uri
from orchestrator.providers.sagemaker.instances import instance_of
from orchestrator.providers.sagemaker.kept import (
    CONFIG_FIELDS,
    MODEL_FIELDS,
    creatable,
    secret_names,
)
from orchestrator.providers.sagemaker.limits import check_environment
from orchestrator.providers.sagemaker.naming import (
    ENDPOINT_TAG,
    VARIANT,
    asked_tags,
    is_ours,
    is_reserved,
    resource_name,
    secrets_tag,
    tag_list,
)

_OF_THE_MODEL = ("image", "repository", "revision", "environment", "secrets")
_OPTIONS_OF_THE_MODEL = frozenset(
    {"execution_role", "model_data", "network_isolation", "subnets", "security_groups"}
)
_OPTIONS_OF_THE_VARIANT = frozenset(
    {"volume_gb", "ami_version", "health_check_timeout_s", "download_timeout_s"}
)


@dataclass(slots=True)
class Present:
    """What an endpoint is made of now; the environment in `model` is in clear."""

    name: str
    endpoint: Answer
    config: Answer
    components: list[Answer]

    def __repr__(self) -> str:
        return f"Present(name={self.name!r})"

    @property
    def is_classic(self) -> bool:
        """Return whether its variant holds the model itself."""
        return not has_components(self.config)

    @property
    def component(self) -> str:
        """Return its one component. Raises RefusedError for another number."""
        if len(self.components) != 1:
            raise RefusedError(
                f"endpoint {self.name} has {len(self.components)} inference components: "
                "change them one by one"
            )
        return name_of(self.components[0])


def update(desk: Desk, name: str, change: EndpointChange) -> None:
    """Apply what is set in a change, and nothing else.

    Raises NotFoundError, or BusyError while the endpoint is in a transition.
    """
    found = desk.existing(name)
    if change == EndpointChange():
        return
    if change.tags is not None:
        _update_tags(desk, name, change.tags)
        change = replace(change, tags=None)
    if change == EndpointChange():
        return
    require_still(found)
    present = Present(name, found, _config_of(desk, found), desk.components(name))
    try:
        _apply(desk, present, change)
    except SpecError as error:
        raise RefusedError(f"{error.field}: {error}; {error.remedy}") from None


def _config_of(desk: Desk, found: Answer) -> Answer:
    config = desk.config(str(found["EndpointConfigName"]))
    if config is None:
        raise ConflictError(
            f"configuration {found['EndpointConfigName']} is gone: nothing can be built on it"
        )
    if len(variants(config)) != 1:
        raise RefusedError(f"endpoint {found['EndpointName']} has several variants")
    return config


def _apply(desk: Desk, present: Present, change: EndpointChange) -> None:
    options = {name for name, value in (change.options or {}).items() if value is not None}
    new_model = any(getattr(change, field) is not None for field in _OF_THE_MODEL) or bool(
        options & _OPTIONS_OF_THE_MODEL
    )
    model = _new_model(desk, present, change) if new_model else None
    config = _changed_config(desk, present, change, model if present.is_classic else None)
    if config is not None:
        _update_endpoint(desk, present, config, change)
    if model is not None and not present.is_classic:
        _update_component(desk, present, model)
    if change.scaling is not None:
        if present.is_classic:
            _scale_classic(desk, present, change.scaling, counted=config is not None)
        else:
            scale_component(desk, present.component, change.scaling)


def _update_tags(desk: Desk, name: str, tags: tuple[str, ...]) -> None:
    """Make the tags those that were asked for, but for AWS's own and ours."""
    arn = desk.session.arn("endpoint", name)
    now = {
        key: value
        for key, value in desk.tags("endpoint", name).items()
        if not is_ours(key) and not is_reserved(key)
    }
    wanted = asked_tags(tags)
    gone = [key for key in now if key not in wanted]
    new = {key: value for key, value in wanted.items() if now.get(key) != value}
    if new:
        desk.session.change("sagemaker", "AddTags", ResourceArn=arn, Tags=tag_list(new))
    if gone:
        desk.session.change("sagemaker", "DeleteTags", ResourceArn=arn, TagKeys=gone)


def _new_model(desk: Desk, present: Present, change: EndpointChange) -> str | None:
    """Make a model like the present one with the change in it; None where nothing changes."""
    old_name = _model_name(present)
    old = desk.model(old_name)
    if old is None:
        raise ConflictError(f"model {old_name} is gone: nothing can be built on it")
    before = creatable(old, [field for field in MODEL_FIELDS if field != "ModelName"])
    if "PrimaryContainer" not in before:
        raise RefusedError(f"model {old_name} has several containers: change it by hand")
    tags = {
        key: value for key, value in desk.tags("model", old_name).items() if not is_reserved(key)
    }
    secrets = set(secret_names(tags))
    options = Choices.read(change.options or {})
    container = _container(desk, present, before["PrimaryContainer"], change, secrets)
    content = before | {"PrimaryContainer": container} | _role_and_network(options)
    if content == before:
        return None
    if change.secrets is not None:
        secrets = set(change.secrets)
    tags |= {ENDPOINT_TAG: present.name} | secrets_tag(secrets)
    name = resource_name(present.name, content, desk.redactor.key)
    ensure(desk, "ModelName", {"ModelName": name, **content, "Tags": tag_list(tags)})
    return name


def _role_and_network(options: Choices) -> dict[str, Any]:
    """Return the role and network of the options, for a model."""
    content: dict[str, Any] = {}
    if options.execution_role:
        content["ExecutionRoleArn"] = options.execution_role
    if options.network_isolation:
        content["EnableNetworkIsolation"] = True
    if options.subnets:
        content["VpcConfig"] = {
            "Subnets": list(options.subnets),
            "SecurityGroupIds": list(options.security_groups),
        }
    return content


def _model_name(present: Present) -> str:
    if present.is_classic:
        return model_names(present.config)[0]
    component = next(iter(present.components), {})
    name = (component.get("Specification") or {}).get("ModelName")
    if not name:
        raise RefusedError(f"component {present.component} has no model of its own")
    return str(name)


def _container(
    desk: Desk, present: Present, old: Mapping[str, Any], change: EndpointChange, secrets: set[str]
) -> dict[str, Any]:
    """Return a container with the change in it; what is not changed is carried over as it is."""
    container = dict(old)
    if change.image is not None:
        container["Image"] = image_uri(change.image, desk.session.region)
    instance_type = change.hardware.instance_type if change.hardware else _type_of(present)
    accelerator = instance_of(instance_type).accelerator
    before = dialect_of(str(old.get("Image", "")), accelerator)
    after = dialect_of(str(container.get("Image", "")), accelerator)
    environment = _environment(dict(old.get("Environment") or {}), before, after, change, secrets)
    options = Choices.read(change.options or {})
    if options.model_data:
        container = {
            key: value
            for key, value in container.items()
            if key not in ("ModelDataUrl", "ModelDataSource")
        } | model_data(options.model_data)
    check_environment(environment)
    return container | {"Environment": environment}


def _environment(
    old: dict[str, str],
    before: Dialect,
    after: Dialect,
    change: EndpointChange,
    secrets: set[str],
) -> dict[str, str]:
    """Return the new environment: settings and secrets are replaced apart from each other."""
    own = {NAMES[before].model: NAMES[after].model, NAMES[before].revision: NAMES[after].revision}
    model = {own[name]: value for name, value in old.items() if own.get(name)}
    given = {name: value for name, value in old.items() if name not in own}
    hidden = {
        name: value for name, value in given.items() if name in secrets or looks_secret(name, value)
    }
    plain = {name: value for name, value in given.items() if name not in hidden}
    if change.repository is not None:
        model = {NAMES[after].model: change.repository}
    if change.revision is not None:
        model[NAMES[after].revision] = change.revision
    if change.environment is not None:
        plain = with_twins(change.environment, after)
    if change.secrets is not None:
        hidden = dict(change.secrets)
    return model | plain | hidden


def _type_of(present: Present) -> str:
    return str(variants(present.config)[0].get("InstanceType", ""))


def _changed_config(
    desk: Desk, present: Present, change: EndpointChange, model: str | None
) -> str | None:
    """Make a configuration with the change in it and return its name; None for no change."""
    content = creatable(
        present.config, [field for field in CONFIG_FIELDS if field != "EndpointConfigName"]
    )
    (old,) = variants(content)
    new = dict(old)
    if model is not None:
        new["ModelName"] = model
    if change.hardware is not None:
        new["InstanceType"] = _hardware(change.hardware, desk.session.region)
    options = Choices.read(change.options or {})
    new |= machine(options) | (times(options) if present.is_classic else {})
    if change.scaling is not None:
        new |= _bounds(present, old, new, change.scaling)
    if new == old:
        return None
    content["ProductionVariants"] = [new]
    name = resource_name(present.name, content, desk.redactor.key)
    tags = {ENDPOINT_TAG: present.name}
    ensure(
        desk, "EndpointConfigName", {"EndpointConfigName": name, **content, "Tags": tag_list(tags)}
    )
    return name


def _hardware(hardware: Hardware, region: str) -> str:
    if hardware.region != region:
        raise RefusedError(f"hardware.region: {hardware.region!r} is another account's region")
    return hardware.instance_type


def _bounds(
    present: Present, old: Mapping[str, Any], new: Mapping[str, Any], bounds: Scaling
) -> dict[str, Any]:
    """Return what bounds change of a variant; a classic one's count only along with something."""
    if present.is_classic:
        changed = dict(new) != dict(old)
        return {"InitialInstanceCount": max(1, bounds.min_replicas)} if changed else {}
    managed = dict(old.get("ManagedInstanceScaling") or {"Status": "ENABLED"})
    managed["MinInstanceCount"] = bounds.min_replicas
    managed["MaxInstanceCount"] = bounds.max_replicas
    return {"ManagedInstanceScaling": managed}


def _update_endpoint(desk: Desk, present: Present, config: str, change: EndpointChange) -> None:
    """Deploy a configuration; counts and weights stay as they are unless the change has a count.

    Without `RetainAllVariantProperties` an autoscaled count would fall back to the initial one.
    """
    if change.hardware is not None and present.is_classic:
        _refuse_autoscaled(desk, present)
    params: dict[str, Any] = {
        "EndpointName": present.name,
        "EndpointConfigName": config,
        "RetainAllVariantProperties": True,
    }
    if change.scaling is not None and present.is_classic:
        params["ExcludeRetainedVariantProperties"] = [
            {"VariantPropertyType": "DesiredInstanceCount"}
        ]
    desk.session.change("sagemaker", "UpdateEndpoint", **params)


def _refuse_autoscaled(desk: Desk, present: Present) -> None:
    """AWS fails an update to another instance type while the variant is an autoscaling target."""
    if scaling.read_targets(desk.session, [_resource(present)]):
        raise RefusedError(
            f"endpoint {present.name} is scaled automatically, and AWS changes no instance type "
            "then: set max_replicas to min_replicas first, and raise it again afterwards"
        )


def _update_component(desk: Desk, present: Present, model: str) -> None:
    (component,) = present.components
    specification = {
        key: value for key, value in component["Specification"].items() if key != "Container"
    }
    desk.session.change(
        "sagemaker",
        "UpdateInferenceComponent",
        InferenceComponentName=present.component,
        Specification=specification | {"ModelName": model},
    )


def _resource(present: Present) -> str:
    variant = str(variants(present.config)[0].get("VariantName", VARIANT))
    return scaling.variant_resource(present.name, variant)


def _scale_classic(desk: Desk, present: Present, bounds: Scaling, *, counted: bool) -> None:
    """Change the bounds of a target, make one, or set the count alone where there is no range."""
    resource = _resource(present)
    target = scaling.read_targets(desk.session, [resource])
    if bounds.max_replicas > bounds.min_replicas:
        scaling.register(desk.session, resource, bounds)
        scaling.keep_load_policy(desk.session, resource, bounds, scaling.load_name(present.name))
        return
    if target:
        _end_autoscaling(desk, present, resource, bounds)
    if not counted and _count(present) != bounds.min_replicas:
        desk.session.change(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=present.name,
            DesiredWeightsAndCapacities=[
                {
                    "VariantName": variants(present.config)[0]["VariantName"],
                    "DesiredInstanceCount": bounds.min_replicas,
                }
            ],
        )


def _end_autoscaling(desk: Desk, present: Present, resource: str, bounds: Scaling) -> None:
    """Remove a target that has only our policy; of others only the bounds change."""
    policies = scaling.read_policies(desk.session, resource)
    actions = scaling.read_actions(desk.session, resource)
    own = {scaling.load_name(present.name)}
    if actions or {str(policy["PolicyName"]) for policy in policies} - own:
        scaling.register(desk.session, resource, bounds)
        return
    scaling.deregister(desk.session, resource)


def _count(present: Present) -> int | None:
    described = variants(present.endpoint)
    return described[0].get("DesiredInstanceCount") if described else None
