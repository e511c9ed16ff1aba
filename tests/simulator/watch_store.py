"""I1, I6 and I7 in the store after each step: seams of the ledger, and an event for each change."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.simulator.bystander import Bystander, Row
from tests.simulator.tally import DIFFERENT, TALLY

ENDED = ("succeeded", "failed", "superseded", "cancelled")
# For each column of an endpoint, the events of which one must tell of its change.
TOLD: dict[str, tuple[str, ...]] = {
    "status": (
        "endpoint.status_changed",
        "endpoint.deleted",
        "endpoint.discovered",
        "endpoint.handed_over",
    ),
    "managed": (
        "endpoint.adopted",
        "endpoint.created",
        "endpoint.released",
        "endpoint.stood_down",
        "endpoint.deleted",
        "endpoint.handed_over",
    ),
    "protected": ("endpoint.changed",),
    "allow_recreate": (
        "endpoint.recreate_allowed",
        "endpoint.recreate_forbidden",
        "endpoint.differs",
        "endpoint.status_changed",
    ),
    "deleted_at": ("endpoint.deleted", "endpoint.handed_over"),
    "decided_wish": (
        "decision.changed",
        "endpoint.released",
        "endpoint.stood_down",
        "endpoint.handed_over",
    ),
}
AWAKE = ("pending", "initializing", "running", "updating", "update_failed", "waiting_for_capacity")
_GONE = "SELECT id FROM endpoint WHERE deleted_at IS NOT NULL"
_TOLD = (
    "SELECT event.kind, endpoint.name FROM event"
    " LEFT JOIN endpoint ON endpoint.id = event.endpoint_id ORDER BY event.id"
)
_INTERVALS = "SELECT * FROM meter_interval ORDER BY endpoint_id, component, started_at, id"


@dataclass
class StoreWatch:
    """Compares the store with what it was after the step before."""

    book: Bystander
    event: int = 0
    endpoints: dict[str, Row] = field(default_factory=dict)
    operations: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Row] = field(default_factory=dict)
    holds: dict[str, Row] = field(default_factory=dict)
    frozen: dict[str, Any] = field(default_factory=dict)

    def count(self) -> None:
        """Count what was done, and what tells this history from others: what happened, in order."""
        told = "".join(f"{row['kind']} {row['name']}\n" for row in self.book.rows(_TOLD))
        TALLY.add(DIFFERENT, hashlib.blake2b(told.encode(), digest_size=8).hexdigest())
        for row in self.book.rows("SELECT kind, status, count(*) n FROM operation GROUP BY 1, 2"):
            TALLY.add("operations", f"{row['kind']} {row['status']}", row["n"])
        for row in self.book.rows("SELECT rule FROM operation WHERE rule != ''"):
            TALLY.add("rules that acted", row["rule"].partition(":")[0])

    billed: set[int] = field(default_factory=set)
    first: bool = True

    def check(self, *, heard: bool) -> None:
        """Fail where the store contradicts itself; `heard` tells whether a cloud has answered."""
        events = self._new_events()
        self._check_seams(heard=heard)
        self._check_endpoints(events)
        self._check_operations(events)
        self._check_rules(events)
        self._check_holds(events)
        self._check_frozen(events)
        self.first = False

    def _new_events(self) -> list[Row]:
        found = self.book.rows("SELECT * FROM event WHERE id > ? ORDER BY id", self.event)
        if found:
            self.event = found[-1]["id"]
        for row in found:
            row["data"] = json.loads(row["data"])
            assert row["actor"], row
            assert row["message"], row
            assert row["kind"] != "account.failing", row
        return found

    def _check_seams(self, *, heard: bool) -> None:
        ledgers: dict[tuple[str, str], list[Row]] = defaultdict(list)
        billed = set()
        for row in self.book.rows(_INTERVALS):
            ledgers[row["endpoint_id"], row["component"]].append(row)
            if row["replicas_high"] > 0:
                billed.add(row["id"])
            if row["ended_at"] is not None:
                assert row["started_at"] <= row["ended_at"], row
        gone = {row["id"] for row in self.book.rows(_GONE)}
        for (endpoint_id, _), ledger in ledgers.items():
            for left, right in pairwise(ledger):
                assert left["ended_at"] == right["started_at"], (left, right)
            assert (ledger[-1]["ended_at"] is None) or endpoint_id in gone, ledger[-1]
        assert heard or self.first or billed <= self.billed, "counted without evidence"
        self.billed = billed

    def _check_endpoints(self, events: list[Row]) -> None:
        kinds: dict[str, set[str]] = defaultdict(set)
        states: dict[str, str] = {}
        for row in events:
            kinds[row["endpoint_id"]].add(row["kind"])
            if row["kind"] == "endpoint.status_changed":
                states[row["endpoint_id"]] = row["data"]["to"]
        for row in self.book.rows("SELECT * FROM endpoint"):
            before = self.endpoints.get(row["id"])
            self.endpoints[row["id"]] = row
            if before is None:
                assert self.first or "endpoint.discovered" in kinds[row["id"]], row
                continue
            for column, told in TOLD.items():
                if row[column] != before[column]:
                    assert kinds[row["id"]] & set(told), (row["name"], column, before[column], row)
            if row["id"] in states and row["deleted_at"] is None:
                assert states[row["id"]] == row["status"], row

    def _check_operations(self, events: list[Row]) -> None:
        told = {(row["operation_id"], row["kind"]) for row in events}
        for row in self.book.rows("SELECT * FROM operation"):
            before = self.operations.get(row["id"])
            self.operations[row["id"]] = row["status"]
            if before is None:
                assert self.first or (row["id"], "operation.requested") in told, row
                assert row["reason"], row
                assert row["actor"], row
            if row["status"] != before and row["status"] in ENDED:
                assert (row["id"], f"operation.{row['status']}") in told, row
            if row["status"] != before and before in ENDED:
                raise AssertionError(f"an operation that had ended is {row['status']}")

    def _check_rules(self, events: list[Row]) -> None:
        kinds = [row["kind"] for row in events]
        for table, word in (("schedule", "schedule"), ("idle_policy", "policy")):
            for row in self.book.rows(f"SELECT * FROM {table}"):  # noqa: S608 - a fixed name
                before = self.rules.get(row["id"])
                self.rules[row["id"]] = row
                if self.first:
                    continue
                if before is None or before["version"] != row["version"]:
                    assert f"{word}.saved" in kinds, row
                elif before["removed_at"] != row["removed_at"]:
                    assert f"{word}.removed" in kinds, row

    def _check_holds(self, events: list[Row]) -> None:
        told = {(row["data"].get("hold", row["data"].get("lease")), row["kind"]) for row in events}
        closing = {row["endpoint_id"] for row in events if row["kind"] in TOLD["managed"]}
        for row in self.book.rows("SELECT * FROM hold"):
            before = self.holds.get(row["id"])
            self.holds[row["id"]] = row
            if before is None:
                begun = "lease.acquired" if row["source"] == "lease" else "hold.started"
                assert (row["id"], begun) in told, row
                before = {"ended_at": None}
            if before["ended_at"] is None and row["ended_at"] is not None:
                kinds = ("hold.ended", "lease.released", "lease.revoked")
                ended = any((row["id"], kind) in told for kind in kinds)
                ended = ended or row["endpoint_id"] in closing
                assert ended, row
            if before["ended_at"] is not None and row["ended_at"] is None:
                assert (row["id"], "hold.restored") in told, row

    def _check_frozen(self, events: list[Row]) -> None:
        kinds = {row["kind"] for row in events}
        now = {row["id"]: row["frozen_at"] for row in self.book.rows("SELECT * FROM account")}
        value = self.book.value("SELECT value FROM setting WHERE key = 'freeze'")
        now["everywhere"] = json.loads(value) if value else {}
        for key, found in now.items():
            before = self.frozen.get(key)
            if not self.first and bool(before) != bool(found):
                assert ("freeze.on" if found else "freeze.off") in kinds, key
        self.frozen = now
