"""Giving an endpoint back: it is only observed from then on, or handed over and forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from orchestrator.domain.endpoints import Handover
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status
from orchestrator.providers.base import ProviderError
from orchestrator.services import clicks
from orchestrator.services.context import Context
from orchestrator.services.errors import conflict
from orchestrator.services.requests import Asked, busy, close, told_of
from orchestrator.store import accounts, events, holds, locks, operations, schedules
from orchestrator.store.tables import Endpoint, Operation


@dataclass(frozen=True, slots=True)
class Released:
    """What came of it: what the cloud still does, and what makes it again, if handed over."""

    cloud_goes_on: str = ""
    handover: Handover | None = None


def release(
    context: Context, session: Session, endpoint: Endpoint, asked: Asked, *, handover: bool = False
) -> Released:
    """Only observe an endpoint from now on, and leave it as it is.

    What waits is cancelled, and what the cloud has accepted goes on there. One that was deleted
    to pause it is handed over, where that is asked for, and forgotten. Raises ServiceError 409
    while an operation is in doubt or an endpoint is not whole, and for what would be lost.
    """
    locks.refresh(session, endpoint)
    if not endpoint.managed and endpoint.stop_sent_at is None:
        return Released()
    if endpoint.delete_after is not None:
        raise clicks.deleting(session, endpoint)
    active = operations.lock_active(session, endpoint.id)
    if active is not None:
        _check_leave(active, endpoint)
    if endpoint.stop_sent_at is not None:
        return _hand_over(context, session, endpoint, active, asked, wanted=handover)
    goes_on = ""
    if active is not None:
        goes_on = _leave_to_the_cloud(session, active, asked)
    _let_go(session, endpoint, asked)
    told = f"; {goes_on}" if goes_on else ""
    detail = f"released it; it is only observed now{told}"
    _record(
        session,
        endpoint,
        asked,
        kind="endpoint.released",
        detail=detail,
        data={"cloud_goes_on": goes_on},
    )
    return Released(goes_on)


def _check_leave(active: Operation, endpoint: Endpoint) -> None:
    """Refuse to walk away from what only we know to finish, or what is in doubt."""
    owed = endpoint.unfinished or endpoint.kept
    in_doubt = active.status == "running" and not operations.is_untouched(active)
    if in_doubt or active.kind == Kind.DELETE:
        raise busy(active)
    if active.status == "confirming" and owed and endpoint.stop_sent_at is None:
        raise busy(active)


def _leave_to_the_cloud(session: Session, active: Operation, asked: Asked) -> str:
    if active.status == "pending" or operations.is_untouched(active):
        why = f"{asked.actor} released the endpoint; {told_of(active)}"
        close(session, active, "cancelled", why, at=asked.now, by=asked.actor)
        return ""
    said = f" ({active.cloud_state})" if active.cloud_state else ""
    goes_on = f"the cloud goes on with the {active.kind} that it has accepted{said}"
    why = f"{asked.actor} released the endpoint; {goes_on}"
    close(session, active, "superseded", why, at=asked.now, by=asked.actor)
    return goes_on


def _hand_over(
    context: Context,
    session: Session,
    endpoint: Endpoint,
    active: Operation | None,
    asked: Asked,
    *,
    wanted: bool,
) -> Released:
    if not wanted:
        raise conflict(
            "paused_by_deletion",
            f"{endpoint.name} was deleted to pause it: released now it would be lost.",
            remedy=f"Resume it first: POST /v1/endpoints/{endpoint.id}/resume; or take what makes "
            f"it again with you: handover=true, `orchestrator endpoints release {endpoint.name} "
            "--handover`.",
        )
    if endpoint.status != Status.PAUSED or (active is not None and active.status != "pending"):
        raise conflict(
            "not_settled",
            f"{endpoint.name} is {endpoint.status}: it is not settled whether it is there.",
            remedy="Wait until it is paused, or runs.",
        )
    if active is not None:
        _leave_to_the_cloud(session, active, asked)
    paper = _paper(context, session, endpoint)
    _let_go(session, endpoint, asked)
    endpoint.deleted_at, endpoint.status, endpoint.status_since = asked.now, "deleted", asked.now
    endpoint.kept, endpoint.kept_at = {}, None
    endpoint.stop_sent_at = endpoint.gone_at = endpoint.landing_until = None
    session.add(endpoint)
    detail = "took over what makes it again; it is not there, and is forgotten here"
    data = {
        "commands": list(paper.commands),
        "remains": list(paper.remains),
        "lacks": list(paper.lacks),
        "document": dict(paper.document),
    }
    _record(session, endpoint, asked, kind="endpoint.handed_over", detail=detail, data=data)
    return Released(handover=paper)


def _paper(context: Context, session: Session, endpoint: Endpoint) -> Handover:
    account = accounts.by_ids(session, [endpoint.account_id])[endpoint.account_id]
    try:
        return context.provider_for(account).handover(endpoint.name, endpoint.kept)
    except ProviderError as error:
        raise conflict(
            "no_credentials",
            f"The driver of {account.name} cannot be made: {error}",
            remedy=f"Mend the account first: PATCH /v1/accounts/{account.name}.",
        ) from error


def _let_go(session: Session, endpoint: Endpoint, asked: Asked) -> None:
    holds.end_all(session, endpoint.id, asked.now, asked.actor)
    schedules.unbind_endpoint(session, endpoint.id)
    endpoint.managed, endpoint.managed_since = False, None
    endpoint.wish, endpoint.wish_reason, endpoint.wish_actor, endpoint.wish_at = "", "", "", None
    endpoint.decided_wish = endpoint.decided_rule = endpoint.decided_reason = ""
    endpoint.next_edge_at, endpoint.next_edge_wish = None, ""
    session.add(endpoint)


def _record(
    session: Session,
    endpoint: Endpoint,
    asked: Asked,
    *,
    kind: str,
    detail: str,
    data: Mapping[str, object],
) -> None:
    told = f"; {asked.reason}" if asked.reason else ""
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"{endpoint.name}: {asked.actor} {detail}{told}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"status": endpoint.status, "reason": asked.reason, **data},
    )
