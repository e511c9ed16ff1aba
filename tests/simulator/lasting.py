"""Requests for what has an end or a time: leases, expiries, cron points, days off, quiet hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.simulator.bystander import Row
from tests.simulator.person import Asked
from tests.simulator.places import START, Cloud
from tests.simulator.requests import Requests

CALENDAR = "holidays"
POINTS = (
    ["stop */25 * * * *"],
    ["start 5,45 * * * *", "stop 25 * * * *"],
    ["stop 0 * * * *", "start 30 1-23/2 * * *"],
)
QUIET = ("daily 00:30-02:30", "daily 03:00-23:00")
# How long things live, and after how long paused they are deleted.
LIVES = ("20m", "45m", "90m", "3h")
GRACES: tuple[str | None, ...] = (None, "none", "1h")


class LastingRequests(Requests):
    """Makes these requests besides all others."""

    def managed(self, cloud: Cloud, place: int, *, expiring: bool) -> Row | None:
        """Return one of a cloud's endpoints that we manage, or one of those with an expiry."""
        more = " AND e.expires_at IS NOT NULL" if expiring else ""
        rows = self._book.rows(
            "SELECT e.* FROM endpoint e JOIN account a ON a.id = e.account_id"  # noqa: S608 - fixed
            f" WHERE a.name = ? AND e.managed AND e.deleted_at IS NULL{more} ORDER BY e.name",
            cloud.account,
        )
        return rows[place % len(rows)] if rows else None

    def lease(self, row: Row, place: int) -> Asked:
        """Ask, as a program does, that it run for a while."""
        ttl = ("5m", "20m", "50m", "1h")[place % 4]
        body = {"endpoint": row["id"], "ttl": ttl, "reason": "evaluation"}
        return Asked("POST", "/v1/leases", body, key=self.key())

    def renew_lease(self) -> Asked | None:
        """Ask that the youngest lease go on."""
        found = self._lease()
        path = f"/v1/leases/{found}/renew"
        return found and Asked("POST", path, {"ttl": "30m"}, key=self.key())

    def end_lease(self) -> Asked | None:
        """Release the youngest lease."""
        found = self._lease()
        return found and Asked("DELETE", f"/v1/leases/{found}", key=self.key())

    def _lease(self) -> Any:
        query = (
            "SELECT id FROM hold WHERE source = 'lease' AND ended_at IS NULL"
            " ORDER BY starts_at DESC, id DESC"
        )
        return self._book.value(query)

    def expire(self, row: Row, place: int) -> Asked:
        """Ask that it live so long, and no longer."""
        body: dict[str, Any] = {"expires": LIVES[place % len(LIVES)], "reason": "a trial"}
        grace = GRACES[place // len(LIVES) % len(GRACES)]
        if grace is not None:
            body["delete_grace"] = grace
        return self._change("PUT", row, "/expiry", body)

    def extend(self, row: Row, place: int) -> Asked:
        """Ask that it live longer."""
        body = {"for": LIVES[place % len(LIVES)], "reason": "not done yet"}
        return self._change("POST", row, "/extend", body)

    def live_on(self, row: Row) -> Asked:
        """Take its expiry off."""
        return Asked("DELETE", f"/v1/endpoints/{row['id']}/expiry", key=self.key())

    def points(self, row: Row, place: int, *, shadow: bool) -> Asked:
        """Save cron points over one endpoint, beside its schedule of windows."""
        body = {
            "name": f"points {row['name']}",
            "timezone": ("UTC", "Europe/Berlin")[place % 2],
            "points": POINTS[place % len(POINTS)],
            "selector": {"endpoint": row["id"]},
            "shadow": shadow,
        }
        return self._save("schedule", body)

    def calendar(self, place: int) -> Asked:
        """Save which of the first days are off."""
        days = [START + timedelta(days=day) for day in range(2) if place >> day & 1]
        dates = {f"{day:%Y-%m-%d}": "off" for day in days} or {"2027-01-01": "New Year"}
        body = {"name": CALENDAR, "source": {"kind": "dates", "dates": dates}}
        query = "SELECT id FROM calendar WHERE name = ? AND removed_at IS NULL"
        held = self._book.value(query, CALENDAR)
        if held is None:
            return Asked("POST", "/v1/calendars", body, key=self.key())
        return Asked("PUT", f"/v1/calendars/{held}", body, key=self.key())

    def days_off(self, row: Row, place: int, *, now: bool) -> Asked:
        """Save a schedule over one endpoint whose days off are those of the calendar."""
        asked = self.schedule(row, place, shadow=False, now=now)
        return replace(asked, body={**asked.body, "calendars": [CALENDAR]})

    def quiet_nap(self, row: Row, place: int) -> Asked:
        """Save an idle policy over one endpoint that does nothing in some hours."""
        asked = self.policy(row, place, shadow=False)
        hours = {"timezone": ("UTC", "Europe/Berlin")[place % 2], "windows": [QUIET[place % 2]]}
        return replace(asked, body={**asked.body, "quiet_hours": hours})
