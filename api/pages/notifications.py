"""Notifications: whom we tell, how that goes, and what did not arrive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.api.schemas.texts import known
from orchestrator.services import find, selectors
from orchestrator.services.errors import ServiceError
from orchestrator.store import notifications as rows
from orchestrator.store.notifications import DeliveryFilter
from orchestrator.store.tables import Delivery, Notice, NotificationTarget

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PER_PAGE = 50
STATUSES = (
    ("", "Not delivered"),
    (rows.PENDING, "Waiting"),
    (rows.FAILED, "Given up"),
    (rows.DELIVERED, "Delivered"),
)
_OPEN = (rows.PENDING, rows.FAILED)
_STATUS = known(r"^(pending|failed|delivered)?$", "Write pending, failed, delivered, or nothing.")


@dataclass(frozen=True, slots=True)
class TargetLine:
    """A target with what it wants and what waits for it."""

    row: NotificationTarget
    wants: str
    about: str
    pending: int
    failed: int


@dataclass(frozen=True, slots=True)
class SentLine:
    """One notification on its way to one target."""

    row: Delivery
    notice: Notice
    target: str

    @property
    def next_at(self) -> datetime | None:
        """Return when it is tried again, if it has been tried."""
        waits = self.row.status == rows.PENDING and self.row.attempts
        return self.row.next_attempt_at if waits else None


@router.get("/notifications")
def notifications_page(
    page: PageOf, status: Annotated[str, Query(pattern=_STATUS)] = ""
) -> Response:
    """Show the targets and the notifications in one state, by default those not delivered."""
    with page.context.database.read() as session:
        targets = rows.targets(session)
        counts = rows.counts(session)
        lines = [_target_line(session, row, counts) for row in targets]
        wanted = DeliveryFilter(statuses=(status,) if status else _OPEN)
        found = rows.page(session, wanted, None, PER_PAGE + 1)
        names = rows.targets_by_ids(session, {one.target_id for one, _ in found})
    sent = [SentLine(one, notice, names[one.target_id].name) for one, notice in found[:PER_PAGE]]
    return page.render(
        "notifications.html",
        "/notifications",
        targets=lines,
        sent=sent,
        more=len(found) > PER_PAGE,
        chosen=status,
        statuses=STATUSES,
    )


def _target_line(session: Session, row: NotificationTarget, counts: rows.Counts) -> TargetLine:
    return TargetLine(
        row,
        ", ".join(row.kinds) or "all events",
        _about(session, row),
        counts.get((row.id, rows.PENDING), 0),
        counts.get((row.id, rows.FAILED), 0),
    )


def _about(session: Session, row: NotificationTarget) -> str:
    selector = selectors.from_json(row.selector)
    parts: list[str | None] = [
        _name(session, "account", selector.account_id),
        _name(session, "endpoint", selector.endpoint_id),
        *(f"{key}={value}" for key, value in selector.labels.items()),
        f"owner {row.owner}" if row.owner else None,
    ]
    return ", ".join(part for part in parts if part) or "everything"


def _name(session: Session, kind: str, ref: str | None) -> str | None:
    if ref is None:
        return None
    try:
        found = find.account(session, ref) if kind == "account" else find.endpoint(session, ref)
    except ServiceError:
        return f"{kind} {ref}, which is gone"
    return f"{kind} {found.name}"
