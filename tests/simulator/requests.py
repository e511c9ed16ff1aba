"""Requests of a person, from the few numbers that are drawn for each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.simulator import menu
from tests.simulator.bystander import Bystander, Row
from tests.simulator.person import Asked
from tests.simulator.places import Cloud
from tests.simulator.universe import Universe

BULK = ("pause", "resume", "protect", "unprotect", "label", "delete")
CLICKS = ("pause", "resume", "scale-to-zero")
WINDOWS = ("daily 00:00-00:40", "daily 01:00-03:10", "daily 00:20-02:00", "daily 04:00-23:50")
RULES = {"schedule": "/v1/schedules", "idle_policy": "/v1/policies"}


class Requests:
    """Makes requests over what is there now."""

    def __init__(self, universe: Universe, clouds: tuple[Cloud, ...], book: Bystander) -> None:
        self._universe, self._clouds, self._book = universe, clouds, book
        self._made = 0

    def key(self) -> str:
        """Return a key that was not used before."""
        self._made += 1
        return f"key-{self._made}"

    def endpoint(self, cloud: Cloud, place: int) -> Row | None:
        """Return one of a cloud's endpoints, those that are gone aside."""
        rows = self._book.rows(
            "SELECT e.* FROM endpoint e JOIN account a ON a.id = e.account_id"
            " WHERE a.name = ? AND e.deleted_at IS NULL ORDER BY e.name",
            cloud.account,
        )
        return rows[place % len(rows)] if rows else None

    def click(self, row: Row, verb: str, hours: int) -> Asked:
        """Ask for a pause, resume or scale-to-zero; with hours, until then."""
        body: dict[str, Any] = {"reason": f"click {verb}"}
        if hours:
            until = self._universe.wall.now() + timedelta(hours=hours)
            body["until"] = until.isoformat()
        return self._change("POST", row, f"/{verb}", body)

    def adopt(self, row: Row) -> Asked:
        """Ask that it be managed."""
        return self._change("POST", row, "/adopt", {"reason": "ours"})

    def release(self, row: Row) -> Asked:
        """Ask that it be left alone."""
        return self._change("POST", row, "/release", {"reason": "not ours"})

    def hand_over(self, row: Row) -> Asked:
        """Ask that it be left alone, and for all that makes it again."""
        return self._change("POST", row, "/release", {"reason": "not ours", "handover": True})

    def undelete(self, row: Row) -> Asked:
        """Ask that a deletion with grace be called off."""
        return self._change("POST", row, "/undelete", {"reason": "still needed"})

    def bulk(self, cloud: Cloud, place: int, action: str) -> Asked | None:
        """Ask for the same change of some of a cloud's endpoints."""
        rows = (self.endpoint(cloud, place + more) for more in (0, 1))
        found = {row["id"] for row in rows if row}
        body: dict[str, Any] = {"action": action, "selector": {"ids": sorted(found)}}
        if action == "label":
            body["set_labels"] = {"team": f"t{place}"}
        if action == "delete":
            body["grace"] = ("10m", "0")[place % 2]
        body["reason"] = f"bulk {action}"
        return Asked("POST", "/v1/endpoints/bulk", body, key=self.key()) if found else None

    def protect(self, row: Row, *, on: bool) -> Asked:
        """Ask that rules only propose."""
        return self._change("PATCH", row, "", {"protected": on})

    def scale(self, row: Row, low: int, high: int) -> Asked:
        """Ask for other bounds of replicas."""
        return self._change("PATCH", row, "", {"scaling": menu.scaling(low, high), "reason": "s"})

    def move(self, row: Row, cloud: Cloud, place: int) -> Asked:
        """Ask for other hardware, another environment, or another image."""
        wanted = menu.update(cloud.provider, place)
        return self._change("PATCH", row, "", {**wanted, "reason": "update"})

    def create(self, cloud: Cloud, place: int) -> Asked:
        """Ask for a new endpoint."""
        name = cloud.added[place % len(cloud.added)]
        body = menu.new_endpoint(cloud.provider, cloud.account, name, place)
        return Asked("POST", "/v1/endpoints", body, key=self.key())

    def delete(self, row: Row, grace: str | None) -> Asked:
        """Ask that it be deleted for good, after a grace; None is the usual one."""
        length = () if grace is None else (("grace", grace),)
        query = (("confirm", str(row["name"])), ("reason", "not needed"), *length)
        return Asked("DELETE", f"/v1/endpoints/{row['id']}", query=query, key=self.key())

    def cancel(self) -> Asked | None:
        """Ask that the youngest operation under way be cancelled."""
        found = self._book.value(
            "SELECT id FROM operation WHERE status IN ('pending', 'running', 'confirming')"
            " ORDER BY created_at DESC"
        )
        return found and Asked("POST", f"/v1/operations/{found}/cancel", key=self.key())

    def end_hold(self) -> Asked | None:
        """Ask that the youngest hold end."""
        found = self._book.value(
            "SELECT id FROM hold WHERE ended_at IS NULL ORDER BY starts_at DESC"
        )
        return found and Asked("DELETE", f"/v1/holds/{found}", key=self.key())

    def freeze(self, cloud: Cloud | None) -> Asked:
        """Ask that nothing be changed, in one account or everywhere."""
        body = {"reason": "incident"} | ({} if cloud is None else {"account": cloud.account})
        return Asked("PUT", "/v1/freeze", body, key=self.key())

    def thaw(self, cloud: Cloud | None) -> Asked:
        """Ask that changes happen again."""
        query = () if cloud is None else (("account", cloud.account),)
        return Asked("DELETE", "/v1/freeze", query=query, key=self.key())

    def leave(self, row: Row, digest: str) -> Asked:
        """Give the leave to stop it by deleting it, over a card."""
        return self._change("PUT", row, "/allow-recreate", {"digest": digest, "reason": "fine"})

    def contract(self, row: Row) -> Asked:
        """Ask what a pause would keep and lose."""
        return Asked("GET", f"/v1/endpoints/{row['id']}/contract")

    def no_leave(self, row: Row) -> Asked:
        """Take the leave back."""
        path = f"/v1/endpoints/{row['id']}/allow-recreate"
        return Asked("DELETE", path, key=self.key())

    def schedule(self, row: Row, place: int, *, shadow: bool, now: bool) -> Asked:
        """Save a schedule over one endpoint, or change the one there is."""
        body = {
            "name": f"hours {row['name']}",
            "timezone": ("UTC", "Europe/Berlin")[place % 2],
            "windows": [WINDOWS[place % len(WINDOWS)]],
            "selector": {"endpoint": row["id"]},
            "drain_minutes": (0, 30)[place % 2],
            "shadow": shadow,
            "apply_now": [row["id"]] if now else [],
        }
        return self._save("schedule", body)

    def policy(self, row: Row, place: int, *, shadow: bool) -> Asked:
        """Save an idle policy over one endpoint, or change the one there is."""
        body = {
            "name": f"nap {row['name']}",
            "timeout_minutes": (10, 15, 30)[place % 3],
            "action": ("scale_to_zero", "pause")[place // 3 % 2],
            "selector": {"endpoint": row["id"]},
            "shadow": shadow,
        }
        return self._save("idle_policy", body)

    def drop_rule(self, place: int) -> Asked | None:
        """Remove a rule."""
        found = [
            (table, row["id"])
            for table in RULES
            for row in self._book.rows(f"SELECT id FROM {table} WHERE removed_at IS NULL")  # noqa: S608 - a fixed name
        ]
        if not found:
            return None
        table, key = found[place % len(found)]
        return Asked("DELETE", f"{RULES[table]}/{key}", key=self.key())

    def _save(self, table: str, body: dict[str, Any]) -> Asked:
        query = f"SELECT id FROM {table} WHERE name = ? AND removed_at IS NULL"  # noqa: S608 - a fixed name
        held = self._book.value(query, body["name"])
        path = RULES[table] if held is None else f"{RULES[table]}/{held}"
        return Asked("POST" if held is None else "PUT", path, body, key=self.key())

    def _change(self, method: str, row: Row, rest: str, body: Any) -> Asked:
        return Asked(method, f"/v1/endpoints/{row['id']}{rest}", body, key=self.key())
