"""`plan`: which changes an account needs now, in which order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from orchestrator.domain.decide import Decision
from orchestrator.domain.endpoints import BilledReplicas, Stop
from orchestrator.domain.status import AWAKE, Status, Wish


class Kind(StrEnum):
    """What an operation does to an endpoint."""

    CREATE = "create"
    UPDATE = "update"
    PAUSE = "pause"
    RESUME = "resume"
    SCALE_TO_ZERO = "scale_to_zero"
    DELETE = "delete"


STARTS = frozenset({Kind.CREATE, Kind.RESUME})
NO_LEAVE = (
    "its cloud can only stop it by deleting it and making it again, which its owner has not allowed"
)


@dataclass(frozen=True, slots=True)
class Means:
    """How one endpoint can be stopped, and whether its owner allowed what that takes."""

    stop: Stop = Stop.PAUSE
    to_zero: bool = True
    allow_recreate: bool = False

    def barrier(self, kind: Kind) -> str:
        """Return why this change may not be made to it, empty where it may."""
        if kind is Kind.SCALE_TO_ZERO and not self.to_zero:
            return "no request could wake it from zero in this cloud"
        if kind is not Kind.PAUSE or self.stop is Stop.PAUSE:
            return ""
        if self.stop is Stop.NONE:
            return "it cannot be stopped from here"
        if not self.allow_recreate:
            return NO_LEAVE
        return ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One managed endpoint with its decision; `burn` is nano-dollars per hour, if known.

    `means` says how it can be stopped at all.
    """

    endpoint_id: str
    status: Status
    billed: BilledReplicas
    decision: Decision
    burn: int | None = None
    last_used_at: datetime | None = None
    not_before: datetime | None = None
    means: Means = Means()


@dataclass(frozen=True, slots=True)
class Action:
    """One change to make now, and why."""

    endpoint_id: str
    kind: Kind
    decision: Decision


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be begun in one pass of one account, so that a fault stays small.

    Idle policies rest on evidence that one broken source can spoil for a whole account, so
    they may stop at most `idle_stop_floor` endpoints, or `idle_stop_share` percent of those
    awake where that is more, in one pass.
    """

    starts: int = 20
    idle_stop_floor: int = 5
    idle_stop_share: int = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """What to begin now, and what waits for a later pass, with the reason."""

    actions: tuple[Action, ...]
    deferred: tuple[tuple[Action, str], ...]


def needed(status: Status, decision: Decision, billed: BilledReplicas) -> Kind | None:
    """Return the change that brings an endpoint of this status to the decision, if any.

    An unknown state is never acted on, and a failed endpoint that bills nothing is left to a
    person: neither can be shown to become better.
    """
    wish = decision.wish
    if wish is None or status in (Status.UNKNOWN, Status.DELETED, Status.STOPPING):
        return None
    if wish is Wish.DELETED:
        return Kind.DELETE
    if wish is Wish.PAUSED:
        return Kind.PAUSE if _can_stop(status, billed) else None
    return _wake_or_zero(status, decision)


def _wake_or_zero(status: Status, decision: Decision) -> Kind | None:
    if status in (Status.PAUSED, Status.WAITING_FOR_CAPACITY):
        return Kind.RESUME
    if status is Status.SCALED_TO_ZERO:
        return Kind.RESUME if decision.wish is Wish.RUNNING else None
    if decision.to_zero and status is Status.RUNNING:
        return Kind.SCALE_TO_ZERO
    return None


def _can_stop(status: Status, billed: BilledReplicas) -> bool:
    if status is Status.FAILED:
        return billed.high > 0
    return status in AWAKE or status is Status.SCALED_TO_ZERO


def plan(wanted: Sequence[Wanted], limits: Limits, now: datetime) -> Plan:
    """Return the changes to begin now: stops first, dearest first; then starts, most used first.

    Endpoints in back-off (`not_before`) are left out; what exceeds a limit is deferred.
    """
    actions: list[tuple[Wanted, Action]] = []
    deferred: list[tuple[Action, str]] = []
    for item in wanted:
        if item.decision.held_back:
            held = Action(item.endpoint_id, Kind.DELETE, item.decision)
            deferred.append((held, item.decision.held_back))
        kind = needed(item.status, item.decision, item.billed)
        if kind is None:
            continue
        action = Action(item.endpoint_id, kind, item.decision)
        barrier = item.means.barrier(kind) or _new_start(item, kind)
        if barrier:
            deferred.append((action, barrier))
        elif item.not_before is not None and item.not_before > now:
            deferred.append((action, f"backing off until {item.not_before:%H:%M:%S} UTC"))
        else:
            actions.append((item, action))
    stops = [pair for pair in actions if pair[1].kind not in STARTS]
    starts = [pair for pair in actions if pair[1].kind in STARTS]
    stops.sort(key=lambda pair: (-(pair[0].burn or 0), pair[0].endpoint_id))
    starts.sort(key=lambda pair: _most_recent_first(pair[0]))
    stops, over = _limit_idle_stops(stops, wanted, limits)
    deferred += [(action, "more idle at once than one pass may stop") for _, action in over]
    late = starts[limits.starts :]
    deferred += [(action, "more starts at once than one pass may begin") for _, action in late]
    chosen = [action for _, action in stops + starts[: limits.starts]]
    return Plan(tuple(chosen), tuple(deferred))


def _new_start(item: Wanted, kind: Kind) -> str:
    """A start that found no capacity and was given up begins with removing what is there."""
    given_up = kind is Kind.RESUME and item.status is Status.WAITING_FOR_CAPACITY
    return item.means.barrier(Kind.PAUSE) if given_up else ""


def _most_recent_first(item: Wanted) -> tuple[float, str]:
    used = item.last_used_at or datetime.fromtimestamp(0, UTC)
    return (-used.timestamp(), item.endpoint_id)


def _limit_idle_stops(
    stops: list[tuple[Wanted, Action]], wanted: Sequence[Wanted], limits: Limits
) -> tuple[list[tuple[Wanted, Action]], list[tuple[Wanted, Action]]]:
    awake = sum(item.status in AWAKE for item in wanted)
    room = max(limits.idle_stop_floor, awake * limits.idle_stop_share // 100)
    kept: list[tuple[Wanted, Action]] = []
    over: list[tuple[Wanted, Action]] = []
    for pair in stops:
        by_idleness = pair[1].decision.rule == "idle"
        if by_idleness and room == 0:
            over.append(pair)
            continue
        room -= by_idleness
        kept.append(pair)
    return kept, over
