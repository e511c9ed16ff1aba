"""How far an endpoint has come towards what an operation asked of it. Pure over the two rows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from orchestrator.domain.endpoints import Goal, Snapshot, Stop
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import AWAKE, IN_TRANSITION, Status
from orchestrator.engine.retries import LANDING
from orchestrator.store.tables import Endpoint, Operation


class Progress(StrEnum):
    """Where an operation stands, by what the cloud says of the endpoint.

    `stalled`: accepted, but it needs another call of ours to go on. `elsewhere`: accepted, and at
    rest as something else than what was asked for.
    """

    NOT_BEGUN = "not_begun"
    UNDER_WAY = "under_way"
    REACHED = "reached"
    STALLED = "stalled"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"


def progress(operation: Operation, endpoint: Endpoint, now: datetime) -> Progress:
    """Return how far `operation` has come; an unknown state counts as under way."""
    status = Status(endpoint.status)
    if status is Status.UNKNOWN:
        return Progress.UNDER_WAY if operation.accepted_at else Progress.NOT_BEGUN
    match Kind(operation.kind):
        case Kind.PAUSE:
            return _paused(status, endpoint, now)
        case Kind.RESUME | Kind.CREATE:
            return _awake(operation, endpoint)
        case Kind.UPDATE:
            return _updated(operation, endpoint)
        case Kind.SCALE_TO_ZERO:
            return _zeroed(status)
        case _:  # a deletion is reached only by a direct read that finds nothing
            return Progress.NOT_BEGUN


def _zeroed(status: Status) -> Progress:
    if status in (Status.SCALED_TO_ZERO, Status.PAUSED):
        return Progress.REACHED
    # Its last copies may be going.
    return Progress.UNDER_WAY if status is Status.PAUSING else Progress.NOT_BEGUN


def may_land(endpoint: Endpoint, now: datetime) -> bool:
    """Tell whether a call of ours whose answer was lost may still make the endpoint."""
    return endpoint.landing_until is not None and endpoint.landing_until > now


def may_still_go(endpoint: Endpoint, now: datetime) -> bool:
    """Tell whether a deletion that was sent to pause it, and never showed, may still happen."""
    sent = endpoint.stop_sent_at
    return sent is not None and endpoint.gone_at is None and now - sent < LANDING


def _paused(status: Status, endpoint: Endpoint, now: datetime) -> Progress:
    if status is Status.PAUSED:
        stands = endpoint.billed_expected == 0 and not may_land(endpoint, now)
        return Progress.REACHED if stands else Progress.UNDER_WAY
    if status is Status.PAUSING:
        return Progress.UNDER_WAY
    # Deleted in order to pause it, and not yet gone; a deletion of others is no pause.
    if status is Status.STOPPING and endpoint.stop_sent_at is not None:
        return Progress.UNDER_WAY
    return Progress.NOT_BEGUN


def _awake(operation: Operation, endpoint: Endpoint) -> Progress:
    status = Status(endpoint.status)
    if _needs_a_call(operation, endpoint):
        return Progress.STALLED if operation.accepted_at else Progress.NOT_BEGUN
    # Up after an update that failed, and yet none of it takes requests: that is no start.
    useless = status is Status.UPDATE_FAILED and endpoint.ready_replicas == 0
    if status is Status.FAILED or useless:
        return Progress.FAILED if operation.accepted_at else Progress.NOT_BEGUN
    if status in (Status.RUNNING, Status.UPDATE_FAILED):
        return Progress.REACHED
    if status in AWAKE:
        return Progress.UNDER_WAY
    accepted = operation.accepted_at
    if status is Status.SCALED_TO_ZERO and accepted and endpoint.status_since > accepted:
        return Progress.REACHED  # it was up and the cloud's own idle timer was quicker than we
    return Progress.NOT_BEGUN


def _needs_a_call(operation: Operation, endpoint: Endpoint) -> bool:
    """Tell whether a creation lacks a step, or a start found no capacity and must be made anew."""
    if operation.kind == Kind.CREATE and endpoint.unfinished:
        return True
    short = endpoint.status == Status.WAITING_FOR_CAPACITY
    return short and endpoint.stop == Stop.RECREATE


def keep_goal(operation: Operation, answer: Snapshot) -> None:
    """Keep with an update what its answer tells: its goal, and when the cloud took it."""
    if operation.kind != Kind.UPDATE:
        return
    told: dict[str, object] = {}
    if answer.goal is not None:
        told["goal"] = answer.goal.to_json()
    if answer.updated_at is not None:
        told["taken_at"] = answer.updated_at.isoformat()
    operation.request = {**operation.request, **told}


def _is_from_before(operation: Operation, endpoint: Endpoint) -> bool:
    """Tell whether what is stored was read of a time before the cloud took an update."""
    taken, told = operation.request.get("taken_at"), endpoint.cloud_updated_at
    return taken is not None and told is not None and told < datetime.fromisoformat(taken)


def goal_of(operation: Operation) -> Goal | None:
    """Return what the endpoint will show once an update is done, None where that is not told."""
    kept = operation.request.get("goal")
    return None if kept is None else Goal.read(kept)


def _updated(operation: Operation, endpoint: Endpoint) -> Progress:
    status, goal = Status(endpoint.status), goal_of(operation)
    if operation.accepted_at is None:
        return Progress.NOT_BEGUN
    if _is_from_before(operation, endpoint):
        return Progress.UNDER_WAY
    # Where it cannot go on without another call, no capacity is the end of an update too.
    no_room = status is Status.WAITING_FOR_CAPACITY and goal is not None
    if no_room or status in (Status.UPDATE_FAILED, Status.FAILED):
        return Progress.FAILED
    if status in IN_TRANSITION:
        return Progress.UNDER_WAY
    return Progress.REACHED if goal is None else _compared(goal, endpoint)


def _compared(goal: Goal, endpoint: Endpoint) -> Progress:
    """Compare an endpoint at rest with what it was to become; what is not told is no difference."""
    shown = endpoint.spec
    if any(shown.get(name, value) != value for name, value in goal.spec.items()):
        return Progress.ELSEWHERE
    told = endpoint.target_replicas
    if goal.replicas is not None and told is not None and told != goal.replicas:
        return Progress.ELSEWHERE
    return Progress.REACHED if goal.spec.keys() <= shown.keys() else Progress.UNDER_WAY
