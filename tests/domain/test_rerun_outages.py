"""A course run again through outages, and with what its cloud did by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from orchestrator.domain.asked import HoldFact, Standing
from orchestrator.domain.decide import Facts
from orchestrator.domain.demand import Assume, Burst, Demand
from orchestrator.domain.idle import Activity
from orchestrator.domain.rerun import Course, Mind, Outage, Regime, Witness, rerun
from orchestrator.domain.status import Status, Wish

START = datetime(2026, 11, 16, tzinfo=UTC)
STARTUP = timedelta(minutes=4)


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def regime(number: float = 0, wish: Wish = Wish.AVAILABLE, hold: Wish | None = None) -> Regime:
    def facts(mind: Mind, activity: Activity, now: datetime) -> Facts:
        del now
        held = () if hold is None else (HoldFact(hold, minute(9999), "ana", "test"),)
        return Facts(
            status=mind.status,
            managed=True,
            standing=Standing(wish, "ana", "test", START),
            holds=held,
            activity=activity,
            asleep_rule=mind.asleep_rule,
            asleep_since=mind.asleep_since,
        )

    return Regime(minute(number), facts)


def run(
    *regimes: Regime,
    witness: Witness,
    status: Status = Status.RUNNING,
    used: Sequence[tuple[datetime, datetime]] = (),
    bursts: Sequence[Burst] = (),
) -> Course:
    demand = Demand(START, minute(120), tuple(bursts), tuple(used), tuple(used))
    mind = Mind(status, START, START)
    return rerun(list(regimes), demand, mind, STARTUP, Assume.UNKNOWN, witness=witness)


def told(course: Course) -> list[tuple[float, str, bool]]:
    """When each state began, in minutes, and whether it is billed."""
    found: list[tuple[float, str, bool]] = []
    for leg in course.legs:
        if not found or found[-1][1:] != (leg.status, leg.awake):
            found.append(((leg.start - START).total_seconds() / 60, leg.status, leg.awake))
    return found


def test_what_has_failed_is_not_billed_until_it_is_well() -> None:
    witness = Witness((Outage(minute(10), minute(40), Status.FAILED),))
    course = run(regime(), witness=witness)
    assert told(course) == [(0, "running", True), (10, "failed", False), (40, "running", True)]
    assert course.awake_seconds() == 90 * 60


def test_a_rule_leaves_what_failed_and_pauses_it_when_it_is_well() -> None:
    witness = Witness((Outage(minute(10), minute(40), Status.FAILED),))
    course = run(regime(), regime(20, hold=Wish.PAUSED), witness=witness)
    assert told(course) == [(0, "running", True), (10, "failed", False), (40, "paused", False)]


def test_what_sleeps_does_not_notice_an_outage_and_a_start_waits_for_its_end() -> None:
    witness = Witness(
        (Outage(minute(10), minute(40), Status.WAITING_FOR_CAPACITY, starts_only=True),)
    )
    up = regime(20, hold=Wish.RUNNING)
    course = run(regime(hold=Wish.PAUSED), up, witness=witness, status=Status.PAUSED)
    assert told(course) == [
        (0, "paused", False),
        (20, "initializing", False),
        (40, "initializing", True),
        (44, "running", True),
    ]
    assert [(one.at, one.serves_at) for one in course.starts] == [(minute(20), minute(44))]


def test_a_start_that_found_no_room_does_not_touch_what_is_up() -> None:
    witness = Witness(
        (Outage(minute(10), minute(40), Status.WAITING_FOR_CAPACITY, starts_only=True),)
    )
    assert told(run(regime(), witness=witness)) == [(0, "running", True)]


def test_its_cloud_lets_it_go_to_zero_and_use_that_was_seen_wakes_it() -> None:
    witness = Witness(slept=(minute(30), minute(90)))
    burst = Burst(minute(60), minute(60), 1)
    course = run(regime(), witness=witness, bursts=[burst])
    assert told(course) == [
        (0, "running", True),
        (30, "scaled_to_zero", False),
        (60, "initializing", True),
        (64, "running", True),
        (90, "scaled_to_zero", False),
    ]
    assert [one.by_request for one in course.starts] == [True]


def test_use_that_was_seen_keeps_awake_in_the_likely_course() -> None:
    demand = Demand(
        START, minute(120), (), ((minute(10), minute(70)),), ((minute(20), minute(50)),)
    )
    assert demand.last_to(minute(100), Assume.UNKNOWN) == minute(50)
    assert demand.last_to(minute(30), Assume.UNKNOWN) == minute(30)
    assert demand.last_to(minute(100), Assume.BUSY) == minute(70)
    assert demand.last_to(minute(100), Assume.IDLE) is None
    assert demand.first_from(START, Assume.UNKNOWN) == minute(20)
    assert demand.first_from(minute(51), Assume.UNKNOWN) is None
    assert demand.first_from(minute(51), Assume.BUSY) == minute(51)
