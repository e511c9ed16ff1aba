"""Why not: until when the rule in the way stands, whatever other rules change before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.asked import HoldFact, Standing
from orchestrator.domain.decide import Facts, ScheduleFact, decide
from orchestrator.domain.expiry import Expiry
from orchestrator.domain.idle import Activity
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.text import parse_window
from orchestrator.domain.status import Status, Wish
from orchestrator.services.why import Why
from orchestrator.services.why_not import Wanted, WhyNot, why_not
from orchestrator.store.tables import Endpoint

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
STANDING = Standing(Wish.RUNNING, "ana", "adopted as it was", MONDAY - timedelta(days=7))
DAY, DRAIN = "daily 08:00-18:00", timedelta(minutes=30)


def hour(count: float) -> datetime:
    return MONDAY + timedelta(hours=count)


def fact(place: int, text: str, now: datetime, **changes: Any) -> ScheduleFact:
    schedule = Schedule("UTC", (parse_window(text),))
    ended = max((piece.end for piece in intervals(schedule, now - DRAIN, now)), default=None)
    state = state_at(schedule, now)
    ended = None if state.inside else ended
    return ScheduleFact(f"sch_{place}", "AB"[place], state, DRAIN, ended, **changes)


def asked(
    wanted: Wanted, now: datetime, *schedules: str | tuple[str, dict[str, Any]], **known: Any
) -> WhyNot:
    def facts(instant: datetime) -> Facts:
        pairs = [(one, {}) if isinstance(one, str) else one for one in schedules]
        bound = tuple(
            fact(place, text, instant, **changes) for place, (text, changes) in enumerate(pairs)
        )
        base: dict[str, Any] = {"status": Status.RUNNING, "managed": True, "standing": STANDING}
        return Facts(**{**base, "schedules": bound, **known})

    why = Why(now, "now", decide(facts(now), now), status="running", facts=facts)
    return why_not(Endpoint(id="ep_1", account_id="acc_1", name="chat", status=""), why, wanted)


def untils(told: WhyNot) -> list[tuple[str, datetime | None]]:
    return [(str(one.rule), one.until) for one in told.obstacles]


def test_a_window_stands_until_its_own_end_though_another_ends_before() -> None:
    told = asked("paused", hour(11), DAY, "daily 10:00-12:00")
    assert untils(told) == [("schedule", hour(18)), ("standing", None)]
    assert told.by_itself == hour(18)


def test_a_rule_in_shadow_that_is_not_in_force_ends_nothing() -> None:
    shadow = ("daily 06:00-07:00", {"shadow": True, "acts_from": hour(30)})
    told = asked("running", hour(20), DAY, shadow, status=Status.PAUSED)
    assert (untils(told), told.by_itself) == ([("schedule", hour(32))], hour(32))


def test_an_expiry_before_ends_no_night() -> None:
    ends = Expiry(hour(23), hour(10), "ana", "trial", warn=(timedelta(hours=1),))
    told = asked("running", hour(20), DAY, status=Status.PAUSED, expiry=ends)
    assert untils(told)[0] == ("schedule", hour(32))


def test_a_schedule_that_acts_later_opens_it() -> None:
    later = ("daily 22:00-23:00", {"acts_from": hour(22)})
    told = asked("running", hour(20), DAY, later, status=Status.PAUSED)
    assert untils(told) == [("schedule", hour(22))]


def test_what_is_at_zero_is_started_by_the_window_after_a_pause() -> None:
    asleep = asked("running", hour(11), DAY, status=Status.SCALED_TO_ZERO)
    assert untils(asleep)[0] == ("schedule", hour(32))
    always = asked("running", hour(11), "daily 00:00-24:00", status=Status.SCALED_TO_ZERO)
    assert untils(always)[0] == ("schedule", None)


def test_a_drain_ends_at_its_limit() -> None:
    use = Activity(last_request_at=hour(18.2), covered_to=hour(18.2), source="lastUsedAt")
    told = asked("paused", hour(18.2), DAY, activity=use)
    (first, *_) = told.obstacles
    assert first.reason.startswith("draining")
    assert first.until == hour(18.5)


@pytest.mark.parametrize(("actor", "expected"), [("ana", 14), ("job", 12)])
def test_of_several_holds_the_last_that_stands_in_the_way_counts(actor: str, expected: int) -> None:
    """A pause until 12, one until 14 by the same person, or a program's wish for running."""
    by_job = actor == "job"
    wish = Wish.RUNNING if by_job else Wish.PAUSED
    holds = (
        HoldFact(Wish.PAUSED, hour(12), "ana", "rest"),
        HoldFact(wish, hour(14), actor, "work", by_program=by_job),
    )
    told = asked("running", hour(11), DAY, holds=holds, status=Status.PAUSED)
    assert untils(told) == [("hold", hour(expected))]


def test_a_pause_for_idleness_waits_for_a_window_that_is_in_force() -> None:
    asleep = {
        "status": Status.PAUSED,
        "asleep_rule": "idle",
        "asleep_since": hour(10),
    }
    later = ("daily 14:00-15:00", {"acts_from": hour(24)})
    told = asked("running", hour(11), DAY, later, **asleep)
    assert untils(told)[0] == ("idle", hour(32))
