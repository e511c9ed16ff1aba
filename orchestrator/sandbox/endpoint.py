"""One endpoint of the simulated cloud: its settings, and the history of its states."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orchestrator.sandbox.traffic import Traffic

Spec = dict[str, Any]

_SERVED = frozenset({"running", "updating", "updateFailed", "scaledToZero", "initializing"})
_REMEMBERED_REQUESTS = 50_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A stretch of time in which nothing about an endpoint changed; it starts at `at`.

    `ready` and `target` are replicas; `spec` numbers the settings shown, `serving` those that the
    ready replicas run with; `used_at` is the last request before the stretch; `addressed` tells
    that the endpoint has had an address; from `warm_at` on its container answers.
    """

    at: int
    state: str
    message: str
    ready: int
    target: int
    spec: int
    serving: int
    updated_at: int
    updated_by: str
    used_at: int | None = None
    addressed: bool = False
    error: str | None = None
    warm_at: int = 0

    @property
    def reachable(self) -> bool:
        """Whether the proxy passes requests on, or counts them as activity."""
        return self.addressed and self.state in _SERVED


@dataclass(frozen=True, slots=True)
class Poller:
    """Somebody's monitor: a probe every `every` microseconds from `since` on.

    The cloud takes each for activity; `shows` tells whether it moves the time of last use, and
    `counted` whether it is among the counted requests.
    """

    every: int
    since: int
    shows: bool = True
    counted: bool = False

    def last(self, after: int, until: int) -> int | None:
        """The latest probe in (after, until], or None."""
        number = (until - self.since) // self.every
        found = self.since + number * self.every
        return found if number >= 0 and found > after else None

    def next(self, after: int) -> int:
        """The first probe later than `after`."""
        return self.since + max((after - self.since) // self.every + 1, 0) * self.every

    def count(self, after: int, until: int) -> int:
        """Probes in (after, until]."""
        low, high = ((instant - self.since) // self.every for instant in (after, until))
        return max(high, -1) - max(low, -1)


@dataclass(slots=True)
class Endpoint:
    """An endpoint; `frames` and `specs` only grow, instants are microseconds since the epoch."""

    id: str
    number: int
    namespace: str
    name: str
    created_at: int
    created_by: str
    specs: list[Spec]
    frames: list[Frame]
    traffic: Traffic | None = None
    startup_s: float | None = None
    deleted_at: int | None = None
    timers: dict[str, int] = field(default_factory=dict)
    requests: list[int] = field(default_factory=list)
    starts: int = 0
    poller: Poller | None = None

    @property
    def frame(self) -> Frame:
        """The present stretch."""
        return self.frames[-1]

    @property
    def state(self) -> str:
        """The present state, in the cloud's own word."""
        return self.frames[-1].state

    @property
    def ready(self) -> int:
        """Replicas that serve."""
        return self.frames[-1].ready

    @property
    def target(self) -> int:
        """Replicas wanted."""
        return self.frames[-1].target

    @property
    def spec(self) -> Spec:
        """The settings in force, as the API shows them; secrets are not masked here."""
        return self.specs[self.frames[-1].spec]

    @property
    def scaling(self) -> dict[str, Any]:
        """`compute.scaling` of the settings in force."""
        scaling: dict[str, Any] = self.spec["compute"]["scaling"]
        return scaling

    @property
    def hardware_id(self) -> str:
        """The catalog id of the hardware in force."""
        return hardware_id(self.spec)

    def change(self, at: int, **values: Any) -> None:
        """Begin a new stretch at `at` that differs in these fields from the one before.

        A stretch without length is not kept.
        """
        fresh = replace(self.frame, at=at, used_at=self.last_used(at), **values)
        if self.frame.at == at:
            self.frames.pop()
        self.frames.append(fresh)

    def configure(self, spec: Spec) -> int:
        """Keep new settings, and return their number for `change(spec=...)`."""
        self.specs.append(spec)
        return len(self.specs) - 1

    def frame_at(self, instant: int) -> Frame | None:
        """The stretch that held at an instant; None before the creation and after the deletion."""
        if self.deleted_at is not None and instant >= self.deleted_at:
            return None
        place = bisect_right(self.frames, instant, key=lambda frame: frame.at)
        return self.frames[place - 1] if place else None

    def touch(self, at: int) -> None:
        """Count a request that did not come from the traffic, whatever its answer."""
        insort(self.requests, at)
        if len(self.requests) > _REMEMBERED_REQUESTS:
            del self.requests[0]

    def last_used(self, at: int) -> int | None:
        """The last request that counted, up to and including `at`."""
        frame = self.frame if at >= self.frame.at else self.frame_at(at)
        if frame is None or not frame.reachable:
            return frame.used_at if frame else None
        found = [instant for instant in (frame.used_at, self._manual(frame.at, at)) if instant]
        if self.traffic is not None:
            latest = self.traffic.last(frame.at, at)
            found += [latest] if latest else []
        if self.poller is not None and self.poller.shows:
            probed = self.poller.last(frame.at, at)
            found += [probed] if probed else []
        return max(found, default=None)

    def last_active(self, at: int) -> int | None:
        """The last thing up to `at` that the cloud's idle timer looks at: also a hidden probe."""
        found = [self.last_used(at)]
        if self.poller is not None and self.frame.reachable:
            found.append(self.poller.last(self.frame.at, at))
        return max((instant for instant in found if instant is not None), default=None)

    def next_request(self, after: int) -> int | None:
        """The first request later than `after` that is known to come."""
        found = [self.traffic.next(after) if self.traffic else None]
        found.append(self.poller.next(after) if self.poller else None)
        return min((instant for instant in found if instant is not None), default=None)

    def _manual(self, start: int, until: int) -> int | None:
        place = bisect_right(self.requests, until)
        latest = self.requests[place - 1] if place else None
        return latest if latest is not None and latest >= start else None

    def request_count(self, after: int, until: int) -> int:
        """Requests of any outcome in (after, until]."""
        manual = bisect_right(self.requests, until) - bisect_right(self.requests, after)
        probes = self.poller.count(after, until) if self.poller and self.poller.counted else 0
        return manual + probes + (self.traffic.count(after, until) if self.traffic else 0)

    def history(self) -> Sequence[Frame]:
        """All stretches from the creation on."""
        return tuple(self.frames)

    def snapshot(self) -> dict[str, Any]:
        """The endpoint as JSON values."""
        return {
            "id": self.id,
            "number": self.number,
            "namespace": self.namespace,
            "name": self.name,
            "created_at": self.created_at,
            "created_by": self.created_by,
            "specs": self.specs,
            "frames": [asdict(frame) for frame in self.frames],
            "traffic": self.traffic.to_dict() if self.traffic else None,
            "startup_s": self.startup_s,
            "deleted_at": self.deleted_at,
            "timers": dict(sorted(self.timers.items())),
            "requests": self.requests,
            "starts": self.starts,
            "poller": asdict(self.poller) if self.poller else None,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Endpoint:
        """The endpoint that `snapshot` described."""
        frames = [Frame(**frame) for frame in state["frames"]]
        traffic = Traffic.from_dict(state["traffic"]) if state["traffic"] else None
        poller = Poller(**state["poller"]) if state.get("poller") else None
        return cls(**{**state, "frames": frames, "traffic": traffic, "poller": poller})


def hardware_id(spec: Spec) -> str:
    """The catalog id that settings name: `{vendor}-{region}-{instanceType}-{instanceSize}`."""
    place, compute = spec["provider"], spec["compute"]
    return (
        f"{place['vendor']}-{place['region']}-{compute['instanceType']}-{compute['instanceSize']}"
    )
