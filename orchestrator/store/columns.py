"""Reading columns without what a session does for entities, which takes longer than the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import CursorResult, Executable
from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

Row = TypeVar("Row")


def read(
    session: Session, statement: Executable, given: Mapping[str, Any] | None = None
) -> CursorResult[*tuple[Any, ...]]:
    """Return what a statement over columns finds, after what the session has yet to write."""
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, given)


def rare(
    session: Session, statement: SelectOfScalar[Row], given: Mapping[str, Any]
) -> Sequence[Row]:
    """Return the entities that a statement finds, which mostly finds none."""
    if read(session, statement, given).first() is None:
        return []
    return session.exec(statement, params=given).all()
