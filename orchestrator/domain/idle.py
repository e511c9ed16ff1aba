"""Idleness as evidence with three values; missing data is unknown, and unknown stops nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orchestrator.domain.schedules.model import Schedule, ScheduleState
from orchestrator.domain.schedules.occurrences import state_at

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
    covered. `started_at` is the latest of: became ready, adopted, last resume. A source whose
    data come `late` by so much proves nothing of the last moments. `held_awake` says what keeps
    it awake although nobody seems to use it, empty where nothing of the kind was seen, and
    `held_every_s` how far apart its requests are, None where that is not known.
    """

    last_request_at: datetime | None = None
    covered_from: datetime | None = None
    covered_to: datetime | None = None
    in_flight: int | None = None
    started_at: datetime | None = None
    source: str = ""
    late: timedelta = timedelta(0)
    held_awake: str = ""
    held_every_s: int | None = None

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
    """One idle policy as it binds one endpoint; its clock never starts before `matched_at`.

    Until `quiet_until` it does not act, None outside of its quiet hours.
    """

    id: str
    name: str
    timeout: timedelta
    min_awake: timedelta
    matched_at: datetime
    pauses: bool = False
    shadow: bool = False
    quiet_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict, in words, and when it would turn to idle if nothing came.

    `evidence` is what idleness rests on, as JSON that is kept with a stop; else it is empty.
    """

    verdict: Verdict
    detail: str
    idle_at: datetime | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def judge(rule: IdleRule, activity: Activity, now: datetime) -> Finding:
    """Return whether the endpoint has been idle over the whole of the rule's timeout."""
    verdict, detail, idle_at = _verdict(rule, activity, now)
    proven = verdict is Verdict.IDLE
    evidence = evidence_of(rule, activity, now, verdict) if proven else {}
    return Finding(verdict, detail, idle_at, evidence)


def evidence_of(
    rule: IdleRule, activity: Activity, now: datetime, verdict: Verdict
) -> dict[str, Any]:
    """Return what a verdict rests on, as JSON: source, span, last request, policy, instant."""
    return {
        "at": _json(now),
        "verdict": str(verdict),
        "source": activity.source,
        "policy": {
            "id": rule.id,
            "name": rule.name,
            "timeout_s": int(rule.timeout.total_seconds()),
            "min_awake_s": int(rule.min_awake.total_seconds()),
        },
        "last_request_at": _json(activity.last_request_at),
        "covered_from": _json(activity.covered_from),
        "covered_to": _json(activity.covered_to),
        "late_s": int(activity.late.total_seconds()),
        "in_flight": activity.in_flight,
        "started_at": _json(activity.started_at),
        "held_awake": activity.held_awake,
    }


def quiet_until(hours: Schedule, now: datetime) -> datetime | None:
    """Return when the quiet hours that hold at `now` end, None outside of them.

    Quiet hours without an end in sight last until they are looked at again, a day later.
    """
    return quiet_end(state_at(hours, now), now)


def quiet_end(state: ScheduleState, now: datetime) -> datetime | None:
    """Return when the quiet hours end, from what they say at `now`."""
    if not state.inside:
        return None
    return state.window_end or now + timedelta(days=1)


def _verdict(
    rule: IdleRule, activity: Activity, now: datetime
) -> tuple[Verdict, str, datetime | None]:
    veto = _veto(rule, activity)
    if veto:
        return Verdict.ACTIVE, veto, None
    if activity.covered_to is None or activity.started_at is None:
        return Verdict.UNKNOWN, "no source tells when it was used", None
    if now - activity.covered_to > FRESH_FOR:
        return Verdict.UNKNOWN, f"the evidence ends at {_clock(activity.covered_to)}", None
    idle_at = _idle_at(rule, activity)
    if idle_at > now:
        return Verdict.ACTIVE, f"idle at {_clock(idle_at)} if nothing comes", idle_at
    since = activity.last_request_at
    needed = now - activity.late - rule.timeout
    if activity.covered_from is not None and activity.covered_from > needed:
        return Verdict.UNKNOWN, "the evidence does not cover the whole timeout", None
    told = f"last request at {_clock(since)}" if since else "no request while it was watched"
    return Verdict.IDLE, f"{told}, by {activity.source}", idle_at


def _veto(rule: IdleRule, activity: Activity) -> str:
    """Return what forbids to call it idle whatever else is known, empty where nothing does.

    What asks more seldom than the timeout leaves time to sleep, and forbids nothing.
    """
    if activity.in_flight:
        return f"{activity.in_flight} requests are in flight"
    every = activity.held_every_s
    if not activity.held_awake or (every is not None and every > rule.timeout.total_seconds()):
        return ""
    return f"held awake: {activity.held_awake}"


def _idle_at(rule: IdleRule, activity: Activity) -> datetime:
    started = activity.started_at
    assert started is not None  # noqa: S101 - checked by the only caller
    clock = max(filter(None, (started, activity.last_request_at, rule.matched_at)))
    return max(clock + rule.timeout + activity.late, started + rule.min_awake)


def _json(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _clock(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
