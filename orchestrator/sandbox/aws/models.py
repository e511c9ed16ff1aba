"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from __future__ import annotations

import re

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Params, Result
from orchestrator.sandbox.aws.errors import already_existing, invalid, not_found
from orchestrator.sandbox.aws.listing import page
from orchestrator.sandbox.aws.place import Place, Thing
from orchestrator.sandbox.aws.tags import from_list
from orchestrator.sandbox.instants import to_datetime

_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ENVIRONMENT_BYTES = 32 * 1024


def create_model(call: AwsCall) -> Result:
    """Keep a model; nothing is checked that only its container would notice."""
    place, name = call.place, call.params["ModelName"]
    arn = place.arn("model", name)
    if name in place.models:
        raise already_existing("model", arn)
    _check(call.params)
    document = {key: value for key, value in call.params.items() if key != "Tags"}
    tags = from_list(call.params.get("Tags", ()))
    place.models[name] = Thing(name, arn, call.now, document, tags)
    return {"ModelArn": arn}


def _check(params: Params) -> None:
    containers = [*params.get("Containers", ())]
    if "PrimaryContainer" in params:
        containers.append(params["PrimaryContainer"])
    if not containers:
        raise invalid("One of PrimaryContainer or Containers must be provided.")
    if not params.get("ExecutionRoleArn"):
        raise invalid("ExecutionRoleArn must be provided.")
    for container in containers:
        environment = container.get("Environment", {})
        if any(not _KEY.fullmatch(key) for key in environment):
            raise invalid("Environment keys must satisfy the pattern [a-zA-Z_][a-zA-Z0-9_]*")
        size = sum(len(f"{key}{value}".encode()) for key, value in environment.items())
        if size > _ENVIRONMENT_BYTES:
            raise invalid("The environment of a container must not exceed 32 KB.")


def find_model(place: Place, name: str) -> Thing:
    """The model; raises AwsError."""
    if name not in place.models:
        raise not_found("model", place.arn("model", name))
    return place.models[name]


def describe_model(call: AwsCall) -> Result:
    """A model as it was created, its environment in clear."""
    found = find_model(call.place, call.params["ModelName"])
    isolated = {"EnableNetworkIsolation": False}
    times = {"CreationTime": to_datetime(found.created_at), "ModelArn": found.arn}
    return {**isolated, **found.document, **times}


def list_models(call: AwsCall) -> Result:
    """Names, ARNs and times."""
    rows = [
        {
            "ModelName": one.name,
            "ModelArn": one.arn,
            "CreationTime": to_datetime(one.created_at),
        }
        for one in call.place.models.values()
        if one.created_at <= call.instant
    ]
    return page(call, rows, "Models", "ModelName")


def delete_model(call: AwsCall) -> Result:
    """Forget a model, also one in use."""
    del call.place.models[find_model(call.place, call.params["ModelName"]).name]
    return {}


HANDLERS: Handlers = {
    ("sagemaker", "CreateModel"): (create_model, True),
    ("sagemaker", "DescribeModel"): (describe_model, False),
    ("sagemaker", "ListModels"): (list_models, False),
    ("sagemaker", "DeleteModel"): (delete_model, True),
}
