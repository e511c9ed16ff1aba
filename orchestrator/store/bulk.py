"""Previews of bulk requests, kept for a day so that a changed list can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col

from orchestrator.store.tables import BulkPreview

KEPT_FOR = timedelta(days=1)


def keep_preview(
    session: Session, digest: str, items: Sequence[Sequence[str]], now: datetime
) -> None:
    """Remember what a preview listed, and forget those that are older than a day."""
    session.exec(delete(BulkPreview).where(col(BulkPreview.made_at) < now - KEPT_FOR))
    session.merge(BulkPreview(digest=digest, made_at=now, items=[list(item) for item in items]))


def preview(session: Session, digest: str) -> BulkPreview | None:
    """Return the preview that a digest confirms, if it is still known."""
    return session.get(BulkPreview, digest)
