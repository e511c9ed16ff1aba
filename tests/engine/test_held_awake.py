"""An endpoint that somebody's poller keeps awake is told of once, and nothing is done to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.notices import Severity, severity_of
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.traffic import Traffic
from orchestrator.store.database import Database
from tests.support.stage import NAMESPACE, Stage, open_stage

LOOKS = Cadence(rest=timedelta(minutes=2), transition=timedelta(minutes=1), rates=timedelta(days=1))


@pytest.fixture
def polled(sqlite_database: Database) -> Stage:
    """Return a stage with one unused endpoint with an idle timer of its cloud."""
    stage = open_stage(sqlite_database, cadence=LOOKS)
    stage.add("chat", min_replica=0, timeout_minutes=15)
    stage.run(minutes=1)
    stage.adopt("chat")
    return stage


@pytest.mark.parametrize(
    ("shows", "counted", "sign"),
    [(True, True, "even"), (True, False, "uncounted"), (False, False, "timer")],
)
def test_each_way_in_which_a_poller_shows_is_told_once(
    polled: Stage, *, shows: bool, counted: bool, sign: str
) -> None:
    polled.world.add_poller(NAMESPACE, "chat", 300, shows=shows, counted=counted)
    polled.idle_policy(60)
    polled.run(hours=2, minutes=30)
    assert polled.state("chat") == "running"
    assert polled.changes() == []
    row = polled.endpoint("chat")
    assert row.held_awake["sign"] == sign
    (told,) = polled.events("endpoint.held_awake")
    assert told.data["sign"] == sign
    assert severity_of(told.kind, told.data) is Severity.WARNING
    assert "held awake by somebody's poller" in told.message


def test_when_the_poller_goes_it_is_told_and_the_policy_acts(polled: Stage) -> None:
    polled.world.add_poller(NAMESPACE, "chat", 300)
    polled.run(hours=2)
    assert polled.endpoint("chat").held_awake["sign"] == "uncounted"
    polled.world.endpoint(NAMESPACE, "chat").poller = None
    polled.run(hours=1)
    assert polled.state("chat") == "scaledToZero"  # by the cloud's own timer
    assert [event.kind for event in polled.events("endpoint.held_awake")] == [
        "endpoint.held_awake",
        "endpoint.held_awake_over",
    ]
    assert "sign" not in polled.endpoint("chat").held_awake


def test_a_poller_that_stopped_vetoes_no_more(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database, cadence=LOOKS)
    stage.add("chat", min_replica=1)
    stage.run(minutes=1)
    stage.adopt("chat")
    stage.world.add_poller(NAMESPACE, "chat", 300, shows=True, counted=True)
    stage.idle_policy(30, action="pause")
    stage.run(hours=2)
    assert stage.endpoint("chat").held_awake["sign"] == "even"
    stage.world.endpoint(NAMESPACE, "chat").poller = None
    stage.run(minutes=40)
    assert stage.changes() == ["chat pause"]


def test_a_job_that_comes_more_seldom_than_the_timeout_is_told_and_no_veto(
    sqlite_database: Database,
) -> None:
    cadence = Cadence(
        rest=timedelta(minutes=10), transition=timedelta(minutes=1), rates=timedelta(days=1)
    )
    stage = open_stage(sqlite_database, cadence=cadence)
    stage.add("batch", min_replica=1)
    stage.run(minutes=1)
    stage.adopt("batch")
    patient = stage.idle_policy(60, action="pause")
    for _ in range(14):
        stage.run(hours=1)
        stage.world.invoke(NAMESPACE, "batch")
    assert stage.endpoint("batch").held_awake["every_s"] == 3600
    stage.run(minutes=50)
    assert stage.changes() == []
    with stage.database.write() as session:
        patient.timeout_minutes = 20
        session.merge(patient)
    stage.run(minutes=20)
    assert stage.changes() == ["batch pause"]


def test_a_policy_does_not_fight_what_wakes_it_each_time(polled: Stage) -> None:
    polled.world.add_poller(NAMESPACE, "chat", 300, shows=False)
    polled.idle_policy(25)
    polled.run(hours=4)
    assert polled.changes() == ["chat scale-to-zero"]
    assert polled.endpoint("chat").held_awake["sign"] == "woken"
    assert len(polled.events("endpoint.held_awake")) == 1


def test_people_hold_nothing_awake(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database, cadence=LOOKS)
    stage.add(
        "chat", min_replica=0, timeout_minutes=15, traffic=Traffic.recorded("m-large-066", seed=1)
    )
    stage.run(minutes=1)
    stage.adopt("chat")
    stage.idle_policy(25)
    stage.run(hours=3)
    assert stage.events("endpoint.held_awake") == []


def test_what_lasts_is_told_again_each_week(polled: Stage) -> None:
    polled.world.add_poller(NAMESPACE, "chat", 600, shows=False, counted=False)
    polled.run(hours=2)
    (first,) = polled.events("endpoint.held_awake")
    for days in (6, 7, 8):
        polled.clock.set(first.at + timedelta(days=days))
        polled.run(minutes=5)
    told = polled.events("endpoint.held_awake")
    assert [(one.kind, one.data["sign"]) for one in told] == [("endpoint.held_awake", "timer")] * 2
    assert told[1].at == first.at + timedelta(days=7)
    assert polled.endpoint("chat").held_awake["since"] == first.at.isoformat()
    assert f"so since {first.at:%Y-%m-%d %H:%M} UTC" in told[1].message
