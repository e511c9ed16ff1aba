"""Use at AWS is recorded of every managed endpoint that bills, in few calls and at a known cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from orchestrator.domain.endpoints import Usage
from orchestrator.engine.engine import Cadence
from orchestrator.engine.evidence import LEAD, usage_watch
from orchestrator.engine.operate import Operator
from orchestrator.providers.sagemaker.provider import SageMakerProvider
from orchestrator.sandbox import faults
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.store import usage
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Operation, UsageSample
from tests.support.aws_stage import AWS_ACCOUNT, GONE, AwsStage, open_aws_stage
from tests.support.stage import MONDAY

LOOKS = Cadence(rest=timedelta(minutes=10), transition=timedelta(minutes=1))
HOUR = timedelta(hours=1)
# Requests in a few of the first stretches of Monday, none in all others.
BUSY = {3: 5, 4: 40, 9: 1, 14: 7, 19: 3}
READING = 30_000
DOLLAR = 10**9


def few() -> Traffic:
    return Traffic(Window(week + block, BUSY[block], 1.0) for week in (0, 1008) for block in BUSY)


def recorded(stage: AwsStage, name: str) -> dict[int, UsageSample]:
    key = stage.endpoint(name).id
    with stage.database.read() as session:
        rows = usage.samples(session, [key], MONDAY, MONDAY + 24 * HOUR).get(key, [])
    return {int((row.start - MONDAY) / timedelta(minutes=10)): row for row in rows}


def requests(stage: AwsStage, name: str) -> dict[int, int]:
    return {number: row.requests for number, row in recorded(stage, name).items() if row.requests}


def readings(stage: AwsStage) -> int:
    return sum(call.path.endswith("/GetMetricData") for call in stage.world.calls)


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    """Return a stage with three used endpoints, two of them managed, and no policy at all."""
    stage = open_aws_stage(sqlite_database, cadence=LOOKS)
    for name in ("chat", "code", "foreign"):
        stage.add(name, traffic=few())
    stage.run(minutes=2)
    stage.adopt("chat", "code")
    return stage


def test_without_any_policy_all_use_is_recorded_in_one_call_an_hour(stage: AwsStage) -> None:
    stage.run(hours=5)
    assert requests(stage, "chat") == requests(stage, "code") == BUSY
    found = recorded(stage, "chat")
    assert {found[number].covered_s for number in range(1, 20)} == {600}
    assert recorded(stage, "foreign") == {}
    assert readings(stage) <= 6
    with stage.database.read() as session:
        watch = session.get_one(Account, stage.account.id).usage_watch
    assert (watch["endpoints"], watch["recorded"], watch["record_every_seconds"]) == (0, 2, 3600)
    # What is stored as the cost is what CloudWatch charges for: six metrics in an hour.
    assert stage.world.calls.metrics_requested[AWS_ACCOUNT] == 6 * readings(stage)
    assert watch["month_nano"] == 2 * READING * 730


def test_what_came_until_a_pause_is_recorded_too(stage: AwsStage) -> None:
    stage.allow("chat")
    stage.run(hours=2, minutes=38)  # the last reading was before the requests of 02:20
    stage.click("pause", "chat")
    stage.run(hours=2)
    assert stage.state("chat") == GONE
    assert requests(stage, "chat") == {number: BUSY[number] for number in (3, 4, 9, 14)}
    after = recorded(stage, "chat")
    assert all(after[number].covered_s == 0 for number in after if number > 17)


def test_what_came_until_a_pause_is_recorded_though_the_service_ends_then(
    stage: AwsStage,
) -> None:
    stage.allow("chat")
    stage.run(hours=2, minutes=38)  # the last reading was before the requests of 02:20
    stage.click("pause", "chat")
    while stage.state("chat") != GONE:
        stage.run(seconds=30)
    assert 14 not in requests(stage, "chat")
    stage.restart()
    stage.run(hours=2)
    assert requests(stage, "chat") == {number: BUSY[number] for number in (3, 4, 9, 14)}
    asked = readings(stage)
    stage.restart()
    stage.run(minutes=30)
    assert readings(stage) - asked <= 2


def test_hours_without_metrics_are_read_when_they_are_back(stage: AwsStage) -> None:
    stage.run(minutes=20)
    until = MONDAY + timedelta(hours=2, minutes=50)
    stage.world.faults.add(faults.error(500), path="/GetMetricData$", until=until)
    stage.run_until(until)
    assert requests(stage, "chat") == {}
    stage.run(hours=2)
    assert requests(stage, "chat") == BUSY


def no_metrics(stage: AwsStage, until: timedelta) -> None:
    stage.world.faults.add(faults.error(500), path="/GetMetricData$", until=MONDAY + until)


def test_what_came_until_a_pause_is_recorded_though_metrics_fail_then(stage: AwsStage) -> None:
    stage.allow("chat")
    stage.run(hours=2, minutes=38)  # the last reading was before the requests of 02:20
    no_metrics(stage, timedelta(hours=3, minutes=30))
    stage.click("pause", "chat")
    stage.run(hours=2)
    assert requests(stage, "chat") == {number: BUSY[number] for number in (3, 4, 9, 14)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[datetime, datetime]]:
    """Return the span of each reading, however often it has to be sent."""
    spans: list[tuple[datetime, datetime]] = []
    usage_of = SageMakerProvider.usage

    def usage(
        self: SageMakerProvider, names: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, Usage | None]:
        spans.append((start, end))
        return usage_of(self, names, start, end)

    monkeypatch.setattr(SageMakerProvider, "usage", usage)
    return spans


def test_metrics_that_never_come_back_are_given_up_after_a_stop(
    stage: AwsStage, asked: list[tuple[datetime, datetime]]
) -> None:
    stage.allow("chat", "code")
    stage.run(hours=1, minutes=38)
    no_metrics(stage, timedelta(hours=12))
    asked.clear()
    for name in ("chat", "code"):
        stage.click("pause", name)
    stage.run(hours=4)
    tried = len(asked)
    assert 10 <= tried <= 20
    stage.run(hours=2)
    assert len(asked) == tried


def test_what_was_read_just_before_its_stop_is_read_again_ten_minutes_later(
    sqlite_database: Database, asked: list[tuple[datetime, datetime]]
) -> None:
    stage = open_aws_stage(sqlite_database, cadence=Cadence(rest=timedelta(minutes=1)))
    stage.add("chat", traffic=few())
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    stage.idle_policy(60, shadow=True)
    stage.run(minutes=38)  # the last reading was before the last of the requests of 00:30
    stage.click("pause", "chat")
    stage.run(minutes=30)
    before, last = (end for _, end in asked[-2:])
    assert last - before >= timedelta(minutes=10)
    assert before - asked[-3][1] < timedelta(minutes=6)
    assert requests(stage, "chat") == {3: BUSY[3]}


def test_a_failed_reading_for_the_record_waits_for_its_turn(
    stage: AwsStage, asked: list[tuple[datetime, datetime]]
) -> None:
    stage.run(minutes=20)
    asked.clear()
    no_metrics(stage, timedelta(hours=6))
    stage.run(hours=5)
    assert 4 <= len(asked) <= 5


def test_a_seldom_reading_looks_back_a_day_at_most(
    stage: AwsStage, asked: list[tuple[datetime, datetime]]
) -> None:
    cap = Decimal("0.003")  # at a quarter of it, readings of two endpoints are 58 hours apart
    settings = stage.context.settings
    stage.context.settings = settings.model_copy(update={"usage_budget_usd_per_month": cap})
    stage.restart()
    stage.run(hours=1)
    assert asked
    assert all(end - start <= timedelta(days=1) + LEAD for start, end in asked)


def test_what_was_read_is_kept_where_acting_fails(
    stage: AwsStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Operator) -> list[Operation]:
        raise ArithmeticError(f"a fault of {self}")

    stage.run(hours=1, minutes=48)  # the last reading was before the request of 01:30
    stage.idle_policy(60, shadow=True)
    with monkeypatch.context() as patched:
        patched.setattr(Operator, "run", broken)
        stage.step()
    assert "ArithmeticError" in stage.events("account.failing")[0].message
    no_metrics(stage, timedelta(hours=12))
    stage.run(minutes=30)
    assert requests(stage, "chat") == {number: BUSY[number] for number in (3, 4, 9)}


def test_a_restart_counts_nothing_twice(stage: AwsStage) -> None:
    for _ in range(6):
        stage.run(minutes=47)
        stage.restart()
    stage.run(minutes=30)
    assert requests(stage, "chat") == BUSY


def test_a_budget_of_nothing_records_nothing_and_costs_nothing(stage: AwsStage) -> None:
    settings = stage.context.settings
    before = readings(stage)
    stage.context.settings = settings.model_copy(update={"usage_budget_usd_per_month": Decimal(0)})
    stage.run(hours=4)
    assert readings(stage) == before


@pytest.mark.parametrize(
    ("watched", "recorded_only", "every", "record_every"),
    [
        (0, 200, timedelta(minutes=5), HOUR),
        (0, 1000, timedelta(minutes=5), timedelta(hours=4, minutes=22, seconds=48)),
        (10, 10_000, timedelta(minutes=5), timedelta(hours=43, minutes=48)),
        (0, 5_000_000, timedelta(minutes=5), timedelta(hours=21_900)),
        (100, 0, timedelta(minutes=6, seconds=35), HOUR),
    ],
)
def test_the_record_gets_a_quarter_of_the_budget_at_most(
    watched: int, recorded_only: int, every: timedelta, record_every: timedelta
) -> None:
    plan = usage_watch(watched, READING, 20 * DOLLAR, recorded_only)
    assert (plan.every, plan.record_every) == (every, record_every)
    assert plan.month_nano <= 20 * DOLLAR
    alone = usage_watch(0, READING, 20 * DOLLAR, recorded_only)
    assert alone.month_nano <= 5 * DOLLAR


def test_a_budget_of_nothing_has_a_pace_however_many_there_are() -> None:
    assert usage_watch(10_000, READING, 0, 10_000).every > timedelta(days=3000)
