"""Leases: a program's "keep it running while I need it", renewed while the program lives.

`until` alone decides whether a lease is in force; nothing has to sweep. Leases unite: the endpoint
goes back to its rules when the last one ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from orchestrator.domain.asked import HoldFact
from orchestrator.domain.decide import Decision, Rule, decide
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status, Wish
from orchestrator.services import clicks, hold_rows, holding
from orchestrator.services.errors import ServiceError, conflict, invalid, not_found
from orchestrator.services.lengths import brief
from orchestrator.services.requests import Asked, check_changeable, check_managed
from orchestrator.store import accounts, endpoints, holds, locks, operations
from orchestrator.store.tables import Account, Endpoint, Hold, Operation

SHORTEST = timedelta(seconds=30)
_SERVING = (Status.RUNNING, Status.UPDATING, Status.UPDATE_FAILED)
# Work under way that takes replicas away, or has not brought them yet.
_AWAY = (Kind.PAUSE, Kind.SCALE_TO_ZERO, Kind.DELETE)


class State(StrEnum):
    """How a lease stands; `starting` and `serving` are in force and heeded.

    `overruled`: in force, but a person's hold, a freeze or a deletion counts more now.
    """

    STARTING = "starting"
    SERVING = "serving"
    OVERRULED = "overruled"
    FAILED = "failed"
    RELEASED = "released"
    REVOKED = "revoked"
    EXPIRED = "expired"


OVER = frozenset({State.RELEASED, State.REVOKED, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a lease may last: each time that it is asked for, and in all."""

    ttl: timedelta = timedelta(hours=1)
    total: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Leased:
    """A lease as it stands; `detail` says why where it does not serve, `left` how long it lasts."""

    lease: Hold
    endpoint: Endpoint
    state: State
    detail: str
    left: timedelta = timedelta(0)
    operation: Operation | None = None


def acquire(
    session: Session, endpoint: Endpoint, ttl: timedelta, asked: Asked, bounds: Bounds
) -> Leased:
    """Lease an endpoint running for `ttl`, and begin to start it where it does not run.

    Raises ServiceError: 422 for the length; 409 with a remedy where it may not be changed, has
    expired or expires before, or a person holds it paused.
    """
    account = check_changeable(session, endpoint)
    _check_ttl(ttl, bounds)
    until = asked.now + ttl
    view = clicks.look(session, account, endpoint, asked.now)
    if view.ruled.rule is Rule.DELETION:
        raise clicks.deleting(session, endpoint)
    clicks.refuse_expired(view.facts, endpoint, Wish.RUNNING, until, asked.now)
    _refuse_held(session, endpoint, asked.now)
    fact = HoldFact(Wish.RUNNING, until, asked.actor, asked.why, by_program=True)
    lease = hold_rows.start(session, endpoint, fact, asked, holds.LEASE)
    lease.longest_until = asked.now + bounds.total
    session.add(lease)
    holding.begin(session, account, endpoint, lease, asked)
    session.flush()
    return _standing(session, account, lease, endpoint, asked.now)


def renew(session: Session, lease_id: str, ttl: timedelta, asked: Asked, bounds: Bounds) -> Leased:
    """Let a lease last `ttl` from now, within its longest time; never shorter than it does.

    Raises ServiceError: 404; 422 for the length; 409 with a remedy when it is over, has lasted as
    long as it may, or a person's hold stands against it.
    """
    endpoint = _locked(session, lease_id)
    _check_ttl(ttl, bounds)
    check_managed(session, endpoint)  # a freeze takes no lease away
    account = accounts.by_ids(session, [endpoint.account_id])[endpoint.account_id]
    lease, _ = find(session, lease_id)
    _refuse_over(lease, endpoint, asked.now)
    _refuse_held(session, endpoint, asked.now)
    longest = lease.longest_until or lease.until
    until = wanted = max(lease.until, min(asked.now + ttl, longest))
    facts = clicks.look(session, account, endpoint, asked.now).facts
    if facts.expiry is not None and not facts.protected:
        until = max(lease.until, min(wanted, facts.expiry.at))
    if until == lease.until:  # nothing would be gained
        clicks.refuse_expired(facts, endpoint, Wish.RUNNING, wanted, asked.now)
    if until == lease.until and until == longest:
        raise conflict(
            "lease_at_its_longest",
            f"This lease has lasted as long as it may: it ends at {_at(longest)}.",
            remedy="Finish by then, or acquire a new lease: POST /v1/leases.",
        )
    told = lease.renewals == 0 or asked.actor != lease.actor
    lease.until, lease.renewals = until, lease.renewals + 1
    lease.cost_nano = hold_rows.cost(session, endpoint, Wish.RUNNING, lease.starts_at, until)
    session.add(lease)
    if told:  # the others are counted: its end tells how many there were
        whose = "its" if asked.actor == lease.actor else f"{lease.actor}'s"
        message = f"{asked.actor} renewed {whose} lease on {endpoint.name} until {_at(until)}"
        hold_rows.record(session, endpoint, lease, asked, kind="lease.renewed", message=message)
    return view(session, lease, endpoint, asked.now)


def release(session: Session, lease_id: str, asked: Asked) -> Leased:
    """End a lease before its time; done again it changes nothing. Raises ServiceError 404."""
    endpoint = _locked(session, lease_id)
    lease, _ = find(session, lease_id)
    if lease.ended_at is None and lease.until > asked.now:
        hold_rows.end(session, endpoint, lease, actor=asked.actor, now=asked.now)
    return view(session, lease, endpoint, asked.now)


def find(session: Session, lease_id: str) -> tuple[Hold, Endpoint]:
    """Return a lease, ended ones too, and its endpoint. Raises ServiceError 404."""
    lease = holds.get(session, lease_id)
    endpoint = None if lease is None else endpoints.get(session, lease.endpoint_id)
    if lease is None or endpoint is None or lease.source != holds.LEASE:
        raise not_found("lease", lease_id, "List them with GET /v1/leases.")
    return lease, endpoint


def view(session: Session, lease: Hold, endpoint: Endpoint, now: datetime) -> Leased:
    """Return a lease as it stands now."""
    account = accounts.by_ids(session, [endpoint.account_id])[endpoint.account_id]
    return _standing(session, account, lease, endpoint, now)


def _standing(
    session: Session, account: Account, lease: Hold, endpoint: Endpoint, now: datetime
) -> Leased:
    over = _over(lease, endpoint, now)
    if over is not None:
        return Leased(lease, endpoint, *over)
    operation = operations.active_for(session, endpoint.id)
    decision = decide(clicks.facts_of(session, account, endpoint, now), now)
    state, detail = _readiness(endpoint, operation, decision, now)
    return Leased(lease, endpoint, state, detail, lease.until - now, operation)


def _over(lease: Hold, endpoint: Endpoint, now: datetime) -> tuple[State, str] | None:
    if endpoint.deleted_at is not None:
        return State.REVOKED, f"{endpoint.name} was deleted"
    if lease.ended_at is not None:
        own = lease.ended_by == lease.actor
        told = f"{lease.ended_by} ended it at {_at(lease.ended_at)}"
        return (State.RELEASED if own else State.REVOKED), told
    if lease.until <= now:
        return State.EXPIRED, f"it was not renewed before {_at(lease.until)}"
    return None


def _readiness(
    endpoint: Endpoint, operation: Operation | None, decision: Decision, now: datetime
) -> tuple[State, str]:
    """Tell from what was last seen whether it serves."""
    status = Status(endpoint.status)
    serves = status in _SERVING and endpoint.ready_replicas != 0
    leaves = operation is not None and operation.kind in _AWAY
    if decision.wish is not Wish.RUNNING and (decision.rule is not Rule.FROZEN or not serves):
        return State.OVERRULED, decision.reason
    if serves and not leaves:
        return State.SERVING, ""
    if status is Status.FAILED:
        return State.FAILED, endpoint.message or "its cloud says that it failed"
    told = f"it is {status.replace('_', ' ')}"
    awaited = _awaited(operation, now)
    if awaited:
        return State.STARTING, f"{told}, {awaited}"
    return State.STARTING, f"{told}: {endpoint.message}" if endpoint.message else told


def _awaited(operation: Operation | None, now: datetime) -> str:
    """Return what its start waits for, and when that is tried again; empty where it goes on."""
    if operation is None or operation.kind in _AWAY or not operation.outcome:
        return ""
    again = operation.next_attempt_at
    return operation.outcome + (f"; tried again at {_at(again)}" if again and again > now else "")


def _locked(session: Session, lease_id: str) -> Endpoint:
    """Lock the endpoint of a lease first, as every change does, and read the lease anew."""
    lease, endpoint = find(session, lease_id)
    locks.refresh(session, endpoint)
    session.refresh(lease)
    return endpoint


def _check_ttl(ttl: timedelta, bounds: Bounds) -> None:
    longest = min(bounds.ttl, bounds.total)
    if SHORTEST <= ttl <= longest:
        return
    raise invalid(
        "ttl",
        f"A lease lasts between {brief(SHORTEST)} and {brief(longest)} at a time.",
        remedy="Ask for less, and renew it while it is needed.",
    )


def _refuse_over(lease: Hold, endpoint: Endpoint, now: datetime) -> None:
    over = _over(lease, endpoint, now)
    if over is not None:
        raise conflict(
            "lease_over",
            f"This lease is {over[0]}: {over[1]}.",
            remedy="Acquire a new one: POST /v1/leases.",
        )


def _refuse_held(session: Session, endpoint: Endpoint, now: datetime) -> None:
    """A person outranks a program: where one holds it paused, a lease is refused."""
    active = holds.active_of(session, [endpoint.id], now).get(endpoint.id, [])
    people = [hold for hold in active if hold_rows.is_persons(hold)]
    if people and all(hold.wish == Wish.PAUSED for hold in people):
        last = max(people, key=lambda hold: hold.until)
        raise _by_person(endpoint, last)


def _by_person(endpoint: Endpoint, hold: Hold) -> ServiceError:
    return hold_rows.held_by_person(endpoint, hold, "leased running")


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
