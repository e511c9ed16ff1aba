"""Deletions wait until somebody was told of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC

from sqlmodel import Session

from orchestrator.domain.notices import DELETION_WARNINGS
from orchestrator.services.notifications import Facts, concerns
from orchestrator.store import endpoints
from orchestrator.store import notifications as rows
from orchestrator.store.tables import Delivery, Notice, NotificationTarget

UNWANTED = (
    "its warning concerns no notification target; add one that wants it, "
    "or switch the setting require_delivered_warnings off"
)


def undelivered(
    session: Session, endpoint_ids: Collection[str], *, require: bool = False
) -> Mapping[str, str]:
    """Return why the deletion of endpoints is held back, for those whose last warning is not told.

    It is told once any target that it concerns has taken it. One that concerns no target holds
    nothing back, unless `require`: give the setting `require_delivered_warnings`.
    """
    latest = rows.latest_of(session, DELETION_WARNINGS, endpoint_ids)
    waiting = [one for one in latest.values() if one.expanded_at is None]
    sent = _by_notice(rows.deliveries_of(session, [one.seq or 0 for one in latest.values()]))
    names = rows.targets_by_ids(session, {one.target_id for each in sent.values() for one in each})
    wanted = _wanted(session, waiting)
    found: dict[str, str] = {}
    for endpoint_id in endpoint_ids:
        notice = latest.get(endpoint_id)
        if notice is None:
            reason = "it was never warned of" if require else None
        elif notice.expanded_at is None:
            reason = _not_yet(notice, wanted[notice.id], require=require)
        else:
            reason = _why(notice, sent.get(notice.seq or 0, ()), names, require=require)
        if reason is not None:
            found[endpoint_id] = reason
    return found


def _by_notice(deliveries: Iterable[Delivery]) -> dict[int, list[Delivery]]:
    found: dict[int, list[Delivery]] = {}
    for one in deliveries:
        found.setdefault(one.notice_seq, []).append(one)
    return found


def _wanted(session: Session, notices: Sequence[Notice]) -> dict[str, Sequence[str]]:
    """Return by notice the names of the targets that want it."""
    ids = {one.endpoint_id for one in notices if one.endpoint_id}
    if not ids:
        return {}
    about, labels = endpoints.by_ids(session, ids), endpoints.labels_of(session, ids)
    targets = rows.targets(session, enabled=True)
    return {
        notice.id: [
            target.name
            for target in targets
            if concerns(
                target,
                notice,
                Facts(
                    about.get(notice.endpoint_id or ""), labels.get(notice.endpoint_id or "", ())
                ),
            )
        ]
        for notice in notices
    }


def _not_yet(notice: Notice, targets: Sequence[str], *, require: bool) -> str | None:
    if targets:
        return f"{_of(notice)} is on its way to {', '.join(targets)}"
    return UNWANTED if require else None


def _why(
    notice: Notice,
    sent: Sequence[Delivery],
    targets: Mapping[str, NotificationTarget],
    *,
    require: bool,
) -> str | None:
    if any(one.status == rows.DELIVERED for one in sent):
        return None
    if not sent:
        return UNWANTED if require else None
    return f"{_of(notice)} " + "; ".join(_state(one, targets[one.target_id]) for one in sent)


def _state(delivery: Delivery, target: NotificationTarget) -> str:
    if not target.enabled:
        return f"waits for {target.name}, which is switched off"
    error = delivery.last_error or target.last_error
    if not error:
        return f"is on its way to {target.name}"
    since = target.failing_since or delivery.created_at
    return (
        f"could not be delivered to {target.name} since "
        f"{since.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {error}"
    )


def _of(notice: Notice) -> str:
    return f"the warning of {notice.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
