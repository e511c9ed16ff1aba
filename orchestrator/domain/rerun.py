"""What an endpoint would have done, or will do: `decide` asked again at each instant that counts.

Pure and driven by events: rules' edges, changes of what is known, requests that wake, starts that
end. Changes take effect at once; a start takes its time; a pass of the engine lasts no time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from orchestrator.domain.decide import Decision, Facts, decide
from orchestrator.domain.demand import Assume, Demand
from orchestrator.domain.endpoints import NOT_BILLED
from orchestrator.domain.idle import Activity
from orchestrator.domain.plan import Kind, Means, needed
from orchestrator.domain.status import AWAKE, Status

# After a change the engine looks again.
LOOK_AGAIN = timedelta(minutes=1)
ASLEEP = frozenset({Status.PAUSED, Status.SCALED_TO_ZERO})
_LEAST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Mind:
    """The state of the endpoint that decisions depend on."""

    status: Status
    since: datetime
    ready_at: datetime
    asleep_rule: str = ""
    asleep_since: datetime | None = None
    serves_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Regime:
    """What is known from `at` on; `facts` makes it whole for a state, its use and an instant.

    `timer` is the cloud's own: idle for so long it goes to zero. None where it has none.
    """

    at: datetime
    facts: Callable[[Mind, Activity, datetime], Facts]
    means: Means = field(default_factory=Means)
    timer: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which nothing was billed though it did not sleep: it had failed, or found no room.

    One that is of `starts_only` keeps back what starts, and does not touch what is up.
    """

    start: datetime
    end: datetime
    status: Status
    starts_only: bool = False


# When a start by a rule begins, by when it is wanted; None: not while it goes on being wanted.
Delays = Mapping[datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class Witness:
    """What happened whatever the rules were: outages, and when the cloud sent it to zero itself."""

    outages: tuple[Outage, ...] = ()
    slept: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch in which state, wish and rule did not change; in an outage nothing is `billed`.

    One that `waits` is wanted up, and its start is kept waiting.
    """

    start: datetime
    end: datetime
    status: Status
    decision: Decision
    billed: bool = True
    waits: bool = False

    @property
    def awake(self) -> bool:
        """Whether replicas are up or on their way up."""
        return self.billed and self.status in AWAKE

    @property
    def asleep(self) -> bool:
        """Whether it sleeps because a rule or its cloud wants that; an outage is no sleep."""
        return self.status in ASLEEP


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A start from sleep, by a request or by a rule or person."""

    at: datetime
    serves_at: datetime
    by_request: bool


@dataclass(frozen=True, slots=True)
class Course:
    """What happens under one assumption."""

    assume: Assume
    legs: tuple[Leg, ...]
    starts: tuple[ColdStart, ...]

    def awake_seconds(self) -> int:
        """Return for how long replicas are up."""
        return sum(int((leg.end - leg.start).total_seconds()) for leg in self.legs if leg.awake)


def rerun(
    regimes: Sequence[Regime],
    demand: Demand,
    mind: Mind,
    startup: timedelta,
    assume: Assume,
    *,
    witness: Witness | None = None,
    delays: Delays | None = None,
) -> Course:
    """Return the course of an endpoint over the span of `demand`; the first regime begins it.

    `mind` is its state at the start; starts by rules that `delays` names wait. Raises ValueError
    without any regime.
    """
    if not regimes:
        raise ValueError("nothing is known: there is no regime")
    begin = max(demand.start, regimes[0].at)
    told = witness or Witness()
    run = _Run(regimes, demand, mind, startup, assume, begin, told, delays or {})
    while run.now < demand.end:
        run.step()
    return Course(assume, tuple(run.legs), tuple(run.starts))


@dataclass(slots=True)
class _Run:
    regimes: Sequence[Regime]
    demand: Demand
    mind: Mind
    startup: timedelta
    assume: Assume
    now: datetime
    witness: Witness
    delays: Delays
    wanted_at: datetime | None = None
    place: int = 0
    outage: Outage | None = None
    legs: list[Leg] = field(default_factory=list)
    starts: list[ColdStart] = field(default_factory=list)

    def step(self) -> None:
        """Let happen what is due now, decide, act, and go on to the next event."""
        while self.place + 1 < len(self.regimes) and self.regimes[self.place + 1].at <= self.now:
            self.place += 1
        regime = self.regimes[self.place]
        self.outage = self._outage()
        self._arrive(regime)
        facts, decision = self._decide(regime)
        acted = self._act(regime, decision)
        if acted:
            facts, decision = self._decide(regime)
        events = [at for at in self._events(regime, facts, decision) if at > self.now]
        if acted:
            events.append(self.now + LOOK_AGAIN)
        until = min([*events, self.demand.end])
        until = max(until, min(self.now + _LEAST, self.demand.end))
        self._note(decision, until)
        self.now = until

    def _decide(self, regime: Regime) -> tuple[Facts, Decision]:
        activity = self.demand.activity(self.now, self.assume, self.mind.ready_at)
        status = self._status()
        mind = self.mind if status is self.mind.status else replace(self.mind, status=status)
        facts = regime.facts(mind, activity, self.now)
        return facts, decide(facts, self.now)

    def _outage(self) -> Outage | None:
        place = bisect_right(self.witness.outages, self.now, key=_begin) - 1
        found = self.witness.outages[place] if place >= 0 else None
        return found if found is not None and self.now < found.end else None

    def _down(self) -> bool:
        """Tell whether nothing is billed of what would be awake."""
        outage, mind = self.outage, self.mind
        if outage is None or mind.status not in AWAKE:
            return False
        return not outage.starts_only or mind.serves_at is not None

    def _status(self) -> Status:
        outage = self.outage
        broken = outage is not None and not outage.starts_only and self._down()
        return outage.status if outage is not None and broken else self.mind.status

    def _arrive(self, regime: Regime) -> None:
        """A start ends, a request wakes, or the cloud's own timer runs out."""
        self._keep_back()
        mind = self.mind
        if mind.serves_at is not None and mind.serves_at <= self.now:
            self.mind = Mind(Status.RUNNING, self.now, self.now)
        elif mind.status is Status.SCALED_TO_ZERO and self._woken():
            self._start(by_request=True)
        elif mind.status is Status.RUNNING and not self._down():
            due = self._timer(regime)
            if (due is not None and due <= self.now) or self._sent_to_zero(regime):
                self.mind = Mind(Status.SCALED_TO_ZERO, self.now, mind.ready_at)

    def _keep_back(self) -> None:
        """A start that an outage meets goes on when it ends."""
        outage, serves_at = self.outage, self.mind.serves_at
        if outage is None or serves_at is None or serves_at > outage.end:
            return
        late = outage.end + max(serves_at - self.now, _LEAST)
        self.mind = replace(self.mind, ready_at=late, serves_at=late)
        if self.starts and self.starts[-1].serves_at == serves_at:
            self.starts[-1] = replace(self.starts[-1], serves_at=late)

    def _sent_to_zero(self, regime: Regime) -> bool:
        """Tell whether its cloud let it go to zero now; what has a timer follows that."""
        place = bisect_right(self.witness.slept, self.now) - 1
        if regime.timer is not None or place < 0:
            return False
        at = self.witness.slept[place]
        return self.now - at < _LEAST and self.mind.ready_at < at

    def _woken(self) -> bool:
        first = self.demand.first_from(self.mind.since, self.assume)
        return first is not None and first <= self.now

    def _timer(self, regime: Regime) -> datetime | None:
        if regime.timer is None:
            return None
        last = self.demand.last_to(self.now, self.assume)
        return max(self.mind.ready_at, last or self.mind.ready_at) + regime.timer

    def _start(self, *, by_request: bool) -> None:
        serves_at = self.now + self.startup
        self.starts.append(ColdStart(self.now, serves_at, by_request))
        self.mind = Mind(Status.INITIALIZING, self.now, serves_at, serves_at=serves_at)
        self._keep_back()

    def _act(self, regime: Regime, decision: Decision) -> bool:
        kind = needed(self._status(), decision, NOT_BILLED)
        if kind is not Kind.RESUME:
            self.wanted_at = None
        if kind is None or regime.means.barrier(kind) or self._waits(kind):
            return False
        match kind:
            case Kind.RESUME:
                self._start(by_request=False)
            case Kind.PAUSE | Kind.DELETE:
                self._sleep(Status.PAUSED, decision)
            case Kind.SCALE_TO_ZERO:
                self._sleep(Status.SCALED_TO_ZERO, decision)
            case _:
                return False
        return True

    def _waits(self, kind: Kind) -> bool:
        """Tell whether a start is kept waiting, from the instant at which it is wanted."""
        if kind is not Kind.RESUME:
            return False
        if self.wanted_at is None and self.now in self.delays:
            self.wanted_at = self.now
        begins_at = self._begins_at()
        waits = self.wanted_at is not None and (begins_at is None or self.now < begins_at)
        if not waits:
            self.wanted_at = None
        return waits

    def _begins_at(self) -> datetime | None:
        return None if self.wanted_at is None else self.delays[self.wanted_at]

    def _sleep(self, status: Status, decision: Decision) -> None:
        self.mind = Mind(status, self.now, self.mind.ready_at, decision.rule, self.now)

    def _events(self, regime: Regime, facts: Facts, decision: Decision) -> list[datetime]:
        """Return when something may be different, later than now or not."""
        mind = self.mind
        found = [decision.next_edge, mind.serves_at, self._begins_at(), *self._witnessed()]
        if self.place + 1 < len(self.regimes):
            found.append(self.regimes[self.place + 1].at)
        if mind.status is Status.SCALED_TO_ZERO:
            found.append(self.demand.first_from(self.now, self.assume))
        if mind.status is Status.RUNNING:
            found.append(self._timer(regime))
            found += self._evidence_edges(facts)
        return [at for at in found if at is not None]

    def _witnessed(self) -> list[datetime]:
        """Return when an outage ends, when the next one begins, and when it next went to zero."""
        outages, slept = self.witness.outages, self.witness.slept
        found = [] if self.outage is None else [self.outage.end]
        place = bisect_right(outages, self.now, key=_begin)
        found += [one.start for one in outages[place : place + 1]]
        place = bisect_right(slept, self.now)
        return found + list(slept[place : place + 1])

    def _evidence_edges(self, facts: Facts) -> list[datetime]:
        """Return when what is unknown ends, and when it lies further back than a timeout."""
        if self.assume is Assume.IDLE:
            return []
        hole = self.demand.hole(self.now)
        edges = [] if hole is None else [hole[1]]
        since = self.demand.known_since(self.now)
        edges += [since + rule.timeout for rule in facts.idle_rules]
        return edges

    def _note(self, decision: Decision, until: datetime) -> None:
        waits = self.wanted_at is not None
        leg = Leg(self.now, until, self._status(), decision, not self._down(), waits)
        last = self.legs[-1] if self.legs else None
        if last is not None and last.end == self.now and _same(last) == _same(leg):
            self.legs[-1] = replace(last, end=until)
        else:
            self.legs.append(leg)


def _same(leg: Leg) -> tuple[object, ...]:
    decided = leg.decision
    rule = decided.wish, decided.rule, decided.rule_id
    return leg.status, leg.billed, leg.waits, rule


def _begin(outage: Outage) -> datetime:
    return outage.start
