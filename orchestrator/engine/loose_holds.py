"""Holds that cron points began, kept in line with what became of their schedules since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.schedules.model import PointAction
from orchestrator.engine.apply import ENGINE
from orchestrator.services import hold_rows
from orchestrator.services.requests import Asked
from orchestrator.services.schedule_book import ScheduleBook
from orchestrator.store import schedules
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Endpoint, Hold, PointFiring


@dataclass(frozen=True, slots=True)
class Loose:
    """A hold of a cron point that has to end at another time; at once where `until` is None."""

    hold: Hold
    until: datetime | None
    why: str


def find(
    session: Session,
    timetable: ScheduleBook,
    rows: Mapping[str, ManagedRow],
    held: Sequence[Hold],
    now: datetime,
) -> Iterator[Loose]:
    """Yield the holds of cron points whose schedule would end them at another time now."""
    fired = schedules.firings_of_holds(session, [hold.id for hold in held])
    for hold in held:
        firing, row = fired.get(hold.id), rows.get(hold.endpoint_id)
        if firing is None or row is None:
            continue
        why = _gone(timetable, firing, row)
        runs = firing.action == PointAction.START
        until = None
        if not why:
            until = timetable.next_edge(row.id, row.hardware_key, firing.at, runs=runs)
        if why or (until is not None and until <= now):
            yield Loose(hold, None, why or "an edge of a schedule has come")
        elif until is not None and until != hold.until:
            yield Loose(hold, until, "the edges of its schedules have changed")


def mend(session: Session, endpoint: Endpoint, loose: Loose, now: datetime) -> None:
    """End a hold, or move its end, with its event; one that a person ended is left alone."""
    hold = session.get(Hold, loose.hold.id)
    if hold is None or hold.ended_at is not None or hold.until != loose.hold.until:
        return
    session.add(hold)
    kind, message = "hold.moved", ""
    if loose.until is None:
        hold.ended_at, hold.ended_by = now, ENGINE
        kind, message = "hold.ended", f"the hold of {endpoint.name} ended: {loose.why}"
    else:
        hold.until = loose.until
        message = f"the hold of {endpoint.name} lasts until {loose.until:%Y-%m-%d %H:%M} UTC now: "
        message += loose.why
    asked = Asked(ENGINE, now)
    hold_rows.record(session, endpoint, hold, asked, kind=kind, message=message)


def _gone(timetable: ScheduleBook, firing: PointFiring, row: ManagedRow) -> str:
    """Return why the point of a hold counts no more, empty where it does."""
    schedule = timetable.rows.get(firing.schedule_id)
    if schedule is None:
        return "its schedule is gone, or switched off"
    if not any(one.rule_id == schedule.id for one in timetable.bound.get(row.id, ())):
        return f"{schedule.name} no longer covers it"
    points = {(one["expression"], one["action"]) for one in schedule.points}
    if (firing.expression, firing.action) not in points:
        return f"{schedule.name} has that point no more"
    if schedule.shadow:
        return f"{schedule.name} only records"
    return "it is protected, so rules only propose" if row.protected else ""
