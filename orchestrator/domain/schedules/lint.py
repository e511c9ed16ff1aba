"""What a person should know before saving a schedule."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from orchestrator.domain.schedules.findings import Finding, FindingCode
from orchestrator.domain.schedules.lint_changes import on_clock_changes
from orchestrator.domain.schedules.lint_dates import on_exceptions
from orchestrator.domain.schedules.lint_points import on_points
from orchestrator.domain.schedules.lint_windows import on_windows
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.schedules.walls import as_utc, wall_at
from orchestrator.domain.schedules.week import covers_whole_week
from orchestrator.domain.schedules.zones import zone

__all__ = ["Finding", "FindingCode", "lint"]


def lint(schedule: Schedule, start: datetime, weeks: int = 56) -> list[Finding]:
    """Remarks on the whole, on windows, exceptions and points; then on clock changes, by date.

    Looks at the civil dates of so many weeks from ``start``.
    """
    start = as_utc(start)
    first = wall_at(zone(schedule.timezone), start).date()
    days = [first + timedelta(days=ahead) for ahead in range(weeks * 7)]
    return [
        *_on_whole(schedule, start, weeks),
        *on_windows(schedule, days),
        *on_exceptions(schedule, first),
        *on_points(schedule, start, weeks),
        *on_clock_changes(schedule, days),
    ]


def _on_whole(schedule: Schedule, start: datetime, weeks: int) -> Iterator[Finding]:
    if schedule.only_points:
        return
    if not (schedule.windows or any(rule.windows for rule in schedule.dates)):
        message = "the schedule has no windows, so it is never on; add one"
        yield Finding(FindingCode.NEVER_ON, message)
    elif schedule.is_weekly:
        if covers_whole_week(schedule.windows):
            yield _always_on("cover the whole week")
    else:
        yield from _on_stretch(schedule, start, weeks)


def _on_stretch(schedule: Schedule, start: datetime, weeks: int) -> Iterator[Finding]:
    """Where weeks differ, what is on in all that time or in none of it."""
    end = start + timedelta(weeks=weeks)
    pieces = intervals(schedule, start, end)
    bounds = [start, *(bound for one in pieces for bound in (one.start, one.end)), end]
    if not pieces:
        message = f"nothing is on in the next {weeks} weeks; remove an exception or add a window"
        yield Finding(FindingCode.NEVER_ON, message)
    elif all(before == after for before, after in list(pairwise(bounds))[::2]):
        yield _always_on(f"leave no gap in the next {weeks} weeks")


def _always_on(how: str) -> Finding:
    message = f"the windows {how}, so the schedule is always on; narrow one, or do without it"
    return Finding(FindingCode.ALWAYS_ON, message)
