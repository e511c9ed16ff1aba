"""What-if, timeline and shadow reports go by the rules, for as long as these were in charge."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlmodel import select

from orchestrator.domain.demand import Demand
from orchestrator.domain.rerun import Regime
from orchestrator.domain.schedules.model import EVERY_DAY, CronPoint, PointAction
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.model import Window as Open
from orchestrator.domain.status import Status
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services import (
    differences,
    edges,
    expiry_policies,
    policies,
    releasing,
    reruns,
    scheduling,
    shadow_report,
    whatif,
    whatif_request,
    witnessed,
)
from orchestrator.services.other_rules import Others
from orchestrator.services.scheduling import Parts
from orchestrator.services.selectors import Selector
from orchestrator.services.timeline import timeline
from orchestrator.services.whatif import WhatIf
from orchestrator.services.whatif_request import DraftPolicy, Wanted
from orchestrator.services.witnessed import Seen, Witnessed
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, MeterInterval
from tests.support.stage import Stage, open_stage

NAME = "chat"
SLOW = Cadence(rest=timedelta(minutes=6), rates=timedelta(days=9))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    return open_stage(sqlite_database, cadence=SLOW)


def adopted(stage: Stage, **given: object) -> datetime:
    """Add and adopt an endpoint; return when that was done."""
    stage.add(NAME, **given)  # type: ignore[arg-type] # of the stage
    stage.step()
    stage.adopt(NAME)
    stage.step()
    return stage.clock.now()


def asked(stage: Stage, wanted: Wanted) -> WhatIf:
    with stage.database.read() as session:
        others, rows = whatif_request.prepared(session, wanted, stage.clock.now())
        now = stage.clock.now()
        return whatif.what_if(session, rows[0], others, end=wanted.end, now=now)


def night(stage: Stage, hour: int) -> scheduling.Draft:
    stop, start = CronPoint(f"0 {hour} * * *", PointAction.STOP), CronPoint("0 8 * * *", START)
    parts = Parts(points=[stop, start])
    everything = Selector(account_id=stage.account.id)
    return scheduling.Draft("Night", scheduling.make("UTC", parts), everything)


START = PointAction.START


def test_a_saved_policy_acts_from_the_start_of_the_span_as_a_draft_does(stage: Stage) -> None:
    traffic = Traffic([Window(1008 + hour * 6 + 2, 3, 1.0) for hour in (3, 9)])
    start = adopted(stage, min_replica=0, traffic=traffic)
    stage.run(hours=14)
    end, everything = stage.clock.now(), Selector(account_id=stage.account.id)
    with stage.database.write() as session:
        draft = policies.Draft("Nap", 20, 5, "scale_to_zero", everything)
        saved = policies.create(session, draft, stage.asked()).policy.id
    by_name = asked(stage, Wanted(start, end, everything, rules=[saved])).compared
    same = DraftPolicy("d", 20, 5, "scale_to_zero")
    by_draft = asked(stage, Wanted(start, end, everything, policy=same)).compared
    assert by_name is not None
    assert by_draft is not None
    assert by_name.other == by_draft.other
    assert by_name.other.hours.expected < 4
    assert by_name.other.cold_starts.expected == 2
    assert by_name.saved == by_draft.saved


def test_a_saved_schedule_whose_points_were_moved_leaves_no_old_holds(stage: Stage) -> None:
    start = adopted(stage, min_replica=1)
    with stage.database.write() as session:
        key = scheduling.create(session, night(stage, 18), stage.asked()).schedule.id
    stage.run(hours=40)
    end, everything = stage.clock.now(), Selector(account_id=stage.account.id)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    asleep = (midnight + 18 * HOUR, midnight + 32 * HOUR)
    # A span that begins within the hold of a point goes on with it where nothing is moved.
    late = asked(stage, Wanted(midnight + 20 * HOUR, end, everything, rules=[key])).compared
    with stage.database.write() as session:
        moved = night(stage, 20)
        scheduling.replace(session, scheduling.find(session, key), moved, stage.asked())
    found = asked(stage, Wanted(start, end, everything, rules=[key])).compared
    # The point of 18 o'clock is there no more: what it held has ended.
    ended = asked(stage, Wanted(midnight + 19 * HOUR, end, everything, rules=[key])).compared
    assert late is not None
    assert found is not None
    assert ended is not None
    assert differences.asleep(late.courses.expected) == [(midnight + 20 * HOUR, asleep[1])]
    assert late.saved.nano == 0
    again = differences.asleep(found.before.expected)[0]
    assert abs(again[0] - asleep[0]) < HOUR / 2
    assert differences.asleep(found.courses.expected) == [(midnight + 20 * HOUR, asleep[1])]
    assert found.saved.high < 0
    assert differences.asleep(ended.courses.expected) == [(midnight + 20 * HOUR, asleep[1])]


def test_the_likely_cost_ahead_of_what_is_in_use_is_not_that_of_its_timer(stage: Stage) -> None:
    traffic = Traffic([Window(number, 50, 1.0) for number in range(14 * 144)])
    adopted(stage, min_replica=0, timeout_minutes=15, traffic=traffic)
    stage.run(hours=2)
    now = stage.clock.now()
    with stage.database.read() as session:
        row = session.exec(select(Endpoint)).one()
        found = timeline(session, row, now, now + 10 * DAY, now)
    assert row.status == Status.RUNNING
    future = found.future
    assert future is not None
    assert future.low < future.high / 100
    assert future.nano == future.high
    assert {one.status for one in found.stretches} == {Status.RUNNING}
    assert found.stretches[0].may_sleep


def test_what_sleeps_at_zero_is_not_expected_to_wake(stage: Stage) -> None:
    adopted(stage, min_replica=0, timeout_minutes=15)
    stage.run(hours=2)
    now = stage.clock.now()
    with stage.database.read() as session:
        row = session.exec(select(Endpoint)).one()
        found = timeline(session, row, now, now + DAY, now)
    assert row.status == Status.SCALED_TO_ZERO
    assert found.future is not None
    assert found.future.nano == found.future.low == 0
    assert found.future.high > 0


@pytest.mark.parametrize("end", ["switched off", "in earnest"])
def test_a_shadow_ends_with_its_rule(stage: Stage, end: str) -> None:
    """What it would have put to sleep would sleep on for ever after that."""
    start = adopted(stage, min_replica=1)
    row = stage.idle_policy(minutes=30, action="pause", shadow=True)
    stage.run(hours=5)
    with stage.database.write() as session:
        held = session.get_one(type(row), row.id)
        if end == "in earnest":
            held.shadow, held.timeout_minutes = False, 4000
        else:
            held.enabled = False
        session.add(held)
    stage.run(hours=30)
    with stage.database.read() as session:
        rows = session.exec(select(Endpoint)).all()
        (line,) = shadow_report.report(session, rows, start=start, end=stage.clock.now())
    assert line.in_shadow_s == pytest.approx(5 * 3600, abs=900)
    assert line.slept_s == pytest.approx(4.5 * 3600, abs=900)
    assert line.compared.saved.nano == sum(one.saved.nano for one in line.sleeps)


def test_nothing_is_compared_while_it_was_released(stage: Stage) -> None:
    start = adopted(stage, min_replica=1)
    stage.schedule(Open(EVERY_DAY, time(7), time(8)), name="Day", shadow=True)
    stage.run(hours=6)
    with stage.database.write() as session:
        row = session.exec(select(Endpoint)).one()
        releasing.release(stage.context, session, row, stage.asked())
    released = stage.clock.now()
    stage.run(hours=24)
    now = stage.clock.now()
    with stage.database.read() as session:
        rows = session.exec(select(Endpoint)).all()
        (line,) = shadow_report.report(session, rows, start=start, end=now)
        (part,) = shadow_report.report(session, rows, start=released - 2 * HOUR, end=now)
    assert line.compared.end == released
    assert line.slept_s == pytest.approx(6 * 3600, abs=900)
    assert line.in_shadow_s <= 6 * 3600
    assert part.in_shadow_s == 2 * 3600
    stage.adopt(NAME)
    again = stage.clock.now()
    stage.run(hours=5)
    now = stage.clock.now()
    with stage.database.read() as session:
        rows = session.exec(select(Endpoint)).all()
        others = Others(start, instead=True)
        both = whatif.what_if(session, rows[0], others, end=now, now=now)
        gone = whatif.what_if(session, rows[0], others, end=again - HOUR, now=now)
        since = Others(released + HOUR, instead=True)
        later = whatif.what_if(session, rows[0], since, end=now, now=now)
    assert both.compared is not None
    managed = both.compared
    for hours in (managed.metered.hours, managed.again.hours, managed.other.hours):
        assert hours.expected == pytest.approx(11, abs=0.5)
    gap = both.not_compared[0]
    assert gap.start == released
    assert again <= gap.end <= again + HOUR / 2
    assert "not managed" in gap.why
    assert all(
        leg.end <= gap.start or leg.start >= gap.end for leg in managed.courses.expected.legs
    )
    assert gone.compared is not None
    assert gone.compared.end == released
    assert later.compared is not None
    assert later.compared.start == gap.end


def test_a_start_that_ended_later_was_not_measured_yet(stage: Stage) -> None:
    adopted(stage, min_replica=1, startup_s=120)
    stage.run(hours=1)
    then, endpoint = stage.clock.now(), stage.endpoint(NAME)
    with stage.database.read() as session:
        before = reruns.start_up_of(session, endpoint, then)
    stage.click("pause", NAME)
    stage.run(minutes=30)
    stage.click("resume", NAME)
    stage.run(hours=1)
    with stage.database.read() as session:
        assert reruns.start_up_of(session, endpoint, then) == before
        after = reruns.start_up_of(session, endpoint, stage.clock.now())
    assert (before.measured, after.measured) == (0, 1)


def used(seen: tuple[Seen, ...], regimes: list[Regime]) -> tuple[object, ...]:
    demand = Demand(FIRST, FIRST + 10 * DAY, (), ((FIRST, FIRST + 10 * DAY),))
    return witnessed.informed(demand, Witnessed(seen), regimes).used


def regime(days: float, timer: timedelta | None) -> Regime:
    def nobody_asks(*_: object) -> object:
        raise AssertionError

    return Regime(FIRST + days * DAY, nobody_asks, timer=timer)  # type: ignore[arg-type] # unasked


def awake(first: float, last: float, kind: str = witnessed.AWAKE) -> Seen:
    return Seen(FIRST + first * DAY, FIRST + last * DAY, kind, Status.FAILED)


def test_a_timer_shows_use_only_while_it_was_set() -> None:
    late = [regime(0, None), regime(9, QUARTER), regime(9.25, QUARTER)]
    seen = (awake(0, 9.5), awake(9.5, 10, witnessed.ZERO))
    assert used(seen, late) == ((FIRST + 9 * DAY, FIRST + 9.5 * DAY - QUARTER),)
    removed = [regime(0, QUARTER), regime(9, None)]
    assert used((awake(0, 10),), removed) == ((FIRST, FIRST + 9 * DAY - QUARTER),)
    longer = [regime(0, QUARTER), regime(5, DAY)]
    assert used((awake(0, 10),), longer) == (
        (FIRST, FIRST + 5 * DAY - QUARTER),
        (FIRST + 5 * DAY, FIRST + 9 * DAY),
    )


def test_what_nobody_looked_at_is_no_use() -> None:
    seen = (awake(0, 4), awake(4, 6, witnessed.UNLOOKED), awake(6, 10))
    assert used(seen, [regime(0, QUARTER)]) == (
        (FIRST, FIRST + 4 * DAY - QUARTER),
        (FIRST + 6 * DAY, FIRST + 10 * DAY - QUARTER),
    )


def test_the_meter_tells_where_nobody_looked(stage: Stage) -> None:
    traffic = Traffic([Window(day + number, 50, 1.0) for day in (0, 1008) for number in range(6)])
    start = adopted(stage, min_replica=0, timeout_minutes=15, traffic=traffic)
    stage.run(hours=2)
    with stage.database.write() as session:
        for row in session.exec(select(MeterInterval)).all():
            row.evidence = "unobserved" if row.replicas else row.evidence
            session.add(row)
    with stage.database.read() as session:
        found = witnessed.read(session, stage.endpoint(NAME).id, start, stage.clock.now())
    zero, unlooked = witnessed.ZERO, witnessed.UNLOOKED
    assert [one.kind for one in found.seen] == [zero, unlooked, zero]
    assert witnessed.witness(found).slept == (found.seen[2].start,)
    assert not used(found.seen, [regime(0, QUARTER)])


def test_firings_of_few_days_are_counted_wherever_they_lie() -> None:
    once = Windows("UTC", (), 0, (CronPoint("* * 28 12 *", START),))
    end = FIRST + 100 * DAY
    assert edges.firings_between(once, FIRST, end, 10_000) == 1440
    often = Windows("UTC", (), 0, (CronPoint("* * * * *", START),))
    assert 500 <= edges.firings_between(often, FIRST, end, 500) <= 7 * 1440
    assert edges.firings_between(often, FIRST, FIRST + DAY, 10_000) == 1440


def test_a_saved_rule_acts_on_what_it_covers_itself(stage: Stage) -> None:
    """The selector of the question says what is compared, not what a saved rule covers."""
    stage.add("other", min_replica=1)
    start = adopted(stage, min_replica=1)
    stage.adopt("other")
    stage.run(hours=4)
    chat, other = stage.endpoint(NAME).id, stage.endpoint("other").id
    end, everything = stage.clock.now(), Selector(account_id=stage.account.id)
    with stage.database.write() as session:
        only = Selector(endpoint_id=other)
        nap = policies.Draft("Nap", 20, 5, "pause", only)
        saved = policies.create(session, nap, stage.asked()).policy.id
        trials = expiry_policies.Draft("Trials", only, default_ttl="1h")
        expiry_policies.create(session, trials, stage.asked())
        asked_for = Wanted(start, end, everything, rules=[saved, "Trials"])
        others, rows = whatif_request.prepared(session, asked_for, end)
        found = {
            row.id: whatif.what_if(session, row, others, end=end, now=end).compared for row in rows
        }
    assert set(others.ends) == {other}
    assert whatif_request.BY_ITS_SELECTOR in whatif_request.assumptions(others)
    untouched, changed = found[chat], found[other]
    assert untouched is not None
    assert changed is not None
    assert untouched.other == untouched.again
    assert changed.other.hours.expected < changed.again.hours.expected
