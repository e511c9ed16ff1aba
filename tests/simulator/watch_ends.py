"""What has an end or a time keeps to it: leases, expiries, cron points, days off, quiet hours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.simulator.bystander import Bystander, Row, instant
from tests.simulator.tally import TALLY

STOPS = ("pause", "scale-to-zero", "DELETE", "DeleteEndpoint")
# What a lease outranks; a person's hold, a deletion that was asked for and a freeze outrank it.
BELOW_A_LEASE = ("expired", "schedule", "idle", "standing", "quota")
# Events that are counted, so that a whole run shows that all of it was played.
COUNTED = (
    "lease.acquired",
    "lease.renewed",
    "lease.released",
    "lease.revoked",
    "lease.expired",
    "endpoint.expiry_set",
    "endpoint.expiry_warned",
    "endpoint.expiry_extended",
    "endpoint.expiry_cleared",
    "endpoint.expired",
    "point.fired",
    "point.dropped",
    "calendar.saved",
)
ASLEEP = ("paused", "pausing", "deleted", "stopping", "failed")
# What may decide on an expired one: a hold or a lease outranks it, a deletion follows it.
OVER_EXPIRY = ("hold", "expired", "deletion", "frozen", "not_managed")


@dataclass
class Ends:
    """Looks at a call as it is made, and at the store at rest."""

    book: Bystander

    def complaints(self, verb: str, operation: Row, now: datetime) -> Iterator[str]:
        """Yield what speaks against a change that an operation makes."""
        name, _, rule_id = operation["rule"].partition(":")
        began = instant(operation["created_at"])
        if verb in STOPS and operation["kind"] != "resume" and name in BELOW_A_LEASE:
            for lease in self._leases(operation["endpoint_id"], began, now):
                yield f"a lease of {lease['actor']} covers it until {lease['until']}"
        if verb in STOPS and name == "expired" and not self._warned(operation["endpoint_id"]):
            yield "it was paused as expired, and nobody was warned"
        if verb in STOPS and name == "idle":
            yield from self._in_quiet_hours(rule_id, began)
        if operation["kind"] == "resume" and name == "schedule":
            yield from self._on_a_day_off(rule_id, began)

    def _leases(self, endpoint_id: str, began: datetime, now: datetime) -> list[Row]:
        """Return the leases that stood before the operation was begun, and still do."""
        query = (
            "SELECT * FROM hold WHERE endpoint_id = ? AND source = 'lease' AND ended_at IS NULL"
            " AND noted_at IS NULL"
        )
        rows = self.book.rows(query, endpoint_id)
        return [
            row for row in rows if instant(row["starts_at"]) < began and now < instant(row["until"])
        ]

    def _warned(self, endpoint_id: str) -> bool:
        """Tell whether people were warned of the end as it is set now."""
        warned = self._last(endpoint_id, "endpoint.expiry_warned")
        return warned is not None and warned["id"] > self._set_by(endpoint_id)

    def _set_by(self, endpoint_id: str) -> int:
        """Return the event by which its end was set as it is; 0 where it was born with it."""
        told = [self._last(endpoint_id, f"endpoint.expiry_{verb}") for verb in ("set", "extended")]
        return max((row["id"] for row in told if row is not None), default=0)

    def _in_quiet_hours(self, rule_id: str, began: datetime) -> Iterator[str]:
        for row in self.book.rows("SELECT * FROM idle_policy WHERE id = ?", rule_id):
            windows = json.loads(row["quiet_windows"])
            if not row["quiet_timezone"] or instant(row["updated_at"]) > began:
                continue
            local = f"{began.astimezone(ZoneInfo(row['quiet_timezone'])):%H:%M}"
            if any(window["start"] <= local < window["end"] for window in windows):
                yield f"it was stopped as idle at {local}, in quiet hours"

    def _on_a_day_off(self, rule_id: str, began: datetime) -> Iterator[str]:
        query = "SELECT * FROM schedule WHERE id = ? AND calendars != '[]'"
        for row in self.book.rows(query, rule_id):
            day = f"{began.astimezone(ZoneInfo(row['timezone'])):%Y-%m-%d}"
            off = self.book.rows("SELECT * FROM calendar WHERE removed_at IS NULL")
            saved = max(instant(one["updated_at"]) for one in (row, *off))
            if saved < began and any(day in json.loads(one["dates"]) for one in off):
                yield f"its schedule started it on {day}, a day off"

    def deletion_is_due(self, endpoint: Row, now: datetime) -> bool:
        """Tell whether it may go for its expiry: warned of, announced, its grace over."""
        announced = self._last(endpoint["id"], "endpoint.deletion_announced")
        warned = self._last(endpoint["id"], "endpoint.expiry_warned")
        if announced is None or warned is None or announced["actor"] != "engine":
            return False
        called_off = [
            self._last(endpoint["id"], kind)
            for kind in ("endpoint.undeleted", "endpoint.expiry_extended")
        ]
        if any(row is not None and row["id"] > announced["id"] for row in called_off):
            return False
        due = datetime.fromisoformat(json.loads(announced["data"])["delete_after"])
        return self._set_by(endpoint["id"]) < warned["id"] < announced["id"] and due <= now

    def _last(self, endpoint_id: str, kind: str) -> Row | None:
        query = "SELECT * FROM event WHERE endpoint_id = ? AND kind = ? ORDER BY id DESC LIMIT 1"
        return next(iter(self.book.rows(query, endpoint_id, kind)), None)

    def check_points(self) -> None:
        """I6: a cron point comes due once for an endpoint, at a minute that it names."""
        query = "SELECT * FROM event WHERE kind IN ('point.fired', 'point.dropped')"
        fired: Counter[tuple[str, str, str]] = Counter()
        for row in self.book.rows(query):
            data = json.loads(row["data"])
            minute = datetime.fromisoformat(data["due"]).minute
            named = data["point"].split()[0]
            assert _names(named, minute), row
            if row["kind"] == "point.fired":
                fired[row["endpoint_id"], data["id"], data["due"]] += 1
        assert all(number == 1 for number in fired.values()), fired
        held = self.book.rows("SELECT * FROM point_firing WHERE outcome = 'held'")
        assert len(held) <= sum(fired.values()), (held, fired)

    def check_rest(self, now: datetime) -> None:
        """What has expired sleeps, unless somebody holds it or its stop is not allowed."""
        query = (
            "SELECT * FROM endpoint WHERE managed AND deleted_at IS NULL AND expires_at IS NOT NULL"
        )
        for row in self.book.rows(query):
            if "expired_at" not in json.loads(row["expiry"]) or instant(row["expires_at"]) > now:
                continue
            decided = row["decided_rule"].partition(":")[0]
            assert decided in OVER_EXPIRY or row["protected"], row
            barred = row["stop"] == "none" or (
                row["stop"] == "recreate" and not row["allow_recreate"]
            )
            if decided == "expired" and not barred and not row["protected"]:
                assert row["status"] in ASLEEP, row
                TALLY.add("ends", "expired at rest")
        held = "SELECT count(*) FROM hold WHERE ended_at IS NULL AND noted_at IS NULL AND until < ?"
        late = (now - timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
        assert not self.book.value(held, late), "a hold is over, and that was not told"

    def count(self) -> None:
        """Count what was played."""
        for row in self.book.rows("SELECT kind, count(*) n FROM event GROUP BY 1"):
            if row["kind"] in COUNTED:
                TALLY.add("ends", row["kind"], row["n"])
        gone = (
            "SELECT count(DISTINCT e.endpoint_id) FROM event e JOIN event a"
            " ON a.endpoint_id = e.endpoint_id AND a.id < e.id WHERE e.kind = 'endpoint.deleted'"
            " AND a.kind = 'endpoint.deletion_announced' AND a.actor = 'engine'"
        )
        TALLY.add("ends", "deleted after expiry", self.book.value(gone))


def _names(field: str, minute: int) -> bool:
    """Tell whether the first field of a cron expression names a minute."""
    if field.startswith("*/"):
        return minute % int(field[2:]) == 0
    return minute in [int(part) for part in field.split(",")]
