"""Faults that were found once, each by the story that showed it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.domain.schedules.text import parse_window
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.switches import Switches
from orchestrator.services import accounts, freezing
from orchestrator.services.clicks import Clicked
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint
from tests.support.stage import BRISK, MONDAY, NAMESPACE, Stage, open_stage

SMALL_HOURS = parse_window("daily 01:00-02:00")


def managed(stage: Stage, *names: str, **payload: Any) -> None:
    for name in names or ("chat",):
        stage.add(name, **payload)
    stage.run(minutes=2)
    stage.adopt(*(names or ("chat",)))


def test_a_pause_that_failed_until_the_next_window_is_not_made_inside_it(stage: Stage) -> None:
    managed(stage)
    stage.schedule(SMALL_HOURS, parse_window("daily 04:00-05:00"), apply_now=False)
    stage.run_until(MONDAY + timedelta(hours=1, minutes=59))
    stage.world.faults.add(
        faults.error(503), path="/chat/pause$", until=MONDAY + timedelta(hours=4, minutes=10)
    )
    stage.run_until(MONDAY + timedelta(hours=3, minutes=50))
    stage.run_until(MONDAY + timedelta(hours=4, minutes=40))
    assert stage.changes() == []
    assert stage.state("chat") == "running"
    assert "superseded" in [op.status for op in stage.operations("chat")]
    assert stage.events("operation.superseded")


def test_a_freeze_in_the_middle_of_a_pass_stops_the_rest_of_it(stage: Stage) -> None:
    managed(stage, "a", "b", "c")

    def freeze_after_the_first(request: object) -> bool:
        if str(getattr(request, "url", "")).endswith("/pause"):
            with stage.database.write() as session:
                freezing.switch_on(session, None, stage.asked("stop"))
        return False

    stage.wire.after = freeze_after_the_first
    stage.schedule(SMALL_HOURS)
    stage.step()
    assert len(stage.changes()) == 1


def test_a_click_while_the_listing_runs_is_not_overruled(stage: Stage) -> None:
    managed(stage)
    stage.schedule()
    stage.run_until(MONDAY + timedelta(hours=17, minutes=59, seconds=58))
    clicked: list[Clicked] = []

    def click_meanwhile(request: object) -> bool:
        if "limit=" in str(getattr(request, "url", "")) and not clicked:
            stage.clock.set(MONDAY + timedelta(hours=18, seconds=2))
            clicked.append(stage.click("resume", "chat"))
        return False

    stage.clock.set(MONDAY + timedelta(hours=18))
    stage.wire.after = click_meanwhile
    before = stage.changes()
    stage.step()
    stage.run(minutes=30)
    assert clicked[0].hold is not None
    assert stage.changes()[len(before) :] == []


def test_a_name_that_others_made_again_is_not_touched(stage: Stage) -> None:
    managed(stage)
    stage.schedule(SMALL_HOURS, apply_now=False)
    stage.world.act(NAMESPACE, "chat", "delete")
    stage.clock.set(stage.clock.now() + timedelta(seconds=5))
    stage.world.advance_to(stage.clock.now())
    stage.world.add_endpoint(NAMESPACE, endpoint_payload("chat"), state="running")
    stage.run(hours=4)
    assert stage.changes() == []
    fresh = stage.endpoint("chat")
    assert (fresh.generation, fresh.managed) == (2, False)


def test_a_console_resume_does_not_fight_the_clouds_idle_timer(stage: Stage) -> None:
    managed(stage, min_replica=0, timeout_minutes=15)
    stage.click("pause", "chat")
    stage.run(minutes=5)
    stage.world.act(NAMESPACE, "chat", "resume", by="maria")
    stage.run(hours=3)
    assert stage.changes() == ["chat pause"]
    assert stage.endpoint("chat").wish == "available"


def test_a_console_resume_right_after_our_pause_is_noticed(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database, cadence=Cadence())
    managed(stage)
    stage.schedule(SMALL_HOURS)
    stage.run(minutes=1)
    stage.world.act(NAMESPACE, "chat", "resume", by="maria")
    stage.run(minutes=30)
    assert [hold.actor for hold in stage.holds()] == ["cloud:maria"]
    assert stage.changes() == ["chat pause"]


def test_an_idle_pause_whose_answer_was_lost_is_not_resumed(stage: Stage) -> None:
    managed(stage)
    stage.idle_policy(15, action="pause")
    stage.world.faults.add(faults.timeout_after(), path="/chat/pause$", count=1)
    stage.run(hours=3)
    assert stage.changes() == ["chat pause"]


def test_bounds_survive_a_pause_in_the_middle_of_a_resume(sqlite_database: Database) -> None:
    stage = open_stage(
        sqlite_database, switches=Switches(resume_resets_scaling=True), cadence=BRISK
    )
    stage.add("chat", min_replica=0, max_replica=3, timeout_minutes=30, startup_s=300)
    stage.run(minutes=2)
    stage.adopt("chat")
    for verb, minutes in (("pause", 3), ("resume", 1), ("pause", 3), ("resume", 20)):
        stage.click(verb, "chat")
        stage.step()
        stage.run(minutes=minutes)
    scaling = stage.world.endpoint(NAMESPACE, "chat").spec["compute"]["scaling"]
    assert (scaling["minReplica"], scaling["maxReplica"]) == (0, 3)


def test_a_frozen_account_with_a_doubtful_operation_makes_no_storm(stage: Stage) -> None:
    managed(stage)
    stage.world.faults.add(faults.timeout_after(), path="/chat/pause$", count=1)
    stage.click("pause", "chat")
    stage.step()
    with stage.database.write() as session:
        freezing.switch_on(session, None, stage.asked("stop"))
    began = len(stage.world.calls)
    stage.run(minutes=10)
    assert len(stage.world.calls) - began < 80


def test_a_retry_after_of_zero_is_no_invitation_to_a_storm(stage: Stage) -> None:
    managed(stage)
    stage.world.faults.add(faults.error(429, retry_after=0), path="/chat/pause$")
    stage.click("pause", "chat")
    began = len(stage.world.calls)
    stage.run(minutes=5)
    assert len(stage.world.calls) - began < 500


def test_text_that_no_database_stores_stops_nobody(stage: Stage) -> None:
    managed(stage, "a", "b")
    stage.world.faults.add(faults.wrong_type("status.message", "\ud800\x00", name="b"))
    stage.schedule(SMALL_HOURS)
    stage.run(minutes=10)
    assert stage.changes("a") == ["a pause"]


def test_a_clock_that_is_set_back_does_not_stop_the_engine(stage: Stage) -> None:
    managed(stage)
    stage.run(minutes=5)
    began = len(stage.world.calls)
    stage.clock.set(stage.clock.now() - timedelta(hours=2))
    stage.run(minutes=3)
    assert len(stage.world.calls) > began


def test_adopting_again_after_standing_down_changes_nothing(stage: Stage) -> None:
    managed(stage)
    stage.schedule(SMALL_HOURS)
    stage.run(minutes=2)
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        earlier = stage.clock.now().isoformat()
        row.opposed = [earlier, earlier]
        session.add(row)
    stage.world.act(NAMESPACE, "chat", "resume", by="other-cron")
    stage.run(minutes=5)
    assert "stood down" in stage.endpoint("chat").observe_only
    before = stage.changes()
    stage.adopt("chat")
    stage.run(minutes=30)
    assert stage.changes() == before


def test_an_account_that_is_removed_is_metered_no_more(stage: Stage) -> None:
    managed(stage)
    stage.run(minutes=5)
    with stage.database.write() as session:
        row = session.get_one(Account, stage.account.id)
        last = row.confirmed_at
        accounts.remove(session, row, stage.asked("moved away"))
    stage.run(hours=1)
    assert stage.intervals("chat")[-1].ended_at == last


def test_a_doubt_is_settled_by_a_direct_read_while_listings_fail(stage: Stage) -> None:
    managed(stage)
    stage.world.faults.add(faults.timeout_after(), path="/chat/pause$", count=1)
    stage.click("pause", "chat")
    stage.step()
    stage.world.faults.add(faults.error(500), path=rf"/v2/endpoint/{NAMESPACE}$")
    stage.run(minutes=10)
    assert stage.changes() == ["chat pause"]
    assert stage.operations("chat")[-1].status == "succeeded"
