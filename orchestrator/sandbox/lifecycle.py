"""The state machine of an endpoint, with the words of the `huggingface_hub` client.

create, resume -> pending -> initializing -> running; update -> updating -> running or
updateFailed; pause -> paused; idle or asked -> scaledToZero, and a request -> initializing.
Autoscaling looks every ten minutes at the requests of the last ten and goes to
ceil(requests / 1200) replicas within min and max; more replicas take a start-up time, fewer go at
once. Scale to zero counts from the last request, or from the instant of `running` if later.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Literal

from orchestrator.sandbox.endpoint import Endpoint, Spec
from orchestrator.sandbox.instants import MINUTE
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.physics import (
    Conditions,
    after,
    drain_seconds,
    failure_seconds,
    instance_type,
    replica_bounds,
    scheduling_seconds,
    startup_seconds,
    wanted_replicas,
    warmup_seconds,
)
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.timeline import Timeline
from orchestrator.sandbox.traffic import BLOCK

WAITING = "Endpoint waiting to be scheduled"
NO_CAPACITY = "Endpoint waiting for capacity: no {0} instance is available"
Settled = Literal["running", "paused", "scaledToZero", "failed"]
_MESSAGES = {
    "running": "Endpoint is ready",
    "paused": "Endpoint is paused",
    "scaledToZero": "Endpoint is scaled to zero",
    "failed": "Endpoint failed to deploy",
}
_SERVING = frozenset({"running", "updating", "updateFailed"})
_UP = frozenset({"running", "updating", "updateFailed", "initializing", "pending"})


class Lifecycle:
    """Moves endpoints from state to state, on request and by timers."""

    def __init__(
        self, timeline: Timeline[Endpoint], switches: Switches, seed: int, conditions: Conditions
    ) -> None:
        self.timeline = timeline
        self.switches = switches
        self.seed = seed
        self.conditions = conditions

    @property
    def _now(self) -> int:
        return self.timeline.now

    # Requests of people and programs

    def start(self, endpoint: Endpoint, by: str) -> None:
        """Deploy from nothing: pending first."""
        low, _ = replica_bounds(endpoint)
        self._enter(endpoint, "pending", WAITING, ready=0, target=low, **self._stamp(by))
        self._arm(endpoint, "schedule", scheduling_seconds(self.seed, endpoint))

    def pause(self, endpoint: Endpoint, by: str) -> None:
        """Stop every replica; they drain for some seconds while the state already says paused."""
        if endpoint.state == "paused":
            if self.switches.pause_paused == "refuse":
                raise ApiError(400, "Bad Request: Endpoint is already paused")
            return
        ready = endpoint.ready if endpoint.state in _SERVING else 0
        target = endpoint.target if self.switches.pause_keeps_target_replica else 0
        seconds = drain_seconds(self.seed, endpoint)
        self._enter(
            endpoint, "paused", _MESSAGES["paused"], ready=ready, target=target, **self._stamp(by)
        )
        if ready:
            self._arm(endpoint, "drained", seconds)

    def resume(self, endpoint: Endpoint, by: str) -> None:
        """Start a paused or sleeping endpoint; raises ApiError 400 while it is up."""
        if endpoint.state in _UP:
            raise ApiError(400, "Bad Request: Endpoint is already running")
        if endpoint.state == "failed" and not self.switches.resume_from_failed:
            raise ApiError(400, "Bad Request: Endpoint is in a failed state")
        if self.switches.resume_resets_scaling and endpoint.state == "paused":
            spec = deepcopy(endpoint.spec)
            spec["compute"]["scaling"].update(minReplica=1, maxReplica=1, scaleToZeroTimeout=None)
            number = endpoint.configure(spec)
            endpoint.change(self._now, spec=number, serving=number)
        self.start(endpoint, by)

    def scale_to_zero(self, endpoint: Endpoint, by: str) -> None:
        """Put to sleep until the next request; raises ApiError 400 where that is not allowed."""
        if endpoint.state == "scaledToZero":
            return
        if endpoint.state not in _UP:
            raise ApiError(400, f"Bad Request: Endpoint is {endpoint.state}")
        if endpoint.scaling["minReplica"] > 0:
            self._sleep_with_minimum(endpoint)
        self._sleep(endpoint, **self._stamp(by))

    def _sleep_with_minimum(self, endpoint: Endpoint) -> None:
        if self.switches.scale_to_zero_with_min == "refuse":
            raise ApiError(400, "Bad Request: Scaling to zero requires minReplica to be 0")
        if self.switches.scale_to_zero_with_min == "lower_min":
            spec = deepcopy(endpoint.spec)
            spec["compute"]["scaling"]["minReplica"] = 0
            endpoint.change(self._now, spec=endpoint.configure(spec))

    def update(self, endpoint: Endpoint, spec: Spec, by: str) -> None:
        """Apply new settings: rolled out if the container changes, else in place."""
        rolls = self.switches.scaling_change_rolls or _container(spec) != _container(endpoint.spec)
        state = endpoint.state
        endpoint.change(self._now, spec=endpoint.configure(spec), **self._stamp(by))
        if self._starts_afresh(endpoint, rolls=rolls):
            self.start(endpoint, by)
        elif state in {"pending", "initializing"}:
            endpoint.change(self._now, target=replica_bounds(endpoint)[0])
        elif state in _SERVING and rolls:
            self._roll(endpoint)
        elif state == "running":
            self._adjust(endpoint)

    def _starts_afresh(self, endpoint: Endpoint, *, rolls: bool) -> bool:
        match endpoint.state:
            case "pending" | "initializing":
                return rolls
            case "failed":
                return self.switches.update_from_failed
            case "scaledToZero":
                return bool(endpoint.scaling["minReplica"])
        return False

    def _roll(self, endpoint: Endpoint) -> None:
        low, high = replica_bounds(endpoint)
        target = min(max(low, endpoint.ready), high)
        self._enter(endpoint, "updating", "Endpoint waiting for the update", target=target)
        endpoint.starts += 1
        outcome = self.conditions.outcome(endpoint)
        if outcome == "fail":
            self._arm(endpoint, "update_fails", failure_seconds(self.seed, endpoint))
        elif outcome == "ok":
            self._arm(endpoint, "updated", startup_seconds(self.seed, endpoint))

    def delete(self, endpoint: Endpoint) -> None:
        """Remove for good."""
        self.timeline.clear(endpoint)
        endpoint.deleted_at = self._now

    def place(self, endpoint: Endpoint, state: Settled, used_at: int | None) -> None:
        """Put a new endpoint into a state, as of its creation."""
        low, _ = replica_bounds(endpoint)
        target = 0 if state == "scaledToZero" else low
        endpoint.frames[-1] = replace(
            endpoint.frame,
            state=state,
            message=_MESSAGES[state],
            ready=low if state == "running" else 0,
            target=target,
            addressed=state != "failed",
            used_at=used_at,
            error="Container exited with code 1" if state == "failed" else None,
        )
        if state == "running":
            self._watch(endpoint)
        elif state == "scaledToZero":
            self._await_request(endpoint)

    def wake(self, endpoint: Endpoint) -> None:
        """A request has reached a sleeping endpoint."""
        low, _ = replica_bounds(endpoint)
        kind = instance_type(endpoint.spec)
        if self.conditions.out_of_capacity(kind, self._now) is None:
            self._initialize(endpoint, low)
        else:
            self._enter(endpoint, "pending", WAITING, ready=0, target=low)
            self.on_schedule(endpoint)

    # Timers

    def fire(self, endpoint: Endpoint, kind: str) -> None:
        """Run the handler of a timer."""
        getattr(self, f"on_{kind}")(endpoint)

    def on_schedule(self, endpoint: Endpoint) -> None:
        """pending -> initializing, unless there is no capacity."""
        kind = instance_type(endpoint.spec)
        returns = self.conditions.out_of_capacity(kind, self._now)
        if returns is not None:
            self._wait_for_capacity(endpoint, kind, returns)
        else:
            self._initialize(endpoint, endpoint.target)

    def _initialize(self, endpoint: Endpoint, target: int) -> None:
        endpoint.starts += 1
        text = "Endpoint is initializing"
        self._enter(endpoint, "initializing", text, ready=0, target=target)
        outcome = self.conditions.outcome(endpoint)
        if outcome == "fail":
            self._arm(endpoint, "fails", failure_seconds(self.seed, endpoint))
        elif outcome == "ok":
            self._arm(endpoint, "ready", startup_seconds(self.seed, endpoint))

    def _wait_for_capacity(self, endpoint: Endpoint, kind: str, returns: int) -> None:
        message = NO_CAPACITY.format(kind)
        if endpoint.frame.message != message:
            endpoint.change(self._now, message=message)
            patience = self.switches.capacity_patience_s
            if patience is not None:
                self._arm(endpoint, "fails", patience)
        self.timeline.set(
            endpoint, "schedule", after(returns, scheduling_seconds(self.seed, endpoint))
        )

    def retry_schedule(self, endpoint: Endpoint, kind: str) -> None:
        """Capacity of an instance type is back: go on if the endpoint waits for it."""
        if endpoint.frame.message == NO_CAPACITY.format(kind):
            self._arm(endpoint, "schedule", scheduling_seconds(self.seed, endpoint))

    def on_ready(self, endpoint: Endpoint) -> None:
        """initializing -> running."""
        warm = after(self._now, warmup_seconds(self.seed, endpoint))
        frame = endpoint.frame
        self._enter(
            endpoint,
            "running",
            _MESSAGES["running"],
            ready=frame.target,
            addressed=True,
            serving=frame.spec,
            warm_at=warm,
        )
        self._watch(endpoint)

    def on_fails(self, endpoint: Endpoint) -> None:
        """pending or initializing -> failed."""
        text = "Scheduling failure: not enough hardware capacity"
        if endpoint.state == "initializing":
            text = "Container exited with code 1"
        self._enter(endpoint, "failed", _MESSAGES["failed"], ready=0, error=text)

    def on_updated(self, endpoint: Endpoint) -> None:
        """updating -> running, with the new settings."""
        self.on_ready(endpoint)

    def on_update_fails(self, endpoint: Endpoint) -> None:
        """updating -> updateFailed; the old replicas stay."""
        self._enter(
            endpoint,
            "updateFailed",
            "Endpoint failed to update",
            target=endpoint.ready,
            error="Container exited with code 1",
        )

    def on_drained(self, endpoint: Endpoint) -> None:
        """The last replica of a paused endpoint has gone."""
        endpoint.change(self._now, ready=0)

    def on_wake(self, endpoint: Endpoint) -> None:
        """A recorded request arrives while the endpoint sleeps."""
        self.wake(endpoint)

    def on_idle(self, endpoint: Endpoint) -> None:
        """Sleep if the timeout has passed since the last request; else look again then."""
        due = self._idle_at(endpoint)
        if due is None:
            return
        if due <= self._now:
            self._sleep(endpoint)
        else:
            self.timeline.set(endpoint, "idle", due)

    def on_scale(self, endpoint: Endpoint) -> None:
        """Set the number of replicas by the requests of the last block."""
        wanted = wanted_replicas(endpoint, endpoint.request_count(self._now - BLOCK, self._now))
        self._resize(endpoint, wanted)
        self._watch(endpoint)

    def on_grow(self, endpoint: Endpoint) -> None:
        """Further replicas are ready."""
        endpoint.change(self._now, ready=endpoint.target)

    # Inner workings

    def _stamp(self, by: str) -> dict[str, object]:
        return {"updated_at": self._now, "updated_by": by}

    def _enter(self, endpoint: Endpoint, state: str, message: str, **values: object) -> None:
        self.timeline.clear(endpoint)
        fields: dict[str, object] = {"error": None, **values}
        endpoint.change(self._now, state=state, message=message, **fields)

    def _arm(self, endpoint: Endpoint, kind: str, seconds: float) -> None:
        self.timeline.set(endpoint, kind, after(self._now, seconds))

    def _sleep(self, endpoint: Endpoint, **stamp: object) -> None:
        self._enter(endpoint, "scaledToZero", _MESSAGES["scaledToZero"], ready=0, target=0, **stamp)
        self._await_request(endpoint)

    def _await_request(self, endpoint: Endpoint) -> None:
        arrival = endpoint.next_request(self._now)
        if arrival is not None and endpoint.frame.addressed:
            self.timeline.set(endpoint, "wake", arrival)

    def _watch(self, endpoint: Endpoint) -> None:
        """Arm the timers of a running endpoint that its settings call for."""
        idle = self._idle_at(endpoint)
        if idle is not None:
            self.timeline.set(endpoint, "idle", idle)
        low, high = replica_bounds(endpoint)
        if high > low and (endpoint.traffic or endpoint.target > low):
            self.timeline.set(endpoint, "scale", (self._now // BLOCK + 1) * BLOCK)

    def expect(self, endpoint: Endpoint) -> None:
        """Somebody else sends requests from now on: a sleeping endpoint waits for the first."""
        if endpoint.state == "scaledToZero":
            self._await_request(endpoint)

    def watch_load(self, endpoint: Endpoint) -> None:
        """A request that is not in the traffic came in: autoscaling has something to look at."""
        low, high = replica_bounds(endpoint)
        if endpoint.state == "running" and high > low and "scale" not in endpoint.timers:
            self.timeline.set(endpoint, "scale", (self._now // BLOCK + 1) * BLOCK)

    def _idle_at(self, endpoint: Endpoint) -> int | None:
        scaling = endpoint.scaling
        timeout: int | None = scaling["scaleToZeroTimeout"]
        if scaling["minReplica"] > 0 or timeout is None or endpoint.state != "running":
            return None
        used = endpoint.last_active(self._now) or 0
        return max(used, _since(endpoint, "running")) + timeout * MINUTE

    def _adjust(self, endpoint: Endpoint) -> None:
        self.timeline.clear(endpoint, ("idle", "scale"))
        if endpoint.state == "running":
            low, high = replica_bounds(endpoint)
            self._resize(endpoint, min(max(low, endpoint.target), high))
            self._watch(endpoint)

    def _resize(self, endpoint: Endpoint, wanted: int) -> None:
        if wanted < endpoint.target:
            self.timeline.clear(endpoint, ("grow",))
            endpoint.change(self._now, ready=min(wanted, endpoint.ready), target=wanted)
        kind = instance_type(endpoint.spec)
        if wanted > endpoint.ready and "grow" not in endpoint.timers:
            if self.conditions.out_of_capacity(kind, self._now) is not None:
                endpoint.change(self._now, target=endpoint.ready)
                return
            endpoint.change(self._now, target=wanted)
            self._arm(endpoint, "grow", startup_seconds(self.seed, endpoint))


def _since(endpoint: Endpoint, state: str) -> int:
    """The instant at which the endpoint entered the state that it is in."""
    at = endpoint.frame.at
    for frame in reversed(endpoint.frames):
        if frame.state != state:
            break
        at = frame.at
    return at


def _container(spec: Spec) -> tuple[object, ...]:
    """The settings whose change needs new replicas."""
    compute = spec["compute"]
    hardware = [compute[key] for key in ("accelerator", "instanceType", "instanceSize")]
    return (*hardware, spec["model"], spec.get("customRouter"))
