"""Create, Describe, List, Update, UpdateRuntimeConfig and Delete of inference components."""

from __future__ import annotations

from typing import Any

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.component import Component, Placement
from orchestrator.sandbox.aws.component_life import require_steady
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.endpoints import find_endpoint
from orchestrator.sandbox.aws.errors import already_existing, invalid, not_found
from orchestrator.sandbox.aws.lifecycle import require_changeable
from orchestrator.sandbox.aws.listing import page
from orchestrator.sandbox.aws.models import find_model
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.aws.scalable import COMPONENT, forget
from orchestrator.sandbox.aws.tags import from_list
from orchestrator.sandbox.instants import to_datetime

_KIND = "inference component"


def create_component(call: AwsCall) -> Result:
    """Begin to put copies of a model on an endpoint; raises AwsError."""
    place, params = call.place, call.params
    name = params["InferenceComponentName"]
    arn = place.arn("inference-component", name)
    if any(one.lower() == name.lower() for one in place.components):
        raise already_existing(_KIND, arn)
    endpoint = find_endpoint(place, params["EndpointName"])
    require_changeable(endpoint)
    copies = _copies(params)
    _check_specification(call)
    component = Component(
        number=call.cloud.core.next_number(),
        account_id=place.account_id,
        region=place.region,
        name=name,
        arn=arn,
        endpoint_name=endpoint.name,
        endpoint_number=endpoint.number,
        variant=_variant(endpoint, params.get("VariantName")),
        created_at=call.now,
        placements=[Placement(call.now, "Creating", copies, 0, call.now)],
        document={key: value for key, value in params.items() if key != "Tags"},
        tags=from_list(params.get("Tags", ())),
    )
    call.cloud.core.items[component.number] = place.components[name] = component
    call.cloud.components.start(component)
    return {"InferenceComponentArn": arn}


def _copies(params: Any) -> int:
    copies = int(params.get("RuntimeConfig", {}).get("CopyCount", 1))
    if copies < 1:
        raise invalid("Inference components copy count an integer larger than 0")
    return copies


def _variant(endpoint: AwsEndpoint, name: str | None) -> str:
    hosting = [one.name for one in endpoint.variants if one.instance_type and not one.model]
    chosen = name or next(iter(hosting), "")
    if chosen not in hosting:
        raise invalid(
            f'Variant "{chosen}" of endpoint "{endpoint.arn}" does not support '
            "inference components."
        )
    return chosen


def _check_specification(call: AwsCall) -> None:
    specification = call.params.get("Specification")
    if specification is None:
        raise invalid("Specification must be provided.")
    if "ModelName" in specification:
        find_model(call.place, specification["ModelName"])


def find_component(place: Place, name: str) -> Component:
    """The component that is there now; raises AwsError."""
    if name not in place.components:
        raise not_found(_KIND, place.arn("inference-component", name))
    return place.components[name]


def components_at(call: AwsCall) -> list[tuple[Component, Placement]]:
    """The components at the moment that a read shows."""
    every = call.place.all_components() if call.past else call.place.components.values()
    found = ((one, one.placement_at(call.instant)) for one in every)
    return [(one, placement) for one, placement in found if placement is not None]


def describe_component(call: AwsCall) -> Result:
    """One component with its copies."""
    name = call.params["InferenceComponentName"]
    for component, placement in components_at(call):
        if component.name == name:
            return _shown(component, placement)
    raise not_found(_KIND, call.place.arn("inference-component", name))


def _shown(component: Component, placement: Placement) -> Result:
    row: Result = {
        **_summary(component, placement),
        "Specification": _specification(component, placement),
        "RuntimeConfig": {
            "DesiredCopyCount": placement.desired,
            "CurrentCopyCount": placement.current,
        },
    }
    return {**row, "FailureReason": placement.failure} if placement.failure else row


def _specification(component: Component, placement: Placement) -> Result:
    shown = component.specified_in(placement)
    if container := shown.get("Container"):
        image = container.get("Image")
        kept = {key: value for key, value in container.items() if key != "Image"}
        if image:
            kept["DeployedImage"] = {"SpecifiedImage": image, "ResolvedImage": image}
        shown["Container"] = kept
    return shown


def _summary(component: Component, placement: Placement) -> Result:
    return {
        "InferenceComponentName": component.name,
        "InferenceComponentArn": component.arn,
        "EndpointName": component.endpoint_name,
        "EndpointArn": _endpoint_arn(component),
        "VariantName": component.variant,
        "InferenceComponentStatus": placement.status,
        "CreationTime": to_datetime(component.created_at),
        "LastModifiedTime": to_datetime(placement.modified_at),
    }


def _endpoint_arn(component: Component) -> str:
    first = component.arn.partition(":inference-component/")[0]
    return f"{first}:endpoint/{component.endpoint_name.lower()}"


def list_components(call: AwsCall) -> Result:
    """The components of a region, of an endpoint, or of a variant."""
    endpoint = call.params.get("EndpointNameEquals")
    variant = call.params.get("VariantNameEquals")
    rows = [
        _summary(component, placement)
        for component, placement in components_at(call)
        if endpoint in {None, component.endpoint_name} and variant in {None, component.variant}
    ]
    status, name = "InferenceComponentStatus", "InferenceComponentName"
    return page(call, rows, "InferenceComponents", name, status=status)


def update_component(call: AwsCall) -> Result:
    """Change the specification or the number of copies, or both."""
    component = find_component(call.place, call.params["InferenceComponentName"])
    _require_updatable(component)
    copies = call.params.get("RuntimeConfig", {}).get("CopyCount", component.desired)
    if "Specification" in call.params:
        _check_specification(call)
        component.specify(call.now, call.params["Specification"])
        component.change(call.now, desired=copies)
        call.cloud.components.reload(component)
    else:
        call.cloud.components.set_copies(component, copies)
    return {"InferenceComponentArn": component.arn}


def update_runtime(call: AwsCall) -> Result:
    """Change the number of copies, also to none."""
    component = find_component(call.place, call.params["InferenceComponentName"])
    _require_updatable(component)
    copies = call.params["DesiredRuntimeConfig"]["CopyCount"]
    call.cloud.components.set_copies(component, copies)
    return {"InferenceComponentArn": component.arn}


def _require_updatable(component: Component) -> None:
    require_steady(component)
    if component.status == "Failed":
        raise invalid(f'Cannot update failed inference component "{component.arn}".')


def delete_component(call: AwsCall) -> Result:
    """Begin to delete; what Application Auto Scaling knows of it goes too."""
    component = find_component(call.place, call.params["InferenceComponentName"])
    call.cloud.components.delete(component)
    forget(call.cloud.core, call.place, component.resource_id, COMPONENT)
    return {}


HANDLERS: Handlers = {
    ("sagemaker", "CreateInferenceComponent"): (create_component, True),
    ("sagemaker", "DescribeInferenceComponent"): (describe_component, False),
    ("sagemaker", "ListInferenceComponents"): (list_components, False),
    ("sagemaker", "UpdateInferenceComponent"): (update_component, True),
    ("sagemaker", "UpdateInferenceComponentRuntimeConfig"): (update_runtime, True),
    ("sagemaker", "DeleteInferenceComponent"): (delete_component, True),
}
