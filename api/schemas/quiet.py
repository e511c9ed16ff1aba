"""Quiet hours of idle policies in requests and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Body
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import Window
from orchestrator.domain.schedules.text import parse_window, window_text
from orchestrator.services.policies import QuietHours
from orchestrator.services.scheduling import of_schedule_error
from orchestrator.services.windows import quiet_hours_of
from orchestrator.store.tables import IdlePolicy

QuietWindow = Annotated[str, Field(max_length=80, examples=["mon-fri 09:00-18:00"])]


class QuietHoursBody(Body):
    """Windows on the clocks of a zone in which a policy puts nothing to sleep."""

    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])]
    windows: Annotated[list[QuietWindow], Field(min_length=1, max_length=100)]

    def parsed(self) -> QuietHours:
        """Return them as a policy has them. Raises ServiceError 422, which names the window."""
        found = [_window(place, text) for place, text in enumerate(self.windows)]
        return QuietHours(self.timezone, tuple(found))


def quiet_out(row: IdlePolicy) -> QuietHoursBody | None:
    """Return the quiet hours of a stored policy, None where it has none."""
    if not row.quiet_timezone:
        return None
    hours = quiet_hours_of(row)
    texts = [window_text(window).lower() for window in hours.windows]
    return QuietHoursBody(timezone=hours.timezone, windows=texts)


def _window(place: int, text: str) -> Window:
    try:
        return parse_window(text)
    except ScheduleError as error:
        raise of_schedule_error(error, f"quiet_hours.windows.{place}") from error
