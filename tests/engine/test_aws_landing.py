"""A start whose answer was lost may still take effect: a pause after it waits for that."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.engine.retries import LANDING
from orchestrator.sandbox import faults
from orchestrator.store.database import Database
from tests.support.aws_stage import GONE, open_aws_stage

MINUTE = timedelta(minutes=1)


def test_a_pause_after_a_lost_start_ends_only_once_it_cannot_land(
    sqlite_database: Database,
) -> None:
    stage = open_aws_stage(sqlite_database)
    stage.add("chat")
    stage.run(minutes=1)
    stage.adopt("chat")
    stage.allow("chat")
    stage.click("pause", "chat")
    stage.run(minutes=15)
    assert stage.state("chat") == GONE
    stage.world.faults.add(faults.timeout_before(), path="/CreateEndpoint$", count=1)
    stage.click("resume", "chat")
    stage.step()
    sent = stage.clock.now()
    pause = stage.click("pause", "chat").operation
    assert pause is not None
    stage.run_until(sent + LANDING - MINUTE)
    assert stage.operations("chat")[-1].status in ("running", "confirming")
    stage.run_until(sent + LANDING + 2 * MINUTE)
    assert stage.operations("chat")[-1].status == "succeeded"
    assert stage.state("chat") == GONE
