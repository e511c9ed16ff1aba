"""Schedules as people write and read them: ``mon-fri 08:00-19:00``, ``2026-12-24 off``."""

import re
from collections import Counter
from datetime import date, time

from orchestrator.domain.bounds import YEARS, is_within
from orchestrator.domain.schedules.daytext import (
    format_days,
    format_start_days,
    parse_days,
    parse_start_days,
    plain_dashes,
)
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import (
    CronPoint,
    DateKind,
    DateRule,
    PointAction,
    Schedule,
    Window,
)

__all__ = [
    "describe",
    "format_date_rule",
    "format_days",
    "format_point",
    "format_window",
    "parse_date_rule",
    "parse_days",
    "parse_point",
    "parse_time",
    "parse_window",
    "window_text",
]

_EXAMPLE = "write it like mon-fri 08:00-19:00"
_RULE_EXAMPLE = "write it like 2026-12-24 off or 2026-12-27 extra 10:00-16:00"
_POINT_EXAMPLE = "write it like stop 0 19 * * mon-fri"
_FLAGS = re.compile(r"(?: (?:keep[- ]running|ready[- ]by))+$", re.IGNORECASE)
_WINDOW = re.compile(r"(?P<days>[^:]*?)\s+(?P<start>[0-9:.]+)\s*-\s*(?P<end>[0-9:.]+)")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KIND_WORDS = {
    DateKind.OFF: ("day off", "days off"),
    DateKind.EXTRA: ("extra day", "extra days"),
    DateKind.REPLACED: ("replaced day", "replaced days"),
}


def describe(schedule: Schedule) -> str:
    """One sentence: ``Mon-Fri 08:00-19:00 and Sat 10:00-02:00 (next day), Europe/Berlin``.

    Points and the number of exceptions follow.
    """
    windows = [_describe_window(window) for window in schedule.windows]
    points = [f"{point.action} at {point.expression}" for point in schedule.points]
    if schedule.only_points:
        windows, points = points, []
    *most, last = windows or ["never"]
    sentence = f"{', '.join(most)} and {last}" if most else last
    return "; ".join([f"{sentence}, {schedule.timezone}", *points, *_describe_dates(schedule)])


def format_window(window: Window) -> str:
    """Its days and times: ``Mon-Fri 08:00-19:00``; see :func:`window_text` for all of it."""
    return f"{format_start_days(window)} {_times(window)}"


def window_text(window: Window) -> str:
    """The text from which :func:`parse_window` makes the same window."""
    return f"{format_window(window)}{_flags(window)}"


def parse_window(text: str, *, keep_running: bool = False) -> Window:
    """Read ``mon-fri 08:00-19:00`` or ``1st mon,last 22:00-24:00 ready-by keep-running``.

    Only an end may be ``24:00``; the two words are optional. Raises :class:`ScheduleError`.
    """
    plain = " ".join(plain_dashes(text).split())
    flags = _FLAGS.search(plain)
    said = flags[0].lower() if flags else ""
    found = _WINDOW.fullmatch(plain[: flags.start()] if flags else plain)
    if found is None:
        raise ScheduleError("window", f"cannot read {text!r}; {_EXAMPLE}")
    starts = parse_start_days(found["days"])
    return Window(
        days=starts.days,
        start=parse_time("start", found["start"]),
        end=parse_time("end", found["end"]),
        keep_running=keep_running or "keep" in said,
        ready_by="ready" in said,
        month_days=starts.month_days,
        nth_weekdays=starts.nth_weekdays,
    )


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


def format_date_rule(rule: DateRule) -> str:
    """The text from which :func:`parse_date_rule` makes the same rule."""
    windows = ", ".join(f"{_times(window)}{_flags(window)}" for window in rule.windows)
    note = " ".join(rule.note.split())
    parts = [rule.day.isoformat(), rule.kind, windows, f"# {note}" if note else ""]
    return " ".join(part for part in parts if part)


def parse_date_rule(text: str) -> DateRule:
    """Read ``2026-12-24 off``, ``2026-12-27 extra 10:00-16:00, 18:00-20:00 # sale``.

    The third kind is ``replaced``. Raises :class:`ScheduleError`.
    """
    plain, _, note = text.partition("#")
    day, _, rest = " ".join(plain_dashes(plain).split()).partition(" ")
    kind, _, times = rest.partition(" ")
    if kind.lower() not in set(DateKind):
        raise ScheduleError("date", f"cannot read {text!r}; {_RULE_EXAMPLE}")
    windows = [_parse_times(item.strip()) for item in times.split(",") if times]
    return DateRule(parse_date(day), DateKind(kind.lower()), tuple(windows), note.strip())


def _parse_times(text: str) -> Window:
    if not text[:1].isdigit():
        raise ScheduleError("windows", f"cannot read {text!r}; write only times, like 10:00-16:00")
    return parse_window(f"daily {text}")


def parse_date(text: str) -> date:
    """Read ``2026-12-24``; raises :class:`ScheduleError`."""
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        raise ScheduleError("day", f"{text!r} is not in the calendar; check the month") from None
    if day is not None:
        if not is_within(day):
            raise ScheduleError("day", f"{text!r} is too far away; name years from {YEARS}")
        return day
    raise ScheduleError("day", f"{text!r} is not a date; write it like 2026-12-24")


def format_point(point: CronPoint) -> str:
    """The text from which :func:`parse_point` makes the same point: ``stop 0 19 * * mon-fri``."""
    return f"{point.action} {point.expression}"


def parse_point(text: str) -> CronPoint:
    """Read ``start 0 7 * * mon-fri`` or ``stop at 0 19 * * *``; the schedule checks the expression.

    Raises :class:`ScheduleError`.
    """
    action, *rest = plain_dashes(text).split() or [""]
    if action.lower() not in set(PointAction):
        raise ScheduleError("point", f"cannot read {text!r}; {_POINT_EXAMPLE}")
    expression = rest[1:] if rest[:1] == ["at"] else rest
    return CronPoint(" ".join(expression), PointAction(action.lower()))


def _midnight_after(field: str) -> time:
    if field != "end":
        raise ScheduleError(field, "24:00 can only be an end; write 00:00 and the next day")
    return time()


def _describe_window(window: Window) -> str:
    notes = []
    if window.ends_next_day and window.end != time():
        notes.append("next day")
    if window.keep_running:
        notes.append("kept running")
    if window.ready_by:
        notes.append("ready by then")
    suffix = f" ({', '.join(notes)})" if notes else ""
    return f"{format_window(window)}{suffix}"


def _describe_dates(schedule: Schedule) -> list[str]:
    days = {(rule.kind, rule.day) for rule in schedule.dates}
    days |= {(DateKind.OFF, day) for day in schedule.days_off}
    counts = Counter(kind for kind, _ in days)
    return [
        f"{counts[kind]} {_KIND_WORDS[kind][counts[kind] != 1]}"
        for kind in DateKind
        if counts[kind]
    ]


def _times(window: Window) -> str:
    end = "24:00" if window.end == time() else f"{window.end:%H:%M}"
    return f"{window.start:%H:%M}-{end}"


def _flags(window: Window) -> str:
    kept = " keep-running" if window.keep_running else ""
    return f"{kept}{' ready-by' if window.ready_by else ''}"
