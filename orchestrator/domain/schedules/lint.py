"""What a person should know before saving a schedule."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.occurrences import occurrence, walls_of
from orchestrator.domain.schedules.text import format_window
from orchestrator.domain.schedules.walls import Reading, as_utc, date_exists, reading, wall_at
from orchestrator.domain.schedules.week import WHOLE_WEEK, united_mask, week_mask
from orchestrator.domain.schedules.zones import zone

_EDGE_MESSAGES = {
    Reading.SKIPPED: "the clocks skip that time, so it means the instant of the change",
    Reading.REPEATED: "the clocks show that time twice, and the {which} counts",
}


class FindingCode(StrEnum):
    """What a finding is about; part of the API."""

    NEVER_ON = "never_on"
    ALWAYS_ON = "always_on"
    WINDOW_DUPLICATE = "window_duplicate"
    WINDOW_COVERED = "window_covered"
    WINDOW_EMPTY = "window_empty"
    START_ON_CLOCK_CHANGE = "start_on_clock_change"
    END_ON_CLOCK_CHANGE = "end_on_clock_change"
    DATE_SKIPPED = "date_skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark: ``when`` is a civil date in the schedule's zone, ``window`` counts from 0."""

    code: FindingCode
    message: str
    when: date | None = None
    window: int | None = None


def lint(schedule: Schedule, start: datetime, weeks: int = 56) -> list[Finding]:
    """Remarks on the windows themselves, then on those that clock changes touch, by date.

    Looks at the windows that start on the civil dates of so many weeks from ``start``.
    """
    rules = zone(schedule.timezone)
    first = wall_at(rules, as_utc(start)).date()
    dated = [
        finding
        for ahead in range(weeks * 7)
        for finding in _on_date(schedule, rules, first + timedelta(days=ahead))
    ]
    return [*_on_whole(schedule), *_on_windows(schedule), *dated]


def _on_whole(schedule: Schedule) -> Iterator[Finding]:
    covered = united_mask(schedule.windows)
    if covered == 0:
        yield Finding(FindingCode.NEVER_ON, "the schedule has no windows: it is never on")
    elif covered == WHOLE_WEEK:
        message = "the windows cover the whole week: the schedule is always on"
        yield Finding(FindingCode.ALWAYS_ON, message)


def _on_windows(schedule: Schedule) -> Iterator[Finding]:
    """Windows that change nothing, judged from the last; each is left out of the later judging."""
    useful = list(enumerate(schedule.windows))
    findings = []
    for number, window in reversed(useful.copy()):
        others = [other for place, other in useful if place != number]
        finding = _useless(number, window, others)
        if finding:
            useful.remove((number, window))
            findings.append(finding)
    yield from reversed(findings)


def _useless(number: int, window: Window, others: list[Window]) -> Finding | None:
    mask = week_mask(window)
    strong = [other for other in others if other.keep_running >= window.keep_running]
    alike = [other for other in strong if other.keep_running == window.keep_running]
    shown = format_window(window)
    if any(week_mask(other) == mask for other in alike):
        message = f"{shown} says the same as another window"
        return Finding(FindingCode.WINDOW_DUPLICATE, message, window=number)
    if mask & ~united_mask(strong) == 0:
        message = f"{shown} changes nothing: other windows cover it"
        return Finding(FindingCode.WINDOW_COVERED, message, window=number)
    return None


def _on_date(schedule: Schedule, rules: ZoneInfo, day: date) -> Iterator[Finding]:
    starting = [
        (number, window)
        for number, window in enumerate(schedule.windows)
        if day.weekday() in window.days
    ]
    if starting and not date_exists(rules, day):
        message = f"{schedule.timezone} skips {day}: nothing starts"
        yield Finding(FindingCode.DATE_SKIPPED, message, day)
        return
    for number, window in starting:
        yield from _on_occurrence(rules, number, window, day)


def _on_occurrence(rules: ZoneInfo, number: int, window: Window, day: date) -> Iterator[Finding]:
    begin, end = walls_of(window, day)
    span = occurrence(rules, window, day)
    if span.start == span.end:
        message = f"{format_window(window)} is empty on {day}: the clocks skip all of it"
        yield Finding(FindingCode.WINDOW_EMPTY, message, day, number)
        return
    sides = (
        (FindingCode.START_ON_CLOCK_CHANGE, "start", begin, "first"),
        (FindingCode.END_ON_CLOCK_CHANGE, "end", end, "second"),
    )
    for code, side, wall, which in sides:
        shown = reading(rules, wall)
        if shown is not Reading.ONCE:
            reason = _EDGE_MESSAGES[shown].format(which=which)
            message = f"{side} {wall:%H:%M} on {wall.date()}: {reason}"
            yield Finding(code, message, wall.date(), number)
