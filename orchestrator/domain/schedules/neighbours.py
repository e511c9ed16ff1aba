"""Other schedules over the same endpoints, as a schedule's points meet them."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from orchestrator.domain.schedules.model import Interval, PointAction, PointFiring, Schedule
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.schedules.points import points

_KEPT = 256


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another schedule that is in force over one of the endpoints."""

    name: str
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The schedules beside one; where there are more than these, not `all_known`."""

    known: tuple[Neighbour, ...] = ()
    all_known: bool = True

    def open_at(self, instant: datetime, span: tuple[datetime, datetime]) -> Neighbour | None:
        """Return the first that has a window open at an instant of the span."""
        return next((one for one in self.known if is_open(one.schedule, instant, span)), None)

    def point(self, action: PointAction) -> bool:
        """Tell whether one of them has such a point."""
        return any(point.action is action for one in self.known for point in one.schedule.points)


ALONE = Neighbours()


def is_open(schedule: Schedule, instant: datetime, span: tuple[datetime, datetime]) -> bool:
    """Tell whether a window is open at an instant of a span."""
    pieces = _pieces(schedule, *span)
    place = bisect_right(pieces, instant, key=lambda piece: piece.start) - 1
    return place >= 0 and instant < pieces[place].end


@lru_cache(maxsize=_KEPT)
def firings_of(schedule: Schedule, start: datetime, end: datetime) -> tuple[PointFiring, ...]:
    """Return the firings of a span."""
    return tuple(points(schedule, start, end))


@lru_cache(maxsize=_KEPT)
def _pieces(schedule: Schedule, start: datetime, end: datetime) -> tuple[Interval, ...]:
    return tuple(intervals(schedule, start, end))
