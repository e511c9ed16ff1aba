"""The nominal week: which minutes of Monday to Sunday windows cover, clock changes aside.

Only their days of the week count, which is the least that they cover in any week.
"""

from collections.abc import Collection, Iterable
from datetime import time
from functools import lru_cache

from orchestrator.domain.schedules.model import Window

_DAY = 24 * 60
_WEEK = 7 * _DAY
# A start-up time is not known here; one this long is allowed for.
_HEAD_START = 3 * 60
WHOLE_WEEK = (1 << _WEEK) - 1


@lru_cache(maxsize=1024)
def week_mask(window: Window) -> int:
    """A bit for each minute of the week (bit 0 is Monday 00:00), set where the window covers it."""
    begin, length = _minute(window.start), nominal_minutes(window)
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


def covers_whole_week(windows: Collection[Window]) -> bool:
    """Whether they leave no minute of any week free; quick to tell where they are too short."""
    total = sum(len(window.days) * nominal_minutes(window) for window in windows)
    return total >= _WEEK and united_mask(windows) == WHOLE_WEEK


def is_covered(window: Window, around: Iterable[tuple[Window, int]]) -> bool:
    """Whether others that ask for no less cover a window on every minute of the wall clock.

    Each comes with its first day, counted from the one on which the window starts: -1, 0 or 1.
    """
    head = _HEAD_START if window.ready_by else 0
    mask = 0
    for other, shift in around:
        if other.keep_running >= window.keep_running:
            mask |= _minutes(other, shift, head if other.ready_by else 0)
    return _minutes(window, 0, head) & ~mask == 0


def _minutes(window: Window, shift: int, head: int) -> int:
    """A bit for each minute from two days before a date on."""
    begin = (2 + shift) * _DAY + _minute(window.start) - head
    return ((1 << (nominal_minutes(window) + head)) - 1) << begin


def nominal_minutes(window: Window) -> int:
    """From start to end by the wall clock: 1 to 1440 minutes."""
    overnight = _DAY if window.ends_next_day else 0
    return _minute(window.end) - _minute(window.start) + overnight


def _minute(value: time) -> int:
    return value.hour * 60 + value.minute
