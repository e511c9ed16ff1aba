"""An update that its cloud has refused so far stands in nobody's way; one in doubt is settled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange, Scaling
from orchestrator.domain.plan import Kind
from orchestrator.engine.announcing import gives_way
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.faults import Fault
from orchestrator.services.errors import ServiceError
from orchestrator.store import operations
from orchestrator.store.database import Database
from orchestrator.store.tables import Operation
from tests.engine.test_restored import Past, away
from tests.engine.test_superseding import cancel, managed, statuses, update
from tests.engine.test_withdrawn import after_call, freeze, thaw
from tests.support import rows
from tests.support.aws_stage import AWS_ACCOUNT, GONE, REGION, AwsStage, open_aws_stage
from tests.support.stage import MONDAY, Stage, open_stage

MINUTELY = Cadence(transition=timedelta(seconds=60), rates=timedelta(days=1))
AFTERNOON, EVENING = MONDAY + timedelta(hours=17), MONDAY + timedelta(hours=18)
MORE, MODE = EndpointChange(scaling=Scaling(3, 3)), EndpointChange(environment={"MODE": "fast"})
EVER = 10_000
STOPS = ("pause", "scale_to_zero")
FULL = "Your quota of nvidia-a10g is used up"


@pytest.fixture
def hub(sqlite_database: Database) -> Stage:
    """Return an endpoint of Hugging Face under the hours of an office, at five o'clock."""
    stage = open_stage(sqlite_database, cadence=MINUTELY, start=AFTERNOON)
    managed(stage, startup_s=60)
    stage.schedule()
    stage.step()
    return stage


@pytest.fixture
def aws(sqlite_database: Database) -> AwsStage:
    """Return an endpoint of SageMaker under the hours of an office, with no room for a second."""
    stage = open_aws_stage(sqlite_database, cadence=MINUTELY, start=AFTERNOON)
    stage.add("chat", startup_s=60)
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    stage.aws.set_quota(AWS_ACCOUNT, REGION, "ml.inf2.xlarge", 1)
    stage.schedule()
    stage.step()
    return stage


@pytest.fixture(params=["hub", "aws"])
def full(request: pytest.FixtureRequest) -> Stage:
    """Return a stage whose cloud has no room for any update."""
    stage: Stage = request.getfixturevalue(request.param)
    stage.world.faults.add(faults.error(403, FULL), path="/chat$", method="PUT", count=EVER)
    return stage


def until(stage: Stage, at: datetime) -> None:
    stage.run(seconds=(at - stage.clock.now()).total_seconds())


def newest(stage: Stage) -> Operation:
    return stage.operations("chat")[-1]


def is_down(stage: Stage) -> bool:
    return stage.endpoint("chat").status == "paused" and stage.state("chat") in ("paused", GONE)


def code(act: Callable[[], object]) -> str:
    with pytest.raises(ServiceError) as refused:
        act()
    assert refused.value.status == 409
    return refused.value.code


def check_given_up(stage: Stage, told: str) -> None:
    first, pause = stage.operations("chat")
    assert (first.status, first.superseded_by) == ("superseded", pause.id)
    assert told in first.outcome
    (event,) = stage.events("operation.overtaken")
    assert (event.operation_id, told in event.message) == (first.id, True)
    assert "ask for it again" in event.message


class TestWithoutRoom:
    """What finds no room may wait for days, so that rules and people do not wait for it."""

    def test_a_rule_pauses_on_time(self, full: Stage) -> None:
        until(full, EVENING - timedelta(minutes=5))
        update(full, MORE)
        until(full, EVENING - timedelta(seconds=30))
        assert (newest(full).kind, newest(full).status) == ("update", "running")
        until(full, EVENING + timedelta(minutes=8))
        assert newest(full).created_at == EVENING
        assert is_down(full)
        check_given_up(full, "nothing of it was carried out")

    def test_it_can_be_cancelled(self, full: Stage) -> None:
        made = update(full, MORE)
        full.run(minutes=5)
        assert cancel(full, made).status == "cancelled"
        assert newest(full).outcome == "ana cancelled it; nothing of it was carried out"
        tries = len(full.world.calls.mutating(committed=False))
        full.run(minutes=20)
        assert len(full.world.calls.mutating(committed=False)) == tries

    def test_a_corrected_one_takes_its_place(self, full: Stage) -> None:
        made = update(full, MORE)
        full.run(minutes=5)
        full.world.faults.clear()
        second = update(full, EndpointChange(scaling=Scaling(1, 1)))
        full.run(minutes=20)
        first = full.operations("chat")[0]
        assert (first.id, first.superseded_by) == (made.id, second.id)
        assert first.outcome == "ana asked for update; nothing of it was carried out"
        assert statuses(full) == [("update", "superseded"), ("update", "succeeded")]

    def test_a_resume_of_what_runs_is_answered(self, full: Stage) -> None:
        update(full, MORE)
        full.run(minutes=5)
        full.click("resume", "chat")
        full.run(minutes=2)
        assert statuses(full) == [("update", "superseded"), ("resume", "succeeded")]

    def test_a_person_pauses_it(self, full: Stage) -> None:
        update(full, MORE)
        full.run(minutes=5)
        full.click("pause", "chat")
        full.run(minutes=10)
        assert is_down(full)
        assert "nothing of it was carried out" in full.operations("chat")[0].outcome


def unreached(stage: Stage) -> None:
    def refuses(request: httpx2.Request) -> bool:
        if request.method == "PUT":
            raise httpx2.ConnectError("no route", request=request)
        return False

    stage.wire.before = refuses


def answering(fault: Fault) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.world.faults.add(fault, method="PUT", count=EVER)

    return act


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (answering(faults.error(429)), "nothing of it was carried out"),
        (unreached, "nothing of it was carried out"),
        (answering(faults.error(503)), "it may have been sent"),
    ],
)
def test_what_does_not_get_through_keeps_a_rule_waiting_for_a_while(
    hub: Stage, act: Callable[[Stage], None], told: str
) -> None:
    until(hub, EVENING - timedelta(minutes=5))
    update(hub, MODE)
    act(hub)
    until(hub, EVENING + timedelta(minutes=9))
    assert statuses(hub) == [("update", "running")]
    until(hub, EVENING + timedelta(minutes=20))
    hub.wire.before = lambda _: False
    assert is_down(hub)
    check_given_up(hub, told)


def test_what_gets_through_after_a_while_is_made(hub: Stage) -> None:
    until(hub, EVENING - timedelta(minutes=1))
    hub.world.faults.add(faults.error(429), method="PUT", count=4)
    update(hub, MODE)
    hub.run(minutes=20)
    assert hub.changes() == ["chat PUT", "chat pause"]


def test_a_throttled_update_of_aws_can_be_corrected(aws: AwsStage) -> None:
    refusal = faults.aws_error("ThrottlingException", "Rate exceeded")
    aws.world.faults.add(refusal, path="/UpdateEndpoint$", count=EVER)
    made = update(aws, MODE)
    aws.run(minutes=3)
    assert cancel(aws, made).status == "cancelled"


@pytest.mark.parametrize("asked", [-1, -30])
def test_what_was_never_begun_is_not_waited_for_longer_than_a_quarter_of_an_hour(
    hub: Stage, asked: int
) -> None:
    until(hub, EVENING + timedelta(minutes=asked))
    made = update(hub, MODE)
    assert code(lambda: hub.click("pause", "chat")) == "operation_in_progress"
    hub.clock.set(EVENING)
    hub.run(minutes=10)
    assert is_down(hub)
    assert ("chat PUT" in hub.changes()) == (asked == -1)
    if asked == -30:
        assert hub.operations("chat")[0].id == made.id
        check_given_up(hub, "nothing was sent")


class TestDoubt:
    """What may have reached the cloud is settled, whatever later attempts were answered."""

    def test_a_lost_answer_stays_a_doubt_after_refusals(self, aws: AwsStage) -> None:
        until(aws, EVENING - timedelta(minutes=10))
        aws.world.faults.add(faults.timeout_before(), path="/UpdateEndpoint$", count=1)
        made = update(aws, EndpointChange(scaling=Scaling(3, 3), environment={"MODE": "fast"}))
        until(aws, EVENING + timedelta(minutes=4))
        assert statuses(aws) == [("update", "running")]
        assert newest(aws).outcome.startswith("waiting for capacity")
        assert code(lambda: cancel(aws, made)) == "already_sent"
        assert code(lambda: update(aws, MODE)) == "operation_in_progress"
        assert code(lambda: aws.click("resume", "chat")) == "operation_in_progress"
        until(aws, EVENING + timedelta(minutes=20))
        assert is_down(aws)
        check_given_up(aws, "it may have been sent")

    def test_a_part_that_was_carried_out_is_not_nothing(self, aws: AwsStage) -> None:
        aws.aws.set_quota(AWS_ACCOUNT, REGION, "ml.inf2.xlarge", 9)
        refusal = faults.aws_error("LimitExceededException", "too many targets")
        aws.world.faults.add(refusal, path="/RegisterScalableTarget$", count=1)
        made = update(aws, EndpointChange(scaling=Scaling(1, 3), environment={"MODE": "fast"}))
        aws.step()
        assert (newest(aws).status, aws.changes("chat")) == ("running", ["chat update"])
        assert code(lambda: cancel(aws, made)) == "already_sent"

    def test_refusals_without_end_neither_hide_a_doubt_nor_make_one(self) -> None:
        for lost in (False, True):
            row = rows.operation(kind="update", status="running")
            states = ["posted"] * lost + ["posted", "not received"] * 60
            for minute, state in enumerate(states):
                at = MONDAY + timedelta(minutes=minute)
                operations.add_step(row, "update", at, state, "")
            assert len(row.steps) <= operations.STEPS_KEPT
            assert operations.is_untouched(row) is not lost
            assert operations.first_posted(row) == (MONDAY if lost else None)


@pytest.mark.parametrize(("minutes", "able"), [(14, {"delete"}), (16, {"delete", *STOPS})])
def test_what_rules_may_do_about_an_update_in_doubt(
    hub: Stage, minutes: int, able: set[str]
) -> None:
    hub.world.faults.add(faults.error(503), method="PUT", count=1)
    made = update(hub, MODE)
    hub.step()
    now, active = made.created_at + timedelta(minutes=minutes), newest(hub)
    assert active.status == "running"
    found = {kind for kind in Kind if gives_way(active, hub.endpoint("chat"), kind, now)}
    assert found == able


def test_what_was_answered_with_absence_can_be_cancelled(hub: Stage) -> None:
    refusal = faults.error(404, "The endpoint chat was not found")
    hub.world.faults.add(refusal, method="PUT", count=EVER)
    made = update(hub, MODE)
    hub.run(minutes=2)
    assert newest(hub).status == "running"
    assert cancel(hub, made).status == "cancelled"


def test_what_a_freeze_kept_from_being_sent_can_be_cancelled(aws: AwsStage) -> None:
    made = update(aws, MODE)
    after_call(aws, "CreateModel", lambda: freeze(aws))
    aws.run(minutes=5)
    assert newest(aws).status == "running"
    assert cancel(aws, made).status == "cancelled"
    thaw(aws)
    aws.run(minutes=5)
    assert aws.changes("chat") == []


def test_what_may_have_been_sent_after_a_backup_is_in_doubt(hub: Stage, tmp_path: Path) -> None:
    hub.world.faults.add(faults.error(403, FULL), method="PUT", count=EVER)
    made = update(hub, MODE)
    hub.run(minutes=1)
    past = Past(hub, tmp_path)
    away(hub, minutes=10)
    past.restore()
    hub.run(minutes=2)
    thaw(hub)
    hub.run(minutes=5)
    assert newest(hub).status == "running"
    assert code(lambda: cancel(hub, made)) == "already_sent"
