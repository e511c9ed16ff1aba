"""A preview of a schedule beside others that start early, and while a cron point stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.schedules.text import parse_point, parse_window
from orchestrator.engine.engine import Cadence
from orchestrator.services import scheduling
from orchestrator.services.preview import Effect, Wanted, preview
from orchestrator.services.preview_hours import MONTH_SECONDS
from orchestrator.services.scheduling import Draft, Parts
from orchestrator.services.selectors import Selector
from orchestrator.store.database import Database
from tests.support.stage import Stage, open_stage

DAWN = datetime(2026, 11, 16, 5, tzinfo=UTC)  # a Monday
SELDOM = Cadence(
    rest=timedelta(minutes=30), transition=timedelta(minutes=1), rates=timedelta(days=9)
)


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    """Return a stage with an endpoint that runs and is managed."""
    made = open_stage(sqlite_database, start=DAWN, cadence=SELDOM)
    made.add("chat", startup_s=60)
    made.step()
    made.adopt("chat")
    return made


def save(stage: Stage, name: str, *windows: str, point: str = "") -> tuple[str, Parts]:
    parts = Parts(
        windows=[parse_window(text) for text in windows],
        points=[parse_point(point)] if point else [],
    )
    everything, now = Selector(account_id=stage.account.id), [stage.endpoint("chat").id]
    draft = Draft(name, scheduling.make("UTC", parts), everything, apply_now=now)
    with stage.database.write() as session:
        made = scheduling.create(session, draft, stage.asked()).schedule
    stage.engine.nudge()
    return made.id, parts


def effect(stage: Stage, parts: Parts, but: str | None) -> Effect:
    made = scheduling.make("UTC", parts)
    wanted = Wanted(made, Selector(account_id=stage.account.id), but=but)
    with stage.database.read() as session:
        (found,) = preview(session, wanted, weeks=1, now=stage.clock.now()).effects
    return found


def hours_a_day(found: Effect) -> float:
    return found.seconds * 24 / MONTH_SECONDS


def test_a_start_that_another_schedule_wants_early_is_counted_too(stage: Stage) -> None:
    morning, early = save(stage, "Morning", "daily 08:00-10:00 ready-by")
    noon, plain = save(stage, "Noon", "daily 14:00-15:00")
    first, second = effect(stage, early, morning), effect(stage, plain, noon)
    # Nothing was measured: ten minutes more than the three hours of both.
    assert hours_a_day(second) == pytest.approx(3 + 1 / 6, abs=0.01)
    assert (first.seconds, first.cost) == (second.seconds, second.cost)
    assert first.start_up is not None
    assert second.start_up is None
    assert second.today is not None
    assert first.today is not None
    alone = effect(stage, early, None)
    assert alone.today == second.cost


def test_a_stop_that_stands_now_lasts_until_the_next_edge(stage: Stage) -> None:
    every = ("mon 06:00-24:00", "tue-sun 00:00-24:00")
    key, parts = save(stage, "All week", *every, point="stop 0 7 * * mon")
    stage.run(hours=1)
    before = effect(stage, parts, key)
    stage.run_until(DAWN + timedelta(days=1, hours=4))
    assert stage.state("chat") == "paused"
    assert [hold.wish for hold in stage.holds()] == ["paused"]
    held = effect(stage, parts, key)
    # Up from Monday 06:00 to 07:00 alone, whenever one looks.
    assert hours_a_day(before) * 7 == pytest.approx(1, abs=0.02)
    assert hours_a_day(held) * 7 == pytest.approx(1, abs=0.02)
    # A change that drops the point ends what it holds.
    assert hours_a_day(effect(stage, Parts(windows=parts.windows), key)) * 7 == pytest.approx(
        168 - 6, abs=0.02
    )
    # An edge of another schedule ends it too: up from Sunday 10:00 to the end of that day.
    beside = effect(stage, Parts(windows=[parse_window("sun 10:00-11:00")]), None)
    assert hours_a_day(beside) * 7 == pytest.approx(15, abs=0.02)
    assert beside.today == held.cost
