"""Why an endpoint is wanted so: the rules in order with what they looked at, at any instant.

For now and later by the rules of today. For the past by what was known then, which is kept at
every change of it; where nothing is kept of an instant, that is said and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sqlmodel import Session

from orchestrator.domain.decide import DRAINING, Considered, Decision, Facts, Rule, decide
from orchestrator.domain.endpoints import BilledReplicas, Stop
from orchestrator.domain.idle import FLOWING_FOR, Activity
from orchestrator.domain.plan import Means, needed
from orchestrator.domain.status import Status, Wish
from orchestrator.services import clicks, remembered, use_then, why_inputs
from orchestrator.services.remembered import Remembered
from orchestrator.services.rulebook import Rulebook, means_of
from orchestrator.services.why_past import Unknown, unknown_then
from orchestrator.store import accounts, history, ledger
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Endpoint, Json

Basis = Literal["now", "past", "future"]
FactsAt = Callable[[datetime], Facts]
_NOT_SO = {
    Rule.NOT_MANAGED: "it is managed",
    Rule.FROZEN: "nothing is frozen",
    Rule.DELETION: "nobody asked for its deletion",
    Rule.EXPIRED: "it never expires",
}
_SECOND = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One rule that was asked, what came of it, and what it looked at (on its first line)."""

    rule: Rule
    outcome: str
    detail: str
    inputs: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the engine had decided by then, at its last change of mind."""

    at: datetime
    wish: str | None
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Why:
    """Why an endpoint is, was or will be wanted so at an instant.

    `decision` is None where that cannot be known, `unknown_because` says why then. `facts` answers
    for other instants on the same knowledge, which is that of `known_at`. `barrier` says why what
    is wanted is not done; `doubts` what the answer rests on that may not hold.
    """

    at: datetime
    basis: Basis
    decision: Decision | None
    lines: tuple[Line, ...] = ()
    unknown_because: str = ""
    status: str = ""
    known_at: datetime | None = None
    recorded: Recorded | None = None
    next_at: datetime | None = None
    next_wish: Wish | None = None
    barrier: str = ""
    doubts: tuple[str, ...] = ()
    facts: FactsAt | None = None


def explain(session: Session, row: Endpoint, at: datetime, now: datetime) -> Why:
    """Return why an endpoint is wanted so at `at`, as known at `now`."""
    if at < now:
        return _past(session, row, at)
    return _ahead(session, row, at, now)


def _ahead(session: Session, row: Endpoint, at: datetime, now: datetime) -> Why:
    account = accounts.by_ids(session, [row.account_id])[row.account_id]
    book = Rulebook.load(session, account, now, row.id)
    looked = clicks.facts_of(session, account, row, now, book).activity
    activity = looked
    if looked.covered_to is None and row.managed:
        columns = remembered.row_of(row)
        activity = use_then.activity_then(session, row, columns, now)

    def facts(instant: datetime) -> Facts:
        found = clicks.facts_of(session, account, row, instant, book)
        held = found.activity.held_awake, found.activity.held_every_s
        seen = replace(activity, held_awake=held[0], held_every_s=held[1])
        return replace(found, activity=seen)

    why = _asked(facts, book, at, "now" if at == now else "future")
    return replace(why, known_at=now, barrier=_barrier(row, why.decision))


def _past(session: Session, row: Endpoint, at: datetime) -> Why:
    reason = unknown_then(session, row, at)
    if isinstance(reason, Decision):
        lines = tuple(Line(one.rule, one.outcome, one.detail) for one in _in_order(reason))
        return Why(at, "past", reason, lines)
    found = None if reason is not None else remembered.recall(session, row, at)
    if found is None:
        because = reason.because if isinstance(reason, Unknown) else ""
        return Why(at, "past", None, unknown_because=because)
    then = found
    activity = use_then.activity_then(session, row, then.row, at)

    def seeing(use: Activity) -> FactsAt:
        return lambda instant: then.book.facts(then.row, use, instant)

    known = seeing(activity)
    why, recorded = _asked(known, then.book, at, "past"), _recorded(session, row, at)
    drain = _drain_as_decided(why.decision, recorded, at)
    if drain is not None:
        flow = seeing(replace(activity, last_request_at=drain.last_request_at))
        why = _asked(flow, then.book, at, "past", looked_at=known)
    return replace(
        why,
        known_at=then.at,
        recorded=recorded,
        barrier=_barrier_then(then.row, why.decision),
        doubts=(
            *_doubts(session, row, why, recorded),
            *([] if drain is None else [drain.doubt]),
            *_read_later(row, then, activity, at),
        ),
    )


def _asked(
    facts: FactsAt, book: Rulebook, at: datetime, basis: Basis, *, looked_at: FactsAt | None = None
) -> Why:
    known = facts(at)
    decision = decide(known, at)
    edge = decision.next_edge
    after = None if edge is None else decide(facts(edge), edge)
    seen = known if looked_at is None else looked_at(at)
    inputs = why_inputs.inputs(why_inputs.Asked(seen, book, at))
    return Why(
        at=at,
        basis=basis,
        decision=decision,
        lines=tuple(_lines(decision, inputs)),
        status=known.status,
        next_at=edge,
        next_wish=None if after is None else after.wish,
        facts=facts,
    )


def _lines(decision: Decision, looked_at: dict[Rule, Json]) -> list[Line]:
    told: set[Rule] = set()
    lines = []
    for one in _in_order(decision):
        inputs = {} if one.rule in told else looked_at.get(one.rule, {})
        told.add(one.rule)
        lines.append(Line(one.rule, one.outcome, one.detail, inputs))
    return lines


def _in_order(decision: Decision) -> tuple[Considered, ...]:
    """Return every rule in order of precedence, also those that were not reached."""
    found: list[Considered] = []
    reached = True
    for rule in Rule:
        noted = [item for item in decision.considered if item.rule is rule]
        if not noted and rule is decision.rule:
            noted = [Considered(rule, "decided", decision.reason)]
        if noted:
            found += noted
        elif rule is Rule.QUOTA:
            continue
        elif reached and rule in _NOT_SO:
            found.append(Considered(rule, "no_opinion", _NOT_SO[rule]))
        else:
            found.append(Considered(rule, "not_reached", "an earlier rule decided"))
        reached = reached and rule is not decision.rule
    return tuple(found)


def _barrier(row: Endpoint, decision: Decision | None) -> str:
    billed = BilledReplicas(row.billed_low, row.billed_expected, row.billed_high)
    kind = None if decision is None else needed(Status(row.status), decision, billed)
    return means_of(row).barrier(kind) if kind is not None else ""


def _barrier_then(row: ManagedRow, decision: Decision | None) -> str:
    if decision is None:
        return ""
    kind = needed(Status(row.status), decision, BilledReplicas(0, 0, 1))
    means = Means(Stop(row.stop), row.to_zero, row.allow_recreate)
    return means.barrier(kind) if kind is not None else ""


def _recorded(session: Session, row: Endpoint, at: datetime) -> Recorded | None:
    event = history.last_event(session, row.id, use_then.DECIDED, at)
    if event is None:
        return None
    rule = f"{event.data['rule']}:{event.data['id']}".rstrip(":")
    return Recorded(event.at, event.data["wish"], rule, event.message)


@dataclass(frozen=True, slots=True)
class _Drain:
    """A last request by which a decision about a drain holds, and why it is taken so."""

    last_request_at: datetime
    doubt: str


def _drain_as_decided(
    decision: Decision | None, recorded: Recorded | None, at: datetime
) -> _Drain | None:
    """Return what the engine had seen of a drain; None where what is kept of use agrees with it.

    A drain hangs on single minutes, and the record of use keeps ten together.
    """
    if decision is None or recorded is None or decision.wish == recorded.wish:
        return None
    if decision.rule is not Rule.SCHEDULE or not recorded.rule.startswith(Rule.SCHEDULE):
        return None
    told = f"what the engine had decided at {recorded.at:%Y-%m-%d %H:%M:%S} UTC tells that requests"
    if decision.draining:
        return _Drain(recorded.at - FLOWING_FOR, f"{told} had ceased by then, as far as it knew")
    if recorded.message.partition(", ")[2].startswith(DRAINING):
        return _Drain(at, f"{told} still flowed: when each came is not kept")
    return None


def _doubts(session: Session, row: Endpoint, why: Why, recorded: Recorded | None) -> list[str]:
    found = []
    for one in ledger.timeline(session, row.id, why.at, why.at.replace(microsecond=999_999)):
        if one.evidence == "unobserved":
            until = "now" if one.ended_at is None else f"{one.ended_at:%Y-%m-%d %H:%M} UTC"
            found.append(
                f"nobody looked at it from {one.started_at:%Y-%m-%d %H:%M} UTC to {until}: "
                "what was known before is taken to hold"
            )
    decision = why.decision
    if recorded is not None and decision is not None and recorded.wish != decision.wish:
        found.append(
            f"by then the engine had last decided, at {recorded.at:%Y-%m-%d %H:%M:%S} UTC, that "
            f"{recorded.wish or 'nothing'} was wanted: it had not asked again"
        )
    return list(dict.fromkeys(found))


def _read_later(row: Endpoint, then: Remembered, activity: Activity, at: datetime) -> list[str]:
    """Return what was read of its use only later, where an idle policy asked for it then."""
    told = use_then.named_since(row, activity, at) if then.book.has_idle_rule(row.id) else ""
    return [told] if told else []


__all__ = ("Activity", "Line", "Recorded", "Why", "explain")
