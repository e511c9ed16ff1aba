"""Days off from the text of an iCalendar file (RFC 5545), read in a process of its own.

An all-day event makes each of its civil dates a day off; a timed one those that it covers from
midnight to midnight. Repetitions, exceptions and moved or cancelled occurrences count. The text
comes from anywhere: `main` sets limits of time and memory before it looks at it.
"""

from __future__ import annotations

import json
import resource
import sys
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

import recurring_ical_events  # type: ignore[import-untyped]  # it comes without types
from icalendar import Calendar, Component, Event

from orchestrator.domain.schedules.zones import UnknownZone
from orchestrator.domain.schedules.zones import zone as zone_of

MEMORY_BYTES = 1 << 30
MOST_EVENTS = 2000
LONGEST_NAME = 120
DAY_RULES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
MEND = "Mend that event, or take it out."
_DAY = timedelta(days=1)
_LEAP_YEAR = 2024
# What the parsers raise for a text that nobody foresaw.
_BROKEN = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)
# Some programs end a whole day a minute before midnight.
_NEARLY = timedelta(minutes=1)
_TICK = timedelta(microseconds=1)


class UnreadableError(Exception):
    """The text cannot be used; `remedy` says what would help."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(slots=True)
class Reading:
    """Days off by ISO date; `last_listed` is the last that does not come of an endless event."""

    names: dict[str, str] = field(default_factory=dict)
    last_listed: str = ""
    endless: bool = False
    partial: list[str] = field(default_factory=list)


def read(text: str, start: date, end: date, zone: tzinfo | None = None) -> Reading:
    """Return the days off from `start` to `end`, both included. Raises UnreadableError.

    Events in UTC are read on the clocks of `zone`, all others on their own.
    """
    reading = Reading()
    called: dict[date, set[str]] = {}
    for calendar in _calendars(text):
        clocks = zone or _zone_of(calendar)
        reading.endless = reading.endless or any(map(_is_endless, calendar.walk("VEVENT")))
        found = recurring_ical_events.of(calendar, keep_recurrence_attributes=True)
        for event in found.between(start, end + _DAY):
            _add(reading, called, event, clocks)
    for day in sorted(called):
        if start <= day <= end:
            reading.names[day.isoformat()] = ", ".join(sorted(called[day]))[:LONGEST_NAME]
    return reading


def _calendars(text: str) -> list[Calendar]:
    """Return the calendars of a text, with what is not safe to expand refused."""
    try:
        found = Calendar.from_ical(_without_zones(text), multiple=True)
    except _BROKEN as error:
        shown = str(error).splitlines() or [type(error).__name__]
        raise UnreadableError(
            f"it is no iCalendar file: {shown[0][:160]}", "Export it anew as .ics."
        ) from error
    events = [event for one in found for event in one.walk("VEVENT")]
    if not events:
        raise UnreadableError("it has no events", "Give a file with VCALENDAR and VEVENT.")
    if len(events) > MOST_EVENTS:
        raise UnreadableError(f"it has {len(events)} events", f"At most {MOST_EVENTS} are read.")
    for event in events:
        _check(event)
    return found


def _without_zones(text: str) -> str:
    """Return the text without its own definitions of zones: names of zones are looked up here.

    Long lines are joined first, as the name of a component may be folded too. A byte order mark,
    which programs on Windows put before a text, is none of it.
    """
    plain = text.lstrip("\ufeff").replace("\r\n", "\n")
    lines = plain.replace("\n ", "").replace("\n\t", "").split("\n")
    kept, inside = [], False
    for line in lines:
        word = line.strip().upper()
        inside = inside or word == "BEGIN:VTIMEZONE"
        if not inside:
            kept.append(line)
        inside = inside and word != "END:VTIMEZONE"
    return "\r\n".join(kept)


def _check(event: Component) -> None:
    name = _name(event)
    if event.errors:
        key, what = event.errors[0]
        raise UnreadableError(f"{key} of {name!r} cannot be read: {str(what)[:120]}", MEND)
    begin, end = (_instant_of(event, key) for key in ("DTSTART", "DTEND"))
    if begin is None:
        raise UnreadableError(f"{name!r} has no DTSTART", MEND)
    if end is not None:
        _check_order(name, begin, end)
    for rule in _rules(event):
        often = str((rule.get("FREQ") or [""])[0]).upper()
        within = {"BYHOUR", "BYMINUTE", "BYSECOND"} & {str(key).upper() for key in rule}
        if often not in DAY_RULES or within:
            raise UnreadableError(
                f"{name!r} repeats within a day", "A day off repeats daily at the most."
            )
        if _is_never(rule):
            raise UnreadableError(f"{name!r} repeats on a day that no month has", MEND)


def _is_never(rule: Any) -> bool:
    """Tell whether a rule asks for days such as 30 February only."""
    months, days = (_numbers(rule.get(key)) for key in ("BYMONTH", "BYMONTHDAY"))
    lengths = [monthrange(_LEAP_YEAR, month)[1] for month in months if 1 <= month <= 12]
    return bool(days and lengths) and all(abs(day) > max(lengths) for day in days)


def _numbers(given: Any) -> list[int]:
    listed = given if isinstance(given, list) else [] if given is None else [given]
    return [int(one) for one in listed]


def _instant_of(event: Component, key: str) -> date | None:
    """Return a date, or a date with a time; None where it is not given."""
    if key not in event:
        return None
    value = getattr(event[key], "dt", None)
    if not isinstance(value, date):
        raise UnreadableError(f"{key} of {_name(event)!r} is no date", MEND)
    return value


def _check_order(name: str, begin: date, end: date) -> None:
    if isinstance(begin, datetime) and isinstance(end, datetime):
        if (begin.tzinfo is None) != (end.tzinfo is None):
            raise UnreadableError(f"{name!r} has a zone at one end only", MEND)
    elif isinstance(begin, datetime) or isinstance(end, datetime):
        raise UnreadableError(f"{name!r} mixes a date and a time", MEND)
    if end < begin:
        raise UnreadableError(f"{name!r} ends before it starts", MEND)


def _rules(event: Component) -> list[Any]:
    given = event.get("RRULE")
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _zone_of(calendar: Calendar) -> tzinfo | None:
    named = str(calendar.get("X-WR-TIMEZONE") or "")
    try:
        return zone_of(named) if named else None
    except UnknownZone:
        return None


def _add(
    reading: Reading, called: dict[date, set[str]], event: Event, clocks: tzinfo | None
) -> None:
    if str(event.get("STATUS") or "").upper() == "CANCELLED":
        return
    name = _name(event)
    days = list(_days(event, clocks))
    reading.partial += [f"{name!r} on {day}" for day in _touched(event, clocks) if day not in days]
    for day in days:
        called.setdefault(day, set()).add(name)
    if days and not _is_endless(event):
        reading.last_listed = max(reading.last_listed, days[-1].isoformat())


def _is_endless(event: Component) -> bool:
    return any("UNTIL" not in rule and "COUNT" not in rule for rule in _rules(event))


def _days(event: Event, clocks: tzinfo | None) -> Iterator[date]:
    begin, end = event.start, event.end
    if isinstance(begin, datetime) and isinstance(end, datetime):
        yield from _whole_days(_on(begin, clocks), _on(end, clocks))
        return
    last = max(end, begin + _DAY)
    while begin < last:
        yield begin
        begin += _DAY


def _touched(event: Event, clocks: tzinfo | None) -> Iterator[date]:
    """Yield the first and last date of a timed event, which it may cover in part only."""
    if not isinstance(event.start, datetime) or not isinstance(event.end, datetime):
        return
    begin, end = _on(event.start, clocks), _on(event.end, clocks)
    last = end if end == begin else end - _TICK
    yield from dict.fromkeys((begin.date(), last.date()))


def _on(instant: datetime, clocks: tzinfo | None) -> datetime:
    """Return an instant that is given in UTC on the clocks of a zone; others have their own."""
    is_utc = str(instant.tzinfo) in ("UTC", "Etc/UTC")
    return instant.astimezone(clocks) if is_utc and clocks is not None else instant


def _whole_days(begin: datetime, end: datetime) -> Iterator[date]:
    day = begin.date()
    while day <= end.date():
        midnight = datetime.combine(day, time(), begin.tzinfo)
        after = datetime.combine(day + _DAY, time(), begin.tzinfo)
        if _instant(begin) <= _instant(midnight) and _instant(after) - _NEARLY <= _instant(end):
            yield day
        day += _DAY


def _instant(value: datetime) -> datetime:
    """Return the instant of a wall-clock time, so that spans across a clock change compare."""
    return value if value.tzinfo is None else value.astimezone(UTC)


def _name(event: Component) -> str:
    text = " ".join(str(event.get("SUMMARY") or "").split())
    return "".join(one for one in text if one.isprintable())[:LONGEST_NAME] or "day off"


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    zone = zone_of(asked["zone"]) if asked["zone"] else None
    start, end = (date.fromisoformat(asked[key]) for key in ("start", "end"))
    try:
        return asdict(read(asked["text"], start, end, zone))
    except UnreadableError as error:
        return {"error": str(error), "remedy": error.remedy}
    except _BROKEN as error:
        return {"error": f"it cannot be read: {str(error)[:160]}", "remedy": MEND}


def main() -> None:
    """Answer one question on the standard input, in so many seconds of the processor."""
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
