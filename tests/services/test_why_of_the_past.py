"""Why an endpoint was wanted so: what is recalled agrees with what was decided then."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import pytest

from orchestrator.domain.schedules.model import Window as Open
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services import freezing, policies, scheduling
from orchestrator.services.why import Why, explain
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, IdlePolicy, Schedule
from tests.support.stage import Stage, open_stage

SLOW = Cadence(rest=timedelta(minutes=25), transition=timedelta(minutes=1))
NAME = "chat"
BLOCKS_A_DAY = 144
HOUR = 6


@dataclass(frozen=True)
class Look:
    """What was said of an instant at that instant."""

    at: datetime
    wish: str | None
    rule: str
    rule_id: str
    outcomes: tuple[tuple[str, str], ...]


def office_traffic() -> Traffic:
    """A few requests in some of the hours of the working days."""
    hours = [(day, hour) for day in range(14) for hour in (8, 9, 11, 15, 19) if day % 7 < 5]
    return Traffic(
        [Window(day * BLOCKS_A_DAY + hour * HOUR + 2, 3 + hour % 4, 1.0) for day, hour in hours]
    )


def explained(stage: Stage, at: datetime) -> Why:
    with stage.database.read() as session:
        row = session.get_one(Endpoint, stage.endpoint(NAME).id)
        return explain(session, row, at, stage.clock.now())


def look(stage: Stage, at: datetime) -> Look:
    why = explained(stage, at)
    assert why.decision is not None, why.unknown_because
    decision = why.decision
    outcomes = tuple((one.rule, one.outcome) for one in why.lines)
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
    yield 66, lambda: freeze(stage)
    yield 69.5, lambda: thaw(stage)
    yield 83, lambda: protect(stage, protected=True)
    yield 99, lambda: protect(stage, protected=False)
    yield 107, lambda: stage.schedule(
        Open(frozenset({5}), time(6), time(22), keep_running=True), name="Saturday", shadow=True
    )
    yield 121, lambda: drop_policy(stage)


def change_schedule(stage: Stage) -> None:
    with stage.database.write() as session:
        row = session.get_one(Schedule, the(stage, Schedule))
        draft = scheduling.Draft(
            name=row.name,
            windows=scheduling.make_windows("Europe/Berlin", [Open(frozenset(range(5)), time(7), time(16))], 30),
            selector=scheduling.selectors.from_json(row.selector),
        )
        scheduling.replace(session, row, draft, stage.asked())


def drop_policy(stage: Stage) -> None:
    with stage.database.write() as session:
        row = session.get_one(IdlePolicy, the(stage, IdlePolicy))
        policies.remove(session, row, stage.asked())


def the(stage: Stage, table: type[Schedule] | type[IdlePolicy]) -> str:
    from sqlmodel import select

    with stage.database.read() as session:
        return session.exec(select(table)).first().id


def freeze(stage: Stage) -> None:
    with stage.database.write() as session:
        freezing.switch_on(session, None, stage.asked("incident 42"))


def thaw(stage: Stage) -> None:
    with stage.database.write() as session:
        freezing.switch_off(session, None, stage.asked())


def protect(stage: Stage, *, protected: bool) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint(NAME).id)
        row.protected = protected
        session.add(row)


def test_a_week_is_recalled_as_it_was_decided(stage: Stage) -> None:
    looks: list[Look] = []
    chance = random.Random(7)
    start = stage.clock.now()
    todo = dict(happenings(stage))
    instants = sorted({*todo, *(chance.uniform(4, 168) for _ in range(120))})
    for hour in instants:
        stage.run_until(start + timedelta(hours=hour))
        if hour in todo:
            todo[hour]()
        stage.step()
        if stage.endpoint(NAME).managed:
            looks.append(look(stage, stage.clock.now()))
            stage.clock.set(stage.clock.now() + timedelta(seconds=1))
    stage.run(hours=1)
    decided = stage.events("decision.changed")
    assert {one.data["rule"] for one in decided} >= {"standing", "schedule", "hold", "frozen", "idle"}
    for event in decided:
        then = look(stage, event.at)
        assert (then.wish, then.rule, then.rule_id) == (
            event.data["wish"], event.data["rule"], event.data["id"],
        ), f"{event.at}: {event.message}"
    different = [(one, look(stage, one.at)) for one in looks if look(stage, one.at) != one]
    assert different == [], f"{len(different)} of {len(looks)}"
