"""Notification targets and notifications in requests and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Labels, Name
from orchestrator.api.schemas.operations import Ref
from orchestrator.channels.message import Outcome
from orchestrator.domain.notices import Severity
from orchestrator.services import selectors
from orchestrator.services.notifications import PER_MINUTE
from orchestrator.store.tables import Delivery, Notice, NotificationTarget

Reference = Annotated[
    str,
    Field(
        max_length=410,
        description="env:NAME or file:/path, read by the server when it sends.",
        examples=["env:OPS_WEBHOOK_SECRET"],
    ),
]


class TargetKind(StrEnum):
    """How a target is reached."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"


class NotificationStatus(StrEnum):
    """What became of a notification; dropped ones lost their target."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class TargetSelector(Body):
    """Which endpoints a target is told of: all that fit every condition given."""

    account: Annotated[str, Field(max_length=120)] | None = None
    endpoint: Annotated[str, Field(max_length=200)] | None = None
    labels: Labels = Field(default_factory=dict)
    owner: Annotated[str, Field(max_length=120)] = ""


class TargetBody(Body):
    """A notification target."""

    name: Name
    kind: TargetKind
    address: Annotated[
        str,
        Field(
            min_length=1,
            max_length=500,
            description="env:NAME or file:/path; for a webhook also a web address that holds no "
            "secret. For apprise the reference is to one of its addresses.",
            examples=["https://hooks.example.org/endpoints"],
        ),
    ]
    secret_ref: Reference = ""
    old_secret_ref: Reference = ""
    kinds: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=80)]],
        Field(max_length=50, examples=[["operation.*", "endpoint.deletion_*"]]),
    ] = Field(default_factory=list)
    least_severity: Severity = Severity.WARNING
    selector: TargetSelector = Field(default_factory=TargetSelector)
    enabled: bool = True
    per_minute: Annotated[
        int,
        Field(
            ge=1,
            le=600,
            description="Messages a minute through apprise; more are told in a summary.",
        ),
    ] = PER_MINUTE


class SelectorOut(Answer):
    """Which endpoints a target is told of; ids, and null where it is not asked for."""

    account: str | None
    endpoint: str | None
    labels: dict[str, str]
    owner: str


class TargetHealthOut(Answer):
    """How sending to a target goes; `error` is redacted."""

    ok: bool
    delivered_at: Instant | None
    failing_since: Instant | None
    next_attempt_at: Instant | None
    error: str
    pending: int
    failed: int


class TargetOut(Answer):
    """A notification target with its health."""

    id: str = Field(examples=["tgt_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    kind: TargetKind
    address: str
    secret_ref: str
    old_secret_ref: str
    kinds: list[str]
    least_severity: Severity
    selector: SelectorOut
    enabled: bool
    per_minute: int
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant
    health: TargetHealthOut


class TrialOut(Answer):
    """What became of a test message."""

    delivered: bool
    error: str = Field(examples=["HTTP 401 Unauthorized"])
    message_id: str


class NotificationOut(Answer):
    """One event on its way to one target; receivers know it by `message_id`."""

    id: str = Field(examples=["dlv_01jd2w9k4v8m5r0aq7t3xzbcde"])
    message_id: str
    target: Ref
    status: NotificationStatus
    kind: str = Field(examples=["endpoint.deletion_announced"])
    severity: Severity
    message: str
    at: Instant
    account_id: str | None
    endpoint_id: str | None
    operation_id: str | None
    attempts: int
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    summary: bool = Field(description="Whether it was told in a summary of several.")
    error: str


def target_out(row: NotificationTarget, pending: int = 0, failed: int = 0) -> TargetOut:
    """Return a target as it is answered."""
    selector = selectors.from_json(row.selector)
    return TargetOut(
        id=row.id,
        name=row.name,
        kind=TargetKind(row.kind),
        address=row.address,
        secret_ref=row.secret_ref,
        old_secret_ref=row.old_secret_ref,
        kinds=row.kinds,
        least_severity=Severity(row.least_severity),
        selector=SelectorOut(
            account=selector.account_id,
            endpoint=selector.endpoint_id,
            labels=dict(selector.labels),
            owner=row.owner,
        ),
        enabled=row.enabled,
        per_minute=row.per_minute,
        version=row.version,
        created_at=row.created_at,
        created_by=row.created_by,
        updated_at=row.updated_at,
        health=TargetHealthOut(
            ok=row.failing_since is None,
            delivered_at=row.delivered_at,
            failing_since=row.failing_since,
            next_attempt_at=row.blocked_until,
            error=row.last_error,
            pending=pending,
            failed=failed,
        ),
    )


def trial_out(message_id: str, outcome: Outcome) -> TrialOut:
    """Return what became of a trial as it is answered."""
    return TrialOut(delivered=outcome.delivered, error=outcome.error, message_id=message_id)


def notification_out(row: Delivery, notice: Notice, target: NotificationTarget) -> NotificationOut:
    """Return a notification as it is answered."""
    waits = row.status == NotificationStatus.PENDING
    return NotificationOut(
        id=row.id,
        message_id=notice.id,
        target=Ref(id=target.id, name=target.name),
        status=NotificationStatus(row.status),
        kind=notice.kind,
        severity=Severity(notice.severity),
        message=notice.message,
        at=notice.at,
        account_id=notice.account_id,
        endpoint_id=notice.endpoint_id,
        operation_id=notice.operation_id,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at if waits else None,
        delivered_at=row.delivered_at,
        summary=bool(row.summary),
        error=row.last_error,
    )
