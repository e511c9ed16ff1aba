"""What is told of the time ahead: starts as long as they were measured, and those that are late."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services import reruns
from orchestrator.services.timeline import Timeline, timeline
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint
from tests.support.stage import MONDAY, NAMESPACE, Stage, open_stage

SELDOM = Cadence(rest=timedelta(minutes=4), transition=timedelta(seconds=20))
HOUR = timedelta(hours=1)


def ahead(stage: Stage, name: str, span: timedelta) -> Timeline:
    now = stage.clock.now()
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint(name).id)
        return timeline(session, row, now, now + span, now)


def test_starts_that_come_at_once_are_told_as_late(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database, cadence=SELDOM)
    stage.world.accounts.namespaces[NAMESPACE].quotas = {"nvidia-l4": 4}
    names = [f"e{number}" for number in range(6)]
    for name in names:
        stage.world.add_endpoint(NAMESPACE, endpoint_payload(name), state="paused")
    stage.step()
    stage.adopt(*names)
    stage.schedule()
    stage.run(minutes=12)
    assert {stage.state(name) for name in names} == {"paused"}
    found = {name: ahead(stage, name, 10 * HOUR) for name in names}
    late = {
        name: one.reason
        for name, course in found.items()
        for one in course.stretches
        if one.start == MONDAY + 8 * HOUR and "late" in one.reason
    }
    assert len(late) == 2
    assert all("; late: does not start: the quota of" in reason for reason in late.values())
    assert "told as late" in found["e0"].assumption


def test_starts_by_request_are_measured_and_what_is_assumed_is_called_so(
    sqlite_database: Database,
) -> None:
    stage = open_stage(sqlite_database, cadence=SELDOM)
    traffic = Traffic(
        [Window(day * 144 + hour * 6 + 2, 3, 1.0) for day in (0, 7) for hour in (2, 4, 6)]
    )
    stage.add("chat", min_replica=0, traffic=traffic, startup_s=200)
    stage.step()
    stage.adopt("chat")
    stage.idle_policy(30)
    stage.run(hours=1)
    assert "a start takes 10 min, as it usually does at its cloud: none was measured" in (
        ahead(stage, "chat", HOUR).assumption
    )
    stage.run(hours=7)
    now = stage.clock.now()
    with stage.database.read() as session:
        found = reruns.start_up_of(session, stage.endpoint("chat"), now)
        before = reruns.start_up_of(session, stage.endpoint("chat"), MONDAY + HOUR)
    assert (found.measured, found.alike, before.measured) == (3, False, 0)
    assert timedelta(seconds=60) <= found.time < timedelta(minutes=5)
    assert "the middle of 3 measured (its own)" in ahead(stage, "chat", HOUR).assumption
    assert not [op for op in stage.operations("chat") if op.kind == "resume"]
