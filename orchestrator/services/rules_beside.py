"""A file of rules is worked out beside the store, which is locked only to write the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session

from orchestrator.services.rules_as_code import CHANGES, Applied
from orchestrator.store import scratch
from orchestrator.store.database import Database
from orchestrator.store.scratch import Changes

ATTEMPTS = 3
# What rules are worked out from. Start-up times are not among it: they move by the hour, and an
# edge that was early by those of a second ago is as good.
_SEEN = {
    "account": "id, name, provider, removed_at",
    "endpoint": "id, account_id, name, managed, protected, deleted_at, hardware_key, stop, "
    "to_zero, allow_recreate",
    "label": "*",
    "calendar": "*",
    "schedule": "*",
    "idle_policy": "*",
    "expiry_policy": "*",
    "binding": "*",
    "applied_rule": "*",
}
_WRITTEN = ("calendar", "schedule", "idle_policy", "expiry_policy", "binding", "applied_rule")


class OvertakenError(Exception):
    """What a file was worked out from has changed since."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file does, from what was `seen`."""

    applied: Applied
    seen: str
    changes: Changes

    def write(self, session: Session) -> Applied:
        """Write it. Raises OvertakenError where something it rests on is no longer so."""
        if scratch.stamp(session, _SEEN) != self.seen:
            raise OvertakenError
        self.changes.write(session)
        return self.applied


def worked_out(database: Database, work: Callable[[Session], Applied]) -> Outcome | None:
    """Return what a file does; None where it has to be done in the transaction that writes it.

    That is so where it asks a cloud for something, and on Postgres, where no one waits for it.
    """
    if database.dialect != "sqlite":
        return None
    with scratch.trial(database) as session:
        seen = scratch.stamp(session, _SEEN)
        applied = work(session)
        if any(item.section == "endpoints" and item.action in CHANGES for item in applied.items):
            return None
        changes = scratch.changes(session, _WRITTEN)
    return None if changes is None else Outcome(applied, seen, changes)
