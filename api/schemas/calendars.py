"""Named calendars in requests and answers."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.api.schemas.base import Answer, Body, Instant, Name
from orchestrator.domain.calendars import LONGEST_NAME, MOST_DATES, Changes
from orchestrator.services import calendar_sources as sources
from orchestrator.services.calendar_effects import Effect
from orchestrator.services.calendar_sources import Source
from orchestrator.services.calendars import Described
from orchestrator.store.tables import Calendar

Code = Annotated[str, Field(max_length=60)]


class HolidaySource(Body):
    """Public holidays as the `holidays` library tells them."""

    kind: Literal["holidays"] = "holidays"
    country: Code = Field(examples=["DE"], description="Two letters, ISO 3166-1.")
    subdivision: Code = Field("", examples=["BY"])
    categories: Annotated[list[Code], Field(max_length=20)] = Field(
        default_factory=list, description="The usual public ones unless told otherwise."
    )
    language: Code = Field("", examples=["en_US"], description="Of the names.")
    observed: bool = Field(default=True, description="With days off in lieu of weekends.")

    def value(self) -> Source:
        """Return it checked. Raises ServiceError 422."""
        return sources.of_holidays(
            self.country,
            subdivision=self.subdivision,
            categories=self.categories,
            language=self.language,
            observed=self.observed,
        )


class IcalendarSource(Body):
    """The text of an iCalendar file; all-day events, and others that cover whole days."""

    kind: Literal["icalendar"] = "icalendar"
    text: Annotated[str, Field(max_length=sources.LONGEST_TEXT)] = Field(
        examples=["BEGIN:VCALENDAR\r\nVERSION:2.0\r\n…\r\nEND:VCALENDAR\r\n"]
    )
    timezone: Annotated[str, Field(max_length=64)] = Field(
        "", examples=["Europe/Berlin"], description="Where its times in UTC are read."
    )
    skip_partial: bool = Field(
        default=False, description="Leave out days covered in part only; else they are refused"
    )

    def value(self) -> Source:
        """Return it checked. Raises ServiceError 422."""
        return sources.of_icalendar(
            self.text, timezone=self.timezone, skip_partial=self.skip_partial
        )


class DatesSource(Body):
    """Dates with what they are called."""

    kind: Literal["dates"] = "dates"
    dates: Annotated[
        dict[
            Annotated[str, Field(max_length=40)],
            Annotated[str, Field(max_length=LONGEST_NAME)],
        ],
        Field(max_length=MOST_DATES, examples=[{"2026-12-24": "Christmas Eve"}]),
    ]

    def value(self) -> Source:
        """Return it checked. Raises ServiceError 422."""
        return sources.of_dates(self.dates)


def _kind(value: Any) -> str:
    found = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"form:{found}"


class CalendarBody(Body):
    """A named calendar of days off."""

    name: Name = Field(examples=["bavaria"])
    source: Annotated[
        Annotated[HolidaySource, Tag("form:holidays")]
        | Annotated[IcalendarSource, Tag("form:icalendar")]
        | Annotated[DatesSource, Tag("form:dates")],
        Discriminator(
            _kind,
            custom_error_type="invalid_kind",
            custom_error_message="its `kind` is holidays, icalendar or dates",
        ),
    ]


class CalendarSummary(Answer):
    """A calendar without its dates. What lies outside of `covers_*` is not known to be off."""

    id: str = Field(examples=["cal_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    kind: Literal["holidays", "icalendar", "dates"]
    parameters: dict[str, Any] = Field(examples=[{"country": "DE", "subdivision": "BY"}])
    covers_from: date
    covers_to: date
    extends: bool = Field(description="Whether later years follow by themselves.")
    days: int
    made_with: str = Field(examples=["holidays 0.108"])
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant
    updated_by: str


class DayOffOut(Answer):
    """A day off."""

    date: date
    name: str


class CalendarUsersOut(Answer):
    """Names of what uses a calendar."""

    schedules: list[str]
    expiry_policies: list[str]


class CalendarFindingOut(Answer):
    """Something to know before relying on a calendar."""

    code: str = Field(examples=["ends"])
    message: str


class CalendarChangesOut(Answer):
    """How its dates differ from those before."""

    added: list[DayOffOut]
    removed: list[DayOffOut]
    renamed: list[DayOffOut]


class CalendarEffectOut(Answer):
    """What a change does to a schedule that uses it, in the coming 52 weeks."""

    schedule: str
    hours: float = Field(description="How much longer its windows are open.")
    dates: list[date] = Field(description="The first days on which it differs.")
    endpoints: int
    acts_from: Instant | None = Field(
        description="Its next edge, where it would say otherwise at this instant; else null."
    )


class CalendarOut(CalendarSummary):
    """A calendar with its dates; `changes` and `effects` are of the change that answers so."""

    dates: list[DayOffOut]
    used_by: CalendarUsersOut
    findings: list[CalendarFindingOut]
    changes: CalendarChangesOut | None = None
    effects: list[CalendarEffectOut] = Field(default_factory=list)


def calendar_fields(row: Calendar) -> dict[str, Any]:
    """Return what all answers about a calendar have."""
    same = ("id", "name", "parameters", "covers_from", "covers_to", "extends", "made_with")
    stamps = ("version", "created_at", "created_by", "updated_at", "updated_by")
    fields = {key: getattr(row, key) for key in (*same, *stamps)}
    return {**fields, "kind": row.source, "days": len(row.dates)}


def calendar_summary(row: Calendar) -> CalendarSummary:
    """Return a calendar as a list answers it."""
    return CalendarSummary.model_validate(calendar_fields(row))


def calendar_out(found: Described) -> CalendarOut:
    """Return a calendar with its dates."""
    return CalendarOut.model_validate(
        {
            **calendar_fields(found.calendar),
            "dates": _days(found.calendar.dates),
            "used_by": {
                "schedules": [row.name for row in found.users.schedules],
                "expiry_policies": [row.name for row in found.users.expiry_policies],
            },
            "findings": [{"code": one.code, "message": one.message} for one in found.remarks],
            "changes": None if found.changes is None else _changes(found.changes),
            "effects": [_effect(one) for one in found.effects],
        }
    )


def _days(names: Any) -> list[dict[str, Any]]:
    return [{"date": day, "name": names[day]} for day in sorted(names)]


def _changes(found: Changes) -> dict[str, Any]:
    return {key: _days(getattr(found, key)) for key in ("added", "removed", "renamed")}


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "schedule": effect.schedule.name,
        "hours": round(effect.minutes / 60, 2),
        "dates": list(effect.dates),
        "endpoints": effect.endpoints,
        "acts_from": effect.acts_from,
    }
