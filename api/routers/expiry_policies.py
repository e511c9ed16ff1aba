"""Expiry policies: how long endpoints live, by selector."""

from __future__ import annotations

from fastapi import APIRouter
from sqlmodel import Session

from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.expiry import (
    ExpiryPolicyBody,
    ExpiryPolicyOut,
    ExpiryPolicySummary,
    policy_out,
    policy_summary,
)
from orchestrator.api.shelves import Shelf, Words, mount, resolved
from orchestrator.services import expiry_policies as policies
from orchestrator.services.context import Context
from orchestrator.store import expiry as rows

router = APIRouter(prefix="/expiry-policies", tags=["expiry"])


def draft_of(session: Session, context: Context, body: ExpiryPolicyBody) -> policies.Draft:
    """Return an expiry policy as a body describes it. Raises ServiceError 422."""
    return body.draft(resolved(session, context, body.selector))


SHELF = Shelf(
    path="/expiry-policies",
    order="expiry_policies",
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
        one="expiry_policy",
        many="expiry_policies",
        body=ExpiryPolicyBody,
        listing=Listing[ExpiryPolicySummary],
        full=ExpiryPolicyOut,
        listed="List expiry policies by name.",
        created="Save an expiry policy. It limits what is asked from now on, and expires nothing "
        "by itself.",
        got="Return an expiry policy with what it covers.",
        replaced="Save an expiry policy in place of its former version; what is set stays set.",
        removed="Delete an expiry policy; what was set by it stays set.",
    ),
)
