"""What is told of the time ahead: starts as long as they were measured, and those that are late."""

from __future__ import annotations

from datetime import timedelta

import pytest

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
STARTING = ("initializing",)


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
    start = stage.clock.now()
    found = {name: ahead(stage, name, 10 * HOUR) for name in names}
    late = {
        name: one.reason
        for name, course in found.items()
        for one in course.stretches
        if one.start == MONDAY + 8 * HOUR and "late" in one.reason
    }
    assert len(late) == 2
    assert all("; late: does not start: the quota of" in reason for reason in late.values())
    assert "do not begin" in found["e0"].assumption
    for name, course in found.items():
        first = next(one for one in course.stretches if one.start == MONDAY + 8 * HOUR)
        paid = sum(one.cost.nano for one in course.stretches if one.cost is not None)
        if name in late:  # it is wanted to the end of what is told, and never begins
            assert (first.waits, first.status, first.end) == (True, "paused", start + 10 * HOUR)
            assert paid == 0
        else:
            assert (first.waits, first.status) == (False, "initializing")
            assert paid > 0


def test_a_late_start_and_its_cost_begin_later_as_the_engine_then_does(
    sqlite_database: Database,
) -> None:
    stage = open_stage(
        sqlite_database,
        cadence=Cadence(rest=timedelta(minutes=4), transition=timedelta(seconds=10)),
        start=MONDAY + 7 * HOUR + timedelta(minutes=50),
    )
    names = [f"e{number:03}" for number in range(150)]
    for name in names:
        stage.world.add_endpoint(NAMESPACE, endpoint_payload(name), state="paused")
    stage.step()
    stage.adopt(*names)
    stage.schedule()
    opens = MONDAY + 8 * HOUR
    names.sort(key=lambda one: stage.endpoint(one).id)  # the order of those that are used alike
    name = names[-1]
    course = ahead(stage, name, 4 * HOUR)
    waiting, starting = [one for one in course.stretches if one.waits or one.status in STARTING]
    assert waiting.start == opens
    assert waiting.cost is not None
    assert waiting.cost.nano == 0
    assert timedelta(minutes=1) < starting.start - opens < timedelta(minutes=2)
    assert starting.start == waiting.end
    assert f"late: begins at {starting.start:%H:%M:%S}" in waiting.reason
    assert "late" not in starting.reason
    early = ahead(stage, names[0], 4 * HOUR)
    assert not any(one.waits for one in early.stretches)
    assert early.future is not None
    assert course.future is not None
    saved = early.future.nano - course.future.nano
    rate = next(one for one in course.stretches if one.status == "running")
    assert rate.cost is not None
    per_second = rate.cost.nano / (rate.end - rate.start).total_seconds()
    assert saved == pytest.approx(per_second * (waiting.end - opens).total_seconds(), rel=1e-6)
    stage.run_until(opens + timedelta(minutes=3))
    (begun,) = [op.created_at for op in stage.operations(name) if op.kind == "resume"]
    assert abs(begun - starting.start) <= timedelta(seconds=20)


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


def test_the_least_that_may_come_holds_no_start_that_was_never_measured(
    sqlite_database: Database,
) -> None:
    """It starts in a minute, and nobody comes: less than the ten minutes that are assumed."""
    stage = open_stage(sqlite_database, cadence=SELDOM)
    stage.world.add_endpoint(NAMESPACE, endpoint_payload("chat"), state="paused", startup_s=60)
    stage.step()
    stage.adopt("chat")
    stage.schedule()
    stage.idle_policy(30, action="pause")
    stage.run_until(MONDAY + 7 * HOUR)
    told = ahead(stage, "chat", 10 * HOUR).future
    stage.run(hours=10)
    now = stage.clock.now()
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        came = timeline(session, row, MONDAY + 7 * HOUR, now, now).past
    assert told is not None
    assert came is not None
    assert [op.kind for op in stage.operations("chat")] == ["resume", "pause"]
    assert 0 < told.low <= came.nano <= told.high
    assert came.nano - told.low < 0.8e9 / 6  # less than ten minutes at $0.80 an hour
