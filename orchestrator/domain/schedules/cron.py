"""Cron expressions of five fields, read as the wall clock of a zone; clock changes aside.

The grammar is that of ``cronsim``: Debian's, with names, ``L``, ``LW`` and ``MON#2``.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

from orchestrator.domain.schedules.errors import ScheduleError

LONGEST_EXPRESSION = 100
_FIELDS = 5
_MONTH = 3
_ORDER = "minute hour day-of-month month day-of-week"
_EXAMPLE = "write it like 0 19 * * mon-fri"
# Any past instant will do: cronsim gives up only after 50 years, so an expression that fires
# on some date of the calendar is found.
_LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall, which has no zone


def check_expression(field: str, expression: str) -> None:
    """Raise ScheduleError about ``field`` where the expression cannot be read or never fires."""
    problem = _problem(expression)
    if problem:
        raise ScheduleError(field, problem)


def walls_after(expression: str, wall: datetime) -> Iterator[datetime]:
    """The walls after ``wall`` at which the expression fires, in order, for up to 50 years."""
    return CronSim(expression, wall)


@lru_cache(maxsize=1024)
def _problem(expression: str) -> str:
    """What is wrong with an expression, or nothing."""
    if len(expression) > LONGEST_EXPRESSION:
        return f"is longer than {LONGEST_EXPRESSION} characters; {_EXAMPLE}"
    parts = expression.split()
    if len(parts) != _FIELDS:
        seconds = ", seconds are not supported" if len(parts) == _FIELDS + 1 else ""
        count = f"{len(parts)} field{'' if len(parts) == 1 else 's'}"
        return f"{expression!r} has {count} instead of 5 ({_ORDER}){seconds}; {_EXAMPLE}"
    bad = _unreadable(expression)
    if bad is None:
        return "" if _fires(expression) else _never(expression)
    always = " ".join([*parts[:_MONTH], "*", *parts[_MONTH + 1 :]])
    if _unreadable(always) is None and _unreadable(f"* * * {parts[_MONTH]} *") is None:
        return _never(expression)
    return f"{expression!r} cannot be read: {bad}; {_EXAMPLE}"


def _unreadable(expression: str) -> str | None:
    try:
        CronSim(expression, _LONG_AGO)
    except CronSimError as error:
        return str(error).lower()
    return None


def _fires(expression: str) -> bool:
    return next(walls_after(expression, _LONG_AGO), None) is not None


def _never(expression: str) -> str:
    return f"{expression!r} never fires: no such date exists; choose another day or month"
