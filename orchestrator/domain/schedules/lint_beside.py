"""Points stand over all schedules of an endpoint: remarks on them beside the other ones."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from orchestrator.domain.schedules.course import course_of
from orchestrator.domain.schedules.findings import Finding, FindingCode
from orchestrator.domain.schedules.lint_points import overtaken, repeats, stops_beside
from orchestrator.domain.schedules.model import PointAction, Schedule
from orchestrator.domain.schedules.neighbours import Neighbours, firings_of, is_open
from orchestrator.domain.schedules.walls import as_utc, wall_at
from orchestrator.domain.schedules.zones import zone

# Schedules repeat themselves: what fights is looked for in so many weeks.
WEEKS_OF_FIGHTS = 8
# What a point amounts to is another thing beside other schedules, and is judged again.
_JUDGES = {FindingCode.POINT_REPEATS: repeats, FindingCode.POINT_OVERTAKEN: overtaken}


def beside(
    schedule: Schedule,
    start: datetime,
    alone: Iterable[Finding],
    neighbours: Neighbours,
    weeks: int = 56,
) -> list[Finding]:
    """What fights with the neighbours, then the remarks on it `alone` that hold beside them.

    `weeks` are those that were looked at for it alone.
    """
    start, known = as_utc(start), list(alone)
    if not neighbours.known:
        return known
    found = [*_stopped_beside(schedule, start, neighbours)]
    if not schedule.points:
        return [*found, *known]
    doubtful = any(one.code in _JUDGES for one in known)
    course = course_of(schedule, start, weeks if doubtful else WEEKS_OF_FIGHTS, neighbours)
    twice = {one.point for one in known if one.code is FindingCode.POINT_DUPLICATE}
    numbered = [one for one in enumerate(schedule.points) if one[0] not in twice]
    fights = (stops_beside(course, number, point) for number, point in numbered)
    found += [one for one in fights if one is not None]
    for one in known:
        judge = _JUDGES.get(one.code)
        if judge is None or one.point is None:
            found.append(one)
        elif again := judge(course, one.point, schedule.points[one.point]):
            found.append(again)
    return found


def _stopped_beside(
    schedule: Schedule, start: datetime, neighbours: Neighbours
) -> Iterator[Finding]:
    """One remark for each neighbour whose points stop what a window has up."""
    span = start, start + timedelta(weeks=WEEKS_OF_FIGHTS)
    for one in neighbours.known:
        for firing in firings_of(one.schedule, *span):
            if firing.action is PointAction.STOP and is_open(schedule, firing.at, span):
                day = wall_at(zone(schedule.timezone), firing.at).date()
                message = (
                    f"{firing.action} {firing.expression} of the schedule {one.name} stops on "
                    f"{day} what a window has up then, where both cover an endpoint; move the "
                    "point or the window"
                )
                yield Finding(FindingCode.STOPPED_BESIDE, message, day)
                break
