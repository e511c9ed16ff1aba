"""Deletions with grace: a pause that can be taken back, then the real deletion."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest
from sqlmodel import Session

from orchestrator.domain.schedules.text import parse_window
from orchestrator.engine.engine import Cadence
from orchestrator.services import creation, deletion, freezing, warnings
from orchestrator.services.deletion import Undeleted
from orchestrator.services.errors import ServiceError
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, Operation
from tests.support.aws_stage import AWS_ACCOUNT, REGION, AwsStage, open_aws_stage
from tests.support.stage import NAMESPACE, Stage, open_stage

LONG = timedelta(hours=8)
CALM = Cadence(rest=timedelta(minutes=30), rates=timedelta(days=1))


@pytest.fixture
def calm(sqlite_database: Database) -> Stage:
    return open_stage(sqlite_database, cadence=CALM)


@pytest.fixture
def aws(sqlite_database: Database) -> AwsStage:
    return open_aws_stage(sqlite_database, cadence=CALM)


def managed(stage: Stage) -> None:
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")


def delete(stage: Stage, grace: timedelta = LONG) -> Operation:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        asked = stage.asked("a test is over")
        return deletion.request_delete(session, row, asked, confirm="chat", grace=grace)


def undelete(stage: Stage) -> Undeleted:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        return deletion.undelete(session, row, stage.asked("needed after all"))


def kinds(stage: Stage) -> list[str]:
    told = [event.kind for event in stage.events("endpoint.")]
    return [kind for kind in told if "delet" in kind]


def protect(stage: Stage) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        creation.change_ours(session, row, stage.asked(), labels=None, owner=None, protected=True)


def test_it_is_paused_at_once_and_gone_after_its_grace(calm: Stage) -> None:
    managed(calm)
    operation = delete(calm)
    assert (operation.kind, operation.actor) == ("pause", "ana")
    calm.run(hours=6)
    row = calm.endpoint("chat")
    assert (row.status, row.billed_high, row.decided_rule) == ("paused", 0, "deletion")
    assert (row.next_edge_wish, row.next_edge_at) == ("deleted", row.delete_after)
    assert kinds(calm) == ["endpoint.deletion_announced"]
    calm.run(hours=1, minutes=30)
    assert kinds(calm)[1:] == ["endpoint.deletion_due"]
    calm.run(hours=1)
    assert calm.changes() == ["chat pause", "chat DELETE"]
    assert kinds(calm)[2:] == ["endpoint.deleted"]
    gone = calm.events("endpoint.deleted")[0]
    assert gone.actor == "ana"
    assert calm.endpoint("chat").delete_after is None


def test_it_comes_back_as_it_was(calm: Stage) -> None:
    managed(calm)
    calm.click("pause", "chat")
    calm.run(minutes=10)
    calm.click("resume", "chat")
    calm.run(minutes=30)
    before = calm.endpoint("chat")
    delete(calm)
    calm.run(hours=3)
    undone = undelete(calm)
    assert undone.operation is not None
    assert (undone.operation.kind, undone.not_revived) == ("resume", ())
    calm.run(hours=8)
    row = calm.endpoint("chat")
    assert row.status == "running"
    assert (row.wish, row.wish_at, row.wish_actor) == (before.wish, before.wish_at, "ana")
    assert kinds(calm)[-1] == "endpoint.undeleted"


def test_what_was_paused_before_stays_paused(calm: Stage) -> None:
    managed(calm)
    calm.click("pause", "chat")
    calm.run(minutes=30)
    delete(calm)
    calm.run(hours=1)
    assert undelete(calm).operation is None
    calm.run(hours=9)
    assert calm.changes() == ["chat pause"]
    assert calm.endpoint("chat").status == "paused"


def test_holds_that_it_ended_stay_ended_and_that_is_told(calm: Stage) -> None:
    managed(calm)
    calm.schedule(parse_window("daily 00:00-00:10"))
    calm.run(hours=1)
    held = calm.click("resume", "chat").hold
    assert held is not None
    calm.run(minutes=20)
    delete(calm)
    calm.run(minutes=20)
    undone = undelete(calm)
    assert [hold.id for hold in undone.not_revived] == [held.id]
    assert calm.events("endpoint.undeleted")[0].data["not_revived"] == [held.id]
    calm.run(minutes=20)
    assert calm.endpoint("chat").status == "paused"


def test_rules_and_clicks_of_others_do_not_wake_it(calm: Stage) -> None:
    managed(calm)
    calm.schedule(parse_window("daily 00:00-23:59"))
    delete(calm)
    calm.run(minutes=30)
    with pytest.raises(ServiceError) as refused:
        calm.click("resume", "chat")
    assert refused.value.code == "being_deleted"
    assert "undelete" in (refused.value.remedy or "")
    calm.run(minutes=5)
    calm.world.act(NAMESPACE, "chat", "resume", by="maria")
    calm.run(minutes=30)
    assert calm.state("chat") == "paused"
    assert calm.holds() == []


def test_a_freeze_stops_the_clock_of_no_grace_but_the_deletion(calm: Stage) -> None:
    managed(calm)
    delete(calm)
    calm.run(hours=1)
    with calm.database.write() as session:
        freezing.switch_on(session, None, calm.asked("incident"))
    calm.run(hours=9)
    assert calm.changes() == ["chat pause"]
    assert undelete(calm).operation is None


def test_a_protected_endpoint_is_not_deleted(calm: Stage) -> None:
    managed(calm)
    protect(calm)
    with pytest.raises(ServiceError) as refused:
        delete(calm)
    assert refused.value.code == "protected"
    assert "--no-protected" in (refused.value.remedy or "")


def test_protection_within_the_grace_holds_the_deletion_back(calm: Stage) -> None:
    managed(calm)
    delete(calm, timedelta(hours=2))
    protect(calm)
    calm.run(hours=4)
    assert calm.changes() == ["chat pause"]
    assert "it is protected" in calm.events("decision.refused")[0].message


def test_it_waits_while_nobody_could_be_warned(
    calm: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent: dict[str, str] = {}

    def undelivered(session: Session, ids: Collection[str], **_: object) -> Mapping[str, str]:
        del session
        return {key: why for key, why in silent.items() if key in ids}

    monkeypatch.setattr(warnings, "undelivered", undelivered)
    managed(calm)
    delete(calm, timedelta(hours=2))
    silent[calm.endpoint("chat").id] = "its warning could not be delivered"
    calm.run(hours=5)
    assert calm.changes() == ["chat pause"]
    (told,) = calm.events("decision.refused")
    assert told.message == "delete put off: its warning could not be delivered"
    silent.clear()
    calm.run(hours=1)
    assert calm.endpoint("chat").status == "deleted"


def test_a_deletion_at_once_needs_no_grace_to_end(calm: Stage) -> None:
    managed(calm)
    delete(calm)
    calm.run(hours=1)
    delete(calm, timedelta(0))
    calm.run(hours=1)
    assert calm.endpoint("chat").status == "deleted"


def test_somebody_else_may_delete_it_meanwhile(calm: Stage) -> None:
    managed(calm)
    delete(calm)
    calm.run(hours=1)
    calm.world.act(NAMESPACE, "chat", "delete")
    calm.run(minutes=30)
    row = calm.endpoint("chat")
    assert (row.status, row.delete_after, row.tombstone) == ("deleted", None, {})


def test_what_only_its_deletion_stops_needs_leave_or_no_grace(aws: AwsStage) -> None:
    managed(aws)
    with pytest.raises(ServiceError) as refused:
        delete(aws)
    assert refused.value.code == "grace_not_possible"
    remedy = refused.value.remedy or ""
    assert "allow-recreate" in remedy
    assert "grace=0" in remedy
    assert aws.changes() == []


def test_what_is_kept_of_it_goes_for_good_at_the_end(aws: AwsStage) -> None:
    managed(aws)
    aws.allow("chat")
    place = aws.aws.place(AWS_ACCOUNT, REGION)
    theirs = (len(place.models), len(place.configs))
    delete(aws, timedelta(hours=2))
    aws.run(hours=1)
    assert (aws.state("chat"), aws.endpoint("chat").status) == ("gone", "paused")
    aws.run(hours=2)
    row = aws.endpoint("chat")
    assert (row.status, row.kept, row.stop_sent_at) == ("deleted", {}, None)
    # Others made its model and configuration: they stay.
    assert (len(place.models), len(place.configs)) == theirs
