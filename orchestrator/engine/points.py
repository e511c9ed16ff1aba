"""Cron points: each comes due once for an endpoint, and holds it until the next edge.

What is due is decided from what was read, then written in one transaction under the claim of the
account: a row that no second process can write, the hold, and the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.asked import HoldFact
from orchestrator.domain.schedules.model import PointAction, PointFiring
from orchestrator.engine import loose_holds
from orchestrator.engine.apply import ENGINE
from orchestrator.services import hold_rows
from orchestrator.services.context import Context
from orchestrator.services.lengths import brief
from orchestrator.services.requests import Asked
from orchestrator.services.rulebook import Rulebook
from orchestrator.services.schedule_book import (
    CRON,
    POINT_WISH,
    ScheduleBook,
    actor_of,
    last_since,
    only,
    reason_of,
    standing_since,
)
from orchestrator.store import events, freeze, holds, locks, schedules
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account, Binding, Endpoint, Hold, Schedule
from orchestrator.store.tables import PointFiring as Fired

HELD, PROPOSED, DROPPED = "held", "proposed", "dropped"
PROGRAMS = (holds.LEASE, CRON)
_OPPOSITE = {PointAction.START: PointAction.STOP, PointAction.STOP: PointAction.START}
_TICK = timedelta(microseconds=1)
# The latest firing says what came due; those before it are kept for a while.
REMEMBERED = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Due:
    """A point that came due for an endpoint, and what becomes of it.

    `until` is set where it holds. `missed` tells that others before it were missed as well.
    """

    row: ManagedRow
    schedule: Schedule
    firing: PointFiring
    outcome: str
    why: str = ""
    until: datetime | None = None
    missed: bool = False


def act(
    context: Context, account: Account, book: Rulebook, rows: Sequence[ManagedRow], now: datetime
) -> bool:
    """Write down the cron points that are due, and bring the holds of earlier ones in line.

    Tells whether anything was written. A frozen account is left alone.
    """
    pointed = [row.id for row in book.timetable.rows.values() if row.points]
    held = [hold for several in book.holds.values() for hold in several if hold.source == CRON]
    if book.frozen is not None or not (pointed or held):
        return False
    by_id = {row.id: row for row in rows}
    late = timedelta(seconds=context.settings.point_late_limit_s)
    with context.database.read() as session:
        bench = _Bench(session, book.timetable, late, now, schedules.last_fired(session, pointed))
        due = [one for row in rows for one in bench.due(row)]
        loose = list(loose_holds.find(session, book.timetable, by_id, held, now))
    if not due and not loose:
        return False
    touched = [one.row.id for one in due] + [one.hold.endpoint_id for one in loose]
    with context.database.write() as session:
        endpoints = locks.endpoints(session, touched)
        if freeze.is_on(session, account.id):
            return False
        for one in loose:
            loose_holds.mend(session, endpoints[one.hold.endpoint_id], one, now)
        for each in due:
            _write(session, endpoints[each.row.id], each, now)
    return True


@dataclass(slots=True)
class _Bench:
    """Judges what is due, from the store as it was read."""

    session: Session
    timetable: ScheduleBook
    late: timedelta
    now: datetime
    fired: Mapping[tuple[str, str], datetime]
    _clicks: dict[str, datetime | None] = field(default_factory=dict)

    def due(self, row: ManagedRow) -> Iterator[Due]:
        """Yield the latest point of each schedule that came due since the one before."""
        for binding in self.timetable.bound.get(row.id, ()):
            schedule = self.timetable.rows.get(binding.rule_id)
            if schedule is not None and schedule.points:
                before = self.fired.get((schedule.id, row.id), binding.matched_at)
                since = max(before, binding.matched_at)
                firing = self._latest(schedule, since)
                if firing is not None:
                    yield self._judge(row, schedule, firing, since)

    def _latest(self, schedule: Schedule, since: datetime) -> PointFiring | None:
        """Return the last firing after `since`, of points that stood by then."""
        windows = self.timetable.windows[schedule.id]
        found = [
            firing
            for stood, part in standing_since(schedule, windows)
            if (firing := last_since(part, max(since, stood), self.now)) is not None
        ]
        starts = PointAction.START
        return max(found, key=lambda one: (one.at, one.action is starts), default=None)

    def _judge(
        self, row: ManagedRow, schedule: Schedule, firing: PointFiring, since: datetime
    ) -> Due:
        windows = self.timetable.windows[schedule.id]
        earlier = last_since(windows, since, firing.at - _TICK) is not None
        runs = firing.action is PointAction.START
        until = self.timetable.next_edge(row.id, row.hardware_key, firing.at, runs=runs)
        why = self._obstacle(row, schedule, firing, until)
        if why:
            return Due(row, schedule, firing, DROPPED, why, missed=earlier)
        if schedule.shadow or row.protected:
            what = "it is protected" if row.protected else "its schedule only records"
            return Due(row, schedule, firing, PROPOSED, what, missed=earlier)
        return Due(row, schedule, firing, HELD, until=until, missed=earlier)

    def _obstacle(
        self, row: ManagedRow, schedule: Schedule, firing: PointFiring, until: datetime | None
    ) -> str:
        if row.delete_after is not None:
            return "it is to be deleted"
        if until is not None and until <= self.now:
            return f"an edge of a schedule has overtaken it at {_minute(until)}"
        clicked = self._clicked_at(row)
        if clicked is not None and clicked > firing.at:
            return f"somebody asked for something else at {_minute(clicked)}"
        missed_by = self.now - firing.at
        if missed_by > self.late and not self._goes_on(row, schedule, firing):
            return f"missed by {brief(missed_by)}, more than {brief(self.late)}"
        return ""

    def _clicked_at(self, row: ManagedRow) -> datetime | None:
        if row.id not in self._clicks:
            held = schedules.last_clicks(self.session, [row.id], PROGRAMS).get(row.id)
            known = [at for at in (held, row.wish_at) if at is not None]
            self._clicks[row.id] = max(known, default=None)
        return self._clicks[row.id]

    def _goes_on(self, row: ManagedRow, schedule: Schedule, firing: PointFiring) -> bool:
        """Tell whether it repeats what the point before it holds, and nothing came in between.

        Dropping it would undo what that point did: a stop would start the endpoint.
        """
        before = self.fired.get((schedule.id, row.id))
        fired = None
        if before is not None:
            fired = schedules.firing(self.session, schedule.id, row.id, before)
        if fired is None or fired.hold_id is None or fired.action != firing.action:
            return False
        hold = self.session.get(Hold, fired.hold_id)
        if hold is None or hold.ended_at is not None or hold.until > firing.at:
            return False
        others = only(self.timetable.windows[schedule.id], _OPPOSITE[firing.action])
        edge = self.timetable.next_edge(
            row.id, row.hardware_key, hold.until - _TICK, but_points_of=schedule.id
        )
        clicked = self._clicked_at(row)
        undisturbed = clicked is None or clicked <= fired.at
        alone = last_since(others, fired.at, self.now) is None
        return undisturbed and alone and (edge is None or edge > self.now)


def _write(session: Session, endpoint: Endpoint, due: Due, now: datetime) -> None:
    """Write a point that came due down, unless what it rests on has changed meanwhile."""
    row, schedule, firing = due.row, due.schedule, due.firing
    if not endpoint.managed or endpoint.deleted_at is not None or endpoint.wish_at != row.wish_at:
        return
    if endpoint.protected != row.protected or not _still_stands(session, endpoint, schedule):
        return
    if schedules.firing(session, schedule.id, endpoint.id, firing.at) is not None:
        return
    newest = schedules.last_clicks(session, [endpoint.id], PROGRAMS).get(endpoint.id)
    if due.outcome != DROPPED and newest is not None and newest > firing.at:
        return  # somebody was quicker; the next pass drops it
    fired = Fired(
        schedule_id=schedule.id,
        endpoint_id=endpoint.id,
        at=firing.at,
        action=firing.action,
        expression=firing.expression,
        outcome=due.outcome,
        noted_at=now,
    )
    if due.outcome == HELD:
        fired.hold_id = _hold(session, endpoint, due, now).id
    session.add(fired)
    schedules.forget_firings(session, schedule.id, endpoint.id, firing.at - REMEMBERED)
    _tell(session, endpoint, due, now)


def _still_stands(session: Session, endpoint: Endpoint, schedule: Schedule) -> bool:
    current = schedules.get(session, schedule.id)
    bound = session.get(Binding, (schedule.id, endpoint.id))
    if current is None or bound is None or not current.enabled:
        return False
    return current.version == schedule.version


def _hold(session: Session, endpoint: Endpoint, due: Due, now: datetime) -> Hold:
    """Begin its hold; those of earlier points end with it."""
    actor = actor_of(due.schedule)
    active = holds.active_of(session, [endpoint.id], now).get(endpoint.id, [])
    for hold in active:
        if hold.source == CRON:
            hold_rows.end(session, endpoint, hold, actor=actor, now=now)
    until = due.until or now + hold_rows.LONGEST_HOLD
    fact = HoldFact(POINT_WISH[due.firing.action], until, actor, reason_of(due.firing))
    hold = hold_rows.start(session, endpoint, fact, Asked(actor, now, fact.reason), CRON)
    session.flush()
    return hold


def _tell(session: Session, endpoint: Endpoint, due: Due, now: datetime) -> None:
    firing, wish = due.firing, POINT_WISH[due.firing.action]
    point = f"the {reason_of(firing)} of {due.schedule.name}, due at {_minute(firing.at)}"
    if due.missed:
        what = f"{endpoint.name}: points before {point}, were missed and are dropped"
        _record(session, endpoint, due, now, kind="point.dropped", message=what)
    messages = {
        HELD: f"{endpoint.name}: {point}, keeps it {wish}",
        PROPOSED: f"{endpoint.name} would be {wish}: {point}; {due.why}",
        DROPPED: f"{endpoint.name}: {point}, was dropped: {due.why}",
    }
    kinds = {HELD: "point.fired", PROPOSED: "decision.proposed", DROPPED: "point.dropped"}
    kind, message = kinds[due.outcome], messages[due.outcome]
    _record(session, endpoint, due, now, kind=kind, message=message)


def _record(
    session: Session, endpoint: Endpoint, due: Due, now: datetime, *, kind: str, message: str
) -> None:
    events.record(
        session,
        at=now,
        kind=kind,
        actor=ENGINE,
        message=message,
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={
            "rule": "schedule",
            "id": due.schedule.id,
            "wish": POINT_WISH[due.firing.action],
            "to_zero": False,
            "point": due.firing.expression,
            "due": due.firing.at.isoformat(),
            "why": due.why,
        },
    )


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
