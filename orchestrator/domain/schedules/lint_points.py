"""Points that change nothing, fight or never fire, and points that meet a change of the clocks."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.course import Course, course_of
from orchestrator.domain.schedules.cron import walls_after
from orchestrator.domain.schedules.findings import Finding, FindingCode
from orchestrator.domain.schedules.model import CronPoint, PointAction, PointFiring, Schedule
from orchestrator.domain.schedules.points import next_point
from orchestrator.domain.schedules.text import format_point
from orchestrator.domain.schedules.walls import as_utc, clock_changes, date_exists, wall_at
from orchestrator.domain.schedules.zones import zone

SHORT_HOLD = timedelta(minutes=15)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


def on_points(schedule: Schedule, start: datetime, weeks: int) -> Iterator[Finding]:
    """Remarks on each point, at most one of a kind; then on those that meet clock changes."""
    if not schedule.points or weeks < 1:
        return
    course = course_of(schedule, start, weeks)
    useful = dict(enumerate(schedule.points))
    for number, point in enumerate(schedule.points):
        if any(_says_same(point, other) for other in schedule.points[:number]):
            del useful[number]
            message = f"{format_point(point)} is there twice; remove one of them"
            yield Finding(FindingCode.POINT_DUPLICATE, message, point=number)
        else:
            yield from _on_point(course, number, point)
    end = as_utc(start) + timedelta(weeks=weeks)
    for number, point in useful.items():
        yield from _on_changes(schedule, number, point, (start, end))


def _on_point(course: Course, number: int, point: CronPoint) -> Iterator[Finding]:
    following = next_point(replace(course.schedule, points=(point,)), course.start - _SECOND)
    if following is None or following.at >= course.end:
        yield _never(course, number, point, following)
        return
    for find in (_opposed, _stops_kept, repeats, overtaken):
        finding = find(course, number, point)
        if finding:
            yield finding


def _never(course: Course, number: int, point: CronPoint, following: PointFiring | None) -> Finding:
    then = f"fires next on {course.civil(following.at)}" if following else "does not fire again"
    message = f"{format_point(point)} {then}, after all that was looked at; check its days"
    return Finding(FindingCode.POINT_NEVER, message, point=number)


def _opposed(course: Course, number: int, point: CronPoint) -> Finding | None:
    """The first reading of the clock at which a later point of the list asks for the opposite."""
    own = course.walls(point)
    for other in course.schedule.points[number + 1 :]:
        both = own & course.walls(other) if other.action is not point.action else None
        if both:
            first = min(both)
            message = (
                f"{format_point(point)} and {format_point(other)} meet on {first:%Y-%m-%d} at "
                f"{first:%H:%M}, where the start wins; move one of them"
            )
            return Finding(FindingCode.POINTS_OPPOSED, message, first.date(), point=number)
    return None


def _stops_kept(course: Course, number: int, point: CronPoint) -> Finding | None:
    if point.action is PointAction.START:
        return None
    for firing in course.of(point):
        piece = course.piece_at(firing.at)
        if piece and piece.keep_running:
            day = course.civil(firing.at)
            message = (
                f"{format_point(point)} stops on {day} what a window keeps running; "
                "move the point or the window"
            )
            return Finding(FindingCode.POINT_STOPS_KEPT, message, day, point=number)
    return None


def stops_beside(course: Course, number: int, point: CronPoint) -> Finding | None:
    """A point stands over all schedules, so a stop ends what another one has up."""
    if point.action is PointAction.START:
        return None
    for firing in course.of(point):
        other = course.open_beside(firing.at)
        if other is not None:
            day = course.civil(firing.at)
            message = (
                f"{format_point(point)} stops on {day} what the schedule {other.name} has up then, "
                "where both cover an endpoint; move the point or that window"
            )
            return Finding(FindingCode.POINT_STOPS_BESIDE, message, day, point=number)
    return None


def repeats(course: Course, number: int, point: CronPoint) -> Finding | None:
    """Asks, each time, for what the windows say anyway while no other kind of point says else."""
    schedule = course.schedule
    if schedule.only_points or {one.action for one in schedule.points} != {point.action}:
        return None
    stops, beside = point.action is PointAction.STOP, course.neighbours
    opposite = PointAction.START if stops else PointAction.STOP
    if not beside.all_known or beside.point(opposite):
        return None
    fired = [firing.at for firing in course.of(point)]
    at_firings = [course.piece_at(at) for at in fired]
    if stops:
        same = not any(at_firings) and not any(course.open_beside(at) for at in fired)
        what = "falls where no window is open, so all is asleep then"
    else:
        same = all(piece and piece.keep_running for piece in at_firings)
        what = "falls inside windows that keep all running then"
    if not (same and at_firings):
        return None
    message = f"{format_point(point)} changes nothing, because it {what}; remove it"
    return Finding(FindingCode.POINT_REPEATS, message, point=number)


def overtaken(course: Course, number: int, point: CronPoint) -> Finding | None:
    """Stands for minutes only, and then the opposite holds."""
    starts = point.action is PointAction.START
    for firing in course.of(point):
        end, awake = course.after(firing)
        if end and end - firing.at <= SHORT_HOLD and awake is not starts:
            day, minutes = course.civil(firing.at), (end - firing.at) // _MINUTE
            message = (
                f"{format_point(point)} stands for {minutes} minutes only on {day}, and then the "
                "opposite holds; move it, or what comes next"
            )
            return Finding(FindingCode.POINT_OVERTAKEN, message, day, point=number)
    return None


def _on_changes(
    schedule: Schedule, number: int, point: CronPoint, span: tuple[datetime, datetime]
) -> Iterator[Finding]:
    """One remark for each change of the clocks that skips or repeats one of its readings."""
    rules = zone(schedule.timezone)
    which = "first" if point.action is PointAction.START else "second"
    for change in clock_changes(rules, *span):
        before, after = wall_at(rules, change - _SECOND) + _SECOND, wall_at(rules, change)
        hit = _reading_between(rules, point, min(before, after), max(before, after))
        if hit:
            why = (
                "the clocks skip that time, so it means the instant of the change"
                if before < after
                else f"the clocks show that time twice, and the {which} counts"
            )
            message = (
                f"{format_point(point)} at {hit:%H:%M} on {hit.date()}: {why}; "
                "choose a time outside the change if that is not meant"
            )
            yield Finding(FindingCode.POINT_ON_CLOCK_CHANGE, message, hit.date(), point=number)


def _reading_between(
    rules: ZoneInfo, point: CronPoint, low: datetime, high: datetime
) -> datetime | None:
    """The first reading in ``[low, high)`` at which a point fires."""
    walls = takewhile(lambda wall: wall < high, walls_after(point.expression, low - _MINUTE))
    return next((wall for wall in walls if date_exists(rules, wall.date())), None)


def _says_same(one: CronPoint, other: CronPoint) -> bool:
    return one.action is other.action and _plain(one) == _plain(other)


def _plain(point: CronPoint) -> list[str]:
    return point.expression.upper().split()
