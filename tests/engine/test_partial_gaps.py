"""What an incomplete listing shows after a time in which nobody looked."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx2
import pytest

from orchestrator.costs.report import CostReport, cost_report
from orchestrator.domain.schedules.text import parse_window
from orchestrator.sandbox import faults
from orchestrator.services import accounts
from orchestrator.store.database import Database
from orchestrator.store.tables import Account
from tests.support.aws_stage import GONE, AwsStage, open_aws_stage
from tests.support.stage import Stage, open_stage

AWAY = timedelta(hours=3)


def test_a_gap_before_a_partial_listing_stays_a_gap(sqlite_database: Database) -> None:
    """It shows the endpoint as it was, which vouches for nothing in between; then it is paused."""
    stage = open_stage(sqlite_database)
    stage.add("web", min_replica=1, max_replica=3)
    stage.add("zebra")
    stage.run(minutes=2)
    stage.adopt("web")
    stage.schedule(parse_window("daily 00:00-01:00"))
    stage.run(minutes=2)
    stage.clock.set(stage.clock.now() + AWAY)
    stage.world.faults.add(faults.partial_listing(1), path="/endpoint/acme$", count=1)
    stage.step()
    assert stage.events("account.partial")
    assert stage.changes("web") == ["web pause"]
    gaps = [one for one in stage.intervals("web") if one.evidence == "unobserved"]
    assert sum((one.ended_at - one.started_at for one in gaps if one.ended_at), timedelta()) > (
        AWAY - timedelta(minutes=5)
    )
    assert max(one.replicas_high for one in gaps) == 3


def unobserved(stage: Stage, name: str) -> timedelta:
    now = stage.clock.now()
    gaps = [one for one in stage.intervals(name) if one.evidence == "unobserved"]
    return sum(((one.ended_at or now) - one.started_at for one in gaps), timedelta())


def report(stage: Stage) -> CostReport:
    now = stage.clock.now()
    with stage.database.read() as session:
        return cost_report(session, start=stage.started, end=now, now=now)


def check_figure(report: CostReport, name: str, billed: int) -> None:
    figure = next(item.figure for item in report.items if item.name == name)
    slack = figure.high // 50  # the time since the last look
    assert figure.low <= billed <= figure.high + slack, (figure, billed)
    assert figure.high - figure.low < billed // 5


def bill_of(stage: Stage, name: str) -> int:
    return sum(line.nano_usd for line in stage.bill() if line.name == name)


@pytest.fixture
def partial(sqlite_database: Database) -> Stage:
    """Half an hour of whole listings, then hours in which each loses its last row."""
    stage = open_stage(sqlite_database)
    stage.add("web", min_replica=1, max_replica=3)
    stage.add("zebra")
    stage.run(minutes=30)
    stage.world.faults.add(faults.partial_listing(1), path="/endpoint/acme$")
    stage.run(hours=4)
    assert stage.events("account.partial")
    return stage


def test_what_incomplete_listings_show_is_metered_all_the_time(partial: Stage) -> None:
    found = report(partial)
    assert found.measured_until is not None
    assert found.measured_until < partial.started + timedelta(minutes=31)
    check_figure(found, "web", bill_of(partial, "web"))
    partial.world.faults.clear()
    partial.run(minutes=10)
    assert unobserved(partial, "web") == timedelta()
    assert unobserved(partial, "zebra") > timedelta(hours=3)
    check_figure(report(partial), "web", bill_of(partial, "web"))


def test_an_account_that_is_removed_after_incomplete_listings_is_metered_to_the_last(
    partial: Stage,
) -> None:
    billed = bill_of(partial, "web")
    with partial.database.write() as session:
        accounts.remove(session, session.get_one(Account, partial.account.id), partial.asked())
    check_figure(report(partial), "web", billed)
    assert "counted up to 2026-11-16 00:2" in partial.events("account.removed")[0].message
    (ended,) = {one.ended_at for one in partial.intervals("zebra")}
    assert ended is not None
    assert ended < partial.started + timedelta(minutes=31)


def test_a_gap_after_incomplete_listings_alone_is_a_gap(sqlite_database: Database) -> None:
    """No look at the whole account was ever made before the hours in which nobody looked."""
    stage = open_stage(sqlite_database)
    stage.add("web", min_replica=1, max_replica=3)
    stage.add("zebra")
    stage.world.faults.add(faults.partial_listing(1), path="/endpoint/acme$")
    stage.run(minutes=30)
    stage.world.faults.clear()
    stage.clock.set(stage.clock.now() + AWAY)
    stage.step()
    assert AWAY <= unobserved(stage, "web") < AWAY + timedelta(minutes=10)


def denied_of_bad(request: httpx2.Request) -> httpx2.Response | None:
    """Refuse to describe one endpoint, as a policy by its tags would."""
    asked = request.headers.get("x-amz-target", "").endswith("DescribeEndpoint")
    if not asked or json.loads(request.content)["EndpointName"] != "bad":
        return None
    told = {"__type": "AccessDeniedException", "message": "not authorized"}
    return httpx2.Response(400, json=told, request=request)


@pytest.fixture
def denied(sqlite_database: Database) -> AwsStage:
    """Ten minutes of whole looks, and from then on one of two endpoints cannot be read."""
    stage = open_aws_stage(sqlite_database)
    stage.add("web")
    stage.add("bad")
    stage.run(minutes=10)
    stage.wire.instead = denied_of_bad
    return stage


def test_an_endpoint_that_cannot_be_read_stops_no_count_but_its_own(denied: AwsStage) -> None:
    stage = denied
    stage.run(hours=6)
    billed = sum(line.nano_usd for line in stage.aws_bill() if line.name == "web")
    check_figure(report(stage), "web", billed)
    stage.wire.instead = lambda _: None
    stage.run(minutes=20)
    assert unobserved(stage, "web") == timedelta()
    assert unobserved(stage, "bad") > timedelta(hours=5)


def test_what_vanishes_after_incomplete_looks_was_there_until_the_last_of_them(
    denied: AwsStage,
) -> None:
    """The last look at all of the account is hours old, for another endpoint cannot be read."""
    stage = denied
    stage.run(hours=3)
    stage.call("DeleteEndpoint", EndpointName="web")
    stage.run(minutes=30)
    assert stage.endpoint("web").deleted_at is not None
    assert unobserved(stage, "web") == timedelta()
    billed = sum(line.nano_usd for line in stage.aws_bill() if line.name == "web")
    check_figure(report(stage), "web", billed)


def test_a_listing_that_loses_many_vouches_for_nothing_that_is_away(
    sqlite_database: Database,
) -> None:
    """What we deleted to pause it is not listed anyway; an empty listing does not prove that."""
    stage = open_aws_stage(sqlite_database)
    for name in ("away", "one", "two", "three", "four"):
        stage.add(name)
    stage.run(minutes=2)
    stage.adopt("away")
    stage.allow("away")
    stage.click("pause", "away")
    stage.run(minutes=20)
    assert stage.state("away") == GONE
    looked = stage.endpoint("away").confirmed_at
    stage.world.faults.add(faults.empty_listing(), path="/ListEndpoints$")
    stage.world.faults.add(faults.aws_error("InternalFailure"), path="/DescribeEndpoint$")
    stage.run(minutes=30)
    assert stage.events("account.listing_doubted")
    assert stage.endpoint("away").confirmed_at == looked
