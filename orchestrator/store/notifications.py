"""The outbox: notices written with their events, and their deliveries to targets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Delivery, Endpoint, Notice, NotificationTarget

PENDING, DELIVERED, FAILED, DROPPED = "pending", "delivered", "failed", "dropped"
# After so many attempts a message no longer holds up the later ones of its endpoint.
KEEPS_ORDER = 6
Queued = tuple[Delivery, Notice]
Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to list; None leaves a field open."""

    target_id: str | None = None
    endpoint_id: str | None = None
    statuses: tuple[str, ...] = ()
    kind: str | None = None


def get_target(session: Session, target_id: str) -> NotificationTarget | None:
    """Return a target that was not removed, by id."""
    row = session.get(NotificationTarget, target_id)
    return None if row is None or row.removed_at is not None else row


def target_by_name(session: Session, name: str) -> NotificationTarget | None:
    """Return a target that was not removed, by name."""
    query = select(NotificationTarget).where(
        NotificationTarget.name == name, col(NotificationTarget.removed_at).is_(None)
    )
    return session.exec(query).first()


def name_taken(session: Session, name: str, but: str) -> bool:
    """Tell whether a target other than `but` bears the name."""
    query = select(NotificationTarget.id).where(
        NotificationTarget.name == name, NotificationTarget.id != but
    )
    return session.exec(query).first() is not None


def targets(session: Session, *, enabled: bool = False) -> Sequence[NotificationTarget]:
    """Return the targets that were not removed, or only those that are switched on, by name."""
    query = select(NotificationTarget).where(col(NotificationTarget.removed_at).is_(None))
    if enabled:
        query = query.where(col(NotificationTarget.enabled).is_(True))
    return session.exec(query.order_by(col(NotificationTarget.name))).all()


def targets_by_ids(session: Session, ids: Collection[str]) -> dict[str, NotificationTarget]:
    """Return targets by id, removed ones too."""
    query = select(NotificationTarget).where(col(NotificationTarget.id).in_(ids))
    return {row.id: row for row in session.exec(query)}


def page_of_targets(
    session: Session, after: Position | None, limit: int
) -> Sequence[NotificationTarget]:
    """Return up to `limit` targets in the order of name and id."""
    keys = (Key(col(NotificationTarget.name)), Key(col(NotificationTarget.id)))
    query = select(NotificationTarget).where(col(NotificationTarget.removed_at).is_(None))
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def any_waiting(session: Session, after: int = 0) -> bool:
    """Tell whether a notice beyond a number was not yet turned into deliveries."""
    query = select(Notice.seq).where(col(Notice.expanded_at).is_(None), col(Notice.seq) > after)
    return session.exec(query.limit(1)).first() is not None


def waiting(session: Session, after: int, limit: int) -> Sequence[Notice]:
    """Return notices to be turned into deliveries, oldest first, locked until the commit."""
    query = select(Notice).where(col(Notice.expanded_at).is_(None), col(Notice.seq) > after)
    query = query.order_by(col(Notice.seq)).limit(limit)
    return session.exec(query.with_for_update(skip_locked=True)).all()


def due_targets(session: Session, now: datetime) -> Sequence[str]:
    """Return the targets for which something is due and that nobody sends to now."""
    due = (
        select(Delivery.id)
        .where(Delivery.target_id == NotificationTarget.id, Delivery.status == PENDING)
        .where(Delivery.next_attempt_at <= now)
    )
    query = select(NotificationTarget.id).where(*_free(now), due.exists())
    return session.exec(query.order_by(col(NotificationTarget.id))).all()


def lease(
    session: Session, target_id: str, holder: str, now: datetime, until: datetime
) -> NotificationTarget | None:
    """Take a target for sending until an instant; None where another process was quicker."""
    query = select(NotificationTarget).where(NotificationTarget.id == target_id, *_free(now))
    row = session.exec(query.with_for_update(skip_locked=True)).first()
    if row is not None:
        row.lease, row.leased_until = holder, until
        session.add(row)
    return row


def held(session: Session, target_id: str, holder: str) -> NotificationTarget | None:
    """Return a target that `holder` sends to, locked; None where the lease was lost."""
    query = select(NotificationTarget).where(
        NotificationTarget.id == target_id, NotificationTarget.lease == holder
    )
    return session.exec(query.with_for_update()).first()


def _free(now: datetime) -> tuple[ColumnElement[bool], ...]:
    target = NotificationTarget
    blocked, leased = col(target.blocked_until), col(target.leased_until)
    return (
        col(target.removed_at).is_(None),
        col(target.enabled).is_(True),
        or_(blocked.is_(None), blocked <= now),
        or_(leased.is_(None), leased <= now),
    )


def queue(session: Session, target_id: str, now: datetime, limit: int) -> Sequence[Queued]:
    """Return what is due for a target in the order of events.

    A message waits for an earlier one of its endpoint that failed, until that has failed often:
    from then on that one is the last to be tried.
    """
    earlier = aliased(Delivery)
    holds_up = select(earlier.id).where(
        earlier.target_id == target_id,
        earlier.status == PENDING,
        earlier.subject == col(Delivery.subject),
        col(earlier.notice_seq) < col(Delivery.notice_seq),
        col(earlier.next_attempt_at) > now,
        col(earlier.attempts) < KEEPS_ORDER,
    )
    query = (
        select(Delivery, Notice)
        .join(Notice, col(Notice.seq) == col(Delivery.notice_seq))
        .where(Delivery.target_id == target_id, Delivery.status == PENDING)
        .where(Delivery.next_attempt_at <= now, ~holds_up.exists())
        .order_by(col(Delivery.attempts) >= KEEPS_ORDER, col(Delivery.notice_seq))
        .limit(limit)
    )
    return [(one, notice) for one, notice in session.exec(query)]


def sent_since(session: Session, target_id: str, since: datetime) -> Sequence[datetime]:
    """Return when each message was taken by a target after an instant; a summary counts once."""
    what = func.coalesce(func.nullif(col(Delivery.summary), ""), col(Delivery.id))
    query = (
        select(func.max(Delivery.delivered_at))
        .where(Delivery.target_id == target_id, Delivery.status == DELIVERED)
        .where(col(Delivery.delivered_at) > since)
        .group_by(what)
        .order_by(func.max(Delivery.delivered_at))
    )
    return [at for at in session.exec(query) if at is not None]


def get(session: Session, ref: str) -> Delivery | None:
    """Return a delivery by id."""
    return session.get(Delivery, ref)


def lock_target(session: Session, target_id: str) -> NotificationTarget:
    """Return a target, locked: before its deliveries, as the courier does."""
    return session.get_one(NotificationTarget, target_id, with_for_update=True)


def of_ids(session: Session, ids: Collection[str]) -> Sequence[Delivery]:
    """Return deliveries that are still pending, by id."""
    query = select(Delivery).where(col(Delivery.id).in_(ids), Delivery.status == PENDING)
    return session.exec(query).all()


def pending_since(session: Session, target_id: str, before: datetime) -> Sequence[Delivery]:
    """Return what a target was to be sent before an instant and has tried in vain."""
    query = select(Delivery).where(
        Delivery.target_id == target_id,
        Delivery.status == PENDING,
        Delivery.created_at < before,
    )
    return session.exec(query.order_by(col(Delivery.notice_seq))).all()


def page(
    session: Session, wanted: DeliveryFilter, after: Position | None, limit: int
) -> Sequence[Queued]:
    """Return up to `limit` deliveries with their notices, newest first."""
    keys = (Key(col(Delivery.notice_seq), descending=True), Key(col(Delivery.id), descending=True))
    query = select(Delivery, Notice).join(Notice, col(Notice.seq) == col(Delivery.notice_seq))
    if wanted.target_id is not None:
        query = query.where(Delivery.target_id == wanted.target_id)
    if wanted.endpoint_id is not None:
        query = query.where(Notice.endpoint_id == wanted.endpoint_id)
    if wanted.statuses:
        query = query.where(col(Delivery.status).in_(wanted.statuses))
    if wanted.kind is not None and wanted.kind.endswith("*"):
        query = query.where(col(Notice.kind).startswith(wanted.kind[:-1], autoescape=True))
    elif wanted.kind is not None:
        query = query.where(Notice.kind == wanted.kind)
    if after is not None:
        query = query.where(beyond(keys, after))
    found = session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit))
    return [(one, notice) for one, notice in found]


def notice_of(session: Session, delivery: Delivery) -> Notice:
    """Return what a delivery tells of."""
    return session.get_one(Notice, delivery.notice_seq)


def counts(session: Session) -> Counts:
    """Return how many deliveries are pending or have failed, by target and status."""
    query = (
        select(Delivery.target_id, Delivery.status, func.count())
        .where(col(Delivery.status).in_((PENDING, FAILED)))
        .group_by(col(Delivery.target_id), col(Delivery.status))
    )
    return {(target, status): count for target, status, count in session.exec(query)}


def oldest_pending(session: Session) -> datetime | None:
    """Return since when the delivery that waits longest has waited; None where none does."""
    return session.exec(
        select(func.min(Delivery.created_at)).where(Delivery.status == PENDING)
    ).first()


def drop_pending(session: Session, target_id: str) -> None:
    """Give up what was on its way to a target that is removed."""
    session.exec(
        update(Delivery)
        .where(col(Delivery.target_id) == target_id)
        .where(col(Delivery.status).in_((PENDING, FAILED)))
        .values(status=DROPPED)
    )


def latest_of(
    session: Session, kinds: Collection[str], endpoint_ids: Collection[str]
) -> dict[str, Notice]:
    """Return the youngest notice of some kinds for each endpoint, where there is one."""
    newest = (
        select(func.max(Notice.seq))
        .where(col(Notice.kind).in_(kinds), col(Notice.endpoint_id).in_(endpoint_ids))
        .group_by(col(Notice.endpoint_id))
    )
    rows = session.exec(select(Notice).where(col(Notice.seq).in_(newest)))
    return {row.endpoint_id: row for row in rows if row.endpoint_id is not None}


def deliveries_of(session: Session, seqs: Collection[int]) -> Sequence[Delivery]:
    """Return the deliveries of some notices, but for those of removed targets."""
    query = (
        select(Delivery)
        .join(NotificationTarget, col(NotificationTarget.id) == col(Delivery.target_id))
        .where(col(Delivery.notice_seq).in_(seqs), Delivery.status != DROPPED)
        .where(col(NotificationTarget.removed_at).is_(None))
    )
    return session.exec(query.order_by(col(Delivery.notice_seq), col(Delivery.id))).all()


def forget(session: Session, before: datetime, kept_kinds: Collection[str]) -> None:
    """Delete notices from before an instant that nobody waits for, with their deliveries.

    Those of `kept_kinds` stay as long as their endpoint does.
    """
    alive = select(Endpoint.id).where(
        Endpoint.id == col(Notice.endpoint_id), col(Endpoint.deleted_at).is_(None)
    )
    pending = select(Delivery.id).where(
        Delivery.notice_seq == col(Notice.seq), Delivery.status == PENDING
    )
    kept = and_(col(Notice.kind).in_(kept_kinds), alive.exists())
    old = (
        select(Notice.seq)
        .where(Notice.at < before, col(Notice.expanded_at).is_not(None))
        .where(~pending.exists(), ~kept)
    )
    session.exec(delete(Delivery).where(col(Delivery.notice_seq).in_(old)))
    session.exec(delete(Notice).where(col(Notice.seq).in_(old)))
