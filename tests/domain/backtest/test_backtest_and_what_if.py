"""The backtest and what-if say the same of requests that meet a paused endpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from orchestrator.domain.asked import Standing
from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.policies import MICROSECOND, Policy, segments
from orchestrator.domain.backtest.replay import replay
from orchestrator.domain.backtest.traffic import DAY, SECOND
from orchestrator.domain.decide import Facts, ScheduleFact
from orchestrator.domain.demand import Assume, Burst, Demand
from orchestrator.domain.idle import Activity
from orchestrator.domain.rerun import Course, Mind, Regime, rerun
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.text import parse_window
from orchestrator.domain.status import Status, Wish
from tests.domain.backtest.conftest import made

DAYS = 5
STARTUP = 300 * SECOND
ORIGIN = datetime(2026, 3, 27, tzinfo=UTC)
OFFICE = Schedule("Europe/Berlin", (parse_window("daily 08:00-19:00 keep-running ready-by"),))


def _arrivals() -> Arrivals:
    """Requests by day and night, over the weekend on which Berlin puts its clocks forward."""
    dice = np.random.default_rng(7)
    places = sorted({int(place) for place in dice.integers(0, DAYS * 144, 90)})
    return Arrivals(made("a", [(place * 600, int(dice.integers(1, 5))) for place in places], 1.5))


def _what_if(requests: list[datetime]) -> tuple[Course, Demand]:
    """The course that what-if runs, over the same requests, each known to the second it came."""
    demand = Demand(
        ORIGIN, ORIGIN + timedelta(days=DAYS), tuple(Burst(at, at, 1) for at in requests)
    )
    startup = STARTUP * MICROSECOND
    drain = timedelta(minutes=OFFICE.drain_minutes)

    def facts(mind: Mind, activity: Activity, now: datetime) -> Facts:
        past = intervals(OFFICE, now - drain, now, startup)
        ended = max((one.end for one in past if one.end <= now), default=None)
        state = state_at(OFFICE, now, startup)
        return Facts(
            status=mind.status,
            managed=True,
            standing=Standing(Wish.AVAILABLE, "owner", "test", ORIGIN),
            schedules=(ScheduleFact("sch", "windows", state, drain, ended),),
            activity=activity,
        )

    asleep = Mind(Status.PAUSED, ORIGIN, ORIGIN)
    return rerun([Regime(ORIGIN, facts)], demand, asleep, startup, Assume.UNKNOWN), demand


def test_what_meets_it_paused_is_refused_and_wakes_nothing_in_both() -> None:
    arrivals, rule = _arrivals(), Policy("windows", None, OFFICE)
    requests = [ORIGIN + int(at) * MICROSECOND for at in arrivals.all()]
    found = replay(arrivals, rule, segments(rule, ORIGIN, DAYS * DAY, STARTUP), STARTUP)
    course, demand = _what_if(requests)
    paused = [leg for leg in course.legs if leg.status is Status.PAUSED]
    refused = sum(demand.count(leg.start, leg.end).low for leg in paused)
    assert sum(one.requests for one in found.refused) == refused > 20
    assert not any(start.by_request for start in course.starts)
    assert len(course.starts) == len(found.starts) == DAYS
    assert course.awake_seconds() == pytest.approx(found.billed / SECOND, abs=DAYS)
