"""Windows, cron points and exceptions of schedules in requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from orchestrator.api.schemas.base import Answer, Body
from orchestrator.domain.schedules.daytext import format_ordinal, parse_start_days
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import (
    DAY_NAMES,
    EVERY_DAY,
    CronPoint,
    DateKind,
    DateRule,
    PointAction,
    Window,
)
from orchestrator.domain.schedules.text import (
    parse_date_rule,
    parse_days,
    parse_point,
    parse_time,
    parse_window,
)
from orchestrator.services.scheduling import of_schedule_error

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, Field(max_length=5)]


class TimesBody(Body):
    """Two wall-clock times of a window; an end at or before the start means the next day."""

    start: Clock = Field(examples=["08:00"])
    end: Clock = Field(examples=["19:00"], description="24:00 is midnight after the day.")
    keep_running: bool = Field(
        default=False, description="At least one replica; else it may sleep at zero in between."
    )
    ready_by: bool = Field(
        default=False, description="Start early, so that it serves when the window opens."
    )


class WindowBody(TimesBody):
    """The days on which it starts, any of three kinds, and two wall-clock times."""

    days: Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=7)] = Field(
        default_factory=list, examples=[["mon", "tue"]]
    )
    month_days: Annotated[list[int], Field(max_length=62)] = Field(
        default_factory=list,
        description="Days of the month, 1 to 31; -1 is the last one, -2 the one before.",
        examples=[[1, 15, -1]],
    )
    nth_weekdays: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=70)] = (
        Field(default_factory=list, examples=[["1st mon", "last fri"]])
    )


class PointBody(Body):
    """A cron expression of five fields in the schedule's zone, and what happens then."""

    expression: Annotated[str, Field(max_length=100, examples=["0 19 * * mon-fri"])]
    action: Literal["start", "stop"]


class DateBody(Body):
    """An exception for the windows that start on one civil date of the schedule's zone."""

    date: Annotated[str, Field(max_length=10, examples=["2026-12-24"])]
    kind: Literal["off", "extra", "replaced"] = Field(
        description="off removes the usual windows; extra adds its own, also on a day off; "
        "replaced puts its own in the place of all others."
    )
    windows: Annotated[list[TimesBody], Field(max_length=20)] = Field(default_factory=list)
    note: Annotated[str, Field(max_length=200, examples=["Christmas Eve"])] = ""


def _form(value: Any) -> str:
    return "form:object" if isinstance(value, Mapping | BaseModel) else "form:text"


def _text(example: str, longest: int) -> Any:
    return Field(max_length=longest, examples=[example])


WindowIn = Annotated[
    Annotated[str, _text("mon-fri 08:00-19:00", 200), Tag("form:text")]
    | Annotated[WindowBody, Tag("form:object")],
    Discriminator(_form),
]
PointIn = Annotated[
    Annotated[str, _text("stop 0 19 * * mon-fri", 120), Tag("form:text")]
    | Annotated[PointBody, Tag("form:object")],
    Discriminator(_form),
]
DateIn = Annotated[
    Annotated[str, _text("2026-12-24 off # Christmas Eve", 400), Tag("form:text")]
    | Annotated[DateBody, Tag("form:object")],
    Discriminator(_form),
]


class TimesOut(Answer):
    """The times of a window as they are kept."""

    start: str
    end: str
    keep_running: bool
    ready_by: bool


class WindowOut(TimesOut):
    """A window as it is kept."""

    days: list[Day]
    month_days: list[int]
    nth_weekdays: list[str] = Field(examples=[["1st mon", "last fri"]])


class PointOut(Answer):
    """A cron point as it is kept."""

    expression: str
    action: Literal["start", "stop"]


class DateOut(Answer):
    """An exception as it is kept."""

    date: date
    kind: Literal["off", "extra", "replaced"]
    windows: list[TimesOut]
    note: str


def parsed_window(field: str, item: str | WindowBody) -> Window:
    """Return a window. Raises ServiceError 422, which names its field."""
    try:
        if isinstance(item, str):
            return parse_window(item)
        return Window(
            days=parse_days(",".join(item.days)) if item.days else frozenset(),
            start=parse_time("start", item.start),
            end=parse_time("end", item.end),
            keep_running=item.keep_running,
            ready_by=item.ready_by,
            month_days=frozenset(item.month_days),
            nth_weekdays=_nths(item.nth_weekdays),
        )
    except ScheduleError as error:
        raise of_schedule_error(error, field) from error


def parsed_point(field: str, item: str | PointBody) -> CronPoint:
    """Return a cron point; the schedule checks its expression. Raises ServiceError 422."""
    try:
        if isinstance(item, str):
            return parse_point(_action_first(item))
        return CronPoint(" ".join(item.expression.split()), PointAction(item.action))
    except ScheduleError as error:
        raise of_schedule_error(error, field) from error


def parsed_date(field: str, item: str | DateBody) -> DateRule:
    """Return an exception. Raises ServiceError 422, which names its field."""
    try:
        if isinstance(item, str):
            return parse_date_rule(item)
        day = parse_date_rule(f"{item.date} off").day
        windows = tuple(
            _times(f"{field}.windows.{place}", one) for place, one in enumerate(item.windows)
        )
        return DateRule(day, DateKind(item.kind), windows, item.note.strip())
    except ScheduleError as error:
        if error.field == "day":
            error.field, error.args = "date", (str(error).replace("day:", "date:", 1),)
            field = f"{field}.date"
        raise of_schedule_error(error, field) from error


def window_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored window as it is answered."""
    return {
        **times_fields(item),
        "days": [DAY_NAMES[number].lower() for number in item["days"]],
        "month_days": item.get("month_days", []),
        "nth_weekdays": [
            f"{format_ordinal(nth)} {DAY_NAMES[day].lower()}"
            for nth, day in item.get("nth_weekdays", [])
        ],
    }


def times_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times of a stored window as they are answered."""
    return {
        "start": item["start"],
        "end": item["end"],
        "keep_running": item.get("keep_running", False),
        "ready_by": item.get("ready_by", False),
    }


def point_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored cron point as it is answered."""
    return {"expression": item["expression"], "action": item["action"]}


def date_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored exception as it is answered."""
    windows = [times_fields(one) for one in item["windows"]]
    return {"date": item["day"], "kind": item["kind"], "windows": windows, "note": item["note"]}


def _times(field: str, item: TimesBody) -> Window:
    try:
        return Window(
            days=EVERY_DAY,
            start=parse_time("start", item.start),
            end=parse_time("end", item.end),
            keep_running=item.keep_running,
            ready_by=item.ready_by,
        )
    except ScheduleError as error:
        raise of_schedule_error(error, field) from error


def _nths(texts: list[str]) -> frozenset[tuple[int, int]]:
    found: frozenset[tuple[int, int]] = frozenset()
    for text in texts:
        parsed = parse_start_days(text)
        if parsed.days or parsed.month_days:
            problem = f"{text!r} is no nth weekday; write it like 1st mon or last fri"
            raise ScheduleError("nth_weekdays", problem)
        found |= parsed.nth_weekdays
    return found


def _action_first(text: str) -> str:
    """Read the action behind the expression as well: ``0 19 * * mon-fri stop``."""
    *expression, last = text.split() or [""]
    return " ".join([last, *expression]) if last.lower() in set(PointAction) else text
