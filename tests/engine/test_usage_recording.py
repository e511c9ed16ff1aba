"""What was read of requests is kept: never counted twice, and what is unknown stays unknown."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.traffic import BLOCK, Traffic, Window
from orchestrator.store import usage
from orchestrator.store.database import Database
from orchestrator.store.tables import UsageSample
from tests.support.aws_stage import open_aws_stage
from tests.support.stage import MONDAY, Stage, open_stage

LOOKS = Cadence(rest=timedelta(minutes=3), transition=timedelta(minutes=1))
HOUR = timedelta(hours=1)
STRETCH = timedelta(minutes=10)
# Requests in a few of the first stretches of Monday, none in all others.
BUSY = {3: 5, 4: 40, 9: 1, 14: 7}
QUIET_DAY = 144


def few() -> Traffic:
    weeks = (0, 7 * QUIET_DAY)  # a trace lasts two weeks, from a Monday on
    return Traffic(Window(week + block, BUSY[block], 1.0) for week in weeks for block in BUSY)


def recorded(stage: Stage, name: str = "chat") -> dict[int, UsageSample]:
    """Return what is known of the first day, by the number of the stretch."""
    key = stage.endpoint(name).id
    with stage.database.read() as session:
        rows = usage.samples(session, [key], MONDAY, MONDAY + 24 * HOUR).get(key, [])
    return {int((row.start - MONDAY) / STRETCH): row for row in rows}


def stored(stage: Stage) -> int:
    """Return how many rows that takes."""
    with stage.database.read() as session:
        return len(session.exec(select(UsageSample)).all())


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    """Return a stage with one endpoint that is used now and then."""
    assert STRETCH // timedelta(microseconds=1) == BLOCK
    stage = open_stage(sqlite_database, cadence=LOOKS)
    stage.add("chat", traffic=few())
    return stage


class TestTimesOfLastUse:
    def test_every_use_that_was_seen_counts_once_and_silence_is_known(self, stage: Stage) -> None:
        stage.run(hours=4)
        found = recorded(stage)
        for number in range(1, 17):  # the last hour without requests is written together
            requests = BUSY.get(number, 0)
            row = found[number]
            assert row.source == "last_use"
            assert min(requests, 1) <= row.requests <= requests
            if not requests and number + 1 not in BUSY:
                assert (row.covered_s, row.last_request_at) == (600, None)
        assert found[9].requests == 1
        assert stored(stage) < 12

    def test_a_restart_counts_nothing_twice_and_leaves_no_hole_in_silence(
        self, stage: Stage
    ) -> None:
        for _ in range(8):
            stage.run(minutes=27)
            stage.restart()
        stage.run(minutes=24)
        found = recorded(stage)
        assert all(found[number].requests <= BUSY.get(number, 0) for number in found)
        # Between the last look before a use and that use nothing is known.
        quiet = [number for number in range(1, 20) if number not in BUSY and number + 1 not in BUSY]
        assert {found[number].covered_s for number in quiet} == {600}

    def test_what_came_while_it_was_paused_is_unknown(self, stage: Stage) -> None:
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.click("pause", "chat")
        stage.run(hours=2)
        stage.click("resume", "chat")
        stage.run(hours=1, minutes=30)
        found = recorded(stage)
        assert min(found) == 0
        assert all(number not in found for number in range(2, 11))
        assert found[13].covered_s >= 420  # up to the last look before a use

    def test_without_listings_nothing_is_made_up(self, stage: Stage) -> None:
        stage.run(minutes=30)
        stage.world.faults.add(faults.missing_field("status.lastUsedAt"))
        stage.run(hours=2)
        assert max(recorded(stage)) == 2


class TestCounts:
    def test_counts_are_what_the_cloud_counted(self, sqlite_database: Database) -> None:
        stage = open_aws_stage(sqlite_database, cadence=LOOKS)
        stage.add("chat", traffic=few())
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.idle_policy(60, shadow=True)
        stage.run(hours=4)
        found = recorded(stage)
        told = {number: found[number].requests for number in range(1, 22)}
        assert told == {number: BUSY.get(number, 0) for number in range(1, 22)}
        assert {found[number].covered_s for number in range(1, 22)} == {600}
        assert found[4].source == "counts"
        last = found[4].last_request_at
        assert last is not None
        assert timedelta(0) <= last - found[4].start <= STRETCH

    def test_a_gap_in_the_metrics_is_read_later_and_not_taken_for_silence(
        self, sqlite_database: Database
    ) -> None:
        stage = open_aws_stage(sqlite_database, cadence=LOOKS)
        stage.add("chat", traffic=few())
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.idle_policy(60, shadow=True)
        stage.run(minutes=20)
        stage.world.faults.add(faults.error(500), path="/GetMetricData$", until=_at(minutes=110))
        stage.run_until(_at(minutes=109))
        assert max(recorded(stage)) <= 2
        stage.run_until(_at(hours=3))
        found = recorded(stage)
        assert {number: found[number].requests for number in (3, 4, 9, 14)} == BUSY


def _at(**span: float) -> datetime:
    return MONDAY + timedelta(**span)


def test_a_quiet_day_is_one_row(sqlite_database: Database) -> None:
    seldom = Cadence(rest=timedelta(minutes=20))
    stage = open_stage(sqlite_database, cadence=seldom)
    stage.add("chat")
    stage.run(hours=26)
    assert stored(stage) <= 4
    found = recorded(stage)
    assert len(found) >= QUIET_DAY - 1
    assert sum(row.requests for row in found.values()) == 0
