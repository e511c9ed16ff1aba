"""Weekly windows as a person writes them, and what they amount to in instants."""

from dataclasses import dataclass
from datetime import datetime, time

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.zones import zone

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_DRAIN_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Days of the week (0 is Monday) on which it starts, and two wall-clock times.

    An ``end`` at or before ``start`` means the next day, so equal times mean 24 hours.
    Times have minute resolution; raises :class:`ScheduleError`.
    """

    days: frozenset[int]
    start: time
    end: time
    keep_running: bool = False

    def __post_init__(self) -> None:
        if not self.days:
            raise ScheduleError("days", "name at least one day, such as mon-fri")
        if not self.days <= frozenset(range(7)):
            raise ScheduleError("days", "each must be from 0 (Monday) to 6 (Sunday)")
        _check_time("start", self.start)
        _check_time("end", self.end)

    @property
    def ends_next_day(self) -> bool:
        """Whether the end is on the civil day after the start; 24:00 counts as the next day."""
        return self.end <= self.start


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows in one IANA zone, and for how many minutes an end may wait for requests.

    Raises :class:`ScheduleError`.
    """

    timezone: str
    windows: tuple[Window, ...]
    drain_minutes: int = 30

    def __post_init__(self) -> None:
        zone(self.timezone)
        if not 0 <= self.drain_minutes <= LONGEST_DRAIN_MINUTES:
            problem = f"must be from 0 to {LONGEST_DRAIN_MINUTES} minutes"
            raise ScheduleError("drain_minutes", problem)


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of time ``[start, end)`` in UTC."""

    start: datetime
    end: datetime
    keep_running: bool


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What a schedule says at one instant, and when it next says something else.

    ``window_start``, ``window_end`` and ``next_start`` are about being inside any window at all;
    ``next_edge`` is also the instant at which only ``keep_running`` changes. None means never.
    """

    inside: bool
    keep_running: bool
    window_start: datetime | None
    window_end: datetime | None
    next_start: datetime | None
    next_edge: datetime | None


def _check_time(field: str, value: time) -> None:
    if value.tzinfo is not None:
        raise ScheduleError(field, "is a wall-clock time; the zone belongs to the schedule")
    if value.second or value.microsecond:
        raise ScheduleError(field, "must be a whole minute, such as 08:00")
