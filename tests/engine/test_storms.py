"""Two hundred endpoints at 09:00: in order, within quota, none lost; room is made where it may."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from orchestrator.domain.schedules.text import parse_window
from orchestrator.domain.stagger import StartLimits
from orchestrator.engine.engine import Cadence
from orchestrator.providers.pacing import PaceReport
from orchestrator.sandbox import faults
from orchestrator.services import storms
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Endpoint, Hold
from tests.support.crowd import add, used
from tests.support.stage import MONDAY, NAMESPACE, Stage, open_stage

STORM = Cadence(rest=timedelta(minutes=1), transition=timedelta(seconds=15))
NINE = MONDAY + timedelta(hours=9)
BEFORE = NINE - timedelta(minutes=5)
WINDOW = parse_window("mon-fri 09:00-18:00")


def opened(
    database: Database, quota: int, cadence: Cadence = STORM, start: datetime = BEFORE
) -> Stage:
    """Return a stage at 08:55 on Monday whose namespace has a quota of nvidia-l4."""
    stage = open_stage(database, cadence=cadence, start=start)
    stage.world.accounts.namespaces[NAMESPACE].quotas = {"nvidia-l4": quota}
    return stage


def hold(stage: Stage, name: str) -> None:
    """Let somebody hold an endpoint as it is, awake by request."""
    now = stage.clock.now()
    with stage.database.write() as session:
        session.add(
            Hold(
                id=new_id("hld", now),
                endpoint_id=stage.endpoint(name).id,
                wish="available",
                starts_at=now,
                until=now + timedelta(hours=4),
                actor="maria",
                reason="a demo",
            )
        )


def begun(stage: Stage) -> dict[str, datetime]:
    """Return when each resume was written down."""
    return {op.endpoint_name: op.created_at for op in stage.operations() if op.kind == "resume"}


def test_two_hundred_starts_at_nine(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, quota=190)
    names = [f"e{number:03}" for number in range(200)]
    for name in names:
        add(stage, name)
    stage.step()
    stage.adopt(*names)
    used(stage, {name: number for number, name in enumerate(names)})
    row = stage.schedule(WINDOW)
    ids = {stage.endpoint(name).id: name for name in names}
    with stage.database.read() as session:
        wanted = [(key, NINE) for key in ids]
        how = storms.Forecasting(row.id)
        told = storms.late_starts(session, stage.account, wanted, stage.clock.now(), how)
    never = {ids[late.endpoint_id] for late in told if late.begins_at is None}
    assert never == set(names[:10])
    first = next(late for late in told if late.begins_at is None)
    assert "the quota of aws/nvidia-l4 is used up: 190 of 190" in first.words
    stage.run_until(NINE + timedelta(minutes=6))
    at = begun(stage)
    assert set(at) == set(names[10:])  # none lost, and none asked for that has no room
    instants = sorted(set(at.values()))
    assert [sum(one == each for one in at.values()) for each in instants] == [20] * 9 + [10]
    assert instants[0] - NINE < timedelta(seconds=5)
    assert instants[-1] - NINE < timedelta(minutes=5)
    order = sorted(at, key=lambda name: (at[name], -names.index(name)))
    assert order == names[:9:-1]  # most used first
    assert {stage.state(name) for name in names[10:]} == {"running"}
    assert {op.status for op in stage.operations()} == {"succeeded"}
    refused = stage.world.calls.mutating(committed=False)
    assert [call.path for call in refused if call.status >= 400] == []
    assert len(stage.events("decision.queued")) == 170
    waits = stage.events("decision.refused")
    assert len(waits) == 10
    assert "is used up" in waits[0].message


@pytest.fixture
def crowded(sqlite_database: Database) -> Stage:
    """Return a stage where one that is at zero holds the quota that another needs at 09:00."""
    seldom = Cadence(rest=timedelta(minutes=20), transition=timedelta(seconds=20))
    stage = opened(sqlite_database, quota=2, cadence=seldom, start=NINE - timedelta(hours=2))
    add(stage, "spare", "scaledToZero", min_replica=0, timeout_minutes=15)
    add(stage, "other", "running")
    stage.world.act(NAMESPACE, "other", "pause")
    add(stage, "fixed", "running")
    stage.step()
    return stage


def test_what_sleeps_at_zero_gives_its_quota_and_gets_it_back(crowded: Stage) -> None:
    crowded.adopt("spare", "other")
    used(crowded, {"spare": 3, "other": 50})
    crowded.schedule(WINDOW, selector={"endpoint": crowded.endpoint("other").id})
    crowded.engine.nudge()
    crowded.run_until(NINE + timedelta(minutes=25))
    assert crowded.state("other") == "running"
    assert crowded.state("spare") == "paused"
    (pause,) = [op for op in crowded.operations("spare") if op.kind == "pause"]
    assert pause.rule == f"quota:{crowded.endpoint('other').id}"
    assert "which other needs to start" in pause.reason
    assert crowded.holds() == []  # nobody takes it for a person's click
    crowded.run_until(NINE + timedelta(hours=2))
    assert crowded.state("spare") == "paused"
    assert crowded.changes("spare") == ["spare pause"]
    crowded.run_until(NINE + timedelta(hours=9, minutes=10))
    assert crowded.state("other") == "paused"
    assert crowded.changes("spare") == ["spare pause", "spare resume"]


@pytest.mark.parametrize("why", ["protected", "observed", "held", "more used", "just used"])
def test_what_may_not_give_way_does_not(crowded: Stage, why: str) -> None:
    crowded.adopt("other", *([] if why == "observed" else ["spare"]))
    used(crowded, {"spare": 90 if why == "more used" else 3, "other": 50})
    if why == "held":
        hold(crowded, "spare")
    with crowded.database.write() as session:
        row = session.get_one(Endpoint, crowded.endpoint("spare").id)
        row.protected = why == "protected"
        session.add(row)
    if why == "just used":
        crowded.run_until(NINE - timedelta(minutes=40))
        crowded.world.invoke(NAMESPACE, "spare")
    crowded.schedule(WINDOW, selector={"endpoint": crowded.endpoint("other").id})
    crowded.engine.nudge()
    crowded.run_until(NINE + timedelta(minutes=3))
    assert crowded.changes("spare") == []
    assert crowded.state("other") == "paused"
    assert "is used up" in crowded.events("decision.refused")[-1].message


@pytest.fixture
def turns(sqlite_database: Database) -> Stage:
    """Return a stage where prod at zero holds the quota that toy needs, two hours before nine."""
    seldom = Cadence(rest=timedelta(minutes=20), transition=timedelta(seconds=20))
    stage = opened(sqlite_database, quota=2, cadence=seldom, start=NINE - timedelta(hours=2))
    add(stage, "prod", "scaledToZero", min_replica=0, timeout_minutes=15)
    add(stage, "toy", "running", min_replica=0, timeout_minutes=15)
    stage.world.act(NAMESPACE, "toy", "pause")
    add(stage, "fixed", "running")
    stage.step()
    stage.adopt("prod", "toy")
    used(stage, {"prod": 3, "toy": 5})
    return stage


def test_what_gave_way_takes_its_turn_after_hours_without_use(turns: Stage) -> None:
    turns.run_until(NINE)
    turns.click("resume", "toy")
    turns.run_until(NINE + timedelta(hours=5))
    assert turns.changes("prod") == ["prod pause"]
    (told,) = turns.events("endpoint.gave_way")
    assert "prod is paused, and requests get an error" in told.message
    assert "resume it to have it back sooner" in told.message
    turns.run_until(NINE + timedelta(hours=8))
    assert turns.changes("prod") == ["prod pause", "prod resume"]
    assert (turns.state("toy"), turns.changes("toy")[-1]) == ("paused", "toy pause")


def test_a_click_brings_back_what_gave_way(turns: Stage) -> None:
    turns.run_until(NINE)
    turns.click("resume", "toy")
    turns.run_until(NINE + timedelta(hours=4))
    assert turns.state("prod") == "paused"
    turns.click("resume", "prod")
    turns.run_until(NINE + timedelta(hours=5))
    assert turns.state("toy") == "paused"
    assert turns.changes("prod") == ["prod pause", "prod resume"]


def test_a_request_keeps_what_was_about_to_give_way(turns: Stage) -> None:
    turns.run_until(NINE - timedelta(seconds=1))
    turns.world.faults.add(faults.error(503), method="POST", path=r"/prod/pause$", count=3)
    turns.click("resume", "toy")
    turns.run(seconds=3)
    assert [op.kind for op in turns.operations("prod")] == ["pause"]
    turns.world.invoke(NAMESPACE, "prod")
    turns.run(minutes=4)
    (pause,) = turns.operations("prod")
    assert (pause.status, turns.changes("prod")) == ("superseded", [])
    assert turns.endpoint("prod").asleep_rule == ""


def test_the_forecast_says_who_will_be_paused(crowded: Stage) -> None:
    crowded.adopt("spare", "other")
    used(crowded, {"spare": 3, "other": 50})
    row = crowded.schedule(WINDOW, selector={"endpoint": crowded.endpoint("other").id})
    crowded.run_until(NINE - timedelta(minutes=30))
    wanted = [(crowded.endpoint("other").id, NINE)]
    with crowded.database.read() as session:
        how = storms.Forecasting(row.id)
        (told,) = storms.late_starts(session, crowded.account, wanted, crowded.clock.now(), how)
    assert told.begins_at == NINE + timedelta(seconds=10)
    assert "spare at zero will be paused first" in told.words


@pytest.mark.parametrize("state", ["paused", "scaledToZero"])
def test_what_sleeps_at_zero_wakes_within_the_quota_that_it_holds(
    sqlite_database: Database, state: str
) -> None:
    """Its own timer sends it to zero; its window keeps it running, and nobody else has its room."""
    stage = opened(sqlite_database, quota=1)
    add(stage, "own", state, min_replica=0, timeout_minutes=15)
    stage.step()
    stage.adopt("own")
    stage.schedule(replace(WINDOW, keep_running=True), apply_now=state == "paused")
    stage.run_until(NINE + timedelta(minutes=10))
    assert stage.state("own") == "running"
    stage.run_until(NINE + timedelta(hours=1))
    assert stage.changes("own").count("own resume") >= 2
    assert stage.events("decision.refused") == []


def test_what_is_at_zero_is_not_told_late_for_want_of_its_own_quota(
    sqlite_database: Database,
) -> None:
    """What is used more finds no room: the one at zero holds it, and needs no more to start."""
    stage = opened(sqlite_database, quota=1)
    add(stage, "more")
    add(stage, "own", "scaledToZero", min_replica=0, timeout_minutes=15)
    stage.step()
    used(stage, {"own": 1, "more": 9})
    wanted = [(stage.endpoint(name).id, NINE) for name in ("own", "more")]
    with stage.database.read() as session:
        (told,) = storms.late_starts(session, stage.account, wanted, stage.clock.now())
    assert told.endpoint_id == stage.endpoint("more").id
    assert told.begins_at is None


def test_what_runs_already_is_not_told_late_and_throttling_is(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, quota=100)
    names = [f"e{number}" for number in range(6)]
    for name in names:
        add(stage, name, "running" if name in names[:3] else "paused")
    stage.step()
    stage.adopt(*names)
    row = stage.schedule(WINDOW)
    wanted = [(stage.endpoint(name).id, NINE) for name in names]
    pace = StartLimits(per_pass=20, every=timedelta(minutes=2))
    lane = PaceReport(stage.account.name, "management", 9, 3, 0.0, 0.1)
    with stage.database.read() as session:
        told = [
            storms.late_starts(session, stage.account, wanted, stage.clock.now(), how)
            for how in (
                storms.Forecasting(row.id, pace),
                storms.Forecasting(row.id, pace, paces=[lane]),
            )
        ]
    asleep = {stage.endpoint(name).id for name in names[3:]}
    assert told[0] == []
    late = {one.endpoint_id for one in told[1]}
    assert len(late) == 2  # one in a pass, the others after it
    assert late < asleep
