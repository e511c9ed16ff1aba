"""`decide` in the order of its rules; names read as requirements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.asked import HoldFact, Standing
from orchestrator.domain.decide import Facts, Rule, ScheduleFact, decide
from orchestrator.domain.expiry import Expiry
from orchestrator.domain.idle import Activity, IdleRule
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.status import Status, Wish

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
OFFICE = Schedule("UTC", (Window(frozenset(range(5)), time(8), time(18)),))
STANDING = Standing(Wish.RUNNING, "ana", "adopted as it was", MONDAY - timedelta(days=7))


def at(hour: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(hours=hour, minutes=minute)


def schedule_fact(
    now: datetime, schedule: Schedule = OFFICE, drain: int = 30, **changes: object
) -> ScheduleFact:
    past = intervals(schedule, now - timedelta(minutes=drain), now)
    state = state_at(schedule, now)
    ended = None if state.inside else max((piece.end for piece in past), default=None)
    fact = ScheduleFact("sch_1", "Office", state, timedelta(minutes=drain), ended)
    return replace(fact, **changes)  # type: ignore[arg-type]  # values are the field's own types


def facts(**changes: object) -> Facts:
    base = Facts(status=Status.RUNNING, managed=True, standing=STANDING)
    return replace(base, **changes)  # type: ignore[arg-type]  # values are the field's own types


def used(minutes_ago: int, now: datetime, **changes: object) -> Activity:
    activity = Activity(
        last_request_at=now - timedelta(minutes=minutes_ago),
        covered_to=now,
        started_at=now - timedelta(days=1),
        source="lastUsedAt",
    )
    return replace(activity, **changes)  # type: ignore[arg-type]  # values are the field's own types


def idle_rule(**changes: object) -> IdleRule:
    rule = IdleRule("pol_1", "Nap", timedelta(minutes=15), timedelta(0), MONDAY - timedelta(days=1))
    return replace(rule, **changes)  # type: ignore[arg-type]  # values are the field's own types


def hold(wish: Wish, until: datetime, actor: str = "ana", **changes: object) -> HoldFact:
    return replace(HoldFact(wish, until, actor, "demo"), **changes)  # type: ignore[arg-type]  # as above


class TestBarred:
    def test_what_is_only_observed_is_left_alone(self) -> None:
        decision = decide(facts(managed=False, schedules=(schedule_fact(at(20)),)), at(20))
        assert (decision.wish, decision.rule) == (None, Rule.NOT_MANAGED)

    def test_frozen_beats_holds_and_schedules(self) -> None:
        found = facts(
            frozen="incident 7",
            holds=(hold(Wish.PAUSED, at(23)),),
            schedules=(schedule_fact(at(20)),),
        )
        decision = decide(found, at(20))
        assert (decision.wish, decision.rule) == (None, Rule.FROZEN)
        assert "incident 7" in decision.reason

    def test_a_confirmed_deletion_beats_a_hold(self) -> None:
        gone = replace(STANDING, wish=Wish.DELETED)
        decision = decide(facts(standing=gone, holds=(hold(Wish.RUNNING, at(23)),)), at(20))
        assert (decision.wish, decision.rule) == (Wish.DELETED, Rule.DELETION)


class TestStartsByPoints:
    """A start by a cron point is a schedule's word, not a person's."""

    def started(self, **changes: object) -> Facts:
        held = hold(Wish.AVAILABLE, at(23), "schedule:A", by_program=True, point_at=at(9))
        return facts(standing=replace(STANDING, wish=Wish.PAUSED), holds=(held,), **changes)

    def test_it_starts(self) -> None:
        decision = decide(self.started(), at(10))
        assert (decision.wish, decision.rule) == (Wish.AVAILABLE, Rule.HOLD)

    def test_what_has_expired_stays_down(self) -> None:
        over = Expiry(at(8), MONDAY - timedelta(days=9), "bo", "trial", (timedelta(hours=1),))
        found = self.started(expiry=over.warned(at(7)))
        assert decide(found, at(10)).rule is Rule.EXPIRED

    def test_it_does_not_lower_a_window_that_keeps_running(self) -> None:
        kept = Schedule("UTC", (Window(frozenset(range(7)), time(6), time(23), keep_running=True),))
        decision = decide(self.started(schedules=(schedule_fact(at(10), kept),)), at(10))
        assert (decision.wish, decision.rule) == (Wish.RUNNING, Rule.SCHEDULE)

    def test_idleness_counts_after_it(self) -> None:
        found = self.started(idle_rules=(idle_rule(pauses=True),), activity=used(30, at(10)))
        decision = decide(found, at(10))
        assert (decision.wish, decision.rule) == (Wish.PAUSED, Rule.IDLE)

    def test_a_program_that_holds_it_counts_before(self) -> None:
        found = self.started()
        lease = hold(Wish.RUNNING, at(22), "ci", by_program=True)
        decision = decide(replace(found, holds=(*found.holds, lease)), at(10))
        assert (decision.wish, "ci holds" in decision.reason) == (Wish.RUNNING, True)


class TestHolds:
    def test_a_hold_beats_the_schedule_until_it_ends(self) -> None:
        found = facts(holds=(hold(Wish.RUNNING, at(21)),), schedules=(schedule_fact(at(20)),))
        decision = decide(found, at(20))
        assert (decision.wish, decision.rule, decision.next_edge) == (
            Wish.RUNNING,
            Rule.HOLD,
            at(21),
        )

    def test_a_hold_that_has_ended_says_nothing(self) -> None:
        found = facts(holds=(hold(Wish.RUNNING, at(20)),), schedules=(schedule_fact(at(20)),))
        assert decide(found, at(20)).rule is Rule.SCHEDULE

    def test_a_person_outranks_a_program(self) -> None:
        lease = hold(Wish.RUNNING, at(23), "batch", by_program=True)
        decision = decide(facts(holds=(lease, hold(Wish.PAUSED, at(22)))), at(20))
        assert decision.wish is Wish.PAUSED

    def test_among_persons_running_outranks_paused(self) -> None:
        both = (hold(Wish.PAUSED, at(23)), hold(Wish.RUNNING, at(21), "bo"))
        assert decide(facts(holds=both), at(20)).wish is Wish.RUNNING


class TestSchedules:
    def test_outside_its_windows_it_is_paused(self) -> None:
        decision = decide(facts(schedules=(schedule_fact(at(20)),)), at(20))
        assert (decision.wish, decision.rule) == (Wish.PAUSED, Rule.SCHEDULE)
        assert decision.next_edge == at(32)

    def test_inside_a_window_it_is_available(self) -> None:
        decision = decide(facts(schedules=(schedule_fact(at(9)),)), at(9))
        assert (decision.wish, decision.next_edge) == (Wish.AVAILABLE, at(18))

    def test_a_window_that_keeps_running_says_so(self) -> None:
        keep = Schedule("UTC", (replace(OFFICE.windows[0], keep_running=True),))
        decision = decide(facts(schedules=(schedule_fact(at(9), keep),)), at(9))
        assert decision.wish is Wish.RUNNING

    def test_of_two_schedules_either_keeps_it_up(self) -> None:
        late = Schedule("UTC", (Window(frozenset(range(7)), time(19), time(22)),))
        both = (schedule_fact(at(20)), schedule_fact(at(20), late))
        assert decide(facts(schedules=both), at(20)).wish is Wish.AVAILABLE

    def test_a_new_binding_acts_from_its_next_edge(self) -> None:
        fact = schedule_fact(at(20), acts_from=at(32))
        decision = decide(facts(schedules=(fact,)), at(20))
        assert (decision.rule, decision.next_edge) == (Rule.STANDING, at(32))

    def test_in_shadow_and_not_yet_in_force_it_is_no_edge_of_what_is_decided(self) -> None:
        early = replace(schedule_fact(at(20)), id="sch_2", shadow=True, acts_from=at(22))
        decision = decide(facts(schedules=(schedule_fact(at(20)), early)), at(20))
        assert (decision.next_edge, decision.next_rule_edge) == (at(22), at(32))

    def test_shadow_proposes_and_does_nothing(self) -> None:
        decision = decide(facts(schedules=(schedule_fact(at(20), shadow=True),)), at(20))
        assert decision.rule is Rule.STANDING
        assert [proposal.wish for proposal in decision.proposals] == [Wish.PAUSED]

    def test_rules_only_propose_to_a_protected_endpoint(self) -> None:
        found = facts(protected=True, schedules=(schedule_fact(at(20)),))
        decision = decide(found, at(20))
        assert (decision.wish, decision.rule) == (Wish.RUNNING, Rule.STANDING)
        assert [proposal.rule for proposal in decision.proposals] == [Rule.SCHEDULE]


class TestDraining:
    def test_a_window_ends_by_draining_while_requests_flow(self) -> None:
        now = at(18, 5)
        busy = used(0, now)
        decision = decide(facts(schedules=(schedule_fact(now),), activity=busy), now)
        assert decision.wish is Wish.AVAILABLE
        assert "draining" in decision.reason
        assert decision.next_edge == at(18, 7)

    def test_draining_has_an_end(self) -> None:
        now = at(18, 30)
        decision = decide(facts(schedules=(schedule_fact(now),), activity=used(0, now)), now)
        assert decision.wish is Wish.PAUSED

    @pytest.mark.parametrize("activity", [Activity(), used(10, at(18, 5))])
    def test_without_requests_it_ends_at_once(self, activity: Activity) -> None:
        now = at(18, 5)
        decision = decide(facts(schedules=(schedule_fact(now),), activity=activity), now)
        assert decision.wish is Wish.PAUSED


class TestIdleness:
    def test_proven_idleness_goes_to_zero(self) -> None:
        now = at(12)
        decision = decide(facts(idle_rules=(idle_rule(),), activity=used(20, now)), now)
        assert (decision.wish, decision.to_zero, decision.rule) == (
            Wish.AVAILABLE,
            True,
            Rule.IDLE,
        )

    def test_it_pauses_only_where_the_owner_opted_in(self) -> None:
        now = at(12)
        rule = idle_rule(pauses=True)
        decision = decide(facts(idle_rules=(rule,), activity=used(20, now)), now)
        assert (decision.wish, decision.to_zero) == (Wish.PAUSED, False)

    def test_missing_evidence_stops_nothing(self) -> None:
        unknown = Activity(started_at=MONDAY - timedelta(days=3))
        decision = decide(facts(idle_rules=(idle_rule(),), activity=unknown), at(12))
        assert decision.rule is Rule.STANDING
        assert any("unknown" in item.detail for item in decision.considered)

    def test_stale_evidence_stops_nothing(self) -> None:
        now = at(12)
        stale = used(60, now, covered_to=now - timedelta(minutes=6))
        assert decide(facts(idle_rules=(idle_rule(),), activity=stale), now).rule is Rule.STANDING

    def test_evidence_must_cover_the_whole_timeout(self) -> None:
        now = at(12)
        short = used(0, now, last_request_at=None, covered_from=now - timedelta(minutes=14))
        assert decide(facts(idle_rules=(idle_rule(),), activity=short), now).rule is Rule.STANDING

    def test_a_request_in_flight_vetoes(self) -> None:
        now = at(12)
        busy = used(50, now, in_flight=1)
        assert decide(facts(idle_rules=(idle_rule(),), activity=busy), now).rule is Rule.STANDING

    @pytest.mark.parametrize("later", ["started_at", "matched_at"])
    def test_the_clock_starts_at_the_latest_of_its_starts(self, later: str) -> None:
        now = at(12)
        recent = now - timedelta(minutes=10)
        rule = idle_rule(matched_at=recent) if later == "matched_at" else idle_rule()
        activity = used(50, now, started_at=recent) if later == "started_at" else used(50, now)
        decision = decide(facts(idle_rules=(rule,), activity=activity), now)
        assert decision.rule is Rule.STANDING
        assert decision.next_edge == recent + timedelta(minutes=15)

    def test_inside_a_window_idleness_still_goes_to_zero(self) -> None:
        now = at(12)
        found = facts(
            schedules=(schedule_fact(now),), idle_rules=(idle_rule(),), activity=used(20, now)
        )
        assert decide(found, now).to_zero

    def test_keep_running_beats_idleness(self) -> None:
        now = at(12)
        keep = Schedule("UTC", (replace(OFFICE.windows[0], keep_running=True),))
        found = facts(
            schedules=(schedule_fact(now, keep),),
            idle_rules=(idle_rule(),),
            activity=used(20, now),
        )
        assert decide(found, now).wish is Wish.RUNNING

    def test_what_idleness_paused_stays_so_until_the_next_window(self) -> None:
        asleep = facts(
            status=Status.PAUSED,
            asleep_rule="idle",
            asleep_since=at(12),
            schedules=(schedule_fact(at(13)),),
        )
        assert decide(asleep, at(13)).wish is Wish.PAUSED
        tomorrow = replace(asleep, schedules=(schedule_fact(at(33)),))
        assert decide(tomorrow, at(33)).wish is Wish.AVAILABLE

    def test_a_person_wakes_what_idleness_paused(self) -> None:
        asked = replace(STANDING, at=at(14))
        asleep = facts(
            status=Status.PAUSED, asleep_rule="idle", asleep_since=at(12), standing=asked
        )
        assert decide(asleep, at(14)).wish is Wish.RUNNING


@given(
    minutes=st.integers(0, 7 * 24 * 60 - 1),
    last_use=st.none() | st.integers(0, 600),
    status=st.sampled_from(list(Status)),
    protected=st.booleans(),
)
def test_nothing_changes_before_the_next_edge(
    minutes: int, last_use: int | None, status: Status, protected: bool
) -> None:
    """The answer at an instant holds until `next_edge`, given the same evidence kept fresh."""
    now = MONDAY + timedelta(minutes=minutes)

    def ask(instant: datetime) -> tuple[object, ...]:
        activity = Activity(started_at=MONDAY - timedelta(days=1))
        if last_use is not None:
            activity = replace(
                used(0, now), last_request_at=now - timedelta(minutes=last_use), covered_to=instant
            )
        decision = decide(
            facts(
                status=status,
                protected=protected,
                schedules=(schedule_fact(instant),),
                idle_rules=(idle_rule(),),
                activity=activity,
            ),
            instant,
        )
        return decision.wish, decision.rule, decision.to_zero, decision.next_edge

    wish, rule, to_zero, edge = ask(now)
    assert isinstance(edge, datetime)
    assert edge > now
    almost = edge - timedelta(microseconds=1)
    assert ask(almost)[:3] == (wish, rule, to_zero)
