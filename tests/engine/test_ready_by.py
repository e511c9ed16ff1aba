"""Windows that want an endpoint to serve at their start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.schedules.text import parse_window
from orchestrator.domain.status import Status
from orchestrator.engine.engine import Cadence
from orchestrator.services import scheduling
from orchestrator.services.preview import Wanted, preview
from orchestrator.services.scheduling import Draft, Parts
from orchestrator.services.selectors import Selector
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Operation
from tests.support.stage import Stage, open_stage

DAWN = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)  # a Monday
OPENS = DAWN.replace(hour=8)
MINUTE = timedelta(minutes=1)
SLOW = Cadence(
    rest=timedelta(minutes=20), transition=timedelta(seconds=30), rates=timedelta(days=1)
)


@pytest.fixture
def dawn(sqlite_database: Database) -> Stage:
    """Return a stage with an endpoint that takes nine minutes to start, and sleeps."""
    stage = open_stage(sqlite_database, start=DAWN, cadence=SLOW)
    stage.add("slow", startup_s=540)
    stage.step()
    stage.adopt("slow")
    stage.click("pause", "slow")
    stage.step()
    stage.run(minutes=10)
    assert stage.state("slow") == "paused"
    return stage


def save(stage: Stage, text: str = "mon-fri 08:00-18:00 ready-by") -> None:
    made = scheduling.make("UTC", Parts(windows=[parse_window(text)]))
    draft = Draft("Office", made, Selector(account_id=stage.account.id))
    with stage.database.write() as session:
        scheduling.create(session, draft, stage.asked())
    stage.engine.nudge()


def remember(stage: Stage, *minutes: int) -> None:
    """Let it have been resumed before, on as many earlier days."""
    row = stage.endpoint("slow")
    with stage.database.write() as session:
        for number, took in enumerate(minutes):
            begun = DAWN - timedelta(days=number + 1)
            session.add(
                Operation(
                    id=new_id("op", begun),
                    account_id=row.account_id,
                    endpoint_id=row.id,
                    endpoint_name=row.name,
                    kind="resume",
                    status="succeeded",
                    actor="ana",
                    reason="test",
                    created_at=begun,
                    started_at=begun,
                    accepted_at=begun,
                    finished_at=begun + took * MINUTE,
                )
            )


def resumed_at(stage: Stage) -> datetime:
    (operation,) = [one for one in stage.operations("slow") if one.kind == "resume"][-1:]
    return operation.created_at


def test_it_serves_when_its_window_opens_by_what_was_measured(dawn: Stage) -> None:
    remember(dawn, 9, 9, 9, 9, 9)
    save(dawn)
    dawn.run_until(OPENS)
    assert resumed_at(dawn) == OPENS - 13 * MINUTE
    assert dawn.endpoint("slow").status == Status.RUNNING
    dawn.run(minutes=30)
    assert [one.kind for one in dawn.operations("slow")][-1] == "resume"


def test_before_anything_was_measured_the_usual_time_of_its_cloud_counts(dawn: Stage) -> None:
    save(dawn)
    dawn.run_until(OPENS)
    assert resumed_at(dawn) == OPENS - 10 * MINUTE


def test_a_window_without_it_starts_at_its_time(dawn: Stage) -> None:
    save(dawn, "mon-fri 08:00-18:00")
    dawn.run_until(OPENS + MINUTE)
    assert resumed_at(dawn) == OPENS


def test_the_preview_names_the_same_instants(dawn: Stage) -> None:
    remember(dawn, 9, 9, 9, 9, 9)
    made = scheduling.make("UTC", Parts(windows=[parse_window("mon-fri 08:00-18:00 ready-by")]))
    wanted = Wanted(made, Selector(account_id=dawn.account.id))
    with dawn.database.read() as session:
        found = preview(session, wanted, weeks=1, now=dawn.clock.now())
    first = found.starts[0]
    assert (first.at, first.opens_at) == (OPENS - 13 * MINUTE, OPENS)
    assert first.endpoint.name == "slow"
    (effect,) = found.effects
    assert effect.start_up is not None
    assert (effect.start_up.measured, effect.start_up.source) == (5, "own")
    save(dawn)
    dawn.run_until(OPENS)
    assert resumed_at(dawn) == first.at
