"""I2, I5 and I7 at the instant of each changing call: it was written down, allowed, explained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import httpx2

from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.instants import to_datetime
from orchestrator.sandbox.world import World
from tests.simulator.bystander import Bystander, Row
from tests.simulator.places import REGION
from tests.simulator.tally import TALLY
from tests.simulator.watch_deletions import Deletions
from tests.simulator.watch_ends import Ends
from tests.simulator.watch_updates import UpdateWatch

# The operations that each change of an endpoint may belong to, by the cloud's word for it.
BELONGS = {
    "create": {"create"},
    "PUT": {"update", "resume"},
    "DELETE": {"delete"},
    "pause": {"pause"},
    "resume": {"resume"},
    "scale-to-zero": {"scale_to_zero"},
    "CreateEndpoint": {"create", "resume"},
    "DeleteEndpoint": {"delete", "pause", "resume", "create"},
    "UpdateEndpoint": {"update"},
    # A start puts back the counts that a pause took along, and so does the next pause before it.
    "UpdateEndpointWeightsAndCapacities": {"update", "create", "resume", "pause"},
}
# Calls that decide: not even one that had begun may send them once it is not wanted any more.
_ENDPOINT = ("CreateEndpoint", "DeleteEndpoint", "UpdateEndpoint", "CreateInferenceComponent")
DECIDING = {
    "create": _ENDPOINT,
    "resume": _ENDPOINT,
    "update": _ENDPOINT,
    "pause": _ENDPOINT,
    "scale_to_zero": _ENDPOINT,
    "delete": ("CreateEndpoint", "UpdateEndpoint"),
}
# What a person may have asked for that a rule's operation serves as well.
_WISHES = {"pause": ("paused",), "resume": ("running", "available")}
# Rules that a protected endpoint is not moved by, and that shadow mode keeps from acting.
RULES = ("schedule", "idle", "expired")
# A reading may be so old, and may lie by as much as a stale read does.
EVIDENCE_SLACK = timedelta(minutes=7)
IDLE_STOPS = (
    "pause",
    "scale-to-zero",
    "DeleteEndpoint",
    "UpdateInferenceComponentRuntimeConfig",
)


@dataclass
class CallWatch:
    """Looks at every call once the cloud has served it, and at what was written as it was sent."""

    world: World
    book: Bystander
    seen: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    removed_by_hand: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    delivered: int = 0
    # What our machine's clock says, and which pass of the engine this is.
    clock: Callable[[], datetime] | None = None
    passes: Callable[[], int] = int
    # The operation behind the last change of each account, and the pass in which it was sent.
    last: dict[str, tuple[Row, int]] = field(default_factory=dict)
    # The operations at work when a change was sent, by the change, and what was frozen then.
    written: dict[int, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ends = Ends(self.book)
        self.deletions = Deletions(self.book, self.ends)
        self.updates = UpdateWatch(self.book, self.world, self.world.now)

    def leave(self, request: httpx2.Request) -> None:
        """Remember what is at work; while a change flies it may be ended, or everything frozen."""
        self.written[id(request)] = self.book.rows(
            "SELECT operation.*, account.frozen_at AS account_frozen,"
            " (SELECT value FROM setting WHERE key = 'freeze') AS all_frozen"
            " FROM operation JOIN account ON account.id = operation.account_id"
            " WHERE operation.status IN ('running', 'confirming')"
            " AND operation.started_at IS NOT NULL"
        )

    def look(self, request: httpx2.Request | None) -> None:
        """Check the calls that have come since; what is wrong is kept.

        None stands for one that was sent long ago: it is not for now to say whether it was right.
        """
        calls = self.world.calls
        written = self.written.pop(id(request), [])
        while self.seen < len(calls):
            call = calls[self.seen]
            self.seen += 1
            self.delivered += call.delivered and 200 <= call.status < 300
            verb = verb_of(call)
            if request is not None and call.mutating and verb and not _is_probe(call):
                # The log knows a creation by its place alone.
                name = json.loads(request.content)["name"] if verb == "create" else call.name
                self._check(replace(call, name=name), written)

    def _check(self, call: Call, written: list[Row]) -> None:
        verb = verb_of(call)
        TALLY.add("changing calls", verb)
        place = self._place(call)
        if place is None:
            self._complain(call, "nobody knows its account")
            return
        name = call.name if verb in BELONGS else ""
        operations = [
            row
            for row in written
            if row["account_id"] == place["id"] and name in ("", row["endpoint_name"])
        ]
        if self._goes_on(verb, place):
            return
        if not operations:
            self._complain(call, "no operation was written before it")
            return
        operation = operations[0]
        self.last[place["id"]] = operation, self.passes()
        if operation["account_frozen"] or json.loads(operation["all_frozen"] or "{}"):
            self._complain(call, "it was frozen")
        if verb not in BELONGS:
            return
        self._fits(call, verb, operation)
        self.sent[operation["id"]] += 1
        self._explained(call, operation)

    def _goes_on(self, verb: str, account: Row) -> bool:
        """Tell whether a change that had begun goes on, although it is not wanted any more.

        Half of it would be nobody's wish; but what makes or removes an endpoint is never such.
        """
        begun, number = self.last.get(account["id"], (None, 0))
        if begun is None or number != self.passes() or verb in DECIDING[begun["kind"]]:
            return False
        status = self.book.value("SELECT status FROM operation WHERE id = ?", begun["id"])
        return status in ("superseded", "cancelled") or self._is_frozen(account)

    def _is_frozen(self, account: Row) -> bool:
        value = self.book.value("SELECT value FROM setting WHERE key = 'freeze'")
        return account["frozen_at"] is not None or bool(value and json.loads(value))

    def _fits(self, call: Call, verb: str, operation: Row) -> None:
        if operation["kind"] not in BELONGS[verb]:
            self._complain(call, f"its operation is a {operation['kind']}")
        if operation["attempts"] < 1:
            self._complain(call, "no attempt was written before it")
        if operation["endpoint_id"] is None:
            self._creates(call, operation)
            return
        endpoint = self.book.rows("SELECT * FROM endpoint WHERE id = ?", operation["endpoint_id"])[
            0
        ]
        self._allowed(call, operation, endpoint)

    def _creates(self, call: Call, operation: Row) -> None:
        if call.committed:
            self.created[operation["id"]] += 1
        if self.created[operation["id"]] > 1:
            self._complain(call, "it was created twice")

    def _allowed(self, call: Call, operation: Row, endpoint: Row) -> None:
        if not endpoint["managed"]:
            self._complain(call, "the endpoint is not managed")
        verb = verb_of(call)
        rule, _, rule_id = operation["rule"].partition(":")
        begins = (
            verb != "PUT" or operation["kind"] == "update"
        )  # else it puts back what a pause took
        asked = endpoint["wish"] in _WISHES.get(operation["kind"], ())
        if rule in RULES and begins and endpoint["protected"] and not asked:
            self._complain(call, "a rule moved a protected endpoint")
        if rule in RULES and begins and self._shadowed(rule_id):
            self._complain(call, "a rule in shadow mode acted")
        if not call.committed:
            return
        if verb in ("DELETE", "DeleteEndpoint") and operation["kind"] == "delete":
            lack = self.deletions.lack(endpoint, self._now(call))
            if lack:
                self._complain(call, f"it was deleted for good: {lack}")
        for why in self.ends.complaints(verb, operation, self._now(call)):
            self._complain(call, why)
        stops = verb == "DeleteEndpoint" and operation["kind"] == "pause"
        if stops and not endpoint["allow_recreate"]:
            self._complain(call, "it was deleted to pause it, without its owner's leave")
        returns = verb == "CreateEndpoint" and operation["kind"] == "resume"
        if returns and call.name in self.removed_by_hand:
            self._complain(call, "others had deleted it, and it was made again")
        if rule == "idle":
            self._proven(call, rule_id)

    def _now(self, call: Call) -> datetime:
        return call.at if self.clock is None else self.clock()

    def _proven(self, call: Call, rule_id: str) -> None:
        """An idle stop needs that no request came for the whole timeout."""
        if verb_of(call) not in IDLE_STOPS:
            return
        minutes = self.book.value("SELECT timeout_minutes FROM idle_policy WHERE id = ?", rule_id)
        if minutes is None:
            return
        if call.path.startswith("/aws/"):
            used = self._used_on_sagemaker(call)
        else:
            used = self.world.endpoint(call.namespace, call.name).last_used(self.world.instant)
        TALLY.add("idle stops", verb_of(call))
        since = None if used is None else to_datetime(used)
        if since is not None and call.at - since < timedelta(minutes=minutes) - EVIDENCE_SLACK:
            self._complain(call, f"it was stopped as idle, and used at {since:%H:%M:%S}")

    def _used_on_sagemaker(self, call: Call) -> int | None:
        """Return the last request to an endpoint or to what sits on it."""
        place = self.world.aws.place(call.namespace, REGION)
        component = place.components.get(call.name)
        name = component.endpoint_name if component else call.name
        endpoint = place.endpoints[name]
        demands = [endpoint.demand, *(one.demand for one in place.components_of(endpoint))]
        found = (one.last(0, self.world.instant) for one in demands)
        return max((at for at in found if at is not None), default=None)

    def _explained(self, call: Call, operation: Row) -> None:
        told = self.book.rows(
            "SELECT actor, message FROM event"
            " WHERE operation_id = ? AND kind = 'operation.requested'",
            operation["id"],
        )
        if len(told) != 1:
            self._complain(call, f"{len(told)} events announce its operation")
        elif not told[0]["actor"] or operation["reason"] not in told[0]["message"]:
            self._complain(call, "its event lacks the actor or the reason")

    def _place(self, call: Call) -> Row | None:
        query = "SELECT * FROM account WHERE namespace = ?"
        return next(iter(self.book.rows(query, call.namespace)), None)

    def _shadowed(self, rule_id: str) -> bool:
        for table in ("schedule", "idle_policy"):
            if self.book.value(f"SELECT shadow FROM {table} WHERE id = ?", rule_id):  # noqa: S608 - a fixed name
                return True
        return False

    def _complain(self, call: Call, why: str) -> None:
        self.wrong.append(f"{call.at:%H:%M:%S} {verb_of(call)} {call.name} {call.status}: {why}")

    def check(self) -> None:
        """Fail with what was wrong with calls so far, and where calls outnumber attempts."""
        assert not self.wrong, self.wrong
        for key, number in self.sent.items():
            row = self.book.rows("SELECT * FROM operation WHERE id = ?", key)[0]
            allowed = row["attempts"] + row["kind"].count("resume")
            assert number <= allowed, (number, row)


def verb_of(call: Call) -> str:
    """Return the cloud's own word for a change; empty for what only asks with much to say."""
    *_, last = parts = call.path.strip("/").split("/")
    if parts[0] == "aws":
        return last
    if call.method != "POST":
        return call.method
    if len(parts) == len(("v2", "endpoint", "namespace")):
        return "create"
    return last if last in BELONGS else ""


def _is_probe(call: Call) -> bool:
    """Rights are probed with changes that cannot be made; what was not done has no operation."""
    return call.path.startswith("/aws/") and not call.committed
