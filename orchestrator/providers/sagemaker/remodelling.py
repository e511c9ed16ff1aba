"""The new model and configuration that a change of an endpoint needs, built on the present ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.endpoints import EndpointChange, Hardware, Scaling
from orchestrator.providers.base import ConflictError, RefusedError
from orchestrator.providers.redaction import looks_secret
from orchestrator.providers.sagemaker.bodies import machine, model_data, role_and_network, times
from orchestrator.providers.sagemaker.choices import Choices
from orchestrator.providers.sagemaker.components import name_of
from orchestrator.providers.sagemaker.creating import ensure
from orchestrator.providers.sagemaker.desk import (
    Answer,
    Desk,
    has_components,
    model_names,
    variants,
)
from orchestrator.providers.sagemaker.dialects import (
    NAMES,
    Dialect,
    dialect_of,
    task_entry,
    with_twins,
)
from orchestrator.providers.sagemaker.images import image_uri
from orchestrator.providers.sagemaker.instances import instance_of
from orchestrator.providers.sagemaker.kept import (
    CONFIG_FIELDS,
    MODEL_FIELDS,
    creatable,
    hidden_names,
    secret_names,
)
from orchestrator.providers.sagemaker.limits import check_environment
from orchestrator.providers.sagemaker.naming import (
    ENDPOINT_TAG,
    FOREIGN,
    is_reserved,
    resource_name,
    secrets_tag,
    tag_list,
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


def new_model(desk: Desk, present: Present, change: EndpointChange) -> str | None:
    """Make a model like the present one with the change in it; None where nothing changes."""
    old_name = _model_name(present)
    old = desk.model(old_name)
    if old is None:
        raise ConflictError(f"model {old_name} is gone: nothing can be built on it")
    before = creatable(old, [field for field in MODEL_FIELDS if field != "ModelName"])
    if "PrimaryContainer" not in before:
        raise RefusedError(f"model {old_name} has several containers: change it by hand")
    tags = {
        key: value
        for key, value in desk.tags("model", old_name, old).items()
        if not is_reserved(key)
    }
    secrets = set(secret_names(tags))
    if secrets == FOREIGN:
        secrets = hidden_names(before["PrimaryContainer"].get("Environment") or {}, desk.redactor)
    options = Choices.read(change.options or {})
    container = _container(desk, present, before["PrimaryContainer"], change, secrets)
    content = before | {"PrimaryContainer": container} | role_and_network(options)
    if content == before:
        return None
    if change.secrets is not None:
        secrets = set(change.secrets)
    tags |= {ENDPOINT_TAG: present.name} | secrets_tag(secrets)
    name = resource_name(present.name, content, desk.redactor.key)
    ensure(desk, "ModelName", {"ModelName": name, **content, "Tags": tag_list(tags)})
    return name


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
    return model | plain | hidden | task_entry(after, change.task)


def _type_of(present: Present) -> str:
    return str(variants(present.config)[0].get("InstanceType", ""))


def changed_config(
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
