"""Many starts at the same time: which of them will be late, and why, told before they happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import NOT_BILLED
from orchestrator.domain.plan import Limits, Wanted, giving_way
from orchestrator.domain.quotas import QuotaBook, counts, quota_book
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.stagger import (
    Admission,
    Forecast,
    Quota,
    Room,
    Start,
    StartLimits,
    forecast_starts,
)
from orchestrator.domain.status import AWAKE, Status, Wish
from orchestrator.providers.pacing import PaceReport
from orchestrator.providers.registry import CLOUDS
from orchestrator.services.rulebook import means_of
from orchestrator.services.starting import load_startups
from orchestrator.services.windows import full
from orchestrator.store import observation, quotas, schedules, usage
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account, Endpoint, Json

# "Most used" is by the requests recorded in this time, for the engine too.
USED_WITHIN = timedelta(days=14)
# Starts no further apart than this get into each other's way.
TOGETHER = timedelta(minutes=30)
# A pass that begins a start waits for the pace of its calls no longer than this, in seconds.
PACED_S = 30
_LEAVING = frozenset({Status.SCALED_TO_ZERO, Status.PAUSING})
# What starts later although it is in one of these stops before.
_STOPS = AWAKE | {Status.PAUSING, Status.STOPPING}


@dataclass(frozen=True, slots=True)
class ComingStart:
    """When a start begins and when it serves; None where nothing makes room for it.

    `why` says why it does not begin when it is wanted, and is empty where it does. `yielding` are
    the names of what is at zero and will be paused to make room for it.
    """

    endpoint_id: str
    wanted_at: datetime
    begins_at: datetime | None
    expected_at: datetime | None
    why: str
    yielding: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return when it begins and serves, and why so late."""
        if self.begins_at is None or self.expected_at is None:
            return f"does not start: {self.why}"
        serves = f"{self.expected_at:%H:%M:%S}"
        return f"begins at {self.begins_at:%H:%M:%S} and serves at {serves} UTC: {self.why}"


@dataclass(frozen=True, slots=True)
class Forecasting:
    """How starts are looked at ahead: `but` is the schedule that is previewed.

    `paces` are the paces of calls as they are now; `open_now` tells that its window is open, so
    that what runs now will be paused before its first start. `then` tells what endpoints are about
    to be at an instant, where that is known of all: then none but the starts that are asked about
    will come, and quotas are as they are at that instant.
    """

    but: str | None = None
    limits: StartLimits = field(default_factory=StartLimits)
    paces: Sequence[PaceReport] = ()
    open_now: bool = False
    then: Callable[[datetime], Mapping[str, Status]] | None = None


def paced_starts(limits: StartLimits, paces: Sequence[PaceReport], account: Account) -> StartLimits:
    """Return the limits with no more starts than the pace of an account's calls lets through."""
    cloud = CLOUDS.get(account.provider)
    calls = {} if cloud is None else cloud.start_calls
    rates = [
        lane.rate / calls[lane.api]
        for lane in paces
        if lane.account == account.name and lane.throttled and lane.api in calls
    ]
    if not rates:
        return limits
    per_pass = min(limits.per_pass, max(int(min(rates) * PACED_S), 1))
    every = timedelta(seconds=round(per_pass / min(rates)))
    return StartLimits(per_pass, max(limits.every, every))


def with_use(item: Wanted, book: QuotaBook, used: int | None, now: datetime) -> Wanted:
    """Return it with its quota and its requests; a last use long ago means that there were none.

    Of one that is at zero or on its way to sleep, the quota is what it gives back; of one that is
    to start, what it does not hold already.
    """
    starts = item.starting or item.decision.wish is Wish.RUNNING
    stays = item.status in _LEAVING and not starts
    name, takes = (book.freed_by if stays else book.added_by)(item.endpoint_id)
    if used is None and item.last_used_at is not None and now - item.last_used_at > USED_WITHIN:
        used = 0
    return replace(item, used=used, quota=name, takes=takes)


def zero_holds_quota(account: Account) -> bool:
    """Tell whether endpoints at zero count against the quotas of an account's cloud."""
    cloud = CLOUDS.get(account.provider)
    return cloud is not None and cloud.zero_holds_quota


def kept_replicas(account: Account) -> Callable[[Json], int | None]:
    """Return what reads the replicas of a paused endpoint from what its cloud's driver keeps."""
    cloud = CLOUDS.get(account.provider)
    return _not_told if cloud is None else cloud.kept_replicas


def _not_told(kept: Json) -> int | None:
    del kept
    return None


def late_starts(
    session: Session,
    account: Account,
    starts: Sequence[tuple[str, datetime]],
    now: datetime,
    how: Forecasting | None = None,
) -> list[ComingStart]:
    """Return which of the starts (endpoint id, wanted at) of an account will be late, and why."""
    return [one for one in coming_starts(session, account, starts, now, how) if one.why]


def coming_starts(
    session: Session,
    account: Account,
    starts: Sequence[tuple[str, datetime]],
    now: datetime,
    how: Forecasting | None = None,
) -> list[ComingStart]:
    """Return when the starts (endpoint id, wanted at) of an account begin, in order of time.

    What other schedules start then competes too, and what runs already needs no start. Quotas are
    as they are now, without what those hold that stop before they start.
    """
    if not starts:
        return []
    how = how or Forecasting()
    wanted = sorted(starts, key=lambda one: one[1])
    others = _others(session, account, wanted, now, how.but) if how.then is None else []
    rows = observation.endpoints_by_id(session, {key for key, _ in (*wanted, *others)})
    wanted = wanted if how.open_now else _not_running(wanted, rows)
    others = _not_running(others, rows)
    limits = paced_starts(how.limits, how.paces, account)
    desk = _Desk(session, account, rows, now)
    found: list[ComingStart] = []
    asked = set(wanted)
    for group in groups([*wanted, *others]):
        ours = [one for one in group if one in asked]
        if ours:
            leaving = {key for key, at in group if how.open_now or _leaves(rows.get(key), at)}
            then = {} if how.then is None else how.then(min(at for _, at in group))
            told = desk.forecast(group, limits, leaving, then)
            found += [told[key] for key, _ in ours if key in told]
    return found


class _Desk:
    """What the forecasts of one account are worked out with."""

    def __init__(
        self, session: Session, account: Account, rows: Mapping[str, Endpoint], now: datetime
    ) -> None:
        self._rows, self._now = rows, now
        self._managed = observation.managed(session, account.id)
        self._bound = {one.endpoint_id for one in observation.bindings(session, account.id)}
        ids = [*rows, *(row.id for row in self._managed if row.id not in rows)]
        self._used = usage.totals(session, ids, now - USED_WITHIN, now)
        self._start_ups = load_startups(session, account, now)
        self._limits = quotas.limits(session, account.id)
        self._holders = quotas.holders(session, account.id, kept_replicas(account))
        self._zero_counts = zero_holds_quota(account)
        self._stale = quotas.changed_since(session, account.id, account.rates_at)

    def forecast(
        self,
        group: Sequence[tuple[str, datetime]],
        limits: StartLimits,
        leaving: Collection[str],
        then: Mapping[str, Status],
    ) -> dict[str, ComingStart]:
        """Return the forecast of starts that come together, by endpoint.

        Those `leaving` stop before they start; others keep the quota that they hold, but for those
        of which it is known what they are `then`.
        """
        ids = [key for key, _ in group if key in self._rows]
        paused = {key for key, status in then.items() if status is Status.PAUSED}
        book = quota_book(
            self._limits,
            self._holders,
            zero_counts=self._zero_counts,
            but={*leaving, *paused},
            stale=self._stale,
        )
        known = self._with_those_up(book, {key: then[key] for key in then if key not in set(ids)})
        starts = []
        for key, at in group:
            row = self._rows.get(key)
            if row is None:
                continue
            name, takes = (book.of if key in leaving else book.added_by)(key)
            start_up = self._start_ups.of(key, row.hardware_key, self._now).time
            used = self._used.get(key, 0)
            starts.append(
                Start(
                    key,
                    at,
                    name,
                    takes,
                    used,
                    row.last_used_at,
                    start_up,
                    gave_way=row.asleep_rule == Rule.QUOTA,
                    gave_way_at=row.asleep_since if row.asleep_rule == Rule.QUOTA else None,
                )
            )
        starting = set(ids)
        wanted = [self._wanted(row, book) for row in self._managed if row.id not in starting]
        yielding = _Yielding(wanted)
        told = forecast_starts(starts, limits, known, yielding.make_room)
        wanted_at = dict(group)
        return {one.endpoint_id: _coming(one, wanted_at[one.endpoint_id], yielding) for one in told}

    def _with_those_up(self, book: QuotaBook, then: Mapping[str, Status]) -> Mapping[str, Quota]:
        """Return the quotas with what those take too that hold nothing now, and will then."""
        found = dict(book.quotas)
        for key, status in then.items():
            name, takes = book.of(key)
            up = counts(status, zero_counts=self._zero_counts)
            if name in found and up and not book.holds.get(key):
                found[name] = replace(found[name], used=found[name].used + takes)
        return found

    def _wanted(self, row: ManagedRow, book: QuotaBook) -> Wanted:
        """Return another endpoint as it was last decided on.

        What was just adopted and nothing binds is as a person left it.
        """
        rule = Rule(row.decided_rule.partition(":")[0] or Rule.NOT_MANAGED)
        wish = Wish(row.decided_wish) if row.decided_wish else None
        if rule is Rule.NOT_MANAGED and row.wish and row.id not in self._bound:
            rule, wish = Rule.STANDING, Wish(row.wish)
        item = Wanted(
            row.id,
            Status(row.status),
            NOT_BILLED,
            Decision(wish, rule, row.decided_reason, next_rule_edge=row.next_edge_at),
            last_used_at=row.last_used_at,
            means=means_of(row),
            name=row.name,
            protected=row.protected,
            since=max(row.status_since, row.managed_since or row.status_since),
        )
        return with_use(item, book, self._used.get(row.id), self._now)


class _Yielding:
    """Tells what will be paused for starts, each but once, by the rule of the engine."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._wanted = list(wanted)
        self.made: dict[str, tuple[str, ...]] = {}

    def make_room(self, admitted: Admission, now: datetime) -> Mapping[str, Room]:
        """Return what makes room for starts at `now`; what is decided anew before is left out."""
        free = [
            item
            for item in self._wanted
            if item.decision.next_rule_edge is None or item.decision.next_rule_edge > now
        ]
        known = {item.endpoint_id: item for item in free}
        gone: defaultdict[str, list[Wanted]] = defaultdict(list)
        for action in giving_way(free, admitted, Limits(), now):
            gone[action.decision.rule_id].append(known[action.endpoint_id])
        paused = {item.endpoint_id for items in gone.values() for item in items}
        self._wanted = [item for item in self._wanted if item.endpoint_id not in paused]
        self.made |= {key: tuple(item.name for item in items) for key, items in gone.items()}
        return {
            key: Room(self.made[key], sum(item.takes for item in items))
            for key, items in gone.items()
        }


def _not_running(
    starts: Sequence[tuple[str, datetime]], rows: Mapping[str, Endpoint]
) -> list[tuple[str, datetime]]:
    """Return the starts without the first of each endpoint that runs now and goes on running."""
    found, met = [], set()
    for key, at in sorted(starts, key=lambda one: one[1]):
        row, first = rows.get(key), key not in met
        met.add(key)
        if not (first and row is not None and row.status in AWAKE and not _stops_before(row, at)):
            found.append((key, at))
    return found


def _leaves(row: Endpoint | None, at: datetime) -> bool:
    """Tell whether what starts at `at` stops before, and gives back what it holds."""
    return row is not None and (row.status in _STOPS or _stops_before(row, at))


def _stops_before(row: Endpoint, at: datetime) -> bool:
    edge = row.next_edge_at
    return row.next_edge_wish == Wish.PAUSED and edge is not None and edge < at


def _others(
    session: Session,
    account: Account,
    starts: Sequence[tuple[str, datetime]],
    now: datetime,
    but: str | None,
) -> list[tuple[str, datetime]]:
    """Return the starts of other schedules near these, of endpoints that are not among them."""
    ours = {key for key, _ in starts}
    bound: defaultdict[str, list[str]] = defaultdict(list)
    for binding in observation.bindings(session, account.id):
        if binding.endpoint_id not in ours:
            bound[binding.rule_id].append(binding.endpoint_id)
    first, last = starts[0][1] - TOGETHER, starts[-1][1] + TOGETHER
    found: dict[tuple[str, datetime], None] = {}
    for row in schedules.in_force(session):
        if row.id == but or row.shadow or not bound[row.id]:
            continue
        for span in intervals(full(session, row, now), first, last):
            if span.start > first:
                # What should have started already waits now.
                found.update(((key, max(span.start, now)), None) for key in bound[row.id])
    return list(found)


def groups(
    starts: Collection[tuple[str, datetime]],
) -> Iterator[list[tuple[str, datetime]]]:
    """Yield starts that come together, each endpoint once, by its first."""
    group: dict[str, datetime] = {}
    reached: datetime | None = None
    for key, at in sorted(starts, key=lambda one: one[1]):
        if reached is not None and at - reached > TOGETHER:
            yield list(group.items())
            group = {}
        group.setdefault(key, at)
        reached = at
    if group:
        yield list(group.items())


def _coming(told: Forecast, at: datetime, yielding: _Yielding) -> ComingStart:
    key, why = told.endpoint_id, told.why_late
    made = yielding.made.get(key, ())
    return ComingStart(key, at, told.begins_at, told.expected_at, why, made)
