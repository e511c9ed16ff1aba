"""Expiry policies: how long endpoints live, by selector."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.routers.schedules import resolved
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.expiry import (
    ExpiryPolicyBody,
    ExpiryPolicyOut,
    ExpiryPolicySummary,
    policy_out,
    policy_summary,
)
from orchestrator.services import expiry_policies as policies
from orchestrator.store import expiry as rows

router = APIRouter(prefix="/expiry-policies", tags=["expiry"])
ORDER = "expiry_policies"
PolicyRef = Annotated[str, Path(alias="id", description="Id or name.", max_length=120)]


@router.get("", operation_id="list_expiry_policies", responses=problems(*READ))
def list_expiry_policies(
    caller: Reader, context: Ctx, window: WindowDep
) -> Listing[ExpiryPolicySummary]:
    """List expiry policies by name."""
    del caller
    after = window.after(ORDER, (str, str))
    with context.database.read() as session:
        found = rows.page(session, after, window.limit + 1)
    shown, cursor = window.cut(found, ORDER, lambda row: (row.name, row.id))
    return Listing(items=[policy_summary(row) for row in shown], next_cursor=cursor)


@router.post(
    "",
    operation_id="create_expiry_policy",
    status_code=201,
    response_model=ExpiryPolicyOut,
    responses=problems(*CHANGE),
)
def create_expiry_policy(
    body: ExpiryPolicyBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Save an expiry policy. It limits what is asked from now on, and expires nothing by itself."""

    def work(session: Session) -> Done:
        draft = body.draft(resolved(session, context, body.selector))
        described = policies.create(session, draft, change.asked(caller))
        where = f"/v1/expiry-policies/{described.policy.id}"
        return Done(201, policy_out(described), where)

    return change.run(caller, work)


@router.get("/{id}", operation_id="get_expiry_policy", responses=problems(*READ_ONE))
def get_expiry_policy(ref: PolicyRef, caller: Reader, context: Ctx) -> ExpiryPolicyOut:
    """Return an expiry policy with what it covers."""
    del caller
    with context.database.read() as session:
        return policy_out(policies.describe(session, policies.find(session, ref)))


@router.put(
    "/{id}",
    operation_id="replace_expiry_policy",
    response_model=ExpiryPolicyOut,
    responses=problems(*CHANGE),
)
def replace_expiry_policy(
    ref: PolicyRef, body: ExpiryPolicyBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Save an expiry policy in place of its former version; what is set stays set."""

    def work(session: Session) -> Done:
        row = policies.find(session, ref)
        draft = body.draft(resolved(session, context, body.selector))
        return Done(200, policy_out(policies.replace(session, row, draft, change.asked(caller))))

    return change.run(caller, work)


@router.delete(
    "/{id}",
    operation_id="delete_expiry_policy",
    status_code=204,
    responses=problems(*CHANGE),
)
def delete_expiry_policy(ref: PolicyRef, caller: Operator, change: ChangeDep) -> Response:
    """Delete an expiry policy; what was set by it stays set."""

    def work(session: Session) -> Done:
        policies.remove(session, policies.find(session, ref), change.asked(caller))
        return Done(204)

    return change.run(caller, work)
