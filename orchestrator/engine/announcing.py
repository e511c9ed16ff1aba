"""What a rule's decision may overtake, and what is said of those that are not carried out."""

from __future__ import annotations

from orchestrator.domain.decide import Proposal
from orchestrator.domain.plan import Action, Kind
from orchestrator.domain.supersede import Turn
from orchestrator.services.requests import answer_to
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Endpoint, Json, Operation


def gives_way(active: Operation, endpoint: Endpoint, kind: Kind) -> bool:
    """Tell whether a rule's change may take the place of what is under way.

    A create or update that may have been sent is settled before rules do anything else.
    """
    in_doubt = active.kind in (Kind.CREATE, Kind.UPDATE) and active.status == "running"
    if in_doubt and kind is not Kind.DELETE:
        return False
    return answer_to(active, endpoint, kind).turn is Turn.SUPERSEDE


def deferral_key(action: Action) -> tuple[str, str]:
    """Return what a put-off change is known by, so that it is told once."""
    return action.endpoint_id, f"deferred:{action.kind}"


def proposed(row: ManagedRow, proposal: Proposal) -> Json:
    """Return the event of what a rule would have done."""
    return {
        "kind": "decision.proposed",
        "message": f"{row.name} would be {proposal.wish}: {proposal.reason}",
        "endpoint_id": row.id,
        "data": {"rule": proposal.rule, "id": proposal.rule_id, "to_zero": proposal.to_zero},
    }


def refused(action: Action, why: str) -> Json:
    """Return the event of a change that is put off."""
    return {
        "kind": "decision.refused",
        "message": f"{action.kind} put off: {why}",
        "endpoint_id": action.endpoint_id,
        "data": {"rule": action.decision.rule, "reason": action.decision.reason},
    }
