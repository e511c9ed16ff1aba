"""Windows as people write and read them: ``mon-fri 08:00-19:00``."""

import re
from collections.abc import Iterable
from datetime import time

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import DAY_NAMES, Schedule, Window

_EXAMPLE = "write it like mon-fri 08:00-19:00"
_DAYS_EXAMPLE = "write them like mon-fri, sat,sun or daily"
_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_NUMBERS = {name.lower(): number for number, name in enumerate(DAY_NAMES)} | {
    name: number for number, name in enumerate(_FULL_NAMES)
}
_DAY_GROUPS = {
    "daily": frozenset(range(7)),
    "weekdays": frozenset(range(5)),
    "weekend": frozenset({5, 6}),
}
_KEEP_RUNNING = re.compile(r" keep[- ]running$", re.IGNORECASE)
_WINDOW = re.compile(r"(?P<days>[^0-9:]*?)\s+(?P<start>[0-9:.]+)\s*-\s*(?P<end>[0-9:.]+)")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212", "------")


def describe(schedule: Schedule) -> str:
    """One sentence: ``Mon-Fri 08:00-19:00 and Sat 10:00-02:00 (next day), Europe/Berlin``."""
    parts = [_describe_window(window) for window in schedule.windows] or ["never"]
    *most, last = parts
    sentence = f"{', '.join(most)} and {last}" if most else last
    return f"{sentence}, {schedule.timezone}"


def format_window(window: Window) -> str:
    """The text from which :func:`parse_window` makes the same window, ``keep_running`` aside."""
    return f"{format_days(window.days)} {_times(window)}"


def format_days(days: Iterable[int]) -> str:
    """Days of the week as ranges: ``Mon-Wed,Sat``; a range may run over Sunday: ``Fri-Mon``."""
    present = frozenset(days)
    if len(present) == len(DAY_NAMES):
        return "Mon-Sun"
    firsts = [day for day in sorted(present) if (day - 1) % 7 not in present]
    return ",".join(_format_run(first, present) for first in firsts)


def parse_window(text: str, *, keep_running: bool = False) -> Window:
    """Read ``mon-fri 08:00-19:00``; the end may be ``24:00``; ``keep-running`` may follow.

    Raises :class:`ScheduleError`.
    """
    plain = " ".join(text.translate(_DASHES).split())
    kept = _KEEP_RUNNING.search(plain)
    plain = plain[: kept.start()] if kept else plain
    found = _WINDOW.fullmatch(plain)
    if found is None:
        raise ScheduleError("window", f"cannot read {text!r}; {_EXAMPLE}")
    return Window(
        days=parse_days(found["days"]),
        start=parse_time("start", found["start"]),
        end=parse_time("end", found["end"]),
        keep_running=keep_running or kept is not None,
    )


def parse_days(text: str) -> frozenset[int]:
    """Read ``mon-fri``, ``sat,sun``, ``fri-mon``, ``daily``, ``weekdays`` or ``weekend``.

    Raises :class:`ScheduleError`.
    """
    plain = "".join(text.translate(_DASHES).lower().split())
    days: frozenset[int] = frozenset()
    for item in plain.split(","):
        days |= _DAY_GROUPS.get(item) or _parse_range(item)
    return days


def parse_time(field: str, text: str) -> time:
    """Read ``08:00``; ``24:00`` is read as midnight where ``field`` is ``end``.

    Raises :class:`ScheduleError`.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ScheduleError(field, f"{text!r} is not hours and minutes; write it like 08:00")
    hour, minute = int(found[1]), int(found[2])
    if (hour, minute) == (24, 0):
        return _midnight_after(field)
    if hour > 23 or minute > 59:
        raise ScheduleError(field, f"{text!r} is not on the clock; write 00:00 to 23:59")
    return time(hour, minute)


def _midnight_after(field: str) -> time:
    if field != "end":
        raise ScheduleError(field, "24:00 can only be an end; write 00:00 and the next day")
    return time()


def _parse_range(item: str) -> frozenset[int]:
    first, dash, last = item.partition("-")
    begin = _day_number(first)
    if not dash:
        return frozenset({begin})
    end = _day_number(last)
    if begin == end:
        raise ScheduleError("days", f"{item!r} is one day or all; write {first} or daily")
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _day_number(name: str) -> int:
    number = _DAY_NUMBERS.get(name)
    if number is None:
        raise ScheduleError("days", f"{name!r} is not a day of the week; {_DAYS_EXAMPLE}")
    return number


def _format_run(first: int, present: frozenset[int]) -> str:
    last = first
    while (last + 1) % 7 in present:
        last = (last + 1) % 7
    return DAY_NAMES[first] if first == last else f"{DAY_NAMES[first]}-{DAY_NAMES[last]}"


def _describe_window(window: Window) -> str:
    notes = []
    if window.ends_next_day and window.end != time():
        notes.append("next day")
    if window.keep_running:
        notes.append("kept running")
    suffix = f" ({', '.join(notes)})" if notes else ""
    return f"{format_window(window)}{suffix}"


def _times(window: Window) -> str:
    end = "24:00" if window.end == time() else f"{window.end:%H:%M}"
    return f"{window.start:%H:%M}-{end}"
