"""Schedules as a person writes them, and what they amount to in instants."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from orchestrator.domain.schedules.cron import check_expression
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.zones import zone

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = frozenset(range(7))
LONGEST_DRAIN_MINUTES = 24 * 60
_MONTH_DAYS = frozenset(range(1, 32)) | frozenset(range(-31, 0))
_NTHS = frozenset(range(1, 6)) | frozenset(range(-5, 0))


class PointAction(StrEnum):
    """What a cron point asks for, until the next edge of its schedule."""

    START = "start"
    STOP = "stop"


class DateKind(StrEnum):
    """What becomes of the windows that usually start on a civil date."""

    OFF = "off"
    EXTRA = "extra"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Window:
    """The civil dates on which it starts, and two wall-clock times of minute resolution.

    It starts on a date that any of the three matches: ``days`` of the week (0 is Monday),
    ``month_days`` (1 to 31, or -1 for the last to -31), ``nth_weekdays`` ((1, 0) is the first
    Monday of a month, (-1, 4) its last Friday). An ``end`` at or before ``start`` means the next
    day, so equal times mean 24 hours. A ``ready_by`` window starts early by the start-up time.
    Raises :class:`ScheduleError`.
    """

    days: frozenset[int]
    start: time
    end: time
    keep_running: bool = False
    ready_by: bool = False
    month_days: frozenset[int] = frozenset()
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()

    def __post_init__(self) -> None:
        if not (self.days or self.month_days or self.nth_weekdays):
            raise ScheduleError("days", "name at least one day, such as mon-fri")
        if not self.days <= EVERY_DAY:
            raise ScheduleError("days", "each must be from 0 (Monday) to 6 (Sunday)")
        _check_month_days(self.month_days)
        _check_nth_weekdays(self.nth_weekdays)
        _check_time("start", self.start)
        _check_time("end", self.end)

    @property
    def ends_next_day(self) -> bool:
        """Whether the end is on the civil day after the start; 24:00 counts as the next day."""
        return self.end <= self.start

    @property
    def is_weekly(self) -> bool:
        """Whether each week is like the other: days of the week decide alone."""
        return not (self.month_days or self.nth_weekdays)


@dataclass(frozen=True, slots=True)
class CronPoint:
    """A cron expression of five fields in the schedule's zone, and what happens then.

    The expression is checked by the schedule that holds the point.
    """

    expression: str
    action: PointAction


@dataclass(frozen=True, slots=True)
class DateRule:
    """An exception for the windows that start on one civil date of the schedule's zone.

    ``off`` removes the usual ones; ``extra`` adds its own, also on a day off; ``replaced`` puts
    its own in the place of all others. Days of its windows are ignored, and kept as every day.
    Raises :class:`ScheduleError`.
    """

    day: date
    kind: DateKind
    windows: tuple[Window, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.day, datetime):
            raise ScheduleError("day", "is a civil date without a time, such as 2026-12-24")
        if self.kind is DateKind.OFF and self.windows:
            raise ScheduleError("windows", "a day off has none; make it extra or replaced")
        if self.kind is not DateKind.OFF and not self.windows:
            problem = (
                f"a day of kind {self.kind} needs a window, such as 10:00-16:00; or make it off"
            )
            raise ScheduleError("windows", problem)
        object.__setattr__(self, "windows", tuple(_on_every_day(one) for one in self.windows))


@dataclass(frozen=True)
class Schedule:
    """Windows in one IANA zone with their exceptions, and cron points.

    ``drain_minutes``: for how long an end may wait for requests. ``days_off`` come from named
    calendars and mean what a :class:`DateRule` of kind ``off`` means. Raises
    :class:`ScheduleError`.
    """

    timezone: str
    windows: tuple[Window, ...]
    drain_minutes: int = 30
    points: tuple[CronPoint, ...] = ()
    days_off: frozenset[date] = frozenset()
    dates: tuple[DateRule, ...] = ()

    def __post_init__(self) -> None:
        zone(self.timezone)
        if not 0 <= self.drain_minutes <= LONGEST_DRAIN_MINUTES:
            problem = f"must be from 0 to {LONGEST_DRAIN_MINUTES} minutes"
            raise ScheduleError("drain_minutes", problem)
        for place, point in enumerate(self.points):
            check_expression(f"points[{place}].expression", point.expression)
        _check_replaced_once(self.dates)

    @property
    def only_points(self) -> bool:
        """Whether it has points and no windows at all: between its points it asks for nothing.

        Without this a schedule of one stop point would pause its endpoints for ever.
        """
        return bool(self.points) and not (self.windows or any(rule.windows for rule in self.dates))

    @property
    def has_exceptions(self) -> bool:
        """Whether any civil date differs from what its windows say."""
        return bool(self.days_off or self.dates)

    @cached_property
    def rules_by_date(self) -> Mapping[date, tuple[DateRule, ...]]:
        """The exceptions of each civil date, those of calendars aside."""
        found: dict[date, tuple[DateRule, ...]] = {}
        for rule in self.dates:
            found[rule.day] = (*found.get(rule.day, ()), rule)
        return MappingProxyType(found)

    @cached_property
    def is_weekly(self) -> bool:
        """Whether all its windows are weekly and no date is an exception."""
        return not self.has_exceptions and all(window.is_weekly for window in self.windows)


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of time ``[start, end)`` in UTC.

    ``opens_at`` is set where it begins with the start-up time of a ``ready_by`` window: the first
    instant at which a window itself is open. That may lie past the end of an interval that was
    cut. None means at ``start``.
    """

    start: datetime
    end: datetime
    keep_running: bool
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What the windows say at one instant, and when they next say something else.

    ``window_start``, ``window_end`` and ``next_start`` are about being inside any window at all,
    start-up time included; ``next_edge`` is also the instant at which only ``keep_running``
    changes. ``opens_at`` is set while only start-up time runs: when the window itself opens.
    ``next_opens`` is when the window of ``next_start`` itself opens. None means never, or no.
    Cron points have no part in it.
    """

    inside: bool
    keep_running: bool
    window_start: datetime | None
    window_end: datetime | None
    next_start: datetime | None
    next_edge: datetime | None
    opens_at: datetime | None = None
    next_opens: datetime | None = None

    @property
    def end_of_run(self) -> datetime | None:
        """Until when something runs on that runs until the next edge: a window that follows takes
        over when it opens, since its early start moves with what is measured.
        """
        return self.next_edge if self.inside else self.next_opens or self.next_edge


@dataclass(frozen=True, slots=True)
class PointFiring:
    """One instant, in UTC, at which a cron point acts."""

    at: datetime
    action: PointAction
    expression: str


def _on_every_day(window: Window) -> Window:
    return replace(window, days=EVERY_DAY, month_days=frozenset(), nth_weekdays=frozenset())


def _check_month_days(days: frozenset[int]) -> None:
    if not days <= _MONTH_DAYS:
        raise ScheduleError("month_days", "each must be from 1 to 31, or from -1 (the last) to -31")


def _check_nth_weekdays(pairs: frozenset[tuple[int, int]]) -> None:
    if not all(nth in _NTHS and day in EVERY_DAY for nth, day in pairs):
        problem = "each must be a number from 1 to 5, or -1 (the last) to -5, and a day from 0 to 6"
        raise ScheduleError("nth_weekdays", problem)


def _check_replaced_once(dates: tuple[DateRule, ...]) -> None:
    seen: set[date] = set()
    for place, rule in enumerate(dates):
        if rule.kind is DateKind.REPLACED:
            if rule.day in seen:
                problem = f"{rule.day} is replaced twice; put all windows of the day into one"
                raise ScheduleError(f"dates[{place}].day", problem)
            seen.add(rule.day)


def _check_time(field: str, value: time) -> None:
    if value.tzinfo is not None:
        raise ScheduleError(field, "is a wall-clock time; the zone belongs to the schedule")
    if value.second or value.microsecond:
        raise ScheduleError(field, "must be a whole minute, such as 08:00")
