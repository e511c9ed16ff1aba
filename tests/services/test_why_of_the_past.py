"""Why an endpoint was wanted so: what is recalled agrees with what was decided then."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest
from sqlmodel import select

from orchestrator.domain.schedules.model import Window as Open
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services import freezing, policies, scheduling, selectors
from orchestrator.services.why import Why, explain
from orchestrator.store.database import Database
from orchestrator.store.tables import (
    Endpoint,
    EndpointFacts,
    Event,
    IdlePolicy,
    RuleRevision,
    Schedule,
    UsageSample,
)
from tests.support.stage import Stage, open_stage

SLOW = Cadence(rest=timedelta(minutes=50), transition=timedelta(minutes=2), rates=timedelta(days=9))
NAME = "chat"
BLOCKS_A_DAY, BLOCKS_AN_HOUR = 144, 6
LOOKS = 40
WEEK_H = 168.0


@dataclass(frozen=True)
class Look:
    """What was said of an instant: the decision, and what came of each rule."""

    at: datetime
    wish: str | None
    rule: str
    rule_id: str
    outcomes: tuple[tuple[str, str], ...]


def office_traffic() -> Traffic:
    """A few requests in some hours of the working days."""
    hours = [(day, hour) for day in range(14) for hour in (8, 9, 11, 15, 19) if day % 7 < 5]
    return Traffic(
        [
            Window(day * BLOCKS_A_DAY + hour * BLOCKS_AN_HOUR + 2, 3 + hour % 4, 1.0)
            for day, hour in hours
        ]
    )


def explained(stage: Stage, at: datetime) -> Why:
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint(NAME).id)
        return explain(session, row, at, stage.clock.now())


def look(stage: Stage, at: datetime) -> Look:
    why = explained(stage, at)
    assert why.decision is not None, why.unknown_because
    decision = why.decision
    outcomes = tuple((str(one.rule), one.outcome) for one in why.lines)
    return Look(at, decision.wish, decision.rule, decision.rule_id, outcomes)


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    staged = open_stage(sqlite_database, cadence=SLOW)
    staged.add(NAME, min_replica=0, traffic=office_traffic(), startup_s=120)
    staged.step()
    return staged


def happenings(stage: Stage) -> Iterator[tuple[float, Callable[[], object]]]:
    """A week of people and rules, by the hour at which each comes."""
    yield 3, lambda: stage.adopt(NAME)
    yield 10, lambda: stage.schedule(apply_now=False)
    yield 26, lambda: stage.idle_policy(40)
    yield 35.3, lambda: stage.click("pause", NAME, "quiet please")
    yield 44, lambda: stage.click("resume", NAME, "a late demo")
    yield 58.2, lambda: change_schedule(stage)
    yield 66, lambda: freeze(stage, on=True)
    yield 69.5, lambda: freeze(stage, on=False)
    yield 83, lambda: protect(stage, protected=True)
    yield 99, lambda: protect(stage, protected=False)
    saturday = Open(frozenset({5}), time(6), time(22), keep_running=True)
    yield 107, lambda: stage.schedule(saturday, name="Saturday", shadow=True)
    yield 121, lambda: drop_policy(stage)


def change_schedule(stage: Stage) -> None:
    with stage.database.write() as session:
        row = session.exec(select(Schedule)).one()
        windows = [Open(frozenset(range(5)), time(7), time(16))]
        draft = scheduling.Draft(
            name=row.name,
            windows=scheduling.make_windows("Europe/Berlin", windows, 30),
            selector=selectors.from_json(row.selector),
        )
        scheduling.replace(session, row, draft, stage.asked())


def drop_policy(stage: Stage) -> None:
    with stage.database.write() as session:
        policies.remove(session, session.exec(select(IdlePolicy)).one(), stage.asked())


def freeze(stage: Stage, *, on: bool) -> None:
    switch = freezing.switch_on if on else freezing.switch_off
    with stage.database.write() as session:
        switch(session, None, stage.asked("incident 42"))


def protect(stage: Stage, *, protected: bool) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint(NAME).id)
        row.protected = protected
        session.add(row)


def live_through(stage: Stage) -> list[Look]:
    """Let a week pass; return what was said at many instants of it."""
    looks: list[Look] = []
    chance, start, todo = random.Random(7), stage.clock.now(), dict(happenings(stage))
    for hour in sorted({*todo, *(chance.uniform(4, WEEK_H) for _ in range(LOOKS))}):
        stage.run_until(start + timedelta(hours=hour))
        todo.get(hour, lambda: None)()
        stage.step()
        # What a pass has done is known to the next one.
        stage.clock.set(stage.clock.now() + timedelta(seconds=1))
        stage.step()
        looks.append(look(stage, stage.clock.now()))
        stage.clock.set(stage.clock.now() + timedelta(seconds=1))
    stage.run(hours=1)
    return looks


def test_a_week_is_recalled_as_it_was_decided(stage: Stage) -> None:
    looks = live_through(stage)
    decided = stage.events("decision.changed")
    rules = {event.data["rule"] for event in decided}
    assert rules >= {"standing", "schedule", "hold", "frozen", "idle"}
    for event in decided:
        then = look(stage, event.at)
        told = (event.data["wish"], event.data["rule"], event.data["id"])
        assert (then.wish, then.rule, then.rule_id) == told, f"{event.at}: {event.message}"
    different = [(one, look(stage, one.at)) for one in looks if look(stage, one.at) != one]
    assert different == [], f"{len(different)} of {len(looks)}"
    with stage.database.read() as session:
        kept = session.exec(select(EndpointFacts)).all()
        versions = [(one.kind, one.version) for one in session.exec(select(RuleRevision))]
    assert all(one.digest != other.digest for one, other in pairwise(kept))
    assert sorted(versions) == [("idle", 1), ("schedule", 1), ("schedule", 1), ("schedule", 2)]


def test_what_was_before_is_not_guessed(stage: Stage) -> None:
    born = stage.clock.now()
    stage.run(hours=5)
    before = stage.clock.now()
    stage.adopt(NAME)
    stage.clock.set(before + timedelta(minutes=5))
    stage.run(hours=2)
    observed = explained(stage, before - timedelta(hours=1))
    assert observed.decision is not None
    assert (observed.decision.wish, observed.decision.rule) == (None, "not_managed")
    unseen = explained(stage, born - timedelta(days=1))
    assert unseen.decision is None
    assert "first seen" in unseen.unknown_because
    just = explained(stage, before + timedelta(seconds=1))
    assert just.decision is None
    assert "is kept since" in just.unknown_because


def test_an_older_store_knows_nothing_of_its_past(stage: Stage) -> None:
    stage.adopt(NAME)
    stage.run(hours=2)
    middle = stage.clock.now()
    with stage.database.write() as session:
        for row in session.exec(select(EndpointFacts)):
            session.delete(row)
    stage.restart()
    stage.run(hours=2)
    assert explained(stage, middle - timedelta(seconds=1)).decision is None
    assert "is kept since" in explained(stage, middle - timedelta(minutes=30)).unknown_because
    later = explained(stage, stage.clock.now() - timedelta(minutes=10))
    assert later.decision is not None
    assert later.decision.rule == "standing"


def test_what_was_read_later_is_a_doubt_and_no_proof(stage: Stage) -> None:
    stage.adopt(NAME)
    stage.idle_policy(40)
    stage.run(hours=3)
    quiet = stage.clock.now()
    with stage.database.write() as session:
        for sample in session.exec(select(UsageSample)):
            session.delete(sample)
        for event in session.exec(select(Event).where(Event.kind == "decision.changed")):
            event.data = {key: one for key, one in event.data.items() if key != "activity"}
            session.add(event)
        row = session.get_one(Endpoint, stage.endpoint(NAME).id)
        row.last_used_at, row.confirmed_at = None, quiet + timedelta(hours=4)
        session.add(row)
    stage.clock.set(quiet + timedelta(hours=5))
    at = quiet - timedelta(minutes=1)
    before = explained(stage, at)
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint(NAME).id)
        row.last_used_at = quiet - timedelta(hours=2)
        session.add(row)
    later = explained(stage, at)
    evidence = [one.inputs["evidence"] for one in later.lines if "evidence" in one.inputs]
    assert [one["covered_to"] for one in evidence] == [None]
    assert (later.decision, later.lines) == (before.decision, before.lines)
    assert set(later.doubts) - set(before.doubts) == {
        one for one in later.doubts if "which was not known then" in one
    }
    assert len(later.doubts) == len(before.doubts) + 1


def test_a_process_that_starts_again_keeps_nothing_twice(stage: Stage) -> None:
    stage.adopt(NAME)
    stage.run(hours=3)
    with stage.database.read() as session:
        before = len(session.exec(select(EndpointFacts)).all())
    stage.restart()
    stage.run(hours=3)
    with stage.database.read() as session:
        assert len(session.exec(select(EndpointFacts)).all()) == before
