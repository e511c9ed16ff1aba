"""Ends at AWS, where a pause is a deletion: leave, warning, pause, extension, grace, leases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.services import expiry, leases
from orchestrator.services.expiry import Extended, Wanted
from orchestrator.services.leases import Bounds
from orchestrator.store.database import Database
from tests.support.aws_stage import GONE, AwsStage, open_aws_stage
from tests.support.stage import Stage, open_stage

SELDOM = Cadence(rest=timedelta(minutes=20), transition=timedelta(minutes=3))


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    """Return a stage with one managed endpoint that may be deleted in order to pause it."""
    stage = open_aws_stage(sqlite_database, cadence=SELDOM)
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    return stage


def expire(stage: AwsStage, text: str, **wanted: Any) -> None:
    with stage.database.write() as session:
        expiry.set_expiry(
            session, stage.row(session, "chat"), Wanted(text, **wanted), stage.asked("a trial")
        )


def extend(stage: AwsStage, text: str) -> Extended:
    with stage.database.write() as session:
        row = stage.row(session, "chat")
        return expiry.extend(session, row, Wanted(text), stage.asked("not done yet"))


def told(stage: AwsStage) -> list[str]:
    names = ("endpoint.expir", "endpoint.delet", "endpoint.undel")
    return [event.kind for event in stage.events("endpoint.") if event.kind.startswith(names)]


def test_it_is_warned_of_paused_by_deletion_extended_and_made_again(stage: AwsStage) -> None:
    expire(stage, "3h")
    stage.run(hours=2, minutes=30)
    assert told(stage) == ["endpoint.expiry_set", "endpoint.expiry_warned"]
    assert stage.state("chat") == "InService"
    stage.run(hours=1)
    row = stage.endpoint("chat")
    assert (stage.state("chat"), row.status, row.decided_rule) == (GONE, "paused", "expired")
    assert row.kept["endpoint"]["EndpointName"] == "chat"
    back = extend(stage, "5h")
    assert back.operation is not None
    stage.run(hours=1)
    assert (stage.state("chat"), stage.endpoint("chat").status) == ("InService", "running")
    assert stage.changes("chat") == ["chat delete", "chat create"]


def test_after_its_grace_nothing_can_be_made_again(stage: AwsStage) -> None:
    expire(stage, "2h", delete_grace="2h")
    stage.run(hours=3)
    assert stage.endpoint("chat").delete_after is not None
    assert stage.endpoint("chat").kept
    stage.run(hours=3)
    row = stage.endpoint("chat")
    assert (row.status, row.kept) == ("deleted", {})
    assert told(stage)[-2:] == ["endpoint.deletion_due", "endpoint.deleted"]
    assert stage.changes("chat") == ["chat delete"]


def test_a_lease_from_before_outlasts_an_expiry(stage: AwsStage) -> None:
    with stage.database.write() as session:
        row = stage.row(session, "chat")
        leases.acquire(session, row, timedelta(minutes=58), stage.asked("evaluation"), Bounds())
    expire(stage, "30m")
    stage.run(minutes=50)
    assert (stage.state("chat"), stage.endpoint("chat").decided_rule) == ("InService", "hold")
    assert told(stage)[-1] == "endpoint.expired"
    stage.run(minutes=40)
    assert (stage.state("chat"), stage.endpoint("chat").decided_rule) == (GONE, "expired")
    assert [event.kind for event in stage.events("lease.")] == ["lease.acquired", "lease.expired"]


HOURLY = Cadence(rest=timedelta(hours=1), transition=timedelta(minutes=10))


def unused_at_huggingface(database: Database, taken: str) -> Stage:
    stage = open_stage(database, cadence=HOURLY)
    stage.add("chat", min_replica=1)
    stage.run(minutes=2)
    stage.adopt("chat")
    if taken != "nothing":
        stage.world.faults.add(faults.missing_field("status.lastUsedAt"))
        stage.world.faults.add(HOW[taken], path="/metrics")
    return stage


def unused_at_aws(database: Database, taken: str) -> Stage:
    delay = AwsSwitches(metrics_delay_s=30 * 3600) if taken == "empty" else None
    stage = open_aws_stage(database, cadence=HOURLY, switches=delay)
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    if taken not in ("nothing", "empty"):
        stage.world.faults.add(HOW[taken], path="/GetMetricData$")
    return stage


HOW = {
    "failing": faults.error(500),
    "denied": faults.error(403),
    "empty": faults.missing_field("responseStatusCodeGrouped"),
}


@pytest.mark.parametrize("opened", [unused_at_huggingface, unused_at_aws])
@pytest.mark.parametrize("taken", ["nothing", "failing", "empty", "denied"])
def test_the_same_day_pauses_with_metrics_and_not_without_them(
    sqlite_database: Database, opened: Callable[[Database, str], Stage], taken: str
) -> None:
    stage = opened(sqlite_database, taken)
    stage.idle_policy(30, action="pause")
    stage.run(hours=24)
    paused = [op.status for op in stage.operations("chat")]
    assert paused == (["succeeded"] if taken == "nothing" else [])
    assert stage.endpoint("chat").status == ("paused" if taken == "nothing" else "running")
