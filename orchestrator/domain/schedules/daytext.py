"""The dates of a window as people write and read them: ``mon-fri``, ``1st,last``, ``1st mon``.

Items are separated by commas. A number with its ending is a day of the month (``15th``), with a
day of the week behind it the nth of a month (``2nd tue``); ``last`` and ``2nd to last`` count from
the end. A range is of days of the week (``fri-mon``) or of the month (``1st-7th``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import DAY_NAMES, EVERY_DAY, Window

_EXAMPLE = "write them like mon-fri, sat,sun, daily, 15th, last or 1st mon"
_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_NUMBERS = {name.lower(): number for number, name in enumerate(DAY_NAMES)} | {
    name: number for number, name in enumerate(_FULL_NAMES)
}
_DAY_GROUPS = {
    "daily": EVERY_DAY,
    "weekdays": frozenset(range(5)),
    "weekend": frozenset({5, 6}),
}
_NUMBER = r"([0-9]{1,2})(?:st|nd|rd|th)"
_MONTH_RANGE = re.compile(f"{_NUMBER}-{_NUMBER}")
_ORDINAL = re.compile(rf"(?:{_NUMBER}(-?to-?last)?|last)-?([a-z]*)")
_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212", "------")
_SHORTEST_RANGE = 3


@dataclass(frozen=True, slots=True)
class StartDays:
    """The civil dates on which a window starts; the fields of :class:`Window` by these names."""

    days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()

    def __or__(self, other: "StartDays") -> "StartDays":
        return StartDays(
            self.days | other.days,
            self.month_days | other.month_days,
            self.nth_weekdays | other.nth_weekdays,
        )


def plain_dashes(text: str) -> str:
    """The text with every kind of dash as a hyphen."""
    return text.translate(_DASHES)


def parse_start_days(text: str) -> StartDays:
    """Read ``mon-fri``, ``1st,15th,last``, ``1st mon,last fri``; mixed ones unite.

    Raises :class:`ScheduleError`.
    """
    found = StartDays()
    for item in plain_dashes(text).lower().split(","):
        found |= _parse_item(" ".join(item.split()), "".join(item.split()))
    return found


def parse_days(text: str) -> frozenset[int]:
    """Read ``mon-fri``, ``sat,sun``, ``fri-mon``, ``daily``, ``weekdays`` or ``weekend``.

    Raises :class:`ScheduleError`.
    """
    found = parse_start_days(text)
    if found.month_days or found.nth_weekdays:
        raise ScheduleError("days", f"{text!r} is not of the week; write days like mon-fri")
    return found.days


def format_days(days: Iterable[int]) -> str:
    """Days of the week as ranges: ``Mon-Wed,Sat``; a range may run over Sunday: ``Fri-Mon``."""
    present = frozenset(days)
    if len(present) == len(DAY_NAMES):
        return "Mon-Sun"
    firsts = [day for day in sorted(present) if (day - 1) % 7 not in present]
    return ",".join(_format_run(first, present) for first in firsts)


def format_start_days(window: Window | StartDays) -> str:
    """The text from which :func:`parse_start_days` makes the same: ``Mon-Fri,15th,last Sat``."""
    nths = sorted(window.nth_weekdays, key=lambda pair: (pair[0] < 0, abs(pair[0]), pair[1]))
    parts = [
        format_days(window.days),
        *_format_month_days(window.month_days),
        *(f"{format_ordinal(nth)} {DAY_NAMES[day]}" for nth, day in nths),
    ]
    return ",".join(part for part in parts if part)


def format_ordinal(number: int) -> str:
    """``1st``, ``22nd``; from the end ``last``, ``2nd to last``."""
    if number == -1:
        return "last"
    size = abs(number)
    ending = "th" if size in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(size % 10, "th")
    return f"{size}{ending}{' to last' if number < 0 else ''}"


def _parse_item(shown: str, item: str) -> StartDays:
    group = _DAY_GROUPS.get(item)
    if group:
        return StartDays(group)
    months = _MONTH_RANGE.fullmatch(item)
    if months:
        return StartDays(month_days=_month_range(shown, int(months[1]), int(months[2])))
    ordinal = _ORDINAL.fullmatch(item)
    if ordinal:
        return _parse_ordinal(shown, ordinal)
    return StartDays(_parse_range(item))


def _parse_ordinal(item: str, found: re.Match[str]) -> StartDays:
    number = int(found[1] or 1)
    from_end = found[1] is None or found[2] is not None
    if not found[3]:
        number = _month_day(item, number)
        return StartDays(month_days=frozenset({-number if from_end else number}))
    day = _day_number(found[3])
    if not 1 <= number <= 5:
        raise ScheduleError("days", f"{item!r} never comes; count the days of a month from 1 to 5")
    return StartDays(nth_weekdays=frozenset({(-number if from_end else number, day)}))


def _month_range(item: str, first: int, last: int) -> frozenset[int]:
    if first >= last:
        raise ScheduleError("days", f"{item!r} runs backwards; write the smaller day first")
    return frozenset(range(_month_day(item, first), _month_day(item, last) + 1))


def _month_day(item: str, number: int) -> int:
    if not 1 <= number <= 31:
        raise ScheduleError("days", f"{item!r} is no day of a month; write 1st to 31st")
    return number


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
        raise ScheduleError("days", f"{name!r} is not a day; {_EXAMPLE}")
    return number


def _format_run(first: int, present: frozenset[int]) -> str:
    last = first
    while (last + 1) % 7 in present:
        last = (last + 1) % 7
    return DAY_NAMES[first] if first == last else f"{DAY_NAMES[first]}-{DAY_NAMES[last]}"


def _format_month_days(days: frozenset[int]) -> list[str]:
    """Ordinals, three or more in a row as a range; those from the end come last."""
    parts: list[str] = []
    run: list[int] = []
    for day in [*sorted(day for day in days if day > 0), 0]:
        if run and day != run[-1] + 1:
            parts += _format_month_run(run)
            run = []
        run.append(day)
    return parts + [format_ordinal(day) for day in sorted(days, reverse=True) if day < 0]


def _format_month_run(run: list[int]) -> list[str]:
    if len(run) < _SHORTEST_RANGE:
        return [format_ordinal(day) for day in run]
    return [f"{format_ordinal(run[0])}-{format_ordinal(run[-1])}"]
