"""Idle policies in requests and answers, and what they share with schedules."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Name
from orchestrator.api.schemas.endpoint_bodies import SelectorBody
from orchestrator.api.schemas.quiet import QuietHoursBody, quiet_out
from orchestrator.services import policies
from orchestrator.services.bindings import NEVER
from orchestrator.services.scheduling import Covered, Remark
from orchestrator.store.tables import IdlePolicy, Schedule


class SelectorOut(Answer):
    """Which endpoints; ids."""

    account: str | None = None
    endpoint: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class CoveredOut(Answer):
    """An endpoint that a rule covers; `acts_from` is null where it acts now.

    `acts` is false where nothing is done: not managed, protected, no next edge and not applied
    now, or an idle policy that cannot put it to sleep.
    """

    id: str
    name: str
    managed: bool
    protected: bool
    acts: bool
    acts_from: Instant | None


class FindingOut(Answer):
    """Something to know before relying on a rule; places count from 0."""

    code: str = Field(examples=["window_covered"])
    message: str
    when: dt.date | None = None
    window: int | None = None


class PolicyBody(Body):
    """Put to sleep what nobody uses; missing evidence puts nothing to sleep."""

    name: Name
    kind: Literal["idle"] = "idle"
    timeout_minutes: int = Field(ge=1, le=43_200, examples=[30])
    min_awake_minutes: int = Field(0, ge=0, le=43_200)
    action: Literal["scale_to_zero", "pause"] = "scale_to_zero"
    selector: SelectorBody
    quiet_hours: QuietHoursBody | None = Field(None, description="When it does not act.")
    shadow: bool = False
    enabled: bool = True

    def quiet(self) -> policies.QuietHours | None:
        """Return its quiet hours. Raises ServiceError 422, which names the window."""
        return None if self.quiet_hours is None else self.quiet_hours.parsed()


class PolicySummary(Answer):
    """An idle policy without what it covers."""

    id: str = Field(examples=["pol_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    kind: Literal["idle"] = "idle"
    timeout_minutes: int
    min_awake_minutes: int
    action: Literal["scale_to_zero", "pause"]
    quiet_hours: QuietHoursBody | None
    selector: SelectorOut
    shadow: bool
    enabled: bool
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant


class PolicyOut(PolicySummary):
    """An idle policy with what it covers, and what is odd about that."""

    endpoints: list[CoveredOut]
    findings: list[FindingOut]


def policy_fields(row: IdlePolicy) -> dict[str, Any]:
    """Return what all answers about a policy have."""
    return {
        "timeout_minutes": row.timeout_minutes,
        "min_awake_minutes": row.min_awake_minutes,
        "action": row.action,
        "quiet_hours": quiet_out(row),
        **rule_fields(row),
    }


def policy_summary(row: IdlePolicy) -> PolicySummary:
    """Return a policy as a list answers it."""
    return PolicySummary.model_validate(policy_fields(row))


def policy_out(described: policies.Described) -> PolicyOut:
    """Return a policy with what it covers."""
    covered = [
        covered_out(item, cannot=described.cannot(item.endpoint)) for item in described.covered
    ]
    findings = [finding_out(item) for item in described.remarks]
    shown = {"endpoints": covered, "findings": findings}
    return PolicyOut.model_validate({**policy_fields(described.policy), **shown})


def finding_out(item: Remark) -> FindingOut:
    """Return a remark as it is answered."""
    return FindingOut.model_validate(
        {"code": item.code, "message": item.message, "when": item.when, "window": item.window}
    )


def covered_out(item: Covered, *, cannot: bool = False) -> CoveredOut:
    """Return an endpoint that a rule covers, and `cannot` do anything about."""
    row, binding = item.endpoint, item.binding
    acts_from = None if binding is None else binding.acts_from
    never = acts_from == NEVER
    return CoveredOut(
        id=row.id,
        name=row.name,
        managed=row.managed,
        protected=row.protected,
        acts=binding is not None and not (never or row.protected or cannot),
        acts_from=None if never else acts_from,
    )


def rule_fields(row: Schedule | IdlePolicy) -> dict[str, Any]:
    """Return what answers about schedules and policies have in common."""
    return {
        "id": row.id,
        "name": row.name,
        "selector": SelectorOut(**row.selector),
        "shadow": row.shadow,
        "enabled": row.enabled,
        "version": row.version,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "updated_at": row.updated_at,
    }
