"""Fields of an answer that this driver does not know, so that nobody relies on a part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session

from orchestrator.providers.sagemaker.kept import CONFIG_FIELDS, MODEL_FIELDS

# What each answer may have at its top; deeper down all that botocore parses is copied as it is.
_HANDLED = {
    "DescribeEndpoint": frozenset(
        {
            "EndpointName",
            "EndpointArn",
            "EndpointConfigName",
            "ProductionVariants",
            "ShadowProductionVariants",
            "DataCaptureConfig",
            "EndpointStatus",
            "FailureReason",
            "CreationTime",
            "LastModifiedTime",
            "LastDeploymentConfig",
            "AsyncInferenceConfig",
            "PendingDeploymentSummary",
            "ExplainerConfig",
            "MetricsConfig",
        }
    ),
    "DescribeEndpointConfig": frozenset({*CONFIG_FIELDS, "EndpointConfigArn", "CreationTime"}),
    "DescribeModel": frozenset(
        {*MODEL_FIELDS, "ModelArn", "CreationTime", "DeploymentRecommendation"}
    ),
}


def unknown_fields(operation: str, raw: Mapping[str, Any]) -> list[str]:
    """Return the paths of fields in a raw JSON answer that would be lost on the way."""
    handled = _HANDLED[operation]
    top = [name for name, value in raw.items() if name not in handled and value is not None]
    shape = _model().operation_model(operation).output_shape
    deep = [path for name in raw if name in handled for path in _below(raw[name], shape, name)]
    return sorted({*top, *deep})


def _below(value: object, parent: Any, name: str) -> Iterator[str]:
    """Yield what botocore does not know at a member and below it."""
    if name not in parent.members:
        yield name
        return
    yield from _walk(value, parent.members[name], name)


def _walk(value: object, shape: Any, at: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, item in value.items():
            if item is None:
                continue
            if name not in shape.members:
                yield f"{at}.{name}"
            else:
                yield from _walk(item, shape.members[name], f"{at}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from _walk(item, shape.member, at)


@cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")
