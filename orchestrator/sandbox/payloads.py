"""Create payloads as the Python client sends them, for tests and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.sandbox.catalog import Catalog


def endpoint_payload(
    name: str,
    *,
    repository: str = "meta-llama/Llama-3.1-8B-Instruct",
    hardware: str = "aws-us-east-1-nvidia-l4-x1",
    min_replica: int = 1,
    max_replica: int = 1,
    timeout_minutes: int | None = None,
    tags: Sequence[str] = (),
    access: str = "authenticated",
    image: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A payload for this hardware (an id of the catalog); raises KeyError for an unknown one."""
    offer = Catalog().offer(hardware)
    scaling = {
        "minReplica": min_replica,
        "maxReplica": max_replica,
        "scaleToZeroTimeout": timeout_minutes,
    }
    return {
        "name": name,
        "type": access,
        "provider": {"vendor": offer.vendor, "region": offer.region},
        "compute": {
            "accelerator": offer.accelerator,
            "instanceType": offer.instance_type,
            "instanceSize": offer.size,
            "scaling": scaling,
        },
        "model": {
            "repository": repository,
            "framework": "pytorch",
            "revision": None,
            "task": "text-generation",
            "image": image or {"huggingface": {}},
        },
        "tags": list(tags),
    }
