"""Previews of bulk requests, kept for a day so that a changed list can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col

from orchestrator.store import locks
from orchestrator.store.tables import BulkPreview

KEPT_FOR = timedelta(days=1)
_UNIQUE_VIOLATION = "23505"
_SQLITE_CONFLICTS = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether a statement lost against another transaction, which is no fault of its own."""
    return (
        locks.is_contention(error)
        or getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION
        or getattr(error.orig, "sqlite_errorname", None) in _SQLITE_CONFLICTS
    )


def keep_preview(
    session: Session, digest: str, items: Sequence[Sequence[str]], now: datetime
) -> None:
    """Remember what a preview listed, and forget those that are older than a day."""
    session.exec(delete(BulkPreview).where(col(BulkPreview.made_at) < now - KEPT_FOR))
    session.merge(BulkPreview(digest=digest, made_at=now, items=[list(item) for item in items]))


def preview(session: Session, digest: str) -> BulkPreview | None:
    """Return the preview that a digest confirms, if it is still known."""
    return session.get(BulkPreview, digest)
