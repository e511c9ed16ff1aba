"""What must not be lost when an operation is overtaken: endpoints, changes, secrets, alarms."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from orchestrator.cli import database as cli_database
from orchestrator.clock import ManualClock
from orchestrator.domain.endpoints import EndpointChange
from orchestrator.domain.usual import ENOUGH
from orchestrator.engine.engine import Cadence
from orchestrator.engine.restored import HighWater
from orchestrator.sandbox import faults
from orchestrator.services import deletion, freezing, restores
from orchestrator.services.errors import ServiceError
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint
from tests.engine.test_superseding import MINUTELY, Late, cancel, delete, managed, update
from tests.support.aws_stage import AwsStage, open_aws_stage
from tests.support.stage import MONDAY, NAMESPACE, Stage, open_stage

TWO_MINUTES = Cadence(
    rest=timedelta(minutes=2), transition=timedelta(minutes=2), rates=timedelta(days=1)
)


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    stage = open_stage(sqlite_database, cadence=TWO_MINUTES)
    managed(stage)
    return stage


def is_deletion(request: httpx2.Request) -> bool:
    """Tell whether it deletes our endpoint; a name beside it is asked for to learn our rights."""
    target = str(request.headers.get("x-amz-target", ""))
    return target.endswith(".DeleteEndpoint") and b'"chat"' in request.content


def overtaken(database: Database) -> tuple[AwsStage, Late]:
    """Let the answer to a pause by deletion be lost, and let somebody resume at once."""
    stage = open_aws_stage(database, cadence=MINUTELY)
    managed(stage)
    stage.run(minutes=1)
    stage.allow("chat")
    late = Late(stage, is_deletion)
    stage.click("pause", "chat")
    stage.step()
    late.lose_no_more()
    stage.clock.set(stage.clock.now() + timedelta(seconds=1))
    stage.click("resume", "chat")
    return stage, late


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_pause_by_deletion_that_lands_after_the_resume_is_made_good(
    sqlite_database: Database, after: int
) -> None:
    stage, late = overtaken(sqlite_database)
    stage.run(minutes=after)
    assert stage.operations("chat")[-1].status == "succeeded"
    late.land()
    stage.run(minutes=40)
    row = stage.endpoint("chat")
    assert (row.deleted_at, row.managed, row.wish) == (None, True, "running")
    assert stage.state("chat") == "InService"
    assert [op.kind for op in stage.operations("chat")] == ["pause", "resume", "resume"]
    assert (row.kept, row.stop_sent_at) == ({}, None)


def test_what_is_kept_goes_once_the_deletion_can_land_no_more(sqlite_database: Database) -> None:
    stage, _ = overtaken(sqlite_database)
    stage.run(minutes=4)
    assert stage.kept("chat")
    stage.run(minutes=10)
    assert stage.kept("chat") == {}
    stage.call("DeleteEndpoint", EndpointName="chat")
    stage.run(minutes=30)
    assert stage.endpoint("chat").status == "deleted"
    assert stage.events("endpoint.deleted")[-1].actor == "somebody else"


def test_a_pause_that_is_refused_does_not_take_back_the_mark_of_the_one_before(
    sqlite_database: Database,
) -> None:
    stage, late = overtaken(sqlite_database)
    stage.run(minutes=1)
    refusal = faults.aws_error("ValidationException", "refused")
    stage.world.faults.add(refusal, path="/DeleteEndpoint$", count=2)
    stage.click("pause", "chat")
    stage.step()
    assert stage.operations("chat")[-1].status == "failed"
    late.land()
    stage.run(minutes=20)
    assert stage.endpoint("chat").status == "paused"
    assert stage.kept("chat")


def restored(stage: Stage) -> None:
    """Let the store be found to be from a backup of now, and be thawed hours later."""
    with stage.database.write() as session:
        restores.mark_store(session, "restore", stage.clock.now(), stage.clock.now())
    stage.run(minutes=20)


def thaw(stage: Stage) -> None:
    with stage.database.write() as session:
        freezing.switch_off(session, None, stage.asked("looked"))


class TestDeletionOfBeforeARestore:
    def test_a_deletion_at_once_gets_a_grace_of_a_day(self, stage: Stage) -> None:
        delete(stage)
        restored(stage)
        with stage.database.read() as session:
            listed = restores.reports(session, stage.clock.now())[0].deletions
        assert [row.name for row in listed] == ["chat"]
        thaw(stage)
        due = stage.clock.now() + timedelta(hours=24)
        stage.run(minutes=20)
        row = stage.endpoint("chat")
        assert (row.deleted_at, row.delete_after, row.wish) == (None, due, "running")
        assert stage.operations("chat")[0].status == "superseded"
        assert stage.events("endpoint.deletion_postponed")
        assert stage.state("chat") == "paused"
        with stage.database.write() as session:
            held = session.get_one(Endpoint, row.id)
            deletion.undelete(session, held, stage.asked())
        stage.run(minutes=20)
        assert stage.state("chat") == "running"
        assert "chat DELETE" not in stage.changes()

    def test_unless_somebody_objects_it_is_carried_out_then(self, stage: Stage) -> None:
        delete(stage)
        restored(stage)
        thaw(stage)
        stage.run(minutes=20)
        stage.clock.set(stage.clock.now() + timedelta(hours=24))
        stage.run(minutes=20)
        assert stage.endpoint("chat").status == "deleted"
        assert stage.changes() == ["chat pause", "chat DELETE"]

    def test_where_it_was_changed_since_it_is_called_off(self, stage: Stage) -> None:
        delete(stage)
        restored(stage)
        stage.world.act(NAMESPACE, "chat", "pause", by="console-user")
        stage.run(minutes=5)
        thaw(stage)
        stage.run(minutes=20)
        row = stage.endpoint("chat")
        assert (row.deleted_at, row.delete_after, row.wish) == (None, None, "paused")
        assert stage.changes() == []  # of ours

    def test_an_order_that_is_over_is_closed_like_any_other(self, stage: Stage) -> None:
        delete(stage)
        with stage.database.write() as session:
            order = session.merge(stage.operations("chat")[0])
            order.stuck_since = order.next_attempt_at = stage.clock.now()
            order.steps = [
                {"name": "delete", "at": "", "state": "begun", "detail": ""} for _ in range(40)
            ]
        restored(stage)
        thaw(stage)
        ended = stage.operations("chat")[0]
        assert (ended.stuck_since, ended.next_attempt_at) == (None, None)
        assert len(ended.steps) == 40
        assert ended.steps[-1]["state"] == "superseded"


class TestUpdateNotSentYet:
    def test_a_rule_waits_until_it_is_sent(self, stage: Stage) -> None:
        requested = update(stage, EndpointChange(environment={"MODE": "fast"}))
        stage.schedule()
        stage.run(minutes=10)
        assert stage.changes() == ["chat PUT", "chat pause"]
        first = next(op for op in stage.operations("chat") if op.id == requested.id)
        assert first.accepted_at is not None
        assert stage.state("chat") == "paused"

    def test_a_person_is_told_what_to_do(self, stage: Stage) -> None:
        operation = update(stage, EndpointChange(environment={"MODE": "fast"}))
        with pytest.raises(ServiceError) as refused:
            stage.click("pause", "chat")
        assert refused.value.code == "operation_in_progress"
        assert "or cancel it" in (refused.value.remedy or "")
        assert cancel(stage, operation).status == "cancelled"
        assert stage.click("pause", "chat").operation.status == "pending"


def test_secret_values_go_with_an_operation_that_was_overtaken(stage: Stage) -> None:
    operation = update(stage, EndpointChange(secrets={"KEY": "a value"}))
    assert stage.context.vault.look(operation.id) is not None
    delete(stage)
    stage.run(minutes=10)
    assert stage.context.vault.ids() == []


def test_secret_values_of_a_request_that_is_being_written_stay(stage: Stage) -> None:
    operation = update(stage, EndpointChange(secrets={"KEY": "a value"}))
    secrets = stage.context.vault.look(operation.id)
    assert secrets is not None
    stage.context.vault.put("op_of_an_open_transaction", secrets)
    stage.run(minutes=10)
    assert stage.context.vault.ids() == ["op_of_an_open_transaction"]


def test_operations_that_had_nothing_to_do_do_not_make_the_next_one_stuck(stage: Stage) -> None:
    for _ in range(ENOUGH):
        stage.click("resume", "chat")
        stage.run(minutes=1)
    assert {op.status for op in stage.operations("chat")} == {"succeeded"}
    stage.click("pause", "chat")
    stage.run(minutes=5)
    stage.world.faults.add(faults.unknown_state("thinking"))
    stage.click("resume", "chat")
    stage.run(minutes=9)
    assert stage.events("operation.stuck") == []
    stage.run(minutes=20)
    assert stage.operations("chat")[-1].usual_s == 600


def test_a_second_restore_is_one_record_with_its_own_date(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/store.db", state_dir=tmp_path)
    cli_database.upgrade(settings)
    clock = ManualClock(MONDAY)
    cli_database.back_up(settings, tmp_path / "past.zip", clock.now())
    for hours in (1, 2):
        clock.set(MONDAY + timedelta(hours=hours))
        cli_database.restore(settings, tmp_path / "past.zip", clock.now(), replace=True)
        store = Database(settings.database_url)
        assert not HighWater(tmp_path).check(store, clock)
        store.dispose()
        (found,) = cli_database.reports(settings, clock.now())
        assert (found.found.source, found.found.as_of) == ("restore", MONDAY)
