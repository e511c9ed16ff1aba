"""Exceptions that change nothing or are over."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

from orchestrator.domain.schedules.civil import is_off, starting, usual
from orchestrator.domain.schedules.findings import Finding, FindingCode
from orchestrator.domain.schedules.model import DateKind, DateRule, Schedule, Window
from orchestrator.domain.schedules.week import is_covered

_DAY = timedelta(days=1)


def on_exceptions(schedule: Schedule, today: date) -> Iterator[Finding]:
    """One remark at most on each exception, in their order; days off of calendars have none."""
    for number, rule in enumerate(schedule.dates):
        found = _on_exception(schedule, number, rule, today)
        if found:
            code, message = found
            yield Finding(code, message, rule.day, exception=number)


def _on_exception(
    schedule: Schedule, number: int, rule: DateRule, today: date
) -> tuple[FindingCode, str] | None:
    shown = f"the exception {rule.kind} on {rule.day}"
    if rule.day < today:
        return FindingCode.DATE_PAST, f"{shown} is over; remove it"
    if any(_says_same(rule, other) for other in schedule.dates[:number]):
        return FindingCode.DATE_DUPLICATE, f"{shown} is there twice; remove one of them"
    same_day = schedule.rules_by_date[rule.day]
    if rule.kind is not DateKind.REPLACED and any(
        other.kind is DateKind.REPLACED for other in same_day
    ):
        message = f"{shown} changes nothing, because the day is replaced; remove one of the two"
        return FindingCode.DATE_OVERRULED, message
    judge = {DateKind.OFF: _on_off, DateKind.EXTRA: _on_extra, DateKind.REPLACED: _on_replaced}
    return judge[rule.kind](schedule, rule, shown)


def _on_off(schedule: Schedule, rule: DateRule, shown: str) -> tuple[FindingCode, str] | None:
    if rule.day in schedule.days_off:
        message = f"{shown} changes nothing, because a calendar has the day off; remove it"
        return FindingCode.DATE_DUPLICATE, message
    if not usual(schedule, rule.day):
        message = f"{shown} changes nothing, because no window starts on that date; check the date"
        return FindingCode.DAY_OFF_WITHOUT_WINDOW, message
    return None


def _on_extra(schedule: Schedule, rule: DateRule, shown: str) -> tuple[FindingCode, str] | None:
    """Covered by what starts anyway, that day, the day before or the day after."""
    around = list(_anyway(schedule, rule))
    if not all(is_covered(window, around) for window in rule.windows):
        return None
    message = f"{shown} changes nothing, because other windows cover it; remove it"
    return FindingCode.EXTRA_COVERED, message


def _anyway(schedule: Schedule, rule: DateRule) -> Iterator[tuple[Window, int]]:
    """What starts around the date of an exception without it."""
    rest = replace(schedule, dates=tuple(one for one in schedule.dates if one is not rule))
    for shift in (-1, 0, 1):
        for window in starting(rest, rule.day + shift * _DAY):
            yield window, shift


def _on_replaced(schedule: Schedule, rule: DateRule, shown: str) -> tuple[FindingCode, str] | None:
    rules = [one for one in schedule.rules_by_date[rule.day] if one is not rule]
    if is_off(schedule, rule.day, rules) or _hours(usual(schedule, rule.day)) != _hours(
        rule.windows
    ):
        return None
    message = f"{shown} changes nothing, because its windows are the usual ones; remove it"
    return FindingCode.REPLACED_SAME, message


def _says_same(one: DateRule, other: DateRule) -> bool:
    return (one.day, one.kind, one.windows) == (other.day, other.kind, other.windows)


def _hours(windows: Sequence[Window]) -> set[tuple[object, ...]]:
    return {(one.start, one.end, one.keep_running, one.ready_by) for one in windows}
