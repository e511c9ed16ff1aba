"""What rules will start: what the forecast says is what the engine then does."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.services.mornings import Mornings, mornings
from orchestrator.services.preview import Wanted, preview
from orchestrator.services.selectors import Selector
from orchestrator.services.timeline import timeline
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint
from tests.support.crowd import NIGHT, NINE, OFFICE, add, bind, crowd, giving_way, used
from tests.support.stage import Stage

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def ahead(stage: Stage, span: timedelta) -> Mornings:
    now = stage.clock.now()
    with stage.database.read() as session:
        return mornings(session, now, now + span)


def test_what_is_late_what_finds_no_room_and_what_gives_way(sqlite_database: Database) -> None:
    stage = giving_way(sqlite_database)
    (morning, tomorrow) = ahead(stage, 30 * HOUR).items
    assert (morning.first, morning.last) == (NINE, NINE)
    assert [one.name for one in morning.starts] == ["other", "third"]
    assert morning.yielding == ("spare",)
    (late,), (never,) = morning.late, morning.never
    assert (late.name, late.late_by) == ("other", timedelta(seconds=10))
    assert "spare at zero will be paused first" in late.told.why
    assert (never.name, never.late_by) == ("third", None)
    assert "is used up: 2 of 2 in use" in never.told.why
    assert (late.rule, "hours of other" in late.reason) == ("schedule", True)
    assert tomorrow.first == NINE + DAY
    stage.run_until(NINE + timedelta(minutes=25))
    assert [stage.state(name) for name in ("spare", "other", "third")] == [
        *("paused", "running", "paused"),
    ]


def test_what_was_just_adopted_gives_way_too(sqlite_database: Database) -> None:
    """No pass has decided on it yet: it is as a person left it."""
    stage = crowd(sqlite_database, quota=1)
    add(stage, "spare", "scaledToZero", min_replica=0, timeout_minutes=15)
    add(stage, "other")
    stage.step()
    stage.adopt("spare", "other")
    used(stage, {"spare": 3, "other": 50})
    bind(stage, "other")
    (before,) = ahead(stage, 8 * HOUR).items
    stage.step()
    (after,) = ahead(stage, 8 * HOUR).items
    assert before.yielding == after.yielding == ("spare",)
    assert not before.never


def test_a_change_that_lets_one_go_leaves_its_room_to_others(sqlite_database: Database) -> None:
    stage = crowd(sqlite_database, quota=1)
    add(stage, "most")
    add(stage, "less")
    stage.step()
    stage.adopt("most", "less")
    used(stage, {"most": 50, "less": 20})
    saved = stage.schedule(OFFICE, selector={"account": stage.account.id})
    stage.step()
    only = Selector(endpoint_id=stage.endpoint("less").id)
    told = []
    for but in (None, saved.id):
        wanted = Wanted(Windows("UTC", (OFFICE,)), only, but=but)
        with stage.database.read() as session:
            found = preview(session, wanted, weeks=1, now=stage.clock.now())
        told.append(found.starts[0].remarks)
    assert "is used up" in told[0][0]
    assert told[1] == ()


def test_quotas_are_as_they_will_be_then(sqlite_database: Database) -> None:
    """What sleeps now and will be up by then takes its room; what is up now and stops gives it."""
    stage = crowd(sqlite_database, quota=2, start=NINE + 8 * HOUR)
    for name, state in (("late", "running"), ("most", "paused"), ("less", "paused")):
        add(stage, name, state)
    stage.step()
    stage.adopt("late", "most", "less")
    used(stage, {"most": 50, "less": 20})
    for name in ("most", "less"):
        bind(stage, name)
    bind(stage, "late", NIGHT)
    stage.run_until(NINE + 10 * HOUR)  # the day is over, the night has not begun
    evening, morning = ahead(stage, DAY).items[:2]
    assert [one.name for one in evening.starts] == ["late"]
    assert morning.first == NINE + DAY
    assert [one.name for one in morning.never] == ["less"]
    now = stage.clock.now()
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint("less").id)
        told = timeline(session, row, now, now + DAY, now)
    assert [one.start for one in told.stretches if one.waits] == [NINE + DAY]
    stage.run_until(NINE + DAY + timedelta(minutes=10))
    assert [stage.state(name) for name in ("late", "most", "less")] == [
        *("running", "running", "paused"),
    ]


def test_what_waits_for_room_now_is_told_and_a_hold_counts(sqlite_database: Database) -> None:
    stage = giving_way(sqlite_database)
    stage.run_until(NINE + timedelta(minutes=30))
    (morning,) = ahead(stage, 8 * HOUR).items
    assert [one.name for one in morning.never] == ["spare", "third"]
    assert morning.first == stage.clock.now()
    stage.click("pause", "other")  # until its next start, tomorrow
    stage.run(minutes=25)
    assert stage.state("third") == "running"
    (morning,) = ahead(stage, 8 * HOUR).items
    assert [one.name for one in morning.never] == ["spare"]
