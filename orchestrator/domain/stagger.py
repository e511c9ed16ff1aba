"""Many starts at once: in which order, how many in one go, and which have to wait for quota. Pure.

The engine's plan admits starts with it, and the preview runs the same rule ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

# A start that begins no later than this after it was wanted is not late.
TOLERANCE = timedelta(minutes=1)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Start:
    """An endpoint that is to start at `wanted_at`.

    It takes `takes` of the quota named `quota` (empty: none is known). `used` are the requests
    that were recorded of it lately. One that `gave_way` comes back only where nobody else waits,
    in the order in which they went, `gave_way_at`.
    """

    endpoint_id: str
    wanted_at: datetime
    quota: str = ""
    takes: int = 0
    used: int = 0
    last_used_at: datetime | None = None
    start_up: timedelta = timedelta(0)
    gave_way: bool = False
    gave_way_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of the cloud: at most `most` of a thing, `used` of it now."""

    most: int
    used: int

    @property
    def room(self) -> int:
        """Return what is left."""
        return max(self.most - self.used, 0)


@dataclass(frozen=True, slots=True)
class StartLimits:
    """How many starts may begin in one pass, and how far apart passes are."""

    per_pass: int = 20
    every: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a start begins and when it serves; None where nothing in sight makes room for it."""

    endpoint_id: str
    begins_at: datetime | None
    expected_at: datetime | None
    why_late: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """What begins now, and what waits: in line, or for quota; each in its order."""

    begins: tuple[Start, ...]
    in_line: tuple[Start, ...]
    no_room: tuple[Start, ...]
    quotas: Mapping[str, Quota]


@dataclass(frozen=True, slots=True)
class Room:
    """What is paused for a start, by name, and how much of its quota that gives."""

    names: tuple[str, ...]
    takes: int


# Returns what makes room for starts that found none, by the endpoint that is to start.
MakeRoom = Callable[[Admission, datetime], Mapping[str, Room]]


def no_room_made(admitted: Admission, now: datetime) -> Mapping[str, Room]:
    """Return that nothing makes room."""
    del admitted, now
    return {}


def most_used_first(starts: Iterable[Start]) -> list[Start]:
    """Return starts in the order in which they have their turn; what gave way comes last."""
    return sorted(
        starts,
        key=lambda one: (
            one.gave_way,
            one.gave_way_at or _EPOCH if one.gave_way else _EPOCH,
            -one.used,
            -(one.last_used_at or _EPOCH).timestamp(),
            one.endpoint_id,
        ),
    )


def admit(starts: Iterable[Start], quotas: Mapping[str, Quota], per_pass: int) -> Admission:
    """Return which starts begin now; what finds no room in its quota lets others pass.

    What gave way comes back only where none but such waits for the same quota.
    """
    left = dict(quotas)
    begins: list[Start] = []
    in_line: list[Start] = []
    no_room: list[Start] = []
    wanted: set[str] = set()
    for one in most_used_first(starts):
        quota = left.get(one.quota)
        if quota is not None and not _fits(one, quota, one.quota in wanted):
            no_room.append(one)
            wanted |= set() if one.gave_way else {one.quota}
            continue
        (begins if len(begins) < per_pass else in_line).append(one)
        if quota is not None:
            left[one.quota] = replace(quota, used=quota.used + one.takes)
    return Admission(tuple(begins), tuple(in_line), tuple(no_room), left)


def forecast_starts(
    starts: Sequence[Start],
    limits: StartLimits,
    quotas: Mapping[str, Quota],
    make_room: MakeRoom = no_room_made,
) -> list[Forecast]:
    """Return when each of the starts is expected to begin and to serve, in the given order.

    Only what `make_room` tells makes room in a quota.
    """
    rooms: dict[str, Room] = {}
    found: dict[str, Forecast] = {}
    waiting = list(starts)
    known = dict(quotas)
    now = min((one.wanted_at for one in waiting), default=_EPOCH)
    while waiting:
        due = [one for one in waiting if one.wanted_at <= now]
        passed = admit(due, known, limits.per_pass)
        for one in passed.begins:
            found[one.endpoint_id] = _begun(one, now, due, limits, rooms.get(one.endpoint_id))
            known = _taken(known, one, one.takes)
        made = make_room(passed, now)
        rooms.update(made)
        for one in passed.no_room:
            if one.endpoint_id in made:
                known = _taken(known, one, -made[one.endpoint_id].takes)
                continue
            found[one.endpoint_id] = Forecast(
                one.endpoint_id, None, None, no_room(one, passed.quotas[one.quota])
            )
        settled = {one.endpoint_id for one in (*passed.begins, *passed.no_room)} - set(made)
        waiting = [one for one in waiting if one.endpoint_id not in settled]
        later = min((one.wanted_at for one in waiting), default=now)
        now = max(now + limits.every, later)
    return [found[one.endpoint_id] for one in starts]


def no_room(start: Start, quota: Quota) -> str:
    """Return in words why a start waits for its quota."""
    return (
        f"the quota of {start.quota} is used up: {quota.used} of {quota.most} in use, "
        f"and it takes {start.takes}"
    )


def in_line(place: int, limits: StartLimits, now: datetime) -> str:
    """Return in words what the start at this place in the line, from 0, waits for."""
    begins = now + (place // limits.per_pass + 1) * limits.every
    return (
        f"many start at once, the most used first and {limits.per_pass} in one go: {place} go "
        f"before it, it begins at about {begins:%H:%M:%S} UTC"
    )


def _fits(one: Start, quota: Quota, others_wait: bool) -> bool:
    return quota.room >= one.takes and not (one.gave_way and others_wait)


def _begun(
    one: Start, now: datetime, due: Sequence[Start], limits: StartLimits, room: Room | None
) -> Forecast:
    why = ""
    if room is not None:
        why = (
            f"{', '.join(room.names)} at zero will be paused first, to make room in the quota "
            f"of {one.quota}; until it is back, requests to it get an error"
        )
    elif now - one.wanted_at > TOLERANCE:
        why = (
            f"many start at once, the most used first: {limits.per_pass} every "
            f"{limits.every.total_seconds():.0f} s, {len(due)} still waited at {now:%H:%M:%S} UTC"
        )
    return Forecast(one.endpoint_id, now, now + one.start_up, why)


def _taken(quotas: dict[str, Quota], one: Start, takes: int) -> dict[str, Quota]:
    held = quotas.get(one.quota)
    if held is None:
        return quotas
    return {**quotas, one.quota: replace(held, used=held.used + takes)}
