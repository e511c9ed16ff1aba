"""What the API would refuse of a spec, found out before a call is made."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, JsonObject, Scaling
from orchestrator.providers.base import SpecError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
REGISTRY_SECRETS = "credentials"


def check_spec(spec: EndpointSpec | EndpointChange) -> tuple[str, ...]:
    """Return warnings, of which there are none here. Raises SpecError."""
    if isinstance(spec, EndpointSpec) and NAME.fullmatch(spec.name) is None:
        raise SpecError(
            "name",
            "A name has 1 to 32 small letters, digits and inner hyphens.",
            remedy="Write it like search-prod.",
        )
    if spec.options:
        raise SpecError(
            "options",
            "Hugging Face endpoints have no further options.",
            remedy="Leave options out.",
        )
    if spec.hardware is not None and not spec.hardware.accelerator:
        raise SpecError(
            "hardware.accelerator",
            f"{spec.hardware.key} needs its accelerator, which the price list does not tell.",
            remedy="Give cpu, gpu or neuron, as GET /v1/hardware lists it.",
        )
    if spec.scaling is not None:
        _check_scaling(spec.scaling)
    if spec.image:
        _check_image(spec.image)
    return ()


def _check_scaling(scaling: Scaling) -> None:
    if scaling.scale_to_zero_minutes is not None and scaling.min_replicas > 0:
        raise SpecError(
            "scaling.scale_to_zero_minutes",
            "An idle timer needs min_replicas 0.",
            remedy="Set min_replicas to 0, or leave the timer out.",
        )


def _check_image(image: JsonObject) -> None:
    if len(image) != 1:
        raise SpecError(
            "image",
            "An image has one kind, such as huggingface or custom.",
            remedy='Write it like {"huggingface": {}}.',
        )
    if any(isinstance(part, Mapping) and REGISTRY_SECRETS in part for part in image.values()):
        raise SpecError(
            "image",
            "Registry credentials are not accepted here: they would be stored in the clear.",
            remedy="Use a public image, or set the credentials in the cloud's own console.",
        )
