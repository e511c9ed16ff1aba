"""Take one endpoint as the cloud described it into the store: state, ledger, events.

The one way in for every answer, be it from a listing, a direct read or a change of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.costs import meter
from orchestrator.costs.observe import Observation
from orchestrator.domain.decide import Rule
from orchestrator.domain.endpoints import NOT_BILLED, Extra, Hardware, Scaling, Snapshot, Stop
from orchestrator.domain.status import AWAKE, IN_TRANSITION, Status
from orchestrator.domain.usage import later_use
from orchestrator.services import bindings
from orchestrator.services.adoption import STOOD_DOWN
from orchestrator.store import events, observation, vouching
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, Json, Label, Operation

ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at one endpoint: what was seen, when it was asked for, when it was answered.

    `inferred` says that the cloud described nothing: it is absent, as we left it.
    """

    snapshot: Snapshot
    digest: str
    asked_at: datetime
    answered_at: datetime
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """How closely an account is watched and how its cloud bills, for the ledger."""

    gap_limit: timedelta
    granularity_s: int


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
    unsure = endpoint.missing_since is not None or endpoint.restless
    return vouching.vouched_until(account.confirmed_at, endpoint.confirmed_at, unsure=unsure)


def discover_all(session: Session, account: Account, sights: Sequence[Sight]) -> list[Change]:
    """Store endpoints that were never seen, as observed: nothing is done to them."""
    names = [sight.snapshot.name for sight in sights]
    generations = observation.generations(session, account.id, names)
    rows = [_new_row(account, sight, generations.get(sight.snapshot.name, 0)) for sight in sights]
    session.add_all(rows)
    session.flush()
    changes = []
    for row, sight in zip(rows, sights, strict=True):
        for key, value in cloud_labels(sight.snapshot.tags).items():
            session.add(Label(endpoint_id=row.id, key=key, value=value, source="cloud"))
        _record_discovery(session, row, sight)
        metered = _observation(row, sight, account.confirmed_at, moved=True)
        changes.append(Change(row, None, metered))
    return changes


def _new_row(account: Account, sight: Sight, generation: int) -> Endpoint:
    endpoint = Endpoint(
        id=new_id("ep", sight.answered_at),
        account_id=account.id,
        name=sight.snapshot.name,
        generation=generation + 1,
        status=sight.snapshot.status,
        status_since=sight.answered_at,
        first_seen_at=sight.answered_at,
        confirmed_at=sight.asked_at,
    )
    _take_over(endpoint, sight)
    if sight.snapshot.status is Status.RUNNING:
        endpoint.ready_at = sight.answered_at
    return endpoint


def _record_discovery(session: Session, endpoint: Endpoint, sight: Sight) -> None:
    events.record(
        session,
        at=sight.answered_at,
        kind="endpoint.discovered",
        actor=ENGINE,
        message=f"{endpoint.name} was found, {endpoint.status}; it is only observed",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"status": endpoint.status, "hardware": endpoint.hardware_key},
    )


def is_stale(endpoint: Endpoint, snapshot: Snapshot) -> bool:
    """Tell whether an answer is older than what is stored, as lagging replicas give it."""
    return (
        snapshot.updated_at is not None
        and endpoint.cloud_updated_at is not None
        and snapshot.updated_at < endpoint.cloud_updated_at
    )


def refresh(
    session: Session,
    account: Account,
    endpoint: Endpoint,
    sight: Sight,
    *,
    cause: str | None = None,
) -> Change:
    """Store a new sight of a known endpoint; `cause` says who made it change, if we know."""
    before = Status(endpoint.status)
    prior = vouched_until(account, endpoint)
    updated, bound = endpoint.cloud_updated_at, endpoint.max_replicas
    rebuilt = endpoint.spec != dict(sight.snapshot.spec)
    _keep_scaling(endpoint, before, sight.snapshot.status)
    _take_over(endpoint, sight)
    if endpoint.stop_sent_at is not None and (sight.inferred or _is_leaving(sight.snapshot)):
        endpoint.gone_at = endpoint.gone_at or sight.answered_at
    session.add(endpoint)
    # Tags that could not be read are not tags that are gone.
    if not sight.inferred and "tags" not in sight.snapshot.gaps:
        _take_labels(session, endpoint, sight)
    endpoint.missing_since = None
    endpoint.confirmed_at = sight.asked_at
    # Who changed it last did not change it now unless the cloud's time of change has moved.
    somebody = updated != sight.snapshot.updated_at and sight.snapshot.updated_by
    if sight.snapshot.status is not before:
        _status_changed(session, endpoint, before, sight, actor=somebody or "cloud")
    moved = updated != sight.snapshot.updated_at or sight.snapshot.updated_at is None
    metered = _observation(
        endpoint, sight, prior, cause=cause, moved=moved, bound=bound, rebuilt=moved and rebuilt
    )
    return Change(endpoint, before, metered)


def _is_leaving(snapshot: Snapshot) -> bool:
    return snapshot.status is Status.STOPPING


def _keep_scaling(endpoint: Endpoint, before: Status, after: Status) -> None:
    """Before a pause is taken over, keep the replica bounds: a pause or resume may reset them."""
    falls_asleep = after in (Status.PAUSED, Status.PAUSING) and before in AWAKE | {
        Status.SCALED_TO_ZERO
    }
    # Bounds that still wait to be put back are the true ones, not what a resume made of them.
    waiting = bool(endpoint.scaling_before_pause)
    if falls_asleep and not waiting and not endpoint.kept and endpoint.min_replicas is not None:
        endpoint.scaling_before_pause = {
            "min_replicas": endpoint.min_replicas,
            "max_replicas": endpoint.max_replicas,
            "scale_to_zero_minutes": endpoint.scale_to_zero_minutes,
        }


def clean(text: str) -> str:
    """Return text that both databases can store: without NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _digest(sight: Sight) -> str:
    """Return the row that needs no further read; a read may lag behind the row that led to it.

    After a change of ours one more is made once it is at rest: its parts may lag too.
    """
    seen = sight.snapshot
    if sight.digest or seen.status in IN_TRANSITION:
        return seen.row or sight.digest
    return ""


def _take_over(endpoint: Endpoint, sight: Sight) -> None:
    seen = sight.snapshot
    endpoint.cloud_state, endpoint.message = clean(seen.cloud_state), clean(seen.message)
    endpoint.status, endpoint.digest = seen.status, _digest(sight)
    endpoint.url = seen.url or endpoint.url
    if seen.hardware.known or not endpoint.hardware_key:
        endpoint.hardware_key, endpoint.accelerator = seen.hardware.key, seen.hardware.accelerator
    endpoint.repository, endpoint.task = clean(seen.repository), clean(seen.task)
    endpoint.engine, endpoint.access = clean(seen.engine), clean(seen.access)
    endpoint.ready_replicas, endpoint.target_replicas = seen.ready_replicas, seen.target_replicas
    if seen.scaling is not None:
        endpoint.min_replicas = seen.scaling.min_replicas
        endpoint.max_replicas = seen.scaling.max_replicas
        endpoint.scale_to_zero_minutes = seen.scaling.scale_to_zero_minutes
    endpoint.billed_low, endpoint.billed_expected = seen.billed.low, seen.billed.expected
    endpoint.billed_high = seen.billed.high
    endpoint.spec, endpoint.gaps = dict(seen.spec), list(seen.gaps)
    endpoint.stop, endpoint.to_zero, endpoint.restless = seen.stop, seen.to_zero, seen.restless
    endpoint.extras = [extra_to_json(extra) for extra in seen.extras]
    endpoint.unfinished, endpoint.looked_at = clean(seen.unfinished), sight.asked_at
    endpoint.cloud_created_at, endpoint.cloud_created_by = seen.created_at, seen.created_by
    if seen.updated_at is not None:
        endpoint.cloud_updated_at, endpoint.cloud_updated_by = seen.updated_at, seen.updated_by
    if seen.last_used_at is not None:
        endpoint.last_used_at = later_use(
            endpoint.last_used_at, seen.last_used_at, sight.answered_at
        )
    if not endpoint.observe_only.startswith(STOOD_DOWN):
        endpoint.observe_only = seen.observe_only or ""


def _take_labels(session: Session, endpoint: Endpoint, sight: Sight) -> None:
    labels = cloud_labels(sight.snapshot.tags)
    changed = observation.replace_cloud_labels(session, endpoint.id, labels)
    if changed and endpoint.managed:
        bindings.sync_endpoints(session, [endpoint.id], sight.answered_at)


def cloud_labels(tags: tuple[str, ...]) -> dict[str, str]:
    """Return a cloud's tags as labels: `team=search` is `cloud:team`, `prod` has no value."""
    labels = {}
    for tag in tags:
        key, _, value = clean(tag).partition("=")
        labels[f"cloud:{key.strip()}"[:120]] = value.strip()[:250]
    return labels


def _status_changed(
    session: Session, endpoint: Endpoint, before: Status, sight: Sight, *, actor: str
) -> None:
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
        actor=actor,
        message=f"{endpoint.name} went from {before} to {after}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={
            "from": before,
            "to": after,
            "cloud_state": sight.snapshot.cloud_state,
            "message": clean(sight.snapshot.message)[:500],
        },
    )


def _observation(
    endpoint: Endpoint,
    sight: Sight,
    prior: datetime | None,
    *,
    moved: bool,
    cause: str | None = None,
    bound: int | None = None,
    rebuilt: bool = False,
) -> Observation:
    bounds = [each for each in (bound, endpoint.max_replicas) if each is not None]
    return Observation(
        endpoint_id=endpoint.id,
        status=sight.snapshot.status,
        billed=sight.snapshot.billed,
        extras=sight.snapshot.extras,
        rollout=sight.snapshot.rollout,
        rebuilt=rebuilt,
        hardware_key=endpoint.hardware_key,
        max_replicas=max(bounds, default=None),
        moved=moved,
        created_at=sight.snapshot.created_at,
        updated_at=sight.snapshot.updated_at,
        cause=cause,
        confirmed_at=prior,
        seen_at=sight.answered_at,
    )


def record_meter(session: Session, account_id: str, watch: Watch, observed: Observation) -> None:
    """Write one observation, made outside of a complete listing, to the ledger."""
    assert observed.seen_at is not None  # noqa: S101 - every observation here has its own instant
    notes = meter.meter_endpoints(
        session,
        account_id=account_id,
        confirmed_at=observed.confirmed_at,
        seen_at=observed.seen_at,
        gap_limit=watch.gap_limit,
        observations=[observed],
        granularity_s=watch.granularity_s,
    )
    announce(session, account_id, notes, observed.seen_at)


def announce(
    session: Session, account_id: str, notes: Sequence[meter.MeterNote], at: datetime
) -> None:
    """Record what made figures less certain."""
    for note in notes:
        events.record(
            session,
            at=at,
            kind=note.kind,
            actor=ENGINE,
            message=note.message,
            account_id=account_id,
            endpoint_id=note.endpoint_ids[0] if len(note.endpoint_ids) == 1 else None,
            data={"endpoints": len(note.endpoint_ids)},
        )


def keep_asked_scaling(operation: Operation, endpoint: Endpoint) -> None:
    """An update of a sleeping endpoint's bounds is what its resume has to bring back."""
    asked = (operation.request.get("spec") or {}).get("scaling")
    if asked and endpoint.scaling_before_pause:
        endpoint.scaling_before_pause = {
            key: asked.get(key) for key in ("min_replicas", "max_replicas", "scale_to_zero_minutes")
        }


def extra_to_json(extra: Extra) -> Json:
    """Return what is billed beside a replica as it is stored."""
    return {"component": extra.component, "key": extra.hardware_key, "units": extra.units}


def extras_of(endpoint: Endpoint) -> tuple[Extra, ...]:
    """Return what is billed beside each replica of the endpoint as it was last seen."""
    return tuple(Extra(row["component"], row["key"], row["units"]) for row in endpoint.extras)


def paused_by_us(endpoint: Endpoint) -> bool:
    """Tell whether "not there" means that we deleted it in order to pause it."""
    return bool(endpoint.kept) and endpoint.stop_sent_at is not None


def away(endpoint: Endpoint, status: Status = Status.PAUSED) -> Snapshot:
    """Return an endpoint that we deleted in order to pause it, as it would be described."""
    vendor, region, kind, size = endpoint.hardware_key.split("/")
    bounds = (endpoint.min_replicas, endpoint.max_replicas)
    scaling = None
    if bounds[0] is not None and bounds[1] is not None:
        scaling = Scaling(bounds[0], bounds[1], endpoint.scale_to_zero_minutes)
    return Snapshot(
        name=endpoint.name,
        status=status,
        cloud_state="",
        hardware=Hardware(vendor, region, kind, size, endpoint.accelerator),
        billed=NOT_BILLED,
        scaling=scaling,
        ready_replicas=0,
        target_replicas=0,
        access=endpoint.access,
        repository=endpoint.repository,
        task=endpoint.task,
        engine=endpoint.engine,
        created_at=endpoint.cloud_created_at,
        created_by=endpoint.cloud_created_by,
        stop=Stop(endpoint.stop),
        to_zero=endpoint.to_zero,
        extras=extras_of(endpoint),
        spec=endpoint.spec,
    )


def forget_kept(endpoint: Endpoint) -> None:
    """Drop what was kept to make it again: it is there again, or gone for good."""
    endpoint.kept, endpoint.kept_at = {}, None
    endpoint.stop_sent_at = endpoint.gone_at = None


def is_another(endpoint: Endpoint, snapshot: Snapshot) -> bool:
    """Tell whether the name now belongs to an endpoint that was made later, and not by a resume."""
    return (
        not paused_by_us(endpoint)
        and snapshot.created_at is not None
        and endpoint.cloud_created_at is not None
        and snapshot.created_at != endpoint.cloud_created_at
    )


def asleep_by(endpoint: Endpoint, rule: str, at: datetime) -> None:
    """Remember which rule put the endpoint to sleep; `rule` reads `idle:pol_…`, or is empty."""
    endpoint.asleep_rule = rule.partition(":")[0] or Rule.STANDING
    endpoint.asleep_since = at
