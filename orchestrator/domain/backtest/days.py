"""What a policy made of each day: hours, starts and waiting, as arrays to reckon with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.policies import Mode, Policy, always_on, idle, segments
from orchestrator.domain.backtest.replay import Replay, replay
from orchestrator.domain.backtest.traffic import DAY, HOUR, SECOND, Floats, Traffic

# The last axis of the arrays: billed hours, starts that a request met, minutes of waiting, the
# minutes that requests would wait at a start amid the day's requests (0: there were none), and
# requests that met it paused.
HOURS, STARTS, MINUTES, AMID, REFUSED = range(5)
FIGURES = 5
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
    """Return hours, starts and minutes of waiting of each day, shaped (days, 5)."""
    out = np.zeros((days, FIGURES))
    for since, until in found.awake:
        for day in range(since // DAY, min(-(-until // DAY), days)):
            inside = min(until, (day + 1) * DAY) - max(since, day * DAY)
            out[day, HOURS] += inside / HOUR
    for start, wait in zip(found.starts, found.waits, strict=False):
        day = start.at // DAY
        if day < days:
            out[day, STARTS] += not start.planned
            out[day, MINUTES] += wait.total / MINUTE
    for met in found.refused:
        day = met.at // DAY
        if day < days:
            out[day, REFUSED] += met.requests
    return out


def table(traffic: Traffic, seed: int, policies: Sequence[Policy], setting: Setting) -> Floats:
    """Return the days of several policies, shaped (policies, days, 5)."""
    arrivals = Arrivals(traffic, seed)
    found = np.stack([days_of(arrivals, policy, setting) for policy in policies])
    found[:, :, AMID] = amid(traffic, setting)
    return found


def days_of(arrivals: Arrivals, policy: Policy, setting: Setting) -> Floats:
    """Return the days of one policy, shaped (days, 5).

    What was before the trace is taken to be like its end: a timeout may be running at the start.
    """
    plan = segments(policy, setting.origin, setting.length, setting.startup)
    awake_to = 0
    if policy.timeout is not None and arrivals.last is not None:
        awake_to = arrivals.last + policy.timeout - setting.length
    found = replay(arrivals, policy, plan, setting.startup, awake_to=awake_to)
    return daily(found, setting.days)


def bounds(policy: Policy, setting: Setting) -> tuple[float, float]:
    """Return the least and the most hours a day that a policy can be awake in the week after.

    In windows it is awake whatever comes, start-up included; what is paused outside of them stays
    up for the drain time at most.
    """
    after = setting.origin + timedelta(microseconds=setting.length)
    parts = segments(policy, after, 7 * DAY, setting.startup)
    on = [one for one in parts if one.mode is Mode.ON]
    least = sum(one.end - one.start for one in on) / (7 * HOUR)
    if policy.timeout is not None:
        return least, 24.0
    return least, min(least + (len(on) + 1) * policy.drain / (7 * HOUR), 24.0)


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
