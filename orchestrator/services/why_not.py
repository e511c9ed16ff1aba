"""Why an endpoint is not running, or not paused: which rules stand in the way, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.domain.asked import Standing
from orchestrator.domain.decide import Decision, Facts, Rule, ScheduleFact, decide
from orchestrator.domain.status import Status, Wish
from orchestrator.services.why import FactsAt, Why
from orchestrator.store.tables import Endpoint

Wanted = Literal["running", "paused"]
# Rules change their minds this often before the search for an end is given up.
MOST_EDGES = 100
FARTHEST = timedelta(days=62)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that has to give way; `until` is when it does so by itself, None where it never does.

    `later_rule` tells that it would decide only if those before it gave way.
    """

    rule: Rule
    reason: str
    until: datetime | None
    remedy: str
    later_rule: bool = False


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What would have to change for an endpoint to be `wanted` so.

    `is_wanted` where the rules want it so already; `detail` then says what it waits for.
    `by_itself` is when they will, if nothing else happens.
    """

    wanted: Wanted
    is_wanted: bool
    detail: str
    obstacles: tuple[Obstacle, ...] = ()
    by_itself: datetime | None = None


def why_not(row: Endpoint, why: Why, wanted: Wanted) -> WhyNot:
    """Return what stands in the way of what a person expected."""
    facts, decision = why.facts, why.decision
    if decision is None or facts is None:
        told = why.unknown_because or (decision.reason if decision else "")
        return WhyNot(wanted, is_wanted=False, detail=told)
    known = facts(why.at)
    if _meets(wanted, decision, known.status):
        return WhyNot(wanted, is_wanted=True, detail=_waits_for(wanted, why, known))
    found = _obstacles(row, wanted, known, why)
    first = found[0]
    detail = f"{first.rule} decides: {first.reason}"
    return WhyNot(
        wanted,
        is_wanted=False,
        detail=detail,
        obstacles=tuple(found),
        by_itself=_by_itself(facts, wanted, decision, why.at),
    )


def _meets(wanted: Wanted, decision: Decision, status: Status) -> bool:
    if wanted == "paused":
        return decision.wish is Wish.PAUSED
    if decision.wish is Wish.AVAILABLE:  # at zero it stays there until a request comes
        return status is not Status.SCALED_TO_ZERO and not decision.to_zero
    return decision.wish is Wish.RUNNING


def _waits_for(wanted: Wanted, why: Why, known: Facts) -> str:
    status = known.status
    if why.barrier:
        return f"the rules want it so, but it is not done: {why.barrier}"
    if status == wanted:
        return f"it is {status}, as the rules want"
    return f"the rules want it so; the cloud says {status}"


def _obstacles(row: Endpoint, wanted: Wanted, known: Facts, why: Why) -> list[Obstacle]:
    """Take away one rule after the other until what is left wants it so."""
    found: list[Obstacle] = []
    facts, at = known, why.at
    for _ in Rule:
        decision = decide(facts, at)
        if _meets(wanted, decision, facts.status):
            break
        until = _until(decision, facts, why, wanted)
        remedy = _REMEDIES[decision.rule](row, wanted)
        found.append(Obstacle(decision.rule, decision.reason, until, remedy, bool(found)))
        facts = _without(decision.rule, facts, wanted, at)
    return found


def _until(decision: Decision, known: Facts, why: Why, wanted: Wanted) -> datetime | None:
    """Return when a rule gives way by itself, whatever the others say; None where it never does."""
    if decision.rule is Rule.HOLD:
        return _holds_end(known, why.at, wanted)
    if decision.rule is Rule.SCHEDULE:
        return _schedules_turn(decision, known, why, wanted)
    if decision.rule is Rule.IDLE and decision.to_zero is False:
        return min((at for one in known.schedules if (at := _wakes_at(one))), default=None)
    return None


def _wakes_at(schedule: ScheduleFact) -> datetime | None:
    """Return when the next window of a schedule wakes what sleeps."""
    start, since = schedule.state.next_start, schedule.acts_from
    late = start is not None and since is not None and since > start
    return None if schedule.shadow or late else start


def _holds_end(known: Facts, at: datetime, wanted: Wanted) -> datetime | None:
    """Return the end of the hold after which those that are left are no longer in the way."""
    for end in sorted(hold.until for hold in known.holds if hold.until > at):
        left = replace(known, holds=tuple(one for one in known.holds if one.until > end))
        decision = decide(left, at)
        if decision.rule is not Rule.HOLD or _meets(wanted, decision, known.status):
            return end
    return None


def _schedules_turn(decision: Decision, known: Facts, why: Why, wanted: Wanted) -> datetime | None:
    """Run the schedules alone forward to where they want it so."""
    at_zero = known.status is Status.SCALED_TO_ZERO
    for _ in range(MOST_EDGES):
        # What slept between two windows is started; what is at zero stays there.
        at_zero = at_zero and decision.wish is not Wish.PAUSED
        edge = decision.next_rule_edge
        if why.facts is None or edge is None or edge > why.at + FARTHEST:
            return None
        decision = decide(_schedules_only(why.facts(edge), wanted, edge), edge)
        status = known.status if at_zero or wanted == "paused" else Status.RUNNING
        if decision.rule is not Rule.SCHEDULE or _meets(wanted, decision, status):
            return edge
    return None


def _schedules_only(known: Facts, wanted: Wanted, at: datetime) -> Facts:
    for rule in Rule:
        if rule not in (Rule.SCHEDULE, Rule.QUOTA):
            known = _without(rule, known, wanted, at)
    return known


def _without(rule: Rule, facts: Facts, wanted: Wanted, at: datetime) -> Facts:
    standing = Standing(Wish(wanted), "somebody", "as asked for", at)
    changes: dict[Rule, dict[str, object]] = {
        Rule.NOT_MANAGED: {"managed": True},
        Rule.FROZEN: {"frozen": None},
        Rule.DELETION: {"tombstone": None, "standing": standing},
        Rule.HOLD: {"holds": ()},
        Rule.EXPIRED: {"expiry": None},
        Rule.SCHEDULE: {"schedules": ()},
        Rule.IDLE: {"idle_rules": (), "asleep_rule": ""},
        Rule.STANDING: {"standing": standing},
    }
    return replace(facts, **changes[rule])  # type: ignore[arg-type] # each names fields of Facts


def _by_itself(facts: FactsAt, wanted: Wanted, decision: Decision, at: datetime) -> datetime | None:
    edge = decision.next_edge
    for _ in range(MOST_EDGES):
        if edge is None or edge > at + FARTHEST:
            return None
        known = facts(edge)
        later = decide(known, edge)
        if later.wish == wanted or (wanted == "running" and later.wish is Wish.AVAILABLE):
            return edge
        edge = later.next_edge
    return None


def _start_or_stop(row: Endpoint, wanted: Wanted) -> str:
    verb = "resume" if wanted == "running" else "pause"
    return f"orchestrator endpoints {verb} {row.name}"


def _against(row: Endpoint, wanted: Wanted) -> str:
    return f"hold it for a while: orchestrator hold {row.name} {wanted} --for 2h --reason '...'"


_REMEDIES: dict[Rule, Callable[[Endpoint, Wanted], str]] = {
    Rule.NOT_MANAGED: lambda row, _: f"orchestrator endpoints adopt {row.name}",
    Rule.FROZEN: lambda _, __: "end the freeze: orchestrator freeze off",
    Rule.DELETION: lambda row, _: f"orchestrator endpoints undelete {row.name}",
    Rule.HOLD: lambda row, wanted: (
        f"end the hold: orchestrator holds list --endpoint {row.name}, then orchestrator holds "
        f"end; or, {_against(row, wanted)}"
    ),
    Rule.EXPIRED: lambda row, _: f"orchestrator endpoints extend {row.name} --for 3d",
    Rule.SCHEDULE: lambda row, wanted: f"{_against(row, wanted)}; or change the schedule",
    Rule.IDLE: lambda row, wanted: f"{_start_or_stop(row, wanted)}; or change the policy",
    Rule.STANDING: _start_or_stop,
}
