"""The record of an operation: its steps, and its end with the event that tells of it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from orchestrator.services.requests import close
from orchestrator.store.operations import (
    ENDED,
    NOT_RECEIVED,
    POSTED,
    STEPS_KEPT,
    add_step,
    first_posted,
)
from orchestrator.store.tables import Operation

__all__ = [
    "ENDED",
    "NOT_RECEIVED",
    "NO_CAPACITY",
    "POSTED",
    "STEPS_KEPT",
    "add_step",
    "end",
    "first_posted",
    "supersede",
]

# How the outcome of an operation begins that waits for the cloud to have room for it.
NO_CAPACITY = "waiting for capacity"


def end(session: Session, operation: Operation, status: str, outcome: str, at: datetime) -> None:
    """Close an operation and record the event; nothing when it has ended already."""
    close(session, operation, status, outcome, at=at)


def supersede(
    session: Session, operation: Operation, why: str, at: datetime, *, by: str | None = None
) -> None:
    """Close an operation that a newer wish has overtaken."""
    operation.superseded_by = by
    end(session, operation, "superseded", why, at)
