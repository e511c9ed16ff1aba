"""Windows whose edges fall where the clocks change."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.civil import is_kept, usual
from orchestrator.domain.schedules.findings import Finding, FindingCode
from orchestrator.domain.schedules.model import DateKind, Schedule, Window
from orchestrator.domain.schedules.occurrences import occurrence, walls_of
from orchestrator.domain.schedules.text import format_window
from orchestrator.domain.schedules.walls import (
    Reading,
    clock_changes,
    date_exists,
    reading,
    wall_at,
)
from orchestrator.domain.schedules.zones import zone

_EDGE_MESSAGES = {
    Reading.SKIPPED: "the clocks skip that time, so it means the instant of the change",
    Reading.REPEATED: "the clocks show that time twice, and the {which} counts",
}
_REMEDY = "choose a time outside the change if that is not meant"

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_MARGIN = 4 * _DAY

# A window that starts on a date, its number, and the number of the exception that it is of.
_Started = tuple[Window, int | None, int | None]


def on_clock_changes(schedule: Schedule, days: Sequence[date]) -> Iterator[Finding]:
    """Edges on clock changes, windows without time, and dates that do not exist; by date."""
    rules = zone(schedule.timezone)
    near = _near_changes(rules, days)
    for day in (one for one in days if one in near):
        started = list(_started(schedule, day))
        if started and not date_exists(rules, day):
            message = f"{schedule.timezone} skips {day}, so nothing starts; choose another date"
            yield Finding(FindingCode.DATE_SKIPPED, message, day)
            continue
        for one in started:
            yield from _on_occurrence(rules, one, day)


def _near_changes(rules: ZoneInfo, days: Sequence[date]) -> set[date]:
    """The dates whose windows can meet a change of the clocks."""
    if not days:
        return set()
    first, last = (datetime.combine(day, time(), UTC) for day in (days[0], days[-1]))
    found = set()
    for change in clock_changes(rules, first - _MARGIN, last + _MARGIN):
        walls = wall_at(rules, change - _SECOND), wall_at(rules, change)
        begin, end = min(walls).date() - 2 * _DAY, max(walls).date() + _DAY
        found |= {begin + ahead * _DAY for ahead in range((end - begin).days + 1)}
    return found


def _started(schedule: Schedule, day: date) -> Iterator[_Started]:
    own = [one for one in enumerate(schedule.dates) if one[1].day == day]
    replaced = any(rule.kind is DateKind.REPLACED for _, rule in own)
    if is_kept(schedule, day):
        starting = usual(schedule, day)
        numbered = enumerate(schedule.windows)
        yield from ((window, place, None) for place, window in numbered if window in starting)
    for number, rule in own:
        if not replaced or rule.kind is DateKind.REPLACED:
            yield from ((window, None, number) for window in rule.windows)


def _on_occurrence(rules: ZoneInfo, started: _Started, day: date) -> Iterator[Finding]:
    window, number, exception = started
    begin, end = walls_of(window, day)
    span = occurrence(rules, window, day)
    if span.start == span.end:
        message = (
            f"{format_window(window)} is empty on {day}, because the clocks skip all of it; "
            "make it longer if that day matters"
        )
        code = FindingCode.WINDOW_EMPTY
        yield Finding(code, message, day, number, exception=exception)
        return
    sides = (
        (FindingCode.START_ON_CLOCK_CHANGE, "start", begin, "first"),
        (FindingCode.END_ON_CLOCK_CHANGE, "end", end, "second"),
    )
    for code, side, wall, which in sides:
        shown = reading(rules, wall)
        if shown is not Reading.ONCE:
            reason = _EDGE_MESSAGES[shown].format(which=which)
            message = f"{side} {wall:%H:%M} on {wall.date()}: {reason}; {_REMEDY}"
            yield Finding(code, message, wall.date(), number, exception=exception)
