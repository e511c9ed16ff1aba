"""`plan`: which changes an account needs now, in which order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import BilledReplicas, Stop
from orchestrator.domain.stagger import (
    Admission,
    Quota,
    Start,
    StartLimits,
    admit,
    in_line,
    most_used_first,
    no_room,
)
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
NO_QUOTAS: Mapping[str, Quota] = {}
_NEVER = datetime.fromtimestamp(0, UTC)
NO_LEAVE = (
    "its cloud can only stop it by deleting it and making it again, which its owner has not allowed"
)

IDLE_STOPS_SPENT = (
    "idle policies have stopped as many endpoints of this account within an hour as they may"
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
            return "no request could wake it from zero, or its least number of replicas is not 0"
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

    `means` says how it can be stopped at all. It takes `takes` of the quota named `quota` when it
    starts, also at zero where its cloud counts that; `used` are its requests of late, None where
    nothing was recorded. It is managed and in this status `since`. What `gave_way` sleeps only
    because another needed its quota, since `gave_way_at`; nobody has asked for it since. A start
    that is `starting` is under way and counted in its quota already.
    """

    endpoint_id: str
    status: Status
    billed: BilledReplicas
    decision: Decision
    burn: int | None = None
    last_used_at: datetime | None = None
    not_before: datetime | None = None
    means: Means = Means()
    name: str = ""
    protected: bool = False
    used: int | None = None
    quota: str = ""
    takes: int = 0
    since: datetime | None = None
    gave_way: bool = False
    gave_way_at: datetime | None = None
    starting: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One change to make now, and why; one that is `queued` only waits for its turn."""

    endpoint_id: str
    kind: Kind
    decision: Decision
    queued: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be begun in one pass of one account, so that a fault stays small.

    Idle policies rest on evidence that one broken source can spoil for a whole account, so
    they may stop at most `idle_stop_floor` endpoints, or `idle_stop_share` percent of those
    awake where that is more, in one hour; `idle_stopped` of them they have stopped in the hour
    that ends now. `start_every` is how far apart passes with starts are,
    and what sleeps at zero gives its quota away only after it was unused for `give_way_after`,
    and at most `most_giving_way` such sleep that went within that time. What gave way may take
    quota back from what was unused for `claim_back_after`.
    """

    starts: int = 20
    start_every: timedelta = timedelta(seconds=10)
    give_way_after: timedelta = timedelta(hours=1)
    claim_back_after: timedelta = timedelta(hours=6)
    most_giving_way: int = 5
    idle_stop_floor: int = 5
    idle_stop_share: int = 30
    idle_stopped: int = 0


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


def plan(
    wanted: Sequence[Wanted],
    limits: Limits,
    now: datetime,
    quotas: Mapping[str, Quota] = NO_QUOTAS,
) -> Plan:
    """Return the changes to begin now: stops first, dearest first; then starts, most used first.

    Endpoints in back-off (`not_before`) are left out; what exceeds a limit or a quota is deferred.
    For what finds no room in a quota, less used ones that sleep at zero and count are paused.
    """
    actions: list[tuple[Wanted, Action]] = []
    deferred: list[tuple[Action, str]] = []
    for item in wanted:
        if item.decision.held_back:
            held = Action(item.endpoint_id, Kind.DELETE, item.decision)
            deferred.append((held, item.decision.held_back))
        kind = needed(item.status, item.decision, item.billed)
        if kind is None or (item.starting and kind in STARTS):
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
    starts = {item.endpoint_id: (item, act) for item, act in actions if act.kind in STARTS}
    stops.sort(key=lambda pair: (-(pair[0].burn or 0), pair[0].endpoint_id))
    stops, over = _limit_idle_stops(stops, wanted, limits)
    deferred += [(action, IDLE_STOPS_SPENT) for _, action in over]
    admitted = admit([_start(item, now) for item, _ in starts.values()], quotas, limits.starts)
    deferred += _waiting(starts, admitted, limits, now)
    begins = [starts[one.endpoint_id][1] for one in admitted.begins]
    yielding = giving_way(wanted, admitted, limits, now)
    return Plan((*(action for _, action in stops), *yielding, *begins), tuple(deferred))


def giving_way(
    wanted: Sequence[Wanted], admitted: Admission, limits: Limits, now: datetime
) -> list[Action]:
    """Return the pauses that make room for starts which found none, the least used first.

    Only what sleeps at zero by a standing wish, known to be unused, not protected, and less used
    than what needs its quota; and none where all of them together would not make room enough.
    """
    names = {item.endpoint_id: item.name for item in wanted}
    free = sorted(
        (item for item in wanted if _may_give_way(item, limits, now)),
        key=lambda item: (item.used, item.last_used_at, item.endpoint_id),
    )
    room = _room_to_come(wanted, admitted)
    left = limits.most_giving_way - _gone_lately(wanted, limits, now)
    found: list[Action] = []
    for start, needs in _in_need(wanted, admitted, room, now):
        usable = [item for item in free if _goes_before(start, item, limits, now)]
        chosen = _enough(usable, needs - room[start.quota])
        if chosen is None or len(found) + len(chosen) > left:
            continue
        room[start.quota] += sum(item.takes for item in chosen) - needs
        free = [item for item in free if item not in chosen]
        found += [_yielding(item, names.get(start.endpoint_id, ""), start) for item in chosen]
    return found


def _room_to_come(wanted: Sequence[Wanted], admitted: Admission) -> dict[str, int]:
    """Return what is left of each quota, below zero where too much starts, pauses done."""
    room = {name: quota.most - quota.used for name, quota in admitted.quotas.items()}
    for item in wanted:
        if item.status is Status.PAUSING and item.quota in room:
            room[item.quota] += item.takes
    return room


def _in_need(
    wanted: Sequence[Wanted], admitted: Admission, room: dict[str, int], now: datetime
) -> list[tuple[Start, int]]:
    """Return starts and the room they need: those under way that exceed a quota, then others."""
    found: list[tuple[Start, int]] = []
    for one in most_used_first(_start(item, now) for item in wanted if item.starting):
        short = min(one.takes, -room.get(one.quota, 0))
        if short > 0:
            room[one.quota] += short  # asked for here, so that no other asks for it too
            found.append((one, short))
    room.update({name: max(left, 0) for name, left in room.items()})
    return found + [(one, one.takes) for one in admitted.no_room]


def _enough(usable: Sequence[Wanted], lacks: int) -> list[Wanted] | None:
    """Return the first of them that together hold what lacks, None where they do not."""
    chosen: list[Wanted] = []
    for item in usable:
        if lacks <= 0:
            break
        chosen.append(item)
        lacks -= item.takes
    return chosen if lacks <= 0 else None


def _gone_lately(wanted: Sequence[Wanted], limits: Limits, now: datetime) -> int:
    return sum(
        item.gave_way_at is not None
        and item.status in (Status.PAUSED, Status.PAUSING)
        and now - item.gave_way_at < limits.give_way_after
        for item in wanted
    )


def _goes_before(start: Start, item: Wanted, limits: Limits, now: datetime) -> bool:
    """Tell whether a start may take the quota of one at zero.

    What gave way itself takes turns with what is at zero; one that a person has asked for since,
    or that has to run, does not wait for its turn.
    """
    if item.quota != start.quota or item.endpoint_id == start.endpoint_id:
        return False
    if start.gave_way_at is None:
        asleep, needs = item.last_used_at or _NEVER, start.last_used_at or _NEVER
        return (item.used or 0, asleep) < (start.used, needs)
    waits = limits.claim_back_after
    if not start.gave_way:
        return True
    return now - start.gave_way_at >= waits and _unused_for(item, waits, now)


def _unused_for(item: Wanted, span: timedelta, now: datetime) -> bool:
    """Tell whether it is known to have been managed, in this status and without use so long."""
    known = item.since is not None and item.last_used_at is not None
    return known and all(
        at is not None and now - at >= span for at in (item.since, item.last_used_at)
    )


def _may_give_way(item: Wanted, limits: Limits, now: datetime) -> bool:
    """Tell whether it may be paused for another; a window that is open keeps it, as a hold does."""
    decision = item.decision
    return (
        item.status is Status.SCALED_TO_ZERO
        and decision.wish is Wish.AVAILABLE
        and decision.rule is Rule.STANDING
        and not item.protected
        and item.takes > 0
        and item.used is not None
        and item.means.stop is Stop.PAUSE
        and _unused_for(item, limits.give_way_after, now)
        and (item.not_before is None or item.not_before <= now)
    )


def _yielding(item: Wanted, name: str, start: Start) -> Action:
    reason = (
        f"at zero it still holds {item.takes} of the quota of {item.quota}, which {name} needs to "
        "start and is used more; it comes back when there is room"
    )
    decision = Decision(Wish.PAUSED, Rule.QUOTA, reason, start.endpoint_id)
    return Action(item.endpoint_id, Kind.PAUSE, decision)


def _start(item: Wanted, now: datetime) -> Start:
    return Start(
        endpoint_id=item.endpoint_id,
        wanted_at=now,
        quota=item.quota,
        takes=item.takes,
        used=item.used or 0,
        last_used_at=item.last_used_at,
        gave_way=item.gave_way and item.decision.wish is Wish.AVAILABLE,
        gave_way_at=item.gave_way_at,
    )


def _waiting(
    starts: Mapping[str, tuple[Wanted, Action]], admitted: Admission, limits: Limits, now: datetime
) -> list[tuple[Action, str]]:
    """Return the starts that wait, with what they wait for."""
    pace = StartLimits(limits.starts, limits.start_every)
    found = []
    for place, one in enumerate(admitted.in_line):
        queued = replace(starts[one.endpoint_id][1], queued=True)
        found.append((queued, in_line(place + len(admitted.begins), pace, now)))
    for one in admitted.no_room:
        told = no_room(one, admitted.quotas[one.quota])
        if one.gave_way:
            told = (
                f"it gave its quota to another, and comes back when there is room: {told}; "
                "resume it to have it back sooner"
            )
        found.append((starts[one.endpoint_id][1], told))
    return found


def _new_start(item: Wanted, kind: Kind) -> str:
    """A start that found no capacity and was given up begins with removing what is there."""
    given_up = kind is Kind.RESUME and item.status is Status.WAITING_FOR_CAPACITY
    return item.means.barrier(Kind.PAUSE) if given_up else ""


def idle_stops_left(awake: int, limits: Limits) -> int:
    """Return how many more endpoints idle policies may stop now, of so many that are awake."""
    before = awake + limits.idle_stopped
    most = max(limits.idle_stop_floor, before * limits.idle_stop_share // 100)
    return max(most - limits.idle_stopped, 0)


def _limit_idle_stops(
    stops: list[tuple[Wanted, Action]], wanted: Sequence[Wanted], limits: Limits
) -> tuple[list[tuple[Wanted, Action]], list[tuple[Wanted, Action]]]:
    room = idle_stops_left(sum(item.status in AWAKE for item in wanted), limits)
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
