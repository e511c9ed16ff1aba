"""What the engine believes, and when: listings, absences, lagging reads, unknown words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.sandbox import faults
from orchestrator.sandbox.traffic import Traffic
from orchestrator.store.database import Database
from tests.support.stage import BRISK, MONDAY, NAMESPACE, Stage, open_stage

LISTING = rf"/v2/endpoint/{NAMESPACE}$"


def fleet(stage: Stage, size: int) -> list[str]:
    names = [f"e{number:02}" for number in range(size)]
    for name in names:
        stage.add(name)
    return names


def test_connecting_forty_foreign_endpoints_and_a_day_make_no_changing_call(calm: Stage) -> None:
    for number in range(40):
        traffic = Traffic.recorded("m-large-014", seed=number) if number % 4 == 0 else None
        asleep = number % 2 == 0
        calm.add(
            f"e{number:02}",
            traffic=traffic,
            min_replica=0 if asleep else 1,
            timeout_minutes=15 if asleep else None,
        )
    calm.schedule()
    calm.idle_policy()
    calm.run(hours=24)
    assert calm.world.calls.mutating() == []
    assert calm.operations() == []
    assert len(calm.events("endpoint.discovered")) == 40
    assert len(calm.events("endpoint.status_changed")) > 5


def test_adopting_changes_nothing_by_itself(calm: Stage) -> None:
    names = fleet(calm, 3)
    calm.world.act(NAMESPACE, "e01", "pause")
    calm.run(minutes=2)
    calm.adopt(*names)
    calm.run(hours=24)
    assert calm.changes() == []
    assert [calm.endpoint(name).wish for name in names] == ["running", "paused", "running"]


def test_an_unchanged_pass_writes_no_event(stage: Stage) -> None:
    fleet(stage, 3)
    stage.run(minutes=2)
    before = len(stage.events())
    stage.run(hours=2)
    assert len(stage.events()) == before


class TestAbsence:
    def test_an_empty_listing_after_a_full_one_deletes_nothing(self, stage: Stage) -> None:
        names = fleet(stage, 6)
        stage.run(minutes=2)
        stage.world.faults.add(faults.empty_listing(), path=LISTING)
        stage.run(minutes=10)
        assert [stage.endpoint(name).deleted_at for name in names] == [None] * 6
        assert stage.events("account.listing_doubted")
        assert stage.events("endpoint.deleted") == []

    def test_a_partial_listing_deletes_nothing(self, stage: Stage) -> None:
        names = fleet(stage, 8)
        stage.run(minutes=2)
        stage.world.faults.add(faults.partial_listing(5, lose_cursor=True), path=LISTING)
        stage.run(minutes=10)
        assert [stage.endpoint(name).deleted_at for name in names] == [None] * 8

    def test_what_a_direct_read_confirms_gone_is_deleted_and_never_made_again(
        self, calm: Stage
    ) -> None:
        fleet(calm, 5)
        calm.run(minutes=2)
        calm.adopt("e03")
        calm.schedule()
        calm.world.act(NAMESPACE, "e03", "delete")
        calm.run(hours=48)
        gone = calm.endpoint("e03")
        assert (gone.status, gone.wish, gone.managed) == ("deleted", "", False)
        assert [event.message for event in calm.events("endpoint.deleted")]
        assert calm.changes("e03") == []

    def test_all_gone_at_once_is_believed_after_each_was_read(self, stage: Stage) -> None:
        names = fleet(stage, 6)
        stage.run(minutes=2)
        for name in names:
            stage.world.act(NAMESPACE, name, "delete")
        stage.run(minutes=5)
        assert {stage.endpoint(name).status for name in names} == {"deleted"}

    def test_an_unreadable_absent_endpoint_is_not_believed_gone(self, stage: Stage) -> None:
        fleet(stage, 5)
        stage.run(minutes=2)
        stage.world.act(NAMESPACE, "e03", "delete")
        stage.world.faults.add(faults.error(500), path=r"/e03$")
        stage.run(minutes=5)
        assert stage.endpoint("e03").deleted_at is None
        stage.world.faults.clear()
        stage.run(minutes=5)
        assert stage.endpoint("e03").status == "deleted"

    def test_a_name_made_again_is_another_endpoint(self, stage: Stage) -> None:
        fleet(stage, 5)
        stage.run(minutes=2)
        first = stage.endpoint("e03")
        stage.world.act(NAMESPACE, "e03", "delete")
        stage.run(minutes=3)
        stage.add("e03")
        stage.run(minutes=3)
        second = stage.endpoint("e03")
        assert (second.generation, second.deleted_at) == (2, None)
        assert second.id != first.id


class TestOddAnswers:
    def test_an_unknown_state_is_kept_and_never_acted_on(self, stage: Stage) -> None:
        fleet(stage, 2)
        stage.run(minutes=2)
        stage.adopt("e00", "e01")
        stage.schedule()
        stage.world.faults.add(faults.unknown_state("hibernating", name="e00"))
        stage.run(hours=1)
        row = stage.endpoint("e00")
        assert (row.status, row.cloud_state) == ("unknown", "hibernating")
        assert stage.changes("e00") == []
        assert stage.changes("e01") == ["e01 pause"]

    @pytest.mark.parametrize(
        "field",
        ["status.lastUsedAt", "compute.scaling", "status.state", "model", "status.updatedAt"],
    )
    def test_a_missing_field_crashes_nothing(self, stage: Stage, field: str) -> None:
        fleet(stage, 3)
        stage.world.faults.add(faults.missing_field(field, name="e01"))
        stage.run(hours=1)
        assert stage.endpoint("e01").id
        assert stage.endpoint("e02").status == "running"

    def test_a_lagging_read_is_not_taken_for_a_click(self, stage: Stage) -> None:
        fleet(stage, 1)
        stage.run(minutes=2)
        stage.adopt("e00")
        stage.schedule()
        stage.run(minutes=3)
        assert stage.state("e00") == "paused"
        stage.world.faults.add(faults.stale_read(240), path=LISTING, count=1)
        stage.run(minutes=5)
        assert stage.holds() == []
        assert stage.state("e00") == "paused"

    def test_an_account_without_access_says_so_once_and_recovers(self, stage: Stage) -> None:
        fleet(stage, 1)
        stage.run(minutes=2)
        stage.world.faults.add(faults.error(403, "Forbidden"), path=LISTING)
        stage.run(hours=1)
        assert [event.kind for event in stage.events("account.")] == ["account.no_access"]
        stage.world.faults.clear()
        stage.run(minutes=10)
        assert [event.kind for event in stage.events("account.")][1:] == ["account.ok"]

    def test_throttling_is_waited_out(self, stage: Stage) -> None:
        fleet(stage, 1)
        stage.run(minutes=2)
        stage.world.faults.add(faults.error(429, retry_after=120), path=LISTING, count=1)
        began = len(stage.world.calls)
        stage.step()
        stage.run(seconds=100)
        assert len(stage.world.calls) == began + 1
        stage.run(minutes=3)
        assert len(stage.world.calls) > began + 1


def test_a_wrong_clock_freezes_the_account_and_a_right_one_thaws_it(stage: Stage) -> None:
    fleet(stage, 1)
    stage.run(minutes=2)
    stage.adopt("e00")
    stage.schedule()
    stage.world.skew_clock(timedelta(minutes=10))
    stage.clock.set(MONDAY + timedelta(hours=18))
    stage.run(minutes=30)
    assert stage.changes() == []
    assert "clock" in stage.events("freeze.on")[0].message
    stage.world.skew_clock(timedelta(0))
    stage.run(minutes=10)
    assert stage.changes() == ["e00 pause"]


def test_one_faulty_account_does_not_stop_another(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database, cadence=BRISK)
    stage.add("good")
    with sqlite_database.write() as session:
        other = stage.account.model_copy(
            update={"id": "acc_0", "name": "broken", "options": {"api_url": "nonsense"}}
        )
        session.add(type(stage.account)(**other.model_dump()))
    stage.run(minutes=3)
    assert stage.endpoint("good").status == "running"
    assert [event.kind for event in stage.events("account.")] == ["account.no_credentials"]


def test_an_unchanged_pass_is_one_call_a_hundred_endpoints(stage: Stage) -> None:
    fleet(stage, 250)
    stage.run(minutes=2)
    began = len(stage.world.calls)
    stage.step()
    assert len(stage.world.calls) - began == 3
