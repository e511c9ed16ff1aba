"""Which windows start on a civil date, by the calendar alone: no clocks, no instants."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date

from orchestrator.domain.schedules.model import DateKind, DateRule, Schedule, Window


def matches(window: Window, day: date) -> bool:
    """Whether a window usually starts on a civil date, exceptions aside."""
    if day.weekday() in window.days:
        return True
    if window.is_weekly:
        return False
    length = monthrange(day.year, day.month)[1]
    from_end = day.day - length - 1
    if day.day in window.month_days or from_end in window.month_days:
        return True
    nths = ((day.day + 6) // 7, -((6 - from_end) // 7))
    return any((nth, day.weekday()) in window.nth_weekdays for nth in nths)


def usual(schedule: Schedule, day: date) -> list[Window]:
    """The windows that start on a civil date when no exception is made for it."""
    return [window for window in schedule.windows if matches(window, day)]


def starting(schedule: Schedule, day: date) -> Sequence[Window]:
    """The windows that start on a civil date: replaced, else the usual but on a day off, and extra.

    Whether the zone lived through that date at all is not asked here.
    """
    rules = schedule.rules_by_date.get(day, ())
    for rule in rules:
        if rule.kind is DateKind.REPLACED:
            return rule.windows
    kept = [] if is_off(schedule, day, rules) else usual(schedule, day)
    return [*kept, *(window for rule in rules for window in rule.windows)]


def is_off(schedule: Schedule, day: date, rules: Sequence[DateRule]) -> bool:
    """Whether a calendar or one of the date's ``rules`` makes it a day off."""
    return day in schedule.days_off or any(rule.kind is DateKind.OFF for rule in rules)


def is_kept(schedule: Schedule, day: date) -> bool:
    """Whether the usual windows of a civil date start: it is neither replaced nor a day off."""
    rules = schedule.rules_by_date.get(day, ())
    replaced = any(rule.kind is DateKind.REPLACED for rule in rules)
    return not replaced and not is_off(schedule, day, rules)


def exceptional_days(schedule: Schedule) -> frozenset[date]:
    """The civil dates for which any exception is made."""
    return schedule.days_off | schedule.rules_by_date.keys()
