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
    context, selection = change.context, body.selector.value()
    order = body.order(context.settings)
    asked = change.asked(caller, body.reason)
    if change.dry_run:
        would = bulk.rehearse(context.database, selection, order, asked, context.settings)
        return change.run(caller, lambda _: Done(200, bulk_out(would, rehearsal=True)))

    def work(session: Session) -> Done:
        done = bulk.run(session, selection, order, asked, context.settings, confirm=body.confirm)
        session.flush()
        where = f"/v1/operations?bulk={done.id}" if order.power else ""
        return Done(200, bulk_out(done, rehearsal=False), where)

    return change.run(caller, work)
