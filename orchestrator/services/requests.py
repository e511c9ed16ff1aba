"""Writing an operation down: what any request for a change of an endpoint has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.plan import STARTS, Kind
from orchestrator.domain.supersede import Answer, State, Turn, turn
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.store import accounts, events, freeze, locks, operations
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, Json, Operation

_TOLD = {
    State.PENDING: "nothing was sent",
    State.RUNNING: "it may have been sent",
    State.UNTOUCHED: "nothing of it was carried out",
    State.CONFIRMING: "the cloud had accepted it",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, when, why, and under which idempotency key."""

    actor: str
    now: datetime
    reason: str = ""
    key: str | None = None
    digest: str = ""

    @property
    def why(self) -> str:
        """Return the reason, or that none was given."""
        return self.reason or "no reason given"


def check_account(session: Session, account_id: str) -> Account:
    """Return the account, when changes may be made through it. Raises ServiceError 409."""
    account = accounts.get(session, account_id)
    if account is None:
        raise conflict(
            "account_removed",
            "The account of this endpoint is no longer connected.",
            remedy="Connect the account again: POST /v1/accounts.",
        )
    everywhere = freeze.everywhere(session)
    frozen = everywhere or freeze.of_account(account)
    if frozen is not None:
        place = "Everything" if everywhere else f"The account {account.name}"
        raise conflict(
            "frozen",
            f"{place} is frozen by {frozen.by}: {frozen.reason}",
            remedy=(
                "End the freeze first: DELETE /v1/freeze, or `orchestrator freeze off`."
                if everywhere
                else f"End its freeze first: DELETE /v1/freeze?account={account.name}, "
                f"or `orchestrator freeze off --account {account.name}`."
            ),
        )
    return account


def check_changeable(session: Session, endpoint: Endpoint) -> Account:
    """Lock the endpoint, read anew, and return its account, when it may be changed.

    Raises ServiceError 409.
    """
    locks.refresh(session, endpoint)
    _check_there(endpoint)
    account = check_account(session, endpoint.account_id)
    _check_ours(endpoint)
    return account


def check_managed(session: Session, endpoint: Endpoint) -> None:
    """Lock the endpoint and read it anew, for what changes nothing at its cloud: frozen or not.

    Raises ServiceError 409 where it is gone or not managed.
    """
    locks.refresh(session, endpoint)
    _check_there(endpoint)
    _check_ours(endpoint)


def _check_there(endpoint: Endpoint) -> None:
    if endpoint.deleted_at is not None:
        raise conflict(
            "deleted",
            f"{endpoint.name} was deleted.",
            remedy="Create it again: POST /v1/endpoints.",
        )


def _check_ours(endpoint: Endpoint) -> None:
    if not endpoint.managed:
        why = f" ({endpoint.observe_only})" if endpoint.observe_only else ""
        raise conflict(
            "not_managed",
            f"{endpoint.name} is only observed{why}.",
            remedy=f"Adopt it first: POST /v1/endpoints/{endpoint.id}/adopt.",
        )


def open_operation(
    session: Session,
    account: Account,
    endpoint: Endpoint | None,
    kind: Kind,
    asked: Asked,
    *,
    name: str = "",
    request: Json | None = None,
) -> Operation:
    """Write a pending operation and its event; an older one of the endpoint is superseded.

    Raises ServiceError 409 where the older one may not be: see `domain.supersede`.
    """
    operation = Operation(
        id=new_id("op", asked.now),
        account_id=account.id,
        endpoint_id=None if endpoint is None else endpoint.id,
        endpoint_name=name if endpoint is None else endpoint.name,
        kind=kind,
        status="pending",
        actor=asked.actor,
        reason=asked.why,
        request=request or {},
        idempotency_key=asked.key,
        request_digest=asked.digest,
        created_at=asked.now,
    )
    if endpoint is not None:
        _supersede(session, endpoint, operation)
    session.add(operation)
    events.record(
        session,
        at=asked.now,
        kind="operation.requested",
        actor=asked.actor,
        message=f"{asked.actor} asked for {kind} of {operation.endpoint_name}: {asked.why}",
        account_id=account.id,
        endpoint_id=operation.endpoint_id,
        operation_id=operation.id,
    )
    return operation


def answer_to(active: Operation, endpoint: Endpoint, kind: Kind) -> Answer:
    """Return what a request for `kind` does to the operation under way on an endpoint."""
    owed = bool(endpoint.unfinished or endpoint.kept)
    in_parts = owed and active.kind in STARTS
    return turn(Kind(active.kind), state_of(active), kind, in_parts=in_parts)


def state_of(active: Operation) -> State:
    """Return how far an operation under way has come."""
    return State.UNTOUCHED if operations.is_untouched(active) else State(active.status)


def told_of(active: Operation) -> str:
    """Return what is known to have been done of an operation that another takes the place of."""
    return _TOLD[state_of(active)]


def under_way(session: Session, endpoint: Endpoint, kind: Kind) -> Operation | None:
    """Return the operation under way that serves a request for `kind` too, locked.

    So no cancel comes in between. Raises ServiceError 409 where the request has to wait.
    """
    locked = operations.lock_active(session, endpoint.id)
    if locked is None:
        return None
    answer = answer_to(locked, endpoint, kind)
    if answer.turn is Turn.REFUSE:
        raise refused(locked, kind, answer)
    return locked if answer.turn is Turn.JOIN else None


def _supersede(session: Session, endpoint: Endpoint, newer: Operation) -> None:
    active = operations.lock_active(session, endpoint.id)
    if active is None:
        return
    answer = answer_to(active, endpoint, Kind(newer.kind))
    if answer.turn is Turn.REFUSE:
        raise refused(active, Kind(newer.kind), answer)
    why = f"{newer.actor} asked for {newer.kind}; {told_of(active)}"
    active.superseded_by = newer.id
    close(session, active, "superseded", why, at=newer.created_at)
    session.flush()  # one active operation per endpoint: the old one leaves before the new comes


def refused(active: Operation, kind: Kind, answer: Answer) -> ServiceError:
    """Return the error for a request that has to wait for the operation under way."""
    remedy = answer.remedy or "Wait for it"
    return conflict(
        "operation_in_progress",
        f"{active.kind} of {active.endpoint_name} is under way, so {kind} cannot begin"
        + (f": {answer.why}." if answer.why else "."),
        remedy=f"{remedy}: GET /v1/operations/{active.id}?wait=60.",
    )


def busy(active: Operation) -> ServiceError:
    """Return the error for a request that has to wait for an operation under way."""
    return conflict(
        "operation_in_progress",
        f"{active.kind} of {active.endpoint_name} is under way.",
        remedy=f"Wait for it: GET /v1/operations/{active.id}?wait=60.",
    )


def close(
    session: Session, operation: Operation, status: str, outcome: str, *, at: datetime, by: str = ""
) -> None:
    """End an operation with its event; nothing when it has ended already."""
    if operation.status in operations.ENDED:
        return
    operation.status, operation.outcome, operation.finished_at = status, outcome, at
    operation.next_attempt_at = operation.stuck_since = None
    operations.add_step(operation, operation.kind, at, status, outcome)
    session.add(operation)
    events.record(
        session,
        at=at,
        kind=f"operation.{status}",
        actor=by or operation.actor,
        message=f"{operation.kind} of {operation.endpoint_name} {status}: {outcome}",
        account_id=operation.account_id,
        endpoint_id=operation.endpoint_id,
        operation_id=operation.id,
        data={"rule": operation.rule, "attempts": operation.attempts}
        | ({"superseded_by": operation.superseded_by} if operation.superseded_by else {}),
    )
