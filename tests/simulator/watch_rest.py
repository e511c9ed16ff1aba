"""I2 and I3 once faults have ceased: everything is as it is wanted, and nothing is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.plan import Kind, needed
from orchestrator.domain.status import Status, Wish
from tests.simulator.bystander import Bystander, Row, instant
from tests.simulator.places import AWS_ACCOUNT, REGION, SAGEMAKER, Cloud
from tests.simulator.tally import TALLY
from tests.simulator.universe import Universe

# So many passes, and so much time, may it take after the last fault. The longest wait that the
# engine imposes on itself is an hour after repeated failures.
MOST_PASSES = 60
MOST_TIME = timedelta(hours=6)
_RELEASED = "SELECT count(*) FROM event WHERE endpoint_id = ? AND kind = 'endpoint.released'"


@dataclass
class Rest:
    """Lets the engine work until nothing is left to do, and checks what has become of it."""

    universe: Universe
    clouds: tuple[Cloud, ...]
    book: Bystander

    def reach(self) -> None:
        """Fail when rest is not reached within the bound."""
        universe = self.universe
        start, passes = universe.true.now(), 0
        quiet = 0
        next_at = universe.nudged()
        while quiet < 2:
            passes += 1
            left = self.unrest()
            quiet = 0 if left else quiet + 1
            late = universe.true.now() - start
            assert passes <= MOST_PASSES, (passes, left)
            assert late <= MOST_TIME, (late, left)
            if quiet < 2:
                self._wait(next_at, quiet=not left)
                next_at = universe.nudged()
        TALLY.add("passes to rest", str(passes))

    def _wait(self, next_at: datetime, *, quiet: bool) -> None:
        """Sleep as long as the engine asks for, and until whoever failed may be tried again."""
        true = self.universe.true
        true.set(max(next_at - self.universe.wall.ahead, true.now() + timedelta(seconds=1)))
        if quiet:
            return
        rows = self.book.rows(
            "SELECT not_before FROM endpoint WHERE not_before IS NOT NULL AND deleted_at IS NULL"
        )
        backs = [instant(row["not_before"]) for row in rows]
        if backs and not self._active():
            true.set(max(true.now(), min(max(backs), true.now() + timedelta(hours=1))))

    def unrest(self) -> list[str]:
        """Return what still has to happen."""
        found = [
            f"{row['kind']} of {row['endpoint_name']} is {row['status']}: {row['outcome']}"
            for row in self._active()
        ]
        for row in self.book.rows("SELECT * FROM endpoint WHERE deleted_at IS NULL"):
            if row["missing_since"] is not None:
                found.append(f"{row['name']} is missing")
            if row["managed"]:
                found += self._needs(row)
        for row in self.book.rows("SELECT * FROM account"):
            if row["health"] != "ok":
                found.append(f"{row['name']} is {row['health']}: {row['health_detail']}")
        return found

    def _active(self) -> list[Row]:
        return self.book.rows(
            "SELECT * FROM operation WHERE status IN ('pending', 'running', 'confirming')"
        )

    def _needs(self, row: Row) -> list[str]:
        if not row["decided_wish"]:
            return [f"nothing was decided for {row['name']}"]
        decision = Decision(Wish(row["decided_wish"]), Rule.STANDING, "")
        billed = BilledReplicas(row["billed_low"], row["billed_expected"], row["billed_high"])
        kind = needed(Status(row["status"]), decision, billed)
        if kind is None or self._barred(row, kind):
            return []
        return [f"{row['name']} is {row['status']} and wants {row['decided_wish']}: {kind}"]

    def _barred(self, row: Row, kind: Kind) -> bool:
        """What its cloud or its owner does not allow is told, and left."""
        if kind is Kind.SCALE_TO_ZERO:
            return not row["to_zero"]
        no_leave = row["stop"] == "recreate" and not row["allow_recreate"]
        return kind is Kind.PAUSE and (row["stop"] == "none" or no_leave)

    def check(self) -> None:
        """Fail where the store and the clouds do not tell the same, or something is left over."""
        for cloud in self.clouds:
            account = self.book.value("SELECT id FROM account WHERE name = ?", cloud.account)
            rows = self.book.rows(
                "SELECT * FROM endpoint WHERE account_id = ? AND deleted_at IS NULL", account
            )
            known = {row["name"]: row for row in rows}
            assert len(known) == len(rows), "a name is there twice"
            there = self._there(cloud)
            away = {name for name, row in known.items() if row["stop_sent_at"] is not None}
            assert set(known) - away <= set(there), (sorted(known), sorted(there))
            assert set(there) <= set(known), f"unknown: {set(there) - set(known)}"
            for name, state in there.items():
                assert _same(cloud, known[name], state), (name, state, known[name]["status"])

    def check_claims(self, made: Iterable[str]) -> None:
        """I2: what our creations have made is ours, whatever became of their answers."""
        for key in made:
            operation = self.book.rows("SELECT * FROM operation WHERE id = ?", key)[0]
            found = self.book.rows(
                "SELECT * FROM endpoint WHERE account_id = ? AND name = ? AND deleted_at IS NULL",
                operation["account_id"],
                operation["endpoint_name"],
            )
            for row in found:
                assert row["managed"] or self.book.value(_RELEASED, row["id"]), (
                    "made by us, and nobody's",
                    operation,
                    row,
                )

    def _there(self, cloud: Cloud) -> dict[str, str]:
        """Return what is in the cloud, with the cloud's own word for its state."""
        world = self.universe.world
        self.universe.advance()
        if cloud is SAGEMAKER:
            place = world.aws.place(AWS_ACCOUNT, REGION)
            return {name: found.status for name, found in place.endpoints.items()}
        return {
            found.name: found.state
            for found in world.shelf.by_number.values()
            if found.deleted_at is None and found.namespace == cloud.namespace
        }


def _same(cloud: Cloud, row: Row, state: str) -> bool:
    if cloud is SAGEMAKER:
        return str(row["cloud_state"]) == state or row["status"] == "scaled_to_zero"
    return str(row["cloud_state"]) == state
