"""Starts at AWS: within the quota of instances, in order, and nothing sleeps for them in vain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.schedules.text import parse_window
from orchestrator.engine.engine import Cadence
from orchestrator.providers.pacing import PaceReport
from orchestrator.services import storms
from orchestrator.store.database import Database
from tests.support.aws_stage import AWS_ACCOUNT, GONE, REGION, AwsStage, open_aws_stage
from tests.support.crowd import used
from tests.support.stage import MONDAY

STORM = Cadence(
    rest=timedelta(minutes=5), transition=timedelta(seconds=30), rates=timedelta(hours=1)
)
NINE = MONDAY + timedelta(hours=9)
WINDOW = parse_window("mon-fri 09:00-18:00")
INF2 = "ml.inf2.xlarge"


def opened(database: Database, quota: int, **options: Any) -> AwsStage:
    """Return a stage a while before nine on Monday, with a quota of instances."""
    start = options.pop("start", NINE - timedelta(hours=2))
    stage = open_aws_stage(database, cadence=STORM, start=start, **options)
    stage.aws.set_quota(AWS_ACCOUNT, REGION, INF2, quota)
    return stage


def asleep(stage: AwsStage, *names: str) -> None:
    """Let us have paused endpoints by deleting them."""
    stage.allow(*names)
    for name in names:
        stage.click("pause", name)
    stage.run(minutes=15)
    assert {stage.state(name) for name in names} == {GONE}


def scale(stage: AwsStage, name: str, count: int) -> None:
    wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
    stage.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName=name,
        DesiredWeightsAndCapacities=[wanted],
    )


def told_late(stage: AwsStage, *names: str) -> dict[str, str]:
    ids = {stage.endpoint(name).id: name for name in names}
    with stage.database.read() as session:
        late = storms.late_starts(
            session, stage.account, [(key, NINE) for key in ids], stage.clock.now()
        )
    return {ids[one.endpoint_id]: one.words for one in late}


def test_what_is_paused_takes_the_instances_that_it_comes_back_with(
    sqlite_database: Database,
) -> None:
    """It is created with those of its configuration, then gets the number that it had."""
    stage = opened(sqlite_database, quota=5)
    stage.add("grown", count=1)
    stage.add("shrunk", count=3)
    stage.run(minutes=1)
    stage.adopt("grown", "shrunk")
    scale(stage, "grown", 2)
    scale(stage, "shrunk", 1)
    stage.run(minutes=10)
    asleep(stage, "grown", "shrunk")
    stage.add("other", count=1)
    stage.run(minutes=6)
    used(stage, {"grown": 9, "shrunk": 1})
    stage.schedule(WINDOW)
    late = told_late(stage, "grown", "shrunk")
    assert set(late) == {"shrunk"}
    assert "is used up" in late["shrunk"]
    stage.run_until(NINE + timedelta(minutes=20))
    assert (stage.state("grown"), stage.state("shrunk")) == ("InService", GONE)
    refused = stage.world.calls.mutating(committed=False)
    assert [call for call in refused if call.at >= NINE] == []


def test_an_autoscaled_fleet_counts_by_its_instances(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, quota=4)
    stage.add("wide", count=1)
    stage.add("small", count=1)
    stage.run(minutes=1)
    stage.adopt("wide", "small")
    asleep(stage, "small")
    scale(stage, "wide", 4)
    stage.run(minutes=10)
    stage.schedule(WINDOW)
    assert "4 of 4" in told_late(stage, "small")["small"]
    scale(stage, "wide", 3)
    stage.run(minutes=20)
    assert told_late(stage, "small") == {}
    stage.run_until(NINE + timedelta(minutes=15))
    assert stage.state("small") == "InService"


def test_zero_instances_hold_no_quota_and_are_not_paused_in_vain(
    sqlite_database: Database,
) -> None:
    stage = opened(sqlite_database, quota=1)
    stage.add_component("zero", instance_type=INF2, state="zero")
    stage.add("busy")
    stage.run(minutes=2)
    stage.adopt("zero", "busy")
    asleep(stage, "busy")
    stage.add("other")
    stage.run(minutes=2)
    used(stage, {"zero": 0, "busy": 9})
    stage.schedule(WINDOW, selector={"endpoint": stage.endpoint("busy").id})
    stage.run_until(NINE + timedelta(minutes=10))
    assert stage.endpoint("zero").status == "scaled_to_zero"
    assert stage.operations("zero") == []
    assert stage.state("busy") == GONE
    assert "1 of 1" in stage.events("decision.refused")[-1].message


def test_instances_that_stay_while_it_is_paused_are_its_own(sqlite_database: Database) -> None:
    """With a minimum of one instance, no copies are as paused as it gets; it wakes on that one."""
    stage = opened(sqlite_database, quota=1)
    scaled = {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 1}
    stage.add_component(
        "stays", instance_type=INF2, most_copies=0, variant={"ManagedInstanceScaling": scaled}
    )
    stage.run(minutes=2)
    stage.adopt("stays")
    stage.call(
        "UpdateInferenceComponentRuntimeConfig",
        InferenceComponentName="stays-model",
        DesiredRuntimeConfig={"CopyCount": 0},
    )
    stage.run(minutes=20)
    row = stage.endpoint("stays")
    assert (row.status, row.billed_high) == ("paused", 1)
    stage.schedule(WINDOW)
    assert told_late(stage, "stays") == {}
    stage.run_until(NINE + timedelta(minutes=15))
    assert stage.endpoint("stays").status == "running"
    assert stage.events("decision.refused") == []


def test_a_start_that_waits_for_capacity_takes_its_quota_once(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, quota=2)
    stage.add("short")
    stage.add("other")
    stage.run(minutes=1)
    stage.adopt("short", "other")
    asleep(stage, "short", "other")
    stage.aws.exhaust_capacity(REGION, INF2)
    stage.click("resume", "short")
    chosen = {"endpoint": stage.endpoint("other").id}
    stage.schedule(parse_window("mon-fri 07:45-18:00"), selector=chosen)
    stage.run_until(NINE - timedelta(minutes=75, seconds=1))
    (*_, waits) = stage.operations("short")
    assert (stage.endpoint("short").status, waits.status) == ("waiting_for_capacity", "running")
    stage.aws.restore_capacity(REGION, INF2)
    stage.run(minutes=40)
    assert (stage.state("short"), stage.state("other")) == ("InService", "InService")
    assert stage.events("decision.refused") == []


def short_of_calls(stage: AwsStage) -> None:
    """From now on AWS takes two calls a second of each operation, five at once."""
    stage.aws.switches = replace(stage.aws.switches, calls_per_second=2.0, call_burst=5)


@pytest.mark.parametrize("number", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_many_starts_at_nine_under_a_rate_limit(sqlite_database: Database, number: int) -> None:
    """Four of them find no room in the quota."""
    stage = opened(sqlite_database, number, start=NINE - timedelta(hours=4))
    names = [f"e{place:03}" for place in range(number)]
    for name in names:
        stage.add(name)
    stage.run(minutes=5)
    stage.adopt(*names)
    asleep(stage, *names)
    stage.aws.set_quota(AWS_ACCOUNT, REGION, INF2, number - 4)
    stage.run(hours=1)
    short_of_calls(stage)  # quotas cannot be read now: what was told last stands
    stage.run(hours=1)
    used(stage, {name: place for place, name in enumerate(names)})
    stage.schedule(WINDOW)
    never = {name for name, words in told_late(stage, *names).items() if "does not start" in words}
    assert never == set(names[:4])
    stage.run_until(NINE + timedelta(minutes=15))
    assert {name for name in names if stage.state(name) == "InService"} == set(names[4:])
    resumes = [op for op in stage.operations() if op.kind == "resume"]
    at = {op.endpoint_name: op.created_at for op in resumes}
    assert sorted(at, key=lambda name: (at[name], -names.index(name))) == names[:3:-1]
    since = [call for call in stage.world.calls if call.at >= NINE]
    sent = Counter(call.path.rsplit("/", 1)[-1] for call in since)
    # Looked at before, after, when it serves and twice for what is put back; not while it starts.
    assert sent["DescribeEndpoint"] < 8 * number
    made = [call for call in since if call.path.endswith("/CreateEndpoint")]
    # Only the pace sends a start twice: what has no room is not asked for.
    assert {call.name for call in made} == set(names[4:])
    assert len(made) <= 2 * (number - 4)
    # Each start takes two looks of two a second; the reads of those that serve hold it back.
    assert max(call.at for call in made) - NINE < timedelta(seconds=60 + 1.6 * number)
    stage.run_until(NINE + timedelta(minutes=25))
    assert {op.status for op in stage.operations() if op.kind == "resume"} == {"succeeded"}


def test_what_is_starting_is_not_read_at_every_look(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, quota=2)
    stage.add("model")
    config = stage.call("DescribeEndpoint", EndpointName="model")["EndpointConfigName"]
    stage.call("CreateEndpoint", EndpointName="slow", EndpointConfigName=config)
    stage.aws.place(AWS_ACCOUNT, REGION).endpoints["slow"].startup_s = 660
    stage.run(minutes=1)
    begun = len(looks(stage))
    stage.run(minutes=8)  # sixteen passes
    assert stage.endpoint("slow").status == "initializing"
    assert 3 <= len(looks(stage)) - begun <= 4
    stage.run(minutes=5)
    assert (stage.state("slow"), stage.endpoint("slow").status) == ("InService", "running")


def looks(stage: AwsStage) -> list[str]:
    return [call.path for call in stage.world.calls if call.path.endswith("/DescribeEndpoint")]


def test_a_preview_knows_the_pace_of_calls(sqlite_database: Database) -> None:
    stage = opened(sqlite_database, quota=60)
    names = [f"e{place:03}" for place in range(9)]
    for name in names:
        stage.add(name)
    stage.run(minutes=1)
    stage.adopt(*names)
    asleep(stage, *names)
    row = stage.schedule(WINDOW)
    name = stage.account.name
    wanted = [(stage.endpoint(one).id, NINE) for one in names]
    # Three looks at each at one every five seconds; how often prices may be read holds up nothing.
    busy = PaceReport(name, "sagemaker:DescribeEndpoint", 90, 9, 0.0, 0.2)
    other = PaceReport(name, "service-quotas:ListServiceQuotas", 90, 9, 0.0, 0.01)
    ends = []
    for paces in ((), (other,), (busy, other)):
        with stage.database.read() as session:
            how = storms.Forecasting(row.id, paces=paces)
            told = storms.late_starts(session, stage.account, wanted, stage.clock.now(), how)
        ends.append(sorted(one.begins_at - NINE for one in told if one.begins_at))
    assert ends == [[], [], [timedelta(seconds=late) for late in (90, 90, 120)]]
