"""Schedules, and since when a rule covers an endpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Binding, Hold, PointFiring, Schedule


def get(session: Session, schedule_id: str) -> Schedule | None:
    """Return a schedule that was not removed, by id."""
    schedule = session.get(Schedule, schedule_id)
    return None if schedule is None or schedule.removed_at is not None else schedule


def by_name(session: Session, name: str) -> Schedule | None:
    """Return a schedule that was not removed, by name."""
    query = select(Schedule).where(Schedule.name == name, col(Schedule.removed_at).is_(None))
    return session.exec(query).first()


def name_taken(session: Session, name: str, but: str | None = None) -> bool:
    """Tell whether a schedule other than `but` bears the name."""
    query = select(Schedule.id).where(Schedule.name == name, Schedule.id != (but or ""))
    return session.exec(query).first() is not None


def in_force(session: Session) -> Sequence[Schedule]:
    """Return the schedules that are enabled and not removed, by name."""
    query = select(Schedule).where(
        col(Schedule.removed_at).is_(None), col(Schedule.enabled).is_(True)
    )
    return session.exec(query.order_by(col(Schedule.name))).all()


def in_force_over(
    session: Session, endpoint_ids: Collection[str], limit: int
) -> Sequence[Schedule]:
    """Return those in force that cover one of the endpoints, not only in shadow, by name."""
    if not endpoint_ids:
        return []
    bound = select(Binding.rule_id).where(col(Binding.endpoint_id).in_(endpoint_ids)).distinct()
    query = select(Schedule).where(
        col(Schedule.removed_at).is_(None),
        col(Schedule.enabled).is_(True),
        col(Schedule.shadow).is_(False),
        col(Schedule.id).in_(bound),
    )
    return session.exec(query.order_by(col(Schedule.name)).limit(limit)).all()


def page(session: Session, after: Position | None, limit: int) -> Sequence[Schedule]:
    """Return up to `limit` schedules in the order of name and id."""
    keys = (Key(col(Schedule.name)), Key(col(Schedule.id)))
    query = select(Schedule).where(col(Schedule.removed_at).is_(None))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def bindings_of_rule(session: Session, rule_id: str) -> dict[str, Binding]:
    """Return the bindings of a rule, by endpoint."""
    query = select(Binding).where(Binding.rule_id == rule_id)
    return {binding.endpoint_id: binding for binding in session.exec(query)}


def bindings_of_endpoints(
    session: Session, endpoint_ids: Collection[str]
) -> dict[str, dict[str, Binding]]:
    """Return the bindings of endpoints, by endpoint and rule."""
    found: dict[str, dict[str, Binding]] = defaultdict(dict)
    if endpoint_ids:
        query = select(Binding).where(col(Binding.endpoint_id).in_(endpoint_ids))
        for binding in session.exec(query):
            found[binding.endpoint_id][binding.rule_id] = binding
    return found


def unbind(session: Session, rule_id: str, endpoint_ids: Collection[str] | None = None) -> None:
    """Delete bindings of a rule: those of `endpoint_ids`, or all."""
    query = delete(Binding).where(col(Binding.rule_id) == rule_id)
    if endpoint_ids is not None:
        query = query.where(col(Binding.endpoint_id).in_(endpoint_ids))
    session.exec(query)


def unbind_endpoint(session: Session, endpoint_id: str) -> None:
    """Delete every binding of an endpoint."""
    session.exec(delete(Binding).where(col(Binding.endpoint_id) == endpoint_id))


def last_fired(session: Session, schedule_ids: Collection[str]) -> dict[tuple[str, str], datetime]:
    """Return the instant of the latest point that came due, by schedule and endpoint."""
    if not schedule_ids:
        return {}
    query = (
        select(PointFiring.schedule_id, PointFiring.endpoint_id, func.max(PointFiring.at))
        .where(col(PointFiring.schedule_id).in_(schedule_ids))
        .group_by(col(PointFiring.schedule_id), col(PointFiring.endpoint_id))
    )
    return {(row[0], row[1]): row[2] for row in session.execute(query)}


def firing(
    session: Session, schedule_id: str, endpoint_id: str, at: datetime
) -> PointFiring | None:
    """Return what became of a cron point, if it came due before."""
    return session.get(PointFiring, (schedule_id, endpoint_id, at))


def firings_of_holds(session: Session, hold_ids: Collection[str]) -> dict[str, PointFiring]:
    """Return the latest cron point of each of these holds, by hold."""
    if not hold_ids:
        return {}
    query = select(PointFiring).where(col(PointFiring.hold_id).in_(hold_ids))
    return {str(row.hold_id): row for row in session.exec(query.order_by(col(PointFiring.at)))}


def last_clicks(
    session: Session, endpoint_ids: Collection[str], but: Collection[str]
) -> dict[str, datetime]:
    """Return when each endpoint was last held, holds of the sources `but` left aside."""
    if not endpoint_ids:
        return {}
    query = (
        select(Hold.endpoint_id, func.max(Hold.starts_at))
        .where(col(Hold.endpoint_id).in_(endpoint_ids), col(Hold.source).not_in(but))
        .group_by(col(Hold.endpoint_id))
    )
    return {row[0]: row[1] for row in session.execute(query)}


def forget_firings(session: Session, schedule_id: str, endpoint_id: str, before: datetime) -> None:
    """Delete what became of cron points of a schedule and an endpoint that were due before."""
    session.exec(
        delete(PointFiring)
        .where(col(PointFiring.schedule_id) == schedule_id)
        .where(col(PointFiring.endpoint_id) == endpoint_id, col(PointFiring.at) < before)
    )
