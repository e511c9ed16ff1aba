"""What others do to an endpoint: clicks in the cloud's console, deletions, tugs of war."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.costs.observe import Observation
from orchestrator.domain.plan import STARTS, Kind
from orchestrator.domain.status import AWAKE, IN_TRANSITION, Status, Wish
from orchestrator.engine.apply import (
    ENGINE,
    Change,
    Watch,
    forget_kept,
    paused_by_us,
    record_meter,
    vouched_until,
)
from orchestrator.engine.goals import may_land
from orchestrator.engine.retries import LANDING
from orchestrator.engine.steps import add_step, end, supersede
from orchestrator.services import clicks, deletion
from orchestrator.services.requests import Asked
from orchestrator.store import events, holds, operations, schedules
from orchestrator.store.tables import Account, Endpoint, Operation

# A change seen this soon after our own may be a lagging read of the state before it.
SETTLING = timedelta(minutes=2)
# So many opposite changes by others within a day, and we stand down.
TUGS = 3
TUG_SPAN = timedelta(hours=24)
_LEAVING = (Status.PAUSED, Status.PAUSING, Status.STOPPING, Status.WAITING_FOR_CAPACITY)


def notice(session: Session, change: Change, at: datetime) -> None:
    """Take a status change of a managed endpoint that we did not cause as somebody's click."""
    endpoint = change.endpoint
    if may_land(endpoint, at):
        _landed(session, endpoint, at)
    if change.before in IN_TRANSITION and change.after not in IN_TRANSITION:
        _hurry(session, endpoint, at)
    wish = _meant(change)
    if wish is None or _is_ours(session, change, wish, at):
        return
    if wish is not Wish.PAUSED:
        _left_to_others(session, endpoint, at)
    if not endpoint.managed:
        return
    actor = endpoint.cloud_updated_by or "somebody"
    active = operations.lock_active(session, endpoint.id)
    if active is not None:
        supersede(session, active, f"{actor} made it {change.after} in the cloud's console", at)
    if _opposes(endpoint, wish) and _stand_down(session, endpoint, at):
        return
    account = session.get_one(Account, endpoint.account_id)
    clicks.outside_click(
        session,
        account,
        endpoint,
        wish,
        now=at,
        actor=f"cloud:{actor}",
        reason=f"{change.before} became {change.after} outside of this service",
    )


def _landed(session: Session, endpoint: Endpoint, at: datetime) -> None:
    """A start whose answer was lost shows after all: what was asked for since begins anew."""
    active = operations.lock_active(session, endpoint.id)
    if active is None or active.status != "confirming" or endpoint.status in _LEAVING:
        return
    if active.kind in (Kind.PAUSE, Kind.DELETE):
        active.status, active.accepted_at, active.next_attempt_at = "running", None, None
        told = "a start that was asked for before has taken effect after all"
        add_step(active, active.kind, at, "again", told)
        session.add(active)


def _hurry(session: Session, endpoint: Endpoint, at: datetime) -> None:
    """Let a stop or an update that waited for the end of a transition be tried at once."""
    active = operations.lock_active(session, endpoint.id)
    if active is None or active.kind in STARTS or active.status != "running":
        return
    if active.next_attempt_at is not None and active.next_attempt_at > at:
        active.next_attempt_at = at
        session.add(active)


def _left_to_others(session: Session, endpoint: Endpoint, at: datetime) -> None:
    """Whoever woke it answers for its bounds, and for what a pause by deletion took along."""
    endpoint.scaling_before_pause = {}
    if not endpoint.kept:
        return
    events.record(
        session,
        at=at,
        kind="endpoint.differs",
        actor=ENGINE,
        message=f"{endpoint.name} was made again by somebody else: what was kept of it "
        "(tags, scaling) was not put back",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"kept": endpoint.kept},
    )
    forget_kept(endpoint)
    # The owner's leave was for what they had seen, not for what others made of it.
    endpoint.allow_recreate, endpoint.recreate_terms = False, {}


def _meant(change: Change) -> Wish | None:
    """Return what a change of status seems to ask for; the cloud's own idle timer asks nothing."""
    before, after = change.before, change.after
    if before is None or before is after:
        return None
    if after is Status.PAUSED and before is not Status.PAUSING:
        return Wish.PAUSED
    if before is Status.PAUSED and after in AWAKE:
        return clicks.awake_wish(change.endpoint)
    if before is Status.PAUSED and after is Status.SCALED_TO_ZERO:
        return Wish.AVAILABLE
    return None


def _is_ours(session: Session, change: Change, wish: Wish, at: datetime) -> bool:
    """Tell whether our own operation explains a change, or a lagging read may."""
    kinds = (Kind.PAUSE,) if wish is Wish.PAUSED else (Kind.RESUME, Kind.SCALE_TO_ZERO)
    last = operations.latest_for(session, change.endpoint.id)
    if last is None:
        return False
    if paused_by_us(change.endpoint) and last.kind in STARTS and last.finished_at is None:
        return True  # a start that failed is removed before it is made again
    if wish is Wish.PAUSED and _is_late(change.endpoint, last):
        return True
    if _may_be_earlier(session, change.endpoint, kinds, at):
        return True
    sent = last.attempts > 0
    if sent and last.kind in kinds and (last.finished_at is None or last.status != "succeeded"):
        return last.finished_at is None or at - last.finished_at < SETTLING
    ended = last.finished_at or last.accepted_at or last.created_at
    # Lagging reads bear an old time of change and were dropped before; a new one is news.
    return not change.metered.moved and at - ended < SETTLING


def _is_late(endpoint: Endpoint, last: Operation) -> bool:
    """Tell whether the deletion of an overtaken pause has taken effect: its mark still stands."""
    started = last.kind in STARTS and last.status == "succeeded"
    overtaken = last.kind == Kind.PAUSE and last.status == "superseded"
    return paused_by_us(endpoint) and (started or overtaken)


def _may_be_earlier(
    session: Session, endpoint: Endpoint, kinds: Collection[Kind], at: datetime
) -> bool:
    """Tell whether a call of ours that was overtaken in doubt may have taken effect only now."""
    return may_land(endpoint, at) or any(
        op.kind in kinds and op.status == "superseded" and op.attempts and op.accepted_at is None
        for op in operations.ended_since(session, endpoint.id, at - LANDING)
    )


def _opposes(endpoint: Endpoint, wish: Wish) -> bool:
    decided = endpoint.decided_wish
    return bool(decided) and (wish is Wish.PAUSED) != (decided == Wish.PAUSED)


def _stand_down(session: Session, endpoint: Endpoint, at: datetime) -> bool:
    recent = [stamp for stamp in endpoint.opposed if at - datetime.fromisoformat(stamp) < TUG_SPAN]
    endpoint.opposed = [*recent, at.isoformat()]
    session.add(endpoint)
    if len(endpoint.opposed) < TUGS:
        return False
    endpoint.managed, endpoint.opposed = False, []
    endpoint.decided_wish = endpoint.decided_rule = endpoint.decided_reason = ""
    endpoint.next_edge_at, endpoint.next_edge_wish = None, ""
    endpoint.observe_only = (
        f"stood down: others undid its rules {TUGS} times within a day; adopt it again to resume"
    )
    deletion.call_off(session, endpoint, Asked(ENGINE, at, "others keep starting it"))
    holds.end_all(session, endpoint.id, at, ENGINE)
    schedules.unbind_endpoint(session, endpoint.id)
    events.record(
        session,
        at=at,
        kind="endpoint.stood_down",
        actor=ENGINE,
        message=f"{endpoint.name} is only observed now: {endpoint.observe_only}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
    )
    return True


def gone(
    session: Session, account: Account, endpoint: Endpoint, at: datetime, watch: Watch
) -> None:
    """Record that the cloud plainly says an endpoint is not there; it is never made again."""
    if endpoint.deleted_at is not None:
        return
    prior = vouched_until(account, endpoint)
    operation = operations.lock_active(session, endpoint.id)
    asked_by = endpoint.tombstone.get("actor", "")
    ours = operation is not None and operation.kind == Kind.DELETE and operation.attempts > 0
    actor = "somebody else"
    if operation is not None and ours:
        actor = asked_by or operation.actor
    if operation is not None:
        outcome = "it is gone" if ours else "it is gone: somebody else deleted it meanwhile"
        end(session, operation, "succeeded" if ours else "failed", outcome, at)
    endpoint.deleted_at, endpoint.status, endpoint.status_since = at, Status.DELETED, at
    endpoint.wish, endpoint.wish_reason, endpoint.wish_actor = "", "", ""
    endpoint.wish_at = endpoint.next_edge_at = None
    endpoint.managed = False
    endpoint.delete_after = endpoint.landing_until = None
    endpoint.tombstone = {}
    endpoint.billed_low = endpoint.billed_expected = endpoint.billed_high = 0
    forget_kept(endpoint)
    session.add(endpoint)
    ended = Observation(
        endpoint_id=endpoint.id,
        status=Status.DELETED,
        hardware_key=endpoint.hardware_key,
        max_replicas=endpoint.max_replicas,
        moved=True,
        deleted=True,
        confirmed_at=prior,
        seen_at=at,
    )
    record_meter(session, account.id, watch, ended)
    holds.end_all(session, endpoint.id, at, ENGINE)
    schedules.unbind_endpoint(session, endpoint.id)
    events.record(
        session,
        at=at,
        kind="endpoint.deleted",
        actor=actor,
        message=f"{endpoint.name} is gone; the cloud confirmed it",
        account_id=account.id,
        endpoint_id=endpoint.id,
        operation_id=operation.id if operation is not None and ours else None,
    )
