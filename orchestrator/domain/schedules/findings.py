"""What the linter says about a schedule."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class FindingCode(StrEnum):
    """What a finding is about; part of the API."""

    NEVER_ON = "never_on"
    ALWAYS_ON = "always_on"
    WINDOW_DUPLICATE = "window_duplicate"
    WINDOW_COVERED = "window_covered"
    WINDOW_NEVER = "window_never"
    WINDOW_EMPTY = "window_empty"
    START_ON_CLOCK_CHANGE = "start_on_clock_change"
    END_ON_CLOCK_CHANGE = "end_on_clock_change"
    DATE_SKIPPED = "date_skipped"
    DATE_PAST = "date_past"
    DATE_DUPLICATE = "date_duplicate"
    DATE_OVERRULED = "date_overruled"
    DAY_OFF_WITHOUT_WINDOW = "day_off_without_window"
    EXTRA_COVERED = "extra_covered"
    REPLACED_SAME = "replaced_same"
    POINT_DUPLICATE = "point_duplicate"
    POINT_NEVER = "point_never"
    POINT_REPEATS = "point_repeats"
    POINT_STOPS_KEPT = "point_stops_kept"
    POINT_STOPS_BESIDE = "point_stops_beside"
    STOPPED_BESIDE = "stopped_beside"
    POINT_OVERTAKEN = "point_overtaken"
    POINTS_OPPOSED = "points_opposed"
    POINT_ON_CLOCK_CHANGE = "point_on_clock_change"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark, a sentence with its remedy.

    ``when`` is a civil date in the schedule's zone; ``window``, ``point`` and ``exception`` say
    which of the schedule's windows, points and dates is meant, counted from 0.
    """

    code: FindingCode
    message: str
    when: date | None = None
    window: int | None = None
    point: int | None = None
    exception: int | None = None
