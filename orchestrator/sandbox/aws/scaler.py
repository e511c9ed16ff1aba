"""Automatic scaling: alarms, step policies, target tracking, scheduled actions.

An idle component loses its copies after 15 minutes without a request. A request that finds no copy
raises the alarm on NoCapacityInvocationFailures after about a minute; its step policy acts half a
minute later, and again every minute without a copy for as long as the alarm lasts. Target tracking
looks every ten minutes at the requests of the last ten, as in the simulated Hugging Face cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.component_life import ComponentLife
from orchestrator.sandbox.aws.core import Core, Item
from orchestrator.sandbox.aws.demand import Demand
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.aws.resources import Scaled, resource
from orchestrator.sandbox.aws.scalable import COMPONENT, VARIANT, policies_of, suspended, target_of
from orchestrator.sandbox.aws.schedule import next_fire
from orchestrator.sandbox.instants import SECOND, to_datetime
from orchestrator.sandbox.physics import REQUESTS_PER_REPLICA
from orchestrator.sandbox.traffic import BLOCK

Document = dict[str, Any]
KINDS = frozenset({"failure", "alarm", "step", "calm", "idle", "scale"})
NO_CAPACITY_METRIC = "NoCapacityInvocationFailures"
_TRACKING, _STEP = "TargetTrackingScaling", "StepScaling"


class Scaler:
    """Watches components and endpoints that have a scalable target."""

    def __init__(
        self,
        core: Core,
        components: ComponentLife,
        rescale: Callable[[AwsEndpoint, str, int], None],
    ) -> None:
        self.core = core
        self._components = components
        self._rescale = rescale

    # What to look at next

    def review(self, place: Place) -> None:
        """Arm the timers of everything in a place that scales by itself."""
        for one in place.components.values():
            self._watch_component(one)
        for endpoint in place.endpoints.values():
            self._watch_endpoint(endpoint)
        for name in place.scheduled_actions.keys() - place.timers.keys():
            self._schedule(place, name)

    def watch(self, item: Item) -> None:
        """Arm the timers that the state of something calls for."""
        if isinstance(item, Component):
            self._watch_component(item)
        elif isinstance(item, AwsEndpoint):
            self._watch_endpoint(item)

    def _watch_endpoint(self, endpoint: AwsEndpoint) -> None:
        if endpoint.demand.traffic and endpoint.deleted_at is None:
            for found in self._variants(endpoint):
                self._watch_load(endpoint, found, endpoint.demand)

    def _variants(self, endpoint: AwsEndpoint) -> list[Scaled]:
        place = self.core.home(endpoint)
        targets = (
            target_of(place, f"endpoint/{endpoint.name}/variant/{one.name}", VARIANT)
            for one in endpoint.variants
        )
        found = (resource(place, target) for target in targets if target is not None)
        return [one for one in found if one is not None]

    def _watch_component(self, component: Component) -> None:
        if component.deleted_at is not None or component.status == "Deleting":
            return
        found = self._of(component)
        if component.current == 0:
            self._await_request(component)
        elif found is not None:
            self._watch_idle(component, found)
            self._watch_load(component, found, component.demand)

    def _await_request(self, component: Component) -> None:
        arrival = component.demand.next(self.core.now)
        if arrival is not None and "failure" not in component.timers:
            self.core.timeline.set(component, "failure", arrival)

    def _watch_idle(self, component: Component, found: Scaled) -> None:
        due = self._idle_at(component, found)
        if due is not None and "idle" not in component.timers:
            self.core.timeline.set(component, "idle", due)

    def _watch_load(self, item: Item, found: Scaled, demand: Demand) -> None:
        tracked = policies_of(found.place, found.resource_id, _TRACKING)
        if tracked and found.highest > 1 and demand.traffic and "scale" not in item.timers:
            self.core.timeline.set(item, "scale", (self.core.now // BLOCK + 1) * BLOCK)

    def _idle_at(self, component: Component, found: Scaled) -> int | None:
        tracked = policies_of(found.place, found.resource_id, _TRACKING)
        held = suspended(found.target, "DynamicScalingInSuspended")
        if held or not tracked or not found.steady or found.lowest >= component.desired:
            return None
        used = component.demand.last(component.created_at, self.core.now) or 0
        return max(used, component.placement.at) + round(self.core.switches.idle_s * SECOND)

    # Timers

    def fire(self, item: Item, kind: str) -> None:
        """Run the handler of a timer."""
        if isinstance(item, Place):
            self.on_schedule(item, kind)
        elif isinstance(item, AwsEndpoint):
            self.on_variant_scale(item)
        else:
            getattr(self, f"on_{kind}")(item)

    def on_failure(self, component: Component) -> None:
        """A recorded request found no copy."""
        if component.current == 0:
            self.failed(component)

    def failed(self, component: Component) -> None:
        """A request found no copy: alarms look at it within about a minute."""
        component.failed_at = self.core.now
        quiet = not any(row["StateValue"] == "ALARM" for row in self._alarms(component))
        if quiet and "alarm" not in component.timers:
            self.core.arm(component, "alarm", self.core.timing.alarm(component))

    def on_alarm(self, component: Component) -> None:
        """Alarms whose threshold is reached go off."""
        for row in self._alarms(component):
            if self._breached(component, row):
                self._turn(row, "ALARM", "Threshold Crossed: 1 datapoint was over the threshold.")
        if any(row["StateValue"] == "ALARM" for row in self._alarms(component)):
            self.core.arm(component, "step", self.core.timing.react(component))
            self.core.arm(component, "calm", self.core.switches.alarm_tail_s)

    def on_step(self, component: Component) -> None:
        """The step policies of the alarms act, now and every minute that they last."""
        ringing = [row for row in self._alarms(component) if row["StateValue"] == "ALARM"]
        for row in ringing:
            for policy in self._policies(component, row):
                self._step(component, policy)
        if ringing and "step" not in component.timers:
            self.core.arm(component, "step", 60)

    def on_calm(self, component: Component) -> None:
        """The alarms end some minutes after the last failed request."""
        tail = self.core.switches.alarm_tail_s
        ends = (component.failed_at or 0) + round(tail * SECOND)
        if ends > self.core.now:
            self.core.timeline.set(component, "calm", ends)
            return
        self.core.timeline.clear(component, ["step"])
        for row in self._alarms(component):
            silent = row.get("TreatMissingData") == "notBreaching"
            self._turn(row, "OK" if silent else "INSUFFICIENT_DATA", "No datapoints were received.")

    def on_idle(self, component: Component) -> None:
        """Scale in once there has been no request for long enough."""
        found = self._of(component)
        due = None if found is None else self._idle_at(component, found)
        if found is None or due is None:
            return
        if due > self.core.now:
            self.core.timeline.set(component, "idle", due)
        else:
            self._apply(found, found.lowest, "the target tracking policy scaled in")

    def on_scale(self, component: Component) -> None:
        """Set the number of copies by the requests of the last block."""
        found = self._of(component)
        if found is not None and component.current > 0:
            self._track(found, component.demand)

    def on_variant_scale(self, endpoint: AwsEndpoint) -> None:
        """Set the number of instances by the requests of the last block."""
        for found in self._variants(endpoint):
            self._track(found, endpoint.demand)

    def on_schedule(self, place: Place, name: str) -> None:
        """A scheduled action changes the bounds of its target."""
        action = place.scheduled_actions.get(name)
        if action is None:
            return
        target = target_of(place, action["ResourceId"], action["ScalableDimension"])
        if target is not None and not suspended(target, "ScheduledScalingSuspended"):
            target.update(action.get("ScalableTargetAction", {}))
            self.fit(place, target, f"scheduled action {action['ScheduledActionName']}")
        self._schedule(place, name)

    def _schedule(self, place: Place, name: str) -> None:
        at = next_fire(place.scheduled_actions[name], self.core.now)
        if at is not None:
            self.core.timeline.set(place, name, at)

    # Acts

    def fit(self, place: Place, target: Document, cause: str) -> None:
        """Bring a resource within the bounds of its target."""
        found = resource(place, target)
        if found is not None:
            self._apply(found, min(max(found.desired, found.lowest), found.highest), cause)

    def _track(self, found: Scaled, demand: Demand) -> None:
        busy = ceil(demand.count(self.core.now - BLOCK, self.core.now) / REQUESTS_PER_REPLICA)
        wanted = min(max(busy, found.lowest, 1), found.highest)
        which = "In" if wanted < found.desired else "Out"
        if not suspended(found.target, f"DynamicScaling{which}Suspended"):
            self._apply(found, wanted, "the target tracking policy")

    def _step(self, component: Component, policy: Document) -> None:
        found = self._of(component)
        if found is None or suspended(found.target, "DynamicScalingOutSuspended"):
            return
        if component.current > 0:  # requests find a copy again: the metric has no new datapoints
            return
        settings = policy.get("StepScalingPolicyConfiguration", {})
        rows = settings.get("StepAdjustments", ())
        step = int(next((row["ScalingAdjustment"] for row in rows), 0))
        exact = settings.get("AdjustmentType") == "ExactCapacity"
        wanted = min(step if exact else component.desired + step, found.highest)
        if wanted > component.desired:
            self._apply(found, wanted, f"policy {policy['PolicyName']} was triggered")

    def _apply(self, found: Scaled, wanted: int, cause: str) -> None:
        if not found.steady or wanted == found.desired:
            return
        if found.component is not None:
            self._components.set_copies(found.component, wanted)
        elif found.endpoint is not None:
            self._rescale(found.endpoint, found.variant, wanted)
        found.place.activities.append(
            {
                "ActivityId": f"activity-{len(found.place.activities) + 1}",
                "ServiceNamespace": "sagemaker",
                "ResourceId": found.resource_id,
                "ScalableDimension": found.target["ScalableDimension"],
                "Description": f"Setting desired capacity to {wanted}.",
                "Cause": cause,
                "StartTime": to_datetime(self.core.now),
                "StatusCode": "Successful",
            }
        )

    # Looking up

    def _of(self, component: Component) -> Scaled | None:
        place = self.core.home(component)
        target = target_of(place, component.resource_id, COMPONENT)
        return None if target is None else resource(place, target)

    def _alarms(self, component: Component) -> Iterator[Document]:
        for row in self.core.home(component).alarms.values():
            about = {one["Name"]: one["Value"] for one in row.get("Dimensions", ())}
            if (
                row.get("MetricName") == NO_CAPACITY_METRIC
                and row.get("Namespace") == "AWS/SageMaker"
                and about == {"InferenceComponentName": component.name}
            ):
                yield row

    def _policies(self, component: Component, alarm: Document) -> Iterator[Document]:
        if alarm.get("ActionsEnabled", True):
            for policy in policies_of(self.core.home(component), component.resource_id, _STEP):
                if policy["PolicyARN"] in alarm.get("AlarmActions", ()):
                    yield policy

    def _breached(self, component: Component, alarm: Document) -> bool:
        period = alarm.get("Period", 60) * SECOND
        start = (component.failed_at or 0) // period * period
        count = component.no_capacity_failures(start - 1, start + period - 1)
        strict = alarm.get("ComparisonOperator") == "GreaterThanThreshold"
        threshold = alarm.get("Threshold", 1)
        return bool(count > threshold if strict else count >= threshold)

    def _turn(self, alarm: Document, state: str, reason: str) -> None:
        alarm["StateValue"], alarm["StateReason"] = state, reason
        alarm["StateUpdatedTimestamp"] = to_datetime(self.core.now)
