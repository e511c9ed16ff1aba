"""Why, while a window drains: use is recorded by ten minutes, and a drain hangs on single ones."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services.why import explain
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, UsageSample
from tests.support.stage import MONDAY, Stage, open_stage

BRISK = Cadence(
    rest=timedelta(minutes=1), transition=timedelta(seconds=20), rates=timedelta(days=1)
)
HOUR = timedelta(hours=1)
AFTER = (1, 20, 50, 110)


def drained(database: Database, seed: int, requests: int) -> Stage:
    """Let a window of an endpoint in use end at six, and its drain after that."""
    stage = open_stage(database, cadence=BRISK, start=MONDAY + 17.5 * HOUR)
    blocks = [Window(block, requests, 1.0) for block in range(2016)]
    stage.add("chat", traffic=Traffic(blocks, seed=seed, phase_s=seed * 61), startup_s=60)
    stage.run(minutes=4)
    stage.adopt("chat")
    stage.schedule(drain_minutes=50)
    stage.run(hours=1.5)
    return stage


def differing(stage: Stage) -> list[str]:
    """Return the instants after each decision at which another wish is told than was decided."""
    found = []
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        for event in stage.events("decision.changed"):
            for seconds in AFTER:
                at = event.at + timedelta(seconds=seconds)
                why = explain(session, row, at, stage.clock.now())
                assert why.decision is not None
                assert why.recorded is not None
                if why.decision.wish != why.recorded.wish:
                    found.append(f"{at}: {why.decision.reason}, but {why.recorded.message}")
    return found


def test_while_it_drains_it_is_told_so(sqlite_database: Database) -> None:
    stage = drained(sqlite_database, seed=1, requests=4)
    messages = [event.message for event in stage.events("decision.changed")]
    assert ["draining" in message for message in messages] == [False, True, False]
    assert differing(stage) == []


def test_a_request_that_was_told_of_later_takes_no_end_of_a_drain_back(
    sqlite_database: Database,
) -> None:
    stage = drained(sqlite_database, seed=1, requests=4)
    ended = stage.events("decision.changed")[-1].at
    start = ended.replace(minute=ended.minute // 10 * 10, second=0, microsecond=0)
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        sample = session.get(UsageSample, (row.id, start)) or UsageSample(
            endpoint_id=row.id, start=start, requests=1, covered_s=600
        )
        sample.last_request_at = ended - timedelta(seconds=10)
        sample.requests = max(sample.requests, 1)
        session.add(sample)
    assert differing(stage) == []
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        why = explain(session, row, ended + timedelta(seconds=5), stage.clock.now())
    assert why.decision is not None
    assert (why.decision.wish, why.decision.draining) == ("paused", False)
    assert any("requests had ceased by then, as far as it knew" in one for one in why.doubts)
