"""Named calendars: their days through a year, what uses them, and the forms to change them."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.pages.shell import Page, PageOf, PageRoute
from orchestrator.domain.schedules.model import DAY_NAMES
from orchestrator.services import calendar_sources, calendars
from orchestrator.store import calendars as rows
from orchestrator.store.tables import Calendar

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_CALENDARS, MOST_YEARS = 200, 12
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_CELL, _STEP, _LEFT = 13, 16, 30
_SATURDAY = 5
_BLANK: dict[str, Any] = {
    "kind": "holidays",
    "country": "",
    "subdivision": "",
    "categories": [],
    "language": "",
    "observed": True,
    "timezone": "",
    "skip_partial": False,
    "text": "",
    "dates": "",
}


@dataclass(frozen=True, slots=True)
class CalendarCard:
    """A calendar for the list; `links` are what uses it, by name, with their pages."""

    row: Calendar
    origin: str
    next_off: tuple[date, str] | None
    links: Sequence[tuple[str, str]]

    @property
    def users(self) -> list[str]:
        """Return the names of what uses it."""
        return [name for name, _ in self.links]


@dataclass(frozen=True, slots=True)
class DayBox:
    """A day in the picture of a year."""

    x: int
    fill: str
    title: str


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month in the picture of a year."""

    name: str
    y: int
    days: Sequence[DayBox]


@dataclass(frozen=True, slots=True)
class Year:
    """A year as a picture, a row for each month, with its days off by name."""

    year: int
    months: Sequence[MonthRow]
    named: Sequence[tuple[date, str]]
    cell: int = _CELL
    width: int = _LEFT + 31 * _STEP
    height: int = 12 * _STEP

    @property
    def count(self) -> int:
        """Return how many days are off."""
        return len(self.named)


@router.get("/calendars")
def calendars_page(page: PageOf) -> Response:
    """Show all calendars."""
    today = page.now.date()
    with page.context.database.read() as session:
        cards = [_card(session, row, today) for row in rows.page(session, None, MOST_CALENDARS)]
    return page.render("calendars.html", "/calendars", cards=cards)


@router.get("/calendars/new")
def new_calendar_page(page: PageOf) -> Response:
    """Show an empty form."""
    return _form(page, None, source=_BLANK)


@router.get("/calendars/{ref}")
def calendar_page(
    page: PageOf, ref: str, year: Annotated[int | None, Query(ge=1900, le=2200)] = None
) -> Response:
    """Show the days off of a year, what uses the calendar, and its form."""
    today = page.now.date()
    with page.context.database.read() as session:
        found = calendars.describe(session, calendars.find(session, ref), page.now)
        card = _card(session, found.calendar, today)
    row = found.calendar
    return _form(
        page,
        row,
        card=card,
        remarks=found.remarks,
        year=year_of(row.dates, year or today.year, today),
        years=_years(row),
        source=_source(row),
    )


def year_of(names: Mapping[str, str], year: int, today: date) -> Year:
    """Return a year with the days off that it has."""
    off = {day: name for day, name in names.items() if day.startswith(f"{year:04d}-")}
    months = []
    for month in range(1, 13):
        days = [date(year, month, day + 1) for day in range(monthrange(year, month)[1])]
        boxes = [_box(day, off.get(day.isoformat()), today) for day in days]
        months.append(MonthRow(MONTHS[month - 1], (month - 1) * _STEP, boxes))
    named = [(date.fromisoformat(day), off[day]) for day in sorted(off)]
    return Year(year, months, named)


def _years(row: Calendar) -> range:
    first = int(row.covers_from[:4])
    return range(first, min(int(row.covers_to[:4]), first + MOST_YEARS) + 1)


def _box(day: date, name: str | None, today: date) -> DayBox:
    fill = "off-day" if name is not None else "weekend" if day.weekday() >= _SATURDAY else "lane"
    told = f"{DAY_NAMES[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"
    title = f"{told}: {name}" if name is not None else told
    return DayBox(_LEFT + (day.day - 1) * _STEP, f"{fill} today" if day == today else fill, title)


def _form(page: Page, row: Calendar | None, *, source: dict[str, Any], **values: Any) -> Response:
    given = {"card": None, "remarks": (), "year": None, "years": (), **values}
    places = calendar_sources.places()
    return page.render(
        "calendar.html", "/calendars", row=row, source=source, places=places, **given
    )


def _card(session: Session, row: Calendar, today: date) -> CalendarCard:
    users = rows.users(session, row.name)
    links = [(one.name, f"/schedules/{one.id}") for one in users.schedules]
    links += [(one.name, f"/expiry-policies/{one.id}") for one in users.expiry_policies]
    coming = min((day for day in row.dates if day >= today.isoformat()), default=None)
    off = None if coming is None else (date.fromisoformat(coming), row.dates[coming])
    return CalendarCard(row, _origin(row), off, links)


def _origin(row: Calendar) -> str:
    given = row.parameters
    if row.source != calendar_sources.Kind.HOLIDAYS:
        return {"icalendar": "an iCalendar file", "dates": "dates of its own"}[row.source]
    parts = [given[key] for key in ("country", "subdivision") if given.get(key)]
    kinds = f" ({', '.join(given['categories'])})" if given.get("categories") else ""
    return f"holidays of {'-'.join(parts)}{kinds}"


def _source(row: Calendar) -> dict[str, Any]:
    """Return the fields of the form as a calendar fills them."""
    own = {"dates": "\n".join(f"{day} {row.dates[day]}" for day in sorted(row.dates))}
    listed = own if row.source == calendar_sources.Kind.DATES else {}
    return {**_BLANK, **row.parameters, "kind": row.source, "text": row.content, **listed}
