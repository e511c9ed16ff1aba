"""The hours of a preview against the timeline and the engine, for schedules drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from orchestrator.domain.schedules.text import parse_point, parse_window
from orchestrator.engine.engine import Cadence
from orchestrator.services import scheduling
from orchestrator.services.preview import Effect, Wanted, preview
from orchestrator.services.preview_hours import MONTH_SECONDS
from orchestrator.services.scheduling import Draft, Parts
from orchestrator.services.selectors import Selector
from orchestrator.services.timeline import timeline
from orchestrator.store.database import Database
from tests.support.stage import Stage, open_stage

START = datetime(2026, 11, 18, 10, 20, tzinfo=UTC)  # a Wednesday
SELDOM = Cadence(rest=timedelta(hours=2), transition=timedelta(minutes=1), rates=timedelta(days=9))
DAYS = ("daily", "mon-fri", "sat,sun", "tue,thu", "wed", "fri-mon")
CRON_DAYS = ("*", "mon-fri", "sat", "tue,thu", "3")
FLAGS = ("", " ready-by", " keep-running")
UP = ("running", "available")
WEEK, DAY = timedelta(weeks=1), timedelta(days=1)


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    """Return a stage with an endpoint that runs and is managed."""
    made = open_stage(sqlite_database, start=START, cadence=SELDOM)
    made.add("chat", startup_s=60)
    made.step()
    made.adopt("chat")
    return made


def drawn(
    random: Random, days: Sequence[str], cron_days: Sequence[str], flags: Sequence[str] = FLAGS
) -> Parts:
    """Return windows and points; where no point is drawn there is a window."""
    points = [
        parse_point(
            f"{random.choice(('start', 'stop'))} {random.choice((0, 30))} "
            f"{random.randrange(24)} * * {random.choice(cron_days)}"
        )
        for _ in range(random.randrange(3))
    ]
    windows = [
        parse_window(
            f"{random.choice(days)} {random.randrange(24):02}:00-{random.randrange(24):02}:30"
            f"{random.choice(flags)}"
        )
        for _ in range(random.randrange(0 if points else 1, 3))
    ]
    return Parts(windows=windows, points=points)


def save(stage: Stage, name: str, parts: Parts) -> str:
    everything, now = Selector(account_id=stage.account.id), [stage.endpoint("chat").id]
    draft = Draft(name, scheduling.make("UTC", parts), everything, apply_now=now)
    with stage.database.write() as session:
        made = scheduling.create(session, draft, stage.asked()).schedule
    stage.engine.nudge()
    return made.id


def change(stage: Stage, key: str, parts: Parts) -> None:
    everything, now = Selector(account_id=stage.account.id), [stage.endpoint("chat").id]
    with stage.database.write() as session:
        row = scheduling.find(session, key)
        draft = Draft(row.name, scheduling.make("UTC", parts), everything, apply_now=now)
        scheduling.replace(session, row, draft, stage.asked())
    stage.engine.nudge()


def effect(stage: Stage, parts: Parts, but: str | None = None) -> Effect:
    wanted = Wanted(scheduling.make("UTC", parts), Selector(account_id=stage.account.id), but=but)
    with stage.database.read() as session:
        (found,) = preview(session, wanted, weeks=1, now=stage.clock.now()).effects
    return found


def walked(stage: Stage, start: datetime, end: datetime) -> float:
    """Return the seconds of a month in which the timeline wants it up, from a span of it."""
    row = stage.endpoint("chat")
    with stage.database.read() as session:
        found = timeline(session, row, start, end, stage.clock.now())
    up = sum((one.end - one.start for one in found.stretches if one.wish in UP), timedelta())
    return up / (end - start) * MONTH_SECONDS


@pytest.mark.parametrize("seed", [0, 3, 4, 5])
def test_a_draft_beside_another_has_the_hours_of_the_timeline(stage: Stage, seed: int) -> None:
    """What comes before the first edge does not come again: the second week is looked at."""
    random = Random(seed)
    first, second, third = (drawn(random, DAYS, CRON_DAYS) for _ in range(3))
    save(stage, "First", first)
    told = effect(stage, second)
    key = save(stage, "Second", second)
    week = START + WEEK, START + 2 * WEEK
    assert told.seconds == pytest.approx(walked(stage, *week), abs=2)
    changed = effect(stage, third, key)
    assert changed.today == told.cost
    change(stage, key, third)
    assert changed.seconds == pytest.approx(walked(stage, *week), abs=2)


@pytest.mark.parametrize("seed", [1])
def test_a_draft_has_the_hours_of_the_engine(stage: Stage, seed: int) -> None:
    random = Random(seed)
    first, second = (drawn(random, ("daily",), ("*",), ("",)) for _ in range(2))
    save(stage, "First", first)
    told = effect(stage, second)
    key = save(stage, "Second", second)
    stage.run_until(START + 2 * DAY)
    # An engine that looks at an edge is there within the minute.
    assert told.seconds == pytest.approx(walked(stage, START + DAY, START + 2 * DAY), rel=0.005)
    later = effect(stage, second, key)
    assert (later.seconds, later.today) == (told.seconds, told.cost)


def test_points_on_days_of_months_have_the_hours_of_a_year(stage: Stage) -> None:
    parts = Parts(points=[parse_point("start 0 8 1 * *"), parse_point("stop 0 8 2,5 * *")])
    told = effect(stage, parts)
    save(stage, "Month", parts)
    month = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
    assert told.seconds == pytest.approx(walked(stage, *month) * 31 * 12 / 365, rel=0.001)
