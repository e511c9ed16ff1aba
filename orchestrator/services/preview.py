"""What a schedule will do in the coming weeks, and what that costs against today.

An endpoint counts as up while a window is open, at its least number of replicas and at today's
price: an upper bound where it may scale to zero. One that no rule may stop counts as always up.
A month is 730.5 hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlmodel import Session

from orchestrator.costs.rates import ReplicaRate, replica_rate
from orchestrator.domain.money import amount_for
from orchestrator.domain.plan import Kind
from orchestrator.domain.schedules.model import Interval
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.schedules.walls import first_reached
from orchestrator.domain.schedules.week import united_mask
from orchestrator.domain.schedules.zones import zone, zone_rules_version
from orchestrator.domain.status import AWAKE, Status, Wish
from orchestrator.services import selectors
from orchestrator.services.rulebook import means_of
from orchestrator.services.scheduling import Covered, Remark, remarks
from orchestrator.services.selectors import Selector
from orchestrator.services.windows import windows_of
from orchestrator.store import ledger, schedules
from orchestrator.store.tables import Binding, Endpoint

WEEK = timedelta(weeks=1)
MONTH_SECONDS = 730 * 3600 + 1800


@dataclass(frozen=True, slots=True)
class Edge:
    """An instant at which the schedule's answer changes, in UTC and as its zone's clocks show."""

    at: datetime
    local: datetime
    wish: Wish


@dataclass(frozen=True, slots=True)
class Week:
    """The edges of one civil week, from Monday in the schedule's zone."""

    start: date
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What it means for one endpoint, per month; amounts in nano-dollars, None without a price.

    `unpriced` are what is billed beside its replicas at an unknown price, in none of the amounts.
    """

    endpoint: Endpoint
    seconds: int
    cost: int | None
    always_on: int | None
    today: int | None
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """The coming weeks of a schedule."""

    timezone: str
    tzdata: str
    weeks: tuple[Week, ...]
    minutes_per_week: int
    effects: tuple[Effect, ...]
    remarks: Sequence[Remark]


def preview(
    session: Session,
    windows: Windows,
    selector: Selector | None,
    *,
    weeks: int,
    now: datetime,
    but: str | None = None,
) -> Preview:
    """Return what `windows` would do; `but` is the id of the schedule that they stand for."""
    rows = [] if selector is None else selectors.covered(session, selector)
    bound = {} if but is None else schedules.bindings_of_rule(session, but)
    covered = [Covered(row, bound.get(row.id)) for row in rows]
    others = _other_windows(session, rows, now, but)
    prices = _prices(session, rows)
    clock = _Clock(now, now + weeks * WEEK)
    return Preview(
        timezone=windows.timezone,
        tzdata=zone_rules_version(),
        weeks=coming_weeks(windows, weeks, now),
        minutes_per_week=united_mask(windows.windows).bit_count(),
        effects=tuple(
            _effect(row, windows, others[row.id], _rate(row, prices), clock) for row in rows
        ),
        remarks=remarks(windows, covered, now),
    )


def coming_weeks(windows: Windows, weeks: int, now: datetime) -> tuple[Week, ...]:
    """Return the edges after `now`, in civil weeks of the schedule's zone."""
    rules = zone(windows.timezone)
    today = now.astimezone(rules).date()
    monday = today - timedelta(days=today.weekday())
    starts = [monday + timedelta(weeks=number) for number in range(weeks + 1)]
    found = edges(windows, now, _midnight(rules, starts[-1]))
    result = []
    for first, last in pairwise(starts):
        begin, end = _midnight(rules, first), _midnight(rules, last)
        result.append(Week(first, tuple(edge for edge in found if begin <= edge.at < end)))
    return tuple(result)


def edges(windows: Windows, start: datetime, end: datetime) -> list[Edge]:
    """Return the edges in `(start, end)`, in order; neighbours join without one."""
    rules = zone(windows.timezone)
    found: dict[datetime, Wish] = {}
    for interval in intervals(windows, start, end):
        found[interval.end] = Wish.PAUSED
        found[interval.start] = Wish.RUNNING if interval.keep_running else Wish.AVAILABLE
    return [
        Edge(at.astimezone(UTC), at.astimezone(rules), found[at])
        for at in sorted(found)
        if start < at < end
    ]


def _midnight(rules: ZoneInfo, day: date) -> datetime:
    return first_reached(rules, datetime.combine(day, time()))


@dataclass(slots=True)
class _Clock:
    """Seconds per month in which windows are open, by their share of a span; each found once."""

    start: datetime
    end: datetime
    known: dict[frozenset[Windows], int] = field(default_factory=dict)

    def seconds_up(self, together: frozenset[Windows]) -> int:
        """Return in how many seconds per month at least one of the windows is open."""
        if together not in self.known:
            self.known[together] = self._seconds_up(together)
        return self.known[together]

    def _seconds_up(self, together: frozenset[Windows]) -> int:
        found: list[Interval] = []
        for windows in together:
            found += intervals(windows, self.start, self.end)
        up, reached = timedelta(0), self.start
        for interval in sorted(found, key=lambda one: one.start):
            if interval.end > reached:
                up += interval.end - max(interval.start, reached)
                reached = interval.end
        whole = int((self.end - self.start).total_seconds())
        return int(up.total_seconds()) * MONTH_SECONDS // whole


def _effect(
    row: Endpoint, windows: Windows, others: list[Windows], rate: ReplicaRate, clock: _Clock
) -> Effect:
    stops = not means_of(row).barrier(Kind.PAUSE)
    seconds = clock.seconds_up(frozenset([windows, *others])) if stops else MONTH_SECONDS
    today = clock.seconds_up(frozenset(others)) if others else _as_it_is(row)
    replicas = max(row.min_replicas or 0, 1)
    hourly = None if rate.nano is None else rate.nano * replicas
    return Effect(
        endpoint=row,
        seconds=seconds,
        cost=_cost(hourly, seconds),
        always_on=_cost(hourly, MONTH_SECONDS),
        today=_cost(hourly, today),
        unpriced=rate.unpriced,
    )


def _rate(row: Endpoint, prices: Mapping[tuple[str, str], int]) -> ReplicaRate:
    return replica_rate(row, lambda key: prices.get((row.account_id, key)))


def _cost(hourly: int | None, seconds: int) -> int | None:
    return None if hourly is None else amount_for(hourly, seconds)


def _as_it_is(row: Endpoint) -> int:
    return MONTH_SECONDS if Status(row.status) in AWAKE else 0


def _other_windows(
    session: Session, rows: Sequence[Endpoint], now: datetime, but: str | None
) -> dict[str, list[Windows]]:
    """Return the windows of the other schedules that act on each endpoint."""
    in_force = {row.id: row for row in schedules.in_force(session) if not row.shadow}
    bound = schedules.bindings_of_endpoints(session, [row.id for row in rows])
    found: dict[str, list[Windows]] = defaultdict(list)
    for row in rows:
        for rule_id, binding in bound.get(row.id, {}).items():
            schedule = in_force.get(rule_id)
            if schedule is not None and rule_id != but and _acts(binding, row, now):
                found[row.id].append(windows_of(schedule))
    return found


def _acts(binding: Binding, row: Endpoint, now: datetime) -> bool:
    soon = binding.acts_from is None or binding.acts_from <= now + WEEK
    return row.managed and not row.protected and soon


def _prices(session: Session, rows: Sequence[Endpoint]) -> dict[tuple[str, str], int]:
    return {
        (account_id, key): price.nano_per_hour
        for account_id in {row.account_id for row in rows}
        for key, price in ledger.newest_prices(session, account_id).items()
    }
