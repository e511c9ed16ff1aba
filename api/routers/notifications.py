"""Notification targets, and the notifications on their way to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from orchestrator.api.changes import ChangeDep, Done
from orchestrator.api.cursors import WindowDep
from orchestrator.api.deps import Admin, Ctx, Operator, Reader
from orchestrator.api.openapi import CHANGE, READ, READ_ONE, problems
from orchestrator.api.schemas.base import Listing
from orchestrator.api.schemas.notifications import (
    NotificationOut,
    NotificationStatus,
    TargetBody,
    TargetOut,
    TrialOut,
    notification_out,
    target_out,
    trial_out,
)
from orchestrator.channels.message import Outcome
from orchestrator.services import find, notifications, selectors
from orchestrator.services.context import Context
from orchestrator.services.dispatch import Sender
from orchestrator.services.notifications import Draft
from orchestrator.store import notifications as rows
from orchestrator.store.notifications import DeliveryFilter
from orchestrator.store.tables import NotificationTarget

router = APIRouter(tags=["notifications"])
TARGETS, NOTIFICATIONS = "notification-targets", "notifications"
TargetRef = Annotated[str, Path(alias="id", max_length=120, description="Id or name.")]


@router.get(
    "/notification-targets", operation_id="list_notification_targets", responses=problems(*READ)
)
def list_targets(caller: Reader, context: Ctx, window: WindowDep) -> Listing[TargetOut]:
    """List targets by name, with their health."""
    del caller
    after = window.after(TARGETS, (str, str))
    with context.database.read() as session:
        found = rows.page_of_targets(session, after, window.limit + 1)
        shown, cursor = window.cut(found, TARGETS, lambda row: (row.name, row.id))
        counts = rows.counts(session)
    return Listing(items=[_counted(row, counts) for row in shown], next_cursor=cursor)


@router.post(
    "/notification-targets",
    operation_id="create_notification_target",
    status_code=201,
    response_model=TargetOut,
    responses=problems(*CHANGE),
)
def create_target(body: TargetBody, caller: Admin, context: Ctx, change: ChangeDep) -> Response:
    """Save a target; it is told of what happens from now on."""

    def work(session: Session) -> Done:
        draft = _draft(session, body, context)
        private = context.settings.allow_private_webhooks
        made = notifications.create(session, draft, change.asked(caller), private=private)
        return Done(201, target_out(made), f"/v1/notification-targets/{made.id}")

    return change.run(caller, work)


@router.get(
    "/notification-targets/{id}",
    operation_id="get_notification_target",
    responses=problems(*READ_ONE),
)
def get_target(ref: TargetRef, caller: Reader, context: Ctx) -> TargetOut:
    """Return a target."""
    del caller
    with context.database.read() as session:
        return _counted(notifications.find(session, ref), rows.counts(session))


@router.put(
    "/notification-targets/{id}",
    operation_id="replace_notification_target",
    response_model=TargetOut,
    responses=problems(*CHANGE),
)
def replace_target(
    *, ref: TargetRef, body: TargetBody, caller: Admin, context: Ctx, change: ChangeDep
) -> Response:
    """Save a target in place of its former version."""

    def work(session: Session) -> Done:
        target = notifications.find(session, ref)
        draft = _draft(session, body, context)
        private = context.settings.allow_private_webhooks
        asked = change.asked(caller)
        target = notifications.replace(session, target, draft, asked, private=private)
        return Done(200, _counted(target, rows.counts(session)))

    return change.run(caller, work)


@router.delete(
    "/notification-targets/{id}",
    operation_id="remove_notification_target",
    status_code=204,
    response_model=None,
    responses=problems(*CHANGE),
)
def remove_target(ref: TargetRef, caller: Admin, change: ChangeDep) -> Response:
    """Remove a target; what waits for it is given up."""

    def work(session: Session) -> Done:
        notifications.remove(session, notifications.find(session, ref), change.asked(caller))
        return Done(204)

    return change.run(caller, work)


@router.post(
    "/notification-targets/{id}/test",
    operation_id="test_notification_target",
    response_model=TrialOut,
    responses=problems(*CHANGE),
)
def test_target(ref: TargetRef, caller: Admin, context: Ctx, change: ChangeDep) -> Response:
    """Send a test message now, from this server, and answer what became of it."""
    earlier = change.earlier(caller)
    if earlier is not None:
        return earlier
    asked = change.asked(caller)
    with context.database.read() as session:
        target = notifications.find(session, ref)
    message = notifications.trial_of(target, asked)
    outcome = Outcome() if change.dry_run else _sender(context)(target, message)

    def work(session: Session) -> Done:
        target = notifications.find(session, ref)
        notifications.tried(session, target, outcome, asked)
        return Done(200, trial_out(message.id, outcome))

    return change.run(caller, work)


@router.get("/notifications", operation_id="list_notifications", responses=problems(*READ))
def list_notifications(
    *,
    caller: Reader,
    context: Ctx,
    window: WindowDep,
    target: Annotated[str | None, Query(description="Id or name.")] = None,
    endpoint: Annotated[str | None, Query(description="Id, or account/name.")] = None,
    status: Annotated[list[NotificationStatus] | None, Query()] = None,
    kind: Annotated[
        str | None, Query(max_length=80, description="Exact, or a beginning and `*`.")
    ] = None,
) -> Listing[NotificationOut]:
    """List what was or is to be sent, newest first."""
    del caller
    after = window.after(NOTIFICATIONS, (int, str))
    with context.database.read() as session:
        wanted = DeliveryFilter(
            target_id=None if target is None else notifications.find(session, target).id,
            endpoint_id=None if endpoint is None else find.endpoint(session, endpoint).id,
            statuses=tuple(one.value for one in status or ()),
            kind=kind,
        )
        found = rows.page(session, wanted, after, window.limit + 1)
        shown, cursor = window.cut(found, NOTIFICATIONS, lambda row: (row[0].notice_seq, row[0].id))
        names = rows.targets_by_ids(session, {row.target_id for row, _ in shown})
    items = [notification_out(row, notice, names[row.target_id]) for row, notice in shown]
    return Listing(items=items, next_cursor=cursor)


@router.post(
    "/notifications/{id}/retry",
    operation_id="retry_notification",
    response_model=NotificationOut,
    responses=problems(*CHANGE),
)
def retry_notification(
    ref: Annotated[str, Path(alias="id", max_length=60)], caller: Operator, change: ChangeDep
) -> Response:
    """Send what is pending or has failed again, within seconds."""

    def work(session: Session) -> Done:
        delivery = notifications.retry(session, ref, change.asked(caller))
        target = rows.lock_target(session, delivery.target_id)
        return Done(200, notification_out(delivery, rows.notice_of(session, delivery), target))

    return change.run(caller, work)


def _sender(context: Context) -> Sender:
    return Sender(private=context.settings.allow_private_webhooks)


def _counted(row: NotificationTarget, counts: rows.Counts) -> TargetOut:
    return target_out(
        row, counts.get((row.id, rows.PENDING), 0), counts.get((row.id, rows.FAILED), 0)
    )


def _draft(session: Session, body: TargetBody, context: Context) -> Draft:
    wanted = body.selector
    selector = None
    if wanted.account is not None or wanted.endpoint is not None or wanted.labels:
        selector = selectors.resolve(
            session,
            account=wanted.account,
            endpoint=wanted.endpoint,
            labels=wanted.labels,
            allowed_cloud_labels=context.settings.allowed_cloud_labels,
        )
    return Draft(
        name=body.name,
        kind=body.kind.value,
        address=body.address,
        secret_ref=body.secret_ref,
        old_secret_ref=body.old_secret_ref,
        kinds=tuple(body.kinds),
        least_severity=body.least_severity,
        selector=selector,
        owner=wanted.owner,
        enabled=body.enabled,
        per_minute=body.per_minute,
    )
