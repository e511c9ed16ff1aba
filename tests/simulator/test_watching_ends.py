"""The watch over ends can fail: each wrong is seen, and what is right is not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.bystander import Bystander
from tests.simulator.watch_ends import Ends

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TABLES = {
    "hold": "endpoint_id, source, actor, starts_at, until, ended_at, noted_at",
    "event": "id, endpoint_id, kind, actor, data",
    "idle_policy": "id, quiet_timezone, quiet_windows, updated_at",
    "schedule": "id, timezone, calendars, updated_at",
    "calendar": "dates, updated_at, removed_at",
    "point_firing": "outcome",
}


def text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


class Desk:
    """A store of a few rows, and what the watch says of it."""

    def __init__(self, folder: Path) -> None:
        path = folder / "book.db"
        self._store = sqlite3.connect(path)
        for name, columns in TABLES.items():
            self._store.execute(f"CREATE TABLE {name} ({columns})")
        self.book = Bystander(path)
        self.ends = Ends(self.book)

    def add(self, table: str, *values: Any) -> None:
        places = ", ".join("?" for _ in values)
        self._store.execute(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608 - fixed names
        self._store.commit()

    def event(self, kind: str, actor: str = "engine", **data: Any) -> None:
        number = 1 + self.book.value("SELECT count(*) FROM event")
        self.add("event", number, "ep", kind, actor, json.dumps(data))

    def says(self, verb: str, kind: str, rule: str, began: datetime = NOON) -> list[str]:
        operation = {"kind": kind, "rule": rule, "endpoint_id": "ep", "created_at": text(began)}
        return list(self.ends.complaints(verb, operation, began + timedelta(minutes=1)))

    def close(self) -> None:
        self.book.close()
        self._store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("rule", ["idle:pol", "schedule:sch", "standing", "quota:ep2"])
def test_a_stop_under_a_lease_is_seen(desk: Desk, rule: str) -> None:
    assert desk.says("pause", "pause", rule) == []
    desk.add("hold", "ep", "lease", "job", text(NOON - HOUR), text(NOON + HOUR), None, None)
    assert "a lease of job" in desk.says("pause", "pause", rule)[0]
    assert desk.says("pause", "pause", "hold:hld") == []
    assert desk.says("pause", "pause", rule, NOON + 2 * HOUR) == []


def test_an_expiry_that_came_unwarned_is_seen(desk: Desk) -> None:
    assert desk.says("pause", "pause", "expired") == [
        "it was paused as expired, and nobody was warned"
    ]
    desk.event("endpoint.expiry_warned")
    assert desk.says("pause", "pause", "expired") == []
    desk.event("endpoint.expiry_extended")
    assert desk.says("pause", "pause", "expired") == [
        "it was paused as expired, and nobody was warned"
    ]


def test_a_stop_in_quiet_hours_is_seen(desk: Desk) -> None:
    hours = json.dumps([{"start": "12:30", "end": "14:00"}])
    desk.add("idle_policy", "pol", "Europe/Berlin", hours, text(NOON - HOUR))
    assert "13:00" in desk.says("scale-to-zero", "scale_to_zero", "idle:pol")[0]
    assert desk.says("scale-to-zero", "scale_to_zero", "idle:pol", NOON + HOUR) == []


def test_a_start_on_a_day_off_is_seen(desk: Desk) -> None:
    desk.add("schedule", "sch", "UTC", '["holidays"]', text(NOON - HOUR))
    desk.add("calendar", json.dumps({"2026-11-16": "off"}), text(NOON - HOUR), None)
    assert "a day off" in desk.says("resume", "resume", "schedule:sch")[0]
    assert desk.says("resume", "resume", "schedule:sch", NOON + 12 * HOUR) == []


def test_a_deletion_needs_its_warning_its_announcement_and_its_grace(desk: Desk) -> None:
    endpoint = {"id": "ep"}
    desk.event("endpoint.deletion_announced", delete_after=NOON.isoformat())
    assert not desk.ends.deletion_is_due(endpoint, NOON)
    desk.event("endpoint.expiry_warned")
    assert not desk.ends.deletion_is_due(endpoint, NOON), "it was warned of too late"
    desk.event("endpoint.deletion_announced", delete_after=NOON.isoformat())
    assert not desk.ends.deletion_is_due(endpoint, NOON - HOUR)
    assert desk.ends.deletion_is_due(endpoint, NOON)
    desk.event("endpoint.undeleted")
    assert not desk.ends.deletion_is_due(endpoint, NOON)


def test_a_point_that_comes_twice_or_at_a_minute_of_its_own_is_seen(desk: Desk) -> None:
    due = NOON.replace(minute=25).isoformat()
    desk.event("point.fired", id="sch", due=due, point="25 * * * *")
    desk.ends.check_points()
    desk.event("point.fired", id="sch", due=due, point="25 * * * *")
    with pytest.raises(AssertionError):
        desk.ends.check_points()


def test_a_point_at_another_minute_is_seen(desk: Desk) -> None:
    desk.event("point.fired", id="sch", due=NOON.isoformat(), point="5,45 * * * *")
    with pytest.raises(AssertionError):
        desk.ends.check_points()
