"""The simulated cloud: virtual time, endpoints, and everything that may be done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from orchestrator.sandbox.accounts import ALL_SCOPES, Accounts, Namespace, Role, User
from orchestrator.sandbox.aws.cloud import AwsCloud
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.calls import CallLog
from orchestrator.sandbox.catalog import Catalog
from orchestrator.sandbox.endpoint import Endpoint, Frame, Poller, Spec
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.instants import SECOND, hex_id, to_datetime, to_instant
from orchestrator.sandbox.ledger import BillLine, Ledger
from orchestrator.sandbox.lifecycle import WAITING, Lifecycle, Settled
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.physics import Conditions
from orchestrator.sandbox.proxy import DataPlaneAnswer, answer
from orchestrator.sandbox.quotas import Quotas
from orchestrator.sandbox.rate_limit import FixedWindow, ManagementLimit
from orchestrator.sandbox.record import Recorder, recorded
from orchestrator.sandbox.rendering import Renderer
from orchestrator.sandbox.schema import check_rules, merged, new_spec
from orchestrator.sandbox.shelf import Shelf
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.timeline import Timeline
from orchestrator.sandbox.traffic import Traffic

FORMAT = 1
Verb = Literal["pause", "resume", "scale-to-zero", "delete", "update"]


class World(Recorder):
    """A cloud in virtual time; the same seed and calls give the same world.

    Nothing happens between calls: `advance_to` runs every event that is due. Methods that change
    something raise ApiError where the cloud would refuse. `lock` guards use from several threads.
    `aws` is a second cloud in the same time.
    """

    def __init__(
        self,
        *,
        start: datetime,
        seed: int = 0,
        switches: Switches | None = None,
        aws_switches: AwsSwitches | None = None,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.start = start
        self.switches = switches or Switches()
        self.faults = FaultPlan(seed)
        self.calls = CallLog()
        self.catalog = Catalog()
        self.accounts = Accounts()
        self.shelf = Shelf()
        self.whoami_limit = FixedWindow(self.switches.whoami_per_5_minutes)
        self.management_limit = ManagementLimit()
        self._build(to_instant(start), Conditions(), aws_switches)

    def _build(
        self, now: int, conditions: Conditions, aws_switches: AwsSwitches | None = None
    ) -> None:
        self.timeline: Timeline[Endpoint] = Timeline(now)
        self.conditions = conditions
        self.lifecycle = Lifecycle(self.timeline, self.switches, self.seed, conditions)
        self.renderer = Renderer(self.switches, self.seed)
        self.ledger = Ledger(self.catalog, self.switches)
        self.quotas = Quotas(self.accounts, self.catalog, self.shelf, self.switches)
        self.aws = AwsCloud(self, now=now, seed=self.seed, switches=aws_switches)

    # Time

    @property
    def now(self) -> datetime:
        """The virtual instant."""
        return to_datetime(self.timeline.now)

    @property
    def instant(self) -> int:
        """The virtual instant in microseconds since the epoch."""
        return self.timeline.now

    def advance_to(self, instant: datetime) -> None:
        """Run everything that happens up to then; an instant in the past changes nothing."""
        with self.lock:
            for endpoint, kind in self.timeline.due(to_instant(instant), self.shelf.by_number):
                self.lifecycle.fire(endpoint, kind)
            self.aws.run_until(to_instant(instant))

    # People and places

    @recorded
    def add_user(
        self,
        name: str,
        *,
        token: str,
        role: Role = "write",
        orgs: Sequence[str] = (),
        can_pay: bool = True,
        scopes: Sequence[str] = ALL_SCOPES,
        org_role: str = "admin",
    ) -> User:
        """Register a person with one token; `scopes` counts for a fine-grained token only."""
        return self.accounts.add_user(
            name, token, role, orgs, scopes, can_pay=can_pay, org_role=org_role
        )

    @recorded
    def add_namespace(
        self,
        name: str,
        *,
        kind: Literal["user", "org"] = "user",
        quotas: Mapping[str, int] | None = None,
    ) -> Namespace:
        """Register a namespace; `quotas` limits accelerators by instance type, None is no limit."""
        return self.accounts.add_namespace(name, kind, quotas)

    # Endpoints

    def endpoint(self, namespace: str, name: str) -> Endpoint:
        """The endpoint; raises ApiError 404."""
        found = self.shelf.find(namespace, name)
        if found is None:
            raise ApiError(404, f"Endpoint {namespace}/{name} not found")
        return found

    @recorded
    def add_endpoint(
        self,
        namespace: str,
        payload: Mapping[str, Any],
        *,
        created_by: str = "console-user",
        traffic: Traffic | None = None,
        startup_s: float | None = None,
        state: Settled | None = None,
        created_at: datetime | None = None,
        used_at: datetime | None = None,
    ) -> Endpoint:
        """Create an endpoint as a person would; raises ApiError.

        With `state` it is found in that state, as it has been since `created_at`; `used_at` is its
        last request; `startup_s` fixes its start-up time in seconds.
        """
        spec = new_spec(payload, self.switches)
        hardware = check_rules(spec, self.catalog, self.switches)
        self.accounts.namespaces.setdefault(namespace, Namespace(namespace))
        if self.shelf.find(namespace, spec["name"]) is not None:
            raise ApiError(409, f"Endpoint {namespace}/{spec['name']} already exists")
        if state != "paused":
            self.quotas.require(namespace, spec, hardware)
        at = self.instant if created_at is None else to_instant(created_at)
        endpoint = self._new(namespace, spec, created_by, at)
        endpoint.traffic, endpoint.startup_s = traffic, startup_s
        self.shelf.add(endpoint)
        if state is None:
            self.lifecycle.start(endpoint, created_by)
        else:
            self.lifecycle.place(endpoint, state, None if used_at is None else to_instant(used_at))
        return endpoint

    def _new(self, namespace: str, spec: Spec, by: str, at: int) -> Endpoint:
        number = self.shelf.next_number()
        return Endpoint(
            id=hex_id(self.seed, "endpoint", number),
            number=number,
            namespace=namespace,
            name=spec["name"],
            created_at=at,
            created_by=by,
            specs=[spec],
            frames=[Frame(at, "pending", WAITING, 0, 0, 0, 0, at, by)],
        )

    @recorded
    def act(
        self,
        namespace: str,
        name: str,
        verb: Verb,
        *,
        by: str = "console-user",
        payload: Mapping[str, Any] | None = None,
    ) -> Endpoint:
        """Pause, resume, put to sleep, delete or update (with a payload); raises ApiError."""
        endpoint = self.endpoint(namespace, name)
        match verb:
            case "pause":
                self.lifecycle.pause(endpoint, by)
            case "resume":
                self._resume(endpoint, by)
            case "scale-to-zero":
                self.lifecycle.scale_to_zero(endpoint, by)
            case "update":
                self._update(endpoint, payload or {}, by)
            case "delete":
                self.lifecycle.delete(endpoint)
                self.shelf.remove(endpoint)
                self.renderer.forget(endpoint)
        return endpoint

    def _resume(self, endpoint: Endpoint, by: str) -> None:
        if endpoint.state in {"paused", "failed"}:
            hardware = self.catalog.offer(endpoint.hardware_id)
            self.quotas.require(endpoint.namespace, endpoint.spec, hardware, endpoint)
        self.lifecycle.resume(endpoint, by)

    def _update(self, endpoint: Endpoint, payload: Mapping[str, Any], by: str) -> None:
        spec = merged(endpoint.spec, payload)
        hardware = check_rules(spec, self.catalog, self.switches)
        if spec["compute"]["accelerator"] != endpoint.spec["compute"]["accelerator"]:
            raise ApiError(400, "Bad Request: the accelerator of an endpoint cannot be changed")
        if endpoint.state != "paused":
            self.quotas.require(endpoint.namespace, spec, hardware, endpoint)
        self.lifecycle.update(endpoint, spec, by)

    @recorded
    def invoke(
        self, namespace: str, name: str, *, hold_s: float = 0.0, health: bool = False
    ) -> DataPlaneAnswer:
        """One inference request; `hold_s` is the scale-up timeout that the client sends.

        A request to the health route counts as activity if the switch says so; raises ApiError 404.
        """
        counts = not health or self.switches.health_counts_as_activity
        endpoint = self.endpoint(namespace, name)
        return answer(endpoint, self.lifecycle, hold_s=hold_s, counts=counts)

    @recorded
    def add_poller(
        self,
        namespace: str,
        name: str,
        every_s: int,
        *,
        shows: bool = True,
        counted: bool = False,
    ) -> None:
        """Let a monitor ask an endpoint's health route from now on; raises ApiError 404.

        The cloud takes each probe for activity. What no document says: whether it moves the time
        of last use (`shows`) and is among the counted requests (`counted`).
        """
        endpoint = self.endpoint(namespace, name)
        endpoint.poller = Poller(every_s * SECOND, self.instant, shows, counted)
        self.renderer.forget(endpoint)
        self.lifecycle.expect(endpoint)

    # What may go wrong in the cloud itself

    @recorded
    def exhaust_capacity(self, instance_type: str, *, until: datetime | None = None) -> None:
        """No new replica of this type starts until then, or until `restore_capacity`."""
        self.conditions.exhaust(instance_type, None if until is None else to_instant(until))

    @recorded
    def restore_capacity(self, instance_type: str) -> None:
        """New replicas of this type start again, also those that wait."""
        self.conditions.no_capacity_until.pop(instance_type, None)
        for endpoint in self.shelf.by_number.values():
            if "schedule" in endpoint.timers and endpoint.deleted_at is None:
                self.lifecycle.retry_schedule(endpoint, instance_type)

    @recorded
    def break_starts(
        self, namespace: str, name: str, outcome: Literal["fail", "stuck"], *, times: int = 1
    ) -> None:
        """The next starts or updates of this endpoint fail, or never end."""
        key = f"{namespace}/{name}"
        self.conditions.broken_starts.setdefault(key, []).extend([outcome] * times)

    @recorded
    def set_payment(self, namespace: str, *, can_pay: bool) -> None:
        """Whether the namespace can pay for new replicas; raises KeyError."""
        self.accounts.namespaces[namespace].can_pay = can_pay

    @recorded
    def set_price(self, hardware_id: str, usd_per_hour: Decimal, *, at: datetime) -> None:
        """Change a price from an instant on, whole seconds; raises KeyError."""
        second = to_instant(at) // SECOND * SECOND
        self.catalog.set_price(hardware_id, usd_per_hour, second)

    @recorded
    def set_hardware_status(self, hardware_id: str, status: str) -> None:
        """Change the availability word of an offer; raises KeyError."""
        self.catalog.set_status(hardware_id, status)

    @recorded
    def skew_clock(self, ahead: timedelta) -> None:
        """The cloud's clock, as the `Date` header tells it, is so much ahead of the caller's."""
        self.renderer.skew = ahead // timedelta(microseconds=1)

    # Money

    def bill(
        self,
        namespace: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[BillLine]:
        """What the cloud charges: all of it, or the part between two instants."""
        low = None if start is None else to_instant(start)
        high = None if end is None else to_instant(end)
        with self.lock:
            return [
                line
                for endpoint in self.shelf.everything(namespace)
                for line in self.ledger.lines(endpoint, self.instant, low, high)
            ]

    # Saving

    def snapshot(self) -> dict[str, Any]:
        """The whole world as JSON values; faults and the call log are not part of it."""
        with self.lock:
            return {
                "format": FORMAT,
                "start": self.start.isoformat(),
                "seed": self.seed,
                "now": self.instant,
                "skew": self.renderer.skew,
                "switches": self.switches.to_dict(),
                "catalog": self.catalog.snapshot(),
                "accounts": self.accounts.snapshot(),
                "conditions": self.conditions.snapshot(),
                "endpoints": [found.snapshot() for found in self.shelf.by_number.values()],
                "aws": self.aws.snapshot(),
            }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> World:
        """The world that `snapshot` described; raises ValueError for another format."""
        if state["format"] != FORMAT:
            raise ValueError(f"a snapshot of format {state['format']} cannot be read")
        world = cls(
            start=datetime.fromisoformat(state["start"]),
            seed=state["seed"],
            switches=Switches(**state["switches"]),
        )
        world.catalog.restore(state["catalog"])
        world.accounts = Accounts.restore(state["accounts"])
        world._build(state["now"], Conditions.restore(state["conditions"]))
        world.renderer.skew = state["skew"]
        for row in state["endpoints"]:
            world.shelf.add(Endpoint.restore(row))
        world.timeline.rearm(world.shelf.by_number.values())
        if "aws" in state:
            world.aws.restore(state["aws"])
        return world
