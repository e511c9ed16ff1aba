"""Endpoints: everything that changes one, or what is ours of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from fastapi import APIRouter, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.deps import Ctx, Operator
from orchestrator.api.openapi import CHANGE, problems
from orchestrator.api.routers.endpoints import EndpointRef
from orchestrator.api.schemas.endpoint_bodies import (
    AdoptBody,
    AdoptedOut,
    AdoptManyBody,
    CreateBody,
    PatchBody,
    SkippedOut,
)
from orchestrator.api.schemas.endpoints import EndpointOut, endpoint_out
from orchestrator.api.schemas.money import price
from orchestrator.api.schemas.operations import (
    ClickBody,
    ClickOut,
    EstimateOut,
    Ref,
    hold_out,
    operation_fields,
)
from orchestrator.services import adoption, clicks, creation, find, selectors
from orchestrator.services.clicks import Clicked, Terms
from orchestrator.services.context import Context
from orchestrator.services.creation import Requested
from orchestrator.services.errors import invalid
from orchestrator.services.requests import Asked
from orchestrator.services.views import view, views
from orchestrator.store import accounts, endpoints
from orchestrator.store.tables import Account, Endpoint, Operation

router = APIRouter(prefix="/endpoints", tags=["endpoints"])


@router.post(
    "",
    operation_id="create_endpoint",
    status_code=202,
    response_model=EstimateOut,
    responses=problems(*CHANGE),
)
def create_endpoint(body: CreateBody, caller: Operator, change: ChangeDep) -> Response:
    """Create an endpoint; `dry_run=true` answers with its price and what is wrong with it."""
    creation.check_references(caller, body.environment, body.secrets)
    with change.context.database.read() as session:
        there = find.account(session, body.account)
    look = partial(creation.prepared, change.context, there, body.spec())
    spec, warnings = change.before(caller, look)

    def work(session: Session) -> Done:
        account = find.account(session, body.account)
        requested = creation.request_create(
            session,
            account,
            spec,
            change.asked(caller, body.reason),
            labels=body.labels,
            owner=body.owner,
            expiry=None if body.expiry is None else body.expiry.wanted(),
            warnings=warnings,
            engine_here=change.context.engine_here(account.id),
        )
        return _estimated(requested, account)

    return change.run(caller, work)


@router.post(
    "/adopt",
    operation_id="adopt_endpoints",
    response_model=AdoptedOut,
    responses=problems(*CHANGE),
)
def adopt_endpoints(
    body: AdoptManyBody, caller: Operator, context: Ctx, change: ChangeDep
) -> Response:
    """Adopt many endpoints at once, by selector or ids; `dry_run=true` lists them first."""

    def work(session: Session) -> Done:
        wanted = _wanted(session, context, body)
        adopted, skipped = adoption.adopt_many(
            session, wanted, change.asked(caller, body.reason), labels=body.labels, owner=body.owner
        )
        session.flush()
        shown = [endpoint_out(one) for one in views(session, adopted, change.now)]
        left = [
            SkippedOut(endpoint=Ref(id=one.endpoint.id, name=one.endpoint.name), reason=one.reason)
            for one in skipped
        ]
        return Done(200, AdoptedOut(adopted=shown, skipped=left))

    return change.run(caller, work)


@router.post(
    "/{id:path}/adopt",
    operation_id="adopt_endpoint",
    response_model=EndpointOut,
    responses=problems(*CHANGE),
)
def adopt_endpoint(
    ref: EndpointRef, caller: Operator, change: ChangeDep, body: AdoptBody | None = None
) -> Response:
    """Manage an endpoint from now on. Nothing is changed: the wish is set to what is."""
    given = body or AdoptBody()

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        asked = change.asked(caller, given.reason)
        adoption.adopt(session, row, asked, labels=given.labels, owner=given.owner)
        return _shown(session, row, change.now)

    return change.run(caller, work)


@router.post(
    "/{id:path}/pause",
    operation_id="pause_endpoint",
    status_code=202,
    response_model=ClickOut,
    responses=problems(*CHANGE),
)
def pause_endpoint(
    ref: EndpointRef,
    caller: Operator,
    context: Ctx,
    change: ChangeDep,
    body: ClickBody | None = None,
) -> Response:
    """Stop all replicas until somebody resumes it; against a schedule until its next start."""
    work = _click(clicks.request_pause, ref, context, change.asked(caller), body)
    return change.run(caller, work)


@router.post(
    "/{id:path}/resume",
    operation_id="resume_endpoint",
    status_code=202,
    response_model=ClickOut,
    responses=problems(*CHANGE),
)
def resume_endpoint(
    ref: EndpointRef,
    caller: Operator,
    context: Ctx,
    change: ChangeDep,
    body: ClickBody | None = None,
) -> Response:
    """Start it; against a schedule until the next edge, and for a few hours at most."""
    work = _click(clicks.request_resume, ref, context, change.asked(caller), body)
    return change.run(caller, work)


@router.post(
    "/{id:path}/scale-to-zero",
    operation_id="scale_endpoint_to_zero",
    status_code=202,
    response_model=ClickOut,
    responses=problems(*CHANGE),
)
def scale_endpoint_to_zero(
    ref: EndpointRef,
    caller: Operator,
    context: Ctx,
    change: ChangeDep,
    body: ClickBody | None = None,
) -> Response:
    """Stop all replicas until the next request wakes it."""
    work = _click(clicks.request_scale_to_zero, ref, context, change.asked(caller), body)
    return change.run(caller, work)


@router.patch(
    "/{id:path}",
    operation_id="change_endpoint",
    response_model=EndpointOut,
    responses={
        **problems(*CHANGE),
        202: {"model": EstimateOut, "description": "The cloud is asked to change it"},
    },
)
def change_endpoint(
    ref: EndpointRef, body: PatchBody, caller: Operator, change: ChangeDep
) -> Response:
    """Change what is ours at once (200), and what is the cloud's by an operation (202)."""
    creation.check_references(caller, body.environment, body.secrets)
    wanted = body.change()
    warnings: tuple[str, ...] = ()
    if wanted is not None:
        with change.context.database.read() as session:
            held = find.endpoint(session, ref)
            there = _account(session, held)
            current = creation.current_of(held)
        look = partial(creation.prepared, change.context, there, wanted, current)
        wanted, warnings = change.before(caller, look)

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        asked = change.asked(caller, body.reason)
        creation.change_ours(
            session, row, asked, labels=body.labels, owner=body.owner, protected=body.protected
        )
        if wanted is None:
            return _shown(session, row, change.now)
        requested = creation.request_update(
            session,
            row,
            wanted,
            asked,
            warnings=warnings,
            engine_here=change.context.engine_here(row.account_id),
            usual_s=creation.usual_update_s(change.context, _account(session, row)),
        )
        return _estimated(requested, _account(session, row))

    return change.run(caller, work)


def _click(
    request: Callable[[Session, Endpoint, Asked, Terms], Clicked],
    ref: str,
    context: Context,
    asked: Asked,
    body: ClickBody | None,
) -> Callable[[Session], Done]:
    """Return the work of one click, whichever of the three it is."""
    given = body or ClickBody()

    def work(session: Session) -> Done:
        row = find.endpoint(session, ref)
        why = replace(asked, reason=given.reason)
        return _clicked(session, request(session, row, why, _terms(context, given)), row)

    return work


def _terms(context: Context, body: ClickBody) -> Terms:
    usual = timedelta(hours=context.settings.max_click_hold_hours)
    return Terms(body.until, usual, timedelta(days=context.settings.max_hold_days))


def _clicked(session: Session, clicked: Clicked, row: Endpoint) -> Done:
    hold = None if clicked.hold is None else hold_out(clicked.hold, row.name)
    fields = operation_fields(clicked.operation, _account(session, row).name)
    return Done(202, ClickOut(hold=hold, **fields), _location(clicked.operation))


def _estimated(requested: Requested, account: Account) -> Done:
    operation = requested.operation
    body = EstimateOut(
        price_per_replica_hour=price(requested.replica_hour),
        price_per_hour=price(requested.least_hour),
        price_per_hour_most=price(requested.most_hour),
        price_per_month=price(requested.least_month),
        price_per_month_most=price(requested.most_month),
        price_per_hour_before=price(requested.rollout.before),
        price_per_hour_rollout=price(requested.rollout.both),
        rollout_seconds=requested.rollout.seconds,
        rollout_cost=price(requested.rollout.cost),
        payload=operation.request["spec"],
        warnings=list(requested.warnings),
        **operation_fields(operation, account.name),
    )
    vault = (operation.id, requested.secrets)
    return Done(202, body, _location(operation), vault=vault if requested.has_values else None)


def _shown(session: Session, row: Endpoint, now: datetime) -> Done:
    session.flush()
    return Done(200, endpoint_out(view(session, row, now)))


def _account(session: Session, row: Endpoint) -> Account:
    return accounts.by_ids(session, [row.account_id])[row.account_id]


def _location(operation: Operation) -> str:
    return f"/v1/operations/{operation.id}"


def _wanted(session: Session, context: Context, body: AdoptManyBody) -> list[Endpoint]:
    """Return the endpoints that a bulk adoption names, by selector or by id."""
    if (body.selector is None) == (body.ids is None):
        raise invalid("selector", "Give either a selector or ids.")
    if body.ids is not None:
        rows = endpoints.by_ids(session, body.ids)
        missing = [ref for ref in body.ids if ref not in rows]
        if missing:
            raise invalid("ids", f"There is no endpoint {missing[0]!r}.")
        return [rows[ref] for ref in dict.fromkeys(body.ids)]
    if body.selector is None:
        return []
    selector = selectors.resolve(
        session,
        account=body.selector.account,
        endpoint=body.selector.endpoint,
        labels=body.selector.labels,
        allowed_cloud_labels=context.settings.allowed_cloud_labels,
    )
    return [row for row in selectors.covered(session, selector) if not row.managed]
