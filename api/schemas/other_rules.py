"""What would have been under other rules, and what shadow rules would have done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Answer, AskedInstant, Body, Instant, Name
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.api.schemas.lifetimes import Calendars, Ttl, Zone
from orchestrator.api.schemas.money import Basis, Money, money
from orchestrator.api.schemas.operations import Ref
from orchestrator.api.schemas.rules import PolicyBody
from orchestrator.api.schemas.schedules import UnsavedBody
from orchestrator.costs.figures import Figure
from orchestrator.domain.demand import Count
from orchestrator.services.reruns import StartUpTime
from orchestrator.services.shadow_report import ShadowLine, Sleep
from orchestrator.services.whatif import Comparison, Range, Side, Stretch, WhatIf
from orchestrator.services.whatif_expiry import DraftExpiry

HOUR = 3600
RuleRef = Annotated[str, Field(max_length=120, examples=["office-hours"])]


class DraftScheduleBody(UnsavedBody):
    """A schedule that is not saved."""

    name: Name = "draft-schedule"


class DraftPolicyBody(PolicyBody):
    """An idle policy that is not saved."""

    name: Name = "draft-policy"
    selector: SelectorBody | None = None  # type: ignore[assignment] # the request has its own


class DraftExpiryBody(Body):
    """A time to live that is not saved, counted from when each endpoint was made."""

    name: Name = "draft-expiry"
    ttl: Ttl
    timezone: Zone = "UTC"
    calendars: Calendars = Field(default_factory=list)

    def draft(self) -> DraftExpiry:
        """Return it as the use case wants it."""
        return DraftExpiry(self.ttl, self.name, self.timezone, tuple(self.calendars))


class WhatIfBody(Body):
    """Other rules for a span of the past: drafts and saved rules more, or some fewer."""

    start: AskedInstant = Field(alias="from", examples=["2026-10-01T00:00:00Z"])
    end: AskedInstant | None = Field(None, alias="to", description="Default: now.")
    selector: SelectorBody | None = Field(
        None,
        description="Which endpoints are compared; default: those of the one saved rule that is "
        "named. Drafts act on all of them, a saved rule on those that it covers itself.",
    )
    schedule: DraftScheduleBody | None = None
    policy: DraftPolicyBody | None = None
    expiry: DraftExpiryBody | None = None
    rules: Annotated[list[RuleRef], Field(max_length=20)] = Field(
        default_factory=list,
        description="Ids or names of saved schedules, idle and expiry policies, as they are now "
        "and not in shadow.",
    )
    without: Annotated[list[RuleRef], Field(max_length=20)] = Field(
        default_factory=list, description="Ids or names of rules that would not have been."
    )
    instead: bool = Field(
        default=False, description="Whether all rules that there were would not have been."
    )


class RangeOut(Answer):
    """A number with its bounds."""

    low: float
    expected: float
    high: float


class SideOut(Answer):
    """One side of the comparison; what was not metered is `expected`."""

    hours_awake: RangeOut
    cost: Money
    cold_starts: RangeOut


class StartUpOut(Answer):
    """How long a start takes here; `measured` starts tell, of others on its hardware if `alike`."""

    seconds: float
    measured: int
    alike: bool


class ComparisonOut(Answer):
    """What is known of a span, under other rules.

    `again` are the same rules run again: how far it is from `metered` is how far the model is off.
    `saved` is `again` less `other`, so that error is on both sides of it.
    Bounds take the time of which use is unknown as idle and as busy.
    """

    start: Instant
    end: Instant
    metered: SideOut
    again: SideOut
    other: SideOut
    saved: Money = Field(description="Negative where the other rules cost more.")
    requests_that_wait: RangeOut = Field(description="For a start.")
    requests_refused: RangeOut = Field(description="By a paused endpoint.")
    unknown_hours: float = Field(description="In which it is not known whether requests came.")
    start_up: StartUpOut


class NotComparedOut(Answer):
    """A part of the span of which nothing can be said."""

    start: Instant
    end: Instant
    why: str


class WhatIfLineOut(Answer):
    """One endpoint; `compared` is null where nothing of the span is known."""

    endpoint: Ref
    protected: bool = Field(description="Rules only propose then: nothing would differ.")
    compared: ComparisonOut | None
    not_compared: list[NotComparedOut]


class WhatIfOut(Answer):
    """What a span of the past would have been under other rules, by endpoint and together."""

    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    assumptions: list[str]
    metered: Money | None = Field(description="Null, as the others, where nothing is compared.")
    again: Money | None = Field(description="The same rules run again: how far the model is off.")
    other: Money | None
    saved: Money | None = Field(description="`again` less `other`.")
    items: list[WhatIfLineOut]


class SleepOut(Answer):
    """A time in which it would have slept, what that saves, and the requests that came in it."""

    start: Instant
    end: Instant
    how: str = Field(examples=["paused"])
    cost: Money
    requests: RangeOut


class ShadowLineOut(Answer):
    """What one rule in shadow would have done to one endpoint."""

    rule: Ref
    kind: str = Field(examples=["schedule"])
    endpoint: Ref
    owner: str
    labels: dict[str, str]
    hours_in_shadow: float
    proposals: int = Field(description="How often the engine recorded that it would act.")
    first_proposed_at: Instant | None
    hours_asleep: float
    times_asleep: int
    saved: Money
    cold_starts: RangeOut
    requests_that_wait: RangeOut
    requests_refused: RangeOut
    unknown_hours: float
    sleeps: list[SleepOut] = Field(description="The first 200.")


class ShadowOut(Answer):
    """What the rules in shadow would have done: slept, saved, and who would have waited."""

    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    assumptions: list[str]
    items: list[ShadowLineOut]


def what_if_line(found: WhatIf) -> WhatIfLineOut:
    """Return one endpoint's comparison as it is answered."""
    return WhatIfLineOut(
        endpoint=Ref(id=found.endpoint.id, name=found.endpoint.name),
        protected=found.protected,
        compared=None if found.compared is None else _comparison(found.compared),
        not_compared=[_gap(one) for one in found.not_compared],
    )


def shadow_line(found: ShadowLine) -> ShadowLineOut:
    """Return a line of the shadow report as it is answered."""
    compared = found.compared
    return ShadowLineOut(
        rule=Ref(id=found.rule_id, name=found.rule_name),
        kind=found.kind,
        endpoint=Ref(id=found.endpoint.id, name=found.endpoint.name),
        owner=found.endpoint.owner,
        labels={label.key: label.value for label in found.labels},
        hours_in_shadow=_hours(found.in_shadow_s),
        proposals=found.proposed,
        first_proposed_at=found.first_proposed_at,
        hours_asleep=_hours(found.slept_s),
        times_asleep=found.sleep_count,
        saved=money(compared.saved, "expected"),
        cold_starts=_range(compared.other.cold_starts),
        requests_that_wait=_count(compared.waited),
        requests_refused=_count(compared.refused),
        unknown_hours=_hours(compared.unknown.total_seconds()),
        sleeps=[_sleep(one) for one in found.sleeps],
    )


def total(figures: Sequence[Figure], basis: Basis = "expected") -> Money | None:
    """Return the sum of figures; None without any."""
    return money(sum(figures, Figure()), basis) if figures else None


def _comparison(found: Comparison) -> ComparisonOut:
    return ComparisonOut(
        start=found.start,
        end=found.end,
        metered=_side(found.metered, "metered"),
        again=_side(found.again, "expected"),
        other=_side(found.other, "expected"),
        saved=money(found.saved, "expected"),
        requests_that_wait=_count(found.waited),
        requests_refused=_count(found.refused),
        unknown_hours=_hours(found.unknown.total_seconds()),
        start_up=_start_up(found.startup),
    )


def _side(side: Side, basis: Basis) -> SideOut:
    return SideOut(
        hours_awake=_range(side.hours),
        cost=money(side.cost, basis),
        cold_starts=_range(side.cold_starts),
    )


def _start_up(found: StartUpTime) -> StartUpOut:
    seconds = found.time.total_seconds()
    return StartUpOut(seconds=seconds, measured=found.measured, alike=found.alike)


def _gap(one: Stretch) -> NotComparedOut:
    return NotComparedOut(start=one.start, end=one.end, why=one.why)


def _sleep(one: Sleep) -> SleepOut:
    how = "paused" if one.paused else "scaled_to_zero"
    cost, requests = money(one.saved, "expected"), _count(one.requests)
    return SleepOut(start=one.start, end=one.end, how=how, cost=cost, requests=requests)


def _range(found: Range) -> RangeOut:
    numbers = (round(number, 3) for number in (found.low, found.expected, found.high))
    low, expected, high = numbers
    return RangeOut(low=low, expected=expected, high=high)


def _count(found: Count) -> RangeOut:
    return RangeOut(low=found.low, expected=round(found.expected, 1), high=found.high)


def _hours(seconds: float) -> float:
    return round(seconds / HOUR, 3)
