"""Cron points in virtual time: once, at their instant, until the next edge, or dropped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from orchestrator.domain.schedules.text import parse_point, parse_window
from orchestrator.engine import points as engine_points
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.services import clicks, freezing, scheduling
from orchestrator.services.scheduling import Draft, Parts, Remark
from orchestrator.services.selectors import Selector
from orchestrator.store import schedules as schedule_rows
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, PointFiring, Schedule
from tests.support.stage import Killed, Stage, open_stage

DAY = timedelta(days=1)
EVENING = datetime(2026, 11, 16, 18, 40, tzinfo=UTC)  # a Monday
STOP = "stop 0 19 * * *"
SLOW = Cadence(rest=timedelta(hours=2), transition=timedelta(minutes=3), rates=timedelta(days=1))


def at(hour: int, minute: int = 0, days: int = 0) -> datetime:
    return EVENING.replace(hour=hour, minute=minute) + days * DAY


def draft(*points: str, name: str = "Nightly", windows: tuple[str, ...] = (), **more: Any) -> Draft:
    parts = Parts(
        windows=[parse_window(text) for text in windows],
        points=[parse_point(text) for text in points],
        drain_minutes=0,
    )
    now = more.pop("apply_now", ())
    selector = Selector(account_id=more.pop("account"))
    return Draft(name, scheduling.make("UTC", parts), selector, apply_now=now, **more)


def save(stage: Stage, *points: str, **more: Any) -> Schedule:
    """Save a schedule over the whole account; the engine looks at once, as it does then."""
    stage.engine.nudge()
    with stage.database.write() as session:
        wanted = draft(*points, account=stage.account.id, **more)
        return scheduling.create(session, wanted, stage.asked()).schedule


def fired(stage: Stage) -> list[PointFiring]:
    with stage.database.read() as session:
        return sorted(session.exec(select(PointFiring)), key=lambda one: one.at)


def kinds(stage: Stage) -> list[str]:
    return [event.kind for event in stage.events("point.")]


def opened(database: Database) -> Stage:
    """Return a stage shortly before the evening, with one managed endpoint that runs."""
    stage = open_stage(database, start=EVENING, cadence=SLOW)
    stage.add("api")
    stage.step()
    stage.adopt("api")
    return stage


@pytest.fixture
def evening(sqlite_database: Database) -> Stage:
    return opened(sqlite_database)


def test_a_stop_point_acts_at_its_instant_and_holds_until_the_next_edge(evening: Stage) -> None:
    save(evening, STOP, "start 30 6 * * tue")
    evening.run_until(at(18, 59))
    row = evening.endpoint("api")
    assert (row.next_edge_at, row.next_edge_wish) == (at(19), "paused")
    assert evening.state("api") == "running"
    evening.run_until(at(19, 1))
    (hold,) = evening.holds()
    assert (hold.wish, hold.source, hold.starts_at) == ("paused", "cron", at(19))
    assert hold.until == at(6, 30, days=1)
    assert evening.state("api") == "paused"
    evening.run_until(at(6, 40, days=1))
    assert evening.state("api") == "running"
    assert [(one.at, one.action, one.outcome) for one in fired(evening)] == [
        (at(19), "stop", "held"),
        (at(6, 30, days=1), "start", "held"),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_point_fires_once_also_when_the_process_dies_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The death comes between the check and the commit, and right after the commit."""
    stage = opened(database)
    save(stage, STOP)
    _die_once(monkeypatch, when)
    stage.run_until(at(19, 3))
    assert stage.deaths == 1
    assert [one.outcome for one in fired(stage)] == ["held"]
    assert [hold.source for hold in stage.holds()] == ["cron"]
    assert kinds(stage) == ["point.fired"]
    stage.restart()
    stage.run_until(at(19, 6))
    assert len(stage.holds()) == len(fired(stage)) == 1


def _die_once(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Let the process die while the firing is written, or just after it was."""
    name = "_write" if when == "before" else "act"
    real: Callable[..., Any] = getattr(engine_points, name)
    died: list[str] = []

    def deadly(*given: Any) -> Any:
        answer = real(*given)
        if not died and (when == "before" or answer):
            died.append(when)
            raise Killed
        return answer

    monkeypatch.setattr(engine_points, name, deadly)


def test_two_engines_that_look_at_once_fire_it_once(evening: Stage) -> None:
    save(evening, STOP)
    evening.clock.set(at(19))
    others = [Engine(evening.context, SLOW) for _ in range(2)]
    for engine in others:
        engine.step(evening.clock.now())
    assert len(fired(evening)) == len(evening.holds()) == 1


def test_another_process_fires_it_between_the_check_and_the_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = opened(database)
    save(stage, STOP)
    stage.clock.set(at(19))
    other, real = Engine(stage.context, SLOW), schedule_rows.last_fired
    asked: list[str] = []

    def overtaken(*given: Any) -> Any:
        stale = real(*given)
        if not asked:
            asked.append("once")
            other.step(stage.clock.now())
        return stale

    monkeypatch.setattr(schedule_rows, "last_fired", overtaken)
    stage.step()
    assert asked
    assert stage.events("account.failing") == []
    assert len(fired(stage)) == len(stage.holds()) == 1
    assert kinds(stage) == ["point.fired"]


@pytest.mark.parametrize(("back", "outcome"), [(at(19, 50), "held"), (at(20, 10), "dropped")])
def test_what_is_missed_by_more_than_an_hour_is_dropped(
    evening: Stage, back: datetime, outcome: str
) -> None:
    save(evening, STOP)
    evening.clock.set(back)
    evening.run(minutes=2)
    assert [one.outcome for one in fired(evening)] == [outcome]
    assert kinds(evening) == ["point.fired" if outcome == "held" else "point.dropped"]
    assert (evening.state("api") == "paused") == (outcome == "held")
    if outcome == "dropped":
        (event,) = evening.events("point.dropped")
        assert "missed by 70 min" in event.message or "missed by 1 h 10 min" in event.message


def test_points_missed_on_end_leave_one_word_and_the_last_counts(evening: Stage) -> None:
    save(evening, "stop 0,10,20 19 * * *")
    evening.clock.set(at(19, 30))
    evening.run(minutes=1)
    assert [(one.at, one.outcome) for one in fired(evening)] == [(at(19, 20), "held")]
    assert kinds(evening) == ["point.dropped", "point.fired"]


def test_a_later_edge_overtakes_what_was_missed(evening: Stage) -> None:
    save(evening, "start 5 19 * * *", windows=("mon 18:00-19:20",))
    evening.clock.set(at(19, 30))
    evening.run(minutes=1)
    assert [one.outcome for one in fired(evening)] == ["dropped"]
    assert "overtaken" in evening.events("point.dropped")[0].message
    assert evening.holds() == []


def test_a_click_overtakes_a_point_and_ends_its_hold(evening: Stage) -> None:
    save(evening, STOP)
    evening.clock.set(at(19, 10))
    evening.click("resume", "api")
    evening.step()
    assert [one.outcome for one in fired(evening)] == ["dropped"]
    assert "somebody asked" in evening.events("point.dropped")[0].message
    evening.run_until(at(19, 1, days=1))
    assert evening.state("api") == "paused"
    evening.click("resume", "api")
    evening.step()
    evening.run(minutes=15)
    assert evening.state("api") == "running"
    assert all(hold.ended_at is not None for hold in evening.holds())


def test_a_person_who_holds_it_outranks_a_point(evening: Stage) -> None:
    save(evening, STOP)
    with evening.database.write() as session:
        row = session.get_one(Endpoint, evening.endpoint("api").id)
        terms = clicks.Terms(until=at(20))
        clicks.request_resume(session, row, evening.asked(), terms)
    evening.run_until(at(19, 30))
    assert [one.outcome for one in fired(evening)] == ["held"]
    assert evening.state("api") == "running"
    evening.run_until(at(20, 3))
    assert evening.state("api") == "paused"


@pytest.mark.parametrize("why", ["shadow", "protected"])
def test_shadow_and_protected_only_propose(evening: Stage, why: str) -> None:
    if why == "protected":
        with evening.database.write() as session:
            row = session.get_one(Endpoint, evening.endpoint("api").id)
            row.protected = True
            session.add(row)
    save(evening, STOP, shadow=why == "shadow")
    evening.run_until(at(19, 25))
    assert [one.outcome for one in fired(evening)] == ["proposed"]
    assert evening.holds() == []
    (event,) = evening.events("decision.proposed")
    assert (event.data["wish"], event.data["point"]) == ("paused", "0 19 * * *")
    assert evening.state("api") == "running"


def test_a_freeze_stops_points_and_late_ones_are_dropped_after_it(evening: Stage) -> None:
    save(evening, STOP)
    with evening.database.write() as session:
        freezing.switch_on(session, None, evening.asked("incident"))
    evening.run_until(at(20, 30))
    assert fired(evening) == []
    with evening.database.write() as session:
        freezing.switch_off(session, None, evening.asked())
    evening.step()
    assert [one.outcome for one in fired(evening)] == ["dropped"]
    assert evening.state("api") == "running"


def test_a_stop_that_repeats_itself_never_starts_anything(evening: Stage) -> None:
    """Nobody ran the engine over the next firing: the pause goes on, however late it is."""
    save(evening, STOP)
    evening.run_until(at(19, 5))
    evening.clock.set(at(12, days=3))
    evening.run(minutes=5)
    assert [one.outcome for one in fired(evening)] == ["held", "held"]
    assert evening.state("api") == "paused"
    assert [op.kind for op in evening.operations("api")] == ["pause"]


def test_what_was_due_before_the_schedule_was_saved_does_not_fire(evening: Stage) -> None:
    evening.run_until(at(19, 5))
    save(evening, STOP)
    evening.run(minutes=5)
    assert fired(evening) == []


def test_a_point_added_later_counts_from_then_on_and_others_stay(evening: Stage) -> None:
    row = save(evening, "stop 0 23 * * *")
    evening.run_until(at(19, 5))
    replace(evening, row, STOP, "stop 0 23 * * *")
    evening.run(minutes=5)
    assert fired(evening) == []


def replace(stage: Stage, row: Schedule, *points: str, **more: Any) -> list[Remark]:
    with stage.database.write() as session:
        kept = scheduling.find(session, row.id)
        wanted = draft(*points, account=stage.account.id, **more)
        return list(scheduling.replace(session, kept, wanted, stage.asked()).remarks)


def test_its_hold_ends_with_its_schedule(evening: Stage) -> None:
    row = save(evening, STOP)
    evening.run_until(at(19, 5))
    with evening.database.write() as session:
        scheduling.remove(session, scheduling.find(session, row.id), evening.asked())
    evening.step()
    evening.run(minutes=15)
    assert evening.state("api") == "running"
    assert "its schedule is gone" in evening.events("hold.ended")[-1].message


def test_its_hold_ends_earlier_where_an_edge_comes_in_between(evening: Stage) -> None:
    """Another schedule wakes the endpoint in the morning: a stop point does not keep it down."""
    save(evening, STOP)
    evening.run_until(at(19, 5))
    assert evening.holds()[0].until == at(19, days=1)
    save(evening, name="Office", windows=("tue 07:00-09:00",))
    evening.step()
    assert evening.holds()[0].until == at(7, days=1)
    assert evening.events("hold.moved")
    evening.run_until(at(7, 20, days=1))
    assert evening.state("api") == "running"


def test_between_its_points_a_schedule_without_windows_wants_nothing(evening: Stage) -> None:
    save(evening, "start 0 12 * * *")
    evening.run_until(at(19, 30))
    assert evening.state("api") == "running"
    assert evening.endpoint("api").decided_rule == "standing"


def test_every_hold_has_its_events(evening: Stage) -> None:
    save(evening, STOP)
    evening.run_until(at(19, 2))
    told = [one for one in evening.events() if one.at >= at(19)]
    assert {"hold.started", "point.fired"} <= {one.kind for one in told}
    hold = evening.holds()[0]
    assert hold.reason == "stop point 0 19 * * *"
    assert any(one.data.get("hold") == hold.id for one in told)
