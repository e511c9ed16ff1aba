"""The verdict of an idle policy: what proves idleness, what vetoes it, what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from orchestrator.domain.asked import Standing
from orchestrator.domain.decide import Facts, Rule, decide
from orchestrator.domain.idle import Activity, IdleRule, Verdict, judge, quiet_until
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.status import Status, Wish

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = IdleRule("pol_1", "nap", 30 * MINUTE, timedelta(0), NOW - timedelta(days=1))
QUIET = Activity(
    last_request_at=NOW - 40 * MINUTE,
    covered_to=NOW,
    started_at=NOW - timedelta(hours=8),
    source="the cloud's time of last use",
)
COUNTED = replace(QUIET, covered_from=NOW - 45 * MINUTE, covered_to=NOW - 3 * MINUTE)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.IDLE),
        ({"last_request_at": None}, Verdict.IDLE),
        ({"last_request_at": NOW - 29 * MINUTE}, Verdict.ACTIVE),
        ({"started_at": NOW - 29 * MINUTE}, Verdict.ACTIVE),
        ({"in_flight": 2}, Verdict.ACTIVE),
        ({"in_flight": 0}, Verdict.IDLE),
        ({"held_awake": "polled every 300 s"}, Verdict.ACTIVE),
        ({"held_awake": "polled", "held_every_s": 1800}, Verdict.ACTIVE),
        ({"held_awake": "polled", "held_every_s": 1801}, Verdict.IDLE),
        ({"covered_to": None}, Verdict.UNKNOWN),
        ({"started_at": None}, Verdict.UNKNOWN),
        ({"covered_to": NOW - 6 * MINUTE}, Verdict.UNKNOWN),
        ({"covered_from": NOW - 20 * MINUTE}, Verdict.UNKNOWN),
    ],
)
def test_only_fresh_evidence_over_the_whole_timeout_is_proof(
    changes: dict[str, Any], verdict: Verdict
) -> None:
    assert judge(RULE, replace(QUIET, **changes), NOW).verdict is verdict


def test_counts_that_come_late_prove_nothing_of_the_last_moments() -> None:
    late = replace(COUNTED, last_request_at=NOW - 31 * MINUTE, late=3 * MINUTE)
    finding = judge(RULE, late, NOW)
    assert (finding.verdict, finding.idle_at) == (Verdict.ACTIVE, NOW + 2 * MINUTE)
    assert judge(RULE, replace(late, last_request_at=NOW - 33 * MINUTE), NOW).verdict is (
        Verdict.IDLE
    )
    hole = replace(late, last_request_at=None, covered_from=NOW - 32 * MINUTE)
    assert judge(RULE, hole, NOW).verdict is Verdict.UNKNOWN


def test_a_minimum_time_awake_is_kept() -> None:
    rule = replace(RULE, min_awake=timedelta(hours=9))
    finding = judge(rule, QUIET, NOW)
    assert (finding.verdict, finding.idle_at) == (Verdict.ACTIVE, NOW + timedelta(hours=1))


def test_a_stop_keeps_what_it_rests_on() -> None:
    kept = judge(RULE, COUNTED, NOW).evidence
    assert kept["verdict"] == "idle"
    assert kept["policy"] == {"id": "pol_1", "name": "nap", "timeout_s": 1800, "min_awake_s": 0}
    assert kept["last_request_at"] == "2026-11-16T11:20:00+00:00"
    assert (kept["covered_from"], kept["covered_to"]) == (
        "2026-11-16T11:15:00+00:00",
        "2026-11-16T11:57:00+00:00",
    )
    assert kept["at"] == "2026-11-16T12:00:00+00:00"
    assert judge(RULE, replace(QUIET, covered_to=None), NOW).evidence == {}


def facts(rule: IdleRule, activity: Activity = QUIET) -> Facts:
    standing = Standing(Wish.AVAILABLE, "ana", "test", NOW - timedelta(days=2))
    return Facts(
        status=Status.RUNNING,
        managed=True,
        standing=standing,
        idle_rules=(rule,),
        activity=activity,
    )


def test_in_quiet_hours_it_does_not_act_and_acts_after_them() -> None:
    quiet = replace(RULE, quiet_until=NOW + timedelta(hours=2))
    during = decide(facts(quiet), NOW)
    assert (during.rule, during.to_zero) == (Rule.STANDING, False)
    assert during.next_edge == NOW + timedelta(hours=2)
    assert any("quiet hours until" in one.detail for one in during.considered)
    after = decide(facts(RULE), NOW)
    assert (after.rule, after.to_zero, after.evidence["verdict"]) == (Rule.IDLE, True, "idle")


def test_shadow_keeps_its_evidence_with_the_proposal() -> None:
    shadow = decide(facts(replace(RULE, shadow=True)), NOW)
    assert shadow.rule is Rule.STANDING
    assert shadow.proposals[0].evidence["last_request_at"] == "2026-11-16T11:20:00+00:00"


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (datetime(2026, 11, 16, 7, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 16, 8, 0, tzinfo=UTC), datetime(2026, 11, 16, 17, tzinfo=UTC)),
        (datetime(2026, 11, 16, 17, 0, tzinfo=UTC), None),
        # In summer its clocks are an hour further.
        (datetime(2026, 7, 13, 7, 30, tzinfo=UTC), datetime(2026, 7, 13, 16, tzinfo=UTC)),
    ],
)
def test_quiet_hours_go_by_the_clocks_of_their_zone(at: datetime, until: datetime | None) -> None:
    hours = Schedule("Europe/Berlin", (Window(frozenset(range(5)), time(9), time(18)),), 0)
    assert quiet_until(hours, at) == until


def test_quiet_hours_without_an_end_in_sight_are_looked_at_again() -> None:
    always = Schedule("UTC", (Window(frozenset(range(7)), time(0), time(0)),), 0)
    assert quiet_until(always, NOW) == NOW + timedelta(days=1)
