"""Rules as code: all rules as one file, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Response
from sqlmodel import Session

from orchestrator.api import rules_file
from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, problems
from orchestrator.api.rules_ahead import lint_ahead
from orchestrator.api.schemas.rules_file import AppliedOut, ApplyBody, RulesText, applied_out
from orchestrator.services import rules_as_code, rules_beside
from orchestrator.services.rules_as_code import Applied, Run
from orchestrator.services.rules_beside import Outcome, OvertakenError

router = APIRouter(prefix="/rules", tags=["rules"])


@router.get("", operation_id="export_rules", responses=problems(*READ))
def export_rules(caller: Reader, context: Ctx) -> RulesText:
    """Return calendars, schedules, policies and endpoints as one YAML file, without secrets."""
    del caller
    with context.database.read() as session:
        return RulesText(text=rules_file.write(context, session))


@router.post(
    "/apply",
    operation_id="apply_rules",
    response_model=AppliedOut,
    responses=problems(*CHANGE),
)
def apply_rules(body: ApplyBody, caller: Operator, context: Ctx, change: ChangeDep) -> Response:
    """Make the rules what a file says, all or nothing; `dry_run=true` answers with what differs.

    The same file again changes nothing. Endpoints are created and changed by operations.
    """
    kept = change.earlier(caller)
    if kept is not None:
        return kept
    read = change.before(caller, lambda: rules_file.read(context, caller, body.text))
    if not read.problems:
        lint_ahead(context, read, change.now)
    # A key names one operation, and this may ask for several; the answer is kept under it.
    asked = replace(change.asked(caller, body.reason or "as a file of rules says"), key=None)

    def work(session: Session) -> Applied:
        run = Run(session, asked, read.wanted, body.prune, read.owner, read.loaded.value)
        run.problems += read.problems
        return rules_as_code.apply(run, read.sections, read.loaded, body.confirm)

    def done(applied: Applied) -> Done:
        return Done(200, applied_out(applied, rehearsal=change.dry_run))

    for _ in range(0 if change.dry_run else rules_beside.ATTEMPTS):
        outcome = change.before(caller, lambda: rules_beside.worked_out(context.database, work))
        if outcome is None:
            break
        try:
            return change.run(caller, partial(_written, outcome, done))
        except OvertakenError:
            continue
    return change.run(caller, lambda session: done(work(session)), lasts=True)


def _written(outcome: Outcome, done: Callable[[Applied], Done], session: Session) -> Done:
    return done(outcome.write(session))
