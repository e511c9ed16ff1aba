"""When a scheduled action of Application Auto Scaling fires: at(...), rate(...), cron(...).

A cron expression has six fields: minutes, hours, day of month, month, day of week (1 is Sunday),
year; one of the two days is `?`. `L`, `W` and `#` are not simulated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.sandbox.aws.errors import invalid
from orchestrator.sandbox.instants import DAY, HOUR, MINUTE, to_datetime, to_instant

_FORM = re.compile(r"(at|rate|cron)\(([^()]+)\)")
_WORDS = (
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    *("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
)
_UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
_MONTHS = {name: n for n, name in enumerate(_WORDS[:12], 1)}
_DAYS = {name: n for n, name in enumerate(_WORDS[12:], 1)}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
_HORIZON_DAYS = 800


def check(action: Mapping[str, Any]) -> None:
    """Raises AwsError for an expression or a time zone that is not understood."""
    kind, text = _parsed(action["Schedule"])
    _zone(action)
    if kind == "cron":
        _fields(text)
    elif kind == "at":
        _moment(text)
    else:
        _rate(text)


def next_fire(action: Mapping[str, Any], now: int) -> int | None:
    """The first instant after now at which the action fires, None if there is none."""
    end = action.get("EndTime")
    start = action.get("StartTime")
    after = max(now, to_instant(start) - 1) if start else now
    kind, text = _parsed(action["Schedule"])
    found = {"at": _next_at, "rate": _next_rate, "cron": _next_cron}[kind](action, text, after)
    return None if found is None or (end and found > to_instant(end)) else found


def _parsed(text: str) -> tuple[str, str]:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise invalid("The schedule expression is not valid.")
    return found[1], found[2].strip()


def _zone(action: Mapping[str, Any]) -> ZoneInfo:
    name = action.get("Timezone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise invalid(f"The timezone {name} is not valid.") from error


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise invalid("The schedule expression is not valid.") from error


def _rate(text: str) -> int:
    number, _, unit = text.partition(" ")
    span = _UNITS.get(unit.removesuffix("s"))
    if span is None or not number.isdecimal() or int(number) < 1:
        raise invalid("The schedule expression is not valid.")
    return int(number) * span


def _next_at(action: Mapping[str, Any], text: str, after: int) -> int | None:
    found = to_instant(_moment(text).replace(tzinfo=_zone(action)).astimezone(UTC))
    return found if found > after else None


def _next_rate(action: Mapping[str, Any], text: str, after: int) -> int | None:
    begun = to_instant(action.get("StartTime") or action["CreationTime"])
    span = _rate(text)
    return begun + ((after - begun) // span + 1) * span


def _next_cron(action: Mapping[str, Any], text: str, after: int) -> int | None:
    zone, fields = _zone(action), _fields(text)
    today = to_datetime(after).astimezone(zone).date() - timedelta(days=1)
    days = (today + timedelta(days=n) for n in range(_HORIZON_DAYS))
    instants = chain.from_iterable(_times(day, fields, zone) for day in days if _fits(day, fields))
    return next((found for found in instants if found > after), None)


def _fits(day: date, fields: list[frozenset[int]]) -> bool:
    _, _, days, months, weekdays, years = fields
    weekday = day.isoweekday() % 7 + 1
    return day.day in days and day.month in months and weekday in weekdays and day.year in years


def _times(day: date, fields: list[frozenset[int]], zone: ZoneInfo) -> Iterator[int]:
    for hour in sorted(fields[1]):
        for minute in sorted(fields[0]):
            local = datetime.combine(day, time(hour, minute), zone)
            yield to_instant(local.astimezone(UTC))


def _fields(text: str) -> list[frozenset[int]]:
    parts = text.upper().split()
    if len(parts) != len(_BOUNDS):
        raise invalid("The schedule expression is not valid.")
    names: list[dict[str, int]] = [{}, {}, {}, _MONTHS, _DAYS, {}]
    return [
        frozenset(chain.from_iterable(_span(one, low, high, known) for one in part.split(",")))
        for part, (low, high), known in zip(parts, _BOUNDS, names, strict=True)
    ]


def _span(text: str, low: int, high: int, names: Mapping[str, int]) -> range:
    body, _, step = text.partition("/")
    first, _, last = body.partition("-")
    if first in {"*", "?"}:
        begin, end = low, high
    else:
        begin = _value(first, names)
        end = _value(last, names) if last else high if step else begin
    every = _value(step, {}) if step else 1
    if not low <= begin <= end <= high or every < 1:
        raise invalid("The schedule expression is not valid.")
    return range(begin, end + 1, every)


def _value(text: str, names: Mapping[str, int]) -> int:
    if text in names:
        return names[text]
    if not text.isdecimal():
        raise invalid("The schedule expression is not valid.")
    return int(text)
