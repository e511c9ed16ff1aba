"""One policy over one endpoint's requests: when it was awake, and who waited.

It is asleep at the start, unless it is always on. A request that finds it asleep wakes it; the
start-up is billed, and requests that come before it is ready wait. It sleeps when the timeout has
passed since the last request or since it became ready, whichever is later. What a schedule has
paused no request wakes: it is refused. Billing ends with the trace. These are the answers of
`orchestrator.domain.decide` at each instant, found by events.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.domain.backtest.arrivals import Arrivals, Stretches, Waiting
from orchestrator.domain.backtest.policies import FLOWING, Mode, Policy, Segment
from orchestrator.domain.backtest.traffic import DAY


@dataclass(frozen=True, slots=True)
class Start:
    """A start from sleep: `planned` ones come from a window, the others from a request."""

    at: int
    planned: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """How many requests met it paused in a time within one day from the start of the trace."""

    at: int
    requests: int


@dataclass(frozen=True, slots=True)
class Replay:
    """When an endpoint was awake (starting up included), in order; microseconds."""

    awake: tuple[tuple[int, int], ...]
    starts: tuple[Start, ...]
    waits: tuple[Waiting, ...] = ()
    refused: tuple[Refused, ...] = ()

    @property
    def billed(self) -> int:
        """Return for how long it was billed."""
        return sum(end - start for start, end in self.awake)


@dataclass(slots=True)
class _Machine:
    """The state between events."""

    arrivals: Arrivals
    policy: Policy
    startup: int
    runs: Stretches
    since: int | None = None
    ready: int = 0
    awake: list[tuple[int, int]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def wake(self, at: int, *, planned: bool) -> None:
        self.since, self.ready = at, at + self.startup
        self.starts.append(Start(at, planned))

    def sleep(self, at: int) -> None:
        if self.since is not None:
            self.awake.append((self.since, at))
        self.since = None

    def quiet_since(self, instant: int) -> int | None:
        """Where the run of requests ends that lasts at an instant, or ended before it."""
        index = bisect_left(self.runs.first, instant) - 1
        return self.runs.last[index] if index >= 0 else None

    def on(self, segment: Segment) -> None:
        if self.since is None:
            self.wake(segment.start, planned=True)

    def idle(self, segment: Segment) -> None:
        timeout = self.policy.limit
        after = bisect_left(self.runs.first, segment.start)
        sleep = self._idle_from(segment.start, timeout)
        for place in range(after, len(self.runs.first)):
            first = self.runs.first[place]
            if first >= segment.end:
                break
            if self.since is not None and first >= sleep:
                self.sleep(sleep)
            if self.since is None:
                self.wake(first, planned=False)
            sleep = max(self.runs.last[place], self.ready) + timeout
        if self.since is not None and sleep < segment.end:
            self.sleep(sleep)

    def _idle_from(self, start: int, timeout: int) -> int:
        last = self.quiet_since(start)
        clock = self.ready if last is None else max(last, self.ready)
        return max(start, clock + timeout)

    def off(self, segment: Segment) -> None:
        if self.since is not None:
            self._end_window(segment)
        if self.since is not None:
            return
        begin = max(self.awake[-1][1] if self.awake else 0, segment.start)
        while begin < segment.end:
            end = min((begin // DAY + 1) * DAY, segment.end)
            met = self.arrivals.count(begin, end)
            if met:
                self.refused.append(Refused(begin, met))
            begin = end

    def _end_window(self, segment: Segment) -> None:
        """Sleep when requests have ceased to flow, or the time to drain is over."""
        last = self.arrivals.last_before(segment.start)
        sleep = segment.start
        if last is not None and last + FLOWING > segment.start:
            quiet = (self.quiet_since(segment.start) or last) + FLOWING
            sleep = min(quiet, segment.start + self.policy.drain)
        if sleep < segment.end:
            self.sleep(sleep)


def replay(
    arrivals: Arrivals,
    policy: Policy,
    parts: Sequence[Segment],
    startup: int,
    *,
    awake_to: int = 0,
) -> Replay:
    """Return what a policy, as `segments` of it, makes of the requests of one endpoint.

    With `awake_to` it is awake at the start, and sleeps then if no request has come.
    """
    if policy.always_on:
        return Replay(((0, parts[-1].end),), ())
    state = _Machine(arrivals, policy, startup, arrivals.stretches(policy.limit))
    if awake_to > 0:
        state.since, state.ready = 0, awake_to - policy.limit
    for segment in parts:
        if segment.mode is Mode.ON:
            state.on(segment)
        elif segment.mode is Mode.IDLE:
            state.idle(segment)
        else:
            state.off(segment)
    state.sleep(parts[-1].end)
    waits = tuple(arrivals.waiting(one.at, one.at + startup) for one in state.starts)
    return Replay(tuple(state.awake), tuple(state.starts), waits, tuple(state.refused))


def clairvoyant(arrivals: Arrivals, length: int, startup: int) -> Replay:
    """Return the least that delays nobody: awake at each request, asleep in gaps that pay.

    A start-up once, before the first request, and then the shorter of gap and start-up in each
    gap; its start-up before the first request may lie before the trace. Without a start-up it is
    never billed.
    """
    if not startup:
        return Replay((), ())
    runs = arrivals.stretches(startup)
    awake = tuple(
        (first - startup, min(last, length))
        for first, last in zip(runs.first, runs.last, strict=True)
    )
    return Replay(awake, tuple(Start(start, planned=True) for start, _ in awake))
