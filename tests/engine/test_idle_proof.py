"""Idleness through the whole service: no proof, no stop; every stop keeps its proof."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.traffic import Traffic
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Hold
from tests.support.aws_stage import AwsStage, open_aws_stage
from tests.support.stage import MONDAY, Stage, open_stage

SELDOM = Cadence(
    rest=timedelta(minutes=30), transition=timedelta(minutes=1), rates=timedelta(days=1)
)


@pytest.fixture
def seldom(sqlite_database: Database) -> Stage:
    """Return a stage that is looked at every twenty minutes, with one unused endpoint."""
    stage = open_stage(sqlite_database, cadence=SELDOM)
    stage.add("chat", min_replica=0)
    ready(stage)
    return stage


@pytest.fixture
def seldom_aws(sqlite_database: Database) -> AwsStage:
    """Return the same at AWS, whose owner allowed to stop it by deleting it."""
    stage = open_aws_stage(sqlite_database, cadence=SELDOM)
    stage.add("chat", traffic=None)
    ready(stage)
    stage.allow("chat")
    return stage


def ready(stage: Stage) -> None:
    stage.run(minutes=2)
    stage.adopt("chat")


def test_a_day_without_metrics_pauses_nothing_and_then_it_works_again(seldom: Stage) -> None:
    seldom.idle_policy(30, action="pause")
    seldom.world.faults.add(faults.missing_field("status.lastUsedAt"))
    seldom.world.faults.add(faults.error(500), path=r"/metrics")
    seldom.run(hours=24)
    assert seldom.changes() == []
    assert seldom.state("chat") == "running"
    seldom.world.faults.clear()
    seldom.run(hours=1)
    assert seldom.changes() == ["chat pause"]
    (asked,) = seldom.events("operation.requested")
    evidence = asked.data["evidence"]
    assert asked.operation_id == seldom.operations("chat")[0].id
    assert evidence["verdict"] == "idle"
    assert evidence["source"] == "the cloud's time of last use"
    assert evidence["policy"]["name"] == "Nap"
    assert evidence["last_request_at"] == (MONDAY - timedelta(hours=1)).isoformat()
    assert evidence["covered_to"] > (MONDAY + timedelta(hours=24)).isoformat()


def test_a_day_without_metrics_pauses_nothing_at_aws_either(seldom_aws: AwsStage) -> None:
    stage = seldom_aws
    stage.idle_policy(30, action="pause")
    stage.world.faults.add(faults.error(500), path="/GetMetricData$")
    stage.run(hours=24)
    assert stage.changes() == []
    stage.world.faults.clear()
    stage.run(hours=2)
    assert stage.endpoint("chat").status == "paused"
    (asked,) = stage.events("operation.requested")
    evidence = asked.data["evidence"]
    assert (evidence["verdict"], evidence["last_request_at"]) == ("idle", None)
    assert evidence["source"] == "the cloud's request counts"
    assert evidence["late_s"] >= 120
    assert evidence["covered_from"] < evidence["covered_to"] < evidence["at"]


def test_in_quiet_hours_nothing_is_put_to_sleep(seldom: Stage) -> None:
    quiet = [{"days": [0], "start": "01:00", "end": "06:00"}]
    seldom.idle_policy(30, quiet_timezone="Europe/Berlin", quiet_windows=quiet)
    seldom.run_until(MONDAY + timedelta(hours=4, minutes=50))
    assert seldom.changes() == []
    seldom.run_until(MONDAY + timedelta(hours=5, minutes=2))
    assert seldom.changes() == ["chat scale-to-zero"]


def test_a_lease_vetoes_until_it_ends(seldom: Stage) -> None:
    now = seldom.clock.now()
    with seldom.database.write() as session:
        session.add(
            Hold(
                id=new_id("hld", now),
                endpoint_id=seldom.endpoint("chat").id,
                wish="running",
                starts_at=now,
                until=now + timedelta(hours=5),
                actor="nightly-job",
                source="lease",
                reason="batch",
            )
        )
    seldom.idle_policy(30)
    seldom.run(hours=4, minutes=50)
    assert seldom.changes() == []
    seldom.run(hours=2)
    assert seldom.changes() == ["chat scale-to-zero"]


def test_shadow_keeps_the_proof_with_what_it_would_have_done(seldom: Stage) -> None:
    seldom.idle_policy(30, shadow=True)
    seldom.run(hours=3)
    assert seldom.changes() == []
    (told,) = seldom.events("decision.proposed")
    assert told.data["evidence"]["last_request_at"] == (MONDAY - timedelta(hours=1)).isoformat()


def test_a_request_in_flight_vetoes(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database, cadence=SELDOM)
    stage.add("chat", min_replica=0, traffic=Traffic.steady(1200))
    ready(stage)
    stage.idle_policy(30)
    stage.world.faults.add(faults.extra_field("status.lastUsedAt", "2026-11-15T20:00:00Z"))
    stage.run(hours=3)
    assert stage.changes() == []
