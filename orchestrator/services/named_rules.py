"""What saved rules of every kind share: a name of their own, versions, and a record of changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlmodel import Session

from orchestrator.services.errors import conflict, not_found
from orchestrator.services.requests import Asked
from orchestrator.store import events


class NamedRule(Protocol):
    """The columns that all stored rules have."""

    id: str
    name: str
    version: int
    enabled: bool
    updated_at: datetime
    removed_at: datetime | None


Row = TypeVar("Row", bound=NamedRule)


@dataclass(frozen=True, slots=True)
class Register(Generic[Row]):
    """Rules of one kind: `title` names one in full, `noun` in short; `path` lists them.

    `event` begins the kinds of their events. `name_taken` is told which rule it is asked for.
    """

    title: str
    noun: str
    path: str
    event: str
    get: Callable[[Session, str], Row | None]
    by_name: Callable[[Session, str], Row | None]
    name_taken: Callable[[Session, str, str], bool]

    def find(self, session: Session, ref: str) -> Row:
        """Return a rule by id or name. Raises ServiceError 404."""
        found = self.get(session, ref) or self.by_name(session, ref)
        if found is None:
            raise not_found(self.noun, ref, f"List them with GET {self.path}.")
        return found

    def check_name(self, session: Session, name: str, rule_id: str) -> None:
        """Raise ServiceError 409 where another rule bears the name."""
        with session.no_autoflush:
            taken = self.name_taken(session, name, rule_id)
        if taken:
            article = "An" if self.noun[0] in "aeiou" else "A"
            raise conflict(
                "name_taken",
                f"{article} {self.noun} named {name!r} exists.",
                remedy="Choose another name, or change that one.",
                field="name",
            )

    def saved(self, session: Session, row: Row, asked: Asked) -> None:
        """Record that a rule was saved."""
        self._record(session, row, "saved", asked, f"saved, version {row.version}")

    def remove(self, session: Session, row: Row, asked: Asked) -> None:
        """Remove a rule; its name is free again."""
        row.removed_at, row.enabled = asked.now, False
        self._record(session, row, "removed", asked, "removed")
        row.name = f"{row.name} ({row.id})"
        session.add(row)

    def _record(self, session: Session, row: Row, kind: str, asked: Asked, what: str) -> None:
        data: dict[str, Any] = {self.event: row.id, "enabled": row.enabled}
        shadow = getattr(row, "shadow", None)
        events.record(
            session,
            at=asked.now,
            kind=f"{self.event}.{kind}",
            actor=asked.actor,
            message=f"the {self.title} {row.name} was {what} by {asked.actor}",
            data=data if shadow is None else data | {"shadow": shadow},
        )


def renewed(row: NamedRule, now: datetime) -> None:
    """Count a new version of a rule."""
    row.version += 1
    row.updated_at = now
