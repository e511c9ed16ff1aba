"""I5 of deletions: each has a request that was accepted, is due, and was not called off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulator.bystander import Bystander, Row
from tests.simulator.person import Answer, Asked
from tests.simulator.watch_ends import Ends

DEFAULT_GRACE = timedelta(hours=24)
GRACES = {"0": timedelta(0), "10m": timedelta(minutes=10), None: DEFAULT_GRACE}
_ACCEPTED = (200, 202)
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Leave:
    """From when on an endpoint may be deleted, unless an event after `event` calls that off."""

    due: datetime
    event: int


@dataclass
class Deletions:
    """Remembers what people asked to have deleted, beside the store and not from it."""

    book: Bystander
    ends: Ends
    _leaves: dict[str, list[_Leave]] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)

    def hear(self, asked: Asked, answer: Answer | None, before: datetime) -> None:
        """Note a request; one over which the process died may have been accepted, or not."""
        if answer is not None and answer.status not in _ACCEPTED:
            return
        parts = asked.path.split("/")[2:]
        if asked.method == "DELETE" and len(parts) == len(("endpoints", "id")):
            self._permit(parts[1], dict(asked.query).get("grace"), before)
        elif parts[0] == "operations" and parts[-1] == "cancel":
            self._cancelled.add(parts[1])
        elif _deletes_many(asked):
            for key in _accepted(asked.body, answer):
                self._permit(key, asked.body.get("grace"), before)

    def _permit(self, endpoint_id: str, grace: str | None, now: datetime) -> None:
        event = self.book.value("SELECT max(id) FROM event") or 0
        # At once is at once, also by a clock that is set back before the engine comes to it.
        due = now + GRACES[grace] if GRACES[grace] else _ANY_TIME
        found = _Leave(due, event)
        self._leaves.setdefault(endpoint_id, []).append(found)

    def lack(self, endpoint: Row, now: datetime) -> str:
        """Return why an endpoint may not be deleted now; empty if it may."""
        if self.ends.deletion_is_due(endpoint, now):
            return ""
        made_by = self.book.value(
            "SELECT id FROM operation WHERE kind = 'create' AND endpoint_id = ?", endpoint["id"]
        )
        if made_by in self._cancelled:
            return ""  # it came into being although its creation was cancelled
        leaves = self._leaves.get(endpoint["id"], [])
        if not leaves:
            return "nobody asked for its deletion"
        called_off = self.book.value(
            "SELECT max(id) FROM event WHERE endpoint_id = ? AND kind = 'endpoint.undeleted'",
            endpoint["id"],
        )
        open_ones = [leave for leave in leaves if leave.event >= (called_off or 0)]
        if not open_ones:
            return "its deletion was called off"
        if all(now < leave.due for leave in open_ones):
            return f"its grace lasts until {min(leave.due for leave in open_ones):%H:%M:%S}"
        return ""


def _deletes_many(asked: Asked) -> bool:
    rehearsal = ("dry_run", "true") in asked.query
    return asked.path.endswith("/bulk") and asked.body["action"] == "delete" and not rehearsal


def _accepted(body: Any, answer: Answer | None) -> list[str]:
    if answer is None:
        return list(body["selector"]["ids"])
    return [item["endpoint"]["id"] for item in answer.body["items"] if item["outcome"] != "refused"]
