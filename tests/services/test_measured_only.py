"""What-if tells only what was measured: outages, wakes that no rule made, limits."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, delete, select

from orchestrator.costs.figures import Figure
from orchestrator.domain.schedules.model import CronPoint, PointAction
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services import whatif, whatif_request
from orchestrator.services.errors import ServiceError
from orchestrator.services.other_rules import Others
from orchestrator.services.selectors import Selector
from orchestrator.services.timeline import timeline
from orchestrator.services.whatif import Comparison
from orchestrator.services.whatif_request import DraftPolicy, DraftSchedule, Wanted
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, UsageSample
from tests.support.stage import NAMESPACE, Stage, open_stage

NAME = "chat"
SLOW = Cadence(rest=timedelta(minutes=6), rates=timedelta(days=9))
NEVER = DraftPolicy("never", 43200, 0, "scale_to_zero")


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    return open_stage(sqlite_database, cadence=SLOW)


def compare(session: Session, name: str, others: Others, now: datetime) -> Comparison:
    row = session.exec(select(Endpoint).where(Endpoint.name == name)).one()
    found = whatif.what_if(session, row, others, end=now, now=now).compared
    assert found is not None
    return found


def asked(stage: Stage, start: datetime, **given: object) -> Wanted:
    given = {"selector": Selector(endpoint_id=stage.endpoint(NAME).id), **given}
    return Wanted(start, stage.clock.now(), **given)  # type: ignore[arg-type] # of it


def test_what_had_failed_is_not_billed_under_other_rules_either(stage: Stage) -> None:
    stage.world.add_endpoint(NAMESPACE, endpoint_payload(NAME), state="failed")
    stage.add("well")
    stage.step()
    stage.adopt(NAME, "well")
    stage.step()
    start = stage.clock.now()
    stage.run(hours=5)
    with stage.database.read() as session:
        others, _ = whatif_request.prepared(
            session, asked(stage, start, policy=NEVER), stage.clock.now()
        )
        failed, well = (compare(session, one, others, stage.clock.now()) for one in (NAME, "well"))
    assert failed.metered.hours.expected == failed.again.hours.high == 0
    assert failed.again.cost == failed.other.cost == failed.saved == Figure()
    assert well.again.hours.expected == pytest.approx(5, abs=0.2)


def test_a_wake_and_a_sleep_that_were_metered_are_evidence_of_use(stage: Stage) -> None:
    """The cloud has its own timer, and nothing counted requests: the meter is all that is left."""
    traffic = Traffic(
        [Window(day * 144 + hour * 6 + 2, 5, 1.0) for day in (0, 7) for hour in (3, 4, 9)]
    )
    stage.add(NAME, min_replica=0, timeout_minutes=30, traffic=traffic, startup_s=120)
    stage.step()
    stage.adopt(NAME)
    stage.step()
    start = stage.clock.now()
    stage.run(hours=14)
    with stage.database.engine.connect() as connection:
        session = Session(connection)
        session.exec(delete(UsageSample))
        others, _ = whatif_request.prepared(
            session, asked(stage, start, policy=NEVER), stage.clock.now()
        )
        found = compare(session, NAME, others, stage.clock.now())
        session.rollback()
    metered, again = found.metered, found.again
    assert metered.cold_starts.expected >= 2
    assert again.cold_starts.expected == metered.cold_starts.expected
    assert again.hours.expected == pytest.approx(metered.hours.expected, rel=0.15)
    # Of what was at zero it is known that nobody came, so no bound has it awake.
    assert again.hours.high <= metered.hours.expected + metered.cold_starts.expected * 0.75
    assert found.saved == Figure()


def test_too_much_work_is_refused_with_what_to_ask(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.add(NAME)
    stage.step()
    stage.adopt(NAME)
    start = stage.clock.now()
    stage.run(hours=13)
    points = (CronPoint("* * * * *", PointAction.START), CronPoint("30 * * * *", PointAction.STOP))
    draft = DraftSchedule("often", Windows("UTC", (), 0, points))
    now = stage.clock.now()
    with stage.database.read() as session:
        monkeypatch.setattr(whatif_request, "MOST_FIRINGS", 500)
        with pytest.raises(ServiceError) as often:
            whatif_request.prepared(session, asked(stage, start, schedule=draft), now)
        monkeypatch.setattr(whatif_request, "MOST_DAYS", 0)
        with pytest.raises(ServiceError) as long:
            whatif_request.prepared(session, asked(stage, start, policy=NEVER), now)
    assert (often.value.status, often.value.field) == (422, "schedule.points")
    assert "at most 500 firings" in often.value.detail
    assert (long.value.status, long.value.field) == (422, "from")
    assert "at most 0 are run again" in long.value.detail
    assert "shorter span" in (long.value.remedy or "")


def test_a_selector_that_matches_nothing_managed_is_told_so(stage: Stage) -> None:
    stage.add(NAME)
    stage.step()
    start = stage.clock.now() - timedelta(hours=1)
    with stage.database.read() as session:
        nobody = asked(stage, start, policy=NEVER, selector=Selector(labels={"team": "nobody"}))
        with pytest.raises(ServiceError) as none:
            whatif_request.prepared(session, nobody, stage.clock.now())
        with pytest.raises(ServiceError) as observed:
            whatif_request.prepared(session, asked(stage, start, policy=NEVER), stage.clock.now())
    assert (none.value.field, none.value.detail) == ("selector", "It matches no endpoint.")
    assert observed.value.field == "selector"
    assert "none is managed" in observed.value.detail


def test_there_is_no_figure_of_a_time_in_which_nobody_looked(stage: Stage) -> None:
    stage.add(NAME)
    stage.step()
    stage.adopt(NAME)
    first = stage.endpoint(NAME).first_seen_at
    stage.run(hours=2)
    now = stage.clock.now() + timedelta(hours=1)
    long_ago = first - timedelta(days=400)
    with stage.database.read() as session:
        row = session.exec(select(Endpoint)).one()
        found = timeline(session, row, long_ago, now, now)
        before = timeline(session, row, long_ago, first, now)
    ends = (found.stretches[0], found.stretches[-1])
    assert [(one.evidence, one.cost) for one in ends] == [("", None), ("unconfirmed", None)]
    assert found.stretches[0].end == first
    measured = [one.cost for one in found.stretches[1:-1]]
    assert measured
    assert all(cost is not None and cost.nano > 0 for cost in measured)
    assert found.past is not None
    assert found.future is None
    assert (before.past, before.future) == (None, None)
