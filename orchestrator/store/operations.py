"""Operations: the durable record of changes under way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import bindparam, func, or_
from sqlmodel import Session, col, select

from orchestrator.domain.decide import Rule
from orchestrator.domain.plan import Kind
from orchestrator.store import columns, locks
from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Account, Endpoint, Json, Operation

ACTIVE = ("pending", "running", "confirming")
ENDED = ("succeeded", "failed", "superseded", "cancelled")
# So many are kept, the first of them whatever follows.
STEPS_KEPT, FIRST_KEPT = 40, 5
# So many steps at most make up one round of what is tried again and again.
LONGEST_ROUND = 4
_BY_ID = select(Operation).where(Operation.id == bindparam("id"))
_IN_ACCOUNT = (
    select(Operation)
    .where(Operation.account_id == bindparam("account_id"), col(Operation.status).in_(ACTIVE))
    .order_by(col(Operation.created_at), col(Operation.id))
)
_OF_ENDPOINTS = select(Operation).where(
    col(Operation.endpoint_id).in_(bindparam("ids", expanding=True)),
    col(Operation.status).in_(ACTIVE),
)
_WANTED = select(col(Operation.status), col(Operation.request)).where(
    Operation.id == bindparam("id")
)
# The step of a start or update that may have reached the cloud, and the one that rules it out.
POSTED, NOT_RECEIVED = "posted", "not received"
# How the detail of a step begins that only counts.
ATTEMPT = "attempt "


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations to list; None leaves a field open."""

    endpoint_id: str | None = None
    account_id: str | None = None
    statuses: tuple[str, ...] = ()
    kind: str | None = None
    stuck: bool | None = None
    bulk_id: str | None = None


def get(session: Session, operation_id: str) -> Operation | None:
    """Return an operation by id."""
    return session.exec(_BY_ID, params={"id": operation_id}).first()


def is_wanted(session: Session, operation_id: str) -> bool:
    """Tell whether an operation has neither ended nor been cancelled, by what is stored now."""
    found = columns.read(session, _WANTED, {"id": operation_id}).first()
    return found is not None and found.status in ACTIVE and "cancel" not in found.request


def by_key(session: Session, actor: str, key: str) -> Operation | None:
    """Return the operation that `actor` asked for under an idempotency key."""
    query = select(Operation).where(Operation.actor == actor, Operation.idempotency_key == key)
    return session.exec(query).first()


def active_of(session: Session, endpoint_ids: Collection[str]) -> dict[str, Operation]:
    """Return the operation under way for each endpoint, where one is."""
    if not endpoint_ids:
        return {}
    rows = session.exec(_OF_ENDPOINTS, params={"ids": list(endpoint_ids)})
    return {row.endpoint_id: row for row in rows if row.endpoint_id is not None}


def active_for(session: Session, endpoint_id: str) -> Operation | None:
    """Return the operation under way on one endpoint, if any."""
    return active_of(session, [endpoint_id]).get(endpoint_id)


def latest_for(session: Session, endpoint_id: str) -> Operation | None:
    """Return the youngest operation of an endpoint, ended or not."""
    query = select(Operation).where(Operation.endpoint_id == endpoint_id)
    return session.exec(query.order_by(col(Operation.id).desc()).limit(1)).first()


def active_create(session: Session, account_id: str, name: str) -> Operation | None:
    """Return the operation that is creating an endpoint of that name, if one is."""
    query = select(Operation).where(
        Operation.account_id == account_id,
        Operation.endpoint_name == name,
        Operation.kind == "create",
        col(Operation.status).in_(ACTIVE),
    )
    return session.exec(query).first()


def active_in_account(session: Session, account_id: str) -> Sequence[Operation]:
    """Return the operations under way in an account, oldest first."""
    return session.exec(_IN_ACCOUNT, params={"account_id": account_id}).all()


def page(
    session: Session, wanted: OperationFilter, after: Position | None, limit: int
) -> Sequence[Operation]:
    """Return up to `limit` operations, newest first."""
    keys = (Key(col(Operation.id), descending=True),)
    query = select(Operation)
    if wanted.endpoint_id is not None:
        query = query.where(Operation.endpoint_id == wanted.endpoint_id)
    if wanted.account_id is not None:
        query = query.where(Operation.account_id == wanted.account_id)
    if wanted.statuses:
        query = query.where(col(Operation.status).in_(wanted.statuses))
    if wanted.kind is not None:
        query = query.where(Operation.kind == wanted.kind)
    if wanted.bulk_id is not None:
        query = query.where(Operation.bulk_id == wanted.bulk_id)
    if wanted.stuck is not None:
        flagged = col(Operation.stuck_since).is_not(None)
        query = query.where(flagged if wanted.stuck else ~flagged)
    if after is not None:
        query = query.where(beyond(keys, after))
    return session.exec(query.order_by(*(key.ordering() for key in keys)).limit(limit)).all()


def lock(session: Session, operation_id: str) -> Operation | None:
    """Return an operation by id, read anew and locked after its endpoint; see `store.locks`."""
    return locks.operation(session, operation_id)


def lock_active(session: Session, endpoint_id: str) -> Operation | None:
    """Return the operation under way on an endpoint, if any, locked with it."""
    active = active_for(session, endpoint_id)
    held = None if active is None else lock(session, active.id)
    return held if held is not None and held.status in ACTIVE else None


def add_step(operation: Operation, name: str, at: datetime, state: str, detail: str) -> None:
    """Append a step; a round that repeats the one before is counted in that.

    Beyond a number some are dropped: neither the first few, nor what tells of a doubt.
    """
    step: Json = {"name": name, "at": at.isoformat(), "state": state, "detail": detail[:500]}
    steps = _folded([*operation.steps, step])
    while len(steps) > STEPS_KEPT:
        del steps[_least(steps)]
    operation.steps = steps


def _folded(steps: list[Json]) -> list[Json]:
    """Return steps with the last round counted in the one before, where it tells the same."""
    for length in range(1, min(LONGEST_ROUND, len(steps) // 2) + 1):
        before, last = steps[-2 * length : -length], steps[-length:]
        if all(map(_is_repeated, before, last)):
            return [*steps[: -2 * length], *map(_counted, before, last)]
    return steps


def _is_repeated(before: Json, last: Json) -> bool:
    """Tell whether a step tells the same again; each posting, and its end, stands for itself."""
    return _told(before) == _told(last) and last["state"] not in (POSTED, NOT_RECEIVED)


def _told(step: Json) -> tuple[str, str, str]:
    detail: str = step["detail"]
    return step["name"], step["state"], ATTEMPT if detail.startswith(ATTEMPT) else detail


def _counted(before: Json, last: Json) -> Json:
    times = before.get("times", 1) + last.get("times", 1)
    until = last.get("last_at", last["at"])
    return {**before, "detail": last["detail"], "times": times, "last_at": until}


def _least(steps: Sequence[Json]) -> slice:
    """Return what tells least: what was not received makes its posting harmless, so both go."""
    states = [step["state"] for step in steps]
    for place in [*range(FIRST_KEPT, len(steps) - 1), *range(FIRST_KEPT)]:
        if states[place] not in (POSTED, NOT_RECEIVED):
            return slice(place, place + 1)
    pairs = (place for place, pair in enumerate(pairwise(states)) if pair == (POSTED, NOT_RECEIVED))
    place = next(pairs, None)
    return slice(1, 2) if place is None else slice(place, place + 2)


def is_untouched(operation: Operation) -> bool:
    """Tell whether an update was tried, and the cloud has certainly carried nothing of it out."""
    if operation.kind != Kind.UPDATE or operation.status != "running":
        return False
    states = {step["state"] for step in operation.steps if step["name"] == operation.kind}
    tried = NOT_RECEIVED in states and "unknown" not in states
    return tried and first_posted(operation) is None


def first_posted(operation: Operation) -> datetime | None:
    """Return when it may first have reached the cloud; None when it certainly did not."""
    posted = _posted(operation)
    return posted[0] if posted else None


def last_posted(operation: Operation) -> datetime | None:
    """Return when it may last have reached the cloud; None when it certainly did not."""
    posted = _posted(operation)
    return posted[-1] if posted else None


def _posted(operation: Operation) -> list[datetime]:
    posted: list[datetime] = []
    for step in operation.steps:
        if step["state"] == POSTED:
            posted.append(datetime.fromisoformat(step["at"]))
        elif step["state"] == NOT_RECEIVED and posted:
            posted.pop()  # of an earlier one, whose answer was lost, nothing is known by that
    return posted


def ended_since(session: Session, endpoint_id: str, since: datetime) -> Sequence[Operation]:
    """Return the operations of an endpoint that ended at or after an instant, youngest first."""
    query = select(Operation).where(
        Operation.endpoint_id == endpoint_id, col(Operation.finished_at) >= since
    )
    return session.exec(query.order_by(col(Operation.id).desc())).all()


def idle_stops(session: Session, account_id: str, since: datetime) -> int:
    """Count the stops that idle policies of an account asked for since then and that were begun.

    Those that were called off or refused before the cloud took them do not count.
    """
    query = select(func.count()).where(
        Operation.account_id == account_id,
        col(Operation.created_at) > since,
        col(Operation.rule).startswith(f"{Rule.IDLE}:"),
        or_(col(Operation.accepted_at).is_not(None), col(Operation.finished_at).is_(None)),
    )
    return session.exec(query.select_from(Operation)).one()


def succeeded(
    session: Session, kind: str, provider: str, since: datetime, limit: int
) -> Sequence[tuple[Operation, str]]:
    """Return the youngest operations of a kind that went well at a kind of cloud since then.

    Each with the hardware of its endpoint as it is now.
    """
    query = (
        select(Operation, Endpoint.hardware_key)
        .join(Endpoint, col(Endpoint.id) == col(Operation.endpoint_id))
        .join(Account, col(Account.id) == col(Operation.account_id))
        .where(Operation.kind == kind, Operation.status == "succeeded")
        .where(Account.provider == provider, col(Operation.created_at) >= since)
        .order_by(col(Operation.id).desc())
        .limit(limit)
    )
    return [(operation, hardware) for operation, hardware in session.exec(query)]
