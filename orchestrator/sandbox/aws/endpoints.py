"""Create, Describe, List, Update, UpdateEndpointWeightsAndCapacities and Delete of endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.configs import find_config, fleet_of
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Stretch, Variant
from orchestrator.sandbox.aws.errors import already_existing, invalid, not_found, over_quota
from orchestrator.sandbox.aws.lifecycle import require_changeable
from orchestrator.sandbox.aws.listing import page
from orchestrator.sandbox.aws.models import find_model
from orchestrator.sandbox.aws.place import Place, Thing
from orchestrator.sandbox.aws.scalable import forget_endpoint
from orchestrator.sandbox.aws.tags import from_list
from orchestrator.sandbox.instants import SECOND, to_datetime

_RETAINABLE = ("DesiredInstanceCount", "DesiredWeight")


def create_endpoint(call: AwsCall) -> Result:
    """Begin to create an endpoint; its name is taken whatever its case."""
    place, name = call.place, call.params["EndpointName"]
    arn = place.arn("endpoint", name)
    if any(one.lower() == name.lower() for one in place.endpoints):
        raise already_existing("endpoint", arn)
    config = _readable_config(call, call.params["EndpointConfigName"])
    fleet = fleet_of(config.document)
    _require_models(call, fleet)
    require_quota(call, _counts(fleet))
    tags = from_list(call.params.get("Tags", ()))
    endpoint = new_endpoint(call, name, config, fleet, tags)
    call.cloud.endpoints.start(endpoint)
    return {"EndpointArn": arn}


def new_endpoint(
    call: AwsCall, name: str, config: Thing, fleet: tuple[Variant, ...], tags: dict[str, str]
) -> AwsEndpoint:
    """An endpoint that is Creating, in its place."""
    place, now = call.place, call.now
    endpoint = AwsEndpoint(
        number=call.cloud.core.next_number(),
        account_id=place.account_id,
        region=place.region,
        name=name,
        arn=place.arn("endpoint", name),
        created_at=now,
        stretches=[Stretch(now, "Creating", config.name, fleet, now)],
        documents={config.name: config.document},
        tags=tags,
        deployment=call.params.get("DeploymentConfig"),
    )
    call.cloud.core.items[endpoint.number] = place.endpoints[name] = endpoint
    return endpoint


def _readable_config(call: AwsCall, name: str) -> Thing:
    config = find_config(call.place, name)
    if call.now - config.created_at < call.cloud.switches.config_lag_s * SECOND:
        raise not_found("endpoint configuration", config.arn)
    return config


def _require_models(call: AwsCall, fleet: Iterable[Variant]) -> None:
    for one in fleet:
        if one.model:
            find_model(call.place, one.model)


def require_quota(call: AwsCall, wanted: Mapping[str, int]) -> None:
    """Raises AwsError if so many more instances by type do not fit."""
    for kind, delta in wanted.items():
        used = call.cloud.core.instances_used(call.account.id, call.region, kind)
        limit = call.account.quota(call.region, kind)
        if delta > 0 and used + delta > limit:
            raise over_quota(kind, limit, used, delta)


def _counts(fleet: Iterable[Variant]) -> dict[str, int]:
    wanted: Counter[str] = Counter()
    for one in fleet:
        if one.instance_type:
            wanted[one.instance_type] += one.desired
    return wanted


def find_endpoint(place: Place, name: str) -> AwsEndpoint:
    """The endpoint that is there now; raises AwsError."""
    if name not in place.endpoints:
        raise not_found("endpoint", place.arn("endpoint", name))
    return place.endpoints[name]


def endpoints_at(call: AwsCall) -> list[tuple[AwsEndpoint, Stretch]]:
    """The endpoints at the moment that a read shows."""
    every = call.place.all_endpoints() if call.past else call.place.endpoints.values()
    found = ((one, one.stretch_at(call.instant)) for one in every)
    return [(one, stretch) for one, stretch in found if stretch is not None]


def describe_endpoint(call: AwsCall) -> Result:
    """One endpoint; the instance type is not part of it."""
    name = call.params["EndpointName"]
    for endpoint, stretch in endpoints_at(call):
        if endpoint.name == name:
            return _shown(call, endpoint, stretch)
    raise not_found("endpoint", call.place.arn("endpoint", name))


def _shown(call: AwsCall, endpoint: AwsEndpoint, stretch: Stretch) -> Result:
    document = endpoint.documents[stretch.config]
    row: Result = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": stretch.config,
        "EndpointStatus": stretch.status,
        "CreationTime": to_datetime(endpoint.created_at),
        "LastModifiedTime": to_datetime(stretch.modified_at),
    }
    if stretch.status == "InService" or any(one.current for one in stretch.variants):
        row |= _variants(call, stretch)
    if stretch.failure:
        row["FailureReason"] = stretch.failure
    if stretch.incoming:
        row["PendingDeploymentSummary"] = _pending(stretch)
    if endpoint.deployment:
        row["LastDeploymentConfig"] = endpoint.deployment
    return {**row, **_carried(document)}


def _variants(call: AwsCall, stretch: Stretch) -> Result:
    shown = [(one.shadow, _summary(call, stretch, one)) for one in stretch.variants]
    rows = {"ProductionVariants": [row for shadow, row in shown if not shadow]}
    shadows = [row for shadow, row in shown if shadow]
    return {**rows, "ShadowProductionVariants": shadows} if shadows else rows


def _carried(document: Mapping[str, Any]) -> Result:
    found: Result = {}
    if "AsyncInferenceConfig" in document:
        found["AsyncInferenceConfig"] = document["AsyncInferenceConfig"]
    if capture := document.get("DataCaptureConfig"):
        on = capture.get("EnableCapture", False)
        found["DataCaptureConfig"] = {
            "EnableCapture": on,
            "CaptureStatus": "Started" if on else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    return found


def _summary(call: AwsCall, stretch: Stretch, one: Variant) -> Result:
    row: Result = {
        "VariantName": one.name,
        "CurrentWeight": one.weight,
        "DesiredWeight": one.desired_weight,
    }
    images = _images(call, one)
    if images:
        row["DeployedImages"] = images
    if not one.instance_type:
        return row
    row |= {"CurrentInstanceCount": one.current, "DesiredInstanceCount": one.desired}
    if one.floor is not None:
        row["ManagedInstanceScaling"] = {
            "Status": "ENABLED",
            "MinInstanceCount": one.floor,
            "MaxInstanceCount": one.ceiling,
        }
    if stretch.status in {"Updating", "Deleting"}:
        row["VariantStatus"] = [
            {"Status": stretch.status, "StartTime": to_datetime(stretch.modified_at)}
        ]
    return row


def _images(call: AwsCall, one: Variant) -> list[Result]:
    model = call.place.models.get(one.model)
    container = model.document.get("PrimaryContainer", {}) if model else {}
    image = container.get("Image")
    return [{"SpecifiedImage": image, "ResolvedImage": image}] if image else []


def _pending(stretch: Stretch) -> Result:
    return {
        "EndpointConfigName": stretch.incoming_config,
        "StartTime": to_datetime(stretch.modified_at),
        "ProductionVariants": [
            {
                "VariantName": one.name,
                "CurrentInstanceCount": one.instances,
                "DesiredInstanceCount": one.desired,
                "DesiredWeight": one.desired_weight,
                **({"InstanceType": one.instance_type} if one.instance_type else {}),
            }
            for one in stretch.incoming
        ],
    }


def list_endpoints(call: AwsCall) -> Result:
    """Names, ARNs, times and status; neither configuration nor tags."""
    rows = [
        {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "CreationTime": to_datetime(endpoint.created_at),
            "LastModifiedTime": to_datetime(stretch.modified_at),
            "EndpointStatus": stretch.status,
        }
        for endpoint, stretch in endpoints_at(call)
    ]
    return page(call, rows, "Endpoints", "EndpointName", status="EndpointStatus")


def update_endpoint(call: AwsCall) -> Result:
    """Bring up the fleet of another configuration beside the old one."""
    endpoint = find_endpoint(call.place, call.params["EndpointName"])
    require_changeable(endpoint)
    config = _readable_config(call, call.params["EndpointConfigName"])
    if config.name == endpoint.stretch.config:
        raise invalid("The new endpoint configuration must differ from the one in use.")
    fleet = _retained(call, endpoint, fleet_of(config.document))
    _require_models(call, fleet)
    require_quota(call, _counts(fleet))
    endpoint.documents[config.name] = config.document
    if not call.params.get("RetainDeploymentConfig"):
        endpoint.deployment = call.params.get("DeploymentConfig")
    call.cloud.endpoints.update(endpoint, config.name, fleet)
    return {"EndpointArn": endpoint.arn}


def _retained(
    call: AwsCall, endpoint: AwsEndpoint, fleet: tuple[Variant, ...]
) -> tuple[Variant, ...]:
    if not call.params.get("RetainAllVariantProperties"):
        return fleet
    dropped = {
        row["VariantPropertyType"]
        for row in call.params.get("ExcludeRetainedVariantProperties", ())
    }
    old = {one.name: one for one in endpoint.variants}
    return tuple(_keep(one, old.get(one.name), dropped) for one in fleet)


def _keep(new: Variant, old: Variant | None, dropped: set[str]) -> Variant:
    if old is None:
        return new
    count, weight = (kind in dropped for kind in _RETAINABLE)
    return replace(
        new,
        desired=new.desired if count else old.desired,
        desired_weight=new.desired_weight if weight else old.desired_weight,
    )


def update_weights(call: AwsCall) -> Result:
    """Change weights and numbers of instances of the fleet that is there."""
    endpoint = find_endpoint(call.place, call.params["EndpointName"])
    require_changeable(endpoint)
    wanted = {row["VariantName"]: row for row in call.params["DesiredWeightsAndCapacities"]}
    for name in wanted.keys() - {one.name for one in endpoint.variants}:
        raise invalid(f'The variant name(s) "{name}" is/are not present within endpoint.')
    fleet = tuple(_rescaled(endpoint, one, wanted.get(one.name, {})) for one in endpoint.variants)
    before = Counter(_counts(endpoint.variants))
    require_quota(call, {key: count - before[key] for key, count in _counts(fleet).items()})
    call.cloud.endpoints.rescale(endpoint, fleet)
    return {"EndpointArn": endpoint.arn}


def _rescaled(endpoint: AwsEndpoint, one: Variant, row: Mapping[str, Any]) -> Variant:
    count = row.get("DesiredInstanceCount", one.desired)
    if count == 0 and one.model and not endpoint.is_async:
        raise invalid(
            "DesiredInstanceCount must be greater than 0: an endpoint can scale to and from zero "
            "instances only if it hosts inference components."
        )
    weight = float(row.get("DesiredWeight", one.desired_weight))
    return replace(one, desired=count, desired_weight=weight)


def delete_endpoint(call: AwsCall) -> Result:
    """Begin to delete; scalable targets, policies and scheduled actions go without a word."""
    endpoint = find_endpoint(call.place, call.params["EndpointName"])
    call.cloud.endpoints.delete(endpoint)
    forget_endpoint(call.cloud.core, call.place, endpoint.name)
    return {}


HANDLERS: Handlers = {
    ("sagemaker", "CreateEndpoint"): (create_endpoint, True),
    ("sagemaker", "DescribeEndpoint"): (describe_endpoint, False),
    ("sagemaker", "ListEndpoints"): (list_endpoints, False),
    ("sagemaker", "UpdateEndpoint"): (update_endpoint, True),
    ("sagemaker", "UpdateEndpointWeightsAndCapacities"): (update_weights, True),
    ("sagemaker", "DeleteEndpoint"): (delete_endpoint, True),
}
