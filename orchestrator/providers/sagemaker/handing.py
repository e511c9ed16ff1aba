"""Says how somebody else makes an endpoint again that we deleted to pause it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain.endpoints import Handover, JsonObject
from orchestrator.providers.sagemaker.kept import config_name, models_of, redacted_names
from orchestrator.providers.sagemaker.naming import KEPT_TAG, PAUSED_TAG, tag_list


def handover(name: str, kept: JsonObject) -> Handover:
    """Return the commands of AWS's own tool, what remains in the account, and what is not kept."""
    config = config_name(kept)
    models = [str(model.get("ModelName")) for model in models_of(kept)]
    return Handover(
        document=kept,
        commands=tuple(_commands(name, config, kept)),
        remains=(f"endpoint configuration {config}", *(f"model {model}" for model in models)),
        lacks=tuple(_lacks(kept)),
    )


def _commands(name: str, config: str, kept: JsonObject) -> Iterator[str]:
    request: dict[str, Any] = {"EndpointName": name, "EndpointConfigName": config}
    tags = tag_list(kept.get("tags") or {})
    yield _command("sagemaker create-endpoint", request | ({"Tags": tags} if tags else {}))
    yield f"aws sagemaker wait endpoint-in-service --endpoint-name {shlex.quote(name)}"
    counts = [_capacity(item) for item in kept.get("variants") or ()]
    if counts:
        yield _command(
            "sagemaker update-endpoint-weights-and-capacities",
            {"EndpointName": name, "DesiredWeightsAndCapacities": counts},
        )
        yield f"aws sagemaker wait endpoint-in-service --endpoint-name {shlex.quote(name)}"
    service = "application-autoscaling"
    for verb, part in (
        ("register-scalable-target", "targets"),
        ("put-scaling-policy", "policies"),
        ("put-scheduled-action", "scheduled_actions"),
    ):
        for item in kept.get(part) or ():
            yield _command(f"{service} {verb}", item)
    arn = (
        "$(aws sagemaker describe-endpoint-config --endpoint-config-name "
        f"{shlex.quote(config)} --query EndpointConfigArn --output text)"
    )
    # So that no service takes it for one that it has paused itself.
    yield (f'aws sagemaker delete-tags --resource-arn "{arn}" --tag-keys {PAUSED_TAG} {KEPT_TAG}')


def _command(verb: str, request: Mapping[str, Any]) -> str:
    return f"aws {verb} --cli-input-json {shlex.quote(json.dumps(request, sort_keys=True))}"


def _capacity(item: Mapping[str, Any]) -> dict[str, Any]:
    pairs = (("DesiredWeight", "weight"), ("DesiredInstanceCount", "count"))
    known = {field: item[key] for field, key in pairs if item.get(key) is not None}
    return {"VariantName": item.get("name"), **known}


def _lacks(kept: JsonObject) -> Iterator[str]:
    for model in models_of(kept):
        for name in redacted_names(model):
            yield f"the value of {name}: it is in model {model.get('ModelName')} alone, keep that"
    if kept.get("policies"):
        for alarm in kept.get("alarms") or ():
            yield f"the link of alarm {alarm}, if it calls a scaling policy: these get new ARNs"
