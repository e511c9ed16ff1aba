"""Who asks, and tokens."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Admin, Ctx, Reader
from orchestrator.api.openapi import CHANGE, READ, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.misc import (
    MeOut,
    NewTokenOut,
    TokenBody,
    TokenOut,
    new_token_out,
    token_out,
)
from orchestrator.services import tokens
from orchestrator.store import tokens as rows

router = APIRouter(tags=["tokens"])
ORDER = "tokens"


@router.get("/me", operation_id="get_me", responses=problems(401, 422))
def get_me(caller: Reader) -> MeOut:
    """Return who the request comes from, and what they may do."""
    return MeOut(name=caller.name, scope=caller.scope)


@router.get("/tokens", operation_id="list_tokens", responses=problems(*READ))
def list_tokens(caller: Admin, context: Ctx, window: WindowDep) -> Listing[TokenOut]:
    """List tokens by name, revoked ones too; their secrets are not kept."""
    del caller
    after = window.after(ORDER, (str, str))
    with context.database.read() as session:
        found = rows.page(session, after, window.limit + 1)
    shown, cursor = window.cut(found, ORDER, lambda row: (row.name, row.id))
    return Listing(items=[token_out(row) for row in shown], next_cursor=cursor)


@router.post(
    "/tokens",
    operation_id="create_token",
    status_code=201,
    response_model=NewTokenOut,
    responses=problems(*CHANGE),
)
def create_token(body: TokenBody, caller: Admin, change: ChangeDep) -> Response:
    """Make a token; its secret is in this answer and nowhere else."""

    def work(session: Session) -> Done:
        made = tokens.issue(
            session,
            name=body.name,
            scope=body.scope,
            expires_at=body.expires_at,
            actor=caller.name,
            now=change.now,
        )
        return Done(
            201,
            new_token_out(made.token, None if change.dry_run else made.secret),
            f"/v1/tokens/{made.token.id}",
            kept=new_token_out(made.token, None),
        )

    return change.run(caller, work)


@router.delete(
    "/tokens/{id}",
    operation_id="revoke_token",
    response_model=TokenOut,
    responses=problems(*CHANGE),
)
def revoke_token(id: str, caller: Admin, change: ChangeDep) -> Response:  # noqa: A002 - the parameter's public name
    """Revoke a token at once; its browser sessions end with it."""

    def work(session: Session) -> Done:
        token = tokens.revoke(session, id, actor=caller.name, now=change.now)
        return Done(200, token_out(token))

    return change.run(caller, work)
