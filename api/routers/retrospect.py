"""What the past would have been under other rules, and what shadow rules would have done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session

from orchestrator.api.deps import Ctx, Reader
from orchestrator.api.openapi import READ, problems
from orchestrator.api.schemas.other_rules import (
    ShadowOut,
    WhatIfBody,
    WhatIfOut,
    shadow_line,
    total,
    what_if_line,
)
from orchestrator.api.shelves import resolved
from orchestrator.api.spans import From, To, span
from orchestrator.services import calendars, find, shadow_report, whatif, whatif_request
from orchestrator.services.context import Context
from orchestrator.services.remembered import Library
from orchestrator.services.whatif_request import DraftPolicy, DraftSchedule, Wanted
from orchestrator.store import endpoints
from orchestrator.store.tables import Endpoint

router = APIRouter(prefix="/reports", tags=["reports"])
RuleQuery = Annotated[str | None, Query(description="Id of one rule.", max_length=120)]
AccountQuery = Annotated[str | None, Query(description="Id or name.", max_length=120)]
EndpointQuery = Annotated[str | None, Query(description="Id, or account/name.", max_length=250)]


@router.post("/what-if", operation_id="compare_other_rules", responses=problems(*READ))
def compare_other_rules(body: WhatIfBody, caller: Reader, context: Ctx) -> WhatIfOut:
    """Return what a span of the past would have been under other rules; nothing is saved."""
    del caller
    now = context.clock.now()
    end = min(body.end or now, now)
    with context.database.read() as session:
        wanted = _wanted(session, context, body, end)
        others, rows = whatif_request.prepared(session, wanted, now)
        library = Library()
        found = [
            whatif.what_if(session, row, others, end=end, now=now, library=library) for row in rows
        ]
    compared = [one.compared for one in found if one.compared is not None]
    return WhatIfOut(
        start=body.start,
        end=end,
        assumptions=list(whatif_request.assumptions(others)),
        metered=total([one.metered.cost for one in compared], "metered"),
        again=total([one.again.cost for one in compared]),
        other=total([one.other.cost for one in compared]),
        saved=total([one.saved for one in compared]),
        items=[what_if_line(one) for one in found],
    )


@router.get("/shadow", operation_id="report_shadow_rules", responses=problems(*READ))
def report_shadow_rules(
    *,
    caller: Reader,
    context: Ctx,
    start: From = None,
    end: To = None,
    rule: RuleQuery = None,
    account: AccountQuery = None,
    endpoint: EndpointQuery = None,
) -> ShadowOut:
    """Return what rules in shadow would have done; this month unless told otherwise."""
    del caller
    now = context.clock.now()
    begin, until = span(start, end, now)
    until = min(until, now)
    whatif_request.check_span(begin, until, now)
    with context.database.read() as session:
        rows = _rows(session, account, endpoint)
        lines = shadow_report.report(session, rows, start=begin, end=until, rule=rule)
    return ShadowOut(
        start=begin,
        end=until,
        assumptions=list(whatif.ASSUMPTIONS),
        items=[shadow_line(line) for line in lines],
    )


def _rows(session: Session, account: str | None, endpoint: str | None) -> list[Endpoint]:
    if endpoint is not None:
        return [find.endpoint(session, endpoint)]
    wanted = None if account is None else find.account(session, account).id
    return [row for row in endpoints.managed(session) if wanted in (None, row.account_id)]


def _wanted(session: Session, context: Context, body: WhatIfBody, end: datetime) -> Wanted:
    schedule, policy = body.schedule, body.policy
    if schedule is not None:
        calendars.check_names(session, schedule.calendars, "schedule.calendars")
    return Wanted(
        start=body.start,
        end=end,
        selector=None if body.selector is None else resolved(session, context, body.selector),
        schedule=None
        if schedule is None
        else DraftSchedule(schedule.name, schedule.parsed(), schedule.calendars),
        policy=None
        if policy is None
        else DraftPolicy(
            policy.name,
            policy.timeout_minutes,
            policy.min_awake_minutes,
            policy.action,
            policy.quiet(),
        ),
        expiry=None if body.expiry is None else body.expiry.draft(),
        rules=body.rules,
        without=body.without,
        instead=body.instead,
    )
