"""Idle policies: put to sleep what nobody uses."""

from __future__ import annotations

from fastapi import APIRouter
from sqlmodel import Session

from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.rules import (
    PolicyBody,
    PolicyOut,
    PolicySummary,
    policy_out,
    policy_summary,
)
from orchestrator.api.shelves import Shelf, Words, mount, resolved
from orchestrator.services import policies
from orchestrator.services.context import Context
from orchestrator.store import policies as rows

router = APIRouter(prefix="/policies", tags=["policies"])


def draft_of(session: Session, context: Context, body: PolicyBody) -> policies.Draft:
    """Return an idle policy as a body describes it. Raises ServiceError 422."""
    return policies.Draft(
        name=body.name,
        timeout_minutes=body.timeout_minutes,
        min_awake_minutes=body.min_awake_minutes,
        action=body.action,
        selector=resolved(session, context, body.selector),
        quiet=body.quiet(),
        shadow=body.shadow,
        enabled=body.enabled,
    )


SHELF = Shelf(
    path="/policies",
    order="policies",
    page=rows.page,
    find=policies.find,
    draft=draft_of,
    create=policies.create,
    replace=policies.replace,
    remove=policies.remove,
    describe=lambda session, row, _: policies.describe(session, row),
    row=lambda told: told.policy,
    summary=policy_summary,
    answer=policy_out,
)
mount(
    router,
    SHELF,
    Words(
        one="policy",
        many="policies",
        body=PolicyBody,
        listing=Listing[PolicySummary],
        full=PolicyOut,
        listed="List idle policies by name.",
        created="Save an idle policy; its idle clocks start now.",
        got="Return an idle policy with what it covers.",
        replaced="Save an idle policy in place of its former version; idle clocks start anew.",
        removed="Delete an idle policy.",
    ),
)
