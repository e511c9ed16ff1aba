"""What runs until a `ready_by` window, whose early start moves with what starts are measured."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.schedules.text import parse_point, parse_window
from orchestrator.services.windows import points_to_json
from orchestrator.store.database import Database
from tests.support.stage import MONDAY, Stage, open_stage

WINDOW = parse_window("daily 06:30-09:00 ready-by")
OPENS = MONDAY + timedelta(hours=6, minutes=30)


def opened(database: Database) -> Stage:
    """Return a stage where no start was measured yet, so that ten minutes are expected of one."""
    stage = open_stage(database, start=MONDAY + timedelta(hours=3))
    stage.add("chat", startup_s=60)
    stage.run(minutes=2)
    stage.adopt("chat")
    return stage


def ran(stage: Stage) -> list[str]:
    stage.run_until(MONDAY + timedelta(hours=9, minutes=10))
    return [op.kind for op in stage.operations("chat")]


def test_a_run_lasts_until_the_window_that_follows_opens(sqlite_database: Database) -> None:
    stage = opened(sqlite_database)
    stage.schedule(WINDOW)
    stage.run(minutes=30)
    assert stage.endpoint("chat").status == "paused"
    stage.click("resume", "chat")
    assert [hold.until for hold in stage.holds()] == [OPENS]
    assert ran(stage) == ["pause", "resume", "pause"]


def test_a_cron_point_starts_what_the_window_goes_on_with(sqlite_database: Database) -> None:
    stage = opened(sqlite_database)
    points = points_to_json([parse_point("start 0 4 * * *")], [], stage.clock.now())
    stage.schedule(WINDOW, points=points)
    stage.run_until(MONDAY + timedelta(hours=4, minutes=10))
    assert [hold.until for hold in stage.holds()] == [OPENS]
    assert ran(stage) == ["pause", "resume", "pause"]


def test_a_stop_lasts_until_the_early_start(sqlite_database: Database) -> None:
    stage = opened(sqlite_database)
    stage.schedule(WINDOW, parse_window("daily 03:00-04:00"))
    stage.click("pause", "chat")
    assert [hold.until for hold in stage.holds()] == [OPENS - timedelta(minutes=10)]
    assert ran(stage) == ["pause", "resume", "pause"]
