"""Schedules and their previews in requests and answers."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Name
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.api.schemas.money import Price, price
from orchestrator.api.schemas.rules import (
    CoveredOut,
    FindingOut,
    SelectorOut,
    covered_out,
    finding_out,
    rule_fields,
)
from orchestrator.api.schemas.windows import (
    DateIn,
    DateOut,
    PointIn,
    PointOut,
    WindowIn,
    WindowOut,
    date_fields,
    parsed_date,
    parsed_point,
    parsed_window,
    point_fields,
    window_fields,
)
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.zones import zone
from orchestrator.services import preview, scheduling
from orchestrator.services.preview_weeks import Week
from orchestrator.store.tables import Schedule

SECONDS_PER_HOUR = 3600
# A preview names so many starts; the earliest come first.
MOST_STARTS = 1000
LEFT_ASIDE = (
    "idle policies, holds of people, leases and expiry: they may put an endpoint to sleep or keep "
    "it up besides; its timeline has them"
)
Calendars = Annotated[
    list[Annotated[str, Field(max_length=120)]],
    Field(max_length=20, examples=[["us-holidays"]]),
]


class ScheduleBody(Body):
    """Windows in which the endpoints that it covers are up, exceptions, and cron points."""

    name: Name
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])]
    windows: Annotated[list[WindowIn], Field(max_length=100)] = Field(
        default_factory=list, examples=[["mon-fri 08:00-19:00"]]
    )
    points: Annotated[list[PointIn], Field(max_length=50)] = Field(
        default_factory=list,
        description="One-sided: each holds until the next edge. Days off do not touch them.",
        examples=[["stop 0 22 * * *"]],
    )
    dates: Annotated[list[DateIn], Field(max_length=400)] = Field(
        default_factory=list, examples=[["2026-12-24 off"]]
    )
    calendars: Calendars = Field(
        default_factory=list, description="Names of calendars whose days are off."
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
    confirm: str = Field(
        "",
        max_length=64,
        description="What a rehearsal answered with: refused where anything that it showed is "
        "other now. Needed to act at once on many endpoints.",
    )

    def parsed(self) -> Windows:
        """Return what it says. Raises ServiceError 422, which names the part and its field."""
        parts = scheduling.Parts(
            windows=[parsed_window(f"windows.{n}", one) for n, one in enumerate(self.windows)],
            points=[parsed_point(f"points.{n}", one) for n, one in enumerate(self.points)],
            dates=[parsed_date(f"dates.{n}", one) for n, one in enumerate(self.dates)],
            drain_minutes=self.drain_minutes,
        )
        return scheduling.make(self.timezone, parts)


class UnsavedBody(ScheduleBody):
    """A schedule that is not saved; without a selector it covers nothing."""

    name: Name = "preview"
    selector: SelectorBody | None = None  # type: ignore[assignment] # a preview may cover nothing


class PreviewBody(UnsavedBody):
    """A schedule that is not saved, or a change of one that is."""

    replaces: Annotated[str, Field(max_length=120)] | None = Field(
        None,
        description="Id or name of the saved schedule that it is a change of: that counts in what "
        "is paid today, and not beside it.",
        examples=["office-hours"],
    )


class ScheduleSummary(Answer):
    """A schedule without what it covers."""

    id: str = Field(examples=["sch_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    timezone: str
    windows: list[WindowOut]
    points: list[PointOut]
    dates: list[DateOut]
    calendars: list[str]
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

    wish_now: Literal["running", "available", "paused"] | None = Field(
        description="What it wants at this instant; null where it has cron points alone."
    )
    endpoints: list[CoveredOut]
    findings: list[FindingOut]
    confirm: str = Field(
        description="Stands for what is shown here, when it is a rehearsal.",
        examples=["5f0c6b7d"],
    )


class EdgeOut(Answer):
    """An instant at which the schedule's answer changes."""

    at_utc: Instant
    at_local: datetime = Field(examples=["2026-11-23T08:00:00+01:00"])
    wish: Literal["running", "available", "paused"]


class FiringOut(Answer):
    """An instant at which a cron point acts, until the next edge; null where none follows."""

    at_utc: Instant
    at_local: datetime = Field(examples=["2026-11-23T19:00:00+01:00"])
    action: Literal["start", "stop"]
    expression: str
    until_utc: Instant | None


class DayOffOut(Answer):
    """A day off; so many usual windows do not start on it."""

    date: dt.date
    name: str = Field(examples=["Christmas Day"])
    windows_removed: int


class WeekOut(Answer):
    """The edges, cron points and days off of one civil week, from Monday."""

    start: dt.date
    edges: list[EdgeOut]
    points: list[FiringOut]
    days_off: list[DayOffOut]


class StartUpOut(Answer):
    """By how much an endpoint is started early, and what that rests on."""

    minutes: int
    source: Literal["own", "alike", "default"]
    measured: int = Field(description="How many starts it was measured from.")
    detail: str


class EffectOut(Answer):
    """What a schedule means for one endpoint, per month; null where no price is known.

    The hours are those of the long run; `today` is what the schedules in force cost.
    """

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
    start_up: StartUpOut | None = Field(description="Null where no window asks to be ready.")
    let_go: bool = Field(
        description="The schedule that is replaced acts on it, and this one covers it no more."
    )


class TotalOut(Answer):
    """All endpoints with a price together, per month; `unpriced` are not in the amounts."""

    hours_month: float
    cost_month: Price
    cost_month_always_on: Price
    cost_month_today: Price
    unpriced: int


class StartOut(Answer):
    """One endpoint is started; `early_minutes` before its window opens."""

    at_utc: Instant
    at_local: datetime = Field(examples=["2026-11-23T07:48:00+01:00"])
    opens_at_utc: Instant
    early_minutes: int
    endpoint: str
    name: str
    remarks: list[str]


class PreviewOut(Answer):
    """The coming weeks: an endpoint counts as up while a window is open, at today's price."""

    timezone: str
    tzdata: str = Field(examples=["2026a"], description="Release of the zone rules.")
    weeks: list[WeekOut]
    hours_per_week: float = Field(description="Hours of its windows; cron points are not in it.")
    endpoints: list[EffectOut]
    total: TotalOut
    starts: list[StartOut]
    starts_left_out: int
    findings: list[FindingOut]
    left_aside: str = Field(examples=[LEFT_ASIDE])


def schedule_fields(row: Schedule) -> dict[str, Any]:
    """Return what all answers about a schedule have."""
    return {
        "windows": [window_fields(item) for item in row.windows],
        "points": [point_fields(item) for item in row.points],
        "dates": [date_fields(item) for item in row.dates],
        "calendars": row.calendars,
        "timezone": row.timezone,
        "drain_minutes": row.drain_minutes,
        **rule_fields(row),
    }


def schedule_summary(row: Schedule) -> ScheduleSummary:
    """Return a schedule as a list answers it."""
    return ScheduleSummary.model_validate(schedule_fields(row))


def schedule_out(described: scheduling.Described) -> ScheduleOut:
    """Return a schedule with what it covers."""
    return ScheduleOut.model_validate(
        {
            **schedule_fields(described.schedule),
            "wish_now": described.wish_now,
            "endpoints": [covered_out(item) for item in described.covered],
            "findings": [finding_out(item) for item in described.remarks],
            "confirm": described.confirm,
        }
    )


def preview_out(found: preview.Preview) -> PreviewOut:
    """Return a preview as it is answered."""
    total = found.total
    return PreviewOut.model_validate(
        {
            "timezone": found.timezone,
            "left_aside": LEFT_ASIDE,
            "tzdata": found.tzdata,
            "weeks": [_week(week) for week in found.weeks],
            "hours_per_week": round(found.minutes_per_week / 60, 2),
            "endpoints": [_effect(effect) for effect in found.effects],
            "total": {
                "hours_month": round(total.seconds / SECONDS_PER_HOUR, 1),
                **_amounts(total),
                "unpriced": total.without,
            },
            "starts": [_start(one, found.timezone) for one in found.starts[:MOST_STARTS]],
            "starts_left_out": max(len(found.starts) - MOST_STARTS, 0),
            "findings": [finding_out(item) for item in found.remarks],
        }
    )


def _week(week: Week) -> dict[str, Any]:
    return {
        "start": week.start,
        "edges": [
            {"at_utc": edge.at, "at_local": edge.local, "wish": edge.wish} for edge in week.edges
        ],
        "points": [
            {
                "at_utc": point.at,
                "at_local": point.local,
                "action": point.action,
                "expression": point.expression,
                "until_utc": point.until,
            }
            for point in week.points
        ],
        "days_off": [
            {"date": day.day, "name": day.name, "windows_removed": day.windows}
            for day in week.days_off
        ],
    }


def _effect(effect: preview.Effect) -> dict[str, Any]:
    times = effect.start_up
    return {
        "id": effect.endpoint.id,
        "name": effect.endpoint.name,
        "hours_month": round(effect.seconds / SECONDS_PER_HOUR, 1),
        **_amounts(effect),
        "unpriced": list(effect.unpriced),
        "start_up": None
        if times is None
        else {
            "minutes": int(times.time.total_seconds()) // 60,
            "source": times.source,
            "measured": times.measured,
            "detail": times.words,
        },
        "let_go": effect.let_go,
    }


def _amounts(found: preview.Effect | preview.Total) -> dict[str, Any]:
    return {
        "cost_month": price(found.cost),
        "cost_month_always_on": price(found.always_on),
        "cost_month_today": price(found.today),
    }


def _start(found: preview.Start, timezone: str) -> dict[str, Any]:
    return {
        "at_utc": found.at,
        "at_local": found.at.astimezone(zone(timezone)),
        "opens_at_utc": found.opens_at,
        "early_minutes": int((found.opens_at - found.at).total_seconds()) // 60,
        "endpoint": found.endpoint.id,
        "name": found.endpoint.name,
        "remarks": list(found.remarks),
    }
