"""What all moving parts of the simulated AWS share: time, conditions, and everything there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from orchestrator.sandbox.aws.accounts import AwsAccount
from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Variant
from orchestrator.sandbox.aws.errors import NO_CAPACITY, over_quota
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.aws.prices import AwsPrices
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.aws.timing import Timing
from orchestrator.sandbox.physics import Conditions, after
from orchestrator.sandbox.timeline import Timeline

Item = AwsEndpoint | Component | Place


@dataclass(slots=True)
class Core:
    """Accounts, places and their contents; `items` has everything with timers, by number."""

    seed: int
    switches: AwsSwitches
    timeline: Timeline[Item]
    timing: Timing
    accounts: dict[str, AwsAccount] = field(default_factory=dict)
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    prices: AwsPrices = field(default_factory=AwsPrices)
    conditions: Conditions = field(default_factory=Conditions)

    @property
    def now(self) -> int:
        """The present instant in microseconds since the epoch."""
        return self.timeline.now

    def arm(self, item: Item, kind: str, seconds: float) -> None:
        """Let a timer go off after so many seconds."""
        self.timeline.set(item, kind, after(self.now, seconds))

    def next_number(self) -> int:
        """A number for a new item; none is used twice."""
        return next(number for number in count(len(self.items) + 1) if number not in self.items)

    def place(self, account_id: str, region: str) -> Place:
        """What an account has in a region; made when it is first asked for."""
        key = (account_id, region)
        if key not in self.places:
            place = Place(account_id, region, self.next_number())
            self.places[key] = self.items[place.number] = place
        return self.places[key]

    def add_place(self, place: Place) -> None:
        """Take in a place that was read back, with all that is in it."""
        self.places[place.account_id, place.region] = self.items[place.number] = place
        self.items.update((one.number, one) for one in place.all_endpoints())
        self.items.update((one.number, one) for one in place.all_components())

    def home(self, item: AwsEndpoint | Component) -> Place:
        """The place of an endpoint or a component."""
        return self.place(item.account_id, item.region)

    def endpoint_of(self, component: Component) -> AwsEndpoint | None:
        """The endpoint under a component, None once it is gone."""
        found = self.items.get(component.endpoint_number)
        return found if isinstance(found, AwsEndpoint) and found.deleted_at is None else None

    def lacks_capacity(self, region: str, instance_type: str) -> bool:
        """Whether no new instance of this type starts now."""
        key = f"{region}/{instance_type}"
        return self.conditions.out_of_capacity(key, self.now) is not None

    def shortage(self, item: AwsEndpoint | Component, variant: Variant) -> str | None:
        """Why no further instances of a variant start now, None if they do."""
        kind, where = variant.instance_type, (item.account_id, item.region)
        if self.lacks_capacity(item.region, kind):
            return NO_CAPACITY
        limit = self.accounts[item.account_id].quota(item.region, kind)
        used = self.instances_used(*where, kind)
        return over_quota(kind, limit, used - 1, 1).message if used > limit else None

    def planned(self, item: AwsEndpoint | Component) -> str:
        """How the start that begins now ends: `ok`, `fail`, `stuck` or `capacity`."""
        key = f"{item.account_id}/{item.region}/{item.name}"
        plan = self.conditions.broken_starts.get(key, [])
        return plan.pop(0) if plan else "ok"

    def instances_used(self, account_id: str, region: str, instance_type: str) -> int:
        """Instances that count against the quota: all that are there or asked for."""
        return sum(
            max(one.instances, one.desired)
            for endpoint in self.place(account_id, region).endpoints.values()
            if endpoint.status != "Failed"
            for one in fleets(endpoint)
            if one.instance_type == instance_type
        )


def fleets(endpoint: AwsEndpoint) -> Iterator[Variant]:
    """All variants, those of an update under way too."""
    yield from endpoint.stretch.variants
    yield from endpoint.stretch.incoming
