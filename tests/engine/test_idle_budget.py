"""A source that calls everybody idle empties no fleet within an hour."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.engine.engine import Cadence
from orchestrator.store.database import Database
from tests.support.stage import open_stage

LOOKS = Cadence(rest=timedelta(minutes=4), transition=timedelta(minutes=1))


def test_idle_policies_stop_so_many_in_an_hour_and_a_restart_changes_nothing(
    sqlite_database: Database,
) -> None:
    stage = open_stage(sqlite_database, cadence=LOOKS)
    names = [f"e{place}" for place in range(8)]
    for name in names:
        stage.add(name, min_replica=1)
    stage.run(minutes=2)
    stage.adopt(*names)
    stage.idle_policy(15, action="pause")
    stage.run(minutes=40)
    assert len(stage.changes()) == 5
    told = stage.events("decision.refused")
    assert len({event.endpoint_id for event in told}) == len(told) == 3
    assert all("within an hour" in event.message for event in told)
    stage.restart()
    stage.run(minutes=30)
    assert len(stage.changes()) == 5
    stage.run(minutes=30)
    assert len(stage.changes()) == 8
