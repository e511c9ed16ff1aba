"""How far ahead one must look to know when a schedule next changes its mind."""

from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.domain.schedules.civil import exceptional_days
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.week import WHOLE_WEEK, covers_whole_week, united_mask

# A clock change can hide an edge of the week, rarely two weeks running.
_WEEKLY_DAYS = 40
# Each day of the month and each nth weekday comes within 13 months; exceptions may be far.
_LONG_DAYS = 400
_CONSTANT_DAYS = 8


@dataclass(frozen=True, slots=True)
class Horizon:
    """Civil dates to look at; ``endless``: only ``keep_running`` can change in that time."""

    days: int
    endless: bool


def horizon_of(schedule: Schedule, first: date) -> Horizon:
    """How far to look from a civil date on."""
    endless = covers_whole_week(schedule.windows)
    if not (schedule.windows or schedule.dates):
        return Horizon(0, endless=False)
    if schedule.is_weekly:
        kept = united_mask(one for one in schedule.windows if one.keep_running) if endless else 0
        constant = endless and kept in {0, WHOLE_WEEK}
        return Horizon(_CONSTANT_DAYS if constant else _WEEKLY_DAYS, endless)
    last = first + timedelta(days=_LONG_DAYS)
    disturbed = any(first <= day <= last for day in exceptional_days(schedule))
    return Horizon(_LONG_DAYS, endless and not disturbed)
