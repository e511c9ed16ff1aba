"""The record of an operation: its steps, and its end with the event that tells of it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from orchestrator.store import events
from orchestrator.store.tables import Json, Operation

STEPS_KEPT = 40
ENDED = ("succeeded", "failed", "superseded", "cancelled")
# The step of a create whose request may have reached the cloud, and the one that rules it out.
POSTED, NOT_RECEIVED = "posted", "not received"
# How the outcome of an operation begins that waits for the cloud to have room for it.
NO_CAPACITY = "waiting for capacity"


def add_step(operation: Operation, name: str, at: datetime, state: str, detail: str) -> None:
    """Append a step; the oldest are dropped beyond a number."""
    step: Json = {"name": name, "at": at.isoformat(), "state": state, "detail": detail[:500]}
    operation.steps = [*operation.steps, step][-STEPS_KEPT:]


def first_posted(operation: Operation) -> datetime | None:
    """Return when a create may first have reached the cloud; None when it certainly did not."""
    posted: list[datetime] = []
    for step in operation.steps:
        if step["state"] == POSTED:
            posted.append(datetime.fromisoformat(step["at"]))
        elif step["state"] == NOT_RECEIVED and posted:
            posted.pop()  # of an earlier one, whose answer was lost, nothing is known by that
    return posted[0] if posted else None


def end(session: Session, operation: Operation, status: str, outcome: str, at: datetime) -> None:
    """Close an operation and record the event; nothing when it has ended already."""
    if operation.status in ENDED:
        return
    operation.status, operation.outcome, operation.finished_at = status, outcome, at
    operation.next_attempt_at = None
    add_step(operation, operation.kind, at, status, outcome)
    session.add(operation)
    events.record(
        session,
        at=at,
        kind=f"operation.{status}",
        actor=operation.actor,
        message=f"{operation.kind} of {operation.endpoint_name} {status}: {outcome}",
        account_id=operation.account_id,
        endpoint_id=operation.endpoint_id,
        operation_id=operation.id,
        data={"rule": operation.rule, "attempts": operation.attempts},
    )


def supersede(
    session: Session, operation: Operation, why: str, at: datetime, *, by: str | None = None
) -> None:
    """Close an operation that a newer wish has overtaken."""
    operation.superseded_by = by
    end(session, operation, "superseded", why, at)
