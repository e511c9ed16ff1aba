"""Answers by idempotency key: the same key, actor and body get the same answer again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, bindparam, delete
from sqlmodel import Field, Session, SQLModel, col, select

from orchestrator.store.tables import instant
from orchestrator.store.types import UtcDateTime


class IdempotentAnswer(SQLModel, table=True):
    """What a change was answered, written in the transaction of the change itself."""

    __tablename__ = "idempotent_answer"

    actor: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    status: int
    body: Any = Field(sa_column=Column(JSON, nullable=True))
    location: str = ""
    created_at: datetime = instant(index=True)


_OF_KEY = select(IdempotentAnswer).where(
    IdempotentAnswer.actor == bindparam("actor"), IdempotentAnswer.key == bindparam("key")
)
_OLD = delete(IdempotentAnswer).where(
    col(IdempotentAnswer.created_at) < bindparam("instant", type_=UtcDateTime())
)


def find(session: Session, actor: str, key: str) -> IdempotentAnswer | None:
    """Return the answer that `actor` got under `key`, if any."""
    return session.exec(_OF_KEY, params={"actor": actor, "key": key}).first()


def keep(session: Session, answer: IdempotentAnswer) -> None:
    """Add an answer; the commit raises IntegrityError when its key was just used."""
    session.add(answer)


def forget_before(session: Session, instant_: datetime) -> None:
    """Delete answers older than an instant."""
    session.flush()
    session.connection().execute(_OLD, {"instant": instant_})
