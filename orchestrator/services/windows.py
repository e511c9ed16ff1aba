"""Schedules between their stored form and the domain's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from sqlmodel import Session

from orchestrator.domain.schedules.model import CronPoint, DateKind, DateRule, PointAction, Window
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.store import calendars
from orchestrator.store.tables import IdlePolicy, Schedule

# Days off are looked up for so many whole years before and after the present one, so that the
# same schedule stays equal from pass to pass.
YEARS_BEFORE, YEARS_AFTER = 1, 2


def windows_of(row: Schedule, days_off: Collection[date] = ()) -> Windows:
    """Return a stored schedule; `days_off` are those of its calendars (`windows_in_full`)."""
    return Windows(
        row.timezone,
        tuple(window_from_json(item) for item in row.windows),
        row.drain_minutes,
        tuple(point_from_json(item) for item in row.points),
        frozenset(days_off),
        tuple(date_from_json(item) for item in row.dates),
    )


def windows_in_full(
    session: Session, rows: Iterable[Schedule], now: datetime
) -> dict[str, Windows]:
    """Return stored schedules with the days off of their calendars, by id, in one statement."""
    known = list(rows)
    named = named_days_off(session, [name for row in known for name in row.calendars], now)
    return {row.id: windows_of(row, united(named, row.calendars)) for row in known}


def full(session: Session, row: Schedule, now: datetime) -> Windows:
    """Return one stored schedule with the days off of its calendars."""
    return windows_in_full(session, [row], now)[row.id]


def named_days_off(
    session: Session, names: Collection[str], now: datetime
) -> dict[str, dict[date, str]]:
    """Return the days off near `now` of each calendar, with what they are called."""
    return {
        row.name: near(row.dates, now) for row in calendars.by_names(session, sorted(set(names)))
    }


def near(names: Mapping[str, str], now: datetime) -> dict[date, str]:
    """Return the dates of a calendar that schedules look at, with what they are called."""
    low, high = f"{now.year - YEARS_BEFORE:04d}-01-01", f"{now.year + YEARS_AFTER:04d}-12-31"
    return {
        date.fromisoformat(day): str(called) for day, called in names.items() if low <= day <= high
    }


def united(named: Mapping[str, Mapping[date, str]], names: Sequence[str]) -> dict[date, str]:
    """Return the days off of several calendars; the first that has a date names it."""
    found: dict[date, str] = {}
    for name in names:
        for day, called in named.get(name, {}).items():
            found.setdefault(day, called)
    return found


def quiet_hours_of(row: IdlePolicy) -> Windows:
    """Return the quiet hours of an idle policy that has a zone for them."""
    return Windows(
        row.quiet_timezone, tuple(window_from_json(item) for item in row.quiet_windows), 0
    )


def window_from_json(item: Mapping[str, Any]) -> Window:
    """Return a window from `{"days": [0..6], "start": "08:00", "end": …, "keep_running": …}`.

    It may have `ready_by`, `month_days`, and `nth_weekdays` as pairs of number and weekday.
    """
    return Window(
        days=frozenset(item["days"]),
        start=time.fromisoformat(item["start"]),
        end=time.fromisoformat(item["end"]),
        keep_running=bool(item.get("keep_running", False)),
        ready_by=bool(item.get("ready_by", False)),
        month_days=frozenset(item.get("month_days", ())),
        nth_weekdays=frozenset((nth, day) for nth, day in item.get("nth_weekdays", ())),
    )


def window_to_json(window: Window) -> dict[str, Any]:
    """Return the stored form of a window; days count from Monday, 0. What is usual is left out."""
    item: dict[str, Any] = {
        "days": sorted(window.days),
        "start": f"{window.start:%H:%M}",
        "end": f"{window.end:%H:%M}",
        "keep_running": window.keep_running,
    }
    if window.ready_by:
        item["ready_by"] = True
    if window.month_days:
        item["month_days"] = sorted(window.month_days, key=lambda day: (day < 0, day))
    if window.nth_weekdays:
        item["nth_weekdays"] = sorted(list(pair) for pair in window.nth_weekdays)
    return item


def point_from_json(item: Mapping[str, Any]) -> CronPoint:
    """Return a cron point from `{"expression": "0 19 * * *", "action": "stop"}`."""
    return CronPoint(item["expression"], PointAction(item["action"]))


def points_to_json(
    points: Sequence[CronPoint], before: Sequence[Mapping[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    """Return the stored form of points; one that stood before keeps since when it stands."""
    known = {(item["expression"], item["action"]): item["since"] for item in before}
    return [
        {
            "expression": point.expression,
            "action": str(point.action),
            "since": known.get((point.expression, point.action), now.isoformat()),
        }
        for point in points
    ]


def date_from_json(item: Mapping[str, Any]) -> DateRule:
    """Return an exception from `{"day": "2026-12-24", "kind": "off", "windows": [], "note": …}`."""
    return DateRule(
        day=date.fromisoformat(item["day"]),
        kind=DateKind(item["kind"]),
        windows=tuple(window_from_json({"days": range(7), **one}) for one in item["windows"]),
        note=item.get("note", ""),
    )


def date_to_json(rule: DateRule) -> dict[str, Any]:
    """Return the stored form of an exception; its windows have no days."""
    windows = [window_to_json(window) for window in rule.windows]
    return {
        "day": rule.day.isoformat(),
        "kind": str(rule.kind),
        "windows": [{key: one[key] for key in one if key != "days"} for one in windows],
        "note": rule.note,
    }
