"""The documented examples as specs, with parts of them changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.endpoints import EndpointSpec, Hardware, Scaling
from orchestrator.providers.base import SpecError
from orchestrator.providers.sagemaker.specs import Place, check

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TGI_CASE = "llama-3-70b-inf2"
VLLM_CASE = "llama-3-70b-inf2-vllm"
ROLE = "arn:aws:iam::123456789012:role/sagemaker-execution"
PLACE = Place("123456789012", "us-east-1")
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TGI_NEURONX = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.22-neuronx-py310"
VLLM_NEURONX = f"{REGISTRY}/huggingface-vllm-inference-neuronx:0.11.0-optimum0.4.4-neuronx-py310"
TGI = f"{REGISTRY}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"


def hardware(instance_type: str, region: str = "us-east-1") -> Hardware:
    return Hardware("sagemaker", region, instance_type, "x1")


def example(name: str) -> EndpointSpec:
    """Read a body of POST /v1/endpoints as the API does."""
    body: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    assert set(body) <= {
        *("account", "name", "repository", "hardware", "scaling", "image", "environment"),
        *("secrets", "options", "labels", "reason"),
    }
    assert all(value.startswith(("env:", "file:")) for value in body["secrets"].values())
    return EndpointSpec(
        name=body["name"],
        repository=body["repository"],
        hardware=Hardware(**body["hardware"]),
        scaling=Scaling(**body["scaling"]),
        image=body["image"],
        environment=body["environment"],
        secrets=dict.fromkeys(body["secrets"], "resolved-by-the-server"),
        options=body["options"],
    )


def spec(base: str = TGI_CASE, **changes: Any) -> EndpointSpec:
    """An example with other values: `env_X` and `opt_x` change one entry, None removes it."""
    found = example(base)
    image = TGI_NEURONX if base == TGI_CASE else VLLM_NEURONX
    environment, options = dict(found.environment), dict(found.options)
    others: dict[str, Any] = {"secrets": {}, "image": {"uri": image}}
    for name, value in changes.items():
        kind, _, key = name.partition("_")
        store = {"env": environment, "opt": options}.get(kind)
        if store is None:
            others[name] = value
        elif value is None:
            store.pop(key, None)
        else:
            store[key] = value
    return replace(found, **({"environment": environment, "options": options} | others))


def refusal(given: EndpointSpec, place: Place = PLACE) -> SpecError:
    with pytest.raises(SpecError) as caught:
        check(place, given, {})
    assert caught.value.remedy
    return caught.value


def warnings(given: EndpointSpec) -> str:
    return "\n".join(check(PLACE, given, {}))
