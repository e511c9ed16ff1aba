"""Operations that last longer than usual are flagged, with what the cloud says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.store.database import Database
from tests.support.stage import Stage, open_stage

MINUTELY = Cadence(rest=timedelta(minutes=2), transition=timedelta(minutes=2))


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    return open_stage(sqlite_database, cadence=MINUTELY)


def slow(stage: Stage) -> None:
    """Let a resume hang: the cloud says initializing, and nothing follows."""
    stage.add("chat", startup_s=3 * 3600)
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.click("pause", "chat")
    stage.run(minutes=5)
    stage.click("resume", "chat")


def test_a_step_that_lasts_too_long_is_flagged_once(stage: Stage) -> None:
    slow(stage)
    stage.run(minutes=14)
    operation = stage.operations("chat")[-1]
    assert (operation.status, operation.stuck_since) == ("confirming", None)
    assert operation.cloud_state == "initializing"
    stage.run(minutes=30)
    operation = stage.operations("chat")[-1]
    assert operation.stuck_since is not None
    assert operation.usual_s == 600
    (told,) = stage.events("operation.stuck")
    assert "usually takes 10 min" in told.message
    assert "the cloud says initializing" in told.message
    assert told.operation_id == operation.id


def test_a_flag_goes_when_it_moves_again(stage: Stage) -> None:
    slow(stage)
    rule = stage.world.faults.add(faults.unknown_state("thinking"))
    stage.run(minutes=40)
    assert stage.operations("chat")[-1].stuck_since is not None
    stage.world.faults.remove(rule)
    stage.run(minutes=2)
    assert stage.operations("chat")[-1].stuck_since is None
    assert len(stage.events("operation.moving")) == 1


def test_a_call_that_is_never_accepted_is_stuck_too(stage: Stage) -> None:
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.world.faults.add(faults.error(503), path="/chat/pause$", count=9)
    stage.click("pause", "chat")
    stage.run(minutes=12)
    assert stage.events("operation.stuck")
    stage.run(minutes=20)
    operation = stage.operations("chat")[-1]
    assert (operation.status, operation.stuck_since) == ("succeeded", None)


def test_what_happened_here_tells_what_is_usual(stage: Stage) -> None:
    stage.add("chat", startup_s=30)
    stage.run(minutes=2)
    stage.adopt("chat")
    for _ in range(5):
        stage.click("pause", "chat")
        stage.run(minutes=3)
        stage.click("resume", "chat")
        stage.run(minutes=3)
    stage.world.faults.add(faults.unknown_state("thinking"))
    stage.clock.set(stage.clock.now() + timedelta(seconds=1))
    stage.click("pause", "chat")
    stage.run(minutes=20)
    operation = stage.operations("chat")[-1]
    assert operation.stuck_since is not None
    assert operation.usual_s is not None
    assert operation.usual_s < 400
