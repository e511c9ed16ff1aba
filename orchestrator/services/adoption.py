"""Taking endpoints under management, which changes nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from orchestrator.domain.status import Status, Wish
from orchestrator.services import bindings, expiry_policies
from orchestrator.services.clicks import awake_wish
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.requests import Asked
from orchestrator.store import accounts, endpoints, events, holds, locks, schedules
from orchestrator.store import expiry as expiries
from orchestrator.store.tables import Endpoint

# The engine gives an endpoint back when others keep undoing its rules; a person may retake it.
STOOD_DOWN = "stood down"
_ASLEEP = {
    Status.PAUSED: Wish.PAUSED,
    Status.PAUSING: Wish.PAUSED,
    Status.STOPPING: Wish.PAUSED,
    Status.SCALED_TO_ZERO: Wish.AVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """An endpoint that could not be adopted, and why."""

    endpoint: Endpoint
    reason: str


def adopt(
    session: Session,
    endpoint: Endpoint,
    asked: Asked,
    *,
    labels: Mapping[str, str] | None = None,
    owner: str | None = None,
) -> Endpoint:
    """Manage an endpoint from now on; its wish is set to what is. Done again it changes nothing.

    `labels` are added to those it has. Raises ServiceError 409 for what is gone, unclear, or
    beyond what we handle.
    """
    locks.refresh(session, endpoint)
    _check(session, endpoint)
    _prepare(session, endpoint, asked, labels or {}, owner)
    bindings.sync_endpoints(session, [endpoint.id], asked.now)
    return endpoint


def adopt_many(
    session: Session,
    wanted: Sequence[Endpoint],
    asked: Asked,
    *,
    labels: Mapping[str, str] | None = None,
    owner: str | None = None,
) -> tuple[list[Endpoint], list[Skipped]]:
    """Adopt what can be adopted of `wanted`, and say why the rest cannot."""
    locks.endpoints(session, [endpoint.id for endpoint in wanted])
    adopted: list[Endpoint] = []
    skipped: list[Skipped] = []
    for endpoint in wanted:
        try:
            _check(session, endpoint)
        except ServiceError as error:
            skipped.append(Skipped(endpoint, error.detail))
            continue
        _prepare(session, endpoint, asked, labels or {}, owner)
        adopted.append(endpoint)
    bindings.sync_endpoints(session, [endpoint.id for endpoint in adopted], asked.now)
    return adopted, skipped


def wish_as_is(endpoint: Endpoint) -> Wish:
    """Return the wish that leaves an endpoint as it is."""
    return _ASLEEP.get(Status(endpoint.status)) or awake_wish(endpoint)


def _check(session: Session, endpoint: Endpoint) -> None:
    if endpoint.deleted_at is not None or accounts.get(session, endpoint.account_id) is None:
        raise conflict("deleted", f"{endpoint.name} is gone, or its account is not connected.")
    if endpoint.observe_only and not endpoint.observe_only.startswith(STOOD_DOWN):
        raise conflict("observe_only", f"{endpoint.name} is not handled: {endpoint.observe_only}.")
    if endpoint.status == Status.UNKNOWN:
        raise conflict(
            "status_unknown",
            f"The cloud says {endpoint.cloud_state!r} of {endpoint.name}, which is not understood.",
            remedy="Adopt it once its state is clear.",
        )


def _prepare(
    session: Session,
    endpoint: Endpoint,
    asked: Asked,
    labels: Mapping[str, str],
    owner: str | None,
) -> None:
    endpoints.add_our_labels(session, endpoint.id, labels)
    if owner is not None:
        endpoint.owner = owner
    if not endpoint.managed:
        _take(session, endpoint, asked)
    session.add(endpoint)


def _take(session: Session, endpoint: Endpoint, asked: Asked) -> None:
    # What is left from an earlier time under management must not act at once.
    schedules.unbind_endpoint(session, endpoint.id)
    holds.end_all(session, endpoint.id, asked.now, asked.actor)
    expires = _keep_expiry(session, endpoint)
    endpoint.managed, endpoint.managed_since = True, asked.now
    endpoint.observe_only, endpoint.opposed = "", []
    endpoint.wish, endpoint.wish_reason = wish_as_is(endpoint), "as it was when adopted"
    endpoint.wish_actor, endpoint.wish_at = asked.actor, asked.now
    endpoint.asleep_rule, endpoint.asleep_since = "", None
    endpoint.failures, endpoint.not_before = 0, None
    detail = f"adopted it; it stays {endpoint.status}, the wish is {endpoint.wish}{expires}"
    _record(session, endpoint, "endpoint.adopted", asked, detail)


def _keep_expiry(session: Session, endpoint: Endpoint) -> str:
    """Forget an expiry from before, but one that may not be taken off; tell of that.

    Else releasing and adopting would lift the limits of a policy. People are warned anew.
    """
    limits = [] if endpoint.expires_at is None else expiry_policies.limiting(session, endpoint)
    if endpoint.expires_at is None or not limits:
        expiries.clear(endpoint)
        return ""
    endpoint.expiry = expiries.unwarned(endpoint.expiry)
    at, count = f"{endpoint.expires_at:%Y-%m-%d %H:%M} UTC", expiries.extensions(endpoint)
    times = "once" if count == 1 else f"{count} times"
    told = f"; it expires at {at} as before, put off {times} so far"
    return f"{told}: the expiry policy {limits[0].name} wants that it does"


def _record(session: Session, endpoint: Endpoint, kind: str, asked: Asked, detail: str) -> None:
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"{endpoint.name}: {asked.actor} {detail}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"wish": endpoint.wish, "status": endpoint.status},
    )
