"""Writing an operation down: what any request for a change of an endpoint has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.plan import Kind
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.store import accounts, events, freeze, operations
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, Json, Operation


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
    """Return the endpoint's account, when the endpoint may be changed. Raises ServiceError 409."""
    if endpoint.deleted_at is not None:
        raise conflict(
            "deleted",
            f"{endpoint.name} was deleted.",
            remedy="Create it again: POST /v1/endpoints.",
        )
    account = check_account(session, endpoint.account_id)
    if not endpoint.managed:
        why = f" ({endpoint.observe_only})" if endpoint.observe_only else ""
        raise conflict(
            "not_managed",
            f"{endpoint.name} is only observed{why}.",
            remedy=f"Adopt it first: POST /v1/endpoints/{endpoint.id}/adopt.",
        )
    return account


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

    Raises ServiceError 409 while a create or update that may have been sent is in doubt.
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


def _supersede(session: Session, endpoint: Endpoint, newer: Operation) -> None:
    active = operations.active_for(session, endpoint.id)
    if active is None:
        return
    if active.kind in (Kind.CREATE, Kind.UPDATE) and active.status == "running":
        raise busy(active)
    close(session, active, "superseded", f"a newer request: {newer.kind}", at=newer.created_at)
    active.superseded_by = newer.id
    session.add(active)
    session.flush()  # one active operation per endpoint: the old one leaves before the new comes


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
    """End an operation with its event."""
    operation.status, operation.outcome, operation.finished_at = status, outcome, at
    operation.next_attempt_at = None
    step = {"name": operation.kind, "at": at.isoformat(), "state": status, "detail": outcome}
    operation.steps = [*operation.steps, step]
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
    )
