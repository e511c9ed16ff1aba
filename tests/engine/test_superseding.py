"""What is asked for while something else is under way, or in doubt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.faults import Fault
from orchestrator.services import creation, deletion, running
from orchestrator.services.errors import ServiceError
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Operation
from tests.support.aws_stage import AwsStage, open_aws_stage
from tests.support.stage import Stage, open_stage

L4 = Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu")
LOST = [faults.drop_after(), faults.timeout_before()]


MINUTELY = Cadence(transition=timedelta(seconds=60), rates=timedelta(days=1))


@pytest.fixture
def aws(sqlite_database: Database) -> AwsStage:
    return open_aws_stage(sqlite_database, cadence=MINUTELY)


class Late:
    """Holds calls back whose answers are lost, to let them take effect when it likes."""

    def __init__(self, stage: Stage, wanted: Callable[[httpx2.Request], bool]) -> None:
        self._stage, self._wanted = stage, wanted
        self.held: list[httpx2.Request] = []
        stage.wire.before = self._hold

    def _hold(self, request: httpx2.Request) -> bool:
        if self._wanted(request):
            self.held.append(request)
            raise httpx2.ReadTimeout("lost", request=request)
        return False

    def lose_no_more(self) -> None:
        self._stage.wire.before = lambda _: False

    def land(self) -> None:
        self.lose_no_more()
        response = self._stage.wire.handle_request(self.held[0])
        assert response.status_code < 300


def managed(stage: Stage, **payload: Any) -> None:
    stage.add("chat", **payload)
    stage.run(minutes=2)
    stage.adopt("chat")


def create(stage: Stage) -> Operation:
    stage.run(minutes=1)
    wanted = EndpointSpec("chat", "org/model-1b", L4, Scaling(1, 1))
    with stage.database.write() as session:
        account = session.get_one(Account, stage.account.id)
        requested = creation.request_create(
            session, account, wanted, stage.asked(), labels={}, owner="ana"
        )
    return requested.operation


def update(stage: Stage, change: EndpointChange) -> Operation:
    stage.clock.set(stage.clock.now() + timedelta(seconds=1))
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        requested = creation.request_update(session, row, change, stage.asked())
    stage.context.vault.put(requested.operation.id, requested.secrets)
    return requested.operation


def delete(stage: Stage, **grace: float) -> Operation:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        return deletion.request_delete(
            session, row, stage.asked(), confirm="chat", grace=timedelta(**grace)
        )


def cancel(stage: Stage, operation: Operation) -> Operation:
    with stage.database.write() as session:
        return running.cancel(session, operation.id, stage.asked("a mistake"))


def statuses(stage: Stage) -> list[tuple[str, str]]:
    return [(op.kind, op.status) for op in stage.operations("chat")]


def is_create(request: httpx2.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/acme")


@pytest.mark.parametrize("fault", LOST)
def test_an_update_whose_answer_is_lost_is_made_once(stage: Stage, fault: Fault) -> None:
    managed(stage)
    stage.world.faults.add(fault, method="PUT", count=1)
    update(stage, EndpointChange(scaling=Scaling(1, 3), environment={"MODE": "fast"}))
    stage.run(minutes=20)
    assert stage.changes() == ["chat PUT"]
    assert statuses(stage) == [("update", "succeeded")]
    assert stage.endpoint("chat").max_replicas == 3


def test_new_secrets_cannot_be_seen_so_that_they_are_sent_again(stage: Stage) -> None:
    managed(stage)
    stage.world.faults.add(faults.drop_after(), method="PUT", count=1)
    requested = update(stage, EndpointChange(secrets={"KEY": "a value"}))
    stage.run(minutes=20)
    assert stage.changes() == ["chat PUT", "chat PUT"]
    assert stage.operations("chat")[0].id == requested.id
    assert statuses(stage) == [("update", "succeeded")]


@pytest.mark.parametrize("fault", LOST)
def test_an_aws_update_whose_answer_is_lost_is_made_once(aws: AwsStage, fault: Fault) -> None:
    aws.add("chat", startup_s=60)
    aws.run(minutes=2)
    aws.adopt("chat")
    aws.world.faults.add(fault, path="/UpdateEndpoint$", count=1)
    update(aws, EndpointChange(environment={"MODE": "fast"}))
    aws.run(minutes=20)
    assert aws.changes("chat") == ["chat update"]
    assert statuses(aws) == [("update", "succeeded")]


def test_reads_of_before_an_update_do_not_end_it(stage: Stage) -> None:
    """They show it running, as it was ninety seconds ago; the new version is not up yet."""
    managed(stage)
    stage.run(minutes=2)

    def lag(request: httpx2.Request) -> bool:
        if request.method == "PUT":
            stage.wire.after = lambda _: False
            stage.world.faults.add(faults.stale_read(90), path="^/v2/", method="GET", count=4)
        return False

    stage.wire.after = lag
    update(stage, EndpointChange(environment={"MODE": "fast"}))
    stage.step()
    stage.step()
    assert statuses(stage) == [("update", "confirming")]
    stage.run(minutes=20)
    assert statuses(stage) == [("update", "succeeded")]


def test_a_create_that_lands_after_it_was_cancelled_is_deleted(stage: Stage) -> None:
    late = Late(stage, is_create)
    operation = create(stage)
    stage.step()
    assert len(late.held) == 1
    assert "cancel" in cancel(stage, operation).request
    late.lose_no_more()
    stage.run(minutes=2)
    late.land()
    stage.run(minutes=5)
    assert stage.changes() == [" acme", "chat DELETE"]
    first, second = stage.operations("chat")
    assert (first.status, first.superseded_by) == ("cancelled", second.id)
    assert (second.kind, second.status, second.actor) == ("delete", "succeeded", "ana")
    assert stage.endpoint("chat").status == "deleted"


def test_a_cancelled_create_that_never_lands_is_watched_for_a_while(stage: Stage) -> None:
    late = Late(stage, is_create)
    operation = create(stage)
    stage.step()
    cancel(stage, operation)
    late.lose_no_more()
    stage.run(minutes=4)
    assert statuses(stage) == [("create", "running")]
    stage.run(minutes=3)
    assert stage.operations("chat")[0].outcome == "it never came into being"
    assert statuses(stage) == [("create", "cancelled")]
    assert stage.changes() == []


def test_a_create_that_was_not_sent_is_cancelled_at_once(stage: Stage) -> None:
    operation = create(stage)
    assert cancel(stage, operation).status == "cancelled"
    stage.run(minutes=10)
    assert stage.changes() == []


@pytest.mark.parametrize("newer", ["delete", "pause"])
def test_a_resume_that_lands_late_does_not_outlive_a_newer_wish(aws: AwsStage, newer: str) -> None:
    aws.add("chat", startup_s=60)
    aws.run(minutes=2)
    aws.adopt("chat")
    aws.allow("chat")
    aws.click("pause", "chat")
    aws.run(minutes=10)
    late = Late(aws, lambda r: r.headers.get("x-amz-target", "").endswith(".CreateEndpoint"))
    aws.click("resume", "chat")
    aws.step()
    assert late.held
    late.lose_no_more()
    aws.clock.set(aws.clock.now() + timedelta(seconds=1))
    if newer == "delete":
        delete(aws)
    else:
        aws.click("pause", "chat")
    aws.run(minutes=2)
    assert aws.endpoint("chat").deleted_at is None
    late.land()
    aws.run(minutes=20)
    assert aws.state("chat") == "gone"
    assert aws.endpoint("chat").status == ("deleted" if newer == "delete" else "paused")
    assert statuses(aws)[-1] == (newer, "succeeded")
    assert statuses(aws)[-2] == ("resume", "superseded")


@pytest.mark.parametrize(
    ("first", "newer", "state"),
    [("pause", "resume", "running"), ("resume", "pause", "paused")],
)
@pytest.mark.parametrize("fault", [None, faults.drop_after()])
def test_the_opposite_click_takes_its_place(
    stage: Stage, first: str, newer: str, state: str, fault: Fault | None
) -> None:
    managed(stage)
    if first == "resume":
        stage.click("pause", "chat")
        stage.run(minutes=5)
    if fault is not None:
        stage.world.faults.add(fault, path=f"/{first}$", count=1)
    stage.click(first, "chat")
    stage.step()
    stage.clock.set(stage.clock.now() + timedelta(seconds=1))
    newest = stage.click(newer, "chat").operation
    stage.run(minutes=15)
    assert stage.state("chat") == state
    overtaken = stage.operations("chat")[-2]
    assert (overtaken.status, overtaken.superseded_by) == ("superseded", newest.id)
    assert statuses(stage)[-1] == (newer, "succeeded")
    assert stage.holds() == []


def test_a_pause_takes_the_place_of_an_update_and_says_so(stage: Stage) -> None:
    managed(stage)
    update(stage, EndpointChange(scaling=Scaling(1, 3), environment={"MODE": "fast"}))
    stage.step()
    stage.run(seconds=1)
    stage.click("pause", "chat")
    stage.run(minutes=15)
    assert statuses(stage) == [("update", "superseded"), ("pause", "succeeded")]
    assert "the cloud had accepted it" in stage.operations("chat")[0].outcome
    stage.click("resume", "chat")
    stage.run(minutes=15)
    assert stage.endpoint("chat").max_replicas == 3


def test_an_update_waits_for_a_pause(stage: Stage) -> None:
    managed(stage)
    stage.click("pause", "chat")
    with pytest.raises(ServiceError) as refused:
        update(stage, EndpointChange(scaling=Scaling(1, 3)))
    assert (refused.value.status, refused.value.code) == (409, "operation_in_progress")
    assert "?wait=60" in (refused.value.remedy or "")


def test_an_update_during_a_resume_keeps_the_bounds_from_before_the_pause(stage: Stage) -> None:
    managed(stage, min_replica=1, max_replica=3)
    stage.click("pause", "chat")
    stage.run(minutes=5)
    stage.click("resume", "chat")
    stage.step()
    update(stage, EndpointChange(environment={"MODE": "fast"}))
    stage.run(minutes=20)
    assert statuses(stage)[-2:] == [("resume", "superseded"), ("update", "succeeded")]
    row = stage.endpoint("chat")
    assert (row.status, row.min_replicas, row.max_replicas) == ("running", 1, 3)
    assert row.scaling_before_pause == {}


def test_a_deletion_takes_the_place_of_whatever_is_under_way(stage: Stage) -> None:
    managed(stage)
    stage.click("pause", "chat")
    stage.step()
    delete(stage)
    stage.run(minutes=10)
    assert stage.endpoint("chat").status == "deleted"
    with pytest.raises(ServiceError) as refused:
        stage.click("resume", "chat")
    assert refused.value.code == "deleted"


def test_what_was_made_just_now_is_not_given_up_for_lagging_reads(
    sqlite_database: Database,
) -> None:
    """A listing and a read of ninety seconds ago know nothing of it; it is ours all the same."""
    stage = open_stage(sqlite_database)
    stage.add("other")
    create(stage)
    stage.step()
    made = stage.endpoint("chat")
    stage.world.faults.add(faults.stale_read(90), path="^/v2/", method="GET", count=4)
    stage.run(minutes=5)
    row = stage.endpoint("chat")
    assert (row.id, row.managed, row.deleted_at) == (made.id, True, None)
    assert stage.operations("chat")[-1].status == "succeeded"


def test_what_others_delete_at_once_is_found_gone_after_a_while(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database)
    stage.add("other")
    create(stage)
    stage.step()
    stage.world.act("acme", "chat", "delete")
    stage.run(minutes=5)
    assert stage.events("endpoint.deleted")
    assert stage.operations("chat")[-1].status == "failed"


def test_nothing_is_sent_to_what_was_made_just_now_and_is_not_to_be_seen(
    sqlite_database: Database,
) -> None:
    stage = open_stage(sqlite_database)
    create(stage)
    stage.step()
    stage.world.act("acme", "chat", "delete")
    stage.click("pause", "chat")
    stage.run(minutes=5)
    assert [call.path for call in stage.world.calls if call.path.endswith("/pause")] == []
    ended = {operation.kind: operation.status for operation in stage.operations("chat")}
    assert ended == {"create": "superseded", "pause": "failed"}
    assert stage.events("endpoint.deleted")
