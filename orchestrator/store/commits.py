"""What committed transactions of this process wrote down: events, and operations that ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, inspect
from sqlmodel import Session

from orchestrator.store.database import Database
from orchestrator.store.tables import Event, Operation

_KEY = "orchestrator_committed"


@dataclass(slots=True)
class Committed:
    """What one transaction wrote: events, and operations that it ended."""

    events: list[Event] = field(default_factory=list)
    ended: list[Operation] = field(default_factory=list)

    def kept(self) -> Committed:
        """Return what no savepoint has taken back."""
        events = [one for one in self.events if inspect(one).persistent]
        ended = [one for one in self.ended if inspect(one).dict.get("finished_at")]
        return Committed(events, ended)


@contextmanager
def watching(database: Database, tell: Callable[[Committed], None]) -> Iterator[None]:
    """Call `tell` after every commit to this store, in the thread that made it."""

    def flushed(session: Session, context: object) -> None:
        del context
        if _is_of(session, database):
            _collect(session, session.info.setdefault((_KEY, id(database)), Committed()))

    def committed(session: Session) -> None:
        if not session.in_nested_transaction():
            found: Committed | None = session.info.pop((_KEY, id(database)), None)
            if found is not None:
                tell(found.kept())

    def rolled_back(session: Session) -> None:
        if not session.in_nested_transaction():
            session.info.pop((_KEY, id(database)), None)

    hooks: tuple[tuple[str, Callable[..., None]], ...] = (
        ("after_flush", flushed),
        ("after_commit", committed),
        ("after_rollback", rolled_back),
    )
    for name, hook in hooks:
        event.listen(Session, name, hook)
    try:
        yield
    finally:
        for name, hook in hooks:
            event.remove(Session, name, hook)


def _is_of(session: Session, database: Database) -> bool:
    return session.get_bind().engine is database.engine


def _collect(session: Session, told: Committed) -> None:
    told.events += [one for one in session.new if isinstance(one, Event)]
    changed: list[Any] = [*session.new, *session.dirty]
    told.ended += [one for one in changed if isinstance(one, Operation) and _has_ended(one)]


def _has_ended(operation: Operation) -> bool:
    """Tell whether this flush is the one that wrote its end."""
    if operation.finished_at is None:
        return False
    return bool(inspect(operation).attrs.finished_at.history.added)
