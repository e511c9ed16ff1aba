"""What a policy made of each day: hours, starts and waiting, as arrays to reckon with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.policies import Policy, always_on, idle, segments
from orchestrator.domain.backtest.replay import Replay, replay
from orchestrator.domain.backtest.traffic import DAY, HOUR, SECOND, Floats, Traffic

# The last axis of the arrays: billed hours, starts that a request met, minutes of waiting, and
# the minutes that requests would wait at a start amid the day's requests (0: there were none).
HOURS, STARTS, MINUTES, AMID = range(4)
MINUTE = 60 * SECOND

# Always-on comes last: a timeout that never passes.
TIMEOUTS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)
GRID: tuple[Policy, ...] = (*(idle(minutes) for minutes in TIMEOUTS), always_on())
# Up to here a timeout is short: its starts tell how many requests come when one wakes.
SHORT = sum(minutes <= 60 for minutes in TIMEOUTS)


@dataclass(frozen=True, slots=True)
class Setting:
    """The trace that is looked at: its first instant, its length and the start-up time."""

    origin: datetime
    length: int
    startup: int

    @property
    def days(self) -> int:
        """Return the number of whole days."""
        return self.length // DAY


def daily(found: Replay, days: int) -> Floats:
    """Return hours, starts and minutes of waiting of each day, shaped (days, 4)."""
    out = np.zeros((days, 4))
    for since, until in found.awake:
        for day in range(since // DAY, min(-(-until // DAY), days)):
            inside = min(until, (day + 1) * DAY) - max(since, day * DAY)
            out[day, HOURS] += inside / HOUR
    for start, wait in zip(found.starts, found.waits, strict=False):
        day = start.at // DAY
        if day < days:
            out[day, STARTS] += not start.planned
            out[day, MINUTES] += wait.total / MINUTE
    return out


def table(traffic: Traffic, seed: int, policies: Sequence[Policy], setting: Setting) -> Floats:
    """Return the days of several policies, shaped (policies, days, 4)."""
    arrivals = Arrivals(traffic, seed)
    found = np.stack([days_of(arrivals, policy, setting) for policy in policies])
    found[:, :, AMID] = amid(traffic, setting)
    return found


def days_of(arrivals: Arrivals, policy: Policy, setting: Setting) -> Floats:
    """Return the days of one policy, shaped (days, 4).

    What was before the trace is taken to be like its end: a timeout may be running at the start.
    """
    plan = segments(policy, setting.origin, setting.length, setting.startup)
    awake_to = 0
    if policy.timeout is not None and arrivals.last is not None:
        awake_to = arrivals.last + policy.timeout - setting.length
    found = replay(arrivals, policy, plan, setting.startup, awake_to=awake_to)
    return daily(found, setting.days)


def amid(traffic: Traffic, setting: Setting) -> Floats:
    """Return the minutes that requests would wait at a start amid each day's busy stretches."""
    day = traffic.start_s * SECOND // DAY
    kept = day < setting.days
    pace = traffic.requests[kept] / traffic.span_s[kept]
    sums = np.bincount(day[kept], pace, setting.days)
    count = np.maximum(np.bincount(day[kept], minlength=setting.days), 1)
    seconds = setting.startup / SECOND
    means: Floats = sums / count
    return means * seconds**2 / 2 / 60
