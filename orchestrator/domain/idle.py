"""Idleness as evidence with three values; missing data is unknown, and unknown stops nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Evidence older than this says nothing about now.
FRESH_FOR = timedelta(minutes=5)
# Requests "flow" while the last one is younger than this.
FLOWING_FOR = timedelta(minutes=2)


class Verdict(StrEnum):
    """What the evidence says."""

    ACTIVE = "active"
    IDLE = "idle"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Activity:
    """What is known of the requests that an endpoint served.

    No request came in `[covered_from, covered_to)` but those up to `last_request_at`; where a
    provider names the time of the last request, `covered_from` is None and all the past is
    covered. `started_at` is the latest of: became ready, adopted, last resume.
    """

    last_request_at: datetime | None = None
    covered_from: datetime | None = None
    covered_to: datetime | None = None
    in_flight: int | None = None
    started_at: datetime | None = None
    source: str = ""

    def flowing(self, now: datetime) -> bool:
        """Tell whether requests flow now, on fresh evidence."""
        if self.in_flight:
            return True
        return self.last_request_at is not None and now - self.last_request_at < FLOWING_FOR

    def quiet_at(self) -> datetime | None:
        """Return when the last known request stops counting as flow."""
        return None if self.last_request_at is None else self.last_request_at + FLOWING_FOR


@dataclass(frozen=True, slots=True)
class IdleRule:
    """One idle policy as it binds one endpoint; its clock never starts before `matched_at`."""

    id: str
    name: str
    timeout: timedelta
    min_awake: timedelta
    matched_at: datetime
    pauses: bool = False
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict, in words, and when it would turn to idle if nothing came."""

    verdict: Verdict
    detail: str
    idle_at: datetime | None = None


def judge(rule: IdleRule, activity: Activity, now: datetime) -> Finding:
    """Return whether the endpoint has been idle over the whole of the rule's timeout."""
    if activity.in_flight:
        return Finding(Verdict.ACTIVE, f"{activity.in_flight} requests are in flight")
    if activity.covered_to is None or activity.started_at is None:
        return Finding(Verdict.UNKNOWN, "no source tells when it was used")
    if now - activity.covered_to > FRESH_FOR:
        return Finding(Verdict.UNKNOWN, f"the evidence ends at {_clock(activity.covered_to)}")
    idle_at = _idle_at(rule, activity)
    if idle_at > now:
        return Finding(Verdict.ACTIVE, f"idle at {_clock(idle_at)} if nothing comes", idle_at)
    since = activity.last_request_at
    if activity.covered_from is not None and activity.covered_from > now - rule.timeout:
        return Finding(Verdict.UNKNOWN, "the evidence does not cover the whole timeout")
    told = f"last request at {_clock(since)}" if since else "no request while it was watched"
    return Finding(Verdict.IDLE, f"{told}, by {activity.source}", idle_at)


def _idle_at(rule: IdleRule, activity: Activity) -> datetime:
    started = activity.started_at
    assert started is not None  # noqa: S101 - checked by the only caller
    clock = max(filter(None, (started, activity.last_request_at, rule.matched_at)))
    return max(clock + rule.timeout, started + rule.min_awake)


def _clock(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
