"""The simulated AWS: accounts, and what each has in each region, in the world's virtual time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from orchestrator.sandbox.aws import dispatch
from orchestrator.sandbox.aws.accounts import REGIONS, AwsAccount
from orchestrator.sandbox.aws.bill import AwsBillLine, Biller
from orchestrator.sandbox.aws.calls import AwsCall, Params, Result
from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.component_life import ComponentLife
from orchestrator.sandbox.aws.core import Core
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.lifecycle import EndpointLife
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.aws.prices import AwsPrices
from orchestrator.sandbox.aws.scaler import KINDS, Scaler
from orchestrator.sandbox.aws.scene import (
    ComponentState,
    Settled,
    build_component,
    build_config,
    build_endpoint,
    role_arn,
    settle_component,
    settle_endpoint,
)
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.aws.timing import Timing
from orchestrator.sandbox.instants import SECOND, to_instant
from orchestrator.sandbox.physics import Conditions
from orchestrator.sandbox.record import Recorder, decode, encode, recorded
from orchestrator.sandbox.timeline import Timeline
from orchestrator.sandbox.traffic import Traffic

NO_TAGS: Mapping[str, str] = {}
REQUIREMENTS: Mapping[str, int] = {
    "MinMemoryRequiredInMb": 1024,
    "NumberOfAcceleratorDevicesRequired": 1,
}


class AwsCloud(Recorder):
    """All of AWS that is simulated; `World.aws`. Nothing happens but by `run_until`.

    Handlers are in `dispatch.HANDLERS`; `call` runs one as the console would. Methods that change
    something raise AwsError where AWS would refuse.
    """

    def __init__(
        self, whole: Recorder, *, now: int, seed: int, switches: AwsSwitches | None = None
    ) -> None:
        super().__init__(whole, "aws")
        self.switches = switches or AwsSwitches()
        self.core = Core(seed, self.switches, Timeline(now), Timing(seed))
        self._build()

    def _build(self) -> None:
        self.endpoints = EndpointLife(self.core)
        self.components = ComponentLife(self.core, self.endpoints)
        self.scaler = Scaler(self.core, self.components, self.endpoints.set_instances)

    # Time

    @property
    def instant(self) -> int:
        """The virtual instant in microseconds since the epoch."""
        return self.core.now

    @property
    def prices(self) -> AwsPrices:
        """What hosting costs."""
        return self.core.prices

    @property
    def accounts(self) -> dict[str, AwsAccount]:
        """The accounts by id."""
        return self.core.accounts

    def run_until(self, instant: int) -> None:
        """Run every event up to an instant."""
        for item, kind in self.core.timeline.due(instant, self.core.items):
            self._fire(item, kind)

    def _fire(self, item: AwsEndpoint | Component | Place, kind: str) -> None:
        """Let the part that a timer belongs to run, then see what comes next."""
        if isinstance(item, Place) or kind in KINDS:
            self.scaler.fire(item, kind)
        elif isinstance(item, AwsEndpoint):
            self.endpoints.fire(item, kind)
        else:
            self.components.fire(item, kind)
        self.scaler.watch(item)

    # Accounts

    @recorded
    def add_account(
        self,
        account_id: str,
        *,
        name: str = "",
        access_keys: Mapping[str, str] | None = None,
        denied: Iterable[str] = (),
        regions: Iterable[str] = REGIONS,
        quotas: Mapping[str, Mapping[str, int]] | None = None,
        default_quota: int = 20,
    ) -> AwsAccount:
        """Register an account; `quotas` counts instances by region and type."""
        made = AwsAccount(
            id=account_id,
            name=name,
            access_keys=dict(access_keys or {}),
            denied=set(denied),
            regions=tuple(regions),
            quotas={one: dict(types) for one, types in (quotas or {}).items()},
            default_quota=default_quota,
        )
        self.accounts[account_id] = made
        return made

    def account_of(self, access_key: str) -> AwsAccount | None:
        """The account that an access key id belongs to."""
        found = (one for one in self.accounts.values() if access_key in one.access_keys)
        return next(found, None)

    @recorded
    def deny(self, account_id: str, *actions: str) -> None:
        """Take the right to IAM actions such as `sagemaker:DeleteEndpoint`; raises KeyError."""
        self.accounts[account_id].denied.update(actions)

    @recorded
    def allow(self, account_id: str, *actions: str) -> None:
        """Give the right to actions back; raises KeyError."""
        self.accounts[account_id].denied.difference_update(actions)

    @recorded
    def set_quota(self, account_id: str, region: str, instance_type: str, limit: int) -> None:
        """Change the quota of instances for endpoint usage; raises KeyError."""
        self.accounts[account_id].set_quota(region, instance_type, limit)

    def place(self, account_id: str, region: str) -> Place:
        """What an account has in a region."""
        return self.core.place(account_id, region)

    # Calls

    def call(
        self,
        account_id: str,
        region: str,
        operation: str,
        service: str = "sagemaker",
        **params: Any,
    ) -> Result:
        """Run an operation now, as somebody in the console would; raises AwsError, KeyError."""
        found = self._call(account_id, region, service, operation, params)
        return dispatch.HANDLERS[service, operation][0](found)

    def change(self, call: AwsCall) -> Result:
        """Run an operation that changes something, and tell the journal; raises AwsError."""
        where = (call.account.id, call.region, call.service, call.operation)
        answer = self.apply(*where, dict(call.params))
        if isinstance(answer, AwsError):
            raise answer
        return answer

    @recorded
    def apply(
        self, account_id: str, region: str, service: str, operation: str, params: Params
    ) -> Result | AwsError:
        """Make a change; returned is a refusal that has left a trace, others are raised."""
        call = self._call(account_id, region, service, operation, params)
        try:
            return dispatch.PLAIN[service, operation][0](call)
        except AwsError as error:
            if not error.kept:
                raise
            return error
        finally:
            self.scaler.review(call.place)

    def _call(
        self, account_id: str, region: str, service: str, operation: str, params: Params
    ) -> AwsCall:
        account = self.accounts[account_id]
        return AwsCall(self, account, region, service, operation, params, self.instant)

    # Endpoints

    def endpoint(self, account_id: str, region: str, name: str) -> AwsEndpoint:
        """The endpoint that is there now; raises KeyError."""
        return self.place(account_id, region).endpoints[name]

    @recorded
    def add_endpoint(
        self,
        account_id: str,
        region: str,
        name: str,
        *,
        instance_type: str = "ml.inf2.xlarge",
        count: int = 1,
        image: str | None = None,
        environment: Mapping[str, str] | None = None,
        volume_gb: int | None = None,
        tags: Mapping[str, str] = NO_TAGS,
        state: Settled | None = "InService",
        traffic: Traffic | None = None,
        startup_s: float | None = None,
        created_at: datetime | None = None,
        config: Mapping[str, Any] | None = None,
        variant: Mapping[str, Any] | None = None,
    ) -> AwsEndpoint | None:
        """Make model, configuration and endpoint of one name; raises AwsError.

        With `state` it is found in that status since `created_at`; None begins to create it, and
        `paused-by-delete` leaves model and configuration alone. `config` and `variant` are further
        parameters of the configuration and of its variant `AllTraffic`.
        """
        call = self._call(account_id, region, "sagemaker", "CreateEndpoint", {})
        build_config(
            call,
            name,
            instance_type=instance_type,
            count=count,
            image=image,
            environment=environment,
            volume_gb=volume_gb,
            tags=tags,
            config=config or {},
            variant=variant or {},
        )
        if state == "paused-by-delete":
            return None
        made = build_endpoint(call, name, tags)
        made.demand.traffic, made.startup_s = traffic, startup_s
        at = self.instant if created_at is None else to_instant(created_at)
        settle_endpoint(self.endpoints, made, state, at)
        self.scaler.review(call.place)
        return made

    @recorded
    def add_component_endpoint(
        self,
        account_id: str,
        region: str,
        name: str,
        *,
        component: str | None = None,
        instance_type: str = "ml.g5.xlarge",
        image: str | None = None,
        environment: Mapping[str, str] | None = None,
        volume_gb: int | None = None,
        tags: Mapping[str, str] = NO_TAGS,
        requirements: Mapping[str, int] = REQUIREMENTS,
        most_instances: int = 2,
        most_copies: int = 2,
        state: ComponentState = "running",
        traffic: Traffic | None = None,
        startup_s: float | None = None,
        created_at: datetime | None = None,
        variant: Mapping[str, Any] | None = None,
    ) -> Component:
        """Make an endpoint from 0 instances on with one component; raises AwsError.

        The component, `{name}-model` unless named, wakes by an alarm and a step policy and sleeps
        by target tracking; with `most_copies` 0 it does neither. It has been `running` or at
        `zero` since `created_at`. Traffic reaches the component.
        """
        hosted = component or f"{name}-model"
        call = self._call(account_id, region, "sagemaker", "CreateEndpoint", {})
        scaled = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": most_instances}
        build_config(
            call,
            name,
            instance_type=instance_type,
            count=1,
            image=image,
            environment=environment,
            volume_gb=volume_gb,
            tags=tags,
            config={"ExecutionRoleArn": role_arn(account_id)},
            variant={"ManagedInstanceScaling": scaled, **(variant or {})},
            hosted=hosted,
        )
        endpoint = build_endpoint(call, name, tags)
        at = self.instant if created_at is None else to_instant(created_at)
        settle_endpoint(self.endpoints, endpoint, "InService", at)
        made = build_component(call, endpoint, hosted, requirements, most_copies)
        made.demand.traffic, made.startup_s = traffic, startup_s
        settle_component(endpoint, made, state, at)
        self.scaler.review(call.place)
        return made

    @recorded
    def force_status(
        self,
        account_id: str,
        region: str,
        name: str,
        status: str,
        *,
        reason: str = "",
        seconds: float | None = None,
    ) -> None:
        """Put an endpoint into any status, for so many seconds or for good; raises KeyError."""
        self.endpoints.force(self.endpoint(account_id, region, name), status, reason, seconds)

    @recorded
    def stamp(self, account_id: str, region: str, name: str, tags: Mapping[str, str]) -> None:
        """Tag an endpoint as AWS's own services do, with keys `aws:…` too; raises KeyError."""
        self.endpoint(account_id, region, name).tags.update(tags)

    # What may go wrong in the cloud itself

    @recorded
    def exhaust_capacity(
        self, region: str, instance_type: str, *, until: datetime | None = None
    ) -> None:
        """No new instance of this type starts until then, or until `restore_capacity`."""
        end = None if until is None else to_instant(until)
        self.core.conditions.exhaust(f"{region}/{instance_type}", end)

    @recorded
    def restore_capacity(self, region: str, instance_type: str) -> None:
        """New instances of this type start again."""
        self.core.conditions.no_capacity_until.pop(f"{region}/{instance_type}", None)

    @recorded
    def break_starts(
        self,
        account_id: str,
        region: str,
        name: str,
        outcome: Literal["fail", "stuck", "capacity"],
        *,
        times: int = 1,
    ) -> None:
        """The next starts or updates of this endpoint or component fail, or never end."""
        key = f"{account_id}/{region}/{name}"
        self.core.conditions.broken_starts.setdefault(key, []).extend([outcome] * times)

    @recorded
    def set_price(
        self, region: str, instance_type: str, usd_per_hour: Decimal, *, at: datetime
    ) -> None:
        """Change a price from a whole second on; `gp2` is the disk, per GB-month."""
        self.prices.set(region, instance_type, usd_per_hour, to_instant(at) // SECOND * SECOND)

    # Money

    def bill(
        self,
        account_id: str,
        region: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[AwsBillLine]:
        """What AWS charges an account between two instants, in one region or in all."""
        low = 0 if start is None else to_instant(start)
        high = self.instant if end is None else min(to_instant(end), self.instant)
        biller = Biller(self.prices, self.switches)
        with self.lock:
            return [
                line
                for place in self.core.places.values()
                if place.account_id == account_id and region in {None, place.region}
                for endpoint in place.all_endpoints()
                for line in biller.lines(endpoint, low, high)
            ]

    # Saving

    def snapshot(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "switches": self.switches.to_dict(),
            "prices": self.prices.snapshot(),
            "conditions": encode(self.core.conditions.snapshot()),
            "accounts": [one.snapshot() for one in self.accounts.values()],
            "places": [one.snapshot() for one in self.core.places.values()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self.switches = AwsSwitches.restore(state["switches"])
        core = Core(self.core.seed, self.switches, self.core.timeline, self.core.timing)
        core.prices = AwsPrices.restore(state["prices"])
        core.conditions = Conditions.restore(decode(state["conditions"]))
        for row in state["accounts"]:
            core.accounts[row["id"]] = AwsAccount.restore(row)
        for row in state["places"]:
            core.add_place(Place.restore(row))
        core.timeline.rearm(core.items.values())
        self.core = core
        self._build()
