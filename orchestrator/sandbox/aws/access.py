"""Who may do what: the IAM action of an operation, its resource, and the words of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.sandbox.aws.errors import AwsError

_PREFIXES = {
    "sagemaker-runtime": "sagemaker",
    "resourcegroupstaggingapi": "tag",
    "service-quotas": "servicequotas",
}
_KINDS = {
    "EndpointName": "endpoint",
    "InferenceComponentName": "inference-component",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
}
_ARNS = ("ResourceArn", "ResourceARN", "RoleArn")
_FREE = frozenset({"sts:GetCallerIdentity"})


def action(service: str, operation: str) -> str:
    """The IAM action that an operation needs, such as `sagemaker:InvokeEndpoint`."""
    return f"{_PREFIXES.get(service, service)}:{operation}"


def resource(region: str, account_id: str, params: Mapping[str, Any]) -> str:
    """The ARN that parameters name, `*` if they name none."""
    for key in _ARNS:
        if isinstance(params.get(key), str):
            return str(params[key])
    for key, kind in _KINDS.items():
        if isinstance(params.get(key), str):
            return f"arn:aws:sagemaker:{region}:{account_id}:{kind}/{params[key].lower()}"
    return "*"


def denied(principal: str, needed: str, on: str, *, query: bool) -> AwsError:
    """The refusal of an action that no policy allows."""
    text = (
        f"User: {principal} is not authorized to perform: {needed} on resource: {on} "
        f"because no identity-based policy allows the {needed} action"
    )
    return AwsError("AccessDenied", text, 403) if query else AwsError("AccessDeniedException", text)


def is_free(needed: str) -> bool:
    """Whether every valid key may do it, whatever its policies say."""
    return needed in _FREE


def endpoint_name(params: Mapping[str, Any]) -> str:
    """The endpoint that parameters are about, empty if they name none."""
    for key in ("EndpointName", "ResourceId", "ResourceArn", "EndpointNameEquals"):
        text = params.get(key)
        if not isinstance(text, str):
            continue
        if key.startswith("EndpointName"):
            return text
        name = text.rpartition(":")[2]
        if name.startswith("endpoint/"):
            return name.split("/")[1]
    return ""


def unknown_key(*, query: bool) -> AwsError:
    """The refusal of a key that nobody has."""
    text = "The security token included in the request is invalid."
    if query:
        return AwsError("InvalidClientTokenId", text, 403)
    return AwsError("UnrecognizedClientException", text)


def unknown_operation(named: str, *, query: bool) -> AwsError:
    """The refusal of an operation that the service, or its simulation, does not have."""
    if query:
        return AwsError("InvalidAction", f"Could not find operation {named}")
    return AwsError("UnknownOperationException", f"Unknown operation {named}", 404)
