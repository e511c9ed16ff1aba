"""What the engine does: windows, idleness, clicks, freeze, and how it settles doubts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.schedules.model import Window
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.services import freezing
from orchestrator.store.database import Database
from tests.support.stage import BRISK, MONDAY, NAMESPACE, OFFICE, Stage, open_stage

# For stories over days, in which nothing but the rules' edges happens.
HOURLY = Cadence(rest=timedelta(minutes=30), rates=timedelta(days=1))


def managed(stage: Stage, name: str = "chat", **payload: Any) -> None:
    stage.add(name, **payload)
    stage.run(minutes=2)
    stage.adopt(name)


class TestWindows:
    def test_it_sleeps_and_wakes_at_the_edges_and_over_the_weekend(
        self, sqlite_database: Database
    ) -> None:
        calm = open_stage(sqlite_database, cadence=HOURLY, start=MONDAY + timedelta(days=3))
        managed(calm)
        calm.schedule()
        calm.run_until(MONDAY + timedelta(days=8))
        wanted = ["chat pause"] + ["chat resume", "chat pause"] * 3
        assert calm.changes() == wanted
        starts = [op.created_at for op in calm.operations("chat") if op.kind == "resume"]
        assert [at - at.replace(hour=8, minute=0, second=0) for at in starts] == [timedelta(0)] * 3
        assert {op.status for op in calm.operations("chat")} == {"succeeded"}
        assert all(op.rule.startswith("schedule:") for op in calm.operations("chat"))

    def test_a_new_rule_acts_from_its_next_edge(self, calm: Stage) -> None:
        managed(calm)
        calm.schedule(apply_now=False)
        calm.run_until(MONDAY + timedelta(hours=17))
        assert calm.changes() == []
        calm.run_until(MONDAY + timedelta(hours=19))
        assert calm.changes() == ["chat pause"]

    def test_shadow_does_nothing_and_tells_what_it_would_have_done(self, calm: Stage) -> None:
        managed(calm)
        calm.schedule(shadow=True)
        calm.run(hours=24)
        assert calm.changes() == []
        assert "would be paused" in calm.events("decision.proposed")[0].message

    def test_a_window_ends_by_draining(self, stage: Stage) -> None:
        managed(stage, traffic=Traffic.recorded("m-large-066", seed=3))
        stage.schedule(OFFICE, drain_minutes=30)
        stage.run_until(MONDAY + timedelta(hours=18, minutes=10))
        assert stage.state("chat") == "running"
        assert any("draining" in event.message for event in stage.events("decision.changed"))
        stage.run_until(MONDAY + timedelta(hours=18, minutes=31))
        assert stage.state("chat") == "paused"

    def test_without_requests_a_window_ends_at_its_end(self, stage: Stage) -> None:
        managed(stage)
        stage.schedule(OFFICE, drain_minutes=30)
        stage.run_until(MONDAY + timedelta(hours=18, minutes=1))
        assert stage.state("chat") == "paused"

    def test_saving_a_schedule_wakes_nothing_that_idleness_paused(self, stage: Stage) -> None:
        managed(stage)
        stage.idle_policy(15, action="pause")
        stage.run_until(MONDAY + timedelta(hours=9))
        assert stage.changes() == ["chat pause"]
        stage.schedule(OFFICE, apply_now=False)
        stage.run_until(MONDAY + timedelta(hours=12))
        assert stage.changes() == ["chat pause"]

    def test_keep_running_wakes_what_the_cloud_put_to_zero(self, stage: Stage) -> None:
        managed(stage, min_replica=0, timeout_minutes=15)
        stage.schedule(Window(frozenset(range(7)), OFFICE.start, OFFICE.end, keep_running=True))
        stage.run_until(MONDAY + timedelta(hours=10))
        assert stage.changes()[-1] == "chat resume"

    def test_a_person_in_the_console_outlives_the_rule_for_a_while(self, stage: Stage) -> None:
        managed(stage)
        stage.schedule()
        stage.run_until(MONDAY + timedelta(hours=20))
        stage.world.act(NAMESPACE, "chat", "resume", by="maria")
        stage.run(hours=3)
        assert stage.state("chat") == "running"
        assert [hold.actor for hold in stage.holds()] == ["cloud:maria"]
        stage.run(hours=2)
        assert stage.state("chat") == "paused"

    def test_repeated_opposite_changes_make_it_stand_down(self, stage: Stage) -> None:
        managed(stage)
        stage.schedule()
        for _ in range(3):
            stage.run(hours=1)
            for hold in stage.holds():
                with stage.database.write() as session:
                    row = session.merge(hold)
                    row.ended_at = row.ended_at or stage.clock.now()
            stage.run(minutes=5)
            stage.world.act(NAMESPACE, "chat", "resume", by="other-cron")
        stage.run(hours=8)
        assert "stood down" in stage.endpoint("chat").observe_only
        assert stage.state("chat") == "running"


class TestClicks:
    def test_a_run_click_against_the_schedule_ends_by_itself(self, stage: Stage) -> None:
        managed(stage)
        stage.schedule()
        stage.run_until(MONDAY + timedelta(hours=1))
        clicked = stage.click("resume", "chat")
        assert clicked.hold is not None
        assert clicked.hold.until == stage.clock.now() + timedelta(hours=4)
        stage.step()
        stage.run(hours=3)
        assert stage.state("chat") == "running"
        stage.run(hours=2)
        assert stage.state("chat") == "paused"

    def test_a_click_that_no_rule_opposes_is_the_standing_wish(self, calm: Stage) -> None:
        managed(calm)
        assert calm.click("pause", "chat").hold is None
        calm.step()
        calm.run(hours=24)
        assert calm.changes() == ["chat pause"]

    def test_a_newer_wish_supersedes_an_older_one(self, stage: Stage) -> None:
        managed(stage, hardware="aws-us-east-1-nvidia-a100-x4")
        stage.click("pause", "chat")
        stage.run(minutes=3)
        stage.click("resume", "chat")
        stage.run(seconds=12)
        stage.click("pause", "chat", "changed my mind")
        stage.run(minutes=30)
        assert stage.state("chat") == "paused"
        assert [op.status for op in stage.operations("chat")] == [
            "succeeded",
            "superseded",
            "succeeded",
        ]


class TestIdleness:
    def test_proven_idleness_goes_to_zero_and_keeps_its_evidence(self, stage: Stage) -> None:
        managed(stage, min_replica=0)
        stage.idle_policy(15)
        stage.run(minutes=14)
        assert stage.changes() == []
        stage.run(minutes=5)
        assert stage.changes() == ["chat scale-to-zero"]
        assert "last request at" in stage.operations("chat")[0].reason

    def test_it_never_pauses_without_opting_in(self, stage: Stage) -> None:
        managed(stage)  # minReplica 1: the cloud refuses to take it to zero
        stage.idle_policy(15)
        stage.run(hours=2)
        assert stage.state("chat") == "running"
        (refused,) = stage.events("decision.refused")
        assert "no request could wake it" in refused.message
        assert stage.operations("chat") == []

    def test_with_the_owners_word_it_pauses(self, calm: Stage) -> None:
        managed(calm)
        calm.idle_policy(15, action="pause")
        calm.run(hours=30)
        assert calm.changes() == ["chat pause"]

    def test_the_clouds_counts_stand_in_for_a_missing_time_of_last_use(self, stage: Stage) -> None:
        managed(stage)
        stage.idle_policy(30, action="pause")
        stage.world.faults.add(faults.missing_field("status.lastUsedAt"))
        stage.run(hours=6)
        assert stage.changes() == ["chat pause"]

    def test_what_is_used_stays_up(self, stage: Stage) -> None:
        managed(stage, traffic=Traffic.recorded("m-large-066", seed=1))
        stage.idle_policy(15, action="pause")
        stage.run(hours=12)
        assert stage.state("chat") == "running"


class TestFreeze:
    @pytest.mark.parametrize("account", [None, NAMESPACE])
    def test_frozen_means_no_changing_call(self, calm: Stage, account: str | None) -> None:
        managed(calm)
        calm.schedule(apply_now=False)
        with calm.database.write() as session:
            freezing.switch_on(session, account, calm.asked("incident"))
        calm.run(hours=24)
        assert calm.changes() == []
        with calm.database.write() as session:
            freezing.switch_off(session, account, calm.asked("over"))
        calm.run(minutes=20)
        assert calm.changes() == ["chat pause"]


class TestDoubt:
    @pytest.mark.parametrize(
        "fault",
        [
            faults.timeout_before(),
            faults.timeout_after(),
            faults.drop_before(),
            faults.drop_after(),
            faults.truncate(),
            faults.error(500),
            faults.error(502, after_commit=True),
            faults.error(429, retry_after=20),
        ],
        ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.after_commit}",
    )
    @pytest.mark.parametrize("verb", ["pause", "resume"])
    def test_a_lost_answer_is_looked_up_and_the_change_made_once(
        self, stage: Stage, fault: faults.Fault, verb: str
    ) -> None:
        managed(stage)
        if verb == "resume":
            stage.click("pause", "chat")
            stage.run(minutes=2)
        stage.world.calls.clear()
        stage.world.faults.add(fault, method="POST", path=f"/chat/{verb}$", count=1)
        stage.click(verb, "chat")
        stage.step()
        stage.run(minutes=10)
        assert stage.changes() == [f"chat {verb}"]
        assert stage.operations("chat")[-1].status == "succeeded"

    def test_a_refused_change_fails_in_the_clouds_words_and_backs_off(self, stage: Stage) -> None:
        managed(stage)
        stage.world.faults.add(faults.error(400, "Bad Request: not today"), path=r"/chat/pause$")
        stage.click("pause", "chat")
        stage.run(hours=1)
        first = stage.operations("chat")[0]
        assert (first.status, first.outcome) == ("failed", first.outcome)
        assert "not today" in first.outcome
        assert 2 <= len(stage.operations("chat")) <= 8
        stage.world.faults.clear()
        stage.run(hours=2)
        assert stage.state("chat") == "paused"

    def test_no_capacity_is_waited_for(self, stage: Stage) -> None:
        managed(stage)
        stage.click("pause", "chat")
        stage.run(minutes=3)
        stage.world.faults.add(
            faults.error(400, "Not enough quota: no capacity for nvidia-l4"),
            path=r"/chat/resume$",
            count=4,
        )
        stage.click("resume", "chat")
        stage.run(hours=1)
        assert stage.state("chat") == "running"
        assert stage.events("operation.waiting_for_capacity")
        assert [op.status for op in stage.operations("chat")] == ["succeeded", "succeeded"]


@pytest.mark.parametrize("resets", [True, False])
def test_scaling_bounds_are_put_back_after_a_resume_only_when_they_differ(
    sqlite_database: Database, resets: bool
) -> None:
    stage = open_stage(
        sqlite_database, switches=Switches(resume_resets_scaling=resets), cadence=BRISK
    )
    managed(stage, min_replica=0, max_replica=3, timeout_minutes=30)
    stage.click("pause", "chat")
    stage.run(minutes=3)
    stage.click("resume", "chat")
    stage.run(minutes=10)
    scaling = stage.world.endpoint(NAMESPACE, "chat").spec["compute"]["scaling"]
    assert (scaling["minReplica"], scaling["maxReplica"], scaling["scaleToZeroTimeout"]) == (
        0,
        3,
        30,
    )
    assert ("chat PUT" in stage.changes()) is resets
