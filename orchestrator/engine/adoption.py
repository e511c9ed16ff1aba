"""Tie an endpoint that has just been found to our own create, when that is where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Wish
from orchestrator.engine.steps import end, first_posted
from orchestrator.services import bindings, clicks, expiry
from orchestrator.services.requests import Asked, open_operation
from orchestrator.store import events, operations
from orchestrator.store.tables import Account, Endpoint, Label, Operation

# The cloud's clock and ours may differ by so much before the engine freezes itself.
CLOCK_SLACK = timedelta(seconds=90)


def explains(operation: Operation, found: Snapshot) -> bool:
    """Tell whether our create made what was found: it may have been sent, and it fits.

    A create whose answer was lost is found again by its name; but the name alone proves
    nothing where somebody else has taken it meanwhile, another installation of ours even, which
    its mark tells where the cloud keeps one.
    """
    posted = first_posted(operation)
    if posted is None or found.ours is False:
        return False
    if found.created_at is not None and found.created_at < posted - CLOCK_SLACK:
        return False
    spec = operation.request.get("spec") or {}
    hardware = spec.get("hardware") or {}
    return (
        spec.get("repository") == found.repository
        and hardware.get("instance_type") == found.hardware.instance_type
        and hardware.get("instance_size") == found.hardware.instance_size
    )


def claim_created(
    session: Session, account: Account, found: Sequence[tuple[Endpoint, Snapshot]], at: datetime
) -> None:
    """Manage those that unfinished creates of ours explain."""
    ours = {
        operation.endpoint_name: operation
        for operation in operations.active_in_account(session, account.id)
        if operation.kind == Kind.CREATE and operation.endpoint_id is None
    }
    for endpoint, snapshot in found:
        operation = ours.get(endpoint.name)
        if operation is not None and explains(operation, snapshot):
            own_created(session, endpoint, operation, at)


def own_created(session: Session, endpoint: Endpoint, operation: Operation, at: datetime) -> None:
    """Make the endpoint of our create a managed one, with the labels that were asked for."""
    operation.endpoint_id = endpoint.id
    operation.cloud_state, operation.cloud_message = endpoint.cloud_state, endpoint.message
    operation.status, operation.accepted_at = "confirming", operation.accepted_at or at
    endpoint.managed, endpoint.managed_since = True, at
    endpoint.owner = str(operation.request.get("owner") or "")
    endpoint.wish = Wish.AVAILABLE if endpoint.min_replicas == 0 else Wish.RUNNING
    endpoint.wish_actor, endpoint.wish_at = operation.actor, at
    endpoint.wish_reason = operation.reason
    endpoint.resumed_at = at
    labels = operation.request.get("labels") or {}
    for key, value in labels.items():
        session.merge(Label(endpoint_id=endpoint.id, key=key, value=str(value), source="ours"))
    session.add_all((endpoint, operation))
    session.flush()
    bindings.sync_endpoints(session, [endpoint.id], at)
    asked = Asked(operation.actor, at, operation.reason)
    expiry.give_at_birth(session, endpoint, operation.request.get("expiry") or {}, asked)
    events.record(
        session,
        at=at,
        kind="endpoint.created",
        actor=operation.actor,
        message=f"{endpoint.name} was created and is managed",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        operation_id=operation.id,
    )
    if "cancel" in operation.request:
        _delete_at_once(session, endpoint, operation, at)


def _delete_at_once(
    session: Session, endpoint: Endpoint, operation: Operation, at: datetime
) -> None:
    """A create that was cancelled under way has made it after all."""
    order = operation.request["cancel"]
    asked = Asked(order["actor"], at, order["reason"])
    clicks.set_wish(session, endpoint, Wish.DELETED, asked)
    end(session, operation, "cancelled", "it had come into being, and is deleted", at)
    session.flush()
    account = session.get_one(Account, endpoint.account_id)
    newer = open_operation(session, account, endpoint, Kind.DELETE, asked)
    operation.superseded_by = newer.id
    session.add(operation)
