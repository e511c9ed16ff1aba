"""Windows that change nothing, and windows that never come."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.domain.schedules.civil import exceptional_days, is_kept, matches
from orchestrator.domain.schedules.findings import Finding, FindingCode
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.text import format_window
from orchestrator.domain.schedules.week import is_covered, united_mask, week_mask

_DAY = timedelta(days=1)
# Long enough for days of the month and of the week to meet in every way that matters.
_PATTERN_DAYS = 4 * 366


@dataclass(frozen=True, slots=True)
class _Judged:
    """A civil date on which windows are compared, as on any such date or with its exceptions."""

    day: date
    heeding: bool


def on_windows(schedule: Schedule, days: Sequence[date]) -> Iterator[Finding]:
    """Windows that change nothing, judged from the last; each is left out of the later judging."""
    judged = _to_judge(schedule, days)
    useful = list(enumerate(schedule.windows))
    findings = []
    for number, window in reversed(useful.copy()):
        others = [other for place, other in useful if place != number]
        finding = _never(schedule, number, days) or _useless(schedule, number, others, judged)
        if finding:
            useful.remove((number, window))
            findings.append(finding)
    yield from reversed(findings)


def _is_covered(schedule: Schedule, window: Window, others: Iterable[Window], at: _Judged) -> bool:
    """Whether others, started the day before, that day or the next, cover a window of a date."""
    near = [(shift, _Judged(at.day + shift * _DAY, at.heeding)) for shift in (-1, 0, 1)]
    started = (
        (other, shift)
        for other in others
        for shift, judged in near
        if _starts(schedule, other, judged)
    )
    return is_covered(window, started)


def _to_judge(schedule: Schedule, days: Sequence[date]) -> list[_Judged]:
    """One week where all are alike, else years; and the dates around exceptions to come."""
    weekly = all(window.is_weekly for window in schedule.windows)
    count = 7 if weekly else _PATTERN_DAYS
    usual = [
        _Judged(day + ahead * _DAY, heeding=False) for day in days[:1] for ahead in range(count)
    ]
    exceptional = exceptional_days(schedule)
    near = {day + shift * _DAY for day in exceptional for shift in (-1, 0, 1)}
    return usual + [_Judged(day, heeding=True) for day in days if day in near]


def _starts(schedule: Schedule, window: Window, at: _Judged) -> bool:
    return matches(window, at.day) and (not at.heeding or is_kept(schedule, at.day))


def _never(schedule: Schedule, number: int, days: Sequence[date]) -> Finding | None:
    window = schedule.windows[number]
    if not (days and schedule.has_exceptions):
        return None
    if any(_starts(schedule, window, _Judged(day, heeding=True)) for day in days):
        return None
    message = (
        f"{format_window(window)} starts on no date of the next {len(days) // 7} weeks, because "
        "exceptions take all of them; remove it, or an exception"
    )
    return Finding(FindingCode.WINDOW_NEVER, message, window=number)


def _useless(
    schedule: Schedule, number: int, others: list[Window], judged: list[_Judged]
) -> Finding | None:
    window = schedule.windows[number]
    shown = format_window(window)
    if any(_same(window, other, judged) for other in others):
        message = f"{shown} says the same as another window; remove one of them"
        return Finding(FindingCode.WINDOW_DUPLICATE, message, window=number)
    if _shows_in_a_week(schedule, window, others):
        return None
    starts = [at for at in judged if _starts(schedule, window, at)]
    if starts and all(_is_covered(schedule, window, others, at) for at in starts):
        message = f"{shown} changes nothing, because other windows cover it; remove it"
        return Finding(FindingCode.WINDOW_COVERED, message, window=number)
    return None


def _shows_in_a_week(schedule: Schedule, window: Window, others: list[Window]) -> bool:
    """A quick no to most: where all windows are weekly, minutes that no other one covers."""
    if not all(one.is_weekly for one in schedule.windows):
        return False
    strong = (other for other in others if other.keep_running >= window.keep_running)
    return week_mask(window) & ~united_mask(strong) != 0


def _same(one: Window, other: Window, judged: list[_Judged]) -> bool:
    alike = (one.start, one.end, one.keep_running, one.ready_by) == (
        (other.start, other.end, other.keep_running, other.ready_by)
    )
    return alike and all(matches(one, at.day) == matches(other, at.day) for at in judged)
