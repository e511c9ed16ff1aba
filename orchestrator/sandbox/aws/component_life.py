"""The state machine of an inference component: copies up, down, and away.

More copies than the instances hold make the endpoint start instances first; fewer let it release
them some ten minutes later. An instance that is not to be had fails a creation, and lets a change
wait for it.
"""

from __future__ import annotations

from typing import Any

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.containers import container_of, fault
from orchestrator.sandbox.aws.core import Core
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Variant
from orchestrator.sandbox.aws.errors import NO_CAPACITY, NO_ROOM, invalid
from orchestrator.sandbox.aws.fit import ceiling, copies_per_instance, needed
from orchestrator.sandbox.aws.hardware import instance
from orchestrator.sandbox.aws.lifecycle import EndpointLife

RETRY_S = 120
_OWN = ("placed", "unplaced", "loaded", "stopped", "no_room", "gone", "idle", "scale", "failure")


class ComponentLife:
    """Moves inference components from status to status, on request and by timers."""

    def __init__(self, core: Core, endpoints: EndpointLife) -> None:
        self.core = core
        self._endpoints = endpoints

    def start(self, component: Component) -> None:
        """Begin a creation."""
        component.starts += 1
        self._provide(component)

    def set_copies(self, component: Component, copies: int) -> None:
        """Go to another number of copies; none is needed if it has them."""
        component.starts += 1
        if copies == component.current == component.desired:
            return
        self._enter(component, "Updating", desired=copies, failure="")
        if copies > component.current:
            self._provide(component)
        else:
            self.core.arm(component, "stopped", self.core.timing.place_copy(component))

    def reload(self, component: Component) -> None:
        """Bring up the copies again with another specification."""
        component.starts += 1
        self._enter(component, "Updating", failure="")
        self._provide(component)

    def delete(self, component: Component) -> None:
        """Begin to delete; raises AwsError in a transient status."""
        require_steady(component)
        self._enter(component, "Deleting")
        self.core.arm(component, "gone", self.core.timing.place_copy(component))

    # Timers

    def fire(self, component: Component, kind: str) -> None:
        """Run the handler of a timer."""
        getattr(self, f"on_{kind}")(component)

    def on_placed(self, component: Component) -> None:
        """The instances for the copies are there, unless there is no capacity."""
        found = self._under(component)
        if found is None:
            return
        endpoint, variant = found
        count = min(needed(self.core, endpoint, variant), ceiling(variant))
        reason = self._shortage(component, variant) if count > variant.instances else None
        if reason is not None:
            self._wait(component, endpoint, variant, reason)
            return
        count = max(count, variant.instances)
        values = {"current": count, "desired": count, "instances": count}
        endpoint.resize(self.core.now, variant.name, **values)
        component.change(self.core.now, failure="")
        self.core.arm(component, "loaded", self._load_s(component, variant))

    def on_unplaced(self, component: Component) -> None:
        """A creation found no instances."""
        self._enter(component, "Failed")

    def on_loaded(self, component: Component) -> None:
        """The copies serve, unless their container cannot."""
        found = self._under(component)
        plan = self.core.planned(component)
        if found is None or plan == "stuck":
            return
        reason = "The container did not pass its health check." if plan == "fail" else None
        reason = reason or self._fault(component, found[1])
        if reason is not None:
            self._enter(component, "Failed", failure=reason, current=0)
            self._endpoints.release_later(found[0])
            return
        self._enter(component, "InService", current=component.desired)

    def on_stopped(self, component: Component) -> None:
        """Copies are gone; their instances follow."""
        self._enter(component, "InService", current=component.desired)
        found = self.core.endpoint_of(component)
        if found is not None:
            self._endpoints.release_later(found)

    def on_gone(self, component: Component) -> None:
        """The component is not there any more."""
        self.core.timeline.clear(component)
        component.deleted_at = self.core.now
        place = self.core.home(component)
        place.gone_components.append(place.components.pop(component.name))
        found = self.core.endpoint_of(component)
        if found is not None:
            self._endpoints.release_later(found)

    # Inner workings

    def _enter(self, component: Component, status: str, **values: Any) -> None:
        self.core.timeline.clear(component, _OWN)
        now = self.core.now
        component.change(now, status=status, modified_at=now, **values)

    def _provide(self, component: Component) -> None:
        found = self._under(component)
        if found is None:
            return
        endpoint, variant = found
        count = needed(self.core, endpoint, variant)
        roomy = copies_per_instance(component, variant.instance_type) > 0
        if not roomy or count > max(ceiling(variant), variant.instances):
            self.core.arm(component, "no_room", self.core.timing.place_copy(component))
        elif count > variant.instances:
            endpoint.starts += 1
            endpoint.resize(self.core.now, variant.name, desired=count)
            self.core.arm(component, "placed", self._boot_s(component))
        else:
            self.core.arm(component, "loaded", self._load_s(component, variant))

    def on_no_room(self, component: Component) -> None:
        """The instances of the endpoint are too small or too few."""
        status = "Failed" if component.status == "Creating" else "InService"
        component.fall_back(self.core.now)
        self._enter(component, status, failure=NO_ROOM, desired=component.current)

    def _wait(
        self, component: Component, endpoint: AwsEndpoint, variant: Variant, reason: str
    ) -> None:
        component.change(self.core.now, failure=reason)
        if component.status == "Creating":
            self.core.arm(component, "unplaced", self.core.timing.no_capacity(component))
            endpoint.resize(self.core.now, variant.name, desired=variant.current)
            return
        self.core.arm(component, "placed", RETRY_S)

    def _shortage(self, component: Component, variant: Variant) -> str | None:
        if self._plans_no_capacity(component):
            return NO_CAPACITY
        return self.core.shortage(component, variant)

    def _plans_no_capacity(self, component: Component) -> bool:
        key = f"{component.account_id}/{component.region}/{component.name}"
        if self.core.conditions.broken_starts.get(key, [])[:1] != ["capacity"]:
            return False
        return self.core.planned(component) == "capacity"

    def _under(self, component: Component) -> tuple[AwsEndpoint, Variant] | None:
        endpoint = self.core.endpoint_of(component)
        rows = endpoint.variants if endpoint else ()
        variant = next((one for one in rows if one.name == component.variant), None)
        return (endpoint, variant) if endpoint and variant else None

    def _fault(self, component: Component, variant: Variant) -> str | None:
        endpoint = self.core.endpoint_of(component)
        document = endpoint.documents[endpoint.stretch.config] if endpoint else {}
        rows = {row["VariantName"]: row for row in document.get("ProductionVariants", ())}
        ami = rows.get(variant.name, {}).get("InferenceAmiVersion", "")
        machine = instance(variant.instance_type)
        return fault(container_of(self._model(component), machine, ami))

    def _model(self, component: Component) -> dict[str, Any] | None:
        specification = component.document["Specification"]
        if "Container" in specification:
            return {"PrimaryContainer": specification["Container"]}
        known = self.core.home(component).models.get(specification.get("ModelName", ""))
        return known.document if known else None

    def _boot_s(self, component: Component) -> float:
        seconds = self.core.timing.boot(component)
        return seconds if component.startup_s is None else min(seconds, component.startup_s / 2)

    def _load_s(self, component: Component, variant: Variant) -> float:
        if component.startup_s is not None:
            return component.startup_s - self._boot_s(component)
        machine = instance(variant.instance_type)
        environment = container_of(self._model(component), machine).environment
        return self.core.timing.load(component, machine, environment)


def require_steady(component: Component) -> None:
    """Raises AwsError while the component is being created, updated or deleted."""
    if component.status in {"Creating", "Updating", "Deleting"}:
        raise invalid(f'Cannot update in-progress inference component "{component.arn}".')
