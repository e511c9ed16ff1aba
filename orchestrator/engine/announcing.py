"""What a rule's decision may overtake, and what is said of those that are not carried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.decide import Decision, Proposal, Rule
from orchestrator.domain.idle import Activity
from orchestrator.domain.plan import Action, Kind
from orchestrator.domain.status import AWAKE, Wish
from orchestrator.domain.supersede import State, Turn
from orchestrator.engine.steps import NO_CAPACITY
from orchestrator.services.remembered import activity_to_json
from orchestrator.services.requests import answer_to, state_of, told_of
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Endpoint, Json, Operation

# For so long rules leave it to a person's update to get through, or to be settled.
PATIENCE = timedelta(minutes=15)


def gives_way(active: Operation, endpoint: Endpoint, kind: Kind, now: datetime) -> bool:
    """Tell whether a rule's change may take the place of what is under way.

    A create that may have been sent is settled before rules do anything else. So is an update, but
    only for a while.
    """
    if kind is not Kind.DELETE and active.status in ("pending", "running"):
        if active.kind == Kind.UPDATE:
            return _update_gives_way(active, kind, late=now - active.created_at > PATIENCE)
        if active.kind == Kind.CREATE and active.status == "running":
            return False
    return answer_to(active, endpoint, kind).turn is Turn.SUPERSEDE


def _update_gives_way(active: Operation, kind: Kind, *, late: bool) -> bool:
    """Tell it of an update: one without room may wait for days, others get through soon or late."""
    match state_of(active):
        case State.UNTOUCHED:
            return late or active.outcome.startswith(NO_CAPACITY)
        case State.PENDING:
            return late
        case _:  # in doubt: what costs money is stopped all the same
            return late and kind in (Kind.PAUSE, Kind.SCALE_TO_ZERO)


def overtaken_event(active: Operation, decision: Decision, by: str) -> Json:
    """Return the event of a person's update that a rule has taken the place of."""
    return {
        "message": f"update of {active.endpoint_name}, asked for by {active.actor}, is given up: "
        f"{decision.reason}; {told_of(active)}; ask for it again if it is still wanted",
        "account_id": active.account_id,
        "endpoint_id": active.endpoint_id,
        "operation_id": active.id,
        "data": {"rule": decision.rule, "id": decision.rule_id, "superseded_by": by},
    }


def is_stale(row: ManagedRow, decision: Decision, active: Operation | None) -> bool:
    """Tell whether an operation that has not been accepted serves a wish that is no more."""
    wish = decision.wish
    if active is None or active.status not in ("pending", "running") or wish is None:
        return False
    match Kind(active.kind):
        case Kind.PAUSE:
            yields = active.rule.startswith(Rule.QUOTA) and _may_yield(row, decision)
            return wish is not Wish.PAUSED and not yields
        case Kind.RESUME:
            return wish in (Wish.PAUSED, Wish.DELETED)
        case Kind.SCALE_TO_ZERO:
            idle = active.rule.startswith(Rule.IDLE)
            return wish is not Wish.AVAILABLE or (idle and not decision.to_zero)
        case Kind.DELETE:  # of a grace that is over, and was called off or held back since
            return active.rule.startswith(Rule.DELETION) and wish is not Wish.DELETED
        case _:
            return False


def _may_yield(row: ManagedRow, decision: Decision) -> bool:
    """Tell whether it may still be paused for another: not once it wakes or others want it."""
    return row.status not in AWAKE and not row.protected and decision.rule is Rule.STANDING


def changed_event(endpoint: Endpoint, decision: Decision, activity: Activity) -> Json:
    """Return the event of another rule or wish, with the rules asked and the use known then."""
    return {
        "message": f"{endpoint.name}: {decision.wish or 'nothing'} wanted, {decision.reason}",
        "account_id": endpoint.account_id,
        "endpoint_id": endpoint.id,
        "data": {
            "wish": decision.wish,
            "rule": decision.rule,
            "id": decision.rule_id,
            "activity": activity_to_json(activity),
        },
    }


def gave_way_event(endpoint: Endpoint, decision: Decision) -> Json:
    """Return the event of one that is paused because another needs its quota."""
    return {
        "message": f"{endpoint.name} is paused, and requests get an error: {decision.reason}; "
        "resume it to have it back sooner, protect it to keep it from giving way",
        "account_id": endpoint.account_id,
        "endpoint_id": endpoint.id,
        "data": {"rule": decision.rule, "id": decision.rule_id, "reason": decision.reason},
    }


def deferral_key(action: Action) -> tuple[str, str]:
    """Return what a put-off change is known by, so that it is told once."""
    return action.endpoint_id, f"deferred:{action.kind}"


def proposed(row: ManagedRow, proposal: Proposal) -> Json:
    """Return the event of what a rule would have done."""
    return {
        "kind": "decision.proposed",
        "message": f"{row.name} would be {proposal.wish}: {proposal.reason}",
        "endpoint_id": row.id,
        "data": {
            "rule": proposal.rule,
            "id": proposal.rule_id,
            "to_zero": proposal.to_zero,
            **kept(proposal.evidence),
        },
    }


def kept(evidence: Mapping[str, Any]) -> Json:
    """Return what a stop rests on as a part of its event, nothing where it rests on none."""
    return {"evidence": dict(evidence)} if evidence else {}


def refused(action: Action, why: str) -> Json:
    """Return the event of a change that is put off; waiting in line is no refusal."""
    return {
        "kind": "decision.queued" if action.queued else "decision.refused",
        "message": f"{action.kind} put off: {why}",
        "endpoint_id": action.endpoint_id,
        "data": {"rule": action.decision.rule, "reason": action.decision.reason},
    }
