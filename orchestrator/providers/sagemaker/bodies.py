"""The requests that make a model, an endpoint configuration and an inference component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.endpoints import EndpointSpec, Scaling
from orchestrator.providers.sagemaker.choices import Choices
from orchestrator.providers.sagemaker.instances import Instance
from orchestrator.providers.sagemaker.naming import (
    ENDPOINT_TAG,
    INSTALLATION_TAG,
    REPOSITORY_TAG,
    UNFINISHED_TAG,
    VARIANT,
    asked_tags,
    resource_name,
    secrets_tag,
    tag_list,
)
from orchestrator.providers.sagemaker.shapes import Container
from orchestrator.providers.sagemaker.specs import Place, container_of

AUTOSCALING = "autoscaling"
COMPONENT = "inference component and autoscaling"

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """All requests of one creation; `unfinished` names what comes after the endpoint serves."""

    model: Request
    config: Request
    endpoint: Request
    component: Request | None
    unfinished: str

    def __repr__(self) -> str:
        return f"Plan(endpoint={self.endpoint.get('EndpointName')!r})"


def plan_of(place: Place, spec: EndpointSpec, key: bytes | None, installation: str = "") -> Plan:
    """Return the requests that create an endpoint. Raises SpecError."""
    container = container_of(place, spec)
    choices = container.choices
    role = choices.execution_role or place.role
    own, asked = {ENDPOINT_TAG: spec.name}, asked_tags(spec.tags)
    model = _named(
        "ModelName", spec.name, model_content(container, role), key, own | asked | _secrets(spec)
    )
    if choices.inference_components:
        content = _components_config(container, role, spec.scaling)
        component = component_request(spec, container, str(model["ModelName"]))
        unfinished = COMPONENT
    else:
        content = _classic_config(container, str(model["ModelName"]), spec.scaling)
        component = None
        unfinished = AUTOSCALING if spec.scaling.max_replicas > spec.scaling.min_replicas else ""
    config = _named("EndpointConfigName", spec.name, content, key, own | asked)
    tags = own | asked | ({INSTALLATION_TAG: installation} if installation else {})
    if choices.model_data and not spec.repository.startswith("s3://"):
        tags[REPOSITORY_TAG] = spec.repository
    if unfinished:
        tags[UNFINISHED_TAG] = unfinished
    endpoint = {
        "EndpointName": spec.name,
        "EndpointConfigName": config["EndpointConfigName"],
        "Tags": tag_list(tags),
    }
    return Plan(model, config, endpoint, component, unfinished)


def model_content(container: Container, role: str) -> Request:
    """Return what a model is made with, without its name and tags."""
    choices = container.choices
    primary: Request = {"Image": container.image, "Environment": dict(container.environment)}
    return {
        "PrimaryContainer": primary | model_data(choices.model_data),
        "ExecutionRoleArn": role,
        **role_and_network(choices),
    }


def role_and_network(choices: Choices) -> Request:
    """Return the role and the network of the options, for a model or a configuration."""
    content: Request = {}
    if choices.execution_role:
        content["ExecutionRoleArn"] = choices.execution_role
    if choices.network_isolation:
        content["EnableNetworkIsolation"] = True
    if choices.subnets:
        content["VpcConfig"] = {
            "Subnets": list(choices.subnets),
            "SecurityGroupIds": list(choices.security_groups),
        }
    return content


def model_data(uri: str) -> Request:
    """Return where weights are: an archive is unpacked, a prefix is mounted as it is."""
    if not uri:
        return {}
    if uri.endswith(".tar.gz"):
        return {"ModelDataUrl": uri}
    source = {
        "S3Uri": uri if uri.endswith("/") else f"{uri}/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    return {"ModelDataSource": {"S3DataSource": source}}


def _classic_config(container: Container, model: str, scaling: Scaling) -> Request:
    variant: Request = {
        "VariantName": VARIANT,
        "ModelName": model,
        "InstanceType": container.instance_type,
        "InitialInstanceCount": max(1, scaling.min_replicas),
        "InitialVariantWeight": 1.0,
    }
    return {"ProductionVariants": [variant | machine(container.choices) | times(container.choices)]}


def _components_config(container: Container, role: str, scaling: Scaling) -> Request:
    """The variant has no model, and the role is needed on the configuration itself."""
    variant: Request = {
        "VariantName": VARIANT,
        "InstanceType": container.instance_type,
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {
            "Status": "ENABLED",
            "MinInstanceCount": scaling.min_replicas,
            "MaxInstanceCount": scaling.max_replicas,
        },
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    return {
        "ExecutionRoleArn": role,
        "ProductionVariants": [variant | machine(container.choices)],
        **role_and_network(container.choices),
    }


def machine(choices: Choices) -> Request:
    """Return the parts of a variant that are about its machines."""
    given = {"VolumeSizeInGB": choices.volume_gb, "InferenceAmiVersion": choices.ami_version}
    return {name: value for name, value in given.items() if value}


def times(choices: Choices) -> Request:
    """Return the time-outs of a container's start, in seconds."""
    given = {
        "ContainerStartupHealthCheckTimeoutInSeconds": choices.health_check_timeout_s,
        "ModelDataDownloadTimeoutInSeconds": choices.download_timeout_s,
    }
    return {name: value for name, value in given.items() if value}


def component_request(spec: EndpointSpec, container: Container, model: str) -> Request:
    """Return the request that puts a model onto an endpoint for inference components."""
    choices = container.choices
    specification: Request = {
        "ModelName": model,
        "ComputeResourceRequirements": _resources(choices, container.instance),
    }
    startup = times(choices)
    if startup:
        specification["StartupParameters"] = startup
    return {
        # As the model, so that a repeated create finds the first.
        "InferenceComponentName": model,
        "EndpointName": spec.name,
        "VariantName": VARIANT,
        "Specification": specification,
        # AWS refuses to create a component with no copies.
        "RuntimeConfig": {"CopyCount": choices.copies or max(1, spec.scaling.min_replicas)},
        "Tags": tag_list({ENDPOINT_TAG: spec.name} | asked_tags(spec.tags)),
    }


def _resources(choices: Choices, instance: Instance) -> Request:
    devices = choices.accelerators or instance.devices
    resources: Request = {"MinMemoryRequiredInMb": choices.min_memory_mb}
    if devices:
        resources["NumberOfAcceleratorDevicesRequired"] = devices
    else:
        resources["NumberOfCpuCoresRequired"] = 1
    return resources


def _secrets(spec: EndpointSpec) -> dict[str, str]:
    return secrets_tag(spec.secrets)


def _named(
    field: str, endpoint: str, content: Request, key: bytes | None, tags: Mapping[str, str]
) -> Request:
    name = resource_name(endpoint, content, key)
    return {field: name, **content, "Tags": tag_list(tags)}
