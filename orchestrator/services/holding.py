"""Holds that a person asks for by name: "keep it so until T", begun at once where need be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.asked import HoldFact
from orchestrator.domain.decide import Rule, decide
from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.plan import Kind, needed
from orchestrator.domain.status import Status, Wish
from orchestrator.domain.supersede import Turn
from orchestrator.services import clicks, hold_rows
from orchestrator.services.errors import not_found
from orchestrator.services.requests import Asked, answer_to, check_changeable, open_operation
from orchestrator.services.rulebook import means_of
from orchestrator.store import endpoints, holds, operations
from orchestrator.store.tables import Account, Endpoint, Hold, Json, Operation

# From the wish that wins among equals to the one that gives way.
_RANK = {Wish.RUNNING: 0, Wish.AVAILABLE: 1, Wish.PAUSED: 2}
_OPPOSITE = {
    Kind.RESUME: (Kind.PAUSE, Kind.SCALE_TO_ZERO),
    Kind.PAUSE: (Kind.RESUME, Kind.SCALE_TO_ZERO),
}


@dataclass(frozen=True, slots=True)
class Held:
    """A hold, the operation that it began, if any, and the holds and leases that it outranks."""

    hold: Hold
    operation: Operation | None
    outranks: tuple[Hold, ...] = ()


def request_hold(
    session: Session,
    endpoint: Endpoint,
    wish: Wish,
    until: datetime,
    asked: Asked,
    *,
    longest: timedelta = hold_rows.LONGEST_HOLD,
) -> Held:
    """Ask that an endpoint be kept so until an instant; the same person's holds give way.

    Raises ServiceError: 422 for the end; 409 with a remedy where it may not be changed, expires
    before, cannot be stopped, or another person's hold for more stands against it.
    """
    account = check_changeable(session, endpoint)
    hold_rows.check_end(until, asked.now, longest)
    view = clicks.look(session, account, endpoint, asked.now)
    if view.ruled.rule is Rule.DELETION:
        raise clicks.deleting(session, endpoint)
    if wish is Wish.PAUSED:
        clicks.check_means(endpoint, Kind.PAUSE)
    clicks.refuse_expired(view.facts, endpoint, wish, until, asked.now)
    active = holds.active_of(session, [endpoint.id], asked.now).get(endpoint.id, [])
    others = [
        hold for hold in active if not hold_rows.is_persons(hold) or hold.actor != asked.actor
    ]
    _refuse_stronger(endpoint, others, wish)
    mine = [hold for hold in active if hold not in others]
    for hold in mine:
        hold_rows.end(session, endpoint, hold, actor=asked.actor, now=asked.now)
    fact = HoldFact(wish, until, asked.actor, asked.why)
    hold = hold_rows.start(session, endpoint, fact, asked, hold_rows.PERSON)
    endpoint.not_before = None  # a person's hold does not wait for a back-off
    session.add(endpoint)
    operation = begin(session, account, endpoint, hold, asked, ended=[one.id for one in mine])
    return Held(hold, operation, tuple(one for one in others if _gives_way(one, wish)))


def begin(
    session: Session,
    account: Account,
    endpoint: Endpoint,
    hold: Hold,
    asked: Asked,
    *,
    ended: Sequence[str] = (),
) -> Operation | None:
    """Begin at once what a new hold or lease needs; None where it is so already.

    What is under way and must not be lost goes first, and is returned: the rules begin the rest.
    """
    session.flush()
    decision = decide(clicks.facts_of(session, account, endpoint, asked.now), asked.now)
    billed = BilledReplicas(endpoint.billed_low, endpoint.billed_expected, endpoint.billed_high)
    active = operations.active_for(session, endpoint.id)
    kind = needed(Status(endpoint.status), decision, billed) or _turned_back(
        active, Wish(hold.wish)
    )
    if kind is None or means_of(endpoint).barrier(kind):
        return active
    memory: Json = {
        "before": clicks.remember(endpoint),
        "after": clicks.remember(endpoint),
        "ended": list(ended),
        "hold": hold.id,
    }
    locked = operations.lock_active(session, endpoint.id)
    if locked is not None and answer_to(locked, endpoint, kind).turn is not Turn.SUPERSEDE:
        return locked
    return open_operation(session, account, endpoint, kind, asked, request=memory)


def find(session: Session, hold_id: str) -> tuple[Hold, Endpoint]:
    """Return a hold, ended ones too, and its endpoint. Raises ServiceError 404."""
    hold = holds.get(session, hold_id)
    endpoint = None if hold is None else endpoints.get(session, hold.endpoint_id)
    if hold is None or endpoint is None or hold.source == holds.LEASE:
        raise not_found("hold", hold_id, "List them with GET /v1/holds?state=all.")
    return hold, endpoint


def _refuse_stronger(endpoint: Endpoint, others: Sequence[Hold], wish: Wish) -> None:
    """Among people running outranks paused: a hold that would not count is refused."""
    against = [
        hold
        for hold in others
        if hold_rows.is_persons(hold) and _RANK[Wish(hold.wish)] < _RANK[wish]
    ]
    if against:
        last = max(against, key=lambda hold: (-_RANK[Wish(hold.wish)], hold.until))
        raise hold_rows.held_by_person(endpoint, last, f"held {wish}")


def _gives_way(other: Hold, wish: Wish) -> bool:
    """Tell whether another hold does not count while a person's new one lasts."""
    if _RANK[Wish(other.wish)] > _RANK[wish]:
        return True
    return wish is Wish.PAUSED and not hold_rows.is_persons(other) and other.wish != wish


def _turned_back(active: Operation | None, wish: Wish) -> Kind | None:
    """Return the change that turns back what is under way, which status does not show yet."""
    if active is None:
        return None
    kind = Kind.PAUSE if wish is Wish.PAUSED else Kind.RESUME
    zero = wish is Wish.AVAILABLE and active.kind == Kind.SCALE_TO_ZERO
    return kind if active.kind in _OPPOSITE[kind] and not zero else None
