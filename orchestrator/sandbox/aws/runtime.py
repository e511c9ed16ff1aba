"""InvokeEndpoint of the SageMaker runtime."""

from __future__ import annotations

import json

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import SERVING, AwsEndpoint
from orchestrator.sandbox.aws.errors import ASLEEP, AwsError

_CODE = "ValidationError"


def invoke_endpoint(call: AwsCall) -> Result:
    """One request; it counts as traffic, also where no copy can answer it."""
    name = call.params["EndpointName"]
    endpoint = call.place.endpoints.get(name)
    if endpoint is None or endpoint.status not in SERVING:
        raise AwsError(_CODE, f"Endpoint {name} of account {call.account.id} not found.")
    wanted = call.params.get("InferenceComponentName")
    if endpoint.hosts_components:
        return _to_component(call, endpoint, wanted)
    if wanted:
        raise AwsError(_CODE, "Inference Component Name header is not allowed for this endpoint.")
    endpoint.demand.touch(call.now)
    variant = call.params.get("TargetVariant") or endpoint.variants[0].name
    return _answer(name, variant)


def _to_component(call: AwsCall, endpoint: AwsEndpoint, wanted: str | None) -> Result:
    if not wanted:
        text = "Inference Component Name header is required for endpoints to which you plan to "
        raise AwsError(_CODE, f"{text}deploy inference components.")
    component = call.place.components.get(wanted)
    if component is None or component.endpoint_number != endpoint.number:
        raise AwsError(_CODE, f"Inference Component {wanted} not found.")
    component.demand.touch(call.now)
    if component.current == 0:
        _refuse(call, component)
    return _answer(component.name, component.variant)


def _refuse(call: AwsCall, component: Component) -> None:
    call.cloud.scaler.failed(component)
    raise AwsError(_CODE, ASLEEP, kept=True)


def _answer(name: str, variant: str) -> Result:
    body = json.dumps({"generated_text": f"A simulated answer of {name}."}).encode()
    return {"Body": body, "ContentType": "application/json", "InvokedProductionVariant": variant}


HANDLERS: Handlers = {("sagemaker-runtime", "InvokeEndpoint"): (invoke_endpoint, True)}
