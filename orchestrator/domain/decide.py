"""`decide`: what is wanted of one endpoint at one instant, by which rule, and until when.

Pure. The same function serves the engine, the preview and `why`. The order is: frozen or not
managed, deletion (paused for its grace first), holds, (budgets: not yet), expiry, schedules,
idle policies, standing wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orchestrator.domain.asked import HoldFact, Standing, Tombstone, foremost
from orchestrator.domain.expiry import Expiry
from orchestrator.domain.idle import Activity, IdleRule, Verdict, judge
from orchestrator.domain.schedules.model import ScheduleState
from orchestrator.domain.status import Status, Wish

DRAINING = "draining"


class Rule(StrEnum):
    """Who decided; the order of the members is the order of precedence."""

    NOT_MANAGED = "not_managed"
    FROZEN = "frozen"
    DELETION = "deletion"
    HOLD = "hold"
    EXPIRED = "expired"
    SCHEDULE = "schedule"
    IDLE = "idle"
    STANDING = "standing"
    # Not of `decide` but of `plan`: what sleeps at zero gives its quota to what has to start.
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class ScheduleFact:
    """One bound schedule, evaluated at the instant of the decision.

    `ended_at` is the end of the latest window, when that lies no further back than `drain`. One of
    `only_points` wants nothing by itself: its cron points hold.
    """

    id: str
    name: str
    state: ScheduleState
    drain: timedelta
    ended_at: datetime | None = None
    acts_from: datetime | None = None
    shadow: bool = False
    only_points: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `decide` may look at; everything was read before, nothing is fetched."""

    status: Status
    managed: bool
    standing: Standing | None
    frozen: str | None = None
    observe_only: str = ""
    protected: bool = False
    holds: tuple[HoldFact, ...] = ()
    schedules: tuple[ScheduleFact, ...] = ()
    idle_rules: tuple[IdleRule, ...] = ()
    activity: Activity = field(default_factory=Activity)
    asleep_rule: str = ""
    asleep_since: datetime | None = None
    tombstone: Tombstone | None = None
    expiry: Expiry | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule that was looked at, in order, and what came of it."""

    rule: Rule
    outcome: str  # decided | no_opinion | not_yet | shadow | proposed
    detail: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rule in shadow mode, or one that meets a protected endpoint, would have done."""

    rule: Rule
    rule_id: str
    wish: Wish
    to_zero: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; `wish` is None where nothing may be done.

    `to_zero` asks that an available endpoint give up its replicas now; `draining` that a window
    has ended and its pause waits for requests to cease. `next_edge` is the next
    instant at which the same facts could give another answer; None means never by themselves.
    `next_rule_edge` is the next of those that a hold or schedule sets, use left aside.
    `held_back` says why a deletion that is due has to wait; `evidence` is what idleness rests on.
    """

    wish: Wish | None
    rule: Rule
    reason: str
    rule_id: str = ""
    to_zero: bool = False
    draining: bool = False
    next_edge: datetime | None = None
    next_rule_edge: datetime | None = None
    considered: tuple[Considered, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    held_back: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Deliberation:
    """Collects what is considered on the way to the first rule that matches."""

    facts: Facts
    now: datetime
    considered: list[Considered] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    edges: list[datetime] = field(default_factory=list)
    use_edges: list[datetime] = field(default_factory=list)
    # A start by a cron point: it ranks with the schedules, below an expiry.
    started: HoldFact | None = None

    def note(self, rule: Rule, outcome: str, detail: str) -> None:
        self.considered.append(Considered(rule, outcome, detail))

    def edge(self, instant: datetime | None) -> None:
        if instant is not None and instant > self.now:
            self.edges.append(instant)

    def use_edge(self, instant: datetime | None) -> None:
        if instant is not None and instant > self.now:
            self.use_edges.append(instant)

    def propose(self, decision: Decision, outcome: str) -> None:
        if decision.wish is not None:
            self.proposals.append(
                Proposal(
                    decision.rule,
                    decision.rule_id,
                    decision.wish,
                    decision.to_zero,
                    decision.reason,
                    decision.evidence,
                )
            )
        self.note(decision.rule, outcome, decision.reason)

    def settle(self, decision: Decision) -> Decision:
        self.note(decision.rule, "decided", decision.reason)
        return Decision(
            decision.wish,
            decision.rule,
            decision.reason,
            decision.rule_id,
            decision.to_zero,
            decision.draining,
            min([*self.edges, *self.use_edges], default=None),
            min(self.edges, default=None),
            tuple(self.considered),
            tuple(self.proposals),
            decision.held_back,
            decision.evidence,
        )


def decide(facts: Facts, now: datetime) -> Decision:
    """Return what is wanted of the endpoint at `now`, by the first rule that matches."""
    todo = _Deliberation(facts, now)
    barred = _barred(facts) or _doomed(todo)
    if barred is not None:
        return todo.settle(barred)
    held = _held(todo)
    if held is not None:
        return todo.settle(held)
    ruled = _expired(todo) or _scheduled_and_idle(todo)
    if ruled is not None:
        if not facts.protected:
            return todo.settle(ruled)
        todo.propose(ruled, "proposed")
    standing = facts.standing
    if standing is None:
        return todo.settle(Decision(None, Rule.STANDING, "nobody has asked for anything yet"))
    reason = f"{standing.actor} asked for it: {standing.reason}"
    return todo.settle(Decision(standing.wish, Rule.STANDING, reason))


def _barred(facts: Facts) -> Decision | None:
    if not facts.managed:
        why = facts.observe_only or "it is only observed; adopt it to have it managed"
        return Decision(None, Rule.NOT_MANAGED, why)
    if facts.frozen is not None:
        return Decision(None, Rule.FROZEN, f"frozen: {facts.frozen}")
    standing = facts.standing
    if standing is not None and standing.wish is Wish.DELETED:
        return Decision(
            Wish.DELETED, Rule.DELETION, f"{standing.actor} asked for it: {standing.reason}"
        )
    return None


def _doomed(todo: _Deliberation) -> Decision | None:
    """A deletion with grace outranks holds and rules; what is due may still be held back."""
    stone = todo.facts.tombstone
    if stone is None:
        return None
    why = f"{stone.actor} asked for its deletion: {stone.reason}"
    if stone.due > todo.now:
        todo.edge(stone.due)
        until = f"it can be brought back until {stone.due:%Y-%m-%d %H:%M} UTC"
        return Decision(Wish.PAUSED, Rule.DELETION, f"{why}; {until}")
    held = stone.held_back or ("it is protected" if todo.facts.protected else "")
    if held:
        reason = f"{why}; it is due, and waits: {held}"
        return Decision(Wish.PAUSED, Rule.DELETION, reason, held_back=held)
    return Decision(Wish.DELETED, Rule.DELETION, f"{why}; its grace is over")


def _held(todo: _Deliberation) -> Decision | None:
    active = [hold for hold in todo.facts.holds if hold.until > todo.now]
    if not active:
        todo.note(Rule.HOLD, "no_opinion", "nobody holds it")
        return None
    for hold in active:
        todo.edge(hold.until)
    others = [hold for hold in active if hold.point_at is None or hold.wish is Wish.PAUSED]
    if others:
        return _kept(foremost(others))
    todo.started = foremost(active)
    todo.note(Rule.HOLD, "no_opinion", "a start by a cron point ranks with the schedules")
    return None


def _kept(hold: HoldFact) -> Decision:
    return Decision(hold.wish, Rule.HOLD, f"{hold.actor} holds it {hold.wish}: {hold.reason}")


def _expired(todo: _Deliberation) -> Decision | None:
    """What has expired is paused, once people had the notice that they were promised."""
    expiry = todo.facts.expiry
    if expiry is None:
        return None
    pauses_at = expiry.pauses_at()
    if pauses_at is not None and pauses_at <= todo.now:
        return Decision(Wish.PAUSED, Rule.EXPIRED, expiry.told(todo.now))
    todo.edge(pauses_at or expiry.at)
    todo.note(Rule.EXPIRED, "not_yet", expiry.told(todo.now))
    return None


def _scheduled_and_idle(todo: _Deliberation) -> Decision | None:
    if todo.facts.asleep_rule == Rule.QUOTA and todo.facts.status is Status.PAUSED:
        told = "it gave its quota to another, and comes back when there is room"
        todo.note(Rule.QUOTA, "not_yet", told)
    schedule, started = _scheduled(todo), todo.started
    if started is not None and (schedule is None or schedule.wish is not Wish.RUNNING):
        schedule = _kept(started)
    if schedule is not None and schedule.wish is not Wish.AVAILABLE:
        return schedule
    wish = todo.facts.standing.wish if todo.facts.standing else None
    if schedule is None and wish is Wish.PAUSED:
        todo.note(Rule.IDLE, "no_opinion", "a person wants it paused already")
        return None
    # Inside a window that only asks for "available", idleness may still send it to zero.
    woken = (_window_start(todo), started.point_at if started is not None else None)
    return _idle(todo, max((at for at in woken if at is not None), default=None)) or schedule


def _in_force(todo: _Deliberation) -> list[ScheduleFact]:
    active = []
    for fact in todo.facts.schedules:
        # One in shadow only proposes: nothing changes then.
        edge = todo.use_edge if fact.shadow else todo.edge
        edge(fact.state.next_edge)
        if fact.acts_from is not None and fact.acts_from > todo.now:
            edge(fact.acts_from)
            detail = f"{fact.name} acts from its next edge"
            todo.note(Rule.SCHEDULE, "not_yet", detail)
        elif fact.only_points:
            todo.note(Rule.SCHEDULE, "no_opinion", f"{fact.name} has no windows, only points")
        elif fact.shadow:
            todo.propose(_schedule_answer(todo, [fact]), "shadow")
        else:
            active.append(fact)
    return active


def _scheduled(todo: _Deliberation) -> Decision | None:
    active = _in_force(todo)
    if not active:
        if not todo.facts.schedules:
            todo.note(Rule.SCHEDULE, "no_opinion", "no schedule binds it")
        return None
    return _schedule_answer(todo, active)


def _schedule_answer(todo: _Deliberation, schedules: Sequence[ScheduleFact]) -> Decision:
    inside = [fact for fact in schedules if fact.state.inside]
    if inside:
        keeps = [fact for fact in inside if fact.state.keep_running]
        chosen = (keeps or inside)[0]
        wish = Wish.RUNNING if keeps else Wish.AVAILABLE
        return Decision(wish, Rule.SCHEDULE, f"inside a window of {chosen.name}", chosen.id)
    draining = _draining(todo, schedules)
    if draining is not None:
        return draining
    names = " and ".join(fact.name for fact in schedules)
    return Decision(Wish.PAUSED, Rule.SCHEDULE, f"outside the windows of {names}", schedules[0].id)


def _draining(todo: _Deliberation, schedules: Sequence[ScheduleFact]) -> Decision | None:
    """A window's end waits for requests to cease, at most for `drain`, on fresh evidence only."""
    if todo.facts.status is not Status.RUNNING or not todo.facts.activity.flowing(todo.now):
        return None
    for fact in schedules:
        if fact.ended_at is None:
            continue
        limit = fact.ended_at + fact.drain
        if limit > todo.now:
            todo.edge(limit)
            todo.use_edge(todo.facts.activity.quiet_at())
            reason = f"{DRAINING} after a window of {fact.name}: requests still flow"
            return Decision(Wish.AVAILABLE, Rule.SCHEDULE, reason, fact.id, draining=True)
    return None


def _window_start(todo: _Deliberation) -> datetime | None:
    starts = [
        fact.state.window_start
        for fact in todo.facts.schedules
        if fact.state.inside
        and fact.state.window_start is not None
        and not fact.shadow
        and (fact.acts_from is None or fact.acts_from <= todo.now)
    ]
    return max(starts, default=None)


def _idle(todo: _Deliberation, window_start: datetime | None) -> Decision | None:
    asleep = _asleep_for_idleness(todo, window_start)
    if asleep is not None:
        return asleep
    if not todo.facts.idle_rules:
        todo.note(Rule.IDLE, "no_opinion", "no idle policy binds it")
    for rule in todo.facts.idle_rules:
        decision = _idle_rule(todo, rule)
        if decision is None:
            continue
        if rule.shadow:
            todo.propose(decision, "shadow")
        else:
            return decision
    return None


def _asleep_for_idleness(todo: _Deliberation, window_start: datetime | None) -> Decision | None:
    """What an idle policy has paused stays so until a person or the next window wakes it."""
    facts = todo.facts
    if facts.asleep_rule != Rule.IDLE or facts.asleep_since is None:
        return None
    if facts.status not in (Status.PAUSED, Status.PAUSING):
        return None
    overtaken: Iterable[datetime | None] = (
        window_start,
        facts.standing.at if facts.standing else None,
    )
    if any(instant is not None and instant > facts.asleep_since for instant in overtaken):
        return None
    return Decision(
        Wish.PAUSED, Rule.IDLE, "paused for idleness; a person or the next window wakes it"
    )


def _idle_rule(todo: _Deliberation, rule: IdleRule) -> Decision | None:
    if todo.facts.status is not Status.RUNNING:
        todo.note(Rule.IDLE, "no_opinion", f"{rule.name}: it is not running")
        return None
    if rule.quiet_until is not None and rule.quiet_until > todo.now:
        todo.use_edge(rule.quiet_until)
        until = f"{rule.name}: quiet hours until {rule.quiet_until:%Y-%m-%d %H:%M} UTC"
        todo.note(Rule.IDLE, "no_opinion", until)
        return None
    finding = judge(rule, todo.facts.activity, todo.now)
    todo.use_edge(finding.idle_at)
    if finding.verdict is not Verdict.IDLE:
        todo.note(Rule.IDLE, "no_opinion", f"{rule.name}: {finding.verdict}, {finding.detail}")
        return None
    wish = Wish.PAUSED if rule.pauses else Wish.AVAILABLE
    reason = f"{rule.name}: {finding.detail}"
    return Decision(
        wish, Rule.IDLE, reason, rule.id, to_zero=not rule.pauses, evidence=finding.evidence
    )
