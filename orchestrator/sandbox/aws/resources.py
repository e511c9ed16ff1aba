"""What a scalable target scales: the copies of a component or the instances of a variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.place import Place


@dataclass(frozen=True, slots=True)
class Scaled:
    """A target with its resource: a component, or an endpoint with the name of a variant."""

    place: Place
    target: dict[str, Any]
    component: Component | None = None
    endpoint: AwsEndpoint | None = None
    variant: str = ""

    @property
    def resource_id(self) -> str:
        """The resource id of the target."""
        return str(self.target["ResourceId"])

    @property
    def lowest(self) -> int:
        """The minimum capacity."""
        return int(self.target["MinCapacity"])

    @property
    def highest(self) -> int:
        """The maximum capacity."""
        return int(self.target["MaxCapacity"])

    @property
    def desired(self) -> int:
        """Copies or instances wanted now."""
        if self.component is not None:
            return self.component.desired
        rows = self.endpoint.variants if self.endpoint else ()
        return next((one.desired for one in rows if one.name == self.variant), 0)

    @property
    def steady(self) -> bool:
        """Whether nothing is in progress."""
        item = self.component or self.endpoint
        return item is not None and item.status == "InService"


def resource(place: Place, target: dict[str, Any]) -> Scaled | None:
    """The resource of a target, None if there is no such thing now."""
    parts = target["ResourceId"].split("/")
    match parts:
        case ["inference-component", name] if name in place.components:
            return Scaled(place, target, component=place.components[name])
        case ["endpoint", name, "variant", variant] if name in place.endpoints:
            endpoint = place.endpoints[name]
            if any(one.name == variant for one in endpoint.variants):
                return Scaled(place, target, endpoint=endpoint, variant=variant)
    return None
