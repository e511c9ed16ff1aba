"""What each rule looked at when it was asked, as JSON: windows, holds, evidence, ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import islice
from typing import Any

from orchestrator.domain.decide import Facts, Rule, ScheduleFact
from orchestrator.domain.idle import FRESH_FOR, Activity, IdleRule, judge
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import occurrences
from orchestrator.domain.schedules.zones import zone
from orchestrator.services.bindings import NEVER
from orchestrator.services.rulebook import Rulebook
from orchestrator.store.tables import Json

MOST_WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """All that was asked at an instant."""

    facts: Facts
    book: Rulebook
    at: datetime


def inputs(asked: Asked) -> dict[Rule, Json]:
    """Return what each rule looked at; empty where there was nothing to look at."""
    return {rule: read(asked) for rule, read in _READERS.items()}


def _managed(asked: Asked) -> Json:
    return {"managed": asked.facts.managed, "observe_only": asked.facts.observe_only}


def _frozen(asked: Asked) -> Json:
    return {} if asked.facts.frozen is None else {"reason": asked.facts.frozen}


def _deletion(asked: Asked) -> Json:
    stone = asked.facts.tombstone
    if stone is None:
        return {}
    return {
        "due": _text(stone.due),
        "actor": stone.actor,
        "reason": stone.reason,
        "held_back": stone.held_back,
    }


def _holds(asked: Asked) -> Json:
    held = [
        {
            "wish": one.wish,
            "until": _text(one.until),
            "actor": one.actor,
            "reason": one.reason,
            "by_program": one.by_program,
        }
        for one in asked.facts.holds
        if one.until > asked.at
    ]
    return {"holds": held} if held else {}


def _expiry(asked: Asked) -> Json:
    expiry = asked.facts.expiry
    if expiry is None:
        return {}
    return {
        "expires_at": _text(expiry.at),
        "pauses_at": _text(expiry.pauses_at()),
        "warned_at": _text(expiry.warned_at),
        "actor": expiry.actor,
        "reason": expiry.reason,
    }


def _schedules(asked: Asked) -> Json:
    found = [_schedule(asked, fact) for fact in asked.facts.schedules]
    return {"schedules": found, "protected": asked.facts.protected} if found else {}


def _schedule(asked: Asked, fact: ScheduleFact) -> Json:
    row = asked.book.schedules[fact.id]
    windows = asked.book.timetable.windows[fact.id]
    local = asked.at.astimezone(zone(windows.timezone))
    state = fact.state
    return {
        "id": fact.id,
        "name": fact.name,
        "version": row.version,
        "timezone": windows.timezone,
        "local_time": f"{local:%a %Y-%m-%d %H:%M}",
        "day_off": local.date() in windows.days_off,
        "windows_today": _today(windows, local),
        "inside": state.inside,
        "keep_running": state.keep_running,
        "window_start": _text(state.window_start),
        "window_end": _text(state.window_end),
        "next_start": _text(state.next_start),
        "next_edge": _text(state.next_edge),
        "acts_from": None if fact.acts_from == NEVER else _text(fact.acts_from),
        "never_acts": fact.acts_from == NEVER,
        "shadow": fact.shadow,
    }


def _today(windows: Windows, local: datetime) -> list[Json]:
    """Return the windows that meet the civil day, with their instants."""
    midnight = datetime.combine(local.date(), time(), local.tzinfo)
    found = occurrences(windows, midnight, midnight + timedelta(days=1))
    return [
        {
            "start": _text(one.start),
            "end": _text(one.end),
            "local": f"{one.start.astimezone(local.tzinfo):%a %H:%M}-"
            f"{one.end.astimezone(local.tzinfo):%a %H:%M}",
            "keep_running": one.keep_running,
        }
        for one in islice(found, MOST_WINDOWS)
    ]


def _idle(asked: Asked) -> Json:
    facts = asked.facts
    if not facts.idle_rules and facts.asleep_rule != Rule.IDLE:
        return {}
    return {
        "policies": [_policy(rule, facts.activity, asked.at) for rule in facts.idle_rules],
        "evidence": _evidence(facts.activity, asked.at),
        "asleep_since": _text(facts.asleep_since) if facts.asleep_rule == Rule.IDLE else None,
    }


def _policy(rule: IdleRule, activity: Activity, at: datetime) -> Json:
    finding = judge(rule, activity, at)
    return {
        "id": rule.id,
        "name": rule.name,
        "timeout_minutes": rule.timeout.total_seconds() / 60,
        "min_awake_minutes": rule.min_awake.total_seconds() / 60,
        "action": "pause" if rule.pauses else "scale_to_zero",
        "shadow": rule.shadow,
        "quiet_until": _text(rule.quiet_until),
        "verdict": finding.verdict,
        "finding": finding.detail,
        "idle_at": _text(finding.idle_at),
    }


def _evidence(activity: Activity, at: datetime) -> Json:
    covered = activity.covered_to
    age = None if covered is None else max((at - covered).total_seconds(), 0.0)
    return {
        "source": activity.source,
        "last_request_at": _text(activity.last_request_at),
        "covered_from": _text(activity.covered_from),
        "covered_to": _text(covered),
        "age_seconds": age,
        "fresh": age is not None and age <= FRESH_FOR.total_seconds(),
        "in_flight": activity.in_flight,
        "started_at": _text(activity.started_at),
        "held_awake": activity.held_awake,
    }


def _standing(asked: Asked) -> Json:
    standing = asked.facts.standing
    if standing is None:
        return {}
    return {
        "wish": standing.wish,
        "actor": standing.actor,
        "reason": standing.reason,
        "at": _text(standing.at),
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


_READERS: Mapping[Rule, Callable[[Asked], dict[str, Any]]] = {
    Rule.NOT_MANAGED: _managed,
    Rule.FROZEN: _frozen,
    Rule.DELETION: _deletion,
    Rule.HOLD: _holds,
    Rule.EXPIRED: _expiry,
    Rule.SCHEDULE: _schedules,
    Rule.IDLE: _idle,
    Rule.STANDING: _standing,
}
