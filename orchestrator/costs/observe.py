"""From what a look at the cloud saw to the stretches of the ledger; pure.

A look tells the state at some instant between the moment it was asked and the moment it was
answered. So what the last look saw is vouched for until that look was *asked*, what this one saw
holds from when it was *answered*, and what lies between is a gap. How a gap is bounded:

- the states differ and the cloud's own `updated_at` did not move: the endpoint changed by itself
  (it started, it scaled), so the truth lies between the two states;
- `updated_at` moved, or the endpoint appeared or vanished: somebody changed it, perhaps more than
  once, so anything from no replica to its maximum may have run;
- the gap is longer than the limit, because we were down or the listing failed: the same, and the
  stretch is called unobserved. Paused before and after with `updated_at` unmoved stays certain.

Not bounded: a change that was undone between two looks and left no trace in the cloud's answer;
hardware that no look ever saw, or more replicas than any look or bound told; a price that changed
twice between two readings; and, for a bill in whole minutes, stops of less than a minute. A report
that ends inside the gap in which a run began may not yet hold the rounding of that run.

What is billed beside replicas (an `Extra`, such as a disk) is a stream of stretches of its own
under the same rules: so many units for each replica. So is the new fleet of an update, which has
hardware of its own and may be billed beside the one that serves until that is gone. What an
endpoint has no more goes on with no units until the endpoint ends, so that the ledger has no hole
if it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator.costs.stretch import (
    SECOND,
    Evidence,
    cut,
    end_of,
    next_second,
    nothing,
    opened,
    repriced,
    same,
    seconds_between,
    settled,
    whole_second,
    widened,
)
from orchestrator.domain.endpoints import NOT_BILLED, BilledReplicas, Extra, Rollout
from orchestrator.domain.money import amount_for
from orchestrator.domain.status import Status
from orchestrator.store.ledger import COMPUTE, Price, Stretch

# The component of the new fleet of an update; `update_disk` are the disks of its replicas.
UPDATE = "update"
# How far the clock of a cloud may differ from ours before the engine freezes itself.
CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One endpoint as a look saw it.

    `max_replicas` is the larger of its bounds at this and the last look. `moved` says that the
    cloud's `updated_at` differs from the last look's; say so too where a cloud has no such field
    and the state differs. `cause` None keeps the cause of an unchanged state. `confirmed_at` and
    `seen_at` stand for the look's own where this endpoint was read by a look of its own.
    `extras` are what is billed beside each replica, one of a component at most. `rollout` is the
    new fleet of an update, counted in `billed`; `rebuilt` says that the settings differ from the
    last look's, so that an update may have come and gone. `component` and `units` are set by
    `streams` alone. Raises ValueError for extras that cannot be told apart.
    """

    endpoint_id: str
    status: Status
    billed: BilledReplicas = NOT_BILLED
    hardware_key: str = ""
    max_replicas: int | None = None
    moved: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    cause: str | None = None
    deleted: bool = False
    confirmed_at: datetime | None = None
    seen_at: datetime | None = None
    extras: tuple[Extra, ...] = ()
    rollout: Rollout | None = None
    rebuilt: bool = False
    component: str = COMPUTE
    units: int = 1

    def __post_init__(self) -> None:
        names = [COMPUTE, *(each.component for each in self.extras)]
        if len(set(names)) < len(names) or any(each.units < 0 for each in self.extras):
            raise ValueError(f"extras need a component each and no negative units: {self.extras}")

    def beside(self, extra: Extra) -> Observation:
        """Return what was seen of an extra: as replicas, so many units for each."""
        low, expected, high = self.billed.low, self.billed.expected, self.billed.high
        units = extra.units
        return replace(
            self,
            extras=(),
            rollout=None,
            component=extra.component,
            hardware_key=extra.hardware_key,
            units=units,
            billed=BilledReplicas(low * units, expected * units, high * units),
        )

    def serving(self, current: Stretch | None) -> Observation:
        """Return what was seen of the fleet that serves; `current` is its open stretch.

        A cloud that shows the new settings alone does not tell on what the old replicas run:
        that is what they ran on before.
        """
        if self.rollout is None:
            return self
        billed, key = self.billed.without(self.rollout.billed), self.hardware_key
        known = current is not None and current.replicas_high > 0
        if known and current is not None and not self.rollout.hardware_key and billed.high:
            key = current.hardware_key
        return replace(self, billed=billed, hardware_key=key, rollout=None)

    def incoming(self) -> list[Observation]:
        """Return what was seen of the new fleet, as components of their own."""
        if self.rollout is None:
            return []
        key = self.rollout.hardware_key or self.hardware_key
        fleet = replace(self, billed=self.rollout.billed, hardware_key=key, extras=(), rollout=None)
        beside = [
            fleet.beside(replace(each, component=f"{UPDATE}_{each.component}"))
            for each in self.rollout.extras
        ]
        return [replace(fleet, component=UPDATE), *beside]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When a look was answered, and until when the one before vouches for the old state.

    `confirmed_at` is None where nothing was looked at before. Bills may round each run by up to
    `granularity_s` seconds, either way.
    """

    confirmed_at: datetime | None
    seen_at: datetime
    gap_limit: timedelta
    granularity_s: int = 60

    @property
    def late(self) -> bool:
        """Return whether the gap is longer than its limit."""
        confirmed = self.confirmed_at
        return confirmed is not None and self.seen_at - confirmed > self.gap_limit

    @property
    def went_back(self) -> bool:
        """Return whether this look was answered before the last was asked: the clock was set."""
        return self.confirmed_at is not None and self.seen_at < self.confirmed_at

    @property
    def lived_twice_s(self) -> int:
        """Return the seconds that may be missing where the clock was set back, else 0.

        They are the way from the last look back to this one, and one more gap at most.
        """
        if self.confirmed_at is None or not self.went_back:
            return 0
        return seconds_between(self.seen_at, self.confirmed_at + self.gap_limit)

    def of(self, seen: Observation) -> Look:
        """Return the look that saw this endpoint."""
        return replace(
            self,
            confirmed_at=seen.confirmed_at or self.confirmed_at,
            seen_at=seen.seen_at or self.seen_at,
        )


@dataclass(frozen=True, slots=True)
class _Sight:
    """All that is known when one endpoint was looked at."""

    seen: Observation
    price: Price | None
    look: Look

    def state(self, at: datetime, cause: str) -> Stretch:
        """Return the seen state as an open stretch."""
        return opened(
            at,
            status=self.seen.status,
            hardware_key=self.seen.hardware_key,
            billed=self.seen.billed,
            price=self.price,
            units=self.seen.units,
            cause=cause if self.seen.cause is None else self.seen.cause,
        )

    def ceiling(self, current: Stretch) -> int:
        """Return how many replicas may have run at most, or units of an extra."""
        most = (self.seen.max_replicas or 0) * max(current.units, self.seen.units)
        if self.seen.rebuilt and not self.seen.component.startswith(UPDATE):
            most = 2 * max(most, current.replicas_high, self.seen.billed.high)
        return max(current.replicas_high, self.seen.billed.high, most)

    def doubt(self, current: Stretch, after: Stretch | None) -> Evidence | None:
        """Return how the gap is to be called, or None where the old state certainly went on."""
        unchanged = after is not None and same(current, after) and not self.seen.moved
        if self.look.late:
            asleep = current.status == Status.PAUSED and current.replicas_high == 0
            dated = self.seen.updated_at is not None
            return None if unchanged and asleep and dated else Evidence.UNOBSERVED
        return None if unchanged else Evidence.TRANSITION


def streams(seen: Observation, standing: Iterable[tuple[str, Stretch]]) -> list[Observation]:
    """Return what was seen of each component: of the replicas first, then of what is beside them.

    `standing` are the components with an open stretch, and that stretch: one that was not seen
    has no units now.
    """
    known = dict(standing)
    serving, incoming = seen.serving(known.get(COMPUTE)), seen.incoming()
    found = [serving.beside(each) for each in seen.extras] + incoming
    named = {COMPUTE, *(each.component for each in found)}
    over = [
        serving.beside(Extra(component, stretch.hardware_key, 0))
        for component, stretch in known.items()
        if component not in named
    ]
    return [replace(serving, extras=()), *found, *over]


def observe(
    tail: Sequence[Stretch], seen: Observation, price: Price | None, look: Look
) -> list[Stretch]:
    """Return what the tail of the ledger of one component of an endpoint becomes.

    `tail` is its open stretch and those that end after the look's `confirmed_at`, in order; an
    empty one is a first sight. `price` is the newest of the seen hardware. The same observation
    twice changes nothing the second time.
    """
    sight = _Sight(seen, price, look.of(seen))
    if not tail or tail[-1].ended_at is not None:
        return list(tail) if seen.deleted else [*tail, *_begun(tail, sight)]
    current = tail[-1]
    until = max(next_second(sight.look.seen_at), current.started_at)
    after = None if seen.deleted else sight.state(until, current.cause)
    if sight.look.went_back:
        tail = [*tail[:-1], _repeated(current, sight.look)]
    doubt = sight.doubt(current, after)
    if doubt is None:
        return _caused(tail, seen, until)
    if until == current.started_at and after is not None and same(current, after):
        return list(tail)
    return _changed(tail, after, sight, doubt)


def _caused(tail: Sequence[Stretch], seen: Observation, until: datetime) -> list[Stretch]:
    """The state went on; a new cause begins where it was first seen."""
    current = tail[-1]
    if seen.cause is None or seen.cause == current.cause:
        return list(tail)
    ended = replace(current, ended_at=until)
    following = replace(current, started_at=until, cause=seen.cause, id=None, rounding_nano=0)
    return [*tail[:-1], *settled([ended, following])]


def _changed(
    tail: Sequence[Stretch], after: Stretch | None, sight: _Sight, doubt: Evidence
) -> list[Stretch]:
    """The state may have been another since the last look; `after` is None for a deletion."""
    seen, look, current = sight.seen, sight.look, tail[-1]
    until = max(next_second(look.seen_at), current.started_at)
    if after is None:
        until = end_of(current, until)
    since = current.started_at if look.confirmed_at is None else whole_second(look.confirmed_at)
    before, within = cut(tail, min(since, until), until)
    wide = seen.moved or seen.deleted or doubt is Evidence.UNOBSERVED
    ceiling = sight.ceiling(current) if wide else None
    other = nothing(current, seen.status) if after is None else after
    pieces = [widened(each, other, doubt, ceiling) for each in within[:-1]]
    for each in _halves(within[-1], other, seen.updated_at if seen.moved else None):
        opposite = current if same(each, other) else other
        pieces.append(widened(each, opposite, doubt, ceiling))
    if current.hardware_key != other.hardware_key:
        pieces = _at_older_price(pieces, sight.price)
    allowance = _allowance(pieces, current, other, look, wide=wide)
    rest = pieces if after is None else [*pieces, after]
    return settled([*before, *_with_rounding(rest, allowance)])


def _at_older_price(pieces: list[Stretch], price: Price | None) -> list[Stretch]:
    """Widen what began before the newest price of this hardware took effect."""
    if price is None or price.before is None:
        return pieces
    return [
        repriced(each, price.before) if each.started_at < price.effective_at else each
        for each in pieces
    ]


def _halves(gap: Stretch, other: Stretch, changed_at: datetime | None) -> list[Stretch]:
    """Split a gap where its likely state changes: when the cloud says, or else in the middle.

    The middle is wrong by at most half of the gap, and no more often late than early.
    """
    if same(gap, other) or gap.ended_at is None:
        return [gap]
    start, end = gap.started_at, gap.ended_at
    turn = start + SECOND * (seconds_between(start, end) // 2)
    if changed_at is not None and start <= changed_at <= end:
        turn = whole_second(changed_at)
    late = replace(other, started_at=turn, ended_at=end, rounding_nano=0, id=None)
    return [replace(gap, ended_at=turn), late]


def _allowance(
    pieces: Sequence[Stretch], current: Stretch, other: Stretch, look: Look, *, wide: bool
) -> int:
    """Return by how much a rounded bill may differ for the runs that may begin in this gap.

    Where the clock was set back, the new state also ran in seconds that the ledger has already.
    """
    now = other.burn_high or 0
    if wide:
        begun = max((each.burn_high or 0 for each in pieces), default=now)
    elif current.hardware_key != other.hardware_key:
        begun = now
    else:
        surely = (other.burn_low or 0) - (current.burn_low or 0)
        begun = max(0, now - (current.burn_high or 0), surely)
    repeated = max(0, seconds_between(next_second(look.seen_at), current.started_at))
    return amount_for(begun, look.granularity_s + look.lived_twice_s) + amount_for(now, repeated)


def _with_rounding(stretches: list[Stretch], allowance: int) -> list[Stretch]:
    """Put the allowance on the first stretch in which something may have run."""
    for index, each in enumerate(stretches):
        if each.burn_high:
            stretches[index] = replace(each, rounding_nano=each.rounding_nano + allowance)
            break
    return stretches


def _repeated(current: Stretch, look: Look) -> Stretch:
    """Allow for the time that a clock set back made us live twice."""
    allowance = amount_for(current.burn_high or 0, look.lived_twice_s)
    return replace(current, rounding_nano=max(current.rounding_nano, allowance))


def _begun(tail: Sequence[Stretch], sight: _Sight) -> list[Stretch]:
    """A first sight: what the last look did not show began in the gap.

    `tail` holds the end of an earlier life, where there is one, and then the gap starts there.
    """
    look = sight.look
    since = _absent_until(tail, sight.seen, look)
    until = next_second(look.seen_at) if since is None else max(since, next_second(look.seen_at))
    after = sight.state(until, "")
    absent = nothing(after, Status.UNKNOWN)
    pieces: list[Stretch] = []
    if since is not None and since < until:
        late = until - since > look.gap_limit + SECOND
        doubt = Evidence.UNOBSERVED if late else Evidence.TRANSITION
        gap = replace(absent, started_at=since, ended_at=until)
        for each in _halves(gap, after, sight.seen.created_at):
            opposite = absent if same(each, after) else after
            pieces.append(widened(each, opposite, doubt, sight.ceiling(after)))
        pieces = _at_older_price(pieces, sight.price)
    allowance = _allowance(pieces, absent, after, look, wide=bool(pieces))
    return settled(_with_rounding([*pieces, after], allowance))


def _absent_until(tail: Sequence[Stretch], seen: Observation, look: Look) -> datetime | None:
    if tail:
        return tail[-1].ended_at
    if look.confirmed_at is None:
        return None
    since = whole_second(look.confirmed_at)
    if seen.created_at is not None:
        since = max(since, whole_second(seen.created_at - CLOCK_SKEW))
    return since
