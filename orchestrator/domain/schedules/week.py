"""The nominal week: which minutes of Monday to Sunday windows cover, clock changes aside."""

from collections.abc import Iterable
from datetime import time

from orchestrator.domain.schedules.model import Window

_DAY = 24 * 60
_WEEK = 7 * _DAY
WHOLE_WEEK = (1 << _WEEK) - 1


def week_mask(window: Window) -> int:
    """A bit for each minute of the week (bit 0 is Monday 00:00), set where the window covers it."""
    begin, end = _minute(window.start), _minute(window.end)
    length = end - begin + (_DAY if window.ends_next_day else 0)
    mask = 0
    for day in window.days:
        mask |= ((1 << length) - 1) << (day * _DAY + begin)
    return (mask & WHOLE_WEEK) | (mask >> _WEEK)


def united_mask(windows: Iterable[Window]) -> int:
    """The minutes of the week that at least one of the windows covers."""
    mask = 0
    for window in windows:
        mask |= week_mask(window)
    return mask


def _minute(value: time) -> int:
    return value.hour * 60 + value.minute
