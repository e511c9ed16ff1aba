"""Schedules and idle policies in requests and answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.api.schemas.base import Answer, Body, Instant, Name
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.api.schemas.money import Price, price
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import DAY_NAMES, Window
from orchestrator.domain.schedules.text import parse_days, parse_time, parse_window
from orchestrator.services import policies, preview, scheduling
from orchestrator.services.bindings import NEVER
from orchestrator.services.scheduling import Covered, Remark, of_schedule_error
from orchestrator.store.tables import IdlePolicy, Schedule

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
SECONDS_PER_HOUR = 3600


class WindowBody(Body):
    """Days of the week on which it starts, and two wall-clock times; 24:00 may be an end."""

    days: Annotated[list[Annotated[str, Field(max_length=20)]], Field(min_length=1, max_length=7)]
    start: Annotated[str, Field(max_length=5, examples=["08:00"])]
    end: Annotated[str, Field(max_length=5, examples=["19:00"])]
    keep_running: bool = False


WindowText = Annotated[str, Field(max_length=80, examples=["mon-fri 08:00-19:00"])]


def _form(value: Any) -> str:
    return "form:object" if isinstance(value, dict | WindowBody) else "form:text"


WindowIn = Annotated[
    Annotated[WindowText, Tag("form:text")] | Annotated[WindowBody, Tag("form:object")],
    Discriminator(_form),
]


class ScheduleBody(Body):
    """Weekly windows in which the endpoints that it covers are up."""

    name: Name
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])]
    windows: Annotated[list[WindowIn], Field(max_length=100)] = Field(
        examples=[["mon-fri 08:00-19:00"]]
    )
    drain_minutes: int = Field(
        30, ge=0, le=1440, description="How long a window's end may wait for requests to cease."
    )
    selector: SelectorBody
    shadow: bool = Field(default=False, description="Decide and record, and do nothing.")
    enabled: bool = True
    apply_now: Annotated[list[str], Field(max_length=2000)] = Field(
        default_factory=list,
        description="Endpoint ids on which it acts at once; on others from its next edge.",
    )

    def parsed(self) -> list[Window]:
        """Return the windows. Raises ServiceError 422, which names the window and its field."""
        return [_window(f"windows.{place}", item) for place, item in enumerate(self.windows)]


class PreviewBody(ScheduleBody):
    """A schedule that is not saved; without a selector it covers nothing."""

    name: Name = "preview"
    selector: SelectorBody | None = None  # type: ignore[assignment] # a preview may cover nothing


class WindowOut(Answer):
    """A window as it is kept."""

    days: list[Day]
    start: str
    end: str
    keep_running: bool


class SelectorOut(Answer):
    """Which endpoints; ids."""

    account: str | None = None
    endpoint: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class CoveredOut(Answer):
    """An endpoint that a rule covers; `acts_from` is null where it acts now.

    `acts` is false where nothing is done: not managed, or no next edge and not applied now.
    """

    id: str
    name: str
    managed: bool
    protected: bool
    acts: bool
    acts_from: Instant | None


class FindingOut(Answer):
    """Something to know before relying on a schedule; `window` counts from 0."""

    code: str = Field(examples=["window_covered"])
    message: str
    when: date | None = None
    window: int | None = None


class ScheduleSummary(Answer):
    """A schedule without what it covers."""

    id: str = Field(examples=["sch_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    timezone: str
    windows: list[WindowOut]
    drain_minutes: int
    selector: SelectorOut
    shadow: bool
    enabled: bool
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant


class ScheduleOut(ScheduleSummary):
    """A schedule with what it covers and what is odd about it."""

    endpoints: list[CoveredOut]
    findings: list[FindingOut]


class EdgeOut(Answer):
    """An instant at which the schedule's answer changes."""

    at_utc: Instant
    at_local: datetime = Field(examples=["2026-11-23T08:00:00+01:00"])
    wish: Literal["running", "available", "paused"]


class WeekOut(Answer):
    """The edges of one civil week, from Monday."""

    start: date
    edges: list[EdgeOut]


class EffectOut(Answer):
    """What a schedule means for one endpoint, per month; null where no price is known."""

    id: str
    name: str
    hours_month: float
    cost_month: Price | None
    cost_month_always_on: Price | None
    cost_month_today: Price | None
    unpriced: list[str] = Field(
        description="What is billed beside replicas at an unknown price; it is in no amount.",
        examples=[["disk"]],
    )


class PreviewOut(Answer):
    """The coming weeks: an endpoint counts as up while a window is open, at today's price."""

    timezone: str
    tzdata: str = Field(examples=["2026a"])
    weeks: list[WeekOut]
    hours_per_week: float
    endpoints: list[EffectOut]
    findings: list[FindingOut]


class PolicyBody(Body):
    """Put to sleep what nobody uses; missing evidence puts nothing to sleep."""

    name: Name
    kind: Literal["idle"] = "idle"
    timeout_minutes: int = Field(ge=1, le=43_200, examples=[30])
    min_awake_minutes: int = Field(0, ge=0, le=43_200)
    action: Literal["scale_to_zero", "pause"] = "scale_to_zero"
    selector: SelectorBody
    shadow: bool = False
    enabled: bool = True


class PolicySummary(Answer):
    """An idle policy without what it covers."""

    id: str = Field(examples=["pol_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    kind: Literal["idle"] = "idle"
    timeout_minutes: int
    min_awake_minutes: int
    action: Literal["scale_to_zero", "pause"]
    selector: SelectorOut
    shadow: bool
    enabled: bool
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant


class PolicyOut(PolicySummary):
    """An idle policy with what it covers."""

    endpoints: list[CoveredOut]


def _window(field: str, item: str | WindowBody) -> Window:
    try:
        if isinstance(item, str):
            return parse_window(item)
        return Window(
            days=parse_days(",".join(item.days)),
            start=parse_time("start", item.start),
            end=parse_time("end", item.end),
            keep_running=item.keep_running,
        )
    except ScheduleError as error:
        raise of_schedule_error(error, field) from error


def schedule_fields(row: Schedule) -> dict[str, Any]:
    """Return what all answers about a schedule have."""
    return {
        "windows": [_window_fields(item) for item in row.windows],
        "timezone": row.timezone,
        "drain_minutes": row.drain_minutes,
        **_rule_fields(row),
    }


def schedule_summary(row: Schedule) -> ScheduleSummary:
    """Return a schedule as a list answers it."""
    return ScheduleSummary.model_validate(schedule_fields(row))


def schedule_out(described: scheduling.Described) -> ScheduleOut:
    """Return a schedule with what it covers."""
    return ScheduleOut.model_validate(
        {
            **schedule_fields(described.schedule),
            "endpoints": [covered_out(item) for item in described.covered],
            "findings": [finding_out(item) for item in described.remarks],
        }
    )


def policy_fields(row: IdlePolicy) -> dict[str, Any]:
    """Return what all answers about a policy have."""
    return {
        "timeout_minutes": row.timeout_minutes,
        "min_awake_minutes": row.min_awake_minutes,
        "action": row.action,
        **_rule_fields(row),
    }


def policy_summary(row: IdlePolicy) -> PolicySummary:
    """Return a policy as a list answers it."""
    return PolicySummary.model_validate(policy_fields(row))


def policy_out(described: policies.Described) -> PolicyOut:
    """Return a policy with what it covers."""
    covered = [covered_out(item) for item in described.covered]
    return PolicyOut.model_validate({**policy_fields(described.policy), "endpoints": covered})


def preview_out(found: preview.Preview) -> PreviewOut:
    """Return a preview as it is answered."""
    return PreviewOut.model_validate(
        {
            "timezone": found.timezone,
            "tzdata": found.tzdata,
            "weeks": [_week(week) for week in found.weeks],
            "hours_per_week": round(found.minutes_per_week / 60, 2),
            "endpoints": [_effect(effect) for effect in found.effects],
            "findings": [finding_out(item) for item in found.remarks],
        }
    )


def covered_out(item: Covered) -> CoveredOut:
    """Return an endpoint that a rule covers."""
    row, binding = item.endpoint, item.binding
    acts_from = None if binding is None else binding.acts_from
    never = acts_from == NEVER
    return CoveredOut(
        id=row.id,
        name=row.name,
        managed=row.managed,
        protected=row.protected,
        acts=binding is not None and not never and not row.protected,
        acts_from=None if never else acts_from,
    )


def finding_out(item: Remark) -> FindingOut:
    """Return a remark as it is answered."""
    return FindingOut.model_validate(
        {"code": item.code, "message": item.message, "when": item.when, "window": item.window}
    )


def _rule_fields(row: Schedule | IdlePolicy) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "selector": SelectorOut(**row.selector),
        "shadow": row.shadow,
        "enabled": row.enabled,
        "version": row.version,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "updated_at": row.updated_at,
    }


def _window_fields(item: dict[str, Any]) -> dict[str, Any]:
    days = [DAY_NAMES[number].lower() for number in item["days"]]
    return {**item, "days": days}


def _week(week: preview.Week) -> dict[str, Any]:
    edges = [{"at_utc": edge.at, "at_local": edge.local, "wish": edge.wish} for edge in week.edges]
    return {"start": week.start, "edges": edges}


def _effect(effect: preview.Effect) -> dict[str, Any]:
    return {
        "id": effect.endpoint.id,
        "name": effect.endpoint.name,
        "hours_month": round(effect.seconds / SECONDS_PER_HOUR, 1),
        "cost_month": price(effect.cost),
        "cost_month_always_on": price(effect.always_on),
        "cost_month_today": price(effect.today),
        "unpriced": list(effect.unpriced),
    }
