"""Ends that were promised: notice of an expiry, what stands against it, leases that wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling
from orchestrator.domain.status import Wish
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.services import creation, deletion, expiry, holding, leases
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.expiry import Wanted
from orchestrator.services.leases import Bounds, Leased
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint
from tests.support.aws_stage import AWS_ACCOUNT, REGION, AwsStage, open_aws_stage
from tests.support.stage import Stage, open_stage

CALM = Cadence(rest=timedelta(minutes=30), transition=timedelta(minutes=3))
HOUR = timedelta(hours=1)


@pytest.fixture
def calm(sqlite_database: Database) -> Stage:
    stage = open_stage(sqlite_database, cadence=CALM)
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")
    return stage


@pytest.fixture
def aws(sqlite_database: Database) -> AwsStage:
    stage = open_aws_stage(sqlite_database, cadence=CALM)
    stage.add("chat")
    stage.run(minutes=10)
    stage.adopt("chat")
    return stage


def expire(stage: Stage, text: str, **wanted: Any) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        expiry.set_expiry(session, row, Wanted(text, **wanted), stage.asked("a trial"))
    stage.engine.nudge()


def lease(stage: Stage, span: timedelta) -> Leased:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        return leases.acquire(session, row, span, stage.asked("evaluation"), Bounds())


def told(stage: Stage, kind: str = "endpoint.expir") -> list[str]:
    return [event.kind.removeprefix("endpoint.") for event in stage.events(kind)]


def test_an_outage_between_the_warnings_does_not_shorten_the_last_one(calm: Stage) -> None:
    """Warned three days before; nobody was there for the last day and hour."""
    expire(calm, "4d")
    calm.run(days=1, hours=2)
    assert told(calm) == ["expiry_set", "expiry_warned"]
    calm.clock.set(calm.clock.now() + timedelta(days=5))
    back = calm.clock.now()
    calm.run(minutes=50)
    assert (calm.state("chat"), told(calm)[2:]) == ("running", ["expiry_warned"])
    last = calm.events("endpoint.expiry_warned")[-1]
    assert (last.at, "paused in 1 h" in last.message) == (back, True)
    calm.run(minutes=20)
    assert calm.state("chat") == "paused"
    assert calm.events("operation.requested")[-1].at >= last.at + HOUR


def test_what_expires_is_deleted_by_the_rules_of_this_moment(calm: Stage) -> None:
    """A hold to run that comes while it is paused is heeded, though no pass has seen it yet."""
    expire(calm, "2h", delete_grace="1h")
    calm.run(hours=1, minutes=30)
    calm.click("pause", "chat", "over lunch")
    calm.engine.nudge()
    calm.run(minutes=29)
    assert calm.endpoint("chat").status == "paused"
    with calm.database.write() as session:
        row = session.get_one(Endpoint, calm.endpoint("chat").id)
        row.decided_rule = "expired"  # what a pass wrote that knew less
        session.add(row)
        lasting = calm.clock.now() + 3 * HOUR
        held = calm.asked("maintenance")
        holding.request_hold(session, row, Wish.PAUSED, lasting, held)
    calm.run(hours=2)
    assert (calm.endpoint("chat").delete_after, told(calm, "endpoint.deletion")) == (None, [])
    calm.run(hours=2)
    assert told(calm, "endpoint.deletion_announced") == ["deletion_announced"]


def test_each_cause_against_a_deletion_is_told_once(
    calm: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = iter(["frozen", "operation_in_progress"] * 50)

    def refuse(*given: Any, **named: Any) -> None:
        del given, named
        raise conflict(next(causes), "it cannot be just now")

    expire(calm, "1h", delete_grace="1h")
    monkeypatch.setattr(deletion, "request_delete", refuse)
    calm.run(hours=5)
    assert len(calm.events("endpoint.expiry_refused")) == 2


def test_an_end_that_could_not_come_is_refused_until_its_owner_allows_it(aws: AwsStage) -> None:
    with pytest.raises(ServiceError) as refused:
        expire(aws, "2h")
    assert refused.value.code == "recreate_not_allowed"
    assert "allow-recreate chat" in str(refused.value.remedy)
    assert aws.endpoint("chat").expires_at is None
    aws.allow("chat")
    expire(aws, "2h")
    with aws.database.write() as session:
        row = aws.row(session, "chat")
        row.allow_recreate = False  # taken back later: the end cannot come
        session.add(row)
    aws.run(hours=6)
    assert aws.changes() == []
    (warned,) = aws.events("endpoint.expiry_warned")
    assert "cannot be paused then" in warned.message
    assert "allow-recreate chat" in warned.message
    (said,) = aws.events("decision.refused")
    assert "has not allowed" in said.message


def test_a_create_with_an_end_that_could_not_come_is_warned_of(aws: AwsStage) -> None:
    options = {"execution_role": f"arn:aws:iam::{AWS_ACCOUNT}:role/sagemaker-execution"}
    hardware = Hardware("sagemaker", REGION, "ml.inf2.8xlarge", "x1", "neuron")
    spec = EndpointSpec("trial", "org/model-1b", hardware, Scaling(1, 1), options=options)
    with aws.database.write() as session:
        account = session.get_one(Account, aws.account.id)
        made = creation.request_create(
            session, account, spec, aws.asked(), labels={}, owner="ana", expiry=Wanted("2d")
        )
    assert "allow-recreate trial" in made.warnings[-1]


def test_a_lease_waits_for_a_change_that_has_not_been_sent(calm: Stage) -> None:
    calm.click("pause", "chat")
    calm.engine.nudge()
    calm.run(minutes=20)
    with calm.database.write() as session:
        row = session.get_one(Endpoint, calm.endpoint("chat").id)
        change = EndpointChange(scaling=Scaling(1, 2))
        update = creation.request_update(session, row, change, calm.asked("more")).operation
    found = lease(calm, HOUR)
    assert (found.state, found.operation) == ("starting", update)
    calm.engine.nudge()
    calm.run(minutes=40)
    assert calm.state("chat") == "running"
    assert [one.status for one in calm.operations("chat")] == ["succeeded"] * 3
    assert calm.endpoint("chat").max_replicas == 2


def test_a_person_may_pause_what_idleness_sends_to_zero(sqlite_database: Database) -> None:
    """Idle, but not seen at zero yet: the click counts, and not the policy's zero."""
    stage = open_stage(sqlite_database, cadence=CALM)
    stage.add("chat", min_replica=0)
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.idle_policy(15)
    stage.run(minutes=18)
    stage.click("pause", "chat", "not needed this week")
    stage.engine.nudge()
    stage.run(minutes=10)
    row = stage.endpoint("chat")
    assert (stage.state("chat"), row.decided_rule) == ("paused", "standing")
    stage.click("resume", "chat")
    stage.engine.nudge()
    stage.run(hours=2)
    assert stage.state("chat") == "scaledToZero"
    stage.click("pause", "chat", "not needed this week")
    stage.engine.nudge()
    stage.run(minutes=10)
    assert stage.state("chat") == "paused"


def test_a_lease_tells_what_its_start_waits_for(calm: Stage) -> None:
    calm.click("pause", "chat")
    calm.engine.nudge()
    calm.run(minutes=20)
    full = faults.error(400, "No capacity in this region")
    calm.world.faults.add(full, method="POST", path=r"/chat/resume$")
    found = lease(calm, HOUR)
    assert (found.state, found.detail) == ("starting", "it is paused: Endpoint is paused")
    calm.engine.nudge()
    calm.run(minutes=10)
    with calm.database.read() as session:
        held, row = leases.find(session, found.lease.id)
        later = leases.view(session, held, row, calm.clock.now())
    assert later.state == "starting"
    assert later.detail.startswith("it is paused, waiting for capacity: Hugging Face answered 400")
    assert "No capacity in this region; tried again at 2026-11-16 00:" in later.detail
