"""Idle policies: put to sleep what nobody uses."""

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
from orchestrator.api.schemas.rules import (
    PolicyBody,
    PolicyOut,
    PolicySummary,
    policy_out,
    policy_summary,
)
from orchestrator.services import policies
from orchestrator.services.context import Context
from orchestrator.store import policies as rows

router = APIRouter(prefix="/policies", tags=["policies"])
ORDER = "policies"
PolicyRef = Annotated[str, Path(alias="id", description="Id or name.", max_length=120)]


@router.get("", operation_id="list_policies", responses=problems(*READ))
def list_policies(caller: Reader, context: Ctx, window: WindowDep) -> Listing[PolicySummary]:
    """List idle policies by name."""
    del caller
    after = window.after(ORDER, (str, str))
    with context.database.read() as session:
        found = rows.page(session, after, window.limit + 1)
    shown, cursor = window.cut(found, ORDER, lambda row: (row.name, row.id))
    return Listing(items=[policy_summary(row) for row in shown], next_cursor=cursor)


@router.post(
    "",
    operation_id="create_policy",
    status_code=201,
    response_model=PolicyOut,
    responses=problems(*CHANGE),
)
def create_policy(body: PolicyBody, caller: Operator, context: Ctx, change: ChangeDep) -> Response:
    """Save an idle policy; its idle clocks start now."""

    def work(session: Session) -> Done:
        draft = draft_of(session, context, body)
        described = policies.create(session, draft, change.asked(caller))
        return Done(201, policy_out(described), f"/v1/policies/{described.policy.id}")

    return change.run(caller, work)


@router.get("/{id}", operation_id="get_policy", responses=problems(*READ_ONE))
def get_policy(ref: PolicyRef, caller: Reader, context: Ctx) -> PolicyOut:
    """Return an idle policy with what it covers."""
    del caller
    with context.database.read() as session:
        return policy_out(policies.describe(session, policies.find(session, ref)))


@router.put(
    "/{id}", operation_id="replace_policy", response_model=PolicyOut, responses=problems(*CHANGE)
)
def replace_policy(
    ref: PolicyRef, body: PolicyBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Save an idle policy in place of its former version; idle clocks start anew."""

    def work(session: Session) -> Done:
        row = policies.find(session, ref)
        draft = draft_of(session, context, body)
        return Done(200, policy_out(policies.replace(session, row, draft, change.asked(caller))))

    return change.run(caller, work)


@router.delete("/{id}", operation_id="delete_policy", status_code=204, responses=problems(*CHANGE))
def delete_policy(ref: PolicyRef, caller: Operator, change: ChangeDep) -> Response:
    """Delete an idle policy."""

    def work(session: Session) -> Done:
        policies.remove(session, policies.find(session, ref), change.asked(caller))
        return Done(204)

    return change.run(caller, work)


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
