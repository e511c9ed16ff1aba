"""Time in which an endpoint was not managed: nothing is said of rules that did not act."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.services import releasing
from orchestrator.services.timeline import Stretch, timeline
from orchestrator.services.why import Why, explain
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint
from tests.support.stage import NAMESPACE, Stage, open_stage

SELDOM = Cadence(rest=timedelta(minutes=5), transition=timedelta(seconds=30))
MINUTE = timedelta(minutes=1)


def explained(stage: Stage, at: datetime) -> Why:
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        return explain(session, row, at, stage.clock.now())


def told(stage: Stage, at: datetime) -> Stretch:
    now = stage.clock.now()
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        found = timeline(session, row, stage.started, now, now).stretches
    return next(one for one in found if one.start <= at < one.end)


def release(stage: Stage) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        releasing.release(stage.context, session, row, stage.asked())


def stand_down(stage: Stage) -> None:
    """Let somebody else undo what the schedule does until the engine gives way."""
    for _ in range(4):
        with stage.database.write() as session:
            for hold in stage.holds():
                session.merge(hold).ended_at = stage.clock.now()
        stage.run(minutes=12)
        if not stage.endpoint("chat").managed:
            return
        stage.world.act(NAMESPACE, "chat", "resume", by="other-cron")
        stage.run(minutes=12)


@pytest.mark.parametrize("way", [release, stand_down])
def test_why_and_timeline_know_when_it_was_not_managed(
    sqlite_database: Database, way: Callable[[Stage], None]
) -> None:
    stage = open_stage(sqlite_database, cadence=SELDOM)
    stage.add("chat")
    stage.step()
    stage.adopt("chat")
    stage.schedule()
    stage.run(minutes=20)
    ruled = stage.clock.now() - MINUTE
    way(stage)
    assert not stage.endpoint("chat").managed
    stage.run(minutes=60)
    let_go = stage.clock.now() - 30 * MINUTE
    stage.adopt("chat")
    stage.schedule(name="Again")
    stage.run(minutes=30)
    again = stage.clock.now() - 10 * MINUTE
    for at, rule in ((ruled, "schedule"), (let_go, "not_managed"), (again, "schedule")):
        why, stretch = explained(stage, at), told(stage, at)
        assert why.decision is not None, why.unknown_because
        assert why.decision.rule == rule
        assert stretch.rule.partition(":")[0] == rule
        managed = rule == "schedule"
        assert (stretch.wish != "", why.decision.wish is not None) == (managed, managed)
        assert ("only observed" in stretch.reason) is not managed
