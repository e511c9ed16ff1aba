"""Keeps what was read of requests: times of last use and counts, in stretches of ten minutes.

Between flushes it is held in memory. A process that ends loses little: a cloud's time of last use
tells that nothing came since, and counts are read again some hours back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

from orchestrator.domain.endpoints import Stretch, Usage
from orchestrator.domain.pollers import Use
from orchestrator.domain.status import Status
from orchestrator.domain.usage import STRETCH, STRETCH_S, merged, pieces, stretch_of
from orchestrator.services.context import Context
from orchestrator.store import usage as rows
from orchestrator.store.tables import UsageSample

COUNTS, LAST_USE, BOTH = "counts", "last_use", "both"
# So many stretches without requests are written together, an hour; all others when they are over.
QUIET_STRETCHES = 6
# As much of the time before an endpoint was first seen is taken from its time of last use.
BACKWARDS = timedelta(days=1)
# So many times of last use of an endpoint are remembered, to see whether they come evenly.
REMEMBERED = 48
# In these an endpoint takes requests, or wakes by one.
REACHABLE = frozenset(
    {
        Status.RUNNING,
        Status.UPDATING,
        Status.UPDATE_FAILED,
        Status.SCALED_TO_ZERO,
        Status.INITIALIZING,
    }
)
# A stretch that was read again so long before the newest one is not merged any more.
_SETTLED = timedelta(hours=6)


@dataclass(slots=True)
class Trail:
    """What is known of one endpoint and not written yet.

    `last` is the newest request that was recorded, `known_to` up to where times of last use have
    told of everything, `checked` when the listing last named the same one. `uses` are the last
    times of use, the newest first named at `named_at`; `counted` is what a cloud counted in the
    last hours, up to `counted_to`; `slept_with` is the last use with which it went to zero.
    """

    last: datetime
    known_to: datetime
    checked: datetime
    serving: bool = True
    pending: dict[datetime, Stretch] = field(default_factory=dict)
    sources: dict[datetime, str] = field(default_factory=dict)
    counted: dict[datetime, Stretch] = field(default_factory=dict)
    uses: deque[Use] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    named_at: datetime | None = None
    slept_with: datetime | None = None
    counted_to: datetime | None = None
    wakes: deque[datetime] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def cover(self, until: datetime) -> None:
        """Note that nothing came from `known_to` to `until`."""
        for start, seconds in pieces(self.known_to, until):
            held = self.pending.get(start, Stretch(start, 0, 0))
            covered = min(held.covered_s + seconds, STRETCH_S)
            self.put(Stretch(start, held.requests, covered, held.last_request_at), LAST_USE)
        self.known_to = max(self.known_to, until)

    def use(self, at: datetime) -> None:
        """Count one request of which only its time is known."""
        start = stretch_of(at)
        held = self.pending.get(start, Stretch(start, 0, 0))
        self.put(Stretch(start, held.requests + 1, held.covered_s, at), LAST_USE)
        quiet = self.named_at is not None and self.checked > self.named_at
        self.last = at
        self.uses.append(Use(at, after_quiet=quiet))

    def note_wake(self, status: str, last: datetime, at: datetime) -> None:
        """Note a wake from zero that no use explains: the time of last use is what it was."""
        if status == Status.SCALED_TO_ZERO:
            self.slept_with = last
        elif status == Status.RUNNING:
            if self.slept_with == last:
                self.wakes.append(at)
            self.slept_with = None
        elif status not in REACHABLE:
            self.slept_with = None

    def put(self, stretch: Stretch, source: str) -> None:
        """Hold a stretch to be written; two sources of one stretch are both named."""
        self.pending[stretch.start] = stretch
        before = self.sources.get(stretch.start, source)
        self.sources[stretch.start] = source if before == source else BOTH


class Recorder:
    """Records the use of the endpoints of one account."""

    def __init__(self) -> None:
        self._trails: dict[str, Trail] = {}
        self._flushed: datetime | None = None

    def listed(
        self,
        used: Mapping[str, datetime],
        standing: Mapping[str, tuple[str, datetime]],
        at: datetime,
    ) -> None:
        """Take in times of last use that a listing named at `at`.

        `standing` is the status of each endpoint, and since when: what came while it could serve
        nobody is unknown.
        """
        for endpoint_id, last in used.items():
            status, since = standing[endpoint_id]
            serving = status in REACHABLE
            trail = self._trails.get(endpoint_id)
            if trail is not None and (trail.slept_with or status == Status.SCALED_TO_ZERO):
                trail.note_wake(status, last, at)
            if trail is None:
                self._begin(endpoint_id, last, at, since if serving else None)
            elif trail.last == last and trail.serving == serving:
                trail.checked = at
            else:
                self._moved(trail, last, at, serving=serving)

    def counted(self, read: Mapping[str, Usage], at: datetime) -> None:
        """Take in counts of a cloud."""
        for endpoint_id, usage in read.items():
            trail = self._trails.get(endpoint_id)
            if trail is None:
                trail = self._trails[endpoint_id] = Trail(at, at, at, serving=False)
            for stretch in usage.stretches:
                self._count(trail, stretch)
            trail.counted_to = max(trail.counted_to or usage.end, usage.end)

    def uses(self, endpoint_id: str) -> tuple[Use, ...]:
        """Return the last times of use that were seen, oldest first."""
        trail = self._trails.get(endpoint_id)
        return () if trail is None else tuple(trail.uses)

    def wakes(self, endpoint_id: str) -> tuple[datetime, ...]:
        """Return when it woke from zero without any use, oldest first."""
        trail = self._trails.get(endpoint_id)
        return () if trail is None else tuple(trail.wakes)

    def counts(self, endpoint_id: str) -> list[Stretch]:
        """Return the newest stretches that a cloud counted, of the last hours, oldest first."""
        trail = self._trails.get(endpoint_id)
        return [] if trail is None else [trail.counted[start] for start in sorted(trail.counted)]

    def flush(self, context: Context, now: datetime, alive: Iterable[str]) -> bool:
        """Write what is over, once in a stretch; True when this was such a time."""
        here = stretch_of(now)
        if self._flushed == here:
            return False
        self._flushed = here
        self._trails = {key: self._trails[key] for key in alive if key in self._trails}
        due: dict[str, list[Stretch]] = {}
        for endpoint_id, trail in self._trails.items():
            if trail.serving and trail.checked > trail.known_to:
                trail.cover(trail.checked)
            found = _due(trail, here, crc32(endpoint_id.encode()))
            if found:
                due[endpoint_id] = found
        if due:
            self._write(context, due)
        return True

    def _begin(
        self, endpoint_id: str, last: datetime, at: datetime, since: datetime | None
    ) -> None:
        """Take what its time of last use tells of the time since `since`, up to a day.

        None: it can serve nobody now.
        """
        known_to = at if since is None else max(last, min(since, at), at - BACKWARDS)
        trail = Trail(last, known_to, at, serving=since is not None)
        self._trails[endpoint_id] = trail
        if at - last <= BACKWARDS:
            trail.use(last)
        trail.named_at = at
        if trail.serving:
            trail.cover(at)

    def _moved(self, trail: Trail, last: datetime, at: datetime, *, serving: bool) -> None:
        if trail.serving and trail.checked > trail.known_to:
            trail.cover(trail.checked)
        if last > trail.last:
            trail.use(last)
            trail.named_at = at
            trail.known_to = max(trail.known_to, last)
        if not serving or not trail.serving:
            trail.known_to = at  # what came while it could not serve is unknown
        trail.serving, trail.checked = serving, at
        if serving:
            trail.cover(at)

    def _count(self, trail: Trail, stretch: Stretch) -> None:
        known = trail.counted.get(stretch.start)
        empty = stretch.covered_s == 0 and not stretch.requests
        settled = trail.counted_to is not None and trail.counted_to - stretch.start > _SETTLED
        if known == stretch or empty or settled:
            return
        trail.counted[stretch.start] = stretch if known is None else merged(known, stretch)
        held = trail.pending.get(stretch.start)
        trail.put(stretch if held is None else merged(held, stretch), COUNTS)

    def _write(self, context: Context, due: Mapping[str, list[Stretch]]) -> None:
        earliest = min(found[0].start for found in due.values())
        with context.database.write() as session:
            held = rows.rows_since(session, list(due), earliest - STRETCH)
            fresh: list[UsageSample] = []
            gone: list[tuple[str, datetime]] = []
            for endpoint_id, found in due.items():
                sources = self._trails[endpoint_id].sources
                told = [_row(endpoint_id, one, sources[one.start]) for one in found]
                changed = rows.joined(held.get(endpoint_id, []), told)
                fresh += changed.rows
                gone += changed.gone
            rows.replace(session, fresh, gone)
        for endpoint_id, found in due.items():
            self._forget(self._trails[endpoint_id], found)

    def _forget(self, trail: Trail, found: list[Stretch]) -> None:
        newest = found[-1].start
        for one in found:
            del trail.pending[one.start]
            trail.sources.pop(one.start, None)
        if trail.counted:
            recent = trail.counted.items()
            trail.counted = {start: one for start, one in recent if newest - start < _SETTLED}


def _due(trail: Trail, here: datetime, phase: int) -> list[Stretch]:
    """Return the stretches to write now; quiet ones wait for each other, not all endpoints at once.

    `phase` is any number that is the endpoint's own.
    """
    over = [one for one in trail.pending.values() if one.start + STRETCH <= here]
    busy = any(one.requests or one.covered_s < STRETCH_S for one in over)
    number = int(here.timestamp()) // STRETCH_S
    over.sort(key=lambda one: one.start)
    recent = bool(over) and here - over[0].start <= QUIET_STRETCHES * STRETCH
    if not busy and recent and (number + phase) % QUIET_STRETCHES:
        return []
    return over


def _row(endpoint_id: str, stretch: Stretch, source: str) -> UsageSample:
    return UsageSample(
        endpoint_id=endpoint_id,
        start=stretch.start,
        requests=stretch.requests,
        covered_s=stretch.covered_s,
        last_request_at=stretch.last_request_at,
        source=source,
    )
