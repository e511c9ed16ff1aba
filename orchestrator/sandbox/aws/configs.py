"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.endpoint import Variant
from orchestrator.sandbox.aws.errors import already_existing, invalid, not_found
from orchestrator.sandbox.aws.listing import page
from orchestrator.sandbox.aws.models import find_model
from orchestrator.sandbox.aws.place import Place, Thing
from orchestrator.sandbox.aws.tags import from_list
from orchestrator.sandbox.instants import to_datetime

Row = Mapping[str, Any]
_DEFAULT_VOLUME_GB = 30
_NVME = ("ml.g4dn.", "ml.g5.", "ml.g6.", "ml.g6e.", "ml.p4d.", "ml.p4de.", "ml.p5.", "ml.p5en.")


def create_config(call: AwsCall) -> Result:
    """Keep a configuration; raises AwsError for what SageMaker refuses."""
    place, name = call.place, call.params["EndpointConfigName"]
    arn = place.arn("endpoint-config", name)
    if name in place.configs:
        raise already_existing("endpoint configuration", arn)
    rows = call.params["ProductionVariants"]
    if len({row["VariantName"] for row in rows}) < len(rows):
        raise invalid("Production variant names must be unique.")
    for row in (*rows, *call.params.get("ShadowProductionVariants", ())):
        _check(call, row)
    document = {key: value for key, value in call.params.items() if key != "Tags"}
    for kind in ("ProductionVariants", "ShadowProductionVariants"):
        if kind in document:
            document[kind] = [_complete(row) for row in document[kind]]
    tags = from_list(call.params.get("Tags", ()))
    place.configs[name] = Thing(name, arn, call.now, document, tags)
    return {"EndpointConfigArn": arn}


def _check(call: AwsCall, row: Row) -> None:
    if "ModelName" in row:
        find_model(call.place, row["ModelName"])
    elif not call.params.get("ExecutionRoleArn"):
        raise invalid(
            "ExecutionRoleArn is required in the endpoint configuration when a production variant "
            "does not specify a ModelName."
        )
    if "ServerlessConfig" in row:
        return
    if "InstanceType" not in row and "InstancePools" not in row:
        raise invalid("InstanceType must be specified for a production variant.")
    if call.cloud.switches.local_disk_volume == "refuse":
        _check_volume(row)
    _check_managed(call, row)


def _check_volume(row: Row) -> None:
    kind = row.get("InstanceType", "")
    if "VolumeSizeInGB" in row and kind.startswith(_NVME):
        raise invalid(
            f"VolumeSizeInGB parameter is not allowed for the selected Instance type {kind}."
        )


def _check_managed(call: AwsCall, row: Row) -> None:
    managed = row.get("ManagedInstanceScaling")
    if not managed or managed.get("Status", "ENABLED") != "ENABLED":
        return
    if "ModelName" in row:
        raise invalid("ManagedInstanceScaling is only supported for inference component endpoints.")
    floor = managed.get("MinInstanceCount", 1)
    if floor == 0 and call.region in call.cloud.switches.min_zero_refused:
        raise invalid(
            "Min instance count needs to be greater than 0 for enabled managed instance scaling"
        )
    if managed.get("MaxInstanceCount", floor) < floor:
        raise invalid("MaxInstanceCount must not be smaller than MinInstanceCount.")


def _complete(row: Row) -> dict[str, Any]:
    weight = {"InitialVariantWeight": row.get("InitialVariantWeight", 1.0)}
    if "ServerlessConfig" in row:
        return {**row, **weight}
    return {**row, **weight, "InitialInstanceCount": row.get("InitialInstanceCount", 1)}


def fleet_of(document: Mapping[str, Any]) -> tuple[Variant, ...]:
    """The variants of a configuration before anything of them exists."""
    rows = [(row, False) for row in document["ProductionVariants"]]
    rows += [(row, True) for row in document.get("ShadowProductionVariants", ())]
    return tuple(_variant(row, shadow=shadow) for row, shadow in rows)


def _variant(row: Row, *, shadow: bool) -> Variant:
    kind = row.get("InstanceType") or next(
        (pool["InstanceType"] for pool in row.get("InstancePools", ())), ""
    )
    managed = row.get("ManagedInstanceScaling") or {}
    scaled = managed.get("Status") == "ENABLED"
    count = row.get("InitialInstanceCount", 1)
    return Variant(
        name=row["VariantName"],
        instance_type=kind,
        model=row.get("ModelName", ""),
        desired=count if kind else 0,
        desired_weight=float(row["InitialVariantWeight"]),
        weight=float(row["InitialVariantWeight"]),
        volume_gb=row.get("VolumeSizeInGB", _volume(kind)) if kind else 0,
        floor=managed.get("MinInstanceCount", 1) if scaled else None,
        shadow=shadow,
        ceiling=managed.get("MaxInstanceCount", count) if scaled else None,
    )


def _volume(kind: str) -> int:
    return 0 if kind.startswith(_NVME) else _DEFAULT_VOLUME_GB


def find_config(place: Place, name: str) -> Thing:
    """The configuration; raises AwsError."""
    if name not in place.configs:
        raise not_found("endpoint configuration", place.arn("endpoint-config", name))
    return place.configs[name]


def describe_config(call: AwsCall) -> Result:
    """A configuration as it was created."""
    found = find_config(call.place, call.params["EndpointConfigName"])
    extra = {"EndpointConfigArn": found.arn, "CreationTime": to_datetime(found.created_at)}
    return {"EnableNetworkIsolation": False, **found.document, **extra}


def list_configs(call: AwsCall) -> Result:
    """Names, ARNs and times."""
    rows = [
        {
            "EndpointConfigName": one.name,
            "EndpointConfigArn": one.arn,
            "CreationTime": to_datetime(one.created_at),
        }
        for one in call.place.configs.values()
        if one.created_at <= call.instant
    ]
    return page(call, rows, "EndpointConfigs", "EndpointConfigName")


def delete_config(call: AwsCall) -> Result:
    """Forget a configuration, also one in use."""
    del call.place.configs[find_config(call.place, call.params["EndpointConfigName"]).name]
    return {}


HANDLERS: Handlers = {
    ("sagemaker", "CreateEndpointConfig"): (create_config, True),
    ("sagemaker", "DescribeEndpointConfig"): (describe_config, False),
    ("sagemaker", "ListEndpointConfigs"): (list_configs, False),
    ("sagemaker", "DeleteEndpointConfig"): (delete_config, True),
}
