"""One change of many endpoints at once."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Operator
from orchestrator.api.openapi import CHANGE, problems
from orchestrator.api.schemas.bulk import BulkBody, BulkOut, bulk_out
from orchestrator.services import bulk

router = APIRouter(prefix="/endpoints", tags=["endpoints"])


@router.post(
    "/bulk",
    operation_id="change_endpoints",
    response_model=BulkOut,
    responses=problems(*CHANGE),
)
def change_endpoints(body: BulkBody, caller: Operator, change: ChangeDep) -> Response:
    """Change many endpoints: one outcome each, and a refusal of one undoes no other.

    `dry_run=true` answers with the exact list and its `confirm`, which the request itself needs
    when the list is long, a large share, or a deletion. Follow its operations by `bulk`.
    """
    settings = change.context.settings
    order = body.order(settings)
    rehearsed: list[bulk.Done] = []

    def work(session: Session) -> Done:
        done = bulk.run(
            session,
            body.selector.value(),
            order,
            change.asked(caller, body.reason),
            settings,
            confirm=body.confirm,
            rehearsal=change.dry_run,
        )
        session.flush()
        answer = bulk_out(done, rehearsal=change.dry_run)
        rehearsed[:] = [done]
        where = "" if change.dry_run else f"/v1/operations?bulk={done.id}"
        return Done(200, answer, where if order.power else "")

    response = change.run(caller, work)
    if change.dry_run:
        with change.context.database.write() as session:
            bulk.keep_preview(session, rehearsed[0], change.now)
    return response
