"""Take one endpoint as the cloud described it into the store: state, ledger, events.

The one way in for every answer, be it from a listing, a direct read or a change of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.costs.meter import Observation
from orchestrator.domain.decide import Rule
from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.status import AWAKE, Status
from orchestrator.services import bindings
from orchestrator.store import events, observation
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint

ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at one endpoint: what was seen, when it was asked for, when it was answered."""

    snapshot: Snapshot
    digest: str
    asked_at: datetime
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a sight changed: the endpoint, its status before, and what the meter must know."""

    endpoint: Endpoint
    before: Status | None
    metered: Observation

    @property
    def after(self) -> Status:
        """Return the status that was seen."""
        return Status(self.endpoint.status)


def vouched_until(account: Account, endpoint: Endpoint) -> datetime:
    """Return the instant until which the endpoint's stored state is known to have held."""
    if endpoint.missing_since is not None or account.confirmed_at is None:
        return endpoint.confirmed_at
    return max(endpoint.confirmed_at, account.confirmed_at)


def discover(session: Session, account: Account, sight: Sight) -> Change:
    """Store an endpoint that was never seen, as observed: nothing is done to it."""
    snapshot = sight.snapshot
    earlier = observation.latest_by_name(session, account.id, snapshot.name)
    endpoint = Endpoint(
        id=new_id("ep", sight.answered_at),
        account_id=account.id,
        name=snapshot.name,
        generation=1 if earlier is None else earlier.generation + 1,
        status=snapshot.status,
        status_since=sight.answered_at,
        first_seen_at=sight.answered_at,
        confirmed_at=sight.asked_at,
    )
    session.add(endpoint)
    session.flush()
    _take_over(session, endpoint, sight)
    if snapshot.status is Status.RUNNING:
        endpoint.ready_at = sight.answered_at
    events.record(
        session,
        at=sight.answered_at,
        kind="endpoint.discovered",
        actor=ENGINE,
        message=f"{snapshot.name} was found, {snapshot.status}; it is only observed",
        account_id=account.id,
        endpoint_id=endpoint.id,
        data={"status": snapshot.status, "hardware": snapshot.hardware.key},
    )
    return Change(endpoint, None, _observation(endpoint, sight, sight.asked_at, cause=""))


def is_stale(endpoint: Endpoint, snapshot: Snapshot) -> bool:
    """Tell whether an answer is older than what is stored, as lagging replicas give it."""
    return (
        snapshot.updated_at is not None
        and endpoint.cloud_updated_at is not None
        and snapshot.updated_at < endpoint.cloud_updated_at
    )


def refresh(
    session: Session, account: Account, endpoint: Endpoint, sight: Sight, *, cause: str = ""
) -> Change:
    """Store a new sight of a known endpoint; `cause` says who made it change, if we know."""
    before = Status(endpoint.status)
    prior = vouched_until(account, endpoint)
    updated = endpoint.cloud_updated_at
    _keep_scaling(endpoint, before, sight.snapshot.status)
    _take_over(session, endpoint, sight)
    endpoint.missing_since = None
    endpoint.confirmed_at = sight.asked_at
    if sight.snapshot.status is not before:
        _status_changed(session, endpoint, before, sight)
    metered = _observation(
        endpoint, sight, prior, cause=cause, updated=updated != sight.snapshot.updated_at
    )
    return Change(endpoint, before, metered)


def _keep_scaling(endpoint: Endpoint, before: Status, after: Status) -> None:
    """Before a pause is taken over, keep the replica bounds: a pause or resume may reset them."""
    falls_asleep = after in (Status.PAUSED, Status.PAUSING) and before in AWAKE | {
        Status.SCALED_TO_ZERO
    }
    if falls_asleep and endpoint.min_replicas is not None:
        endpoint.scaling_before_pause = {
            "min_replicas": endpoint.min_replicas,
            "max_replicas": endpoint.max_replicas,
            "scale_to_zero_minutes": endpoint.scale_to_zero_minutes,
        }


def _take_over(session: Session, endpoint: Endpoint, sight: Sight) -> None:
    seen = sight.snapshot
    endpoint.cloud_state, endpoint.message = seen.cloud_state, seen.message
    endpoint.status, endpoint.digest = seen.status, sight.digest
    endpoint.url = seen.url or endpoint.url
    endpoint.hardware_key, endpoint.accelerator = seen.hardware.key, seen.hardware.accelerator
    endpoint.repository, endpoint.task = seen.repository, seen.task
    endpoint.engine, endpoint.access = seen.engine, seen.access
    endpoint.ready_replicas, endpoint.target_replicas = seen.ready_replicas, seen.target_replicas
    if seen.scaling is not None:
        endpoint.min_replicas = seen.scaling.min_replicas
        endpoint.max_replicas = seen.scaling.max_replicas
        endpoint.scale_to_zero_minutes = seen.scaling.scale_to_zero_minutes
    endpoint.billed_low, endpoint.billed_expected = seen.billed.low, seen.billed.expected
    endpoint.billed_high = seen.billed.high
    endpoint.spec, endpoint.gaps = dict(seen.spec), list(seen.gaps)
    endpoint.cloud_created_at, endpoint.cloud_created_by = seen.created_at, seen.created_by
    if seen.updated_at is not None:
        endpoint.cloud_updated_at, endpoint.cloud_updated_by = seen.updated_at, seen.updated_by
    if seen.last_used_at is not None:
        endpoint.last_used_at = seen.last_used_at
    if seen.observe_only:
        endpoint.observe_only = seen.observe_only
    session.add(endpoint)
    if observation.replace_cloud_labels(session, endpoint.id, cloud_labels(seen.tags)):
        bindings.sync_endpoints(session, [endpoint.id], sight.answered_at)


def cloud_labels(tags: tuple[str, ...]) -> dict[str, str]:
    """Return a cloud's tags as labels: `team=search` is `cloud:team`, `prod` has no value."""
    labels = {}
    for tag in tags:
        key, _, value = tag.partition("=")
        labels[f"cloud:{key.strip()}"[:120]] = value.strip()[:250]
    return labels


def _status_changed(session: Session, endpoint: Endpoint, before: Status, sight: Sight) -> None:
    after = sight.snapshot.status
    endpoint.status_since = sight.answered_at
    if after is Status.RUNNING and before is not Status.UPDATING:
        endpoint.ready_at = sight.answered_at
    if after in AWAKE:
        endpoint.asleep_rule, endpoint.asleep_since = "", None
        if before in (Status.PAUSED, Status.SCALED_TO_ZERO):
            endpoint.resumed_at = sight.answered_at
    events.record(
        session,
        at=sight.answered_at,
        kind="endpoint.status_changed",
        actor=sight.snapshot.updated_by or "cloud",
        message=f"{endpoint.name} went from {before} to {after}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={
            "from": before,
            "to": after,
            "cloud_state": sight.snapshot.cloud_state,
            "message": sight.snapshot.message[:500],
        },
    )


def _observation(
    endpoint: Endpoint, sight: Sight, prior: datetime, *, cause: str, updated: bool = False
) -> Observation:
    return Observation(
        endpoint_id=endpoint.id,
        account_id=endpoint.account_id,
        confirmed_at=prior,
        seen_at=sight.answered_at,
        status=sight.snapshot.status,
        billed=sight.snapshot.billed,
        hardware_key=endpoint.hardware_key,
        max_replicas=endpoint.max_replicas,
        updated_at=sight.snapshot.updated_at,
        changed_in_cloud=updated,
        cause=cause,
    )


def asleep_by(endpoint: Endpoint, rule: str, at: datetime) -> None:
    """Remember which rule put the endpoint to sleep."""
    endpoint.asleep_rule, endpoint.asleep_since = (rule or Rule.STANDING), at
