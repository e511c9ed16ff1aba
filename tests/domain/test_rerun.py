"""A course run again: asleep and awake at the instants that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.asked import HoldFact, Standing
from orchestrator.domain.decide import Facts, Rule
from orchestrator.domain.demand import Assume, Burst, Demand
from orchestrator.domain.endpoints import Stop
from orchestrator.domain.idle import Activity, IdleRule
from orchestrator.domain.plan import Means
from orchestrator.domain.rerun import Course, Mind, Regime, rerun
from orchestrator.domain.status import Status, Wish

START = datetime(2026, 11, 16, tzinfo=UTC)
STARTUP = timedelta(minutes=4)
NAP = IdleRule("pol_1", "Nap", timedelta(minutes=30), timedelta(0), START)


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def regime(
    at: datetime = START,
    *,
    wish: Wish = Wish.AVAILABLE,
    idle: Sequence[IdleRule] = (),
    holds: Sequence[HoldFact] = (),
    means: Means | None = None,
    timer: timedelta | None = None,
) -> Regime:
    def facts(mind: Mind, activity: Activity, now: datetime) -> Facts:
        del now
        return Facts(
            status=mind.status,
            managed=True,
            standing=Standing(wish, "ana", "test", START),
            holds=tuple(holds),
            idle_rules=tuple(idle),
            activity=activity,
            asleep_rule=mind.asleep_rule,
            asleep_since=mind.asleep_since,
        )

    return Regime(at, facts, means or Means(), timer)


def run(
    *regimes: Regime,
    bursts: Sequence[Burst] = (),
    unknown: Sequence[tuple[datetime, datetime]] = (),
    hours: float = 4,
    status: Status = Status.RUNNING,
    assume: Assume = Assume.UNKNOWN,
) -> Course:
    demand = Demand(START, minute(hours * 60), tuple(bursts), tuple(unknown))
    mind = Mind(status, START, START)
    return rerun(list(regimes), demand, mind, STARTUP, assume)


def told(course: Course) -> list[tuple[float, str]]:
    """When each state began, in minutes."""
    found: list[tuple[float, str]] = []
    for leg in course.legs:
        if not found or found[-1][1] != leg.status:
            found.append(((leg.start - START).total_seconds() / 60, leg.status))
    return found


def one_at(number: float) -> Burst:
    return Burst(minute(number), minute(number), 1)


def test_it_naps_and_a_request_wakes_it() -> None:
    course = run(regime(idle=[NAP]), bursts=[one_at(10), one_at(100)])
    assert told(course) == [
        (0, "running"),
        (40, "scaled_to_zero"),
        (100, "initializing"),
        (104, "running"),
        (134, "scaled_to_zero"),
    ]
    assert [(one.at, one.serves_at, one.by_request) for one in course.starts] == [
        (minute(100), minute(104), True)
    ]
    assert course.awake_seconds() == (40 + 34) * 60


def test_the_clouds_own_timer_sends_it_to_zero() -> None:
    course = run(regime(timer=timedelta(minutes=15)), bursts=[one_at(10), one_at(20)])
    assert told(course) == [(0, "running"), (35, "scaled_to_zero")]


def test_a_hold_that_ends_lets_it_sleep() -> None:
    held = HoldFact(Wish.RUNNING, minute(90), "ana", "demo")
    first = regime(wish=Wish.PAUSED, holds=[held])
    course = run(first, status=Status.PAUSED)
    assert told(course) == [(0, "initializing"), (4, "running"), (90, "paused")]
    assert [one.by_request for one in course.starts] == [False]


def test_what_changes_in_between_counts_from_then_on() -> None:
    course = run(regime(), regime(minute(50), wish=Wish.PAUSED), regime(minute(70)))
    assert told(course) == [(0, "running"), (50, "paused"), (70, "initializing"), (74, "running")]


def test_what_may_not_be_stopped_goes_on() -> None:
    never = Means(Stop.NONE)
    course = run(regime(wish=Wish.PAUSED, means=never))
    assert told(course) == [(0, "running")]
    assert {leg.decision.wish for leg in course.legs} == {Wish.PAUSED}


def test_unknown_use_is_neither_idle_nor_busy() -> None:
    hole = [(minute(20), minute(120))]
    found = {one: told(run(regime(idle=[NAP]), unknown=hole, assume=one)) for one in Assume}
    assert found[Assume.IDLE] == [(0, "running"), (30, "scaled_to_zero")]
    # The timeout must be known as a whole: from 120 on.
    assert found[Assume.UNKNOWN] == [(0, "running"), (150, "scaled_to_zero")]
    assert found[Assume.BUSY] == [(0, "running"), (150, "scaled_to_zero")]
    asleep = told(run(regime(idle=[NAP]), unknown=[(minute(60), minute(70))], assume=Assume.BUSY))
    assert asleep[1:3] == [(30, "scaled_to_zero"), (60, "initializing")]


def test_legs_follow_each_other_to_the_end() -> None:
    course = run(regime(idle=[NAP]), bursts=[Burst(minute(60), minute(70), 40)], hours=6)
    assert course.legs[0].start == START
    assert course.legs[-1].end == minute(360)
    for one, following in zip(course.legs[:-1], course.legs[1:], strict=True):
        assert one.end == following.start
    assert Rule.STANDING in {leg.decision.rule for leg in course.legs}


def test_nothing_known_is_no_course() -> None:
    with pytest.raises(ValueError, match="no regime"):
        run()
